"""Statuses and joins over real HTTP: what is patched, when nothing is, and that bookkeeping keeps out of the way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from hack.vectors import manifests as m
from nodegate import facts
from nodegate.clock import now
from nodegate.enrollment import flow
from nodegate.enrollment.apply import ENROLLMENT_PATH
from nodegate.enrollment.flow import BY_PERSON_RETRY_S, COLLECT_S, ROUNDS, STALE_RETRY_S
from nodegate.enrollment.model import Decided, Enrollment, Join, NodeName
from nodegate.errors import Conflict
from nodegate.kube.work import run_workers
from tests.unit.fake_cluster import NODE, NODES_PATH, READ_ENROLLMENT, RECORD, World, run_world
from tests.unit.kube.fake_api import drop, status, until

_NAME = NodeName(NODE)


@pytest.fixture(name="world")
async def _world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A cluster with node-a's enrollment, its status not written yet, and no fallback for kopf in the queue."""
    monkeypatch.setattr(facts, "KOPF_FIRST_S", 3600.0)
    async with run_world() as world:
        world.cluster.enroll(processed=False, addresses=["10.0.0.5"])
        await world.sync()
        yield world


def _known(world: World) -> Enrollment:
    enrollment = world.facts.enrollment(NODE)
    assert enrollment is not None
    return enrollment


def _status(world: World) -> Any:
    return world.cluster.enrollment().get("status", {})


def _decided(number: int = 0) -> Decided:
    return Decided(csr_name=f"csr-{number}", verdict="Hold", reason="NotEnrolled", message="m", time=now())


def _join(**fields: Any) -> Join:
    key = {"public_key_sha256": "a" * 64, "csr_uid": "u", "csr_name": "csr-1", "requester": "kubelet-bootstrap"}
    return Join(time=now(), **(key | fields))


async def test_status_is_patched_at_its_version(world: World) -> None:
    """The first look writes generation, phase and conditions, at the resourceVersion that was judged."""
    version = world.cluster.enrollment()["metadata"]["resourceVersion"]

    await world.enrollments.handle(NODE)

    (patch,) = world.cluster.bodies[RECORD]
    assert patch["metadata"] == {"resourceVersion": version}
    assert (_status(world)["observedGeneration"], _status(world)["phase"]) == (1, "Ready")


async def test_nothing_is_patched_when_nothing_changed(world: World) -> None:
    """A status that says it already costs no call."""
    await world.enrollments.handle(NODE)
    await world.sync()
    await world.enrollments.handle(NODE)
    await world.enrollments.observe(_known(world))

    assert world.cluster.asked == []


async def test_unknown_enrollment_is_nothing_to_do(world: World) -> None:
    """A name without an enrollment costs no call, and its last decision is dropped."""
    world.enrollments.note(NodeName("node-z"), _decided())
    await world.enrollments.handle("node-z")

    assert world.cluster.asked == []
    assert world.enrollments._decided == {}


async def test_conflict_is_read_and_patched_again(world: World) -> None:
    """A status that has changed meanwhile is read afresh, judged again, and patched at the new version."""
    world.cluster.enroll(processed=False, addresses=["10.0.0.5"], state="Suspended")

    await world.enrollments.handle(NODE)

    assert world.cluster.asked == [RECORD, READ_ENROLLMENT, RECORD]
    assert (_status(world)["observedGeneration"], _status(world)["phase"]) == (2, "Suspended")


async def test_conflict_with_one_who_wrote_the_same(world: World) -> None:
    """When the fresh status says it already, nothing is written."""
    await world.enrollments.handle(NODE)
    world.cluster.asked.clear()

    await world.enrollments.handle(NODE)

    assert world.cluster.asked == [RECORD, READ_ENROLLMENT]


async def test_conflicts_without_end_are_put_off(world: World) -> None:
    """An enrollment that changes at every try is tried again later, with its last decision; that is no trouble."""

    def touch(call: str) -> None:
        """Change it just before it is written."""
        if call == RECORD:
            world.cluster.change(ENROLLMENT_PATH, NODE, metadata={"labels": {"n": str(world.cluster.version)}})

    world.cluster.before_each = touch
    world.enrollments.note(_NAME, _decided(7))

    await world.enrollments.handle(NODE)
    assert world.cluster.asked.count(RECORD) == ROUNDS
    assert world.due_s(world.statuses, NODE) == pytest.approx(COLLECT_S, abs=0.5)
    assert world.trouble() == ""

    world.cluster.before_each = str
    await world.enrollments.handle(NODE)
    assert _status(world)["lastDecision"]["csrName"] == "csr-7"


@pytest.mark.parametrize("call", [RECORD, READ_ENROLLMENT])
async def test_deleted_meanwhile_is_no_error(world: World, call: str) -> None:
    """An enrollment that is gone, before the patch or between a conflict and the read, needs no status."""
    world.cluster.change(ENROLLMENT_PATH, NODE, metadata={"labels": {"a": "b"}})
    world.cluster.acts[call].append(lambda: world.cluster.delete_object(ENROLLMENT_PATH, NODE))

    await world.enrollments.handle(NODE)

    assert NODE not in world.cluster.objects[ENROLLMENT_PATH]


