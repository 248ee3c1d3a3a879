"""Leases and a change go in; which of them the change concerns, and who runs an old config, come out.

Rules: pure. A lease concerns a change when its node would lose its subnet or its neighbours by it. Keys
without an end count, and so does whatever cannot be read: an unknown key may be somebody's subnet.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from nodegate.flannel.model import Config, Family4, Family6
from nodegate.flannel.network import Blocker, Change, ChangeClass, Facts, Lease, Reservation
from nodegate.flannel.ranges import Network, overlapping
from nodegate.text import visible

_SILENT_TYPES = frozenset({"udp", "alloc"})
"""Backends that leave BackendType out of their leases (flannel, pkg/backend/udp and alloc)."""


def fits(lease: Lease, config: Config) -> bool:
    """Tell whether flannel would keep a lease under a config: both subnets in range and of the right length."""
    if lease.subnet is None or config.ipv4 is None:
        return False
    four = config.ipv4
    if lease.subnet.prefixlen != four.subnet_len or not _within(lease.subnet.network_address, four):
        return False
    if lease.subnet6 is None or config.ipv6 is None:
        return lease.subnet6 is None and config.ipv6 is None
    six = config.ipv6
    return lease.subnet6.prefixlen == six.subnet_len and _within(lease.subnet6.network_address, six)


def is_outside(lease: Lease, config: Config) -> bool:
    """Tell whether a lease's subnet lies outside of a config's range, whatever its length."""
    if lease.subnet is None or config.ipv4 is None or not _within(lease.subnet.network_address, config.ipv4):
        return True
    six = lease.subnet6
    return six is not None and config.ipv6 is not None and not _within(six.network_address, config.ipv6)


def _within(address: object, family: Family4 | Family6) -> bool:
    return family.subnet_min <= address <= family.subnet_max  # type: ignore[operator] # addresses of one family


def has_type(lease: Lease, kind: str) -> bool:
    """Tell whether a lease was taken by a node with this backend already."""
    if lease.malformed:
        return False
    if lease.backend_type:
        return lease.backend_type.lower() == kind
    return kind in _SILENT_TYPES and lease.ttl is not None


def _is_other_type(lease: Lease, kind: str) -> bool:
    """Tell whether a lease says that it was taken with another backend."""
    return bool(lease.backend_type) and lease.backend_type.lower() != kind


def concerned(changes: Iterable[Change], leases: Sequence[Lease], new: Config) -> list[tuple[Lease, str]]:
    """Return the leases that stand in the way of changes, each with the reason, in the order of subnets."""
    reasons: dict[str, tuple[Lease, str]] = {}
    for change in changes:
        test = _test(change, new)
        for lease in leases if test is not None else ():
            if test is not None and (why := test(lease)):
                reasons.setdefault(lease.key, (lease, why))
    return sorted(reasons.values(), key=lambda each: _order(each[0]))


def _test(change: Change, new: Config) -> Callable[[Lease], str] | None:
    """Return what tells why a lease is concerned by a change; None when none ever is."""
    match change.change_class, change.field:
        case ChangeClass.DATAPATH, "Backend.Type":
            kind = new.backend.type
            return lambda lease: "" if has_type(lease, kind) else f"its backend is {_kind(lease)}, wanted is {kind}"
        case ChangeClass.DATAPATH, field:
            return lambda _: f"{field} differs between nodes that restarted and nodes that did not"
        case ChangeClass.RENUMBERING, _:
            return lambda lease: "" if fits(lease, new) else _unfit(lease)
        case ChangeClass.NARROWING, _:
            return lambda lease: "it lies outside of the new range" if is_outside(lease, new) else ""
        case _:
            return None


def unfit(leases: Sequence[Lease], new: Config) -> list[tuple[Lease, str]]:
    """Return the leases that a first or repaired config would strand, each with the reason."""
    found = []
    for lease in sorted(leases, key=_order):
        if not fits(lease, new):
            found.append((lease, _unfit(lease)))
        elif _is_other_type(lease, new.backend.type):
            found.append((lease, f"its backend is {_kind(lease)}, wanted is {new.backend.type}"))
    return found


def _unfit(lease: Lease) -> str:
    return visible(lease.malformed) if lease.subnet is None else "it does not fit the new config"


def _kind(lease: Lease) -> str:
    return visible(lease.backend_type) or "not known"


def _order(lease: Lease) -> tuple[int, int, str]:
    return (lease.subnet is None, int(lease.subnet.network_address) if lease.subnet else 0, lease.key)


def taken(reservations: Sequence[Reservation], leases: Sequence[Lease]) -> list[tuple[Lease, str]]:
    """Return the leases that hold a subnet which is reserved for another node, each with the reason."""
    wanted = {each.subnet.network: each for each in reservations}
    return [
        (lease, f"{each.subnet.network} is reserved for {each.public_ip}")
        for lease in sorted(leases, key=_order)
        for each in _reserved(lease, wanted)
        if lease.public_ip != str(each.public_ip)
    ]


def _reserved(lease: Lease, wanted: Mapping[Network, Reservation]) -> list[Reservation]:
    """Return the reservations that a lease overlaps; nearly all are of the lease's own length, which is looked up."""
    if lease.subnet is None or not wanted:
        return []
    if lease.subnet in wanted:
        return [wanted[lease.subnet]]
    lengths = {network.prefixlen for network in wanted}
    if lengths == {lease.subnet.prefixlen}:
        return []
    return [each for network, each in wanted.items() if overlapping(lease.subnet, [("", network)])]


def missing_reservations(reservations: Iterable[Reservation], leases: Sequence[Lease]) -> list[Reservation]:
    """Return the reservations that no key stands for yet."""
    held = {(lease.subnet, lease.public_ip) for lease in leases}
    return [each for each in reservations if (each.subnet.network, str(each.public_ip)) not in held]


def blocker(lease: Lease, reason: str, facts: Facts) -> Blocker:
    """Return a lease as something that blocks."""
    return Blocker(
        reason=reason,
        subnet=str(lease.subnet) if lease.subnet is not None else visible(lease.key.rpartition("/")[2]),
        public_ip=lease.public_ip,
        node=_node(lease, facts),
    )


def _node(lease: Lease, facts: Facts) -> str:
    return facts.nodes.get(lease.public_ip) or facts.nodes.get(lease.public_ip6) or ""


def holders(leases: Iterable[Lease], facts: Facts) -> tuple[str, ...]:
    """Return the nodes that hold leases, by name where it is known, else by public address, sorted."""
    names = {_node(lease, facts) or lease.public_ip for lease in leases}
    return tuple(sorted(names - {""}))


def outdated(leases: Iterable[Lease], live: Config | None, live_revision: int | None) -> list[Lease]:
    """Return the leases whose nodes surely run an older config than the live one.

    Args:
        leases: Every lease.
        live: The live config; None when there is none that flannel accepts.
        live_revision: The revision of its last write; None when it is not known, and then nobody is named.
    """
    if live is None or live_revision is None:
        return []
    return [lease for lease in leases if lease.mod_revision < live_revision or _differs(lease, live)]


def _differs(lease: Lease, live: Config) -> bool:
    if _is_other_type(lease, live.backend.type):
        return True
    return live.ipv4 is not None and lease.subnet is not None and lease.subnet.prefixlen != live.ipv4.subnet_len
