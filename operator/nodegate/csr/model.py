"""What a signing request says, what the cluster knows, and what can be decided about it.

Rules: facts are read once, in ``parse``; a fact that is not to be had is None, never a default.
`Verdict` is a closed union and every reader of it ends in ``assert_never``. `Reason` members are the
condition reason, the event reason and, in snake case, the metric label.
"""

import enum
import re
from dataclasses import dataclass
from datetime import datetime

from nodegate.enrollment.model import Claims, Enrollment, IPAddress, NodeName, NodeTemplate
from nodegate.identity import IPNetwork, Reserved
from nodegate.names import BOOTSTRAP_GROUP, BOOTSTRAP_USER_PREFIX, NODE_USER_PREFIX, SERVING_SIGNER

RULE_SET_VERSION = 2
"""Raised whenever a rule changes what it accepts; stands in every approval's message."""


class Reason(enum.StrEnum):
    """Why a request was judged so."""

    BOOTSTRAP_APPROVED = "BootstrapApproved"
    RENEWAL_APPROVED = "RenewalApproved"
    SERVING_APPROVED = "ServingApproved"

    SIGNER_NOT_MANAGED = "SignerNotManaged"
    ALREADY_DECIDED = "AlreadyDecided"
    ALREADY_ISSUED = "AlreadyIssued"
    BEING_DELETED = "BeingDeleted"
    REQUESTER_NOT_MANAGED = "RequesterNotManaged"

    ENCODING_NOT_CANONICAL = "EncodingNotCanonical"
    REQUEST_MALFORMED = "RequestMalformed"
    SIGNATURE_INVALID = "SignatureInvalid"
    KEY_NOT_ALLOWED = "KeyNotAllowed"
    KEY_UNSUPPORTED = "KeyUnsupported"
    SUBJECT_INVALID = "SubjectInvalid"
    USAGES_INVALID = "UsagesInvalid"
    ATTRIBUTE_FORBIDDEN = "AttributeForbidden"
    EXTENSION_FORBIDDEN = "ExtensionForbidden"
    SUBJECT_ALT_NAME_FORBIDDEN = "SubjectAltNameForbidden"
    EXPIRATION_NOT_ALLOWED = "ExpirationNotAllowed"
    REQUESTER_MISMATCH = "RequesterMismatch"

    NOT_ENROLLED = "NotEnrolled"
    ENROLLMENT_NOT_READY = "EnrollmentNotReady"
    ENROLLMENT_CONFLICT = "EnrollmentConflict"
    ENROLLMENT_SUSPENDED = "EnrollmentSuspended"
    ENROLLMENT_REVOKED = "EnrollmentRevoked"
    OUTSIDE_WINDOW = "OutsideWindow"
    TOKEN_MISMATCH = "TokenMismatch"  # noqa: S105 - a reason, not a secret
    REQUESTER_NOT_ALLOWED = "RequesterNotAllowed"
    KEY_PIN_MISMATCH = "KeyPinMismatch"
    JOIN_LIMIT_REACHED = "JoinLimitReached"

    SUBJECT_ALT_NAME_MALFORMED = "SubjectAltNameMalformed"
    SUBJECT_ALT_NAME_RESERVED = "SubjectAltNameReserved"
    SUBJECT_ALT_NAME_FOREIGN = "SubjectAltNameForeign"
    SUBJECT_ALT_NAME_NOT_ENROLLED = "SubjectAltNameNotEnrolled"
    SERVING_NOT_APPROVED = "ServingNotApproved"
    ADDRESS_MISSING = "AddressMissing"
    NODE_NOT_FOUND = "NodeNotFound"
    NODE_ADDRESSES_UNKNOWN = "NodeAddressesUnknown"
    SUBJECT_ALT_NAME_NOT_ON_NODE = "SubjectAltNameNotOnNode"

    NODE_ALREADY_JOINED = "NodeAlreadyJoined"
    KEY_REUSED = "KeyReused"
    CREDENTIAL_SUPERSEDED = "CredentialSuperseded"
    NODE_REPLACED = "NodeReplaced"

    RATE_LIMITED = "RateLimited"

    FACTS_UNAVAILABLE = "FactsUnavailable"

    @property
    def label(self) -> str:
        """The metric label: the same words in snake case."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", self.value).lower()


@dataclass(frozen=True, slots=True)
class Approve:
    """Every rule holds."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Deny:
    """Ours, and the request can never become right. The first reason is the condition's."""

    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Hold:
    """Ours, and not to be approved now; nothing is written, and it is judged again when facts change."""

    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Ignore:
    """Not ours: no write, no event."""

    reason: Reason


Verdict = Approve | Deny | Hold | Ignore


class Kind(enum.StrEnum):
    """What a request is for; a metric label."""

    BOOTSTRAP = "bootstrap"
    RENEWAL = "renewal"
    SERVING = "serving"


class KeyKind(enum.StrEnum):
    """Whether a public key is one of those that may be certified."""

    ALLOWED = "allowed"
    FORBIDDEN = "forbidden"
    UNREADABLE = "unreadable"


