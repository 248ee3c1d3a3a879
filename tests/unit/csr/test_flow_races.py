"""What changes while a request is being judged: nothing is approved that its enrollment forbade when last asked.

The random part slips edits before any call, loses answers and fails calls, and holds the flow to its promise:
the enrollment, as it stood at the record or read that came last before the approval, allowed it.
"""

import asyncio
import copy
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hack.vectors import manifests as m
from hack.vectors.keys import public_sha256
from nodegate.csr.apply import CSR_PATH
from nodegate.enrollment.apply import ENROLLMENT_PATH
from tests.unit.fake_cluster import (
    APPROVE,
    CSR,
    NODE,
    NODES_PATH,
    READ_ENROLLMENT,
    READ_REQUEST,
    RECORD,
    Cluster,
    World,
    run_world,
)
from tests.unit.kube.fake_api import drop, status

TOKEN = {"tokenID": "abcdef"}


@pytest.fixture(name="world")
async def _world() -> AsyncIterator[World]:
    """A cluster with node-a's enrollment and its first request, both known."""
    async with run_world() as world:
        world.cluster.enroll(bootstrap=TOKEN)
        world.cluster.ask()
        await world.sync()
        yield world


def _touch(cluster: Cluster) -> None:
    cluster.change(ENROLLMENT_PATH, NODE, metadata={"labels": {"touched": str(cluster.version)}})


def _touch_request(cluster: Cluster) -> None:
    cluster.change(CSR_PATH, CSR, metadata={"labels": {"touched": str(cluster.version)}})


async def test_revoked_before_the_record_is_denied(world: World) -> None:
    """A revocation that the store has not seen makes the record conflict; the fresh enrollment denies."""
    world.cluster.enroll(bootstrap=TOKEN, state="Revoked")

    assert await world.judge() == [RECORD, READ_ENROLLMENT, APPROVE]
    assert world.cluster.conditions() == [("Denied", "EnrollmentRevoked")]
    assert "joins" not in world.cluster.enrollment()["status"]


async def test_suspended_before_the_record_is_held(world: World) -> None:
    """A suspension that the store has not seen makes the record conflict; the fresh enrollment holds."""
    world.cluster.enroll(bootstrap=TOKEN, state="Suspended")

    assert await world.judge() == [RECORD, READ_ENROLLMENT]
    assert world.cluster.conditions() == []
    assert world.told("hold", "enrollment_suspended") == 1


async def test_harmless_change_before_the_record_is_judged_again(world: World) -> None:
    """A change that forbids nothing costs a fresh read and a second record, and is approved."""
    _touch(world.cluster)

    assert await world.judge() == [RECORD, READ_ENROLLMENT, RECORD, APPROVE]
    assert world.cluster.conditions() == [("Approved", "BootstrapApproved")]
    assert world.cluster.enrollment()["status"]["joinCount"] == 1


async def test_change_that_is_not_processed_yet_is_held(world: World) -> None:
    """A generation that the operator has not looked at approves nothing."""
    world.cluster.enroll(processed=False, bootstrap=TOKEN)

    await world.judge()

    assert world.cluster.conditions() == []
    assert world.told("hold", "enrollment_not_ready") == 1


async def test_deleted_enrollment_is_held(world: World) -> None:
    """An enrollment that is gone when the key is to be recorded holds the request as not enrolled."""
    world.cluster.delete_object(ENROLLMENT_PATH, NODE)

    assert await world.judge() == [RECORD, READ_ENROLLMENT]
    assert world.cluster.conditions() == []
    assert world.told("hold", "not_enrolled") == 1


async def test_revoked_between_record_and_conflict_is_denied(world: World) -> None:
    """A request that conflicts after its key was recorded is judged anew, under the enrollment as it is by then."""

    def both() -> None:
        """Change the request and revoke."""
        _touch_request(world.cluster)
        world.cluster.enroll(bootstrap=TOKEN, state="Revoked")

    world.cluster.acts[APPROVE].append(both)

    assert await world.judge() == [RECORD, APPROVE, READ_REQUEST, RECORD, READ_ENROLLMENT, APPROVE]
    assert world.cluster.conditions() == [("Denied", "EnrollmentRevoked")]


