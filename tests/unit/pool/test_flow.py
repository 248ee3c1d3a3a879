"""What pools do about requests, against real HTTP: calls in order, races, refusals, statuses."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hack.vectors import manifests as m
from hack.vectors.names import dns, ip
from nodegate.enrollment.apply import ENROLLMENT_PATH
from nodegate.pool.apply import POOL_PATH
from nodegate.pool.flow import WAITERS
from tests.unit.fake_cluster import APPROVE, CSR, NODES_PATH, RECORD
from tests.unit.kube.fake_api import drop, status
from tests.unit.pool.fleet import (
    CREATE,
    GET_NODE,
    LIST_POOLS,
    PATCH_ENROLLMENT,
    PATCH_POOL,
    READ_ENROLLMENT,
    PoolWorld,
    run_fleet,
)

FREE = [{"type": "InternalIP", "address": "10.0.8.5"}]
MADE = {"name": "node-a", "labels": {"nodegate.dev/pool": "fleet"}, "annotations": {"nodegate.dev/pool-uid": "u"}}


@pytest.fixture(name="world")
async def _world() -> AsyncIterator[PoolWorld]:
    """A cluster with a pool and node-a's first request, both known."""
    async with run_fleet(lambda cluster: (cluster.pool(addressRanges=["10.0.8.0/22"]), cluster.ask())) as world:
        yield world


@pytest.fixture(name="joined")
async def _joined(world: PoolWorld) -> PoolWorld:
    """The same once node-a has joined through the pool and has asked for a serving certificate."""
    await world.settled_judge()
    world.cluster.store(NODES_PATH, m.node("node-a", addresses=FREE))
    world.cluster.serving(dns("node-a"), ip("10.0.8.5"))
    await world.sync()
    world.outbox._waiting.clear()
    return world


async def test_a_first_request_makes_its_enrollment_and_is_approved_by_it(world: PoolWorld) -> None:
    """Fresh pools and the Node are read, the enrollment is made, then the usual path approves; no hold is told."""
    assert await world.settled_judge() == [LIST_POOLS, GET_NODE, CREATE, RECORD, APPROVE]

    assert world.cluster.conditions() == [("Approved", "BootstrapApproved")]
    assert world.events() == [("Enroll", "NodeEnrolled"), ("Approve", "JoinRecorded")]
    assert world.told("hold", "not_enrolled") == world.told("hold", "enrollment_not_ready") == 0
    assert world.cluster.enrollment()["spec"]["bootstrap"] == {"tokenID": "abcdef"}


async def test_until_it_is_processed_nothing_is_told(world: PoolWorld) -> None:
    """The enrollment that was just made is waited for without a word, and tried again soon."""
    await world.judge()
    await world.sync()

    assert await world.judge() == []
    assert world.events() == [("Enroll", "NodeEnrolled")]
    assert world.due_s(world.requests, CSR) == pytest.approx(1, abs=1)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"state": "Suspended"}, "suspended"),
        ({"tokenIDs": ["bbbbbb"]}, "does not list user"),
        ({"template": {"maxExpirationSeconds": 600}}, "ExpirationNotAllowed"),
        ({"template": {"rejoin": "Sometimes"}}, "template cannot be used"),
    ],
)
async def test_what_a_pool_does_not_enroll_is_held_with_its_name(spec: dict[str, Any], words: str) -> None:
    """The reason stays NotEnrolled, the message tells of the pool, and nothing is asked of the API server."""
    async with run_fleet(lambda cluster: (cluster.pool(**spec), cluster.ask(expirationSeconds=7200))) as world:
        assert await world.judge() == []
        assert world.events() == [("Hold", "NotEnrolled")]
        assert "pool" in world.message()
        assert words in world.message()


async def test_a_pool_suspended_a_moment_ago_makes_nothing(world: PoolWorld) -> None:
    """What the store believes is read afresh: after `kubectl apply` has returned nobody is enrolled any more."""
    world.cluster.pool(state="Suspended")

    assert await world.judge() == [LIST_POOLS]
    assert "suspended" in world.message()
    assert world.cluster.objects[ENROLLMENT_PATH] == {}


