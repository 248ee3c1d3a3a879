"""The steps of a one-node token's life, and the Secret that it is."""

import base64
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from nodegate.cli.tokens import parse_token
from nodegate.enrollment.decide import decide
from nodegate.enrollment.model import Bootstrap, Condition, Enrollment, NodeRef, Outlook, State, Status, TokenStep
from nodegate.enrollment.parse import parse_enrollment
from nodegate.enrollment.tokens import issued_text, record_patch, removal_patch, secret, token_step
from nodegate.names import BOOTSTRAP_GROUP, NODEGATE_GROUP
from tests.builders import NOW, make_enrollment, make_surroundings

_ID, _HALF = "abc123", "0123456789abcdef"
_HOUR = timedelta(hours=1)
_NODE = NodeRef(uid="u", ready="True")


def _enrollment(*, issue: bool = True, issued: str | None = None, **fields: Any) -> Enrollment:
    said = (
        (Condition(type="TokenIssued", status="True", reason="TokenIssued", message=issued_text(issued)),)
        if issued
        else ()
    )
    status = Status(conditions=said, **{key: fields.pop(key) for key in ("token_id", "token_expires") if key in fields})
    return make_enrollment(bootstrap=Bootstrap(issue_token=issue), status=status, **fields)


def _recorded(**fields: Any) -> Enrollment:
    given: dict[str, Any] = {"token_id": _ID, "token_expires": NOW + _HOUR}
    return _enrollment(**given | fields)


def _outlook(enrollment: Enrollment, **around: Any) -> Outlook:
    return decide(enrollment, make_surroundings(enrollment, **{"mints": True, **around}))


def _said(outlook: Outlook, kind: str) -> tuple[str, str]:
    condition = next(condition for condition in outlook.conditions if condition.type == kind)
    return condition.status, condition.reason


@pytest.mark.parametrize(
    ("enrollment", "around", "expected"),
    [
        (_enrollment(), {}, TokenStep.RECORD),
        (_enrollment(), {"node": _NODE}, TokenStep.NONE),
        (_enrollment(issue=False), {}, TokenStep.NONE),
        (_enrollment(state=State.SUSPENDED), {}, TokenStep.NONE),
        (_recorded(), {}, TokenStep.CREATE),
        (_recorded(), {"minted": _ID}, TokenStep.NONE),
        (_recorded(), {"minted": "zzzzzz"}, TokenStep.CREATE),
        (_recorded(issued=_ID), {}, TokenStep.NONE),
        (_recorded(issued="zzzzzz"), {}, TokenStep.CREATE),
        (_recorded(issued=_ID), {"node": _NODE}, TokenStep.REMOVE),
        (_recorded(issued=_ID, issue=False), {}, TokenStep.REMOVE),
        (_recorded(issued=_ID, state=State.REVOKED), {}, TokenStep.REMOVE),
        (_recorded(issued=_ID, state=State.SUSPENDED), {}, TokenStep.NONE),
        (_recorded(state=State.SUSPENDED), {}, TokenStep.NONE),
        (_recorded(token_expires=NOW, issued=_ID), {}, TokenStep.REMOVE),
        (_recorded(token_expires=None), {}, TokenStep.REMOVE),
        (_recorded(issued=_ID), {"node": _NODE, "mints": False}, TokenStep.NONE),
        (_enrollment(), {"mints": False}, TokenStep.NONE),
    ],
)
def test_steps(enrollment: Enrollment, around: dict[str, Any], expected: TokenStep) -> None:
    """Recorded, then created, then removed; what was said of another token counts for nothing."""
    assert _outlook(enrollment, **around).token_step is expected


def test_a_token_that_ends_is_followed_by_a_new_one() -> None:
    """At its end it is removed, and the enrollment that still waits gets a new one, not the old id again."""
    ended = _recorded(token_expires=NOW, issued=_ID)
    waits: dict[str, bool] = {"awaits_node": True, "has_node": False, "issued": True}
    assert token_step(ended, NOW - timedelta(seconds=1), **waits) is TokenStep.NONE
    assert token_step(ended, NOW, **waits) is TokenStep.REMOVE
    forgotten = replace(ended, status=replace(ended.status, token_id=None, token_expires=None))
    assert token_step(forgotten, NOW, **waits) is TokenStep.RECORD


