"""Hosts with one fault each: machine, names, addresses, network.

Data for `test_checks`: check, facts, configuration, severity, a part of the message.
"""

from dataclasses import replace
from typing import Any

from nodegate_host.checks.model import ERROR, WARNING
from nodegate_host.facts.model import (
    Disk,
    Facts,
    Interface,
    Listener,
    Mount,
    NodeObject,
    Place,
    Resolver,
    Route,
)
from nodegate_host.model import (
    NodeConfig,
    ProxyMode,
    Version,
)
from nodegate_host.unitfile import Source, Value
from tests.unit.host import healthy as h

_ETH1 = Interface("eth1", ("47.96.40.139/24",))
_STRANGER = NodeObject("u-2", ready=True, machine_id="other", addresses=("10.0.0.99",))
_PROXIED = h.unit(
    "kubelet.service", environment={"HTTPS_PROXY": Value("http://proxy:3128", Source("/etc/default/kubelet", 2))}
)
_V1 = Version(1, 34, 0)


def _kubelet(**changes: Any) -> NodeConfig:
    return h.config("kubelet", config=changes)


def _proxy(**changes: Any) -> NodeConfig:
    return h.config("kube_proxy", **changes)


FAULTS: list[tuple[str, Facts, NodeConfig, str, str]] = [
    ("host.root", h.host(euid=1000), h.CONFIG, ERROR, "uid 1000"),
    ("host.systemd", h.host(booted_with_systemd=False), h.CONFIG, ERROR, "booted with systemd"),
    ("host.systemd", h.host(systemd=219), h.CONFIG, ERROR, "found 219"),
    ("host.os", h.host(os_id="slackware", os_name="Slackware 15"), h.CONFIG, WARNING, "Slackware 15 is not tested"),
    ("host.os", h.host(os_id="centos", os_version="7", os_name="CentOS 7"), h.CONFIG, WARNING, "CentOS 7"),
    (
        "host.arch",
        h.program("kubelet", machine="aarch64"),
        h.CONFIG,
        ERROR,
        "kubelet is for aarch64, the host is x86_64",
    ),
    ("host.kernel", h.host(kernel=(3, 10), kernel_release="3.10.0"), h.CONFIG, WARNING, "found 3.10.0"),
    ("host.kernel", h.host(kernel=(5, 4)), _proxy(mode=ProxyMode.NFTABLES), ERROR, "needs kernel 5.13"),
    ("host.mem", h.host(memory=400 * 1024**2), h.CONFIG, WARNING, "found 400 MiB"),
    ("host.disk", h.host(disk=Disk("/", 100 * 1024**3, 5 * 1024**3)), h.CONFIG, WARNING, "evict Pods"),
    ("host.time", h.host(now=h.NOW - 2 * h.DAY), h.CONFIG, ERROR, "not valid yet"),
    ("host.time", h.host(now=h.NOW + 400 * h.DAY), h.CONFIG, ERROR, "has expired"),
    ("host.time", h.host(ntp_synchronized=False), h.CONFIG, WARNING, "synchronised"),
    ("host.machineid", h.host(machine_id=""), h.CONFIG, WARNING, "found none"),
    (
        "host.machineid",
        h.api(node=replace(_STRANGER, machine_id=h.HEALTHY.host.machine_id or "")),
        h.CONFIG,
        WARNING,
        "cloned machine",
    ),
    ("host.swap", h.host(swaps=("/dev/sda2",)), h.CONFIG, ERROR, "/dev/sda2"),
    ("host.cgroup", h.host(cgroup=1), h.CONFIG, ERROR, "expected cgroup v2"),
    ("host.cgroup", h.host(cgroup=1), h.config("kubernetes", version=_V1), WARNING, "refuses from 1.35"),
    ("host.cgroupctl", h.host(controllers=("cpu", "cpuset", "pids")), h.CONFIG, ERROR, "found no memory"),
    (
        "host.modules",
        h.host(modules={**h.HEALTHY.host.modules, "br_netfilter": "missing"}),
        h.CONFIG,
        ERROR,
        "flanneld exits",
    ),
    (
        "host.modules",
        h.host(modules={**h.HEALTHY.host.modules, "vxlan": "available"}),
        h.CONFIG,
        WARNING,
        "apply loads it",
    ),
    (
        "host.sysctl",
        h.host(sysctls=h.sysctl("net.ipv4.ip_forward", "0", "0", "/etc/sysctl.d/99-z.conf")),
        h.CONFIG,
        ERROR,
        "set by /etc/sysctl.d/99-z.conf",
    ),
    ("host.sysctl", h.host(sysctls=h.sysctl("net.ipv4.ip_forward", "0")), h.CONFIG, ERROR, "something changed it"),
    (
        "host.sysctl",
        h.host(sysctls=h.sysctl("net.ipv4.ip_forward", "0", None, "")),
        h.CONFIG,
        WARNING,
        "net.ipv4.ip_forward=1, found 0; apply sets it",
    ),
    (
        "host.sysctl",
        h.host(sysctls=h.sysctl("net.bridge.bridge-nf-call-iptables", None, None, "")),
        h.CONFIG,
        WARNING,
        "br_netfilter is not loaded",
    ),
    (
        "host.reservedports",
        h.host(sysctls=h.sysctl("net.ipv4.ip_local_reserved_ports", "8080")),
        h.CONFIG,
        WARNING,
        "30000-32767 to be reserved, found 8080",
    ),
    (
        "host.selinux",
        replace(
            h.host(selinux="enforcing"),
            places={f"{h.BIN}/kubelet": Place(f"{h.BIN}/kubelet", "file", 0o755, selinux="user_home_t")},
        ),
        h.CONFIG,
        ERROR,
        "found user_home_t",
    ),
    ("host.nofile", h.host(nofile=1024), h.CONFIG, WARNING, "found 1024"),
    ("host.inotify", h.host(sysctls=h.sysctl("fs.inotify.max_user_instances", "128")), h.CONFIG, WARNING, "found 128"),
    (
        "host.readonly",
        h.host(mounts=(Mount("/", "ext4", ("rw",)), Mount("/usr", "ext4", ("ro",)))),
        h.CONFIG,
        ERROR,
        "read-only",
    ),
    ("host.readonly", h.host(mounts=(Mount("/usr", "ext4", ("rw", "noexec")),)), h.CONFIG, ERROR, "noexec"),
    ("name.valid", h.HEALTHY, h.config("node", name="Node_A"), ERROR, "found 'Node_A'"),
    ("name.match", h.HEALTHY, h.config("node", name="node-b"), ERROR, "certificate is for system:node:node-a"),
    (
        "name.match",
        h.units(kube_proxy=h.unit("kube-proxy.service", "--hostname-override=10.0.0.3")),
        h.CONFIG,
        WARNING,
        "kube-proxy.service runs as '10.0.0.3'",
    ),
    ("name.conflict", h.api(node=_STRANGER), h.CONFIG, ERROR, "already Ready at 10.0.0.99 (uid u-2)"),
    ("name.resolve", h.host(resolves={"localhost": False}), h.CONFIG, WARNING, "localhost does not resolve"),
    (
        "ip.local",
        h.HEALTHY,
        h.config("node", ips=("10.0.0.9",)),
        ERROR,
        "10.0.0.9 is not on this host, which has 10.0.0.3",
    ),
    ("ip.local", h.HEALTHY, _kubelet(address="127.0.0.1"), ERROR, "Pods would reach themselves"),
    (
        "ip.multi",
        h.network(interfaces=(*(h.HEALTHY.network.interfaces or ()), _ETH1), routes=(Route("0.0.0.0/0", "eth1"),)),
        h.CONFIG,
        ERROR,
        "flannel would use eth1 47.96.40.139, the node's address 10.0.0.3 is on eth0",
    ),
    (
        "ip.multi",
        h.network(interfaces=(*(h.HEALTHY.network.interfaces or ()), _ETH1)),
        h.CONFIG,
        WARNING,
        "2 interfaces",
    ),
    (
        "net.overlap",
        h.network(routes=(Route("10.0.0.0/8", "eth0"),)),
        h.CONFIG,
        ERROR,
        "podCIDR 10.244.0.0/16 overlaps the route 10.0.0.0/8 via eth0",
    ),
    ("net.overlap", h.HEALTHY, h.config("cluster", pod_cidr=("10.0.0.0/16",)), ERROR, "holds the node's own address"),
    ("net.clustercidr", h.HEALTHY, _proxy(config={"clusterCIDR": "10.96.0.0/16"}), ERROR, "is the Service range"),
    (
        "net.clustercidr",
        h.HEALTHY,
        h.config("cluster", pod_cidr=("10.200.0.0/16",)),
        ERROR,
        "flannel's Network is 10.244.0.0/16",
    ),
    ("net.dns-ip", h.HEALTHY, h.config("cluster", cluster_dns=("10.0.0.10",)), ERROR, "not in the Service range"),
    ("net.dns-ip", h.HEALTHY, h.config("cluster", cluster_domain="cluster.local."), ERROR, "ends with a dot"),
    ("net.dns-ip", h.HEALTHY, h.config("cluster", cluster_dns=()), ERROR, "only work together"),
    ("net.maxpods", h.HEALTHY, _kubelet(maxPods=300), ERROR, "more than the 253 addresses"),
    (
        "net.ports",
        h.network(listeners=(Listener("tcp", "::", 10250, "k3s-server", 5),)),
        h.CONFIG,
        ERROR,
        "k3s-server (pid 5)",
    ),
    (
        "net.ports",
        h.network(listeners=(Listener("tcp", "::", 10250, "kubelet", 5),)),
        h.CONFIG,
        ERROR,
        "kubelet (pid 5)",
    ),
    (
        "net.ports",
        h.network(listeners=(Listener("udp", "::", 8472),), interfaces=(Interface("eth0", ("10.0.0.3/24",)),)),
        h.CONFIG,
        ERROR,
        "UDP port 8472",
    ),
    ("net.firewall", h.network(firewall="firewalld", open_ports=("10250/tcp",)), h.CONFIG, WARNING, "closed: 8472/udp"),
    ("net.nm", h.network(managers={"NetworkManager": True}, unmanaged=()), h.CONFIG, WARNING, "may manage flannel.1"),
    ("net.nm", h.network(managers={"nm-cloud-setup": True}), h.CONFIG, WARNING, "nm-cloud-setup"),
    ("net.forward", h.network(forward_policy="DROP"), h.CONFIG, WARNING, "policy is DROP"),
    ("net.iptables", h.network(iptables="missing"), h.CONFIG, ERROR, "found none"),
    ("net.iptables", h.network(legacy_rules=3), h.CONFIG, ERROR, "both iptables-legacy"),
    ("net.iptables", h.network(nft=Version(0, 9, 3)), _proxy(mode=ProxyMode.NFTABLES), ERROR, "needs nft 1.0.1"),
    ("net.proxyenv", h.units(kubelet=_PROXIED), h.CONFIG, WARNING, "NO_PROXY lacks 10.0.0.1, 10.96.0.0/16"),
    (
        "dns.resolvconf",
        h.network(
            resolvers={"/etc/resolv.conf": Resolver("/etc/resolv.conf", exists=True, nameservers=("127.0.0.53",))}
        ),
        h.CONFIG,
        ERROR,
        "CoreDNS would ask itself",
    ),
    (
        "dns.resolvconf",
        h.network(resolvers={"/x": Resolver("/x", exists=False)}),
        _kubelet(resolvConf="/x"),
        ERROR,
        "found no such file",
    ),
]
