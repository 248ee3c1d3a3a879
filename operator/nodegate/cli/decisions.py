"""A signing request goes in, what somebody has decided about it comes out.

Rules: pure. Who decided is told by the field manager of the approval when the object carries it, else
guessed from the reason that the known approvers write, and then said to be a guess.
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
    root = Fields(body)
    manager = _manager(root)
    return tuple(
        Decision(
            type=visible(condition.text("type")),
            reason=visible(condition.text("reason")),
            message=visible(condition.text("message"), _MESSAGE_LIMIT),
            by=f"field manager {manager}" if manager else _writer(condition.text("reason")),
            time=condition.moment("lastUpdateTime") or condition.moment("lastTransitionTime"),
        )
        for condition in root.child("status").children("conditions")
    )


def _manager(root: Fields) -> str:
    """Return the manager of the ``approval`` subresource when there is exactly one, else nothing."""
    entries = root.child("metadata").children("managedFields")
    managers = {entry.text("manager") for entry in entries if entry.text("subresource") == "approval"}
    return visible(managers.pop()) if len(managers) == 1 else ""


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
