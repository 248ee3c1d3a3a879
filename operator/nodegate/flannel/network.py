"""The resource FlannelNetwork, flannel's leases, and what a change would mean: as values.

Rules: everything here is frozen and free of I/O. The spec is kept as it was written (a subnet length of 0
is "flannel's default"), so that what flannel of a version makes of it is asked of `check.read_config`
alone. Secrets are never part of a network: only where they stand is.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

from nodegate.flannel.model import Api, OptionValue, Problem, Version

ALLOW_PUBLIC_RANGE = "nodegate.dev/allow-public-range"
"""The annotation of a FlannelNetwork that, when ``"true"``, lets its ranges be public ones."""

DEFAULT_PREFIX = "/coreos.com/network"
"""flannel's own default (flanneld, ``--etcd-prefix``)."""


class ChangeClass(enum.StrEnum):
    """What a change does to the nodes that run, the weakest first."""

    NONE = "None"
    RESTART = "Restart"
    """Takes effect node by node, while old and new nodes keep talking."""

    WIDENING = "Widening"
    NARROWING = "Narrowing"
    RENUMBERING = "Renumbering"
    """Every node's subnet becomes another one."""

    DATAPATH = "Datapath"
    """Nodes with the old and the new config cannot reach each other."""

    FORBIDDEN = "Forbidden"
    FIRST_WRITE = "FirstWrite"
    """There is no config yet."""

    REPAIR = "Repair"
    """What stands in etcd is not fit to run on."""


class Action(enum.StrEnum):
    """What is done about a change."""

    NONE = "none"
    WRITE = "write"
    BLOCK = "block"
    """Not now: it is written once nothing blocks it any more, or when it was approved."""

    REFUSE = "refuse"
    """Never, as the resource stands."""

    REPORT = "report"
    """It is only said."""


class Adoption(enum.StrEnum):
    """What becomes of a config that was there before the resource."""

    ADOPT = "Adopt"
    ADOPT_AND_CHANGE = "AdoptAndChange"
    REFUSE = "Refuse"


class DriftPolicy(enum.StrEnum):
    """What is done when somebody else changed the config."""

    CORRECT = "Correct"
    REPORT = "Report"


class DeletionPolicy(enum.StrEnum):
    """What becomes of the config when the resource is deleted."""

    RETAIN = "Retain"
    DELETE_WHEN_UNUSED = "DeleteWhenUnused"


