"""One request from its name to what is written and told, against real HTTP; races are in test_flow_races.py."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from aiohttp import web

from hack.vectors import manifests as m
from hack.vectors.keys import public_sha256
from nodegate.clock import now
from nodegate.csr.apply import CSR_PATH
from nodegate.csr.flow import FACTS_RETRY_S, REFUSED_RETRY_S, RETRY_S, ROUNDS
from nodegate.enrollment.apply import ENROLLMENT_PATH
from tests.unit.fake_cluster import (
    APPROVE,
    CSR,
    NODE,
    NODES_PATH,
    READ_ENROLLMENT,
    READ_REQUEST,
    RECORD,
    World,
    run_world,
)
from tests.unit.kube.fake_api import drop, raw, status

TOKEN = {"tokenID": "abcdef"}


@pytest.fixture(name="world")
async def _world() -> AsyncIterator[World]:
    """A cluster with node-a's enrollment and its first request, both known."""
    async with run_world() as world:
        world.cluster.enroll(bootstrap=TOKEN)
        world.cluster.ask()
        await world.sync()
        yield world


@pytest.fixture(name="renewing")
async def _renewing() -> AsyncIterator[World]:
    """A cluster where node-a has joined and renews its certificate."""
    async with run_world() as world:
        world.cluster.enroll()
        world.cluster.store(NODES_PATH, m.node(NODE))
        world.cluster.ask_again()
        await world.sync()
        yield world


async def test_first_certificate_takes_two_requests(world: World) -> None:
    """A first certificate costs one record and one approval, in this order, and nothing more."""
    assert await world.judge() == [RECORD, APPROVE]

    assert world.cluster.conditions() == [("Approved", "BootstrapApproved")]
    assert world.told("approve", "bootstrap_approved") == 1


async def test_record_is_written_at_the_judged_version(world: World) -> None:
    """The record carries the resourceVersion that was judged and names key, request and requester."""
    judged = world.cluster.enrollment()["metadata"]["resourceVersion"]

    await world.judge()

    assert [body["metadata"] for body in world.cluster.bodies[RECORD]] == [{"resourceVersion": judged}]
    (join,) = world.cluster.enrollment()["status"]["joins"]
    assert join["publicKeySHA256"] == public_sha256("p256-a")
    assert (join["csrName"], join["requester"]) == (CSR, "system:bootstrap:abcdef")
    assert world.cluster.enrollment()["status"]["joinCount"] == 1


async def test_renewal_takes_a_read_and_an_approval(renewing: World) -> None:
    """A renewal is judged by a fresh enrollment and approved; nothing is recorded."""
    assert await renewing.judge() == [READ_ENROLLMENT, APPROVE]

    assert renewing.cluster.conditions() == [("Approved", "RenewalApproved")]
    assert "joins" not in renewing.cluster.enrollment()["status"]


async def test_denial_takes_a_read_and_a_denial(world: World) -> None:
    """A denial, too, is judged by a fresh enrollment before it is written."""
    world.cluster.enroll(bootstrap={"tokenID": "bbbbbb"})
    await world.sync()

    assert await world.judge() == [READ_ENROLLMENT, APPROVE]
    assert world.cluster.conditions() == [("Denied", "TokenMismatch")]


async def test_stale_denial_becomes_an_approval(world: World) -> None:
    """What the store would deny and the API server allows is recorded and approved."""
    world.cluster.enroll(bootstrap={"tokenID": "bbbbbb"})
    await world.sync()
    world.cluster.enroll(bootstrap=TOKEN)

    assert await world.judge() == [READ_ENROLLMENT, RECORD, APPROVE]
    assert world.cluster.conditions() == [("Approved", "BootstrapApproved")]


async def test_approved_once_is_left_alone(world: World) -> None:
    """Until the store knows of the approval, another look costs nothing and writes nothing."""
    await world.judge()

    assert await world.judge() == []
    assert world.told("approve", "bootstrap_approved") == 1


