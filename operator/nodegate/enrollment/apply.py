"""Reads and writes of NodeEnrollments: a name or a patch goes in, the object comes out.

Rules: only ``status`` is ever written, by merge patches that carry the resourceVersion they were
judged at; the spec is the administrator's.
"""

from typing import Any, Final

from nodegate.errors import NotFound, Unavailable
from nodegate.kube.client import ApiClient
from nodegate.kube.paths import object_path
from nodegate.names import API_VERSION

ENROLLMENT_PATH: Final = f"/apis/{API_VERSION}/nodeenrollments"

_KIND_MISSING = ("404 page not found", "could not find the requested resource")
"""How an API server says that it has no such kind, apart from that it has no such object."""


async def read_enrollment(client: ApiClient, name: str) -> Any | None:
    """Read an enrollment from the API server; None when there is none.

    Raises:
        Unavailable: The kind itself is missing, which says nothing about this object.
        ApiError: It could not be read, which is not the same as not being there.
    """
    try:
        return await client.get(object_path(ENROLLMENT_PATH, name))
    except NotFound as error:
        if any(text in str(error) for text in _KIND_MISSING):
            raise Unavailable(0, "KindMissing", "the API server knows no NodeEnrollments; apply the CRD") from error
        return None


async def patch_status(client: ApiClient, name: str, patch: Any) -> Any:
    """Patch an enrollment's status and return the object.

    Raises:
        Conflict: It is not the one that was judged any more.
        NotFound: It is gone.
    """
    return await client.merge_patch(object_path(ENROLLMENT_PATH, name, "status"), patch)