async def test_a_second_pool_of_a_moment_ago_makes_a_conflict(world: PoolWorld) -> None:
    """A pool that the store does not show yet counts as well."""
    world.cluster.pool("other")

    assert await world.judge() == [LIST_POOLS]
    assert "PoolConflict" in world.message()


async def test_a_node_of_a_moment_ago_is_not_taken_over(world: PoolWorld) -> None:
    """The Node is looked for on the API server right before the enrollment is made."""
    world.cluster.store(NODES_PATH, m.node("node-a", ready="False"))

    assert await world.judge() == [LIST_POOLS, GET_NODE]
    assert "never takes over" in world.message()
    await world.sync()
    world.reports.forget(CSR)
    assert await world.judge() == []
    assert "never takes over" in world.message()


async def test_an_enrollment_of_a_moment_ago_is_left_as_it_is(world: PoolWorld) -> None:
    """When somebody has enrolled the node meanwhile, the request is judged by that."""
    world.cluster.acts[CREATE].append(lambda: world.cluster.enroll(state="Suspended"))

    assert await world.judge() == [LIST_POOLS, GET_NODE, CREATE]
    await world.sync()
    await world.judge()
    assert world.events() == [("Hold", "EnrollmentSuspended")]


async def test_an_answer_that_is_lost_is_asked_for_again(world: PoolWorld) -> None:
    """A creation whose answer got lost stands, and the request is approved by it."""
    world.cluster.answers[CREATE].append(world.cluster.landed)
    assert CREATE in await world.judge()
    assert world.due_s(world.requests, CSR) == pytest.approx(1, abs=1)

    world.cluster.settle()
    await world.sync()
    assert await world.judge() == [RECORD, APPROVE]


async def test_an_enrollment_that_cannot_be_read_is_told_and_not_tried_for_ever(world: PoolWorld) -> None:
    """One that the store leaves out stands in the way: a second try ends in a note, not in a third."""
    broken = m.enrollment("node-a", {"mode": "Odd"}, metadata={"generation": 1})
    world.cluster.acts[CREATE].append(lambda: world.cluster.store(ENROLLMENT_PATH, broken))
    await world.judge()
    await world.sync()

    assert await world.judge() == [LIST_POOLS, GET_NODE, CREATE]
    assert "exists but cannot be read" in world.message()


@pytest.mark.parametrize(("code", "reason"), [(403, "Forbidden"), (422, "Invalid")])
async def test_a_refused_creation_is_a_note_and_no_trouble(world: PoolWorld, code: int, reason: str) -> None:
    """A policy that refuses one enrollment must not make the operator unready for all other requests."""
    world.cluster.answers[CREATE].append(status(code, reason))

    await world.judge()

    assert "the API server refused" in world.message()
    assert world.trouble() == ""


async def test_an_api_server_that_is_away_is_asked_again(world: PoolWorld) -> None:
    """Without an answer nothing is told and nothing is made; the request comes again."""
    for _ in range(5):
        world.cluster.answers[LIST_POOLS].append(drop)
    await world.judge()

    assert world.events() == []
    assert world.due_s(world.requests, CSR) is not None