async def test_name_reused_is_judged_anew(world: World) -> None:
    """Another request of a name that was approved is another request."""
    await world.judge()
    world.cluster.delete_object(CSR_PATH, CSR)
    world.cluster.ask(metadata={"uid": "another"})
    await world.sync()

    assert await world.judge() == [RECORD, APPROVE]


async def test_held_writes_nothing_and_tells_once(world: World) -> None:
    """A hold makes no call; its event, count and audit come once however often it is judged."""
    world.cluster.enroll(bootstrap=TOKEN, state="Suspended")
    await world.sync()

    assert [await world.judge() for _ in range(3)] == [[], [], []]
    assert world.events() == [("Hold", "EnrollmentSuspended")]
    assert world.told("hold", "enrollment_suspended") == 1
    assert world.reports.held() == {"enrollment_suspended": 1}


async def test_held_again_after_another_hold_is_told_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Facts that go missing change the verdict, and so does their return; each change is told."""
    world.cluster.enroll(bootstrap=TOKEN, state="Suspended")
    await world.sync()
    await world.judge()
    with monkeypatch.context() as stale:
        stale.setattr(world.facts.enrollments, "is_fresh", lambda: False)
        await world.judge()
    assert world.due_s(world.requests, CSR) == pytest.approx(FACTS_RETRY_S, abs=1)

    await world.judge()

    assert world.events() == [("Hold", reason) for reason in _SUSPENDED_TWICE]
    assert world.told("hold", "enrollment_suspended") == 2


_SUSPENDED_TWICE = ("EnrollmentSuspended", "FactsUnavailable", "EnrollmentSuspended")


async def test_hold_before_the_window_is_judged_when_it_opens(world: World) -> None:
    """A request that came too early is served again at the very moment the window opens."""
    opens = now() + timedelta(seconds=100)
    world.cluster.enroll(bootstrap={**TOKEN, "notBefore": opens.isoformat()})
    await world.sync()

    assert await world.judge() == []
    assert world.told("hold", "outside_window") == 1
    assert world.due_s(world.requests, CSR) == pytest.approx(100, abs=5)


async def test_hold_after_the_window_waits_for_nothing(world: World) -> None:
    """A window that has closed opens by no passing of time."""
    closed = now() - timedelta(seconds=100)
    world.cluster.enroll(bootstrap={**TOKEN, "notAfter": closed.isoformat()})
    await world.sync()

    await world.judge()

    assert world.told("hold", "outside_window") == 1
    assert world.due_s(world.requests, CSR) is None


@pytest.mark.parametrize(("token", "told"), [("abcdef", [1, 0]), ("bbbbbb", [0, 1])])
async def test_audit_mode_writes_nothing(world: World, token: str, told: list[int]) -> None:
    """Under Audit neither an approval nor a denial is recorded or written; it is only told."""
    world.cluster.enroll(bootstrap={"tokenID": token}, mode="Audit")
    await world.sync()

    assert await world.judge() == [READ_ENROLLMENT]
    assert await world.judge() == [READ_ENROLLMENT]

    assert world.cluster.conditions() == []
    assert "joins" not in world.cluster.enrollment()["status"]
    assert [world.told("approve", "bootstrap_approved"), world.told("deny", "token_mismatch")] == told


async def test_audit_seen_only_by_the_fresh_read_writes_nothing(world: World) -> None:
    """An enrollment that was put under Audit unseen is neither recorded in nor approved by."""
    world.cluster.enroll(bootstrap=TOKEN, mode="Audit")

    assert await world.judge() == [RECORD, READ_ENROLLMENT]
    assert world.cluster.conditions() == []


async def test_stranger_is_ignored(world: World) -> None:
    """A request by nobody of ours costs no call, no event and is told once."""
    world.cluster.ask(username="jane", groups=["system:authenticated"])
    await world.sync()

    assert [await world.judge() for _ in range(2)] == [[], []]
    assert world.events() == []
    assert world.told("ignore", "requester_not_managed") == 1


async def test_without_enrollment_is_held(world: World) -> None:
    """A node without an enrollment waits for one."""
    world.cluster.ask(node="node-z")
    await world.sync()

    assert await world.judge() == []
    assert world.told("hold", "not_enrolled") == 1


async def test_unknown_name_is_no_error(world: World) -> None:
    """A name that the store does not have is nothing to do."""
    assert await world.judge("csr-gone") == []


async def test_deleted_before_the_approval_is_no_error(world: World) -> None:
    """A request that is gone when it is to be approved is forgotten."""
    world.cluster.acts[APPROVE].append(lambda: world.cluster.delete_object(CSR_PATH, CSR))

    assert await world.judge() == [RECORD, APPROVE]
    assert world.told("approve", "bootstrap_approved") == 0
    assert world.trouble() == ""


async def test_deleted_between_conflict_and_read_is_no_error(world: World) -> None:
    """A request that conflicts and is gone when it is read again is forgotten."""
    world.cluster.acts[APPROVE].append(lambda: world.cluster.change(CSR_PATH, CSR, metadata={"labels": {"a": "b"}}))
    world.cluster.acts[READ_REQUEST].append(lambda: world.cluster.delete_object(CSR_PATH, CSR))

    assert await world.judge() == [RECORD, APPROVE, READ_REQUEST]
    assert world.told("approve", "bootstrap_approved") == 0


async def test_missing_right_is_noted_and_tried_slowly(world: World) -> None:
    """403 on the approval makes the process not ready, once, and is tried again after half a minute only."""
    world.cluster.answers[APPROVE].append(status(403, "Forbidden"))

    await world.judge()

    assert "403 Forbidden" in world.trouble()
    assert world.due_s(world.requests, CSR) == pytest.approx(REFUSED_RETRY_S, abs=1)
    assert world.told("approve", "bootstrap_approved") == 0

    await world.judge()

    assert world.trouble() == ""
    assert world.cluster.conditions() == [("Approved", "BootstrapApproved")]


async def test_refused_credentials_are_tried_slowly(world: World) -> None:
    """401, once the token was read again, is a person's to mend."""
    world.cluster.answers[APPROVE].extend([status(401, "Unauthorized")] * 2)

    await world.judge()

    assert world.due_s(world.requests, CSR) == pytest.approx(REFUSED_RETRY_S, abs=1)


