"""What a NodeEnrollment says, as values.

Rules: everything here is frozen and already checked. A NodeEnrollment that the API server accepted
always becomes an `Enrollment`; anything else is an `errors.Malformed` from ``parse``.
"""

import enum
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import NewType, Protocol

NodeName = NewType("NodeName", str)
"""The name of a Node, and of the one NodeEnrollment that speaks for it."""

IPAddress = IPv4Address | IPv6Address
"""An address without a zone; IPv4-mapped IPv6 is always unwrapped."""


class State(enum.StrEnum):
    """What the administrator wants of an enrollment (``spec.state``)."""

    ACTIVE = "Active"
    SUSPENDED = "Suspended"
    REVOKED = "Revoked"


class Mode(enum.StrEnum):
    """Whether verdicts are written to the CSR or only reported (``spec.mode``)."""

    ENFORCE = "Enforce"
    AUDIT = "Audit"


class Phase(enum.StrEnum):
    """The one-word summary of ``status.phase``."""

    PENDING = "Pending"
    READY = "Ready"
    JOINED = "Joined"
    SUSPENDED = "Suspended"
    REVOKED = "Revoked"
    EXPIRED = "Expired"
    CONFLICT = "Conflict"


class Rejoin(enum.StrEnum):
    """May a bootstrap request be approved while the Node object exists? (``spec.rejoin``)."""

    NEVER = "Never"
    WHEN_GONE = "WhenGone"
    WHEN_NOT_READY = "WhenNotReady"
    ALWAYS = "Always"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """Who may ask for the first certificate, when, and how often (``spec.bootstrap``)."""

    issue_token: bool = False
    """The operator mints a token for this node only."""

    token_ttl: timedelta = timedelta(hours=1)
    """How long a minted token lives."""

    token_id: str | None = None
    """An existing token, pinned: six characters of ``[a-z0-9]``."""

    users: frozenset[str] = frozenset()
    """Exact user names that may ask."""

    public_key_sha256: str | None = None
    """The only key that may ask: SHA-256 over the SubjectPublicKeyInfo DER, lower-case hex."""

    not_before: datetime | None = None
    """Start of the window, inclusive, aware."""

    not_after: datetime | None = None
    """End of the window, inclusive, aware."""

    max_joins: int = 3
    """Distinct keys that may ever be approved for the first certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What a serving certificate may be asked for (``spec.serving``)."""

    approve: bool = True
    """Serving requests are approved at all."""

    require_node_addresses: bool = False
    """Every SAN must also stand in the Node's own status.addresses."""

    allow_dns_only: bool = False
    """A request without an IP SAN is acceptable."""


