"""The FlannelNetworks as the store keeps them: what each reserves, and how it stands by its own status.

Objects go in, `Known` values and sums over them come out. Rules: pure; a network's ranges are read even where the rest
of it cannot be, because addresses of pods must never be certified as a host's.
"""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from nodegate.errors import Malformed
from nodegate.fields import Fields
from nodegate.flannel.network import FlannelNetwork
from nodegate.flannel.parse import parse_network
from nodegate.flannel.ranges import Network, interface_of

LEASE_STATES: Final[Mapping[str, str]] = {
    "total": "total",
    "reservations": "reservation",
    "convertedReservations": "converted_reservation",
    "incompatible": "incompatible",
    "expiringSoon": "expiring",
    "duplicatePublicIP": "duplicate_public_ip",
    "foreignBackend": "foreign_backend",
    "malformed": "malformed",
    "orphaned": "orphaned",
}
"""The counts of ``status.leases``, and the metric label of each."""

RESTART: Final = "restart_needed"
"""The metric label of leases whose node runs an older config."""


@dataclass(frozen=True, slots=True)
class Known:
    """One network."""

    network: FlannelNetwork | None
    """None when it cannot be read."""

    ranges: tuple[Network, ...]
    """Of the pods: those that are asked for, and those that are in use."""

    current: bool
    """Whether the status speaks of the object as it is."""

    in_sync: bool
    """Whether it says that the config is what is asked for."""

    leases: Mapping[str, int]
    free: int | None


def read_known(body: Any) -> Known:
    """Return what is kept of a network's object.

    Raises:
        Malformed: It is no object of this kind at all.
    """
    root = Fields(body)
    spec, status = root.child("spec"), root.child("status")
    network = None
    with suppress(Malformed):
        network = parse_network(body)
    texts = [spec.text("network"), spec.child("ipv6").text("network"), *_used(status.child("applied").text("value"))]
    ready = next((each for each in status.children("conditions") if each.text("type") == "Ready"), None)
    current = status.integer("observedGeneration") == root.child("metadata").integer("generation")
    counts = {label: status.child("leases").integer(key) or 0 for key, label in LEASE_STATES.items()}
    restart = sum(row.flag("restartNeeded") for row in status.children("nodes"))
    return Known(
        network=network,
        ranges=tuple(_ranges(texts)),
        current=current,
        in_sync=current and ready is not None and ready.text("status") == "True",
        leases={**counts, RESTART: restart},
        free=status.child("capacity").integer("free"),
    )


def _used(text: str) -> Iterable[str]:
    """Return the ranges of the config that was applied last: nodes may use them until it is replaced."""
    try:
        body = json.loads(text)
    except ValueError:
        return ()
    return [str(body[key]) for key in ("Network", "IPv6Network") if key in body] if isinstance(body, dict) else ()


def _ranges(texts: Iterable[str]) -> Iterable[Network]:
    for text in texts:
        with suppress(ValueError):
            yield interface_of(text).network


def totals(known: Iterable[Known]) -> tuple[bool, dict[str, int], int | None] | None:
    """Return whether all are in sync, the leases by label, and the fewest free subnets; None without networks."""
    everything = list(known)
    if not everything:
        return None
    labels = (*LEASE_STATES.values(), RESTART)
    leases = {label: sum(each.leases.get(label, 0) for each in everything) for label in labels}
    free = [each.free for each in everything if each.free is not None]
    return all(each.in_sync for each in everything), leases, min(free, default=None)
