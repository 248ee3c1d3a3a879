"""Leases and what was seen of them before go in; who holds what, and who runs an old config, come out.

Rules: pure; `now_s` is any clock of seconds that only goes forward. A lease written before the config is of a node
with an older config. One written since is not, unless the write was a renewal: flannel renews only inside the last
hour of a lease, and a restart writes it anew whenever that happens.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from nodegate.flannel.changes import capacity
from nodegate.flannel.leases import fits, outdated
from nodegate.flannel.model import Config
from nodegate.flannel.network import Facts, FlannelNetwork, Lease

LEASE_S: Final = 24 * 3600
"""How long a lease lives after a write (flannel, pkg/subnet/etcd: ``subnetTTL``)."""

MARGIN_S: Final = 3600
"""How long before its end flannel renews a lease (``--subnet-lease-renew-margin``, 60 minutes)."""

LATE_S: Final = 300
"""Seconds after which a renewal that is due has failed; flannel tries again every minute."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What was seen of one lease last."""

    mod_revision: int
    ends_s: float | None
    """When the node's own lease ends, by the caller's clock; None when that was never seen."""

    restart: bool
    """Whether its node runs an older config."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One lease as the status lists it."""

    lease: Lease
    node: str
    reservation: bool
    fits: bool
    restart: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many leases there are of each kind; names as in ``status.leases``."""

    total: int
    reservations: int
    converted: int
    incompatible: int
    expiring: int
    duplicate: int
    foreign: int
    malformed: int
    orphaned: int


def sightings(
    leases: Sequence[Lease],
    live: tuple[Config | None, int | None],
    before: Mapping[str, Sighting],
    recorded: Mapping[str, bool],
    now_s: float,
    ours: Mapping[str, int],
) -> dict[str, Sighting]:
    """Return what is to be remembered of each lease, by key.

    Args:
        leases: Every lease.
        live: The live config and the revision of its last write.
        before: What was remembered last.
        recorded: Whether a node needed a restart by the status, by the subnet; used where nothing is remembered.
        now_s: The moment.
        ours: Revisions that we wrote keys at ourselves.
    """
    old = {lease.key for lease in outdated(leases, *live)}
    found = {}
    for lease in leases:
        known = before.get(lease.key)
        if lease.key in old:
            restart = True
        elif known is None:
            restart = recorded.get(str(lease.subnet), False)
        else:
            restart = known.restart and not _is_restart(known, lease, now_s, ours.get(lease.key))
        kept = known.ends_s if known is not None else None
        ends = now_s + lease.ttl if lease.ttl is not None else kept
        found[lease.key] = Sighting(lease.mod_revision, ends, restart)
    return found


def _is_restart(known: Sighting, lease: Lease, now_s: float, ours: int | None) -> bool:
    """Tell whether a node has started again since it was seen last."""
    if lease.mod_revision in (known.mod_revision, ours):
        return False
    if lease.ttl is None or known.ends_s is None:
        return True
    written_s = now_s + lease.ttl - LEASE_S
    return known.ends_s - written_s > MARGIN_S + 60


def rows(
    network: FlannelNetwork, leases: Sequence[Lease], live: Config | None, seen: Mapping[str, Sighting], facts: Facts
) -> tuple[Row, ...]:
    """Return the leases in the order of the nodes' names, those of no Node last."""
    kept = {(each.subnet.network, str(each.public_ip)) for each in network.reservations}
    made = []
    for lease in leases:
        reserved = (lease.subnet, lease.public_ip) in kept
        # What nobody has taken yet is run by nobody.
        untaken = reserved and lease.ttl is None and not lease.backend_type
        made.append(
            Row(
                lease=lease,
                node=facts.nodes.get(lease.public_ip) or facts.nodes.get(lease.public_ip6) or "",
                reservation=reserved or lease.ttl is None,
                fits=live is not None and fits(lease, live),
                restart=lease.key in seen and seen[lease.key].restart and not untaken,
            )
        )
    return tuple(sorted(made, key=lambda row: (not row.node, row.node, row.lease.public_ip, row.lease.key)))


def tally(found: Sequence[Row], live: Config | None, facts: Facts) -> Tally:
    """Count leases by what is odd about them."""
    holders = Counter(row.lease.public_ip for row in found if row.lease.public_ip)
    leases = [row.lease for row in found]
    kind = live.backend.type if live is not None else ""
    return Tally(
        total=len(found),
        reservations=sum(lease.ttl is None for lease in leases),
        converted=sum(row.reservation and row.lease.ttl is not None for row in found),
        incompatible=sum(live is not None and not row.fits and not row.lease.malformed for row in found),
        expiring=sum(lease.ttl is not None and lease.ttl < MARGIN_S - LATE_S for lease in leases),
        duplicate=sum(count for count in holders.values() if count > 1),
        foreign=sum(bool(kind and lease.backend_type) and lease.backend_type.lower() != kind for lease in leases),
        malformed=sum(bool(lease.malformed) for lease in leases),
        orphaned=sum(bool(facts.nodes) and not row.node and not row.reservation for row in found),
    )


def room(found: Sequence[Row], live: Config | None) -> tuple[int, int] | None:
    """Return how many subnets the range has room for and how many are held; None without a config."""
    if live is None or live.ipv4 is None:
        return None
    return capacity(live.ipv4), len({row.lease.subnet for row in found if row.fits})
