"""A `Judgement` goes in, words come out: condition, event, audit line, explanation.

Rules: requester's text appears only as ``text.visible`` made it. The same sentence is the condition's
message, the event's note and the first line of ``explain``, so nobody has to compare three stories.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple, assert_never

from nodegate.csr.model import RULE_SET_VERSION, Approve, Deny, Finding, Hold, Ignore, Judgement, Verdict
from nodegate.enrollment.model import Enrollment
from nodegate.fields import rfc3339
from nodegate.names import CLI_API_VERSION
from nodegate.text import visible

MESSAGE_LIMIT = 1024
"""Characters of a condition's or event's message: the API's limit for an event's note."""


class EventText(NamedTuple):
    """What an event says about a verdict."""

    type: Literal["Normal", "Warning"]
    reason: str
    action: str
    note: str


def verdict_name(verdict: Verdict) -> str:
    """Return ``Approve``, ``Deny``, ``Hold`` or ``Ignore``."""
    return type(verdict).__name__


def message(judgement: Judgement) -> str:
    """Return the verdict's grounds in one line: what allowed it, or every failed rule."""
    match judgement.verdict:
        case Approve():
            text = f"Allowed by {_allower(judgement.enrollment)}; every rule holds (rule set {RULE_SET_VERSION})."
        case Deny() | Hold() | Ignore():
            text = " ".join(sentence(finding) for finding in judgement.failures)
        case _:
            assert_never(judgement.verdict)
    return text if len(text) <= MESSAGE_LIMIT else text[: MESSAGE_LIMIT - 1] + "…"


def _allower(enrollment: Enrollment | None) -> str:
    if enrollment is None:
        return "nobody"
    generation = f" (generation {enrollment.generation})" if enrollment.generation is not None else ""
    return f"NodeEnrollment {enrollment.name}{generation}"


def sentence(finding: Finding) -> str:
    """Return one failed rule as ``Reason: expected …, found ….``."""
    return f"{finding.reason}: expected {finding.expected}, found {finding.found}."


def condition(judgement: Judgement, now: datetime) -> Mapping[str, str] | None:
    """Return the condition to write to the request, or None where nothing is to be written."""
    match judgement.verdict:
        case Approve(reason=reason):
            kind = "Approved"
        case Deny(reasons=(reason, *_)):
            kind = "Denied"
        case Deny() | Hold() | Ignore():
            return None
        case _:
            assert_never(judgement.verdict)
    return {
        "type": kind,
        "status": "True",
        "reason": str(reason),
        "message": message(judgement),
        "lastUpdateTime": rfc3339(now),
    }


def event(judgement: Judgement) -> EventText | None:
    """Return the event for a change of verdict, or None: approvals of running nodes and strangers make none."""
    match judgement.verdict:
        case Deny(reasons=(reason, *_)):
            return EventText("Warning", str(reason), "Deny", message(judgement))
        case Hold(reasons=(reason, *_)):
            return EventText("Warning", str(reason), "Hold", message(judgement))
        case Approve() | Deny() | Hold() | Ignore():
            return None
        case _:
            assert_never(judgement.verdict)


def audit(judgement: Judgement, *, mode: str, seconds: float) -> Mapping[str, Any]:
    """Return the fields of the audit line: who asked for what, what was decided, by which facts."""
    csr, enrollment = judgement.csr, judgement.enrollment
    return {
        "type": "audit",
        "csr": visible(csr.name, 253),
        "csrUID": csr.uid,
        "signer": visible(csr.signer, 253),
        "kind": csr.kind,
        "requester": visible(csr.username, 253),
        "node": csr.node_name,
        "publicKeySHA256": csr.pkcs10.public_key_sha256 if csr.pkcs10 else None,
        "credentialID": csr.credential_id,
        "enrollmentUID": enrollment.uid if enrollment else None,
        "enrollmentGeneration": enrollment.generation if enrollment else None,
        "verdict": verdict_name(judgement.verdict),
        "reasons": [str(reason) for reason in judgement.reasons],
        "mode": mode,
        "ruleSet": RULE_SET_VERSION,
        "seconds": round(seconds, 6),
        "message": message(judgement),
    }


def explanation(judgement: Judgement) -> dict[str, Any]:
    """Return the ``Explanation`` object of design §12, ready for JSON or YAML."""
    csr, enrollment = judgement.csr, judgement.enrollment
    return {
        "apiVersion": CLI_API_VERSION,
        "kind": "Explanation",
        "csr": {
            "name": csr.name,
            "uid": csr.uid,
            "signerName": csr.signer,
            "username": csr.username,
            "nodeName": csr.node_name,
        },
        "verdict": verdict_name(judgement.verdict),
        "reasons": [str(reason) for reason in judgement.reasons],
        "message": message(judgement),
        "enrollment": {"name": enrollment.name, "generation": enrollment.generation} if enrollment else None,
        "rules": [_rule(finding) for finding in judgement.findings],
    }


def _rule(finding: Finding) -> dict[str, Any]:
    return {
        "stage": finding.stage,
        "reason": str(finding.reason),
        "result": str(finding.result),
        "expected": finding.expected,
        "found": finding.found,
    }