async def test_decisions_are_collected(world: World) -> None:
    """A hundred decisions about one node are a few patches; the last one stands."""
    task = asyncio.create_task(run_workers(world.statuses, world.enrollments.handle, 4))
    for number in range(100):
        world.enrollments.note(_NAME, _decided(number))
        await asyncio.sleep(0.001)
    await until(lambda: _status(world).get("lastDecision", {}).get("csrName") == "csr-99")
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task

    assert len(world.cluster.bodies[RECORD]) <= 3


async def test_decision_is_kept_when_it_cannot_be_written(world: World) -> None:
    """A last decision whose patch failed is written with the next; a newer one takes its place."""
    world.enrollments.note(_NAME, _decided(1))
    world.cluster.answers[RECORD].append(drop)
    await world.enrollments.handle(NODE)
    assert _status(world) == {}

    await world.enrollments.handle(NODE)

    assert _status(world)["lastDecision"]["csrName"] == "csr-1"


async def test_newer_decision_outlasts_a_failure(world: World) -> None:
    """A decision that came while the patch failed is not overwritten by the one before."""
    world.enrollments.note(_NAME, _decided(1))
    world.cluster.acts[RECORD].append(lambda: world.enrollments.note(_NAME, _decided(2)))
    world.cluster.answers[RECORD].append(drop)

    await world.enrollments.handle(NODE)
    await world.enrollments.handle(NODE)

    assert _status(world)["lastDecision"]["csrName"] == "csr-2"


