"""What is decided about an enrollment, worded as JSON merge patches of its status.

Rules: a condition's lastTransitionTime moves only when its status flips; conditions of other types
stay as they are; every condition and the status itself carry the generation they speak of. A patch
carries the resourceVersion it was judged at, so it never overwrites what it has not seen.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any

from nodegate.conditions import condition_body
from nodegate.enrollment.model import (
    CertificateRecord,
    Certificates,
    Condition,
    Decided,
    Enrollment,
    Join,
    NodeRef,
    Outlook,
    Status,
)
from nodegate.fields import rfc3339
from nodegate.names import NAME_LIMIT
from nodegate.text import visible

JOINS_KEPT = 10
"""Entries of ``status.joins``; ``status.joinCount`` goes on counting."""

REQUESTER_LIMIT = 1024
"""Characters of a requester's name in the status, the schema's limit."""


def status_patch(enrollment: Enrollment, outlook: Outlook, decided: Decided | None, now: datetime) -> Any | None:
    """Return the patch that makes the status say what was decided, or None when it does."""
    status = replace(
        enrollment.status,
        observed_generation=enrollment.generation,
        phase=outlook.phase,
        conditions=_merged(enrollment, outlook, now),
        node=outlook.node,
        certificates=outlook.certificates,
        last_decision=decided or enrollment.status.last_decision,
    )
    return None if status == enrollment.status else _patch(enrollment, _body(status))


def join_patch(enrollment: Enrollment, join: Join) -> Any:
    """Return the patch that records a key before it is approved: newest first, ten kept, distinct keys counted.

    The newest join's own key is a retry and keeps its time: asking again announces no new Node.
    """
    newest = next(iter(enrollment.status.joins), None)
    if newest is not None and newest.public_key_sha256 == join.public_key_sha256:
        join = replace(join, time=newest.time)
    others = tuple(j for j in enrollment.status.joins if j.public_key_sha256 != join.public_key_sha256)
    new = 0 if len(others) < len(enrollment.status.joins) else 1
    kept = (join, *others)[:JOINS_KEPT]
    body = {"joins": [_join(entry) for entry in kept], "joinCount": enrollment.status.join_count + new}
    return _patch(enrollment, body)


def _patch(enrollment: Enrollment, status: Any) -> Any:
    return {"metadata": {"resourceVersion": enrollment.resource_version}, "status": status}


def _merged(enrollment: Enrollment, outlook: Outlook, now: datetime) -> tuple[Condition, ...]:
    """Return the recorded conditions, those of the outlook's types replaced."""
    fresh = {condition.type: condition for condition in outlook.conditions}
    dated = {kind: _dated(enrollment, condition, now) for kind, condition in fresh.items()}
    # Each keeps its place, so that one which has nothing new to say causes no write.
    return tuple(({condition.type: condition for condition in enrollment.status.conditions} | dated).values())


def _dated(enrollment: Enrollment, condition: Condition, now: datetime) -> Condition:
    before = enrollment.condition(condition.type)
    flipped = before is None or before.status != condition.status or before.last_transition is None
    since = condition.last_transition or now  # Some conditions know since when they hold.
    moment = since.replace(microsecond=0) if flipped or before is None else before.last_transition
    return replace(condition, observed_generation=enrollment.generation, last_transition=moment)


def _body(status: Status) -> Any:
    return {
        "observedGeneration": status.observed_generation,
        "phase": status.phase,
        "conditions": [condition_body(condition) for condition in status.conditions],
        "node": _node(status.node),
        **_certificates(status.certificates),
        **({"lastDecision": _decided(status.last_decision)} if status.last_decision else {}),
    }


def _node(node: NodeRef) -> Any:
    """Return the node part; nulls take the fields away in a merge patch."""
    return {
        "uid": node.uid,
        "joinedAt": rfc3339(node.joined_at) if node.joined_at else None,
        "ready": node.ready,
        "settings": list(node.settings) or None,
    }


def _certificates(held: Certificates) -> Any:
    """Return the part about certificates; it is left out while there is none, and records are never taken away."""
    kinds = {"client": held.client, "serving": held.serving}
    records = {kind: _certificate(record) for kind, record in kinds.items() if record is not None}
    return {"certificates": records} if records else {}


def _certificate(record: CertificateRecord) -> Any:
    """Return one record; a null takes a field away in a merge patch."""
    return {
        "serial": record.serial,
        "notAfter": rfc3339(record.not_after),
        "sha256": record.sha256,
        "seen": record.seen,
        "previousSHA256": record.previous_sha256,
        "csrName": record.csr_name,
    }


def _decided(decided: Decided) -> Any:
    return {
        "csrName": visible(decided.csr_name, NAME_LIMIT),
        "verdict": decided.verdict,
        "reason": decided.reason,
        "message": decided.message,
        "time": rfc3339(decided.time),
    }


def _join(join: Join) -> Any:
    return {
        "publicKeySHA256": join.public_key_sha256,
        "csrUID": join.csr_uid,
        "csrName": visible(join.csr_name, NAME_LIMIT),
        "requester": visible(join.requester, REQUESTER_LIMIT),
        "time": rfc3339(join.time),
    }