async def test_conflict_on_the_request_is_read_afresh(world: World) -> None:
    """A request that another has labelled meanwhile is read again, judged again, and approved with the label."""
    world.cluster.acts[APPROVE].append(lambda: _touch_request(world.cluster))

    calls = await world.judge()

    assert calls == [RECORD, APPROVE, READ_REQUEST, RECORD, READ_ENROLLMENT, RECORD, APPROVE]
    first, second = world.cluster.bodies[APPROVE]
    assert "labels" not in first["metadata"]
    assert "touched" in second["metadata"]["labels"]
    assert world.told("approve", "bootstrap_approved") == 1


async def test_denied_by_another_stays_denied(world: World) -> None:
    """A request that a person denies just before the approval is told as decided and stays as it is."""
    denied = [{"type": "Denied", "status": "True", "reason": "ByHand", "message": "no"}]
    world.cluster.acts[APPROVE].append(lambda: world.cluster.change(CSR_PATH, CSR, status={"conditions": denied}))

    assert await world.judge() == [RECORD, APPROVE, READ_REQUEST]
    assert world.cluster.conditions() == [("Denied", "ByHand")]
    assert world.told("ignore", "already_decided") == 1


async def test_replaced_request_is_not_approved_by_its_name(world: World) -> None:
    """Another request of the same name, made between judging and approving, is judged by itself."""

    def replace() -> None:
        """Put a stranger's request in its place."""
        world.cluster.delete_object(CSR_PATH, CSR)
        world.cluster.ask(metadata={"uid": "other"}, username="jane", groups=["system:authenticated"])

    world.cluster.acts[APPROVE].append(replace)

    await world.judge()

    assert world.cluster.conditions() == []
    assert world.told("ignore", "requester_not_managed") == 1


async def test_two_requests_of_one_node_both_count(world: World) -> None:
    """Two keys that ask at once end as two joins: the second record conflicts and is written anew."""
    world.cluster.ask(metadata={"name": "csr-2", "uid": "two"}, key="p256-b")
    await world.sync()

    await asyncio.gather(world.flow.handle(CSR), world.flow.handle("csr-2"))

    assert world.cluster.conditions() == world.cluster.conditions("csr-2") == [("Approved", "BootstrapApproved")]
    assert world.cluster.enrollment()["status"]["joinCount"] == 2


async def test_join_limit_holds_at_once(world: World) -> None:
    """Two keys that ask at once where one may join end as one join: the limit is judged at the record."""
    world.cluster.enroll(bootstrap={**TOKEN, "maxJoins": 1})
    world.cluster.ask(metadata={"name": "csr-2", "uid": "two"}, key="p256-b")
    await world.sync()

    await asyncio.gather(world.flow.handle(CSR), world.flow.handle("csr-2"))

    verdicts = sorted([world.cluster.conditions(), world.cluster.conditions("csr-2")])
    assert verdicts == [[], [("Approved", "BootstrapApproved")]]
    assert world.cluster.enrollment()["status"]["joinCount"] == 1
    assert world.told("hold", "join_limit_reached") == 1


_SPECS: dict[str, dict[str, Any]] = {
    "allow": {"bootstrap": TOKEN},
    "revoke": {"bootstrap": TOKEN, "state": "Revoked"},
    "suspend": {"bootstrap": TOKEN, "state": "Suspended"},
    "audit": {"bootstrap": TOKEN, "mode": "Audit"},
    "another token": {"bootstrap": {"tokenID": "bbbbbb"}},
    "nobody joins": {"bootstrap": {**TOKEN, "maxJoins": 0}},
}
_FAULTS = {
    "conflict": status(409, "Conflict"),
    "forbidden": status(403, "Forbidden"),
    "broken": status(500, "InternalError"),
    "lost": drop,
}
_STEPS = ("nothing", "nothing", *_SPECS, "unprocessed", "touch", "touch request", "delete", "landed", "sync", *_FAULTS)


