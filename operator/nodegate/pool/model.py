"""What a NodeEnrollmentPool says, as values.

Rules: frozen and checked. A pool whose spec nothing can be done with is still a `Pool`, with its faults: it takes
part in nothing, and its status says what to mend.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nodegate.enrollment.model import Condition
from nodegate.identity import IPNetwork
from nodegate.pool.pattern import Pattern


class PoolState(enum.StrEnum):
    """What the administrator wants of a pool (``spec.state``)."""

    ACTIVE = "Active"
    SUSPENDED = "Suspended"


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStatus:
    """What the operator has recorded of a pool."""

    observed_generation: int | None = None
    nodes: int | None = None
    """Enrollments that carry the pool's label."""

    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSpec:
    """Who may join through a pool, under which names and addresses, and how often."""

    pattern: Pattern | None
    """None when it cannot be read."""

    max_nodes: int
    state: PoolState = PoolState.ACTIVE
    ranges: tuple[IPNetwork, ...] = ()
    """Networks in which the nodes' addresses lie; none means that no address is ever recorded."""

    addresses_per_node: int = 2
    token_ids: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    template: Mapping[str, Any] = field(default_factory=dict)
    """The spec of the enrollments that are made, as JSON, without what identifies a node or a requester."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """One NodeEnrollmentPool."""

    name: str
    uid: str = ""
    resource_version: str = ""
    generation: int | None = None
    spec: PoolSpec
    faults: tuple[str, ...] = ()
    """What a person has to mend before the pool takes part in anything, a sentence each."""

    status: PoolStatus = field(default_factory=PoolStatus)

    def matches(self, name: str) -> bool:
        """Tell whether a node name is the pool's; never with a fault."""
        return not self.faults and self.spec.pattern is not None and self.spec.pattern.matches(name)

    def condition(self, kind: str) -> Condition | None:
        """Return the recorded condition of a type, or None."""
        return next((condition for condition in self.status.conditions if condition.type == kind), None)


@dataclass(frozen=True, slots=True)
class Overlap:
    """Another active pool that matches some of the same names, and one of those names."""

    pool: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOutlook:
    """What the status of a pool is to say."""

    nodes: int
    conditions: tuple[Condition, ...]
    full: bool


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing is done for a request, in words that end a sentence about what was found."""

    text: str