class NameKind(enum.StrEnum):
    """The kinds of subject alternative name that matter here."""

    DNS = "DNS"
    IP = "IP"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class AltName:
    """One subject alternative name: its kind, its text as requested, and the address of an IP name."""

    kind: NameKind
    text: str
    address: IPAddress | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectAttribute:
    """One attribute of the subject, in order."""

    rdn: int
    """Which relative distinguished name it stands in, from 0."""

    oid: str
    """Dotted."""

    string_type: str
    """``UTF8String``, ``PrintableString`` or another ASN.1 type's name."""

    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pkcs10:
    """What the PKCS#10 request holds, once its DER was read."""

    subject: tuple[SubjectAttribute, ...]
    key_kind: KeyKind
    key_text: str
    """Such as ``RSA 2048`` or ``EC secp256r1``."""

    public_key_sha256: str | None
    """SHA-256 over the SubjectPublicKeyInfo DER, lower-case hex; None when the key is unreadable."""

    signature_valid: bool | None
    """None when it was not verified: the key is not one to verify with."""

    signature_text: str
    """The signature algorithm."""

    attributes: tuple[str, ...]
    """OIDs of the request's attributes, in order."""

    extensions: tuple[str, ...] | None
    """OIDs of the requested extensions; None when they cannot be read."""

    alt_names: tuple[AltName, ...] | None
    """The subject alternative names; None when there is no such extension or it cannot be read."""

    fault: str | None = None
    """Why a part of it cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CsrFacts:
    """One CertificateSigningRequest, read. Text in it comes from the requester and is not to be trusted."""

    name: str
    uid: str
    resource_version: str
    signer: str
    username: str
    groups: frozenset[str]
    credential_id: str | None
    """SHA-256 hex of the client certificate that authenticated the requester, when the API server says so."""

    usages: tuple[str, ...]
    expiration_seconds: int | None
    conditions: tuple[str, ...]
    """Types of its conditions."""

    issued: bool
    """``status.certificate`` is set."""

    deleting: bool
    created: datetime | None
    encoding_fault: str | None
    """Why ``spec.request`` is not one canonical PEM block; None when it is."""

    der_fault: str | None
    """Why the DER is no version-0 PKCS#10 request; None when it is, or was not looked at."""

    pkcs10: Pkcs10 | None
    node_name: NodeName | None
    """The node that the subject names, when the subject is exactly right."""

    @property
    def asked_by_node(self) -> bool:
        """Tell whether a node asks, by its user name."""
        return self.username.startswith(NODE_USER_PREFIX)

    @property
    def token_id(self) -> str | None:
        """The id of the bootstrap token that asks; None when no token does."""
        token_id = self.username.removeprefix(BOOTSTRAP_USER_PREFIX)
        return token_id if token_id != self.username else None

    @property
    def kind(self) -> Kind:
        """What the request is for, by signer and requester."""
        if self.signer == SERVING_SIGNER:
            return Kind.SERVING
        return Kind.RENEWAL if self.asked_by_node else Kind.BOOTSTRAP


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """What matters of a Node object."""

    name: NodeName
    uid: str
    ready: str
    """``True``, ``False`` or ``Unknown``."""

    addresses: frozenset[IPAddress]
    dns_names: frozenset[str]
    """Hostname, InternalDNS and ExternalDNS addresses, lower case."""

    pod_cidrs: tuple[IPNetwork, ...] = ()
    settings: NodeTemplate | None = None
    """Labels, annotations and taints; None when the operator does not manage Nodes."""


class Fact(enum.StrEnum):
    """A kind of facts that a rule may need, in the words that say it is missing."""

    ENROLLMENT = "the NodeEnrollment"
    CLAIMS = "the other NodeEnrollments"
    NODE = "the Node"
    RESERVED = "the cluster's own networks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The operator's settings that bear on verdicts."""

    bootstrap_group: str = BOOTSTRAP_GROUP
    never_deny: bool = False
    require_known_credential: bool = False
    """A node's request has to be made with a certificate that its enrollment records."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything one decision rests on."""

    csr: CsrFacts
    enrollment: Enrollment | None
    """The NodeEnrollment that the subject names."""

    node: NodeFacts | None
    """The Node that the subject names."""

    claims: Claims
    """All enrollments' claims."""

    reserved: Reserved
    policy: Policy
    now: datetime
    missing: frozenset[Fact] = frozenset()
    """Facts that could not be had: whatever stands in their place is not to be used."""

    over_rate: bool | None = None
    """Whether the requester asks too often; None where nobody counts."""


class Result(enum.StrEnum):
    """How a rule came out."""

    PASS = "pass"  # noqa: S105 - a result, not a secret
    FAIL = "fail"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """How one rule came out for one request, with the evidence."""

    stage: int
    reason: Reason
    result: Result
    expected: str
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A verdict and every rule's finding, in the table's order."""

    csr: CsrFacts
    enrollment: Enrollment | None
    verdict: Verdict
    findings: tuple[Finding, ...]

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """The verdict's reasons, the one that counts most first."""
        verdict = self.verdict
        return verdict.reasons if isinstance(verdict, Deny | Hold) else (verdict.reason,)

    @property
    def failures(self) -> tuple[Finding, ...]:
        """The findings of the rules that the verdict names, in its order."""
        order = {reason: index for index, reason in enumerate(self.reasons)}
        named = [f for f in self.findings if f.result is Result.FAIL and f.reason in order]
        return tuple(sorted(named, key=lambda finding: order[finding.reason]))
