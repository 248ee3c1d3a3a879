"""A signing request goes in, what somebody has decided about it comes out.

Rules: pure. Nothing in a request proves who decided it (API servers keep no field managers for
requests); the reasons that the known approvers write are taken for a hint, and said to be one.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from nodegate.csr.model import Reason
from nodegate.fields import Fields
from nodegate.text import visible

_WRITERS: Mapping[str, str] = {
    "AutoApproved": "the controller manager's own approver",
    "KubectlApprove": "kubectl certificate approve",
    "KubectlDeny": "kubectl certificate deny",
}
"""Reasons that Kubernetes' own programs write (kubernetes, certificates/approver and kubectl certificates)."""

_MESSAGE_LIMIT = 1024


class Decision(NamedTuple):
    """One condition of a request, safe to print."""

    type: str
    reason: str
    message: str
    by: str
    """Who wrote it, in words; empty when that cannot be told."""

    time: datetime | None


def decisions(body: Mapping[str, Any]) -> tuple[Decision, ...]:
    """Return the conditions of a request, in order.

    Raises:
        Malformed: A field has the wrong type.
    """
    return tuple(
        Decision(
            type=visible(condition.text("type")),
            reason=visible(condition.text("reason")),
            message=visible(condition.text("message"), _MESSAGE_LIMIT),
            by=_writer(condition.text("reason")),
            time=condition.moment("lastUpdateTime") or condition.moment("lastTransitionTime"),
        )
        for condition in Fields(body).child("status").children("conditions")
    )


def _writer(reason: str) -> str:
    if reason in {member.value for member in Reason}:
        return "nodegate (as its reason says)"
    return f"{_WRITERS[reason]} (as its reason says)" if reason in _WRITERS else ""


def undecided(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the request as it was before anybody decided: no condition, no certificate."""
    status = body.get("status")
    if not isinstance(status, Mapping):
        return body
    kept = {key: value for key, value in status.items() if key not in {"conditions", "certificate"}}
    return {**body, "status": kept}
