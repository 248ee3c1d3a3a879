"""The node.yaml of a bundle: what is known as it is, what is not as a line to fill in.

An enrollment and what the cluster told come in; the text and its gaps leave. Rules: pure; every value is
quoted as JSON, which YAML reads alike everywhere; a gap is a commented line with an example, never a value
that only looks right. Labels are left to the operator, which sets the enrollment's on the Node itself.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from nodegate.cli.bundle_facts import ClusterFacts
from nodegate.enrollment.model import Enrollment
from nodegate.flannel.network import FlannelNetwork
from nodegate_host.model import API_VERSION, KIND

_PROXY = "kube-proxy.kubeconfig"
_ETCD = {"caFile": "etcd-ca.crt", "certFile": "etcd-client.crt", "keyFile": "etcd-client.key"}


@dataclass(frozen=True, slots=True)
class Answers:
    """What a node.yaml is made of."""

    enrollment: Enrollment
    server: str
    """``https://host:port`` as the node reaches it."""

    cluster: ClusterFacts
    files: frozenset[str] = frozenset()
    """The names of the copies that stand beside it."""

    version: str = ""
    """The kubelet's; empty takes the API server's."""


@dataclass(frozen=True, slots=True)
class NodeFile:
    """A node.yaml."""

    text: str
    gaps: tuple[str, ...]
    """A sentence for each line that is to be filled in."""


class _Lines:
    """The lines so far, and what is missing in them."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.gaps: list[str] = []

    def add(self, *lines: str) -> None:
        """Add lines as they are."""
        self.lines += lines

    def value(self, key: str, values: Sequence[str], example: str, what: str) -> None:
        """Add a key below the last section: its one value, its list of values, or a line to fill in."""
        if values:
            self.lines.append(f"  {key}: {json.dumps(values[0] if len(values) == 1 else list(values))}")
        else:
            self.gap(key, example, what)

    def gap(self, key: str, example: str, what: str, indent: str = "  ") -> None:
        """Add a commented line."""
        self.lines.append(f"{indent}# {key}: {example} # fill in {what}")
        self.gaps.append(f"fill in {key}: {what}")


def node_file(answers: Answers, *, has_ca: bool = True) -> NodeFile:
    """Return the node.yaml.

    Args:
        answers: What is known.
        has_ca: Whether ca.crt stands beside it.
    """
    made = _Lines()
    made.add(f"apiVersion: {API_VERSION}", f"kind: {KIND}")
    _node(made, answers.enrollment)
    _cluster(made, answers, has_ca=has_ca)
    version = answers.version.removeprefix("v") or answers.cluster.version
    made.add("kubernetes:")
    made.value("version", [version] if version else [], "1.37.2", "the version of kubelet and kube-proxy")
    made.add("bootstrap:", "  kubeconfigFile: bootstrap.kubeconfig", "kubeProxy:")
    name = [_PROXY] if _PROXY in answers.files else []
    made.value("kubeconfigFile", name, _PROXY, "kube-proxy's kubeconfig, or say enabled: false")
    _flannel(made, answers.cluster.network, answers.files)
    return NodeFile("\n".join(made.lines) + "\n", tuple(made.gaps))


def _node(made: _Lines, enrollment: Enrollment) -> None:
    made.add("node:", f"  name: {json.dumps(enrollment.name)}")
    addresses = sorted(enrollment.addresses, key=lambda each: (each.version, int(each)))
    chosen = list(_one_a_family(map(str, addresses)))
    if len(chosen) < len(addresses):
        made.add(f"  # The enrollment has more: {', '.join(map(str, addresses))}")
    made.value("ip", chosen, "10.0.0.11", "the node's address, which the enrollment must name too")
    taints = [
        {key: value for key, value in (("key", each.key), ("value", each.value), ("effect", each.effect)) if value}
        for each in enrollment.node.taints
    ]
    if taints:
        made.add(f"  taints: {json.dumps(taints)}")


def _one_a_family(addresses: Iterable[str]) -> Iterable[str]:
    by_family: dict[int, str] = {}
    for text in addresses:
        by_family.setdefault(ip_address(text).version, text)
    return by_family.values()


def _cluster(made: _Lines, answers: Answers, *, has_ca: bool) -> None:
    cluster = answers.cluster
    made.add("cluster:", f"  apiServer: {json.dumps(answers.server)}")
    made.value("caFile", ["ca.crt"] if has_ca else [], "ca.crt", "the CA by which API server and kubelets are known")
    made.value("serviceCIDR", cluster.service_cidrs, "10.96.0.0/12", "the range of Services")
    made.value("podCIDR", _pod_cidrs(cluster.network), "10.244.0.0/16", "flannel's Network, the range of all Pods")
    if cluster.cluster_dns == ():
        made.add("  clusterDNS: [] # no Service with k8s-app=kube-dns in kube-system; its address when there is one")
    else:
        made.value("clusterDNS", cluster.cluster_dns or (), "10.96.0.10", "the address of the DNS Service, or []")


def _pod_cidrs(network: FlannelNetwork | None) -> list[str]:
    if network is None:
        return []
    found = [str(network.network.network)]
    return [*found, str(network.ipv6.network.network)] if network.ipv6 is not None else found


def _flannel(made: _Lines, network: FlannelNetwork | None, files: frozenset[str]) -> None:
    made.add("flannel:")
    if network is not None:
        made.add(f"  version: {json.dumps(str(network.version))}")
    made.add("  etcd:")
    if network is None:
        made.gap("endpoints", '["https://10.0.0.2:2379"]', "the client URLs of flannel's etcd", "    ")
        plain = False
    else:
        made.add(f"    endpoints: {json.dumps(list(network.etcd.endpoints))}")
        made.add(f"    prefix: {json.dumps(network.prefix)}", f"    api: {network.etcd.api.value.lower()}")
        plain = all(each.startswith("http://") for each in network.etcd.endpoints)
    if plain:
        return
    for key, name in _ETCD.items():
        if name in files:
            made.add(f"    {key}: {name}")
        else:
            made.gap(f"{key}", name, f"flannel's {key.removesuffix('File')} for etcd, beside this file", "    ")
