"""The values that checks judge: one frozen class a topic, `Facts` for all.

No I/O. ``None`` means that it is not known (no permission, no such program, a root directory that is not the running
host); an empty tuple means that there is none. Times are seconds since the epoch, sizes bytes, paths as on the host.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nodegate_host.envfile import Problem
from nodegate_host.model import Version
from nodegate_host.unitfile import Argument, Value


@dataclass(frozen=True)
class Place:
    """A file or directory: `kind` is file, directory, link, other or missing; `managed` says our header is in it."""

    path: str
    kind: str = "missing"
    mode: int = 0
    uid: int = 0
    target: str = ""
    managed: bool = False
    selinux: str | None = None

    @property
    def exists(self) -> bool:
        """Whether it is there."""
        return self.kind != "missing"


@dataclass(frozen=True)
class Sysctl:
    """A kernel setting: `live` now; `persisted` after a boot, as `file` and `line` say (the last file wins)."""

    name: str
    live: str | None
    persisted: str | None = None
    file: str = ""
    line: int = 0


@dataclass(frozen=True)
class Mount:
    """A line of /proc/mounts."""

    path: str
    type: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class Disk:
    """The file system of a path."""

    path: str
    total: int
    free: int


@dataclass(frozen=True)
class HostFacts:
    """The machine. `modules`: name → loaded, builtin, available or missing; `resolves`: name → whether it does."""

    euid: int | None = None
    booted_with_systemd: bool | None = None
    systemd: int | None = None
    os_id: str = ""
    os_like: tuple[str, ...] = ()
    os_version: str = ""
    os_name: str = ""
    machine: str = ""
    kernel: tuple[int, int] | None = None
    kernel_release: str = ""
    memory: int | None = None
    disk: Disk | None = None
    now: float | None = None
    ntp_synchronized: bool | None = None
    machine_id: str | None = None
    product_uuid: str | None = None
    hostname: str = ""
    swaps: tuple[str, ...] | None = None
    cgroup: int | None = None
    controllers: tuple[str, ...] | None = None
    modules: Mapping[str, str] = field(default_factory=dict)
    sysctls: Mapping[str, Sysctl] = field(default_factory=dict)
    selinux: str | None = None
    nofile: int | None = None
    mounts: tuple[Mount, ...] = ()
    resolves: Mapping[str, bool] = field(default_factory=dict)
    installers: Mapping[str, str] = field(default_factory=dict)
    """Other installations of Kubernetes: name → the path that shows it."""


@dataclass(frozen=True)
class Interface:
    """A network interface with its addresses as CIDRs; `scope_global` leaves out link-local and loopback."""

    name: str
    addresses: tuple[str, ...] = ()
    mac: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Route:
    """`destination` is a CIDR, the default route is 0.0.0.0/0."""

    destination: str
    device: str
    gateway: str = ""


@dataclass(frozen=True)
class Listener:
    """A socket that waits: `program` is empty when its owner is not known."""

    protocol: str
    address: str
    port: int
    program: str = ""
    pid: int = 0


@dataclass(frozen=True)
class Resolver:
    """A resolv.conf, links followed."""

    path: str
    exists: bool
    nameservers: tuple[str, ...] = ()


@dataclass(frozen=True)
class NetworkFacts:
    """The network. `open_ports`: of the active firewall, ``10250/tcp``; `forward_policy`: ACCEPT or DROP."""

    interfaces: tuple[Interface, ...] | None = None
    routes: tuple[Route, ...] | None = None
    listeners: tuple[Listener, ...] | None = None
    firewall: str | None = None
    open_ports: tuple[str, ...] = ()
    forward_policy: str | None = None
    forward_rules: tuple[str, ...] = ()
    iptables: str | None = None
    """``nf_tables``, ``legacy``, or ``missing``."""
    legacy_rules: int | None = None
    nft_rules: int | None = None
    nft: Version | None = None
    managers: Mapping[str, bool] = field(default_factory=dict)
    """NetworkManager, systemd-networkd, nm-cloud-setup → whether active."""
    unmanaged: tuple[str, ...] = ()
    """Which of them a file keeps off flannel's interfaces."""
    resolvers: Mapping[str, Resolver] = field(default_factory=dict)


@dataclass(frozen=True)
class Program:
    """A program: `machine` is its ELF architecture as ``uname -m`` names it; `flags` what ``--help`` lists."""

    name: str
    path: str
    exists: bool = False
    executable: bool = False
    machine: str = ""
    version: Version | None = None
    sha256: str = ""
    flags: frozenset[str] = frozenset()


@dataclass(frozen=True)
class UnitFact:
    """A unit: what systemd says of it (empty when not asked) and what its files say."""

    name: str
    fragment: str = ""
    load_state: str = ""
    active_state: str = ""
    file_state: str = ""
    main_pid: int = 0
    dropins: tuple[str, ...] = ()
    command: tuple[Argument, ...] = ()
    raw_command: str = ""
    environment: Mapping[str, Value] = field(default_factory=dict)
    missing_environment: tuple[tuple[str, str], ...] = ()
    """(environment file that must exist and does not, ``unit file:line``)."""


