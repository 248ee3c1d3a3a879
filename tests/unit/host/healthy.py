"""A host on which every check passes, and its configuration; tests change one thing at a time."""

from dataclasses import replace
from typing import Any

from nodegate_host.facts.model import (
    ApiFacts,
    Certificate,
    CgroupSetting,
    Disk,
    EtcdFacts,
    Facts,
    HostFacts,
    IdentityFacts,
    Interface,
    Kubeconfig,
    Lease,
    Listener,
    Mount,
    NetworkFacts,
    NodeObject,
    Place,
    Program,
    Resolver,
    Route,
    RuntimeFacts,
    Sysctl,
    UnitFact,
)
from nodegate_host.model import (
    Cluster,
    Etcd,
    Flannel,
    Kubernetes,
    Node,
    NodeConfig,
    Runtime,
    Version,
)
from nodegate_host.unitfile import Argument, Source

NOW = 1_800_000_000.0
DAY = 86400.0
BIN = "/usr/local/bin"

CONFIG = NodeConfig(
    node=Node("node-a", ("10.0.0.3",)),
    cluster=Cluster(
        "https://10.0.0.1:6443", ("10.96.0.0/16",), ("10.244.0.0/16",), ("10.96.0.10",), ca_file="/etc/nodegate/ca.crt"
    ),
    kubernetes=Kubernetes(Version(1, 36, 2)),
    runtime=Runtime(sandbox_image="registry.example/pause:3.10"),
    flannel=Flannel(
        version=Version(0, 28, 9),
        etcd=Etcd(
            ("https://10.0.0.1:2379",),
            ca_file="/etc/nodegate/etcd-ca.crt",
            cert_file="/etc/nodegate/client.crt",
            key_file="/etc/nodegate/client.key",
        ),
    ),
)

CA = Certificate("/etc/nodegate/ca.crt", "ca", (), NOW - DAY, NOW + 365 * DAY, "aa", "aa", "ca")
CLIENT = Certificate(
    "/var/lib/kubelet/pki/kubelet-client-current.pem",
    "system:node:node-a",
    ("system:nodes",),
    NOW - DAY,
    NOW + 90 * DAY,
    "bb",
    "aa",
    "ca",
    usages=("clientAuth",),
)
KUBELET = Kubeconfig(
    "/etc/kubernetes/kubelet.kubeconfig",
    "usable",
    contexts=1,
    server="https://10.0.0.1:6443",
    user="node",
    certificate=CLIENT,
    key_matches=True,
)
BOOTSTRAP = Kubeconfig("/etc/kubernetes/bootstrap.kubeconfig", "usable", contexts=1, token=True)
_FLAGS = frozenset({"--v", "--vmodule", "--config", "-iface", "-v"})
_SYSCTLS = {
    "net.ipv4.ip_forward": "1",
    "net.bridge.bridge-nf-call-iptables": "1",
    "net.bridge.bridge-nf-call-ip6tables": "1",
    "net.ipv6.conf.all.forwarding": "1",
    "net.ipv4.ip_local_reserved_ports": "30000-32767",
    "fs.inotify.max_user_instances": "8192",
    "fs.inotify.max_user_watches": "524288",
}


def sysctl(
    name: str, live: str | None, persisted: str | None = "1", file: str = "/etc/sysctl.d/90-nodegate.conf"
) -> Any:
    """Return a mapping with one sysctl changed."""
    changed = Sysctl(name, live, persisted, file, 3)
    return {**HEALTHY.host.sysctls, name: changed}


def _program(name: str, version: Version) -> Program:
    return Program(name, f"{BIN}/{name}", exists=True, executable=True, machine="x86_64", version=version, flags=_FLAGS)


def unit(name: str, *arguments: str, **changes: Any) -> UnitFact:
    """Return a loaded unit with these arguments."""
    fragment = f"/etc/systemd/system/{name}"
    command = tuple(Argument(each, Source(fragment, 9)) for each in (f"{BIN}/x", *arguments))
    made = UnitFact(name, fragment=fragment, load_state="loaded", command=command, raw_command=" ".join(arguments))
    return replace(made, **changes)


