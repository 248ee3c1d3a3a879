"""The phase and conditions of an enrollment."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest

from nodegate.enrollment.decide import decide
from nodegate.enrollment.model import (
    Bootstrap,
    Enrollment,
    Join,
    Mode,
    NodeName,
    NodeRef,
    Outlook,
    Phase,
    Rejoin,
    State,
    Status,
)
from nodegate.identity import ReservedIndex
from tests.builders import NOW, make_enrollment, make_surroundings

_HOUR = timedelta(hours=1)
_NODE = NodeRef(uid="u", ready="True")
_ISSUE = Bootstrap(issue_token=True)
_LATER, _EARLIER = Bootstrap(not_before=NOW + _HOUR), Bootstrap(not_after=NOW - _HOUR)


def _outlook(enrollment: Enrollment, *others: Enrollment, node: NodeRef | None = None, **rest: Any) -> Outlook:
    return decide(enrollment, make_surroundings(enrollment, *others, node=node, **rest))


def _said(outlook: Outlook, kind: str) -> tuple[str, str]:
    condition = next(condition for condition in outlook.conditions if condition.type == kind)
    return condition.status, condition.reason


@pytest.mark.parametrize(
    ("fields", "node", "phase", "ready"),
    [
        ({}, None, Phase.READY, ("True", "AwaitingJoin")),
        ({}, _NODE, Phase.JOINED, ("True", "Joined")),
        ({"state": State.SUSPENDED}, _NODE, Phase.SUSPENDED, ("False", "Suspended")),
        ({"state": State.REVOKED}, _NODE, Phase.REVOKED, ("False", "Revoked")),
        ({"bootstrap": _LATER}, None, Phase.PENDING, ("False", "WindowNotOpen")),
        ({"bootstrap": _LATER}, _NODE, Phase.JOINED, ("True", "Joined")),
        ({"bootstrap": _EARLIER}, None, Phase.EXPIRED, ("False", "WindowClosed")),
        ({"bootstrap": _EARLIER}, _NODE, Phase.JOINED, ("True", "Joined")),
        ({"bootstrap": Bootstrap(not_before=NOW)}, None, Phase.READY, ("True", "AwaitingJoin")),
        ({"bootstrap": Bootstrap(not_after=NOW)}, None, Phase.READY, ("True", "AwaitingJoin")),
        ({"bootstrap": _ISSUE}, None, Phase.PENDING, ("False", "TokenNotIssued")),
    ],
)
def test_phase_and_readiness(fields: Any, node: NodeRef | None, phase: Phase, ready: tuple[str, str]) -> None:
    """State first, then the Node, then the window, then the token."""
    outlook = _outlook(make_enrollment(**fields), node=node)

    assert (outlook.phase, _said(outlook, "Ready")) == (phase, ready)
    assert _said(outlook, "Stalled") == ("False", "Consistent")
    assert _said(outlook, "Joined")[0] == str(node is not None)


def test_a_reserved_identity_stalls() -> None:
    """Also with a Node: nothing is approved until it is mended, and the message names the culprit."""
    reserved = ReservedIndex()
    reserved.put("cidr", [ip_network("10.0.0.0/24")], "service network")

    outlook = _outlook(make_enrollment(), reserved=reserved, node=_NODE)

    assert outlook.phase is Phase.PENDING
    assert _said(outlook, "Ready") == ("False", "ReservedIdentity")
    assert _said(outlook, "Stalled") == ("True", "ReservedIdentity")
    assert "10.0.0.5 (service network 10.0.0.0/24)" in outlook.conditions[0].message


def test_a_conflict_stalls_and_names_the_other() -> None:
    """Both see each other named."""
    other = make_enrollment(name=NodeName("node-b"))

    for one, two in ((make_enrollment(), other), (other, make_enrollment())):
        outlook = _outlook(one, two)

        assert (outlook.phase, _said(outlook, "Stalled")) == (Phase.CONFLICT, ("True", "EnrollmentConflict"))
        assert str(two.name) in outlook.conditions[0].message


def test_a_revoked_or_suspended_enrollment_is_not_stalled() -> None:
    """What was switched off on purpose needs no mending."""
    other = make_enrollment(name=NodeName("node-b"))

    for state in (State.REVOKED, State.SUSPENDED):
        assert _said(_outlook(make_enrollment(state=state), other), "Stalled") == ("False", "Consistent")


def test_audit_mode_and_unacted_fields_are_told() -> None:
    """The Ready message says what somebody could be surprised by."""
    outlook = _outlook(make_enrollment(mode=Mode.AUDIT, unacted_fields=("node.labels",)))

    assert "Mode Audit" in outlook.conditions[0].message
    assert "node.labels" in outlook.conditions[0].message


def test_the_token_condition_is_there_when_a_token_is_asked_for() -> None:
    """No such condition otherwise."""
    assert _said(_outlook(make_enrollment(bootstrap=_ISSUE)), "TokenIssued")[0] == "False"
    assert "TokenIssued" not in {condition.type for condition in _outlook(make_enrollment()).conditions}


def test_the_join_moment_stays_for_the_same_node() -> None:
    """A Node keeps when it joined; another UID joins anew; no Node has none."""
    joined = NodeRef(uid="u", joined_at=NOW - _HOUR, ready="False")
    enrollment = make_enrollment(status=Status(node=joined))

    assert _outlook(enrollment, node=_NODE).node == replace(joined, ready="True")
    assert _outlook(enrollment, node=NodeRef(uid="v", ready="True")).node.joined_at == NOW
    assert _outlook(enrollment).node == NodeRef()


_RECORDED = NodeRef(uid="u", joined_at=NOW - _HOUR, ready="True")
_JOIN = Join(public_key_sha256="k", csr_uid="u", csr_name="c", requester="r", time=NOW)
_NEVER: dict[str, Any] = {"rejoin": Rejoin.NEVER, "status": Status(node=_RECORDED)}


def test_never_keeps_the_record_of_a_node_that_is_replaced() -> None:
    """Gone, then registered anew: the first UID stays, and the status says what to do."""
    gone = _outlook(make_enrollment(**_NEVER))
    status = Status(node=gone.node, conditions=gone.conditions)
    outlook = _outlook(make_enrollment(**(_NEVER | {"status": status})), node=NodeRef(uid="v", ready="False"))

    assert gone.node == replace(_RECORDED, ready=None)
    assert outlook.node == replace(_RECORDED, ready="False")
    assert _said(outlook, "Joined") == ("False", "NodeReplaced")
    assert (outlook.phase, _said(outlook, "Ready")) == (Phase.JOINED, ("False", "NodeReplaced"))
    assert _said(outlook, "Stalled") == ("True", "NodeReplaced")
    message = next(condition.message for condition in outlook.conditions if condition.type == "Joined")
    assert "kubectl annotate nodeenrollment node-a --overwrite nodegate.dev/accept-node-uid=v." in message


@pytest.mark.parametrize(
    "fields",
    [
        {"accepted_node_uid": "v"},
        {"rejoin": Rejoin.WHEN_GONE},
        {"rejoin": Rejoin.WHEN_NOT_READY},
        {"rejoin": Rejoin.ALWAYS},
        {"status": Status(node=_RECORDED, joins=(_JOIN,))},
        {"status": Status()},
    ],
    ids=["accepted", "when-gone", "when-not-ready", "always", "newer-join", "never-recorded"],
)
def test_another_node_that_may_follow_is_recorded(fields: dict[str, Any]) -> None:
    """Its UID, and that it joined now, so that the next one has to be accepted again."""
    outlook = _outlook(make_enrollment(**(_NEVER | fields)), node=NodeRef(uid="v", ready="True"))

    assert outlook.node == NodeRef(uid="v", joined_at=NOW, ready="True")
    assert _said(outlook, "Joined") == ("True", "NodeFound")
    assert _said(outlook, "Stalled") == ("False", "Consistent")


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (None, None, None),
        (NOW + _HOUR, NOW + 2 * _HOUR, NOW + _HOUR),
        (NOW - _HOUR, NOW + _HOUR, NOW + _HOUR),
        (NOW - 2 * _HOUR, NOW - _HOUR, None),
        (NOW, None, NOW),
    ],
)
def test_the_next_bound_of_the_window(start: Any, end: Any, expected: Any) -> None:
    """When the passing of time alone changes the status."""
    enrollment = make_enrollment(bootstrap=Bootstrap(not_before=start, not_after=end))

    assert _outlook(enrollment).next_change == expected


def test_every_condition_has_a_reason_and_a_message() -> None:
    """By the API conventions both are mandatory."""
    for state in State:
        for condition in _outlook(make_enrollment(state=state, bootstrap=_ISSUE)).conditions:
            assert condition.reason.isidentifier()
            assert condition.message.endswith(".")
            assert condition.status in {"True", "False", "Unknown"}
