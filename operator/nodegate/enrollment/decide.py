"""An enrollment and what the cluster says about it go in, its phase and conditions come out.

Rules: conditions follow the Kubernetes API conventions (a reason always, ``Stalled`` abnormal-true as
kstatus reads it). Nothing here authorises a certificate: the rules of the csr room judge readiness
and conflicts again for every request.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, NamedTuple

from nodegate.enrollment.inventory import certificates
from nodegate.enrollment.inventory import conditions as certificate_conditions
from nodegate.enrollment.model import (
    Certificates,
    Claims,
    Condition,
    Enrollment,
    Mode,
    NodeRef,
    NodeTemplate,
    Outlook,
    Phase,
    Rejoin,
    State,
    TokenStep,
)
from nodegate.enrollment.node_settings import Scene, Settling, settle
from nodegate.enrollment.tokens import is_issued, issued_text, token_step
from nodegate.identity import Reserved, conflicts, listed_reserved
from nodegate.names import ACCEPT_NODE_UID
from nodegate.observed import Observed
from nodegate.text import listed

MINTING: Final = "Pending"
"""Reason of a False ``TokenIssued`` while the operator is about to mint the token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What an enrollment is judged beside."""

    claims: Claims
    reserved: Reserved
    node: NodeRef | None
    """The Node of the enrollment's name as it is now, or None."""

    now: datetime
    observed: Observed = field(default_factory=Observed)
    """What the requests that exist tell of the node's certificates."""

    manages_nodes: bool = False
    """What ``spec.node`` lists is set on Nodes."""

    present: NodeTemplate | None = None
    """Labels, annotations and taints of the Node; None when they are not known."""

    node_problem: str = ""
    """Why the Node could not be written; empty when it could."""

    mints: bool = False
    """The operator makes tokens for enrollments that want one."""

    minted: str | None = None
    """The token whose Secret this process has created, which the status may not say yet."""

    token_problem: str = ""
    """Why the token could not be made or removed; empty when it could."""


_NOT_ISSUED: Final = "TokenNotIssued"
_AWAITS: Final = "AwaitingJoin"


class _Ready(NamedTuple):
    """Whether requests can be approved, and why not."""

    phase: Phase
    reason: str
    ready: bool
    message: str
    stalled: bool = False

    @property
    def awaits_node(self) -> bool:
        """Tell whether nothing but the token and the node is missing."""
        return self.reason in (_NOT_ISSUED, _AWAITS)


