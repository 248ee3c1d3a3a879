"""net.*, dns.*: ranges, ports, firewalls, name servers (checks 24-34).

Pure. Ranges are compared as networks; routes of flannel's, docker's and CNI's own devices do not count as the host's.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Iterator
from typing import Any, Union

from nodegate_host.checks.model import ERROR, WARNING, Check, Found, NotKnown, evidence
from nodegate_host.facts.model import Facts, UnitFact
from nodegate_host.model import NodeConfig, ProxyMode, Version

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

_OWN_DEVICES = ("flannel", "cni", "docker", "veth", "br-", "cali", "kube-")
_PORTS = {10250: "kubelet", 10248: "kubelet", 10256: "kube-proxy", 10249: "kube-proxy"}
_VXLAN = 8472
_NFT = Version(1, 0, 1)
_DEFAULT_MAX_PODS = 110
_DEFAULT_SUBNET = 24
_BITS = 32
_PROXY_UNITS = ("kubelet.service", "containerd.service", "docker.service")


def flannel_config(facts: Facts) -> dict[str, Any]:
    """Return flannel's configuration as etcd has it; empty when it is not known or no object."""
    text = facts.etcd.config if facts.etcd else None
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def networks(texts: Iterable[str]) -> list[Network]:
    """Return the networks that these CIDRs are; what is none is left out, another check says so."""
    return [network for network in map(_network, texts) if network is not None]


def _overlaps(first: Network, second: Network) -> bool:
    return first.version == second.version and first.overlaps(second)


def _others(facts: Facts) -> Iterator[tuple[Network, str]]:
    for route in facts.network.routes or ():
        if not route.device.startswith(_OWN_DEVICES):
            for network in networks((route.destination,)):
                if network.prefixlen:
                    yield network, f"the route {network} via {route.device}"
    for key in ("bip", "fixed-cidr"):
        for network in networks((facts.runtime.docker_daemon.get(key, ""),)):
            yield network, f"docker's {key} {network}"