async def test_trouble_is_said_once_until_all_is_written(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A missing right is one warning for all enrollments, a reason not to be ready, and over with the last of them."""
    world.cluster.enroll("node-b", processed=False)
    await world.sync()
    world.cluster.answers[RECORD].extend([status(403, "Forbidden")] * 2)
    await world.enrollments.handle(NODE)
    await world.enrollments.handle("node-b")
    assert "403 Forbidden" in world.trouble()
    assert world.due_s(world.statuses, NODE) == pytest.approx(BY_PERSON_RETRY_S, rel=0.6)
    assert len(caplog.records) == 1

    await world.enrollments.handle("node-b")
    assert world.trouble() != ""
    world.cluster.delete_object(ENROLLMENT_PATH, NODE)
    await world.sync()
    await world.enrollments.handle(NODE)
    assert world.trouble() == ""


async def test_status_waits_while_decisions_are_made(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """While requests wait nothing is written; it is tried again a second later, and done in the end."""
    world.requests.add("csr-x")
    await world.enrollments.handle(NODE)
    assert world.cluster.asked == []
    assert world.due_s(world.statuses, NODE) == pytest.approx(COLLECT_S, abs=0.5)

    monkeypatch.setattr(flow, "YIELD_S", 0.0)
    await world.enrollments.handle(NODE)
    assert world.cluster.asked == [RECORD]


async def test_status_is_not_judged_by_stale_stores(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands beside the enrollment must be known; else it is looked at again in a few seconds."""
    monkeypatch.setattr(world.facts.nodes, "is_fresh", lambda: False)

    await world.enrollments.handle(NODE)

    assert world.cluster.asked == []
    assert world.due_s(world.statuses, NODE) == pytest.approx(STALE_RETRY_S, abs=1)


async def test_node_is_recorded_and_taken_back(world: World) -> None:
    """The Node's UID and readiness stand in the status while it exists, and no longer."""
    world.cluster.store(NODES_PATH, m.node(NODE))
    await world.sync()
    await world.enrollments.handle(NODE)
    assert (_status(world)["phase"], _status(world)["node"]["ready"]) == ("Joined", "True")

    world.cluster.delete_object(NODES_PATH, NODE)
    await world.sync()
    await world.enrollments.handle(NODE)
    assert (_status(world)["phase"], _status(world)["node"]) == ("Ready", {})


async def test_window_wakes_the_status(world: World) -> None:
    """A status that time alone will change is looked at again when it does."""
    opens = now() + timedelta(seconds=60)
    world.cluster.enroll(bootstrap={"notBefore": opens.isoformat()})
    await world.sync()

    await world.enrollments.handle(NODE)

    assert _status(world)["phase"] == "Pending"
    assert world.due_s(world.statuses, NODE) == pytest.approx(61, abs=5)


async def test_stalled_is_told_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """An enrollment that a person must mend makes one event and one warning until its message changes."""
    world.cluster.enroll("node-b", addresses=["10.0.0.5"])
    await world.sync()
    for _ in range(3):
        await world.enrollments.handle(NODE)
        await world.sync()
    assert world.events() == [("Reconcile", "EnrollmentConflict")]

    world.cluster.enroll(NODE, addresses=["127.0.0.1"])
    await world.sync()
    await world.enrollments.handle(NODE)

    assert world.events() == [("Reconcile", "EnrollmentConflict"), ("Reconcile", "ReservedIdentity")]
    assert sum("is stalled" in record.message for record in caplog.records) == 2


async def test_stalled_by_stale_knowledge_is_not_told(world: World) -> None:
    """What a conflicting patch said was never written, so no event tells it; the fresh judgement counts."""
    world.cluster.enroll(processed=False, addresses=["127.0.0.1"])
    await world.sync()
    world.cluster.enroll(processed=False, addresses=["10.0.0.5"])

    await world.enrollments.handle(NODE)

    assert world.events() == []
    assert _status(world)["phase"] == "Ready"


async def test_observe_leaves_failures_to_the_queue(world: World) -> None:
    """Kopf's handler never fails: what could not be written is tried again by the queue."""
    world.cluster.answers[RECORD].append(drop)

    await world.enrollments.observe(_known(world))

    assert world.due_s(world.statuses, NODE) is not None
    assert "phase" not in world.cluster.enrollment().get("status", {})


async def test_observe_does_not_fail_by_an_enrollment_that_turned_odd(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """An enrollment that cannot be read after a conflict is said, and left as it is."""
    world.cluster.enroll(processed=False, state="Odd")

    await world.enrollments.observe(_known(world))

    assert "NodeEnrollment node-a cannot be read" in caplog.text
    assert _status(world) == {}


async def test_join_is_recorded_and_told_once(world: World) -> None:
    """A new key is a count and an event; the same key again changes the record and tells nothing."""
    await world.enrollments.record_join(_known(world), _join())
    await world.sync()
    await world.enrollments.record_join(_known(world), _join(csr_name="csr-2"))

    assert world.metrics.registry.get_sample_value("nodegate_enrollment_joins_total") == 1
    assert world.events() == [("Approve", "JoinRecorded")]
    assert _status(world)["joinCount"] == 1
    assert [join["csrName"] for join in _status(world)["joins"]] == ["csr-2"]


async def test_join_fails_when_anything_changed(world: World) -> None:
    """The record is a compare-and-swap on the enrollment that was judged."""
    known = _known(world)
    world.cluster.change(ENROLLMENT_PATH, NODE, metadata={"labels": {"a": "b"}})

    with pytest.raises(Conflict):
        await world.enrollments.record_join(known, _join())
    assert "joins" not in world.cluster.enrollment().get("status", {})
    assert world.events() == []


async def test_join_fails_when_the_enrollment_is_gone(world: World) -> None:
    """An enrollment that was deleted is a conflict: judge again, by what is there."""
    known = _known(world)
    world.cluster.delete_object(ENROLLMENT_PATH, NODE)

    with pytest.raises(Conflict):
        await world.enrollments.record_join(known, _join())
    assert await world.enrollments.read(_NAME) is None


async def test_long_and_hostile_names_fit_the_schema(world: World) -> None:
    """Requesters may choose long names with anything in them; status and event stay within bounds and on a line."""
    hostile = "\x1b[2J\n" + "n" * 600

    await world.enrollments.record_join(_known(world), _join(csr_name=hostile, requester=hostile * 3))
    world.enrollments.note(_NAME, replace(_decided(), csr_name=hostile))
    await world.sync()
    await world.enrollments.handle(NODE)

    (join,) = _status(world)["joins"]
    assert (len(join["csrName"]), len(join["requester"])) == (253, 1024)
    assert len(_status(world)["lastDecision"]["csrName"]) == 253
    (event,) = world.outbox._waiting
    assert all(text.isprintable() for text in (join["csrName"], join["requester"], event.note))


async def _replaced(world: World, **spec: Any) -> None:
    """Have a Node recorded, and another in its place."""
    recorded = {"uid": "old", "joinedAt": "2030-01-31T09:00:00Z", "ready": "True"}
    world.cluster.enroll(addresses=["10.0.0.5"], **spec)
    world.cluster.change(ENROLLMENT_PATH, NODE, status={"observedGeneration": 1, "node": recorded})
    world.cluster.store(NODES_PATH, m.node(NODE))
    await world.sync()
    while world.statuses.depth:
        world.statuses.done(await world.statuses.get())


async def test_a_node_that_follows_is_recorded_with_an_event(world: World) -> None:
    """With the default rejoin the new UID takes the old one's place, and that is told once."""
    await _replaced(world)
    for _ in range(2):
        await world.enrollments.observe(_known(world))
        await world.sync()

    assert _status(world)["node"]["uid"] == m.node(NODE)["metadata"]["uid"]
    assert world.events() == [("Reconcile", "NodeReplaced")]


async def test_an_accepted_node_is_recorded_without_waiting(world: World) -> None:
    """Never keeps the old UID; the annotation, which raises no generation, puts the enrollment into the queue."""
    await _replaced(world, rejoin="Never")
    await world.enrollments.observe(_known(world))
    await world.sync()
    assert _status(world)["node"]["uid"] == "old"

    uid = m.node(NODE)["metadata"]["uid"]
    world.cluster.change(ENROLLMENT_PATH, NODE, metadata={"annotations": {"nodegate.dev/accept-node-uid": uid}})
    await world.sync()
    assert world.statuses.depth == 1
    await world.enrollments.handle(await world.statuses.get())
    await world.sync()

    assert _status(world)["node"]["uid"] == uid
