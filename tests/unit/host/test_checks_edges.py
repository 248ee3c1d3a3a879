"""The edges of the checks: the unknown is skipped, what is near a fault is left alone, what is just one is found."""

import json
from dataclasses import replace
from typing import Any

import pytest

from nodegate_host.checks.engine import Selection, evaluate
from nodegate_host.checks.model import ERROR, PASS, SKIPPED, WARNING
from nodegate_host.facts.model import (
    Certificate,
    Disk,
    Facts,
    IdentityFacts,
    Interface,
    Kubeconfig,
    Lease,
    Listener,
    Mount,
    NodeObject,
    Place,
    Resolver,
    Route,
    Sysctl,
)
from nodegate_host.model import Cni, CniPlugin, NetworkManager, NodeConfig, ProxyMode, RuntimeKind, Version
from nodegate_host.unitfile import Source, Value
from tests.unit.host import healthy as h

_ETH1 = Interface("eth1", ("47.96.40.139/24",))
_TWO = (*(h.HEALTHY.network.interfaces or ()), _ETH1)
_GONE = Kubeconfig("/etc/kubernetes/bootstrap.kubeconfig", "missing")
_EXPIRED = replace(h.KUBELET, certificate=replace(h.CLIENT, not_after=h.NOW - h.DAY))
_NFTABLES = h.config("kube_proxy", mode=ProxyMode.NFTABLES)
_DOCKER = h.config("runtime", kind=RuntimeKind.CRI_DOCKERD)
_NO_FLANNEL = h.config("flannel", enabled=False)
_TOKEN = h.config("bootstrap", token="abcdef.0123456789abcdef")  # noqa: S106 (made up)
_DUAL = h.config("node", ips=("10.0.0.3", "fd00::3"))


def _proxied(**environment: str) -> Facts:
    known = {name: Value(text, Source("/etc/default/kubelet", 2)) for name, text in environment.items()}
    return h.units(kubelet=h.unit("kubelet.service", environment=known))


def _resolver(*servers: str, exists: bool = True) -> Facts:
    return h.network(resolvers={"/etc/resolv.conf": Resolver("/etc/resolv.conf", exists=exists, nameservers=servers)})


