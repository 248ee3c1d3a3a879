"""What an enrollment's conditions say, to the letter: people act on these sentences, and scripts on the reasons.

Rules: each row is one state of an enrollment and everything that its status says about it; a changed sentence
is changed here as well, and in the pages that quote it.
"""

from datetime import timedelta
from ipaddress import ip_network
from typing import Any, NamedTuple

import pytest

from nodegate.enrollment.decide import decide
from nodegate.enrollment.model import (
    Bootstrap,
    CertificateRecord,
    Certificates,
    Condition,
    Enrollment,
    Mode,
    NodeName,
    NodeRef,
    NodeTemplate,
    Phase,
    Rejoin,
    State,
    Status,
    TokenStep,
)
from nodegate.enrollment.node_settings import APPLIED
from nodegate.identity import ReservedIndex
from tests.builders import NOW, make_enrollment, make_surroundings

_WORKS = "Token abcdef works for this node only."
_HOUR = timedelta(hours=1)
_NODE = NodeRef(uid="u", ready="True")
_ISSUE = {"bootstrap": Bootstrap(issue_token=True)}
_TOKEN = Status(token_id="abcdef", token_expires=NOW + _HOUR)  # noqa: S106 - a token's public half
_ISSUED = Status(
    token_id="abcdef",  # noqa: S106 - a token's public half
    token_expires=NOW + _HOUR,
    conditions=(Condition(type="TokenIssued", status="True", reason="TokenIssued", message=_WORKS),),
)
_AWAITS = ("True", "AwaitingJoin", "A request for this node is judged as soon as it comes.")
_NO_TOKEN = ("False", "TokenNotIssued", "No bootstrap token was issued for this node yet.")
_JOINED = ("True", "Joined", "The Node exists; its renewals and serving requests are judged.")
_SUSPENDED = ("False", "Suspended", "spec.state is Suspended: every request is held.")
_ABSENT = ("False", "NodeNotFound", "There is no Node of this name.")
_FOUND = ("True", "NodeFound", "A Node of this name exists.")
_CONSISTENT = ("False", "Consistent", "Nothing needs mending.")
_SETTLED = ("False", "Settled", "The operator has nothing left to do for this generation.")
_MINTED = ("True", "TokenIssued", _WORKS)
_ANOTHER = (
    "Expected the Node that joined (UID old), found another (UID u); its requests are held. If it is the right"
    " machine: kubectl annotate nodeenrollment node-a --overwrite nodegate.dev/accept-node-uid=u."
)
_REPLACED = ("NodeReplaced", _ANOTHER)
_CONFLICT = (
    "EnrollmentConflict",
    "Nothing is approved until only one enrollment lists: 10.0.0.5 (also node-b), fd00::5 (also node-b).",
)
_LISTS_RESERVED = (
    "ReservedIdentity",
    "Nothing is approved until these are taken out of spec: 10.0.0.5 (service network 10.0.0.0/24).",
)


def _reserved() -> ReservedIndex:
    reserved = ReservedIndex()
    reserved.put("cidr", [ip_network("10.0.0.0/24")], "service network")
    return reserved


class Row(NamedTuple):
    """An enrollment, what stands beside it, and what its status says."""

    fields: dict[str, Any]
    beside: dict[str, Any]
    phase: Phase
    ready: tuple[str, str, str]
    joined: tuple[str, str, str] = _ABSENT
    stalled: tuple[str, str, str] = _CONSISTENT
    token: tuple[str, str, str] | None = None
    reconciling: tuple[str, str, str] = _SETTLED
    step: TokenStep = TokenStep.NONE
    others: tuple[Enrollment, ...] = ()

    @property
    def expected(self) -> list[tuple[str, str, str, str]]:
        """The conditions in their order."""
        named = (("Ready", self.ready), ("Joined", self.joined), ("Stalled", self.stalled), ("TokenIssued", self.token))
        return [(kind, *said) for kind, said in (*named, ("Reconciling", self.reconciling)) if said]


def _unacted(*fields: str) -> dict[str, Any]:
    return {"unacted_fields": fields}