async def test_a_stale_view_of_pools_enrolls_nobody(world: PoolWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """While pools cannot be followed a request is held as if there were none."""
    (informer,) = world.facts._pool_informers
    monkeypatch.setattr(informer, "is_fresh", lambda: False)

    assert await world.judge() == []
    assert world.events() == [("Hold", "NotEnrolled")]


async def test_a_name_that_another_enrollment_lists_is_not_enrolled() -> None:
    """An enrollment of that name would bring the other one into conflict: a requester must not be able to."""
    async with run_fleet(lambda c: (c.pool(), c.ask(), c.enroll("node-b", dnsNames=["node-a"]))) as world:
        assert await world.judge() == []
        assert "EnrollmentConflict" in world.message()


async def test_a_token_of_another_node_enrolls_nobody() -> None:
    """A token that was minted for one node comes in through no pool, whatever group it is in."""
    async with run_fleet(lambda c: (c.pool(tokenIDs=[], groups=["system:bootstrappers"]), c.ask())) as world:
        world.cluster.enroll("node-b", bootstrap={"token": {"issue": True}})
        world.cluster.change(ENROLLMENT_PATH, "node-b", status={"bootstrap": {"tokenID": "abcdef"}})
        await world.sync()

        assert await world.judge() == []
        assert "TokenMismatch" in world.message()


async def test_the_limit_holds_while_the_store_lags() -> None:
    """Enrollments that were just made count before the store shows them."""
    async with run_fleet(lambda cluster: cluster.pool(maxNodes=2)) as world:
        for name in "abc":
            metadata = {"name": f"csr-{name}", "uid": f"uid-{name}"}
            world.cluster.ask(node=f"node-{name}", key=f"p256-{name}", metadata=metadata)
        (csrs, *_) = world.facts._csrs
        await csrs._list()

        for name in "abc":
            await world.judge(f"csr-{name}")

        assert set(world.cluster.objects[ENROLLMENT_PATH]) == {"node-a", "node-b"}
        assert "full (maxNodes 2)" in world.message()


async def test_few_wait_for_their_turn(world: PoolWorld) -> None:
    """When some are being enrolled already the next one comes again later and keeps no worker."""
    async with world.pools._one_at_a_time:
        world.pools._waiting = WAITERS
        assert await asyncio.wait_for(world.judge(), 5) == []
    world.pools._waiting = 0
    assert world.events() == []
    assert world.due_s(world.requests, CSR) is not None


async def test_addresses_are_recorded_and_then_approved(joined: PoolWorld) -> None:
    """Pools and enrollment are read afresh, the addresses written, and the usual path approves."""
    world = joined
    assert await world.settled_judge() == [LIST_POOLS, READ_ENROLLMENT, PATCH_ENROLLMENT, READ_ENROLLMENT, APPROVE]

    assert world.cluster.enrollment()["spec"]["addresses"] == ["10.0.8.5"]
    assert world.cluster.conditions() == [("Approved", "ServingApproved")]
    assert world.events() == [("Enroll", "AddressesRecorded")]


async def test_addresses_of_a_hand_made_enrollment_are_the_administrators() -> None:
    """Without the pool's label and UID nothing is recorded."""
    async with run_fleet(lambda c: (c.pool(addressRanges=["10.0.8.0/22"]), c.enroll())) as world:
        world.cluster.store(NODES_PATH, m.node("node-a", addresses=FREE))
        world.cluster.serving(dns("node-a"), ip("10.0.8.5"))
        await world.sync()
        assert await world.judge() == []
        world.cluster.change(ENROLLMENT_PATH, "node-a", metadata={**MADE, "annotations": {}, "generation": 1})
        await world.sync()
        world.reports.forget(CSR)
        assert await world.judge() == [LIST_POOLS, READ_ENROLLMENT]
        assert "does not carry label and UID" in world.message()


async def test_addresses_filled_in_meanwhile_stay(joined: PoolWorld) -> None:
    """When somebody has listed addresses since, theirs stay."""
    world = joined
    world.cluster.acts[READ_ENROLLMENT].append(
        lambda: world.cluster.change(ENROLLMENT_PATH, "node-a", spec={"addresses": ["10.0.8.9"]})
    )
    assert await world.judge() == [LIST_POOLS, READ_ENROLLMENT]
    assert world.cluster.enrollment()["spec"]["addresses"] == ["10.0.8.9"]


async def test_a_write_in_between_is_noticed(joined: PoolWorld) -> None:
    """The patch carries the version that was read, so it never overwrites what it has not seen."""
    world = joined
    world.cluster.acts[PATCH_ENROLLMENT].append(
        lambda: world.cluster.change(ENROLLMENT_PATH, "node-a", spec={"addresses": ["10.0.8.9"]})
    )
    await world.judge()
    assert world.cluster.enrollment()["spec"]["addresses"] == ["10.0.8.9"]
    assert world.due_s(world.requests, CSR) is not None


async def test_an_address_given_a_moment_ago_is_taken(joined: PoolWorld) -> None:
    """First come: the second node is held before any store shows what the first was given."""
    world = joined
    made = {**MADE, "name": "node-b", "uid": "uid-b", "generation": 1}
    world.cluster.store(ENROLLMENT_PATH, m.enrollment("node-b", {}, metadata=made, status={"observedGeneration": 1}))
    world.cluster.serving(dns("node-b"), ip("10.0.8.5"), node="node-b", name="csr-b", key="p256-b")
    await world.sync()
    await world.judge()
    assert PATCH_ENROLLMENT in world.cluster.asked
    world.cluster.change(NODES_PATH, "node-a", status={"addresses": [], "conditions": []})
    world.cluster.store(NODES_PATH, m.node("node-b", addresses=FREE))
    await world.facts.nodes._list()

    assert PATCH_ENROLLMENT not in await world.judge("csr-b")
    assert "also of node-a" in world.message()


async def test_addresses_of_a_pool_that_is_gone_are_not_recorded(joined: PoolWorld) -> None:
    """Without its pool nobody knows the ranges."""
    joined.cluster.delete_object(POOL_PATH, "fleet")
    assert await joined.judge() == [LIST_POOLS, READ_ENROLLMENT]
    await joined.sync()
    assert await joined.judge() == []
    assert "pool fleet, of which nothing is known" in joined.message()


async def test_the_status_counts_and_settles(world: PoolWorld) -> None:
    """One patch says it all; a second look writes nothing."""
    await world.settled_judge()
    world.cluster.asked.clear()

    await world.pools.handle("fleet")
    await world.sync()
    await world.pools.handle("fleet")
    await world.pools.handle("unknown")

    found = world.cluster.objects[POOL_PATH]["fleet"]["status"]
    assert (found["nodes"], found["observedGeneration"]) == (1, 1)
    assert [body["status"] for body in world.cluster.bodies[PATCH_POOL]] == [found]
    assert [set(body["metadata"]) for body in world.cluster.bodies[PATCH_POOL]] == [{"resourceVersion"}]


@pytest.mark.parametrize(
    ("code", "reason", "wait"), [(409, "Conflict", 5), (404, "NotFound", 5), (403, "Forbidden", 30)]
)
async def test_a_status_that_could_not_be_written_is_tried_again(
    world: PoolWorld, code: int, reason: str, wait: float
) -> None:
    """Soon when the object changed, slowly when a person has to act."""
    world.cluster.answers[PATCH_POOL].append(status(code, reason))
    await world.pools.handle("fleet")
    assert world.due_s(world.pool_names, "fleet") == pytest.approx(wait, abs=1)


async def test_a_freed_place_wakes_what_is_held() -> None:
    """When a full pool has room again its held requests are judged at once, not at the next list."""
    async with run_fleet(lambda cluster: (cluster.pool(maxNodes=1), cluster.ask())) as world:
        world.cluster.store(ENROLLMENT_PATH, m.enrollment("node-b", {}, metadata={**MADE, "name": "node-b"}))
        await world.sync()
        await world.judge()
        await world.pools.handle("fleet")
        await world.sync()
        await world.drain()

        world.cluster.delete_object(ENROLLMENT_PATH, "node-b")
        await world.facts.enrollments._list()
        await world.pools.handle("fleet")

        assert world.waiting() == 1
        assert CREATE in await world.judge()


async def test_a_changed_pool_wakes_what_is_held(world: PoolWorld) -> None:
    """Another spec has every pending request judged again; another status does not."""
    (informer,) = world.facts._pool_informers
    await world.judge("unknown")
    world.facts.note_node(CSR, None)
    await world.drain()
    world.cluster.change(POOL_PATH, "fleet", status={"nodes": 0})
    await informer._list()
    assert world.waiting() == 0

    world.cluster.pool(maxNodes=9)
    await informer._list()
    assert world.waiting() == 1
