"""Who holds which subnet, who runs an old config, and what is odd about leases."""

from ipaddress import IPv4Network, ip_address, ip_interface
from typing import Any

import pytest

from nodegate.flannel.check import parse_version, read_config
from nodegate.flannel.model import Api, Config
from nodegate.flannel.network import Etcd, Facts, FlannelNetwork, Lease, Reservation, WantedBackend
from nodegate.flannel.nodes import LEASE_S, MARGIN_S, Row, Sighting, room, rows, sightings, tally

VERSION = parse_version("0.28.10")
KEY = "/n/subnets/172.30.19.0-24"
NOW = 1_000_000.0


def _config(**changes: Any) -> Config:
    text = '{"Network":"172.30.0.0/16","SubnetLen":24,"Backend":{"Type":"%s"}}' % changes.get("backend", "vxlan")  # noqa: UP031 - braces all over
    found = read_config(text, VERSION).config
    assert found is not None
    return found


def _network(*reservations: Reservation) -> FlannelNetwork:
    return FlannelNetwork(
        name="pods",
        etcd=Etcd(endpoints=("https://10.0.0.1:2379",), api=Api.V3),
        version=VERSION,
        network=ip_interface("172.30.0.0/16"),
        backend=WantedBackend(type="vxlan"),
        reservations=reservations,
    )


def _lease(**changes: Any) -> Lease:
    defaults = {
        "key": KEY,
        "subnet": IPv4Network("172.30.19.0/24"),
        "public_ip": "10.0.0.1",
        "backend_type": "vxlan",
        "mod_revision": 9,
        "ttl": LEASE_S,
    }
    return Lease(**{**defaults, **changes})


RESERVATION = Reservation(public_ip=ip_address("10.0.0.1"), subnet=ip_interface("172.30.19.0/24"))


def _restart(lease: Lease, *, config_revision: int = 5, **more: Any) -> bool:
    before: dict[str, Sighting] = {KEY: more["before"]} if "before" in more else {}
    found = sightings(
        [lease], (_config(), config_revision), before, more.get("recorded", {}), NOW, more.get("ours", {})
    )
    return found[lease.key].restart


def test_a_lease_older_than_the_config_is_of_an_old_node() -> None:
    """Flannel reads the config before it writes the lease, so an older lease tells."""
    assert _restart(_lease(mod_revision=4))
    assert not _restart(_lease(mod_revision=6))


def test_a_renewal_is_no_restart() -> None:
    """What was written inside the last hour of the old lease was a renewal; what came earlier was a restart."""
    due = Sighting(4, NOW + MARGIN_S - 10, restart=True)
    early = Sighting(4, NOW + LEASE_S / 2, restart=True)
    assert _restart(_lease(mod_revision=9, ttl=LEASE_S), before=due)
    assert not _restart(_lease(mod_revision=9, ttl=LEASE_S), before=early)


def test_the_moment_of_a_write_is_told_by_the_time_left() -> None:
    """A renewal that was seen only two hours later is one all the same."""
    due = Sighting(4, NOW - 2 * 3600 + MARGIN_S - 10, restart=True)
    assert _restart(_lease(mod_revision=9, ttl=LEASE_S - 2 * 3600), before=due)


def test_nothing_changes_while_nothing_is_written() -> None:
    """The same revision says the same as before, for both answers."""
    for known in (True, False):
        before = Sighting(9, NOW + 50, restart=known)
        assert _restart(_lease(mod_revision=9, ttl=50), before=before) is known


def test_our_own_write_tells_nothing() -> None:
    """A reservation that was turned back was written by us: its node is as old as it was, until it writes itself."""
    before = Sighting(6, NOW + LEASE_S / 2, restart=True)
    kept = sightings([_lease(mod_revision=8, ttl=None)], (_config(), 7), {KEY: before}, {}, NOW, {KEY: 8})[KEY]
    assert kept == Sighting(8, before.ends_s, restart=True)
    assert not _restart(_lease(mod_revision=9, ttl=LEASE_S), before=kept)


def test_what_the_status_says_outlives_the_process() -> None:
    """Without a memory the recorded answer stays, because nobody can tell a renewal from a restart any more."""
    assert _restart(_lease(), recorded={"172.30.19.0/24": True})
    assert not _restart(_lease(), recorded={"172.30.20.0/24": True})


def test_a_lease_of_another_backend_is_of_an_old_node() -> None:
    """Its node was started with another config, whatever the revisions say."""
    assert _restart(_lease(backend_type="host-gw"))


def _rows(*leases: Lease, reservations: tuple[Reservation, ...] = (), revision: int = 5) -> tuple[Row, ...]:
    live = _config()
    seen = sightings(leases, (live, revision), {}, {}, NOW, {})
    return rows(_network(*reservations), leases, live, seen, Facts(nodes={"10.0.0.1": "node-a"}, node_count=1))


def test_rows_name_nodes_and_sort_by_them() -> None:
    """Leases of Nodes come first, by name; the others by address."""
    other = _lease(key="/n/subnets/172.30.2.0-24", subnet=IPv4Network("172.30.2.0/24"), public_ip="10.0.0.9")
    found = _rows(other, _lease())
    assert [(row.node, row.lease.public_ip) for row in found] == [("node-a", "10.0.0.1"), ("", "10.0.0.9")]
    assert [(row.fits, row.reservation) for row in found] == [(True, False)] * 2


def test_nobody_has_to_restart_for_a_reservation_that_nobody_took() -> None:
    """A reservation is written by us, and older than most configs."""
    untaken = _lease(ttl=None, backend_type="", mod_revision=1)
    assert [row.restart for row in _rows(untaken, reservations=(RESERVATION,))] == [False]
    assert [row.restart for row in _rows(_lease(ttl=None, mod_revision=1), reservations=(RESERVATION,))] == [True]


@pytest.mark.parametrize(
    ("lease", "field"),
    [
        (_lease(ttl=None), "reservations"),
        (_lease(subnet=IPv4Network("172.31.0.0/24")), "incompatible"),
        (_lease(ttl=60), "expiring"),
        (_lease(backend_type="host-gw"), "foreign"),
        (_lease(malformed="no JSON"), "malformed"),
        (_lease(public_ip="10.0.0.77"), "orphaned"),
    ],
)
def test_each_oddity_is_counted_by_itself(lease: Lease, field: str) -> None:
    """One lease, one oddity, one count."""
    found = tally(_rows(lease), _config(), Facts(nodes={"10.0.0.1": "node-a"}))
    odd = {name for name in found.__slots__ if getattr(found, name)}
    assert odd == {"total", field}


def test_shared_addresses_and_turned_reservations_are_counted() -> None:
    """Each lease of a shared address counts, and so does a reservation with an end."""
    second = _lease(key="/n/subnets/172.30.2.0-24", subnet=IPv4Network("172.30.2.0/24"))
    found = tally(_rows(_lease(), second, reservations=(RESERVATION,)), _config(), Facts())
    assert (found.duplicate, found.converted, found.orphaned) == (2, 1, 0)


def test_room_counts_what_fits() -> None:
    """The first subnet is skipped by flannel; what lies outside takes no room; without a config there is none."""
    outside = _lease(key="/n/subnets/10.1.0.0-24", subnet=IPv4Network("10.1.0.0/24"))
    assert room(_rows(_lease(), outside), _config()) == (255, 1)
    assert room((), None) is None