class Transport(enum.StrEnum):
    """How etcd is spoken to."""

    AUTO = "Auto"
    GATEWAY = "Gateway"
    GRPC = "GRPC"


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret stands; `key` is empty where the keys' names are given elsewhere."""

    namespace: str
    name: str
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How etcd is trusted, and what shows who we are."""

    secret: SecretRef | None = None
    ca_key: str = "ca.crt"
    cert_key: str = "tls.crt"
    key_key: str = "tls.key"
    server_name: str = ""
    insecure_plaintext: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Etcd:
    """The store that holds the config."""

    endpoints: tuple[str, ...]
    api: Api
    tls: Tls = field(default_factory=Tls)
    transport: Transport = Transport.AUTO


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedIPv6:
    """The IPv6 half of a network as it was written; 0 and None are flannel's defaults."""

    network: IPv4Interface | IPv6Interface
    subnet_len: int = 0
    subnet_min: IPv4Address | IPv6Address | None = None
    subnet_max: IPv4Address | IPv6Address | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedBackend:
    """The backend as it was written."""

    type: str
    options: tuple[tuple[str, OptionValue], ...] = ()
    """By flannel's own names, with the schema's defaults filled in, in the schema's order."""

    secret: SecretRef | None = None
    """Where the options that are secret stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A subnet that is kept for one node; host bits are kept, since they are a mistake to be told."""

    public_ip: IPv4Address | IPv6Address
    subnet: IPv4Interface | IPv6Interface
    subnet6: IPv4Interface | IPv6Interface | None = None
    public_ip6: IPv4Address | IPv6Address | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseGc:
    """Whether leases of nodes that are gone are deleted, and after how many minutes."""

    enabled: bool = False
    grace_minutes: int = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What the operator wrote or took over last."""

    text: str
    """Canonical JSON, secrets as fingerprints."""

    sha256: str = ""
    mod_revision: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """What was seen at the first success and may never change; None while nothing was seen."""

    cluster_id: str | None = None
    api: Api | None = None
    prefix: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlannelNetwork:
    """One resource: what the config in etcd shall be."""

    name: str
    etcd: Etcd
    version: Version
    network: IPv4Interface | IPv6Interface
    backend: WantedBackend
    uid: str = ""
    generation: int | None = None
    deleting: bool = False
    allow_public: bool = False
    prefix: str = DEFAULT_PREFIX
    subnet_len: int = 0
    subnet_min: IPv4Address | IPv6Address | None = None
    subnet_max: IPv4Address | IPv6Address | None = None
    ipv6: WantedIPv6 | None = None
    enable_nftables: bool = False
    reservations: tuple[Reservation, ...] = ()
    reserved_cidrs: tuple[IPv4Network | IPv6Network, ...] = ()
    adoption: Adoption = Adoption.ADOPT
    approved_change: str = ""
    drift_policy: DriftPolicy = DriftPolicy.CORRECT
    deletion_policy: DeletionPolicy = DeletionPolicy.RETAIN
    lease_gc: LeaseGc = field(default_factory=LeaseGc)
    poll_seconds: int = 30
    paused: bool = False
    applied: Applied | None = None
    pinned: Pinned = field(default_factory=Pinned)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """One key below ``<prefix>/subnets``: a node's subnet, or a reservation for one."""

    key: str
    subnet: IPv4Network | None
    """None when the key names no subnet."""

    subnet6: IPv6Network | None = None
    public_ip: str = ""
    """As the value has it; empty when the value cannot be read."""

    public_ip6: str = ""
    backend_type: str = ""
    """As flannel wrote it; empty for udp, alloc and reservations."""

    mod_revision: int = 0
    ttl: int | None = None
    """Seconds left; None for a key without an end."""

    malformed: str = ""
    """What cannot be read of it; empty for a sound lease."""


@dataclass(frozen=True, slots=True)
class Change:
    """One member of the config that becomes another value."""

    field: str
    old: OptionValue | None
    """None when there was none."""

    new: OptionValue | None
    change_class: ChangeClass


@dataclass(frozen=True, slots=True)
class Blocker:
    """One thing that a change has to wait for."""

    reason: str
    subnet: str = ""
    public_ip: str = ""
    node: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of the cluster around a network; what is absent was not asked or is not there."""

    nodes: Mapping[str, str] = field(default_factory=dict)
    """Names of Nodes by their internal addresses."""

    node_count: int = 0
    taken: tuple[tuple[str, IPv4Network | IPv6Network], ...] = ()
    """Ranges that pods must not use: who uses each, and the range."""

    others: tuple[FlannelNetwork, ...] = ()
    secrets: Mapping[str, str] = field(default_factory=dict)
    """The backend's secret options by flannel's names, such as ``PSK``, as far as they were read."""

    allow_extension: bool = False
    cluster_id: str | None = None
    """The etcd cluster that answered; None when none was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The judgement of one change."""

    change_class: ChangeClass
    action: Action
    message: str
    """Why this action, in a sentence."""

    id: str = ""
    """What `approved_change` has to be for exactly this change; empty when there is no config to write."""

    value: str | None = None
    """The canonical JSON to write, secrets included: never to be shown. None when there is none, or when a secret
    in it could not be read; then nothing can be written whatever the action says."""

    blocked_by: tuple[Blocker, ...] = ()
    changes: tuple[Change, ...] = ()
    restart_needed: tuple[str, ...] = ()
    """Nodes by name, else by public address, that run or will run an older config until flanneld restarts."""

    problems: tuple[Problem, ...] = ()
