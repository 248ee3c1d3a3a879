"""What a node is to be (`NodeConfig`), and what that comes to on disk (`Rendering`).

Values only: no I/O, no defaults that depend on a host. `parse.py` makes a `NodeConfig` from a file, `render` makes a
`Rendering` from it, everything else compares, writes and checks. Every fact is said once (name, addresses, ranges,
cgroup driver), so the kubelet, kube-proxy, the runtime and flannel cannot contradict each other.
Paths that a config names as input (``caFile``, ``kubeconfigFile``, flannel's certificates) are sources; where they
are installed is fixed in `paths.py`.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

API_VERSION = "node.nodegate.dev/v1alpha1"
KIND = "NodeConfig"


class Version(NamedTuple):
    """A program's version; compares as versions do. `text` gives ``1.36.2``."""

    major: int
    minor: int
    patch: int = 0

    @property
    def text(self) -> str:
        """As people write it, without a ``v``."""
        return f"{self.major}.{self.minor}.{self.patch}"

    @property
    def release(self) -> tuple[int, int]:
        """Major and minor, which decide what exists and what was removed."""
        return (self.major, self.minor)


FLANNEL_DEFAULT = Version(0, 28, 9)
"""The flannel that is meant when the file names none."""


class Role(str, enum.Enum):
    """What the node is for; a control plane node may go without flannel."""

    WORKER = "worker"
    CONTROL_PLANE = "control-plane"


class RuntimeKind(str, enum.Enum):
    """The container runtime; ``docker`` is dockershim, which the kubelet had up to 1.23."""

    CONTAINERD = "containerd"
    DOCKER = "docker"
    CRI_DOCKERD = "cri-dockerd"


class ProxyMode(str, enum.Enum):
    """How kube-proxy programs Services; always written out, because the default is to change."""

    IPTABLES = "iptables"
    IPVS = "ipvs"
    NFTABLES = "nftables"


class CgroupDriver(str, enum.Enum):
    """Who makes cgroups; kubelet and runtime get the same one."""

    SYSTEMD = "systemd"
    CGROUPFS = "cgroupfs"


class CniPlugin(str, enum.Enum):
    """Where Pods get their interface: flannel's plugin, the stock bridge from the lease, or docker0."""

    FLANNEL = "flannel"
    BRIDGE = "bridge"
    NONE = "none"


class EtcdApi(str, enum.Enum):
    """Which etcd API flannel speaks: v2 before 0.18.0, v3 since."""

    AUTO = "auto"
    V2 = "v2"
    V3 = "v3"


class Swap(str, enum.Enum):
    """Whether swap may be on."""

    REQUIRE_OFF = "require-off"
    ALLOW = "allow"


class NetworkManager(str, enum.Enum):
    """What to do about NetworkManager and networkd: write the files that keep them off, only look, or neither."""

    CONFIGURE = "configure"
    CHECK = "check"
    IGNORE = "ignore"


class ForeignFiles(str, enum.Enum):
    """What to do when a file that is to be written belongs to somebody else."""

    REFUSE = "refuse"
    ADOPT = "adopt"


class Restart(str, enum.Enum):
    """Whether changed units are restarted by `apply`, or only named."""

    AUTO = "auto"
    MANUAL = "manual"


@dataclass(frozen=True)
class Taint:
    """A taint that the kubelet registers with."""

    key: str
    value: str
    effect: str