def _etcd_config(**values: Any) -> Facts:
    return h.etcd(config=json.dumps({"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}, **values}))


def _full() -> Facts:
    text = json.dumps({"Network": "10.244.0.0/16", "SubnetLen": 17, "Backend": {"Type": "vxlan"}})
    return h.etcd(config=text, leases=(Lease("10.244.0.0/17", "10.0.0.8"), Lease("10.244.128.0/17", "10.0.0.9")))


def _node(**changes: Any) -> Facts:
    usual = NodeObject("u", ready=True, machine_id=h.HEALTHY.host.machine_id or "", addresses=("10.0.0.3",))
    return h.api(node=replace(usual, **changes))


def _kubelet(found: Kubeconfig, bootstrap: Kubeconfig = h.BOOTSTRAP) -> Facts:
    return h.identity(kubelet=found, bootstrap=bootstrap)


def _unjoined(**answers: Any) -> Facts:
    return replace(h.api(**answers), identity=h.identity(kubelet=None).identity)


_SKIPPED: list[tuple[str, Facts, NodeConfig]] = [
    ("host.os", h.host(os_id=""), h.CONFIG),
    ("host.arch", h.host(machine=""), h.CONFIG),
    ("host.kernel", h.host(kernel=None), h.CONFIG),
    ("host.mem", h.host(memory=None), h.CONFIG),
    ("host.disk", h.host(disk=None), h.CONFIG),
    ("host.time", h.host(now=None), h.CONFIG),
    ("host.swap", h.host(swaps=None), h.CONFIG),
    ("host.cgroup", h.host(cgroup=None), h.CONFIG),
    ("host.cgroupctl", h.host(controllers=None), h.CONFIG),
    ("host.modules", h.host(modules={}), h.CONFIG),
    ("host.modules", h.host(modules={"overlay": "builtin"}), h.CONFIG),
    ("host.reservedports", h.host(sysctls={}), h.CONFIG),
    ("host.reservedports", h.host(sysctls=h.sysctl("net.ipv4.ip_local_reserved_ports", None)), h.CONFIG),
    ("host.nofile", h.host(nofile=None), h.CONFIG),
    ("name.conflict", replace(h.HEALTHY, api=None), h.CONFIG),
    ("name.conflict", h.api(node=None, node_known=False), h.CONFIG),
    ("ip.local", h.network(interfaces=None), h.CONFIG),
    ("ip.multi", h.network(interfaces=None), h.CONFIG),
    ("ip.multi", h.network(routes=None), h.CONFIG),
    ("net.ports", h.network(listeners=None), h.CONFIG),
    ("net.firewall", h.network(firewall=None), h.CONFIG),
    ("net.forward", h.network(forward_policy=None), h.CONFIG),
    ("net.iptables", h.network(iptables=None), h.CONFIG),
    ("dns.resolvconf", h.network(resolvers={}), h.CONFIG),
    ("dns.resolvconf", replace(_resolver(exists=False), live=False), h.CONFIG),
    ("rt.version", h.runtime(version=None), h.CONFIG),
    ("rt.cgroup", h.runtime(cgroups=None), h.CONFIG),
    ("rt.sandbox", h.runtime(images=None), h.CONFIG),
    ("rt.sandbox", h.HEALTHY, h.config("runtime", sandbox_image=None)),
    ("rt.dockerflags", h.HEALTHY, _DOCKER),
    ("bin.skew", h.api(version=None), h.CONFIG),
    ("api.tcp", replace(h.HEALTHY, api=None), h.CONFIG),
    ("api.tls", h.api(tcp=False, tls=None), h.CONFIG),
    ("api.token", _unjoined(credential=None), h.CONFIG),
    ("etcd.config", h.etcd(config=None, config_read=False), h.CONFIG),
    ("etcd.lease", h.etcd(leases=None), h.CONFIG),
    ("etcd.lease", replace(h.HEALTHY, etcd=None), h.CONFIG),
]

_RIGHT: list[tuple[str, Facts, NodeConfig]] = [
    ("host.systemd", h.host(systemd=None), h.CONFIG),
    ("host.os", h.host(os_version=""), h.CONFIG),
    ("host.arch", h.program("kubelet", machine=""), h.CONFIG),
    ("host.kernel", h.host(kernel=(5, 13)), _NFTABLES),
    ("host.kernel", h.host(kernel=(5, 4)), h.config("kube_proxy", mode=ProxyMode.NFTABLES, enabled=False)),
    ("host.time", h.identity(ca=None), h.CONFIG),
    ("host.machineid", _node(machine_id="other", addresses=("10.0.0.9",)), h.CONFIG),
    ("host.machineid", _node(addresses=("10.0.0.9",), ready=False), h.CONFIG),
    (
        "host.selinux",
        replace(h.host(selinux="enforcing"), places={f"{h.BIN}/kubelet": Place(f"{h.BIN}/kubelet")}),
        h.CONFIG,
    ),
    ("host.inotify", h.host(sysctls={}), h.CONFIG),
    ("host.inotify", h.host(sysctls=h.sysctl("fs.inotify.max_user_instances", "odd")), h.CONFIG),
    ("host.readonly", h.host(mounts=(Mount("/usr", "e", ("ro",)), Mount("/usr/local/bin", "e", ("rw",)))), h.CONFIG),
    ("host.readonly", h.host(mounts=(Mount("/usr/local/bi", "e", ("ro",)),)), h.CONFIG),
    ("host.sysctl", h.host(sysctls=h.sysctl("net.ipv4.ip_forward", "1", "1", "/etc/sysctl.d/99-z.conf")), h.CONFIG),
    ("host.sysctl", h.host(sysctls=h.sysctl("net.ipv6.conf.all.forwarding", "0")), h.CONFIG),
    ("host.sysctl", h.host(sysctls=h.sysctl("net.ipv4.ip_forward", None, None, "")), h.CONFIG),
    ("host.reservedports", h.host(sysctls=h.sysctl("net.ipv4.ip_local_reserved_ports", "x,80,29000-33000")), h.CONFIG),
    ("name.match", h.identity(kubelet=None), h.config("node", name="node-a")),
    ("name.match", _kubelet(replace(h.KUBELET, certificate=Certificate("/c", "admin"))), h.CONFIG),
    ("name.match", h.units(kubelet=h.unit("kubelet.service")), h.CONFIG),
    ("name.conflict", h.api(node=None), h.CONFIG),
    ("name.conflict", _node(machine_id=""), h.CONFIG),
    ("name.conflict", replace(_node(), host=h.host(machine_id=None).host), h.CONFIG),
    ("ip.multi", h.network(interfaces=_TWO, routes=()), h.config("flannel", iface_can_reach="10.0.0.1")),
    ("ip.multi", h.network(interfaces=_TWO), _NO_FLANNEL),
    ("ip.multi", h.network(interfaces=_TWO), h.config("node", ips=("10.0.0.77",))),
    ("ip.multi", h.network(interfaces=(*_TWO[:3], Interface("eth1", ("fe80::1/64",)))), h.CONFIG),
    ("net.overlap", h.network(routes=None), h.CONFIG),
    ("net.overlap", h.network(routes=(Route("::/0", "eth0"), Route("fd00::/8", "eth0"))), h.CONFIG),
    ("net.clustercidr", h.HEALTHY, h.config("kube_proxy", config={"clusterCIDR": "10.244.0.0/16"})),
    ("net.clustercidr", h.etcd(config="[]"), h.CONFIG),
    ("net.maxpods", h.HEALTHY, h.config("kubelet", config={"maxPods": 253})),
    ("net.maxpods", h.HEALTHY, replace(_NO_FLANNEL, kubelet=h.config("kubelet", config={"maxPods": 300}).kubelet)),
    ("net.maxpods", _etcd_config(SubnetLen="24"), h.CONFIG),
    ("net.ports", h.network(listeners=(Listener("udp", "::", 8472),)), h.CONFIG),
    ("net.ports", h.network(listeners=(Listener("udp", "::", 8472),), interfaces=None), _NO_FLANNEL),
    ("net.ports", h.network(listeners=(Listener("udp", "::", 10250, "x", 1),)), h.CONFIG),
    ("net.ports", replace(h.network(listeners=(Listener("tcp", "::", 10256, "kube-proxy", 9),))), h.CONFIG),
    (
        "net.firewall",
        h.network(firewall="firewalld", open_ports=("10250/tcp", "8472/udp", "30000-32767/tcp")),
        h.CONFIG,
    ),
    ("net.nm", h.network(managers={"NetworkManager": True}, unmanaged=()), _NO_FLANNEL),
    ("net.forward", h.network(forward_policy="DROP", forward_rules=("-A FORWARD -j KUBE-FORWARD",)), h.CONFIG),
    ("net.iptables", h.network(legacy_rules=3, nft_rules=0), h.CONFIG),
    ("net.iptables", h.network(nft=Version(0, 9, 3)), h.CONFIG),
    ("net.iptables", h.network(nft=None), _NFTABLES),
    ("net.proxyenv", _proxied(HTTPS_PROXY=""), h.CONFIG),
    ("net.proxyenv", _proxied(HTTPS_PROXY="http://p", NO_PROXY="*"), h.CONFIG),
    ("net.proxyenv", _proxied(https_proxy="http://p", no_proxy="10.0.0.1,10.96.0.0/16,10.244.0.0/16"), h.CONFIG),
    ("rt.socket", h.runtime(exists=False), h.config("runtime", kind=RuntimeKind.DOCKER)),
    (
        "rt.version",
        h.HEALTHY,
        replace(_DOCKER, kubernetes=h.config("kubernetes", version=Version(1, 36, 0)).kubernetes),
    ),
    ("rt.version", h.runtime(version=Version(1, 5)), h.config("kubernetes", version=Version(1, 25, 0))),
    ("rt.version", h.runtime(version=None), h.config("runtime", version=Version(2, 2, 1))),
    ("rt.sandbox", h.runtime(images=("docker.io/library/pause",)), h.config("runtime", sandbox_image="library/pause")),
    ("rt.sandbox", h.runtime(sandbox="registry.example/pause:3.10"), h.config("runtime", sandbox_image=None)),
    ("rt.dockerflags", h.HEALTHY, replace(_NO_FLANNEL, runtime=_DOCKER.runtime)),
    (
        "rt.dockerflags",
        h.runtime(docker_command="dockerd $DOCKER_NETWORK_OPTIONS", docker_daemon={"hosts": "x"}),
        _DOCKER,
    ),
    ("rt.cni", h.runtime(cni_plugins={"x": False}), h.config(cni=Cni(plugin=CniPlugin.NONE))),
    ("rt.cni", h.runtime(cni_configs=None), h.CONFIG),
    ("bin.present", h.program("kubelet", sha256="a" * 64), h.config("kubernetes", sha256={"kubelet": "a" * 64})),
    ("bin.present", h.program("kubelet", sha256=""), h.config("kubernetes", sha256={"kubelet": "a" * 64})),
    ("bin.present", h.program("kubelet", version=None), h.CONFIG),
    ("bin.present", replace(h.HEALTHY, programs={}), h.CONFIG),
    ("bin.flags", h.program("kubelet", flags=frozenset()), h.config("kubelet", extra_args=("--odd=x",))),
    ("bin.flags", h.program("flanneld", flags=frozenset()), h.config("flannel", options=("-odd=x",))),
    ("bin.flags", h.HEALTHY, h.config("flannel", options=("-iface=x",))),
    (
        "bin.conntrack",
        replace(h.program("conntrack", exists=False), live=False),
        h.config("kubernetes", version=Version(1, 31, 0)),
    ),
    (
        "bin.conntrack",
        h.host(mounts=(Mount("/proc/sys", "proc", ("ro",)),)),
        h.config("kube_proxy", config={"conntrack": {"maxPerCore": 0}}),
    ),
    (
        "bin.conntrack",
        h.host(mounts=(Mount("/proc/sys", "p", ("ro",)), Mount("/proc/sys/net", "p", ("rw",)))),
        h.CONFIG,
    ),
    ("cfg.foreign", replace(h.HEALTHY, targets={"/x": Place("/x", "directory")}), h.CONFIG),
    ("cfg.foreign", replace(h.HEALTHY, targets={"/x": Place("/x", "link", target="/dev/null")}), h.CONFIG),
    ("cfg.dropins", h.units(kubelet=h.unit("kubelet.service", dropins=("/e/10-nodegate-flannel.conf",))), h.CONFIG),
    ("api.token", replace(h.api(credential="rejected"), identity=h.HEALTHY.identity), h.CONFIG),
    ("api.token", h.identity(kubelet=None, bootstrap=_GONE), _TOKEN),
    ("ident.state", h.identity(kubelet=None), h.CONFIG),
    ("ident.state", _kubelet(Kubeconfig("/k", "missing", "the file does not exist")), h.CONFIG),
    ("ident.state", replace(_kubelet(_EXPIRED), host=h.host(now=None).host), h.CONFIG),
    ("ident.state", _kubelet(replace(h.KUBELET, certificate=None)), h.CONFIG),
    ("ident.admin", h.identity(kubelet=None), h.CONFIG),
    ("ident.admin", _kubelet(replace(h.KUBELET, certificate=None)), h.CONFIG),
    ("ident.admin", _kubelet(Kubeconfig("/k", "empty", token=True)), h.CONFIG),
    ("ident.modes", h.identity(secrets=(Place("/p/current", "link", 0o777, 0, "kubelet-1.pem"),)), h.CONFIG),
    ("ident.modes", h.identity(secrets=(Place("/p/current", "link", 0o777, 0, "/p/kubelet-1.pem"),)), h.CONFIG),
    ("etcd.conn", replace(h.HEALTHY, identity=IdentityFacts()), h.CONFIG),
    ("etcd.config", _etcd_config(SubnetLen=18), h.CONFIG),
    ("etcd.config", _etcd_config(SubnetLen=30), h.CONFIG),
    ("etcd.lease", h.etcd(leases=(Lease("10.244.31.0/24", "10.0.0.3", ""),)), h.CONFIG),
    ("etcd.lease", h.etcd(leases=(Lease("10.244.31.0/24", ""),)), h.CONFIG),
    ("etcd.lease", replace(h.network(interfaces=None), etcd=h.HEALTHY.etcd), h.CONFIG),
]

_FAULTS: list[tuple[str, Facts, NodeConfig, str, str]] = [
    ("host.disk", h.host(disk=Disk("/", 2 * 1024**3, 1024**3)), h.CONFIG, WARNING, "found 1024 MiB"),
    (
        "host.sysctl",
        h.host(sysctls=h.sysctl("net.ipv6.conf.all.forwarding", "0", None, "")),
        _DUAL,
        WARNING,
        "forwarding=1, found 0",
    ),
    (
        "host.sysctl",
        h.host(sysctls={"vm.x": Sysctl("vm.x", "1")}),
        h.config("host", sysctls={"vm.x": "2"}),
        WARNING,
        "vm.x=2, found 1",
    ),
    ("name.valid", h.HEALTHY, h.config("node", name=".".join(["a" * 60] * 5)), ERROR, "RFC 1123"),
    ("name.conflict", _node(machine_id="other"), h.CONFIG, ERROR, "already Ready at 10.0.0.3"),
    ("name.conflict", _node(addresses=()), h.CONFIG, ERROR, "another machine"),
    ("ip.local", h.HEALTHY, h.config("node", ips=("127.0.0.1",)), ERROR, "that other nodes reach"),
    ("ip.local", h.HEALTHY, h.config("node", ips=("169.254.0.1",)), ERROR, "that other nodes reach"),
    ("ip.local", h.HEALTHY, h.config("kubelet", config={"address": "::1"}), ERROR, "Pods would reach themselves"),
    ("ip.local", h.network(interfaces=()), h.CONFIG, ERROR, "which has none"),
    ("net.overlap", h.HEALTHY, h.config("cluster", pod_cidr=("10.96.0.0/12",)), ERROR, "overlaps serviceCIDR"),
    ("net.overlap", h.runtime(docker_daemon={"bip": "10.244.0.1/16"}), h.CONFIG, ERROR, "docker's bip 10.244.0.0/16"),
    (
        "net.clustercidr",
        h.HEALTHY,
        h.config("kube_proxy", config={"clusterCIDR": "10.9.0.0/16"}),
        ERROR,
        "is not the Pod range",
    ),
    ("net.firewall", h.network(firewall="ufw"), h.CONFIG, WARNING, "ufw is active"),
    (
        "net.nm",
        h.network(managers={"NetworkManager": True}),
        h.config("host", network_manager=NetworkManager.CHECK),
        WARNING,
        "cni0",
    ),
    (
        "net.ports",
        h.network(listeners=(Listener("tcp", "::", 10248),)),
        h.CONFIG,
        ERROR,
        "another program (pid unknown)",
    ),
    (
        "net.ports",
        h.network(listeners=(Listener("tcp", "::", 10256, "kubelet", 9),)),
        h.CONFIG,
        ERROR,
        "kube-proxy needs",
    ),
    ("net.proxyenv", _proxied(HTTP_PROXY="http://p"), h.CONFIG, WARNING, "has a proxy"),
    ("dns.resolvconf", _resolver(), h.CONFIG, ERROR, "found none"),
    ("dns.resolvconf", _resolver("::1"), h.CONFIG, ERROR, "names ::1"),
    (
        "rt.version",
        h.runtime(version=Version(1, 7, 27)),
        h.config("kubernetes", version=Version(1, 35, 0)),
        ERROR,
        "1.7.28",
    ),
    ("bin.skew", h.api(version=Version(1, 40, 0)), h.CONFIG, ERROR, "3 minors older"),
    ("cfg.labels", h.HEALTHY, h.config("node", labels={"a b/c": "x"}), ERROR, "expected a label key"),
    ("api.token", h.identity(kubelet=_EXPIRED, bootstrap=_GONE), h.CONFIG, ERROR, "found none"),
    (
        "api.token",
        h.identity(kubelet=None, bootstrap=Kubeconfig("/b", "usable")),
        h.CONFIG,
        ERROR,
        "no token and no certificate",
    ),
    ("api.token", _unjoined(credential="forbidden", may_request=None), h.CONFIG, ERROR, "403"),
    ("ident.state", _kubelet(Kubeconfig("/k", "empty", "the file is empty")), h.CONFIG, ERROR, "/k: the file is empty"),
    ("ident.state", _kubelet(_EXPIRED, _GONE), _TOKEN, WARNING, "asks for a new one"),
    ("ident.admin", _kubelet(Kubeconfig("/k", "usable", token=True)), h.CONFIG, ERROR, "holds a token"),
    (
        "ident.admin",
        _kubelet(replace(h.KUBELET, certificate=replace(h.CLIENT, organizations=()))),
        h.CONFIG,
        ERROR,
        "'system:node:node-a' in no group",
    ),
    (
        "ident.admin",
        _kubelet(replace(h.KUBELET, certificate=replace(h.CLIENT, common_name="bob"))),
        h.CONFIG,
        ERROR,
        "found 'bob' in system:nodes",
    ),
    ("etcd.conn", h.identity(etcd_client=replace(h.CLIENT, not_after=h.NOW - 1)), h.CONFIG, ERROR, "expired on"),
    ("etcd.conn", h.identity(etcd_client=replace(h.CLIENT, usages=("serverAuth",))), h.CONFIG, WARNING, "server's own"),
    ("etcd.config", _etcd_config(SubnetLen=17), h.CONFIG, ERROR, "between 18 and 30"),
    ("etcd.config", _etcd_config(Backend="vxlan"), h.CONFIG, ERROR, "Backend.Type is not said"),
    (
        "etcd.lease",
        _full(),
        h.CONFIG,
        WARNING,
        "all 2 subnets",
    ),
]


@pytest.mark.parametrize(("identifier", "facts", "config"), _SKIPPED)
def test_what_is_not_known_is_skipped_with_a_reason(identifier: str, facts: Facts, config: NodeConfig) -> None:
    """A missing fact is neither a fault nor a pass."""
    result = evaluate(facts, config, Selection(only=(identifier,)))[0]

    assert (result.status, result.findings) == (SKIPPED, ())
    assert result.reason


@pytest.mark.parametrize(("identifier", "facts", "config"), _RIGHT)
def test_what_is_only_near_a_fault_is_left_alone(identifier: str, facts: Facts, config: NodeConfig) -> None:
    """Nothing is found, whether or not all was known."""
    result = evaluate(facts, config, Selection(only=(identifier,)))[0]

    assert result.findings == ()
    assert result.status in (PASS, SKIPPED)


@pytest.mark.parametrize(("identifier", "facts", "config", "severity", "part"), _FAULTS)
def test_what_is_just_a_fault_is_found(
    identifier: str, facts: Facts, config: NodeConfig, severity: str, part: str
) -> None:
    """The edge belongs to the fault, with the right weight."""
    findings = evaluate(facts, config, Selection(only=(identifier,)))[0].findings

    assert [each.severity for each in findings if part in each.message] == [severity]
