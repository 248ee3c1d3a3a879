"""Reads and guarded writes on a real three-member TLS etcd, seen again by etcdctl."""

import asyncio
import json
from collections.abc import Iterator

import pytest

from hack.cluster.etcd_members import EtcdMembers
from nodegate.errors import Malformed
from nodegate.flannel.etcd.values import KeyValue, Lost, Snapshot, Written
from tests.integration.etcd_lab import CONFIG, DUAL_LEASE, GUIDE, LEASE, PREFIX, PUBLIC_IP, client_of

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module", name="running")
def _running() -> Iterator[EtcdMembers]:
    """One etcd for all tests of this module."""
    with EtcdMembers() as etcd:
        yield etcd


@pytest.fixture(name="etcd")
def _etcd(running: EtcdMembers) -> EtcdMembers:
    """The etcd without any key."""
    running.etcdctl("del", "--prefix", "/")
    return running


def _config(snapshot: Snapshot) -> KeyValue:
    assert snapshot.config is not None, snapshot
    return snapshot.config


def _leased(etcd: EtcdMembers, key: str, seconds: int = 86400) -> None:
    """Write a lease as flanneld does."""
    lease = etcdctl_lease(etcd, seconds)
    etcd.etcdctl("put", key, PUBLIC_IP.decode(), f"--lease={lease}")


def etcdctl_lease(etcd: EtcdMembers, seconds: int) -> str:
    """Grant a lease and return its id in hexadecimal."""
    return etcd.etcdctl("lease", "grant", str(seconds)).split()[1]


async def test_the_guides_config_is_there_byte_for_byte(etcd: EtcdMembers) -> None:
    """What is written is what etcdctl and the next snapshot read, with the revision that the write has told."""
    async with client_of(etcd) as client:
        before = await client.read()
        written = await client.write_config(GUIDE, expected_mod_revision=0, judged_revision=before.revision)
        after = await client.read()

    assert before.config is None
    assert isinstance(written, Written)
    assert _config(after).value == GUIDE
    assert _config(after).mod_revision == written.mod_revision
    assert etcd.etcdctl("get", CONFIG, "--print-value-only").encode() == GUIDE + b"\n"


async def test_every_member_names_the_same_cluster(etcd: EtcdMembers) -> None:
    """The cluster id is etcd's own, in hexadecimal, and every endpoint reports it with its version."""
    async with client_of(etcd) as client:
        snapshot, statuses, version = await client.read(), await client.endpoint_statuses(), await client.version()

    header = json.loads(etcd.etcdctl("member", "list", "-w", "json"))["header"]
    assert snapshot.cluster_id == client.cluster_id == f"{header['cluster_id']:x}"
    assert [(status.ok, status.cluster_id, status.version) for status in statuses] == [
        (True, snapshot.cluster_id, version.server)
    ] * 3


async def test_a_config_that_somebody_else_changed_is_not_overwritten(etcd: EtcdMembers) -> None:
    """A second writer between reading and writing makes the write lose, and the loser sees what is there."""
    async with client_of(etcd) as client:
        first = await client.write_config(
            GUIDE, expected_mod_revision=0, judged_revision=(await client.read()).revision
        )
        judged = await client.read()
        etcd.etcdctl("put", CONFIG, "theirs")
        lost = await client.write_config(
            b"ours", expected_mod_revision=_config(judged).mod_revision, judged_revision=judged.revision
        )

    assert isinstance(first, Written)
    assert isinstance(lost, Lost)
    assert lost.found is not None
    assert (lost.found.value, lost.leases_changed, lost.unsettled) == (b"theirs", False, False)
    assert etcd.etcdctl("get", CONFIG, "--print-value-only") == "theirs\n"


async def test_creating_loses_against_an_existing_config(etcd: EtcdMembers) -> None:
    """Expecting an absent config never replaces one."""
    etcd.etcdctl("put", CONFIG, "theirs")
    async with client_of(etcd) as client:
        revision = (await client.read()).revision
        lost = await client.write_config(GUIDE, expected_mod_revision=0, judged_revision=revision)

    assert isinstance(lost, Lost)
    assert etcd.etcdctl("get", CONFIG, "--print-value-only") == "theirs\n"


@pytest.mark.parametrize("key", [LEASE, DUAL_LEASE, f"{PREFIX}/subnets-backup/172.30.5.0-24"])
async def test_a_lease_written_since_the_judgement_stops_the_config(etcd: EtcdMembers, key: str) -> None:
    """Whatever flannel would take for a lease counts; reading again makes the same write possible."""
    async with client_of(etcd) as client:
        judged = await client.read()
        _leased(etcd, key)
        lost = await client.write_config(GUIDE, expected_mod_revision=0, judged_revision=judged.revision)
        again = await client.write_config(
            GUIDE, expected_mod_revision=0, judged_revision=(await client.read()).revision
        )

    assert lost == Lost(None, leases_changed=True)
    assert isinstance(again, Written)


async def test_a_renewal_counts_as_a_change(etcd: EtcdMembers) -> None:
    """A lease that is written again, with the same value, is a lease that changed."""
    _leased(etcd, LEASE)
    async with client_of(etcd) as client:
        judged = await client.read()
        _leased(etcd, LEASE)
        lost = await client.write_config(GUIDE, expected_mod_revision=0, judged_revision=judged.revision)

    assert lost == Lost(None, leases_changed=True)