@dataclass(frozen=True)
class EnvironmentFile:
    """An environment file and its mistakes."""

    path: str
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class CgroupSetting:
    """What a runtime's configuration says of cgroups: `driver`, and where."""

    driver: str
    file: str
    line: int = 0
    runtime: str = ""


@dataclass(frozen=True)
class RuntimeFacts:
    """The runtime. `answers`: the socket; `cri`: whether CRI v1 is on it; `cgroups`: one an runc-like runtime."""

    socket: str = ""
    exists: bool | None = None
    answers: bool | None = None
    cri: bool | None = None
    name: str = ""
    version: Version | None = None
    problem: str = ""
    config_file: str = ""
    cri_disabled: str = ""
    """``file:line`` of the disabled_plugins that name cri."""
    cgroups: tuple[CgroupSetting, ...] | None = None
    sandbox: str = ""
    images: tuple[str, ...] | None = None
    docker_command: str = ""
    docker_fragment: str = ""
    docker_options: Mapping[str, str] = field(default_factory=dict)
    """dockerd's flags without dashes, defaults of daemon.json left out."""
    docker_daemon: Mapping[str, str] = field(default_factory=dict)
    cni_configs: tuple[str, ...] | None = None
    cni_plugins: Mapping[str, bool] = field(default_factory=dict)
    """Plugin → whether it is there and may be executed."""


@dataclass(frozen=True)
class Certificate:
    """What a certificate says. `subject`, `issuer`: DER in hex, for comparison; ids are key identifiers in hex."""

    file: str
    common_name: str = ""
    organizations: tuple[str, ...] = ()
    not_before: float = 0.0
    not_after: float = 0.0
    subject: str = ""
    issuer: str = ""
    issuer_name: str = ""
    names: tuple[str, ...] = ()
    usages: tuple[str, ...] = ()
    key_id: str = ""
    authority_id: str = ""


@dataclass(frozen=True)
class Kubeconfig:
    """A kubeconfig: `state` is missing, empty, invalid or usable; `problem` says why; no secret is kept."""

    path: str
    state: str = "missing"
    problem: str = ""
    contexts: int = 0
    server: str = ""
    user: str = ""
    token: bool = False
    certificate: Certificate | None = None
    certificate_file: str = ""
    key_file: str = ""
    key_matches: bool | None = None


@dataclass(frozen=True)
class IdentityFacts:
    """Who this node is, and the files that say so."""

    kubelet: Kubeconfig | None = None
    bootstrap: Kubeconfig | None = None
    kube_proxy: Kubeconfig | None = None
    ca: tuple[Certificate, ...] | None = None
    ca_problem: str = ""
    etcd_ca: tuple[Certificate, ...] | None = None
    etcd_client: Certificate | None = None
    etcd_key_matches: bool | None = None
    secrets: tuple[Place, ...] = ()


@dataclass(frozen=True)
class NodeObject:
    """The Node of our name in the cluster."""

    uid: str
    ready: bool
    machine_id: str = ""
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class ApiFacts:
    """The API server from here. `credential`: ok, rejected, forbidden or none; `may_request`: may it make requests."""

    server: str
    tcp: bool | None = None
    tls: bool | None = None
    problem: str = ""
    version: Version | None = None
    credential: str | None = None
    may_request: bool | None = None
    node: NodeObject | None = None
    node_known: bool = False


@dataclass(frozen=True)
class Lease:
    """A flannel lease."""

    subnet: str
    public_ip: str
    vtep_mac: str = ""


@dataclass(frozen=True)
class EtcdFacts:
    """etcd as seen from here. `health`: endpoint → empty when healthy, else why not; `config`: the key's text."""

    health: Mapping[str, str] = field(default_factory=dict)
    config: str | None = None
    config_read: bool = False
    found_in_other_api: bool = False
    leases: tuple[Lease, ...] | None = None


@dataclass(frozen=True)
class Facts:
    """All that was found. `live`: the root is the running host, so programs were asked too."""

    root: str = "/"
    live: bool = False
    host: HostFacts = field(default_factory=HostFacts)
    network: NetworkFacts = field(default_factory=NetworkFacts)
    programs: Mapping[str, Program] = field(default_factory=dict)
    units: Mapping[str, UnitFact] = field(default_factory=dict)
    environment_files: tuple[EnvironmentFile, ...] = ()
    runtime: RuntimeFacts = field(default_factory=RuntimeFacts)
    identity: IdentityFacts = field(default_factory=IdentityFacts)
    api: ApiFacts | None = None
    etcd: EtcdFacts | None = None
    places: Mapping[str, Place] = field(default_factory=dict)
    """Directories that are to take files, and programs."""
    targets: Mapping[str, Place] = field(default_factory=dict)
    """Files that are to be written."""
