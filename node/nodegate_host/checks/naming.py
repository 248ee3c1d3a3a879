"""name.*, ip.*: who the node is (checks 18-23).

Pure. The name is said once in node.yaml; what is compared here is what the host, its certificate and the cluster say.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from nodegate_host.checks.model import ERROR, WARNING, Check, Found, NotKnown, evidence
from nodegate_host.facts.commands import flag
from nodegate_host.facts.model import Facts, Interface
from nodegate_host.model import NodeConfig

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_LIMIT = 253
_VIRTUAL = ("flannel", "cni", "docker", "veth", "br-", "virbr", "kube-ipvs", "nodelocaldns", "cali", "vxlan")
_PREFIX = "system:node:"


def _valid(_facts: Facts, config: NodeConfig) -> Iterator[Found]:
    name = config.node.name
    if len(name) > _LIMIT or not all(_LABEL.fullmatch(part) for part in name.split(".")):
        yield Found(f"expected a lower-case RFC 1123 name, found {name!r}")


def _match(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    name = config.node.name
    certificate = facts.identity.kubelet.certificate if facts.identity.kubelet else None
    if certificate and certificate.common_name.startswith(_PREFIX) and certificate.common_name != _PREFIX + name:
        yield Found(
            f"the certificate is for {certificate.common_name}, the node is {name}",
            evidence=evidence(certificate.file),
        )
    for unit in ("kubelet.service", "kube-proxy.service"):
        fact = facts.units.get(unit)
        running = flag(fact, "--hostname-override")
        if fact and running not in (None, name):
            message = (
                f"{unit} runs as {running!r}, the node is to be {name!r}; apply writes the same name to both units"
            )
            yield Found(message, "nodegate-host apply", WARNING, evidence(fact.fragment))


def _conflict(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    if facts.api is None or not facts.api.node_known:
        raise NotKnown("the cluster was not asked for its Nodes, or did not let us see this one")
    node = facts.api.node
    ours = {_bare(each) for interface in facts.network.interfaces or () for each in interface.addresses}
    elsewhere = node is not None and not set(node.addresses) & (ours | set(config.node.ips))
    other_machine = (
        node is not None and node.machine_id and node.machine_id != (facts.host.machine_id or node.machine_id)
    )
    if node and node.ready and (elsewhere or other_machine):
        where = ", ".join(node.addresses) or "another machine"
        yield Found(f"the Node {config.node.name} is already Ready at {where} (uid {node.uid})")


def _resolve(facts: Facts, _config: NodeConfig) -> Iterator[Found]:
    for name, works in facts.host.resolves.items():
        if not works:
            yield Found(f"{name} does not resolve", f"a line for {name} in /etc/hosts", evidence=evidence("/etc/hosts"))


def _bare(address: str) -> str:
    return address.split("/", maxsplit=1)[0]


def _local(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    interfaces = facts.network.interfaces
    if interfaces is None:
        raise NotKnown("the host's addresses are not known here")
    ours = {ipaddress.ip_address(_bare(each)) for interface in interfaces for each in interface.addresses}
    for text in config.node.ips:
        address = ipaddress.ip_address(text)
        if address.is_loopback or address.is_link_local:
            yield Found(f"expected an address that other nodes reach, found {text}")
        elif address not in ours:
            known = ", ".join(sorted(_bare(each) for each in _global_addresses(interfaces))) or "none"
            yield Found(f"the node's address {text} is not on this host, which has {known}")
    listening = str(config.kubelet.config.get("address", ""))
    if listening.startswith("127.") or listening == "::1":
        yield Found(
            f"kubelet.config.address is {listening}: Pods would reach themselves instead of the kubelet",
            "remove kubelet.config.address (0.0.0.0 is rendered)",
        )


def _physical(interfaces: tuple[Interface, ...]) -> list[Interface]:
    found = [each for each in interfaces if not each.name.startswith(_VIRTUAL) and each.name != "lo"]
    return [each for each in found if any(_is_global(address) for address in each.addresses)]


def _is_global(text: str) -> bool:
    address = ipaddress.ip_address(_bare(text))
    return not (address.is_loopback or address.is_link_local)


def _global_addresses(interfaces: tuple[Interface, ...]) -> list[str]:
    return [address for each in _physical(interfaces) for address in each.addresses if _is_global(address)]


def _multi(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    interfaces, routes = facts.network.interfaces, facts.network.routes
    if interfaces is None or routes is None:
        raise NotKnown("the host's interfaces and routes are not known here")
    candidates = _physical(interfaces)
    home = next((each for each in candidates if config.node.ips[0] in map(_bare, each.addresses)), None)
    default = next((each.device for each in routes if each.destination == "0.0.0.0/0"), None)
    chosen = config.flannel.iface or config.flannel.iface_can_reach
    if not config.flannel.enabled or chosen or len(candidates) < 2 or home is None:  # noqa: PLR2004 (one is no choice)
        return
    remedy = f"flannel.iface: {home.name}"
    if default and default != home.name:
        other = next((_bare(each.addresses[0]) for each in candidates if each.name == default), "")
        yield Found(
            f"flannel would use {default} {other}, the node's address {config.node.ips[0]} is on {home.name}", remedy
        )
    else:
        names = ", ".join(each.name for each in candidates)
        yield Found(
            f"{len(candidates)} interfaces ({names}) and no flannel.iface; flannel takes the default route's",
            remedy,
            WARNING,
        )


CHECKS: tuple[Check, ...] = (
    Check(
        18,
        "name.valid",
        ERROR,
        "the node's name is valid",
        _valid,
        "node.name: lower-case letters, digits, '-' and '.'",
        "The name is the Node's, the certificate's (system:node:NAME) and the NodeEnrollment's.",
        "host",
        "S37, E28",
    ),
    Check(
        19,
        "name.match",
        ERROR,
        "certificate, kubelet and kube-proxy agree on the name",
        _match,
        "nodegate-host rejoin --bootstrap-kubeconfig FILE, or give node.name its old value",
        "A kube-proxy of another name finds no Node and writes no rules; a kubelet of another name may not change "
        "its Node.",
        "host",
        "S42, S64",
    ),
    Check(
        20,
        "name.conflict",
        ERROR,
        "no other machine is this Node",
        _conflict,
        "kubectl delete node NAME if that machine is gone, or choose another node.name",
        "Two machines under one name overwrite each other's status, and Pods of one are killed by the other.",
        "api",
    ),
    Check(
        21,
        "name.resolve",
        WARNING,
        "host name and localhost resolve",
        _resolve,
        "write both into /etc/hosts",
        "Health checks and etcd resolve localhost; minimal systems come without /etc/hosts.",
        "host",
    ),
    Check(
        22,
        "ip.local",
        ERROR,
        "the node's addresses are this host's",
        _local,
        "node.ip: an address of this host",
        "The kubelet exits when --node-ip is on no interface; 127.0.0.1 as --address makes Pods reach themselves.",
        "net",
        "S36, S41",
    ),
    Check(
        23,
        "ip.multi",
        ERROR,
        "flannel uses the node's interface",
        _multi,
        "flannel.iface: the interface of node.ip",
        "Without a choice flannel takes the default route's interface: the guide's leases carry public addresses, "
        "so its "
        "Pods' traffic crossed the Internet unencrypted.",
        "net",
        "S16, E7",
    ),
)
"""Checks 18-23."""