@dataclass(frozen=True, slots=True)
class Taint:
    """One taint of ``spec.node.taints``, as in a Node's ``spec.taints``."""

    key: str
    value: str
    effect: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeTemplate:
    """What the operator sets on the Node once it exists (``spec.node``); pairs are sorted by key."""

    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    taints: tuple[Taint, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """One key that was approved for the first certificate (an entry of ``status.joins``)."""

    public_key_sha256: str
    csr_uid: str
    csr_name: str
    requester: str
    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRecord:
    """The newest certificate of one kind that was issued to the node (an entry of ``status.certificates``)."""

    serial: str
    """Lower-case hex."""

    not_after: datetime
    sha256: str
    """SHA-256 over the certificate's DER, lower-case hex."""

    csr_name: str
    seen: bool = False
    """A request that was made with this certificate has been seen: the one before it is superseded."""

    previous_sha256: str | None = None
    """SHA-256 of the certificate before this one, which may renew until this one has been seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """The newest certificates that were issued to the node (``status.certificates``)."""

    client: CertificateRecord | None = None
    serving: CertificateRecord | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRef:
    """The Node that joined under the enrollment (``status.node``)."""

    uid: str | None = None
    joined_at: datetime | None = None
    ready: str | None = None
    """``True``, ``False`` or ``Unknown``, as the Node's Ready condition says."""

    settings: tuple[str, ...] = ()
    """What the operator has set on the Node: ``label:KEY``, ``annotation:KEY``, ``taint:KEY:EFFECT``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One entry of ``status.conditions``, by the Kubernetes API conventions."""

    type: str
    status: str
    """``True``, ``False`` or ``Unknown``."""

    reason: str
    message: str
    observed_generation: int | None = None
    last_transition: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """The last verdict about a request of this name (``status.lastDecision``)."""

    csr_name: str
    verdict: str
    reason: str
    message: str
    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What the operator has recorded of an enrollment."""

    observed_generation: int | None = None
    phase: Phase | None = None
    token_id: str | None = None
    """The id of the token that the operator minted, when it has."""

    token_expires: datetime | None = None
    """When that token ends."""

    joins: tuple[Join, ...] = ()
    """Newest first, at most ten."""

    join_count: int = 0
    """Distinct keys that were ever approved."""

    node: NodeRef = field(default_factory=NodeRef)
    certificates: Certificates = field(default_factory=Certificates)
    conditions: tuple[Condition, ...] = ()
    last_decision: Decided | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrollment:
    """One NodeEnrollment: what the node of this name may ask for, and what became of it."""

    name: NodeName
    uid: str = ""
    resource_version: str = ""
    generation: int | None = None
    """None in a manifest that never was in the API server."""

    processed: bool = True
    """The operator has seen this generation; manifests without status or generation count as processed."""

    state: State = State.ACTIVE
    mode: Mode = Mode.ENFORCE
    addresses: frozenset[IPAddress] = frozenset()
    """IP SANs that the node may carry."""

    dns_names: frozenset[str] = frozenset()
    """DNS SANs besides the node's own name, lower case."""

    bootstrap: Bootstrap = field(default_factory=Bootstrap)
    rejoin: Rejoin = Rejoin.WHEN_NOT_READY
    serving: Serving = field(default_factory=Serving)
    max_expiration_seconds: int | None = None
    node: NodeTemplate = field(default_factory=NodeTemplate)
    accepted_node_uid: str | None = None
    """The UID of a replaced Node that may carry on (annotation ``nodegate.dev/accept-node-uid``)."""

    unacted_fields: tuple[str, ...] = ()
    """Fields that are set and that this version of the operator does not act on yet."""

    status: Status = field(default_factory=Status)

    @property
    def names(self) -> frozenset[str]:
        """Every DNS name that is the node's: its own name and the listed ones."""
        return self.dns_names | {str(self.name)}

    @property
    def expected_token_id(self) -> str | None:
        """The token that may ask: the pinned one, or the one that was minted; None when neither."""
        return self.bootstrap.token_id or (self.status.token_id if self.bootstrap.issue_token else None)

    def condition(self, kind: str) -> Condition | None:
        """Return the recorded condition of a type, or None."""
        return next((condition for condition in self.status.conditions if condition.type == kind), None)

    def holds_key(self, public_key_sha256: str) -> bool:
        """Tell whether this key is one of the recorded joins."""
        return any(join.public_key_sha256 == public_key_sha256 for join in self.status.joins)

    def expects_node(self, uid: str) -> bool:
        """Tell whether a Node of this UID is the recorded one, an accepted one, or one that a newer join announced."""
        recorded = self.status.node
        if recorded.uid is None or uid in (recorded.uid, self.accepted_node_uid):
            return True
        newest = self.status.joins[0].time if self.status.joins else None
        return newest is not None and recorded.joined_at is not None and newest > recorded.joined_at


class TokenStep(enum.Enum):
    """What is to be done about an enrollment's own bootstrap token now."""

    NONE = enum.auto()
    RECORD = enum.auto()
    """Choose an id and record it in the status."""

    CREATE = enum.auto()
    """Create the Secret of the recorded id."""

    REMOVE = enum.auto()
    """Delete the Secret, then the record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What the status of an enrollment is to say."""

    phase: Phase
    conditions: tuple[Condition, ...]
    node: NodeRef
    certificates: Certificates
    next_change: datetime | None
    """When the passing of time alone changes this, or None."""

    node_differs: bool = False
    """``spec.node`` is to be applied to the Node, once this status is written."""

    token_step: TokenStep = TokenStep.NONE
    """What is to be done about the token, once this status is written."""


class Claims(Protocol):
    """Who claims which identity: addresses and names of all enrollments that are not revoked, keys of all."""

    def address_owners(self, address: IPAddress) -> frozenset[NodeName]:
        """Return the enrollments that list this address."""

    def name_owners(self, dns_name: str) -> frozenset[NodeName]:
        """Return the enrollments that are called so or list this DNS name (lower case)."""

    def key_owners(self, public_key_sha256: str) -> frozenset[NodeName]:
        """Return the enrollments, revoked ones too, whose recorded joins hold this key (lower-case hex)."""

    def token_owners(self, token_id: str) -> frozenset[NodeName]:
        """Return the enrollments for which the operator has minted this token."""
