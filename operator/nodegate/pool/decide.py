"""A request and the pools go in, which pool enrolls its node comes out; and what a pool's status says.

Rules: exactly one active pool may match a name. Nothing here approves: what a pool does is make an enrollment, or
record its addresses once, and the request is then judged by that as any other. Pure.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from nodegate.csr.model import CsrFacts, Hold, Ignore, Judgement, Kind, NameKind, NodeFacts, Reason
from nodegate.enrollment.model import Claims, Condition, IPAddress, NodeName
from nodegate.identity import Reserved, reserved_address, reserved_name
from nodegate.pool.model import Overlap, Pool, PoolOutlook, PoolState, Refusal
from nodegate.text import listed, visible


def asks_for_place(judgement: Judgement) -> bool:
    """Tell whether a first request lacks nothing but an enrollment.

    A user whom nothing lists yet is ignored; a pool may list that user, or a group of theirs.
    """
    if judgement.enrollment is not None or judgement.csr.kind is not Kind.BOOTSTRAP:
        return False
    return judgement.verdict in (Hold((Reason.NOT_ENROLLED,)), Ignore(Reason.REQUESTER_NOT_MANAGED))


def asks_for_addresses(judgement: Judgement) -> bool:
    """Tell whether a serving request lacks nothing but addresses in an enrollment that has none."""
    enrollment, verdict = judgement.enrollment, judgement.verdict
    if enrollment is None or enrollment.addresses or judgement.csr.kind is not Kind.SERVING:
        return False
    return verdict == Hold((Reason.SUBJECT_ALT_NAME_NOT_ENROLLED,))


def choose(csr: CsrFacts, pools: Iterable[Pool], nodes: Callable[[str], int]) -> Pool | Refusal | None:
    """Return the pool that enrolls the node of a first request, why none does, or None where no pool matches.

    Args:
        csr: The request; its node name is known.
        pools: All of them.
        nodes: How many enrollments a pool has, by its name.
    """
    name = csr.node_name or NodeName("")
    matching = sorted((pool for pool in pools if pool.matches(name)), key=lambda pool: pool.name)
    if not matching:
        return None
    active = [pool for pool in matching if pool.spec.state is PoolState.ACTIVE]
    if not active:
        return Refusal(f"the name is of pool {listed(pool.name for pool in matching)}, which is suspended")
    if len(active) > 1:
        return Refusal(
            f"the name is of several pools ({listed(pool.name for pool in active)}), so none enrolls it (PoolConflict)"
        )
    (pool,) = active
    if not allows(pool, csr):
        return Refusal(
            f"the name is of pool {pool.name}, which does not list user {visible(csr.username)}, nor a group of theirs"
        )
    if nodes(pool.name) >= pool.spec.max_nodes:
        return Refusal(f"the name is of pool {pool.name}, which is full (maxNodes {pool.spec.max_nodes})")
    if reserved_name(name) is not None:
        return Refusal(f"the name is of pool {pool.name}, but {reserved_name(name)}")
    return pool


def allows(pool: Pool, csr: CsrFacts) -> bool:
    """Tell whether the requester may join through a pool."""
    spec = pool.spec
    return csr.token_id in spec.token_ids or csr.username in spec.users or bool(csr.groups & spec.groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressing:
    """What addresses are judged beside."""

    node: NodeFacts | None
    claims: Claims
    reserved: Reserved
    holders: Callable[[IPAddress], frozenset[str]]
    """The Nodes, and the nodes just given addresses, that have an address."""


def addresses(csr: CsrFacts, pool: Pool, around: Addressing) -> frozenset[IPAddress] | Refusal:
    """Return the addresses that a serving request brings into its enrollment: all that it names, or none."""
    names = csr.pkcs10.alt_names or () if csr.pkcs10 else ()
    wanted = frozenset(name.address for name in names if name.kind is NameKind.IP and name.address is not None)
    foreign = [n.text for n in names if n.kind is not NameKind.IP and n.text.lower() != csr.node_name]
    if foreign or not wanted:
        return Refusal(f"pool {pool.name} records addresses only, and these are names: {listed(foreign)}")
    if pool.spec.state is not PoolState.ACTIVE or pool.faults:
        return Refusal(f"pool {pool.name} is suspended or stalled, so it records no address")
    if len(wanted) > pool.spec.addresses_per_node:
        return Refusal(f"pool {pool.name} records {pool.spec.addresses_per_node} addresses a node, not {len(wanted)}")
    faults = sorted(f"{address} ({why})" for address in wanted for why in _address_faults(address, csr, pool, around))
    return Refusal(f"pool {pool.name} does not record {listed(faults)}") if faults else wanted


def _address_faults(address: IPAddress, csr: CsrFacts, pool: Pool, around: Addressing) -> Iterator[str]:
    if not any(address in network for network in pool.spec.ranges):
        yield "outside addressRanges"
    reserved = reserved_address(address, None, around.reserved)
    if reserved is not None:
        yield reserved
    if around.node is None or address not in around.node.addresses:
        yield "not in Node.status.addresses"
    others = (around.claims.address_owners(address) | around.holders(address)) - {csr.node_name or ""}
    if others:
        yield f"also of {listed(sorted(others))}"


def outlook(pool: Pool, nodes: int, overlaps: tuple[Overlap, ...]) -> PoolOutlook:
    """Return what the status of a pool is to say, which has so many enrollments."""
    full = nodes >= pool.spec.max_nodes
    conditions = (_ready(pool, full=full), _stalled(pool), _full(pool, nodes, full=full), _conflict(overlaps))
    return PoolOutlook(nodes=nodes, conditions=conditions, full=full)


def _ready(pool: Pool, *, full: bool) -> Condition:
    if pool.faults:
        return _condition("Ready", holds=False, reason="SpecInvalid", message="Nothing joins through this pool.")
    if pool.spec.state is PoolState.SUSPENDED:
        message = (
            "spec.state is Suspended: no node is enrolled; nodes that have joined are judged by their enrollments."
        )
        return _condition("Ready", holds=False, reason="Suspended", message=message)
    if full:
        return _condition("Ready", holds=True, reason="Full", message="The pool works, and has no room left.")
    return _condition("Ready", holds=True, reason="Active", message="First requests for its names enroll their nodes.")


def _stalled(pool: Pool) -> Condition:
    if pool.faults:
        return _condition("Stalled", holds=True, reason="SpecInvalid", message="; ".join(pool.faults) + ".")
    return _condition("Stalled", holds=False, reason="Consistent", message="Nothing needs mending.")


def _full(pool: Pool, nodes: int, *, full: bool) -> Condition:
    message = f"{nodes} of at most {pool.spec.max_nodes} nodes are enrolled."
    if full:
        message += f" Raise maxNodes, or delete enrollments of nodes that are gone: -l nodegate.dev/pool={pool.name}."
    return _condition("Full", holds=full, reason="MaxNodesReached" if full else "RoomLeft", message=message)


def _conflict(overlaps: tuple[Overlap, ...]) -> Condition:
    if not overlaps:
        message = "No name was found that another active pool matches, too."
        return _condition("PoolConflict", holds=False, reason="Distinct", message=message)
    shared = listed(f"{overlap.pool} (such as {overlap.name})" for overlap in overlaps)
    message = f"Names that these pools match, too, are enrolled by none until the patterns are narrowed: {shared}."
    return _condition("PoolConflict", holds=True, reason="PatternsOverlap", message=message)


def _condition(kind: str, *, holds: bool, reason: str, message: str) -> Condition:
    return Condition(type=kind, status=str(holds), reason=reason, message=message)