def _overlap(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    pods, services = networks(config.cluster.pod_cidr), networks(config.cluster.service_cidr)
    for network, name in (*((each, "podCIDR") for each in pods), *((each, "serviceCIDR") for each in services)):
        for other, what in _others(facts):
            if _overlaps(network, other):
                yield Found(f"{name} {network} overlaps {what}", evidence=evidence("ip route"))
        for address in networks(config.node.ips):
            if _overlaps(network, address):
                yield Found(f"{name} {network} holds the node's own address {address.network_address}")
    for pod, service in ((pod, service) for pod in pods for service in services if _overlaps(pod, service)):
        yield Found(f"podCIDR {pod} overlaps serviceCIDR {service}")


def _cluster_cidr(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    texts = tuple(str(config.kube_proxy.config.get("clusterCIDR", "")).split(","))
    for given in networks(texts):
        if any(_overlaps(given, each) for each in networks(config.cluster.service_cidr)):
            yield Found(f"clusterCIDR {given} is the Service range; it must be that of the Pods")
        elif given not in networks(config.cluster.pod_cidr):
            yield Found(f"clusterCIDR {given} is not the Pod range {', '.join(config.cluster.pod_cidr)}")
    network = flannel_config(facts).get("Network")
    if network and str(network) not in config.cluster.pod_cidr:
        yield Found(
            f"cluster.podCIDR is {', '.join(config.cluster.pod_cidr)}, flannel's Network is {network}",
            f"cluster.podCIDR: [{network}]",
            evidence=evidence(f"etcd {config.flannel.etcd.prefix}/config"),
        )


def _dns(_facts: Facts, config: NodeConfig) -> Iterator[Found]:
    cluster = config.cluster
    services = networks(cluster.service_cidr)
    for text in cluster.cluster_dns:
        if not any(ipaddress.ip_address(text) in each for each in services):
            ranges = ", ".join(cluster.service_cidr)
            yield Found(
                f"clusterDNS {text} is not in the Service range {ranges}", "cluster.clusterDNS: the Service's address"
            )
    if bool(cluster.cluster_dns) != bool(cluster.cluster_domain):
        yield Found("clusterDNS and clusterDomain only work together", "set both")
    if cluster.cluster_domain.endswith("."):
        yield Found(
            f"clusterDomain {cluster.cluster_domain!r} ends with a dot; names of headless Pods would not resolve"
        )


def _max_pods(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    most = config.kubelet.config.get("maxPods", _DEFAULT_MAX_PODS)
    length = flannel_config(facts).get("SubnetLen", _DEFAULT_SUBNET)
    if isinstance(most, int) and isinstance(length, int) and config.flannel.enabled:
        addresses = 2 ** max(_BITS - length, 0) - 3
        if most > addresses:
            yield Found(
                f"maxPods {most} is more than the {addresses} addresses of a /{length} lease",
                f"kubelet.config: {{maxPods: {addresses}}}, or a smaller SubnetLen",
            )


def _ports(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    if facts.network.listeners is None:
        raise NotKnown("/proc/net is not readable")
    overlay = any(each.name.startswith("flannel") for each in facts.network.interfaces or ())
    for each in facts.network.listeners:
        owner = _PORTS.get(each.port) if each.protocol == "tcp" else None
        main = facts.units.get(f"{owner}.service", UnitFact("")).main_pid
        ours = each.pid == main if main and each.pid else each.program == owner
        if owner and not ours:
            who = f"{each.program or 'another program'} (pid {each.pid or 'unknown'})"
            yield Found(
                f"port {each.port}, which {owner} needs, is used by {who}",
                evidence=evidence(f"{each.address} port {each.port}"),
            )
        if (each.protocol, each.port) == ("udp", _VXLAN) and config.flannel.enabled and not overlay:
            yield Found(
                f"UDP port {_VXLAN}, which flannel's vxlan needs, is used by {each.program or 'another program'}"
            )


def _firewall(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    if facts.network.firewall is None:
        raise NotKnown("the firewall is not known here")
    wanted = ["10250/tcp", *(["8472/udp"] if config.flannel.enabled else []), "30000-32767/tcp"]
    closed = [each for each in wanted if each not in facts.network.open_ports]
    if not facts.network.firewall or not closed:
        return
    opens = " ".join(f"--add-port={each}" for each in closed)
    remedy = f"firewall-cmd --permanent {opens} && firewall-cmd --reload"
    if facts.network.firewall == "ufw":
        remedy = " && ".join(f"ufw allow {each.replace('-', ':')}" for each in closed)
    yield Found(f"{facts.network.firewall} is active; closed: {', '.join(closed)}", remedy)


def _managers(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    active = facts.network.managers
    for name in ("NetworkManager", "systemd-networkd"):
        if active.get(name) and name not in facts.network.unmanaged and config.flannel.enabled:
            text = "; apply writes its file" if config.host.network_manager.value == "configure" else ""
            yield Found(f"{name} is active and may manage flannel.1 and cni0{text}")
    if active.get("nm-cloud-setup"):
        yield Found(
            "nm-cloud-setup is active and replaces routes and rules", "systemctl disable --now nm-cloud-setup.timer"
        )


def _forward(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    policy = facts.network.forward_policy
    if policy is None:
        raise NotKnown("iptables' FORWARD policy is not known here")
    allowed = any("FLANNEL" in rule or "KUBE-FORWARD" in rule for rule in facts.network.forward_rules)
    if policy == "DROP" and not allowed:
        ranges = ", ".join(config.cluster.pod_cidr)
        yield Found(f"iptables' FORWARD policy is DROP and no rule lets Pods' traffic ({ranges}) pass")


def _iptables(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    network = facts.network
    if network.iptables is None:
        raise NotKnown("iptables is not known here")
    nftables = config.kube_proxy.enabled and config.kube_proxy.mode is ProxyMode.NFTABLES
    if network.iptables == "missing" and not nftables:
        yield Found(
            "expected iptables, found none; kube-proxy and flannel write their rules with it", "install iptables"
        )
    if network.legacy_rules and network.nft_rules:
        yield Found(
            f"both iptables-legacy ({network.legacy_rules} rules) and iptables-nft ({network.nft_rules}) are in use; "
            "packets pass both"
        )
    if nftables and network.nft is not None and network.nft < _NFT:
        yield Found(f"kube-proxy's nftables mode needs nft {_NFT.text}, found {network.nft.text}", "update nftables")


def _proxy_environment(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    for name in _PROXY_UNITS:
        fact = facts.units.get(name)
        known = {key.upper(): value for key, value in fact.environment.items()} if fact else {}
        proxy = known.get("HTTPS_PROXY") or known.get("HTTP_PROXY")
        if not proxy or not proxy.text:
            continue
        without = known["NO_PROXY"].text if "NO_PROXY" in known else ""
        host = config.cluster.api_server.split("//")[-1].rsplit(":", 1)[0].strip("[]/")
        wanted = (host, *config.cluster.service_cidr, *config.cluster.pod_cidr)
        missing = [each for each in wanted if each not in without.split(",")]
        if missing and without != "*":
            yield Found(
                f"{name} has a proxy, and NO_PROXY lacks {', '.join(missing)}",
                f"NO_PROXY={','.join(wanted)} in a drop-in of {name}",
                evidence=evidence(str(proxy.source)),
            )


def _resolv_conf(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    path = str(config.kubelet.config.get("resolvConf") or "/etc/resolv.conf")
    found = facts.network.resolvers.get(path)
    if found is None or (not found.exists and not facts.live):
        raise NotKnown(f"{path} is not known here")
    place = evidence(path)
    if not found.exists:
        yield Found(f"expected the kubelet's resolvConf {path}, found no such file", evidence=place)
    elif not found.nameservers:
        yield Found(f"expected a nameserver in {path}, found none", evidence=place)
    for server in found.nameservers:
        if server.startswith("127.") or server == "::1":
            yield Found(
                f"{path} names {server}, which is this host only; in a Pod, CoreDNS would ask itself", evidence=place
            )


CHECKS: tuple[Check, ...] = (
    Check(
        24,
        "net.overlap",
        ERROR,
        "ranges do not overlap",
        _overlap,
        "choose another podCIDR, for the whole cluster",
        "A Pod range that is also a route of the host sends the host's own traffic into the overlay.",
        "net",
    ),
    Check(
        25,
        "net.clustercidr",
        ERROR,
        "clusterCIDR is the Pod range",
        _cluster_cidr,
        "remove clusterCIDR; it is derived from cluster.podCIDR",
        "The guide gives kube-proxy the Service range as --cluster-cidr, so all traffic from Pods to Services is "
        "rewritten as if it came from outside.",
        "net",
        "S63, S65, E1",
    ),
    Check(
        26,
        "net.dns-ip",
        ERROR,
        "cluster DNS",
        _dns,
        "remove the dot at the end of cluster.clusterDomain",
        "clusterDNS is the address of the DNS Service and may be chosen before that exists.",
        "net",
        "S47, S48, S49",
    ),
    Check(
        27,
        "net.maxpods",
        ERROR,
        "enough Pod addresses",
        _max_pods,
        "a smaller maxPods",
        "A lease of /24 has 253 addresses for Pods: without network, broadcast and the bridge's own.",
        "net",
    ),
    Check(
        28,
        "net.ports",
        ERROR,
        "ports are free",
        _ports,
        "stop that program",
        "10250 kubelet, 10248 its health, 10256 and 10249 kube-proxy, UDP 8472 vxlan.",
        "net",
    ),
    Check(
        29,
        "net.firewall",
        WARNING,
        "the firewall lets the node's ports through",
        _firewall,
        "open the ports",
        "10250/tcp from the control plane, 8472/udp between nodes, the NodePorts from clients.",
        "net",
    ),
    Check(
        30,
        "net.nm",
        WARNING,
        "network managers keep off flannel",
        _managers,
        "host.networkManager: configure",
        "A manager that takes over flannel.1 or cni0 removes their addresses and routes.",
        "net",
    ),
    Check(
        31,
        "net.forward",
        WARNING,
        "forwarding is not dropped",
        _forward,
        "iptables -A FORWARD for the Pod range; flannel adds these rules itself when it runs",
        "docker sets the FORWARD policy to DROP since 1.13.",
        "net",
        "E21",
    ),
    Check(
        32,
        "net.iptables",
        ERROR,
        "one iptables backend",
        _iptables,
        "update-alternatives --set iptables /usr/sbin/iptables-nft",
        "Rules of both backends are walked; each tool only sees its own.",
        "net",
    ),
    Check(
        33,
        "net.proxyenv",
        WARNING,
        "proxies leave the cluster out",
        _proxy_environment,
        "NO_PROXY in the unit",
        "With a proxy and no NO_PROXY the kubelet asks the proxy for the API server.",
        "net",
    ),
    Check(
        34,
        "dns.resolvconf",
        ERROR,
        "name servers that Pods can use",
        _resolv_conf,
        "kubelet.config: {resolvConf: /run/systemd/resolve/resolv.conf}",
        "The kubelet copies this file into Pods. A stub on 127.0.0.53 makes CoreDNS ask itself until it gives up.",
        "net",
    ),
)
"""Checks 24-34."""