@pytest.mark.parametrize(
    ("enrollment", "around", "ready", "token", "reconciling"),
    [
        (_enrollment(), {}, "TokenNotIssued", ("False", "Pending"), "True"),
        (_recorded(), {}, "TokenNotIssued", ("False", "Pending"), "True"),
        (_recorded(), {"minted": _ID}, "AwaitingJoin", ("True", "TokenIssued"), "False"),
        (_recorded(issued=_ID), {}, "AwaitingJoin", ("True", "TokenIssued"), "False"),
        (_recorded(issued=_ID), {"mints": False}, "AwaitingJoin", ("True", "TokenIssued"), "False"),
        (_recorded(issued=_ID, token_expires=NOW), {}, "TokenNotIssued", ("False", "Pending"), "True"),
        (_recorded(), {"token_problem": "No right."}, "TokenNotIssued", ("False", "Refused"), "False"),
        (_recorded(issued=_ID), {"node": _NODE}, "Joined", ("False", "NotNeeded"), "False"),
        (_enrollment(), {"mints": False}, "TokenNotIssued", ("False", "NotEnabled"), "False"),
        (_enrollment(state=State.SUSPENDED), {}, "Suspended", ("False", "NotWanted"), "False"),
        (_recorded(issued=_ID, state=State.SUSPENDED), {}, "Suspended", ("True", "TokenIssued"), "False"),
    ],
)
def test_what_the_status_says(
    enrollment: Enrollment, around: dict[str, Any], ready: str, token: tuple[str, str], reconciling: str
) -> None:
    """An enrollment is Ready only once its token works, and Reconciling while the operator is about to make it."""
    outlook = _outlook(enrollment, **around)
    assert _said(outlook, "Ready")[1] == ready
    assert _said(outlook, "TokenIssued") == token
    assert _said(outlook, "Reconciling")[0] == reconciling


def test_the_end_of_a_token_wakes_the_enrollment() -> None:
    """Time alone makes it expire, so somebody has to look again then."""
    assert _outlook(_recorded(issued=_ID)).next_change == NOW + _HOUR


def test_the_record_is_read_back() -> None:
    """What is recorded carries the judged version and no secret, and is what parsing finds; removal takes it away."""
    enrollment = make_enrollment(bootstrap=Bootstrap(issue_token=True, token_ttl=_HOUR), resource_version="42")
    patch = record_patch(enrollment, _ID, NOW)

    assert patch["metadata"] == {"resourceVersion": "42"}
    assert patch["status"]["bootstrap"]["secretRef"] == {"namespace": "kube-system", "name": f"bootstrap-token-{_ID}"}
    body = {"metadata": {"name": "node-a"}, "spec": {"bootstrap": {"token": {"issue": True}}}, **patch}
    status = parse_enrollment(body | {"metadata": {"name": "node-a"}}).status
    assert (status.token_id, status.token_expires) == (_ID, NOW + _HOUR)
    assert removal_patch(enrollment) == {"metadata": {"resourceVersion": "42"}, "status": {"bootstrap": None}}


@pytest.mark.parametrize("group", [BOOTSTRAP_GROUP, NODEGATE_GROUP, f"{BOOTSTRAP_GROUP}:metal"])
def test_the_secret_is_a_token_that_works(group: str) -> None:
    """The plugin reads it as an enabled token of the operator's group with an end; its owner is the enrollment."""
    body = secret(replace(_recorded(), uid="u-1"), _HALF, group)
    stored = {key: base64.b64encode(text.encode()).decode() for key, text in body["stringData"].items()}
    token = parse_token({**body, "data": stored})

    assert (token.id, token.secret, token.expires) == (_ID, _HALF, NOW + _HOUR)
    assert token.groups == {BOOTSTRAP_GROUP, NODEGATE_GROUP, group}
    assert token.fault(NOW) is None
    assert token.fault(NOW + _HOUR) is not None
    (owner,) = body["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("NodeEnrollment", "node-a", "u-1")
    assert json.dumps(body).count(_HALF) == 1