async def test_trouble_with_a_request_that_is_gone_is_over(world: World) -> None:
    """Once the request that could not be written is gone, nothing keeps the process from being ready."""
    world.cluster.answers[APPROVE].append(status(403, "Forbidden"))
    await world.judge()
    world.cluster.delete_object(CSR_PATH, CSR)
    await world.sync()

    await world.judge()

    assert world.trouble() == ""


async def test_trouble_of_one_request_outlasts_the_hold_of_another(world: World) -> None:
    """A request that is merely held does not say that approvals can be written again."""
    world.cluster.answers[APPROVE].append(status(403, "Forbidden"))
    await world.judge()
    world.cluster.ask(metadata={"name": "csr-z", "uid": "z"}, node="node-z")
    await world.sync()

    await world.judge("csr-z")

    assert world.trouble() != ""


async def test_policy_that_refuses_is_tried_slowly(world: World) -> None:
    """422 on a request that nobody else has decided is a policy's no: not ready, and tried again slowly."""
    world.cluster.answers[APPROVE].append(status(422, "Invalid"))

    assert await world.judge() == [RECORD, APPROVE, READ_REQUEST]
    assert world.trouble() != ""
    assert world.due_s(world.requests, CSR) == pytest.approx(REFUSED_RETRY_S, abs=1)