HEALTHY = Facts(
    live=True,
    host=HostFacts(
        euid=0,
        booted_with_systemd=True,
        systemd=252,
        os_id="debian",
        os_version="12",
        os_name="Debian 12",
        machine="x86_64",
        kernel=(6, 1),
        kernel_release="6.1.0",
        memory=2 * 1024**3,
        disk=Disk("/var/lib/kubelet", 100 * 1024**3, 50 * 1024**3),
        now=NOW,
        ntp_synchronized=True,
        machine_id="11112222333344445555666677778888",
        hostname="node-a",
        swaps=(),
        cgroup=2,
        controllers=("cpuset", "cpu", "io", "memory", "pids"),
        modules={"overlay": "builtin", "br_netfilter": "loaded", "vxlan": "loaded"},
        sysctls={
            name: Sysctl(name, value, value, "/etc/sysctl.d/90-nodegate.conf", 1) for name, value in _SYSCTLS.items()
        },
        nofile=1048576,
        mounts=(Mount("/", "ext4", ("rw",)), Mount("/proc", "proc", ("rw",))),
        resolves={"node-a": True, "localhost": True},
    ),
    network=NetworkFacts(
        interfaces=(
            Interface("lo", ("127.0.0.1/8",)),
            Interface("eth0", ("10.0.0.3/24",)),
            Interface("flannel.1", ("10.244.31.0/32",), "c2:25:29:32:b6:68", "vxlan"),
        ),
        routes=(
            Route("0.0.0.0/0", "eth0", "10.0.0.254"),
            Route("10.0.0.0/24", "eth0"),
            Route("10.244.0.0/16", "flannel.1"),
        ),
        listeners=(Listener("tcp", "10.0.0.3", 22, "sshd", 1), Listener("tcp", "10.0.0.3", 10250, "kubelet", 77)),
        firewall="",
        forward_policy="ACCEPT",
        iptables="nf_tables",
        legacy_rules=0,
        nft_rules=12,
        nft=Version(1, 0, 6),
        managers={"NetworkManager": False, "systemd-networkd": True, "nm-cloud-setup": False},
        unmanaged=("systemd-networkd",),
        resolvers={"/etc/resolv.conf": Resolver("/etc/resolv.conf", exists=True, nameservers=("10.0.0.2",))},
    ),
    programs={
        "kubelet": _program("kubelet", Version(1, 36, 2)),
        "kube-proxy": _program("kube-proxy", Version(1, 36, 2)),
        "flanneld": _program("flanneld", Version(0, 28, 9)),
        "conntrack": Program("conntrack", "/usr/sbin/conntrack", exists=True, executable=True, machine="x86_64"),
    },
    units={
        "kubelet.service": unit("kubelet.service", "--hostname-override=node-a", main_pid=77),
        "kube-proxy.service": unit("kube-proxy.service", "--hostname-override=node-a"),
        "containerd.service": unit("containerd.service"),
    },
    runtime=RuntimeFacts(
        socket="/run/containerd/containerd.sock",
        exists=True,
        answers=True,
        cri=True,
        name="containerd",
        version=Version(2, 2, 1),
        config_file="/etc/containerd/config.toml",
        cgroups=(CgroupSetting("systemd", "/etc/containerd/config.toml", 12, "runc"),),
        images=("registry.example/pause:3.10",),
        cni_configs=("10-flannel.conflist", "99-other.conf"),
        cni_plugins={"bridge": True, "host-local": True, "portmap": True, "loopback": True},
    ),
    identity=IdentityFacts(
        kubelet=KUBELET,
        bootstrap=BOOTSTRAP,
        ca=(CA,),
        etcd_ca=(CA,),
        etcd_client=replace(CLIENT, file="/etc/nodegate/client.crt", common_name="flannel"),
        etcd_key_matches=True,
        secrets=(Place("/etc/kubernetes/kubelet.kubeconfig", "file", 0o600),),
    ),
    api=ApiFacts(
        "https://10.0.0.1:6443",
        tcp=True,
        tls=True,
        version=Version(1, 37, 2),
        credential="ok",
        may_request=True,
        node=NodeObject("u-1", ready=True, machine_id="11112222333344445555666677778888", addresses=("10.0.0.3",)),
        node_known=True,
    ),
    etcd=EtcdFacts(
        {"https://10.0.0.1:2379": ""},
        config='{"Network": "10.244.0.0/16", "SubnetLen": 24, "Backend": {"Type": "vxlan"}}',
        config_read=True,
        leases=(Lease("10.244.31.0/24", "10.0.0.3", "c2:25:29:32:b6:68"), Lease("10.244.40.0/24", "10.0.0.4")),
    ),
    places={"/usr/local/bin/kubelet": Place("/usr/local/bin/kubelet", "file", 0o755)},
    targets={
        "/etc/systemd/system/kubelet.service": Place("/etc/systemd/system/kubelet.service", "file", 0o644, managed=True)
    },
)
"""A joined, healthy worker."""


def host(**changes: Any) -> Facts:
    """Return the healthy facts with these of the machine changed."""
    return replace(HEALTHY, host=replace(HEALTHY.host, **changes))


def network(**changes: Any) -> Facts:
    """Return the healthy facts with these of the network changed."""
    return replace(HEALTHY, network=replace(HEALTHY.network, **changes))


def runtime(**changes: Any) -> Facts:
    """Return the healthy facts with these of the runtime changed."""
    return replace(HEALTHY, runtime=replace(HEALTHY.runtime, **changes))


def identity(**changes: Any) -> Facts:
    """Return the healthy facts with these of the identity changed."""
    return replace(HEALTHY, identity=replace(HEALTHY.identity, **changes))


def api(**changes: Any) -> Facts:
    """Return the healthy facts with the API server's answers changed."""
    assert HEALTHY.api is not None
    return replace(HEALTHY, api=replace(HEALTHY.api, **changes))


def etcd(**changes: Any) -> Facts:
    """Return the healthy facts with etcd's answers changed."""
    assert HEALTHY.etcd is not None
    return replace(HEALTHY, etcd=replace(HEALTHY.etcd, **changes))


def units(**changes: UnitFact) -> Facts:
    """Return the healthy facts with units replaced; names with underscores, without suffix."""
    named = {f"{name.replace('_', '-')}.service": fact for name, fact in changes.items()}
    return replace(HEALTHY, units={**HEALTHY.units, **named})


def program(name: str, **changes: Any) -> Facts:
    """Return the healthy facts with a program changed."""
    changed = replace(HEALTHY.programs[name], **changes)
    return replace(HEALTHY, programs={**HEALTHY.programs, name: changed})


def config(section: str = "", **changes: Any) -> NodeConfig:
    """Return the configuration with a section (or a field of the top) changed."""
    if not section:
        return replace(CONFIG, **changes)
    return replace(CONFIG, **{section: replace(getattr(CONFIG, section), **changes)})
