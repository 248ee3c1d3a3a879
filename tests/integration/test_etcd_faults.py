"""Members that die, freeze and come back under a client, on a real three-member TLS etcd."""

import asyncio
from collections.abc import Iterator

import pytest

from hack.cluster.etcd_members import EtcdMembers
from nodegate.flannel.etcd.client import EtcdClient
from nodegate.flannel.etcd.errors import Reason
from nodegate.flannel.etcd.values import Change, Kind, Limits, Outcome, Written
from tests.integration.etcd_lab import (
    CONFIG,
    HASTY,
    LEASE,
    PATIENT,
    PREFIX,
    assert_says,
    client_of,
    collected,
    refusal_of,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

_RESTLESS = Limits(total_s=60.0, watch_idle_s=1.0)
"""Short enough on a watch to notice a frozen member, patient enough to wait for an election."""


@pytest.fixture(scope="module", name="running")
def _running() -> Iterator[EtcdMembers]:
    """One etcd for all tests of this module."""
    with EtcdMembers() as etcd:
        yield etcd


@pytest.fixture(name="etcd")
def _etcd(running: EtcdMembers) -> Iterator[EtcdMembers]:
    """The etcd without any key; every member is brought back afterwards."""
    running.etcdctl("del", "--prefix", "/")
    yield running
    running.recover()


async def _write(client: EtcdClient, value: bytes) -> Outcome:
    """Replace the config, whatever it is."""
    seen = await client.read()
    revision = seen.config.mod_revision if seen.config else 0
    return await client.write_config(value, expected_mod_revision=revision, judged_revision=seen.revision)


def _from(etcd: EtcdMembers, number: int) -> list[str]:
    """Return the endpoints, beginning with one member."""
    return etcd.endpoints[number:] + etcd.endpoints[:number]


@pytest.mark.parametrize("how", ["kill", "pause"])
@pytest.mark.parametrize("which", ["leader", "follower"])
async def test_the_current_member_fails(etcd: EtcdMembers, how: str, which: str) -> None:
    """Killed or frozen, leader or not: reading and writing go on at another member, which is then the current one."""
    leader = etcd.leader()
    victim = leader if which == "leader" else (leader + 1) % 3
    async with client_of(etcd, endpoints=_from(etcd, victim), limits=Limits(total_s=60.0)) as client:
        await _write(client, b"before")
        current = client.endpoint
        await asyncio.to_thread(getattr(etcd.members[victim], how))
        written = await _write(client, b"after")
        snapshot = await client.read()

    assert current == etcd.endpoints[victim]
    assert client.endpoint != current
    assert isinstance(written, Written)
    assert snapshot.config is not None
    assert snapshot.config.value == b"after"


async def test_a_write_in_flight_at_a_frozen_leader_is_settled(etcd: EtcdMembers) -> None:
    """The answer never comes: reading elsewhere tells what became of the write, and it took effect once."""
    leader = etcd.leader()
    async with client_of(etcd, endpoints=_from(etcd, leader), limits=Limits(total_s=60.0)) as client:
        await _write(client, b"before")
        seen = await client.read()
        assert seen.config is not None
        await asyncio.to_thread(etcd.members[leader].pause)
        written = await client.write_config(
            b"after", expected_mod_revision=seen.config.mod_revision, judged_revision=seen.revision
        )
        etcd.members[leader].resume()
        await asyncio.to_thread(etcd.recover)
        after = await client.read()

    assert isinstance(written, Written)
    assert written.reread
    assert after.config is not None
    assert (after.config.value, after.config.mod_revision) == (b"after", written.mod_revision)
    # Version 1 was "before", so exactly one write followed.
    assert '"version":2' in etcd.etcdctl("get", CONFIG, "-w", "json")


async def test_without_a_majority_there_is_no_leader(etcd: EtcdMembers) -> None:
    """One member of three is left: it knows no leader, and the others' statuses say that nothing listens."""
    survivor = (etcd.leader() + 1) % 3
    async with client_of(etcd, endpoints=_from(etcd, survivor), limits=HASTY) as client:
        await client.read()
        for number, member in enumerate(etcd.members):
            if number != survivor:
                await asyncio.to_thread(member.kill)
        await _leaderless(client)
        error = await refusal_of(client.read())
        statuses = await client.endpoint_statuses()

    assert_says(error, Reason.NO_LEADER)
    assert error.endpoint == etcd.endpoints[survivor]
    assert {status.url for status in statuses if status.reason == Reason.REFUSED} == {
        url for number, url in enumerate(etcd.endpoints) if number != survivor
    }


async def _leaderless(client: EtcdClient) -> None:
    """Wait until the survivor has noticed: until then it takes its dead leader for alive and is only slow."""
    for _ in range(10):
        if (await refusal_of(client.read())).reason is Reason.NO_LEADER:
            return


async def test_a_write_that_nobody_can_settle_says_so(etcd: EtcdMembers) -> None:
    """All members freeze while a write is under way: the error tells that the outcome is unknown."""
    async with client_of(etcd, limits=HASTY) as client:
        await _write(client, b"before")
        seen = await client.read()
        assert seen.config is not None
        for member in etcd.members:
            await asyncio.to_thread(member.pause)
        error = await refusal_of(
            client.write_config(b"after", expected_mod_revision=seen.config.mod_revision, judged_revision=seen.revision)
        )

    assert_says(error, Reason.TIMEOUT)
    assert error.outcome_unknown


async def test_nothing_listens_anywhere(etcd: EtcdMembers) -> None:
    """Every member is gone: the error names an endpoint and the other ones' reasons, and no write is left open."""
    async with client_of(etcd, limits=HASTY) as client:
        for member in etcd.members:
            await asyncio.to_thread(member.kill)
        error = await refusal_of(client.write_config(b"x", expected_mod_revision=0, judged_revision=1))

    assert_says(error, Reason.REFUSED)
    assert set(error.failures) == set(etcd.endpoints)
    assert not error.outcome_unknown


@pytest.mark.parametrize("how", ["kill", "pause"])
async def test_a_watch_outlives_its_member(etcd: EtcdMembers, how: str) -> None:
    """The watched member fails in the middle of twenty writes: all are told, in order, none twice."""
    leader = etcd.leader()
    watched, writing = (leader + 1) % 3, (leader + 2) % 3
    values = [str(number).encode() for number in range(20)]
    async with (
        client_of(etcd, endpoints=_from(etcd, watched), limits=_RESTLESS) as watcher,
        client_of(etcd, endpoints=_from(etcd, writing)) as writer,
    ):
        revision = (await watcher.read()).revision
        task = asyncio.create_task(collected(watcher, revision + 1, values[-1]))
        for value in values:
            if value == b"10":
                await asyncio.to_thread(getattr(etcd.members[watched], how))
            await _write(writer, value)
        async with asyncio.timeout(60):
            changes = await task

    assert [change.value for change in changes] == values
    assert {(change.kind, change.key) for change in changes} == {(Kind.PUT, CONFIG)}
    assert [change.mod_revision for change in changes] == sorted({change.mod_revision for change in changes})


async def test_an_idle_watch_is_opened_again_and_misses_nothing(etcd: EtcdMembers) -> None:
    """A watch that had nothing to tell for several idle times tells what comes then, and only keys that matter."""
    limits = Limits(total_s=60.0, watch_idle_s=0.2)
    async with client_of(etcd, limits=limits) as client:
        revision = (await client.read()).revision
        task = asyncio.create_task(collected(client, revision + 1, b"end"))
        await asyncio.sleep(1.0)
        etcd.etcdctl("put", f"{PREFIX}/other", "x")
        etcd.etcdctl("put", LEASE, "lease")
        etcd.etcdctl("del", LEASE)
        await asyncio.sleep(0.5)
        etcd.etcdctl("put", CONFIG, "end")
        async with asyncio.timeout(60):
            changes = await task

    assert [(change.kind, change.key, change.value) for change in changes] == [
        (Kind.PUT, LEASE, b"lease"),
        (Kind.DELETE, LEASE, b""),
        (Kind.PUT, CONFIG, b"end"),
    ]


async def test_a_compacted_revision_asks_for_a_new_reading(etcd: EtcdMembers) -> None:
    """What lies behind the compaction cannot be told: one RELIST, and the watch ends."""
    async with client_of(etcd, limits=PATIENT) as client:
        revision = (await client.read()).revision
        for number in range(3):
            etcd.etcdctl("put", CONFIG, str(number))
        etcd.etcdctl("compact", str(revision + 3))
        changes = [change async for change in client.watch(revision + 1)]

    assert changes == [Change(Kind.RELIST)]
