"""An enrollment and what the cluster says about it go in, its phase and conditions come out.

Rules: conditions follow the Kubernetes API conventions (a reason always, ``Stalled`` abnormal-true as
kstatus reads it). Nothing here authorises a certificate: the rules of the csr room judge readiness
and conflicts again for every request.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from nodegate.enrollment.model import Claims, Condition, Enrollment, Mode, NodeRef, Outlook, Phase, State
from nodegate.identity import Reserved, conflicts, listed_reserved
from nodegate.text import listed


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What an enrollment is judged beside."""

    claims: Claims
    reserved: Reserved
    node: NodeRef | None
    """The Node of the enrollment's name as it is now, or None."""

    now: datetime


class _Ready(NamedTuple):
    """Whether requests can be approved, and why not."""

    phase: Phase
    reason: str
    ready: bool
    message: str
    stalled: bool = False


def decide(enrollment: Enrollment, around: Surroundings) -> Outlook:
    """Judge the state of one enrollment."""
    ready = _readiness(enrollment, around)
    conditions = [_ready_condition(enrollment, ready), _joined_condition(around.node), _stalled_condition(ready)]
    if enrollment.bootstrap.issue_token:
        conditions.append(_token_condition(enrollment))
    return Outlook(
        phase=ready.phase,
        conditions=tuple(conditions),
        node=_node(enrollment, around),
        next_change=_next_change(enrollment, around.now),
    )


def _readiness(enrollment: Enrollment, around: Surroundings) -> _Ready:
    match enrollment.state:
        case State.REVOKED:
            return _Ready(
                Phase.REVOKED, "Revoked", ready=False, message="spec.state is Revoked: every request is denied."
            )
        case State.SUSPENDED:
            return _Ready(
                Phase.SUSPENDED, "Suspended", ready=False, message="spec.state is Suspended: every request is held."
            )
        case State.ACTIVE:
            return _faults(enrollment, around) or _active(enrollment, around)


def _faults(enrollment: Enrollment, around: Surroundings) -> _Ready | None:
    """Return what a person has to mend before anything can be approved."""
    reserved = listed_reserved(enrollment, around.reserved)
    if reserved:
        message = f"Nothing is approved until these are taken out of spec: {listed(reserved)}."
        return _Ready(Phase.PENDING, "ReservedIdentity", ready=False, message=message, stalled=True)
    shared = conflicts(enrollment, around.claims)
    if shared:
        message = f"Nothing is approved until only one enrollment lists: {listed(shared)}."
        return _Ready(Phase.CONFLICT, "EnrollmentConflict", ready=False, message=message, stalled=True)
    return None


def _active(enrollment: Enrollment, around: Surroundings) -> _Ready:
    bootstrap, joined = enrollment.bootstrap, around.node is not None
    if joined:
        return _Ready(
            Phase.JOINED, "Joined", ready=True, message="The Node exists; its renewals and serving requests are judged."
        )
    if bootstrap.not_before and around.now < bootstrap.not_before:
        message = f"The window opens at {bootstrap.not_before.isoformat()}; until then requests are held."
        return _Ready(Phase.PENDING, "WindowNotOpen", ready=False, message=message)
    if bootstrap.not_after and around.now > bootstrap.not_after:
        message = (
            f"The window closed at {bootstrap.not_after.isoformat()} and no Node has joined; move notAfter to reopen."
        )
        return _Ready(Phase.EXPIRED, "WindowClosed", ready=False, message=message)
    if bootstrap.issue_token and enrollment.expected_token_id is None:
        return _Ready(
            Phase.PENDING, "TokenNotIssued", ready=False, message="No bootstrap token was issued for this node yet."
        )
    return _Ready(
        Phase.READY, "AwaitingJoin", ready=True, message="A request for this node is judged as soon as it comes."
    )


def _ready_condition(enrollment: Enrollment, ready: _Ready) -> Condition:
    unacted = enrollment.unacted_fields
    note = " Mode Audit: verdicts are reported, never written to a request." if enrollment.mode is Mode.AUDIT else ""
    note += f" Accepted, but not acted on by this version: {', '.join(unacted)}." if unacted else ""
    return _condition("Ready", holds=ready.ready, reason=ready.reason, message=ready.message + note)


def _joined_condition(node: NodeRef | None) -> Condition:
    if node is None:
        return _condition("Joined", holds=False, reason="NodeNotFound", message="There is no Node of this name.")
    return _condition("Joined", holds=True, reason="NodeFound", message="A Node of this name exists.")


def _stalled_condition(ready: _Ready) -> Condition:
    if ready.stalled:
        return _condition("Stalled", holds=True, reason=ready.reason, message=ready.message)
    return _condition("Stalled", holds=False, reason="Consistent", message="Nothing needs mending.")


def _token_condition(enrollment: Enrollment) -> Condition:
    if enrollment.expected_token_id is not None:
        message = f"Token {enrollment.expected_token_id} works for this node only."
        return _condition("TokenIssued", holds=True, reason="TokenIssued", message=message)
    message = "This version of the operator does not issue tokens; pin one with bootstrap.tokenID instead."
    return _condition("TokenIssued", holds=False, reason="NotSupported", message=message)


def _condition(kind: str, *, holds: bool, reason: str, message: str) -> Condition:
    return Condition(type=kind, status=str(holds), reason=reason, message=message)


def _node(enrollment: Enrollment, around: Surroundings) -> NodeRef:
    """Return the Node as it is now; when it joined stays as first recorded for the same UID."""
    node, recorded = around.node, enrollment.status.node
    if node is None:
        return NodeRef()
    joined_at = recorded.joined_at if recorded.uid == node.uid and recorded.joined_at else around.now
    return NodeRef(uid=node.uid, joined_at=joined_at, ready=node.ready)


def _next_change(enrollment: Enrollment, now: datetime) -> datetime | None:
    bounds = (enrollment.bootstrap.not_before, enrollment.bootstrap.not_after)
    return min((bound for bound in bounds if bound is not None and bound >= now), default=None)