async def test_a_snapshot_has_leases_and_strays(etcd: EtcdMembers) -> None:
    """Leases, keys that flannel takes for leases, and nothing of what lies beside them."""
    _leased(etcd, LEASE)
    _leased(etcd, DUAL_LEASE)
    etcd.etcdctl("put", f"{PREFIX}/subnets-backup/x", "stray")
    etcd.etcdctl("put", f"{PREFIX}/other", "no")
    etcd.etcdctl("put", f"{PREFIX}2/config", "no")
    async with client_of(etcd) as client:
        snapshot = await client.read()

    assert snapshot.config is None
    assert [lease.key for lease in snapshot.leases] == [LEASE, DUAL_LEASE]
    assert {lease.value for lease in snapshot.leases} == {PUBLIC_IP}
    assert [stray.value for stray in snapshot.strays] == [b"stray"]


async def test_a_reservation_takes_the_end_away(etcd: EtcdMembers) -> None:
    """A lease has seconds left, the reservation made of it has none, and nothing else of it changes."""
    _leased(etcd, LEASE, 600)
    async with client_of(etcd) as client:
        (lease,) = (await client.read()).leases
        before = await client.ttls([lease])
        written = await client.write_reservation(LEASE, lease.value, lease.mod_revision)
        (reservation,) = (await client.read()).leases
        after = await client.ttl(reservation)
        late = await client.write_reservation(LEASE, b"late", lease.mod_revision)

    assert before[LEASE] in range(1, 601)
    assert isinstance(written, Written)
    assert (after, reservation.value, reservation.mod_revision) == (None, PUBLIC_IP, written.mod_revision)
    assert isinstance(late, Lost)


async def test_a_lease_that_has_ended_has_no_time_left(etcd: EtcdMembers) -> None:
    """An etcd lease that is gone counts as 0 seconds, not as one without an end."""
    _leased(etcd, LEASE, 600)
    async with client_of(etcd) as client:
        (lease,) = (await client.read()).leases
        etcd.etcdctl("lease", "revoke", f"{lease.lease_id:x}")

        assert await client.ttl(lease) == 0


async def test_a_lease_is_deleted_only_as_it_was_seen(etcd: EtcdMembers) -> None:
    """A lease that was renewed in between stays, and its neighbour with the same beginning always does."""
    _leased(etcd, LEASE)
    _leased(etcd, f"{LEASE}&fc00::-64")
    async with client_of(etcd) as client:
        seen = (await client.read()).leases[0]
        _leased(etcd, LEASE)
        lost = await client.delete_lease(LEASE, seen.mod_revision)
        fresh = (await client.read()).leases[0]
        gone = await client.delete_lease(LEASE, fresh.mod_revision)
        left = await client.read()

    assert isinstance(lost, Lost)
    assert isinstance(gone, Written)
    assert [lease.key for lease in left.leases] == [f"{LEASE}&fc00::-64"]


async def test_the_config_is_deleted_only_when_nothing_uses_it(etcd: EtcdMembers) -> None:
    """A lease is in the way; without one the config goes, and nothing beside it."""
    etcd.etcdctl("put", CONFIG, "ours")
    etcd.etcdctl("put", f"{PREFIX}/other", "stays")
    _leased(etcd, LEASE)
    async with client_of(etcd) as client:
        config = _config(await client.read())
        blocked = await client.delete_config(config.mod_revision)
        await client.delete_lease(LEASE, (await client.read()).leases[0].mod_revision)
        wrong = await client.delete_config(config.mod_revision - 1)
        gone = await client.delete_config(config.mod_revision)

    assert blocked == Lost(config, leases_changed=True)
    assert wrong == Lost(config)
    assert isinstance(gone, Written)
    assert etcd.etcdctl("get", "--prefix", "/", "--keys-only").split() == [f"{PREFIX}/other"]


@pytest.mark.parametrize("key", [CONFIG, f"{PREFIX}/subnets", f"{PREFIX}/subnets/", f"{PREFIX}2/subnets/172.30.1.0-24"])
async def test_only_leases_are_written_or_deleted_as_leases(etcd: EtcdMembers, key: str) -> None:
    """A key that is not under subnets/ is refused before anything is sent."""
    etcd.etcdctl("put", key, "stays")
    async with client_of(etcd) as client:
        with pytest.raises(Malformed, match="expected one under"):
            await client.write_reservation(key, b"x", 0)
        with pytest.raises(Malformed, match="expected one under"):
            await client.delete_lease(key, 1)

    assert etcd.etcdctl("get", key, "--print-value-only") == "stays\n"


async def test_two_writers_never_lose_an_update(etcd: EtcdMembers) -> None:
    """Two clients that count in the same key, each trying until it wins, count every step once."""
    etcd.etcdctl("put", CONFIG, "0")

    async def count(steps: int) -> None:
        async with client_of(etcd) as client:
            while steps:
                seen = await client.read()
                value = str(int(_config(seen).value) + 1).encode()
                outcome = await client.write_config(
                    value, expected_mod_revision=_config(seen).mod_revision, judged_revision=seen.revision
                )
                steps -= isinstance(outcome, Written)

    await asyncio.gather(count(40), count(40))

    assert etcd.etcdctl("get", CONFIG, "--print-value-only") == "80\n"
