"""What happens after approvals: decided requests in; what they tell of each node, and findings, out.

Rules: each object is read once, when the store takes it, and only a few hundred bytes of it stay, until it
is deleted. What the requests tell is computed from those that exist, so a new list gives the same. A
finding is told once for each request, and only once somebody listens: what was there before is history.
"""

import enum
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from nodegate.clock import now
from nodegate.csr.issued import Outcome, read_outcome
from nodegate.csr.model import CsrFacts
from nodegate.csr.parse import exact_node_name, parse_csr, read_credential_id
from nodegate.enrollment.model import CertificateRecord, NodeName
from nodegate.errors import Malformed
from nodegate.fields import Fields
from nodegate.names import CREDENTIAL_ID_EXTRA, NAME_LIMIT, NODE_USER_PREFIX, SERVING_SIGNER
from nodegate.observed import Approval, CertificateKind, Observed, Signing
from nodegate.text import visible

_log = logging.getLogger("nodegate.csr")


class Found(enum.StrEnum):
    """What can be found after an approval: the event's reason, and the enrollment's condition."""

    APPROVAL_BYPASSED = "ApprovalBypassed"
    ISSUED_MISMATCH = "IssuedMismatch"
    SIGNER_REFUSED = "SignerRefused"


class Finding(NamedTuple):
    """One thing that was found about one request."""

    found: Found
    csr_name: str
    csr_uid: str
    node: NodeName | None
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What is kept of one request."""

    uid: str
    requester: NodeName | None = None
    """The node that asks, by its user name."""

    credential_id: str | None = None
    node: NodeName | None = None
    """The node that the subject names."""

    approval: Approval | None = None
    certificate: CertificateRecord | None = None
    since: float = 0.0
    """When the certificate begins, in Unix seconds."""

    signing: Signing | None = None
    told: frozenset[Found] = frozenset()


class Aftermath:
    """What the requests that exist tell of each node; fed by the stores.

    Args:
        changed: Called with a node's name when what is known of it may have changed.
    """

    def __init__(self, changed: Callable[[NodeName], None]) -> None:
        self._changed = changed
        self._tell: Callable[[Finding], None] | None = None
        self._known: dict[str, _Known] = {}
        self._names: dict[NodeName, set[str]] = {}
        self._intended: dict[str, str] = {}

    def listen(self, tell: Callable[[Finding], None]) -> None:
        """Have findings told from now on; what has been taken before is history."""
        self._tell = tell

    def intend(self, name: str, uid: str) -> None:
        """Note that this request is about to be approved by this process."""
        self._intended[name] = uid

    def take(self, body: Mapping[str, Any]) -> None:
        """Take a request's object as it is now; what cannot be read tells nothing."""
        name = body["metadata"]["name"]
        try:
            known = self._read(body)
        except Malformed as error:
            _log.debug("%s tells nothing: %s", visible(name), error)
            return
        before = self._known.get(name)
        if known == before:
            return
        self._put(name, known)
        if self._tell is not None:
            for node in dict.fromkeys((known.node, known.requester)):
                if node is not None:
                    self._changed(node)

    def forget(self, name: str) -> None:
        """Forget a request that is gone."""
        self._intended.pop(name, None)
        self._drop(name)

    def observed(self, node: NodeName) -> Observed:
        """Return what the requests that exist tell of a node."""
        known = [self._known[name] for name in self._names.get(node, ())]
        own = [each for each in known if each.node == node]
        approvals = [each.approval for each in own if each.approval is not None]
        return Observed(
            client=_line(own, CertificateKind.CLIENT),
            serving=_line(own, CertificateKind.SERVING),
            credential_ids=frozenset(k.credential_id for k in known if k.requester == node and k.credential_id),
            # In one second somebody else's counts more: nothing is said to be over that may not be.
            approval=max(approvals, key=lambda a: (a.time, not a.ours, a.csr_name), default=None),
            signings=tuple(signing for kind in CertificateKind if (signing := _newest_signing(own, kind))),
        )

    def _put(self, name: str, known: _Known) -> None:
        self._drop(name)
        if known == _Known(uid=known.uid):
            return
        self._known[name] = known
        for node in (known.node, known.requester):
            if node is not None:
                self._names.setdefault(node, set()).add(name)

    def _drop(self, name: str) -> None:
        known = self._known.pop(name, None)
        for node in (known.node, known.requester) if known else ():
            names = self._names.get(node) if node is not None else None
            if names is not None and node is not None:
                names.discard(name)
                if not names:
                    del self._names[node]

    def _read(self, body: Mapping[str, Any]) -> _Known:
        root = Fields(body)
        meta, spec, status = root.child("metadata"), root.child("spec"), root.child("status")
        user = spec.text("username")
        requester = NodeName(user.removeprefix(NODE_USER_PREFIX)) if user.startswith(NODE_USER_PREFIX) else None
        credential_id = read_credential_id(spec.child("extra").texts(CREDENTIAL_ID_EXTRA))
        known = _Known(
            uid=meta.text("uid"), requester=requester if credential_id else None, credential_id=credential_id
        )
        if "certificate" not in status and not any(c.text("type") == "Approved" for c in status.children("conditions")):
            return known
        csr = parse_csr(body)
        return self._judge(known, csr, read_outcome(csr, status))

    def _judge(self, known: _Known, csr: CsrFacts, outcome: Outcome) -> _Known:
        """Add to what is kept what became of the request, and tell what is new."""
        before = self._known.get(csr.name)
        before = before if before is not None and before.uid == csr.uid else None
        approval = self._approval(csr, outcome, before)
        ours = approval is not None and approval.ours
        notes = dict(_notes(csr, outcome, ours=ours))
        told = before.told if before is not None else frozenset()
        for found, note in notes.items():
            if found not in told and self._tell is not None:
                self._tell(Finding(found, csr.name, csr.uid, csr.node_name, note))
        return replace(
            known,
            node=csr.node_name,
            approval=approval,
            certificate=_certificate(csr, outcome, ours=ours),
            since=outcome.issued.not_before.timestamp() if outcome.issued else 0.0,
            signing=_signing(csr, outcome, notes),
            told=told | notes.keys(),
        )

    def _approval(self, csr: CsrFacts, outcome: Outcome, before: _Known | None) -> Approval | None:
        """Tell who approved: this process knows what it did itself, and goes by the words for what was before."""
        passed = outcome.passed
        if passed is None:
            return None
        known = before.approval if before is not None else None
        did = self._intended.get(csr.name) == csr.uid
        ours = passed.sounds_ours and (did or self._tell is None or (known is not None and known.ours))
        self._intended.pop(csr.name, None)
        return Approval(
            # The API server fills the time in; the request's own is the next best.
            time=passed.time or csr.created or now(),
            ours=ours,
            csr_name=visible(csr.name, NAME_LIMIT),
            reason=visible(passed.reason),
        )


