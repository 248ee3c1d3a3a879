"""What requests tell of a node's certificates goes in; the recorded certificates and their conditions come out.

Rules: the same requests always give the same record, whatever was recorded before, and a record never goes
back: what was there before the recorded certificate is not taken again. What requests no longer tell, because
they are deleted, stays as it was recorded. Abnormal conditions appear when they first hold.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from nodegate.enrollment.model import (
    CertificateRecord,
    Certificates,
    Condition,
    Enrollment,
)
from nodegate.fields import rfc3339
from nodegate.observed import Approval, CertificateKind, Observed

_DIFFERS = {
    CertificateKind.CLIENT: "ClientCertificateDiffers",
    CertificateKind.SERVING: "ServingCertificateDiffers",
}
_REFUSED = {
    CertificateKind.CLIENT: "ClientRequestFailed",
    CertificateKind.SERVING: "ServingRequestFailed",
}


def certificates(recorded: Certificates, observed: Observed) -> Certificates:
    """Return what is to be recorded of a node's certificates."""
    client = _newest(recorded.client, observed.client)
    if client is not None and client.sha256 in observed.credential_ids:
        client = replace(client, seen=True)
    return Certificates(client=client, serving=_newest(recorded.serving, observed.serving))


def _newest(recorded: CertificateRecord | None, line: tuple[CertificateRecord, ...]) -> CertificateRecord | None:
    """Return the newest certificate, with the one before it.

    The record says when a certificate ends and not when it began, so what is newer is told by the order of the
    requests: everything after the recorded certificate, or all but the one that it has replaced.
    """
    shas = [record.sha256 for record in line]
    start = shas.index(recorded.sha256) + 1 if recorded is not None and recorded.sha256 in shas else 0
    for record in line[start:]:
        if recorded is None or record.sha256 != recorded.previous_sha256:
            recorded = replace(record, previous_sha256=recorded.sha256 if recorded else None)
    return recorded


def conditions(enrollment: Enrollment, held: Certificates, observed: Observed, now: datetime) -> Iterator[Condition]:
    """Yield the conditions about certificates that have something to say."""
    for condition in (
        _serving(enrollment, held.serving, now),
        _bypassed(enrollment, observed.approval),
        _abnormal(enrollment, "IssuedMismatch", _DIFFERS, [(s.kind, s.mismatch) for s in observed.signings]),
        _abnormal(enrollment, "SignerRefused", _REFUSED, [(s.kind, s.refusal) for s in observed.signings]),
    ):
        if condition is not None:
            yield condition


def _serving(enrollment: Enrollment, record: CertificateRecord | None, now: datetime) -> Condition | None:
    known = enrollment.condition("ServingCertificateIssued") is not None
    if not enrollment.serving.approve:
        message = "spec.serving.approve is false: no serving certificate is approved."
        return _condition("ServingCertificateIssued", "ServingNotApproved", message, holds=False) if known else None
    if record is None:
        return None
    ended = record.not_after <= now
    ends = f"{'ended' if ended else 'ends'} at {rfc3339(record.not_after)}"
    message = f"The certificate issued for {record.csr_name} {ends}."
    return _condition("ServingCertificateIssued", "Ended" if ended else "Issued", message, holds=not ended)


def _bypassed(enrollment: Enrollment, approval: Approval | None) -> Condition | None:
    """Return whether the newest approval was somebody else's; it began, or ended, when that was given."""
    if approval is None:
        return None
    recorded = enrollment.condition("ApprovalBypassed")
    if not approval.ours:
        message = (
            f"{approval.csr_name} was approved by somebody else at {rfc3339(approval.time)}, who says:"
            f" {approval.reason or 'nothing'}. Find out who may approve: kubectl nodegate doctor."
        )
        return _condition("ApprovalBypassed", "ForeignApproval", message, holds=True, since=approval.time)
    if recorded is None or recorded.status != "True":
        return None
    if recorded.last_transition is not None and approval.time <= recorded.last_transition:
        return None
    message = f"The newest approval, of {approval.csr_name}, is nodegate's."
    return _condition("ApprovalBypassed", "OwnApproval", message, holds=False, since=approval.time)


def _abnormal(
    enrollment: Enrollment, kind: str, reasons: dict[CertificateKind, str], told: list[tuple[CertificateKind, str]]
) -> Condition | None:
    """Return the condition for the first kind of certificate that is at fault, or that the fault is over."""
    for which, fault in told:
        if fault:
            return _condition(kind, reasons[which], fault, holds=True)
    recorded = enrollment.condition(kind)
    mended = recorded is not None and recorded.reason in {reasons[which] for which, _ in told}
    if not mended or recorded is None or recorded.status != "True":
        return None
    return _condition(kind, "Mended", "The newest certificate is as it was approved.", holds=False)


def _condition(kind: str, reason: str, message: str, *, holds: bool, since: datetime | None = None) -> Condition:
    return Condition(type=kind, status=str(holds), reason=reason, message=message, last_transition=since)