async def test_contradiction_is_judged_again(world: World) -> None:
    """422 because another has denied meanwhile is told as decided by another, and never overwritten."""
    denied = [{"type": "Denied", "status": "True", "reason": "ByHand", "message": "no"}]

    async def refuse(request: web.Request) -> web.StreamResponse:
        """Let another deny first."""
        world.cluster.change(CSR_PATH, CSR, status={"conditions": denied})
        return await status(422, "Invalid")(request)  # type: ignore[no-any-return]  # an answer's

    world.cluster.answers[APPROVE].append(refuse)
    await world.judge()

    assert world.cluster.conditions() == [("Denied", "ByHand")]
    assert world.told("ignore", "already_decided") == 1
    assert world.told("approve", "bootstrap_approved") == 0


async def test_unreachable_server_is_tried_again_soon(renewing: World) -> None:
    """An enrollment that cannot be read approves nothing; the request is tried again in a second or so."""
    renewing.cluster.answers[READ_ENROLLMENT].extend([drop] * 4)

    assert await renewing.judge() == [READ_ENROLLMENT] * 4
    due = renewing.due_s(renewing.requests, CSR)
    assert due is not None
    assert due <= RETRY_S * 1.5
    assert renewing.cluster.conditions() == []

    assert await renewing.judge() == [READ_ENROLLMENT, APPROVE]


async def test_missing_kind_is_no_missing_enrollment(renewing: World) -> None:
    """404 for the kind itself says nothing about the enrollment: it is tried again, nothing is held as unknown."""
    gone = {"code": 404, "reason": "NotFound", "message": "the server could not find the requested resource"}
    renewing.cluster.answers[READ_ENROLLMENT].append(raw(json.dumps(gone).encode(), 404))

    assert await renewing.judge() == [READ_ENROLLMENT]
    assert renewing.due_s(renewing.requests, CSR) is not None
    assert renewing.told("hold", "not_enrolled", kind="renewal") == 0


async def test_always_changing_request_goes_to_the_end(world: World) -> None:
    """A request that changes at every try is put off, not judged for ever."""

    def touch(call: str) -> None:
        """Change it just before it is written."""
        if call == APPROVE:
            world.cluster.change(CSR_PATH, CSR, metadata={"labels": {"n": str(world.cluster.version)}})

    world.cluster.before_each = touch

    calls = await world.judge()

    assert calls.count(APPROVE) == ROUNDS
    assert world.due_s(world.requests, CSR) == pytest.approx(FACTS_RETRY_S, abs=1)
    assert world.cluster.conditions() == []


async def test_always_changing_enrollment_is_tried_later(world: World) -> None:
    """An enrollment that changes at every try approves nothing; the request is tried again later."""

    def touch(call: str) -> None:
        """Change it just before it is written."""
        if call == RECORD:
            world.cluster.change(ENROLLMENT_PATH, NODE, metadata={"labels": {"n": str(world.cluster.version)}})

    world.cluster.before_each = touch

    assert await world.judge() == [RECORD, *[READ_ENROLLMENT, RECORD] * (ROUNDS - 1)]
    assert world.due_s(world.requests, CSR) == pytest.approx(RETRY_S, abs=RETRY_S)
    assert world.cluster.conditions() == []


async def test_own_metadata_goes_along(world: World) -> None:
    """The approval carries name, uid, version, labels, annotations, owners and finalizers, and no other metadata."""
    own = {
        "labels": {"team": "metal"},
        "annotations": {"note": "x"},
        "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u"}],
        "finalizers": ["example.org/keep"],
    }
    managed = {"managedFields": [{"manager": "kubelet"}], "generateName": "csr-", "selfLink": "/x", "generation": 1}
    world.cluster.change(CSR_PATH, CSR, metadata=own | managed)
    await world.sync()
    before = world.cluster.objects[CSR_PATH][CSR]

    await world.judge()

    (body,) = world.cluster.bodies[APPROVE]
    same = {key: before["metadata"][key] for key in ("name", "uid", "resourceVersion")}
    assert body["metadata"] == own | same
    assert body["spec"] == before["spec"]
    (condition,) = body["status"]["conditions"]
    assert set(body["status"]) == {"conditions"}
    assert (condition["type"], condition["status"], condition["reason"]) == ("Approved", "True", "BootstrapApproved")
