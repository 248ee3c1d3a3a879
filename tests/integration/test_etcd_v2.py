"""The v2 keys API on Debian's etcd 3.4: three TLS members, seen again by an etcdctl that speaks v2."""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing

import pytest

from hack.cluster import NotBuildable
from hack.cluster.errors import ClusterError
from hack.cluster.etcd_members import EtcdMembers
from hack.cluster.etcd_v2 import EtcdV2, find_etcd_v2
from nodegate.flannel.etcd.client import EtcdClient
from nodegate.flannel.etcd.errors import Reason
from nodegate.flannel.etcd.values import Change, Endpoints, KeyValue, Kind, Limits, Lost, Snapshot, Written
from nodegate.flannel.model import Api
from tests.integration.etcd_lab import (
    CONFIG,
    DUAL_LEASE,
    GUIDE,
    HASTY,
    LEASE,
    PATIENT,
    PREFIX,
    PUBLIC_IP,
    assert_says,
    client_of,
    collected,
    credentials_of,
    refusal_of,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


class _Store:
    """The etcd and its etcdctl."""

    def __init__(self, members: EtcdMembers, programs: EtcdV2) -> None:
        self.members = members
        self._programs = programs

    def ctl(self, *arguments: str) -> str:
        """Run etcdctl on the v2 store."""
        return self._programs.run(self.members, *arguments)

    def client(self, *, limits: Limits = PATIENT, endpoints: list[str] | None = None) -> EtcdClient:
        """Return a client for the v2 store."""
        return client_of(self.members, api=Api.V2, limits=limits, endpoints=endpoints)


@pytest.fixture(scope="module", name="running")
def _running() -> Iterator[_Store]:
    """One etcd for all tests of this module."""
    try:
        programs = find_etcd_v2()
    except NotBuildable as error:
        pytest.skip(str(error))
    with EtcdMembers(programs.etcd, flags=["--enable-v2=true"]) as members:
        yield _Store(members, programs)


@pytest.fixture(name="store")
def _store(running: _Store) -> Iterator[_Store]:
    """The store with nothing but an empty directory; every member is brought back afterwards."""
    try:
        running.ctl("rm", "--recursive", "/kube-centos")
    except ClusterError as error:
        if "Key not found" not in str(error):
            raise
    yield running
    running.members.recover()


def _config(snapshot: Snapshot) -> KeyValue:
    assert snapshot.config is not None, snapshot
    return snapshot.config


async def test_the_guides_config_is_there_byte_for_byte(store: _Store) -> None:
    """What is written is what etcdctl and the next snapshot read; the guide's own `mk` is too late then."""
    async with store.client() as client:
        before = await client.read()
        written = await client.write_config(GUIDE, expected_mod_revision=0, judged_revision=before.revision)
        after = await client.read()

    assert before.config is None
    assert isinstance(written, Written)
    assert (_config(after).value, _config(after).mod_revision) == (GUIDE, written.mod_revision)
    assert store.ctl("get", CONFIG).encode() == GUIDE + b"\n"
    with pytest.raises(ClusterError, match="Key already exists"):
        store.ctl("mk", CONFIG, GUIDE.decode())


async def test_a_config_made_by_the_guide_is_read_and_replaced_only_as_seen(store: _Store) -> None:
    """A second writer between reading and writing makes the write lose; creating loses as well."""
    store.ctl("mk", CONFIG, GUIDE.decode())
    async with store.client() as client:
        judged = await client.read()
        store.ctl("set", CONFIG, "theirs")
        lost = await client.write_config(
            b"ours", expected_mod_revision=_config(judged).mod_revision, judged_revision=judged.revision
        )
        absent = await client.write_config(b"ours", expected_mod_revision=0, judged_revision=judged.revision)
        current = _config(await client.read())
        written = await client.write_config(
            b"ours", expected_mod_revision=current.mod_revision, judged_revision=current.mod_revision
        )

    assert _config(judged).value == GUIDE
    assert lost == absent == Lost(current)
    assert isinstance(written, Written)
    assert store.ctl("get", CONFIG) == "ours\n"


async def test_leases_have_seconds_left_and_reservations_have_none(store: _Store) -> None:
    """A lease made like flannel 0.7.1 does becomes a reservation with the same value, once, and by its index only."""
    store.ctl("set", LEASE, PUBLIC_IP.decode(), "--ttl", "600")
    store.ctl("set", DUAL_LEASE, PUBLIC_IP.decode(), "--ttl", "600")
    async with store.client() as client:
        leases = {lease.key: lease for lease in (await client.read()).leases}
        before = await client.ttls(leases.values())
        written = await client.write_reservation(LEASE, PUBLIC_IP, leases[LEASE].mod_revision)
        late = await client.write_reservation(LEASE, b"late", leases[LEASE].mod_revision)
        after = await client.ttls((await client.read()).leases)

    assert set(before) == {LEASE, DUAL_LEASE}
    assert {before[LEASE], before[DUAL_LEASE]} <= set(range(1, 601))
    assert isinstance(written, Written)
    assert isinstance(late, Lost)
    assert after[LEASE] is None
    assert after[DUAL_LEASE] in range(1, 601)
    assert store.ctl("get", LEASE).encode() == PUBLIC_IP + b"\n"


async def test_leases_stop_the_config(store: _Store) -> None:
    """A lease written or renewed since the judgement stops the write; any lease stops the deletion."""
    store.ctl("set", LEASE, PUBLIC_IP.decode(), "--ttl", "600")
    async with store.client() as client:
        judged = await client.read()
        store.ctl("set", LEASE, PUBLIC_IP.decode(), "--ttl", "600")
        lost = await client.write_config(GUIDE, expected_mod_revision=0, judged_revision=judged.revision)
        again = await client.write_config(
            GUIDE, expected_mod_revision=0, judged_revision=(await client.read()).revision
        )
        assert isinstance(again, Written)
        blocked = await client.delete_config(again.mod_revision)
        (lease,) = (await client.read()).leases
        deleted = await client.delete_lease(LEASE, lease.mod_revision)
        gone = await client.delete_config(again.mod_revision)

    assert lost == Lost(None, leases_changed=True)
    assert isinstance(blocked, Lost)
    assert blocked.leases_changed
    assert isinstance(deleted, Written)
    assert isinstance(gone, Written)
    # The directories stay: nothing is ever deleted recursively.
    assert store.ctl("ls", "--recursive", "/kube-centos").split() == [PREFIX, f"{PREFIX}/subnets"]


async def test_a_directory_is_never_deleted_as_a_lease(store: _Store) -> None:
    """Where flannel 0.7.1 keeps a directory, a guarded deletion is refused by etcd and nothing is gone."""
    store.ctl("set", f"{LEASE}/inner", "x")
    async with store.client(limits=HASTY) as client:
        error = await refusal_of(client.delete_lease(LEASE, 1))

    assert_says(error, Reason.REJECTED)
    assert store.ctl("get", f"{LEASE}/inner") == "x\n"


@pytest.mark.parametrize("how", ["kill", "pause"])
async def test_a_watch_outlives_its_member(store: _Store, how: str) -> None:
    """The watched member fails in the middle: every change is told, in order, none twice, none of other keys."""
    members = store.members
    limits = Limits(total_s=60.0, watch_idle_s=1.0)
    async with store.client(limits=limits) as watcher, store.client(endpoints=members.endpoints[::-1]) as writer:
        revision = (await watcher.read()).revision
        task = asyncio.create_task(collected(watcher, revision + 1, b"end"))
        reserved = await writer.write_reservation(LEASE, b"a", 0)
        assert isinstance(reserved, Written)
        await asyncio.to_thread(getattr(members.members[0], how))
        written = await writer.write_config(GUIDE, expected_mod_revision=0, judged_revision=reserved.mod_revision)
        assert isinstance(written, Written)
        assert isinstance(await writer.delete_lease(LEASE, reserved.mod_revision), Written)
        await asyncio.sleep(1.5)
        revision = (await writer.read()).revision
        await writer.write_config(b"end", expected_mod_revision=written.mod_revision, judged_revision=revision)
        async with asyncio.timeout(60):
            changes = await task

    assert [(change.kind, change.key, change.value) for change in changes] == [
        (Kind.PUT, LEASE, b"a"),
        (Kind.PUT, CONFIG, GUIDE),
        (Kind.DELETE, LEASE, b""),
        (Kind.PUT, CONFIG, b"end"),
    ]


async def test_a_lease_that_expires_is_told(store: _Store) -> None:
    """An end that comes by itself is a deletion like any other."""
    async with store.client() as client:
        revision = (await client.read()).revision
        store.ctl("set", LEASE, PUBLIC_IP.decode(), "--ttl", "1")
        async with asyncio.timeout(60), aclosing(client.watch(revision + 1)) as watch:
            first, second = await anext(watch), await anext(watch)

    assert (first.kind, first.key, first.value) == (Kind.PUT, LEASE, PUBLIC_IP)
    assert (second.kind, second.key) == (Kind.DELETE, LEASE)


async def test_a_quiet_watch_does_not_fall_behind(store: _Store) -> None:
    """A thousand events elsewhere make etcd forget where a quiet watch began; having searched them, it goes on."""
    limits = Limits(total_s=60.0, watch_idle_s=0.2)
    elsewhere = EtcdClient(
        Endpoints(tuple(store.members.endpoints)), credentials_of(store.members), Api.V2, "/kube-centos/other"
    )
    async with store.client(limits=limits) as watcher, store.client() as writer, elsewhere as other:
        revision = (await watcher.read()).revision
        task = asyncio.create_task(collected(watcher, revision + 1, PUBLIC_IP))
        key = "/kube-centos/other/subnets/10.0.0.0-24"
        outcome = await other.write_reservation(key, b"0", 0)
        for number in range(1, 1010):
            assert isinstance(outcome, Written)
            outcome = await other.write_reservation(key, str(number).encode(), outcome.mod_revision)
        # Long enough for the watch to be opened again after etcd has forgotten.
        await asyncio.sleep(5 * limits.watch_idle_s)
        assert isinstance(await writer.write_reservation(LEASE, PUBLIC_IP, 0), Written)
        async with asyncio.timeout(60):
            changes = await task

    assert [(change.kind, change.key) for change in changes] == [(Kind.PUT, LEASE)]


async def test_what_etcd_has_forgotten_asks_for_a_new_reading(store: _Store) -> None:
    """More than a thousand events later, or with the directory gone: one RELIST, and the watch ends."""
    async with store.client() as client:
        revision = (await client.read()).revision
        outcome = await client.write_reservation(LEASE, b"0", 0)
        for number in range(1, 1010):
            assert isinstance(outcome, Written)
            outcome = await client.write_reservation(LEASE, str(number).encode(), outcome.mod_revision)
        forgotten = [change async for change in client.watch(revision + 1)]

        revision = (await client.read()).revision
        store.ctl("rm", "--recursive", "/kube-centos")
        removed = [change async for change in client.watch(revision + 1)]

    assert forgotten == removed == [Change(Kind.RELIST)]


@pytest.mark.parametrize("how", ["kill", "pause"])
async def test_the_leader_fails(store: _Store, how: str) -> None:
    """With the leader killed or frozen while it is the current member, a guarded write still takes effect once."""
    leader = store.members.leader()
    endpoints = store.members.endpoints[leader:] + store.members.endpoints[:leader]
    async with store.client(limits=Limits(total_s=60.0), endpoints=endpoints) as client:
        revision = (await client.read()).revision
        await asyncio.to_thread(getattr(store.members.members[leader], how))
        written = await client.write_config(GUIDE, expected_mod_revision=0, judged_revision=revision)
        after = await client.read()

    assert isinstance(written, Written)
    assert (_config(after).value, _config(after).mod_revision) == (GUIDE, written.mod_revision)


async def test_the_cluster_and_the_certificates_are_checked(store: _Store) -> None:
    """The same reasons as with v3: another cluster, a foreign client, and none at all."""
    members = store.members
    async with client_of(members, api=Api.V2, limits=HASTY, cluster_id="abc") as client:
        other = await refusal_of(client.write_config(GUIDE, expected_mod_revision=0, judged_revision=1))
    reasons = []
    for who in ("foreign", ""):
        async with client_of(members, credentials_of(members, who), api=Api.V2, limits=HASTY) as client:
            reasons.append((await refusal_of(client.read())).reason)
    async with store.client() as v2, client_of(members) as v3:
        same = {(await v2.read()).cluster_id, (await v3.read()).cluster_id}
        statuses = await v2.endpoint_statuses()

    assert_says(other, Reason.CLUSTER_ID)
    # The Go of that time tells a foreign authority by the same alert as any other fault.
    assert reasons[0] in {Reason.CLIENT_FOREIGN, Reason.CLIENT_REFUSED}
    assert reasons[1] is Reason.CLIENT_MISSING
    assert len(same) == 1
    assert [(status.ok, status.version[:2]) for status in statuses] == [(True, "3.")] * 3
