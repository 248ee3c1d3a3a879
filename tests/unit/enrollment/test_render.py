"""Status patches: what they say, when there is none, and that reading them back gives the same status."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hack.vectors import manifests as m
from nodegate.enrollment.claims import ClaimIndex
from nodegate.enrollment.decide import Surroundings, decide
from nodegate.enrollment.model import Condition, Decided, Enrollment, Join, NodeRef, State, Status
from nodegate.enrollment.parse import parse_enrollment
from nodegate.enrollment.render import JOINS_KEPT, join_patch, status_patch
from nodegate.identity import ReservedIndex
from tests.builders import NOW, make_enrollment

_LATER = NOW + timedelta(hours=1)
_DECIDED = Decided(csr_name="csr-1", verdict="Hold", reason="NotEnrolled", message="m", time=NOW)


def _patch(enrollment: Enrollment, decided: Decided | None = None, now: Any = NOW, node: NodeRef | None = None) -> Any:
    claims = ClaimIndex([enrollment])
    around = Surroundings(claims=claims, reserved=ReservedIndex(), node=node, now=now)
    return status_patch(enrollment, decide(enrollment, around), decided, now)


def _applied(enrollment: Enrollment, patch: Any) -> Enrollment:
    """Return the enrollment as it is read back once the API server has merged the patch into its status."""
    body = m.enrollment(str(enrollment.name), {}, status=patch["status"])
    status = parse_enrollment(body).status
    kept = enrollment.status
    joins = (status.joins, status.join_count) if "joins" in patch["status"] else (kept.joins, kept.join_count)
    if "phase" not in patch["status"]:
        return replace(enrollment, status=replace(kept, joins=joins[0], join_count=joins[1]))
    return replace(enrollment, status=replace(status, joins=joins[0], join_count=joins[1], token_id=kept.token_id))


def _join(number: int) -> Join:
    return Join(
        public_key_sha256=f"{number:064x}",
        csr_uid=f"uid-{number}",
        csr_name=f"csr-{number}",
        requester="system:bootstrap:abcdef",
        time=NOW,
    )


def test_the_first_patch_says_everything() -> None:
    """Generation, phase, conditions with their moments, and the resourceVersion that was judged."""
    patch = _patch(make_enrollment(generation=3))
    conditions = {condition["type"]: condition for condition in patch["status"]["conditions"]}

    assert patch["metadata"] == {"resourceVersion": "100"}
    assert (patch["status"]["observedGeneration"], patch["status"]["phase"]) == (3, "Ready")
    assert set(conditions) == {"Ready", "Joined", "Stalled", "Reconciling"}
    assert {condition["observedGeneration"] for condition in conditions.values()} == {3}
    assert {condition["lastTransitionTime"] for condition in conditions.values()} == {"2030-01-31T12:00:00Z"}
    assert "lastDecision" not in patch["status"]


def test_no_patch_when_nothing_changed() -> None:
    """What was written and read back needs no second write, however much time has passed."""
    enrollment = make_enrollment()
    written = _applied(enrollment, _patch(enrollment))

    assert _patch(written) is None
    assert _patch(written, now=_LATER) is None


def test_no_patch_while_a_node_stays() -> None:
    """Microseconds of a clock do not make a difference that is written again and again."""
    enrollment, node = make_enrollment(), NodeRef(uid="u", ready="True")
    moment = NOW.replace(microsecond=123456)
    written = _applied(enrollment, _patch(enrollment, now=moment, node=node))

    assert _patch(written, now=moment + timedelta(seconds=5), node=node) is None


def test_a_transition_moves_the_moment_and_only_of_what_flipped() -> None:
    """Ready flips and gets the new moment; Stalled stays False and keeps its own."""
    written = _applied(make_enrollment(), _patch(make_enrollment()))
    suspended = replace(written, state=State.SUSPENDED, generation=2)

    conditions = {c["type"]: c for c in _patch(suspended, now=_LATER)["status"]["conditions"]}

    assert conditions["Ready"]["lastTransitionTime"] == "2030-01-31T13:00:00Z"
    assert conditions["Stalled"]["lastTransitionTime"] == "2030-01-31T12:00:00Z"
    assert conditions["Stalled"]["observedGeneration"] == 2


def test_a_new_reason_alone_keeps_the_moment() -> None:
    """Suspended to Revoked: Ready is False before and after."""
    suspended = make_enrollment(state=State.SUSPENDED)
    written = _applied(suspended, _patch(suspended))

    conditions = {
        c["type"]: c for c in _patch(replace(written, state=State.REVOKED), now=_LATER)["status"]["conditions"]
    }

    assert conditions["Ready"]["reason"] == "Revoked"
    assert conditions["Ready"]["lastTransitionTime"] == "2030-01-31T12:00:00Z"


def test_conditions_of_other_types_stay() -> None:
    """A condition that this code does not speak of is carried along."""
    bypassed = Condition(type="ApprovalBypassed", status="True", reason="ForeignApproval", message="by jane")
    enrollment = make_enrollment(status=Status(conditions=(bypassed,)))

    types = [condition["type"] for condition in _patch(enrollment)["status"]["conditions"]]

    assert types == ["ApprovalBypassed", "Ready", "Joined", "Stalled", "Reconciling"]


def test_the_last_decision_is_written_and_kept() -> None:
    """It comes with a decision, and a later patch without one keeps it."""
    patch = _patch(make_enrollment(), _DECIDED)
    written = _applied(make_enrollment(), patch)

    assert patch["status"]["lastDecision"] == {
        "csrName": "csr-1",
        "verdict": "Hold",
        "reason": "NotEnrolled",
        "message": "m",
        "time": "2030-01-31T12:00:00Z",
    }
    assert _patch(replace(written, state=State.SUSPENDED))["status"]["lastDecision"] == patch["status"]["lastDecision"]


def test_a_node_that_is_gone_is_taken_away() -> None:
    """Nulls in a merge patch remove the fields."""
    node = NodeRef(uid="u", joined_at=NOW, ready="True")

    patch = _patch(make_enrollment(status=Status(node=node)))

    assert patch["status"]["node"] == {"uid": None, "joinedAt": None, "ready": None, "settings": None}


def test_a_join_is_recorded_newest_first() -> None:
    """The key, the request and the requester, counted once."""
    patch = join_patch(make_enrollment(), _join(1))

    assert patch == {
        "metadata": {"resourceVersion": "100"},
        "status": {
            "joins": [
                {
                    "publicKeySHA256": f"{1:064x}",
                    "csrUID": "uid-1",
                    "csrName": "csr-1",
                    "requester": "system:bootstrap:abcdef",
                    "time": "2030-01-31T12:00:00Z",
                }
            ],
            "joinCount": 1,
        },
    }


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, JOINS_KEPT - 1), max_size=30))
def test_join_count_is_of_distinct_keys(numbers: list[int]) -> None:
    """With no more keys than are kept, the count is exactly that of distinct keys, and the newest stands first."""
    enrollment = make_enrollment()
    for number in numbers:
        enrollment = _applied(enrollment, join_patch(enrollment, _join(number)))

    assert enrollment.status.join_count == len(set(numbers))
    assert len(enrollment.status.joins) == len(set(numbers))
    assert [join.csr_name for join in enrollment.status.joins[:1]] == [f"csr-{number}" for number in numbers[-1:]]


def test_a_retry_keeps_the_time_of_its_join() -> None:
    """The newest key asking again announces no new Node; an older key that comes back does."""
    enrollment, later = make_enrollment(), NOW + timedelta(hours=1)
    for join in (_join(1), replace(_join(1), csr_name="csr-again", time=later)):
        enrollment = _applied(enrollment, join_patch(enrollment, join))
    (retried,) = enrollment.status.joins
    for join in (_join(2), replace(_join(1), time=later)):
        enrollment = _applied(enrollment, join_patch(enrollment, join))

    assert (retried.csr_name, retried.time) == ("csr-again", NOW)
    assert enrollment.status.joins[0].time == later


def test_ten_joins_are_kept_and_all_counted() -> None:
    """The oldest entries go, the count stays."""
    enrollment = make_enrollment()
    for number in range(JOINS_KEPT + 3):
        enrollment = _applied(enrollment, join_patch(enrollment, _join(number)))

    assert len(enrollment.status.joins) == JOINS_KEPT == 10
    assert enrollment.status.join_count == JOINS_KEPT + 3
    assert enrollment.status.joins[0].csr_name == f"csr-{JOINS_KEPT + 2}"


def test_a_status_without_a_phase_is_written_with_one() -> None:
    """Only what parses back the same counts as unchanged."""
    assert _patch(make_enrollment(status=Status(observed_generation=1)))["status"]["phase"] == "Ready"