def decide(enrollment: Enrollment, around: Surroundings) -> Outlook:
    """Judge the state of one enrollment."""
    ready = _readiness(enrollment, around)
    joined = _joined_condition(enrollment, around.node)
    conditions = [_ready_condition(enrollment, around, ready), joined, _stalled_condition(ready)]
    step = _token_step(enrollment, around, ready)
    if enrollment.bootstrap.issue_token:
        conditions.append(_token_condition(enrollment, around, ready, step))
    settling = _settling(enrollment, around, ready)
    conditions += [settling.condition] if settling.condition else []
    conditions.append(_reconciling_condition(conditions, settling))
    held = certificates(enrollment.status.certificates, around.observed)
    conditions += certificate_conditions(enrollment, held, around.observed, around.now)
    return Outlook(
        phase=ready.phase,
        conditions=tuple(conditions),
        node=_with_settings(_node(enrollment, around), around.node, settling),
        node_differs=settling.differs,
        certificates=held,
        next_change=_next_change(enrollment, held, around.now),
        token_step=step,
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
    bootstrap = enrollment.bootstrap
    if around.node is not None and _is_replaced(enrollment, around.node):
        message = _replaced_text(enrollment, around.node)
        return _Ready(Phase.JOINED, "NodeReplaced", ready=False, message=message, stalled=True)
    if around.node is not None:
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
    if bootstrap.issue_token and not _is_issued(enrollment, around):
        return _Ready(
            Phase.PENDING, _NOT_ISSUED, ready=False, message="No bootstrap token was issued for this node yet."
        )
    return _Ready(Phase.READY, _AWAITS, ready=True, message="A request for this node is judged as soon as it comes.")


def _ready_condition(enrollment: Enrollment, around: Surroundings, ready: _Ready) -> Condition:
    acted = {"node": around.manages_nodes, "bootstrap": around.mints}
    unacted = [field for field in enrollment.unacted_fields if not acted.get(field.partition(".")[0])]
    note = " Mode Audit: verdicts are reported, never written to a request." if enrollment.mode is Mode.AUDIT else ""
    note += f" Accepted, but not acted on by this operator: {', '.join(unacted)}." if unacted else ""
    return _condition("Ready", holds=ready.ready, reason=ready.reason, message=ready.message + note)


def _joined_condition(enrollment: Enrollment, node: NodeRef | None) -> Condition:
    if node is None:
        return _condition("Joined", holds=False, reason="NodeNotFound", message="There is no Node of this name.")
    if _is_replaced(enrollment, node):
        return _condition("Joined", holds=False, reason="NodeReplaced", message=_replaced_text(enrollment, node))
    return _condition("Joined", holds=True, reason="NodeFound", message="A Node of this name exists.")


def _stalled_condition(ready: _Ready) -> Condition:
    if ready.stalled:
        return _condition("Stalled", holds=True, reason=ready.reason, message=ready.message)
    return _condition("Stalled", holds=False, reason="Consistent", message="Nothing needs mending.")


def _is_issued(enrollment: Enrollment, around: Surroundings) -> bool:
    token_id, expires = enrollment.status.token_id, enrollment.status.token_expires
    alive = expires is not None and around.now < expires
    return alive and token_id is not None and (around.minted == token_id or is_issued(enrollment))


def _token_step(enrollment: Enrollment, around: Surroundings, ready: _Ready) -> TokenStep:
    if not around.mints:
        return TokenStep.NONE
    return token_step(
        enrollment,
        around.now,
        awaits_node=ready.awaits_node,
        has_node=around.node is not None,
        issued=_is_issued(enrollment, around),
    )


def _token_condition(enrollment: Enrollment, around: Surroundings, ready: _Ready, step: TokenStep) -> Condition:
    if around.token_problem:
        return _condition("TokenIssued", holds=False, reason="Refused", message=around.token_problem)
    if step is TokenStep.NONE and enrollment.status.token_id and _is_issued(enrollment, around):
        message = issued_text(enrollment.status.token_id)
        return _condition("TokenIssued", holds=True, reason="TokenIssued", message=message)
    if around.node is not None:
        message = "The Node exists; a token is made again once it is deleted."
        return _condition("TokenIssued", holds=False, reason="NotNeeded", message=message)
    if not around.mints:
        message = "This operator makes no tokens: run it with --issue-tokens, or pin a token with bootstrap.tokenID."
        return _condition("TokenIssued", holds=False, reason="NotEnabled", message=message)
    if not ready.awaits_node:
        message = f"A token is made once requests can be approved. {ready.message}"
        return _condition("TokenIssued", holds=False, reason="NotWanted", message=message)
    return _condition("TokenIssued", holds=False, reason=MINTING, message="The operator is about to make a token.")


def _condition(kind: str, *, holds: bool, reason: str, message: str) -> Condition:
    return Condition(type=kind, status=str(holds), reason=reason, message=message)


def _node(enrollment: Enrollment, around: Surroundings) -> NodeRef:
    """Return the Node as it is now; when it joined stays as first recorded for the same UID.

    With rejoin Never the recorded Node stays until another may follow it: a node that deletes its Node and
    registers anew (CVE-2025-5187) must not take the evidence away.
    """
    node, recorded = around.node, enrollment.status.node
    if node is None:
        return replace(recorded, ready=None) if enrollment.rejoin is Rejoin.NEVER else NodeRef()
    if _is_replaced(enrollment, node):
        return replace(recorded, ready=node.ready)
    joined_at = recorded.joined_at if recorded.uid == node.uid and recorded.joined_at else around.now
    return NodeRef(uid=node.uid, joined_at=joined_at, ready=node.ready)


def _settling(enrollment: Enrollment, around: Surroundings, ready: _Ready) -> Settling:
    scene = Scene(
        phase=ready.phase,
        node=around.node,
        replaced=around.node is not None and _is_replaced(enrollment, around.node),
        present=around.present,
        manages_nodes=around.manages_nodes,
        problem=around.node_problem,
    )
    return settle(enrollment, scene)


def _with_settings(recorded: NodeRef, node: NodeRef | None, settling: Settling) -> NodeRef:
    """Return what is recorded of the Node with what is set on it; a Node that is not recorded leaves it alone."""
    return replace(recorded, settings=settling.record) if node is not None and node.uid == recorded.uid else recorded


def _reconciling_condition(conditions: list[Condition], settling: Settling) -> Condition:
    """Return whether the operator itself has something left to do, abnormal-true as kstatus reads it."""
    if settling.differs:
        message = "The Node is still to be given what spec.node lists."
        return _condition("Reconciling", holds=True, reason="NodeSettingsPending", message=message)
    token = next((c for c in conditions if (c.type, c.reason) == ("TokenIssued", MINTING)), None)
    if token is not None:
        return _condition("Reconciling", holds=True, reason="TokenPending", message=token.message)
    message = "The operator has nothing left to do for this generation."
    return _condition("Reconciling", holds=False, reason="Settled", message=message)


def _is_replaced(enrollment: Enrollment, node: NodeRef) -> bool:
    """Tell whether the Node is another than the one that joined, and nobody has said that it may be."""
    return enrollment.rejoin is Rejoin.NEVER and node.uid is not None and not enrollment.expects_node(node.uid)


def _replaced_text(enrollment: Enrollment, node: NodeRef) -> str:
    return (
        f"Expected the Node that joined (UID {enrollment.status.node.uid}), found another (UID {node.uid}); its "
        f"requests are held. If it is the right machine: kubectl annotate nodeenrollment {enrollment.name} --overwrite "
        f"{ACCEPT_NODE_UID}={node.uid}."
    )


def _next_change(enrollment: Enrollment, held: Certificates, now: datetime) -> datetime | None:
    ends = held.serving.not_after if held.serving else None
    bounds = (
        enrollment.bootstrap.not_before,
        enrollment.bootstrap.not_after,
        enrollment.status.token_expires,
        ends,
    )
    return min((bound for bound in bounds if bound is not None and bound >= now), default=None)