_AUDITED = "Mode Audit: verdicts are reported, never written to a request."
_NOT_ACTED = "Accepted, but not acted on by this operator:"
_BOTH = ("node.labels", "bootstrap.token.issue")
ROWS = {
    "awaits-its-node": Row({}, {}, Phase.READY, _AWAITS),
    "joined": Row({}, {"node": _NODE}, Phase.JOINED, _JOINED, _FOUND),
    "suspended": Row({"state": State.SUSPENDED}, {}, Phase.SUSPENDED, _SUSPENDED),
    "revoked": Row(
        {"state": State.REVOKED},
        {},
        Phase.REVOKED,
        ("False", "Revoked", "spec.state is Revoked: every request is denied."),
    ),
    "too-early": Row(
        {"bootstrap": Bootstrap(not_before=NOW + _HOUR)},
        {},
        Phase.PENDING,
        ("False", "WindowNotOpen", "The window opens at 2030-01-31T13:00:00+00:00; until then requests are held."),
    ),
    "too-late": Row(
        {"bootstrap": Bootstrap(not_after=NOW - _HOUR)},
        {},
        Phase.EXPIRED,
        (
            "False",
            "WindowClosed",
            "The window closed at 2030-01-31T11:00:00+00:00 and no Node has joined; move notAfter to reopen.",
        ),
    ),
    "lists-what-is-reserved": Row(
        {},
        {"reserved": _reserved()},
        Phase.PENDING,
        ("False", *_LISTS_RESERVED),
        stalled=("True", *_LISTS_RESERVED),
    ),
    "in-conflict": Row(
        {},
        {},
        Phase.CONFLICT,
        ("False", *_CONFLICT),
        stalled=("True", *_CONFLICT),
        others=(make_enrollment(name=NodeName("node-b")),),
    ),
    "replaced": Row(
        {"rejoin": Rejoin.NEVER, "status": Status(node=NodeRef(uid="old", joined_at=NOW))},
        {"node": _NODE},
        Phase.JOINED,
        ("False", *_REPLACED),
        ("False", *_REPLACED),
        ("True", *_REPLACED),
    ),
    "audited-and-not-acted-on": Row(
        {"mode": Mode.AUDIT, **_unacted("node.labels", "node.taints", "bootstrap.token.issue")},
        {},
        Phase.READY,
        (
            "True",
            "AwaitingJoin",
            f"{_AWAITS[2]} {_AUDITED} {_NOT_ACTED} node.labels, node.taints, bootstrap.token.issue.",
        ),
    ),
    "acted-on": Row(_unacted(*_BOTH), {"manages_nodes": True, "mints": True}, Phase.READY, _AWAITS),
    "acted-on-for-nodes": Row(
        _unacted(*_BOTH),
        {"manages_nodes": True},
        Phase.READY,
        (*_AWAITS[:2], f"{_AWAITS[2]} {_NOT_ACTED} bootstrap.token.issue."),
    ),
    "acted-on-for-tokens": Row(
        _unacted(*_BOTH),
        {"mints": True},
        Phase.READY,
        (*_AWAITS[:2], f"{_AWAITS[2]} {_NOT_ACTED} node.labels."),
    ),
    "token-by-nobody": Row(
        _ISSUE,
        {},
        Phase.PENDING,
        _NO_TOKEN,
        token=(
            "False",
            "NotEnabled",
            "This operator makes no tokens: run it with --issue-tokens, or pin a token with bootstrap.tokenID.",
        ),
    ),
    "token-to-be-made": Row(
        _ISSUE,
        {"mints": True},
        Phase.PENDING,
        _NO_TOKEN,
        token=("False", "Pending", "The operator is about to make a token."),
        reconciling=("True", "TokenPending", "The operator is about to make a token."),
        step=TokenStep.RECORD,
    ),
    "token-recorded": Row(
        _ISSUE | {"status": _TOKEN},
        {"mints": True},
        Phase.PENDING,
        _NO_TOKEN,
        token=("False", "Pending", "The operator is about to make a token."),
        reconciling=("True", "TokenPending", "The operator is about to make a token."),
        step=TokenStep.CREATE,
    ),
    "token-refused": Row(
        _ISSUE,
        {"mints": True, "token_problem": "Expected a Secret, found 403."},
        Phase.PENDING,
        _NO_TOKEN,
        token=("False", "Refused", "Expected a Secret, found 403."),
        step=TokenStep.RECORD,
    ),
    "token-made-now": Row(
        _ISSUE | {"status": _TOKEN}, {"mints": True, "minted": "abcdef"}, Phase.READY, _AWAITS, token=_MINTED
    ),
    "token-made-before": Row(_ISSUE | {"status": _ISSUED}, {"mints": True}, Phase.READY, _AWAITS, token=_MINTED),
    "token-of-an-operator-that-makes-none-now": Row(
        _ISSUE | {"status": _ISSUED}, {}, Phase.READY, _AWAITS, token=_MINTED
    ),
    "token-of-a-node-that-is-there": Row(
        _ISSUE,
        {"mints": True, "node": _NODE},
        Phase.JOINED,
        _JOINED,
        _FOUND,
        token=("False", "NotNeeded", "The Node exists; a token is made again once it is deleted."),
    ),
    "token-to-be-removed": Row(
        _ISSUE | {"status": _ISSUED},
        {"mints": True, "node": _NODE},
        Phase.JOINED,
        _JOINED,
        _FOUND,
        token=("False", "NotNeeded", "The Node exists; a token is made again once it is deleted."),
        step=TokenStep.REMOVE,
    ),
    "token-not-wanted-now": Row(
        _ISSUE | {"state": State.SUSPENDED},
        {"mints": True},
        Phase.SUSPENDED,
        _SUSPENDED,
        token=("False", "NotWanted", f"A token is made once requests can be approved. {_SUSPENDED[2]}"),
    ),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_the_status_says_exactly_this(row: Row) -> None:
    """Phase, every condition with its reason and message, and what is to be done about the token."""
    enrollment = make_enrollment(**row.fields)
    outlook = decide(enrollment, make_surroundings(enrollment, *row.others, **row.beside))

    assert [(c.type, c.status, c.reason, c.message) for c in outlook.conditions] == row.expected
    assert (outlook.phase, outlook.token_step, outlook.node_differs) == (row.phase, row.step, False)


def test_settings_that_are_missing_are_said() -> None:
    """A Node without what spec.node lists is reconciled, and what is to be set is on record before it is."""
    template = NodeTemplate(labels=(("example.com/rack", "r12"),))
    beside: dict[str, Any] = {"node": _NODE, "manages_nodes": True, "present": NodeTemplate()}
    enrollment = make_enrollment(node=template, status=Status(node=_NODE))
    outlook = decide(enrollment, make_surroundings(enrollment, **beside))
    reconciling = next(c for c in outlook.conditions if c.type == "Reconciling")

    assert (reconciling.status, reconciling.reason) == ("True", "NodeSettingsPending")
    assert reconciling.message == "The Node is still to be given what spec.node lists."
    assert (outlook.node_differs, outlook.node.settings) == (True, ("label:example.com/rack",))


@pytest.mark.parametrize(("minutes", "said"), [(-1, "Pending"), (0, "Pending"), (1, "TokenIssued")])
def test_a_token_lives_until_its_end(minutes: int, said: str) -> None:
    """At the very moment of its end it works no longer, and the next one is due."""
    status = Status(
        token_id="abcdef",  # noqa: S106 - a token's public half
        token_expires=NOW + timedelta(minutes=minutes),
        conditions=_ISSUED.conditions,
    )
    enrollment = make_enrollment(**_ISSUE, status=status)
    outlook = decide(enrollment, make_surroundings(enrollment, mints=True, minted="abcdef"))
    token = next(c for c in outlook.conditions if c.type == "TokenIssued")

    assert token.reason == said
    assert outlook.phase is (Phase.READY if minutes > 0 else Phase.PENDING)


_RACK = NodeTemplate(labels=(("example.com/rack", "r12"),))
_SET = NodeRef(uid="u", joined_at=NOW, ready="True", settings=("label:example.com/rack",))
_MANAGED: dict[str, Any] = {"manages_nodes": True, "present": NodeTemplate()}


@pytest.mark.parametrize(
    ("fields", "beside", "reason", "message"),
    [
        (
            {"status": Status(node=_NODE)},
            {"node": _NODE, "node_problem": "Expected 200, found 403."},
            "Refused",
            "Expected 200, found 403.",
        ),
        (
            {"status": Status(node=_NODE)},
            {"node": _NODE},
            "Pending",
            "To be set or taken away on the Node: label:example.com/rack.",
        ),
        (
            {"status": Status(node=_SET), "rejoin": Rejoin.NEVER},
            {"node": NodeRef(uid="v", ready="True")},
            "Pending",
            "Nothing is set on a Node that is another than the one that joined; accept it first.",
        ),
    ],
)
def test_the_nodes_settings_say_why_they_wait(fields: Any, beside: Any, reason: str, message: str) -> None:
    """What refused the last write, what is missing, or that the Node is another."""
    enrollment = make_enrollment(node=_RACK, **fields)
    outlook = decide(enrollment, make_surroundings(enrollment, **_MANAGED, **beside))
    condition = next(c for c in outlook.conditions if c.type == APPLIED)

    assert (condition.status, condition.reason, condition.message) == ("False", reason, message)


@pytest.mark.parametrize("node", [None, NodeRef(uid="v", ready="True")], ids=["gone", "another"])
def test_a_record_of_settings_outlives_its_node(node: NodeRef | None) -> None:
    """With rejoin Never what was set on the Node that joined stays on record while it is gone or another."""
    enrollment = make_enrollment(node=_RACK, rejoin=Rejoin.NEVER, status=Status(node=_SET))

    assert decide(enrollment, make_surroundings(enrollment, node=node, **_MANAGED)).node.settings == _SET.settings


@pytest.mark.parametrize(
    ("ends", "said", "next_change"),
    [
        (NOW + _HOUR, ("True", "Issued", "The certificate issued for csr-s ends at 2030-01-31T13:00:00Z."), True),
        (NOW, ("False", "Ended", "The certificate issued for csr-s ended at 2030-01-31T12:00:00Z."), True),
        (NOW - _HOUR, ("False", "Ended", "The certificate issued for csr-s ended at 2030-01-31T11:00:00Z."), False),
    ],
)
def test_the_serving_certificate_is_said_until_and_after_its_end(
    ends: Any,
    said: tuple[str, str, str],
    next_change: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    """Its end changes the status by the passing of time alone; the client's, which no condition tells, does not."""
    serving = CertificateRecord(serial="0b", not_after=ends, sha256="23" * 32, csr_name="csr-s")
    client = CertificateRecord(serial="0a", not_after=NOW, sha256="45" * 32, csr_name="csr-c")
    enrollment = make_enrollment(status=Status(certificates=Certificates(client=client, serving=serving)))
    outlook = decide(enrollment, make_surroundings(enrollment))
    condition = next(c for c in outlook.conditions if c.type == "ServingCertificateIssued")

    assert (condition.status, condition.reason, condition.message) == said
    assert outlook.next_change == (ends if next_change else None)
