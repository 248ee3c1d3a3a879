"""The table of cases, one file a group of the policy's stages; every file exports `VECTORS`."""

from hack.vectors.cases import (
    alt_names,
    approved,
    crypto,
    encoding,
    enrollment,
    identity,
    node_state,
    ownership,
    published,
    shape,
    subject,
)
from hack.vectors.vector import Vector

VECTORS: tuple[Vector, ...] = (
    *approved.VECTORS,
    *ownership.VECTORS,
    *encoding.VECTORS,
    *crypto.VECTORS,
    *subject.VECTORS,
    *shape.VECTORS,
    *identity.VECTORS,
    *enrollment.VECTORS,
    *alt_names.VECTORS,
    *node_state.VECTORS,
    *published.VECTORS,
)
"""Every vector, in the order of the stages."""