def _notes(csr: CsrFacts, outcome: Outcome, *, ours: bool) -> Mapping[Found, str]:
    """Return what is wrong with what became of a request, each in a sentence."""
    notes = {}
    name = visible(csr.name)
    if outcome.passed is not None and not ours:
        said = visible(outcome.passed.reason) or "nothing"
        notes[Found.APPROVAL_BYPASSED] = (
            f"Expected requests of this signer to be approved by nodegate, found {name} approved by somebody else, who"
            f" says {said}; find out who may approve: kubectl nodegate doctor."
        )
    if outcome.differences:
        notes[Found.ISSUED_MISMATCH] = (
            f"The certificate issued for {name} is not what was approved: expected {'; '.join(outcome.differences)}."
        )
    if ours and outcome.failure is not None:
        notes[Found.SIGNER_REFUSED] = f"The signer refused {name}, which nodegate had approved: {outcome.failure}."
    return notes


def _kind(csr: CsrFacts) -> CertificateKind:
    return CertificateKind.SERVING if csr.signer == SERVING_SIGNER else CertificateKind.CLIENT


def _signing(csr: CsrFacts, outcome: Outcome, notes: Mapping[Found, str]) -> Signing | None:
    """Return what the signer made of an approved request; None while it has made nothing."""
    refusal, mismatch = notes.get(Found.SIGNER_REFUSED, ""), notes.get(Found.ISSUED_MISMATCH, "")
    if outcome.passed is None or not (refusal or mismatch or outcome.issued):
        return None
    return Signing(kind=_kind(csr), mismatch=mismatch, refusal=refusal)


def _certificate(csr: CsrFacts, outcome: Outcome, *, ours: bool) -> CertificateRecord | None:
    """Return the record of a certificate that is the node's; if we did not approve it, it must match its request."""
    issued = outcome.issued
    if issued is None or csr.node_name is None or exact_node_name(issued.subject) != csr.node_name:
        return None
    if outcome.differences and not ours:
        return None
    return CertificateRecord(
        serial=issued.serial,
        not_after=issued.not_after,
        sha256=issued.sha256,
        csr_name=visible(csr.name, NAME_LIMIT),
    )


def _line(known: list[_Known], kind: CertificateKind) -> tuple[CertificateRecord, ...]:
    found = [(k.since, k.certificate) for k in known if k.certificate and k.signing and k.signing.kind is kind]
    return tuple(record for _, record in sorted(found, key=lambda entry: (entry[0], entry[1].sha256)))


def _newest_signing(known: list[_Known], kind: CertificateKind) -> Signing | None:
    found = [(k.approval.time, k.signing) for k in known if k.approval and k.signing and k.signing.kind is kind]
    newest = max(found, key=lambda e: (e[0], bool(e[1].mismatch or e[1].refusal)), default=None)
    return newest[1] if newest else None