@dataclass(frozen=True)
class Node:
    """The node itself. `ips`: the first is its main address, a second one is of the other family."""

    name: str
    ips: tuple[str, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    role: Role = Role.WORKER


@dataclass(frozen=True)
class Cluster:
    """The cluster. `pod_cidr` is flannel's Network (the range of all Pods), never a node's part; one per family."""

    api_server: str
    service_cidr: tuple[str, ...]
    pod_cidr: tuple[str, ...]
    cluster_dns: tuple[str, ...]
    cluster_domain: str = "cluster.local"
    ca_file: str | None = None
    ca_data: str | None = None
    """The CA as PEM text (the file holds it in base64, as kubeconfigs do); exactly one of `ca_file`, `ca_data`."""


@dataclass(frozen=True)
class Kubernetes:
    """Which kubelet and kube-proxy. `sha256`: program name → lower-case hex digest."""

    version: Version
    bin_dir: str = "/usr/local/bin"
    sha256: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Bootstrap:
    """How the node gets its first certificate: a kubeconfig file or a token (not both), or neither once joined."""

    kubeconfig_file: str | None = None
    token: str | None = field(default=None, repr=False)
    remove_after_join: bool = False
    enrollment_name: str | None = None


@dataclass(frozen=True)
class Kubelet:
    """`config`: KubeletConfiguration fields over the rendered ones; `extra_args`: more flags, ``--name=value``."""

    config: Mapping[str, Any] = field(default_factory=dict)
    extra_args: tuple[str, ...] = ()


@dataclass(frozen=True)
class KubeProxy:
    """`config`: KubeProxyConfiguration fields over the rendered ones."""

    enabled: bool = True
    mode: ProxyMode = ProxyMode.IPTABLES
    kubeconfig_file: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Runtime:
    """The container runtime. `manage`: whether its configuration file is ours; `version`: containerd's, for that."""

    kind: RuntimeKind = RuntimeKind.CONTAINERD
    manage: bool = False
    cgroup_driver: CgroupDriver = CgroupDriver.SYSTEMD
    sandbox_image: str | None = None
    endpoint: str = "unix:///run/containerd/containerd.sock"
    version: Version | None = None

    @property
    def unit(self) -> str:
        """The unit that the kubelet comes after."""
        names = {
            RuntimeKind.CONTAINERD: "containerd",
            RuntimeKind.DOCKER: "docker",
            RuntimeKind.CRI_DOCKERD: "cri-docker",
        }
        return f"{names[self.kind]}.service"

    @property
    def socket(self) -> str:
        """The endpoint's path, without ``unix://``."""
        return self.endpoint.removeprefix("unix://")


@dataclass(frozen=True)
class Etcd:
    """Where flannel's configuration is. Either all three TLS files or none: flannel drops TLS when one is missing."""

    endpoints: tuple[str, ...] = ()
    prefix: str = "/coreos.com/network"
    api: EtcdApi = EtcdApi.AUTO
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None


@dataclass(frozen=True)
class Flannel:
    """flanneld. `iface` and `iface_can_reach` exclude each other; `options`: more flags, ``-name=value``."""

    enabled: bool = True
    version: Version = FLANNEL_DEFAULT
    etcd: Etcd = field(default_factory=Etcd)
    iface: str | None = None
    iface_can_reach: str | None = None
    options: tuple[str, ...] = ()

    @property
    def etcd_api(self) -> EtcdApi:
        """What ``auto`` comes to for this version."""
        if self.etcd.api is not EtcdApi.AUTO:
            return self.etcd.api
        return EtcdApi.V3 if self.version >= Version(0, 18, 0) else EtcdApi.V2


@dataclass(frozen=True)
class Cni:
    """Which CNI configuration is written, and where plugins and configurations are."""

    plugin: CniPlugin = CniPlugin.BRIDGE
    bin_dir: str = "/opt/cni/bin"
    conf_dir: str = "/etc/cni/net.d"


@dataclass(frozen=True)
class Host:
    """The host. `sysctls` and `modules` are added to those that are always needed.

    `env_dir`: where the distribution keeps the environment files of services (``/etc/sysconfig`` on RHEL).
    """

    sysctls: Mapping[str, str] = field(default_factory=dict)
    modules: tuple[str, ...] = ()
    swap: Swap = Swap.REQUIRE_OFF
    network_manager: NetworkManager = NetworkManager.CONFIGURE
    env_dir: str = "/etc/default"


@dataclass(frozen=True)
class Policy:
    """What `apply` does about other people's files and about restarts."""

    foreign_files: ForeignFiles = ForeignFiles.REFUSE
    restart: Restart = Restart.AUTO


@dataclass(frozen=True)
class NodeConfig:
    """One node, from one file."""

    node: Node
    cluster: Cluster
    kubernetes: Kubernetes
    bootstrap: Bootstrap = field(default_factory=Bootstrap)
    kubelet: Kubelet = field(default_factory=Kubelet)
    kube_proxy: KubeProxy = field(default_factory=KubeProxy)
    runtime: Runtime = field(default_factory=Runtime)
    flannel: Flannel = field(default_factory=Flannel)
    cni: Cni = field(default_factory=Cni)
    host: Host = field(default_factory=Host)
    policy: Policy = field(default_factory=Policy)


@dataclass(frozen=True)
class Directory:
    """A directory that must exist before any unit starts; made when missing, left alone when there."""

    path: str
    mode: int = 0o755
    owner: str = "root:root"


@dataclass(frozen=True)
class File:
    """A file as it is to be. `path` is absolute on the host; `units` are restarted when the content changes."""

    path: str
    content: bytes = field(repr=False)
    mode: int = 0o644
    owner: str = "root:root"
    secret: bool = False
    units: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """The content's digest, in hex."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class Unit:
    """A unit to be running. `ours`: its file is rendered and it is enabled by us; otherwise only restarted."""

    name: str
    ours: bool = True


@dataclass(frozen=True)
class Rendering:
    """All that the tool owns on a host: `files` and `directories` by path, `units` in the order they start.

    `generated`: paths that our units write from flannel's lease while they run; never compared, gone with a reset.
    """

    files: tuple[File, ...]
    directories: tuple[Directory, ...]
    units: tuple[Unit, ...]
    generated: tuple[str, ...] = ()

    def file(self, path: str) -> File | None:
        """The file that goes to `path`, if there is one."""
        return next((each for each in self.files if each.path == path), None)