class Promise:
    """Plays a plan against a world and remembers what the enrollment said when it was last asked."""

    def __init__(self, world: World, plan: list[str]) -> None:
        self.world = world
        self.plan = plan
        self.audited = "audit" in plan  # Then an approval is told that is not written, and told again when it is.
        self.asked: Any = None
        self.approvals: list[tuple[Any, Any]] = []
        world.cluster.before_each = self.before

    def before(self, call: str) -> None:
        """Play the next step before a call of the flow."""
        if call in (RECORD, READ_ENROLLMENT, READ_REQUEST, APPROVE):
            self.play(call, self.plan.pop(0) if self.plan else "nothing")

    def play(self, call: str, step: str) -> None:
        """Do one step to the cluster, or to the answer of the call."""
        cluster = self.world.cluster
        if step in _SPECS or step == "unprocessed":
            cluster.enroll(processed=step in _SPECS, **_SPECS.get(step, _SPECS["allow"]))
        elif step in _FAULTS or step == "landed":
            if call in (RECORD, APPROVE):  # The client itself tries reads again, after a pause.
                cluster.answers[call].append(_FAULTS.get(step, cluster.landed))
        elif step == "touch request":
            _touch_request(cluster)
        elif NODE in cluster.objects[ENROLLMENT_PATH]:
            if step == "touch":
                _touch(cluster)
            if step == "delete":
                cluster.delete_object(ENROLLMENT_PATH, NODE)

    def watch(self) -> None:
        """Note what the enrollment says at every read and record, and check every approval against it."""
        cluster = self.world.cluster
        get, patch, update = cluster._get, cluster._patch, cluster._update

        async def noted_get(request: Any) -> Any:
            """Note an enrollment that is read."""
            if "nodeenrollments" in request.path:
                self.asked = copy.deepcopy(cluster.objects[ENROLLMENT_PATH].get(NODE))
            return await get(request)

        async def noted_patch(request: Any) -> Any:
            """Note an enrollment that a key is recorded in, as it was before."""
            before = copy.deepcopy(cluster.objects[ENROLLMENT_PATH].get(NODE))
            answer = await patch(request)
            if answer.status == 200:
                self.asked = before
            return answer

        async def noted_update(request: Any) -> Any:
            """Note an approval and what it rests on."""
            answer = await update(request)
            if answer.status == 200:
                recorded = cluster.objects[ENROLLMENT_PATH].get(NODE)
                self.approvals.append((self.asked, copy.deepcopy(recorded)))
            return answer

        cluster._get, cluster._patch, cluster._update = noted_get, noted_patch, noted_update  # type: ignore[method-assign]  # spies beside the real ones


def _allowed(enrollment: Any, *, first: bool) -> bool:
    spec, seen = enrollment["spec"], enrollment.get("status", {})
    active = spec.get("state", "Active") == "Active" and spec.get("mode", "Enforce") == "Enforce"
    processed = seen.get("observedGeneration") == enrollment["metadata"]["generation"]
    bootstrap = spec["bootstrap"]
    known = any(join["publicKeySHA256"] == public_sha256("p256-a") for join in seen.get("joins", ()))
    joins = known or seen.get("joinCount", 0) < bootstrap.get("maxJoins", 3)
    return active and processed and (not first or (bootstrap["tokenID"] == "abcdef" and joins))


async def _play(plan: list[str], *, first: bool) -> None:
    async with run_world() as world:
        world.cluster.enroll(bootstrap=TOKEN)
        if first:
            world.cluster.ask()
        else:
            world.cluster.store(NODES_PATH, m.node(NODE))
            world.cluster.ask_again()
        await world.sync()
        promise = Promise(world, plan)
        promise.watch()
        for _ in range(4):
            await world.judge()
            if plan and plan[0] == "sync":
                plan.pop(0)
                await world.sync()
        _check(world, promise, first=first)


def _check(world: World, promise: Promise, *, first: bool) -> None:
    """Every approval was allowed when last asked, was recorded before, and stands alone."""
    conditions = world.cluster.conditions()
    assert len(conditions) <= 1
    assert len(promise.approvals) == len(conditions)
    for (kind, _), (asked, recorded) in zip(conditions, promise.approvals, strict=True):
        if kind == "Approved":
            assert _allowed(asked, first=first), asked
        if kind == "Approved" and first and recorded and recorded["metadata"]["uid"] == asked["metadata"]["uid"]:
            keys = [join["publicKeySHA256"] for join in recorded.get("status", {}).get("joins", ())]
            assert public_sha256("p256-a") in keys
    kind, reason = ("bootstrap", "bootstrap_approved") if first else ("renewal", "renewal_approved")
    assert promise.audited or world.told("approve", reason, kind=kind) <= 1


@given(plan=st.lists(st.sampled_from(_STEPS), max_size=14), first=st.booleans())
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_interleaving_approves_what_was_forbidden(plan: list[str], *, first: bool) -> None:
    """Whatever is edited, lost or refused between the calls, no approval outruns the enrollment it rests on."""
    asyncio.run(_play(list(plan), first=first))
