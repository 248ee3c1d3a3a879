"""What in a `NodeConfig` contradicts itself, or the versions in it.

Each rule takes the config and yields places with sentences; a rule is left out when a field that it looks at was
already found wrong, so one mistake is told once. Rules: ranges do not overlap, addresses lie in their ranges,
flannel's TLS is whole, flags and fields exist in the version, and nothing is said a second time that the file says
once (S37, S42 to S49, S64, S65 of the guide).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator

from nodegate_host import versions
from nodegate_host.model import CniPlugin, NodeConfig, ProxyMode, RuntimeKind

Finding = tuple[tuple[str, ...], str]
"""The way to the field, and the sentence."""

OWN_KUBELET_FIELDS = {
    "apiVersion": "it is fixed",
    "kind": "it is fixed",
    "cgroupDriver": "say runtime.cgroupDriver",
    "clusterDNS": "say cluster.clusterDNS",
    "clusterDomain": "say cluster.clusterDomain",
    "containerRuntimeEndpoint": "say runtime.endpoint",
    "failSwapOn": "say host.swap",
    "podCIDR": "flannel decides it",
    "registerWithTaints": "say node.taints",
}
"""Fields of KubeletConfiguration that are written from another place of the file."""

OWN_PROXY_FIELDS = {
    "apiVersion": "it is fixed",
    "kind": "it is fixed",
    "clusterCIDR": "say cluster.podCIDR",
    "hostnameOverride": "say node.name",
    "mode": "say kubeProxy.mode",
    "clientConnection": "say kubeProxy.kubeconfigFile",
}
"""Fields of KubeProxyConfiguration that are written from another place of the file."""

OWN_KUBELET_FLAGS = {
    "--config": "use kubelet.config",
    "--kubeconfig": "its path is fixed",
    "--bootstrap-kubeconfig": "use bootstrap",
    "--cert-dir": "its path is fixed",
    "--root-dir": "its path is fixed",
    "--hostname-override": "use node.name",
    "--node-ip": "use node.ip",
    "--node-labels": "use node.labels",
    "--register-with-taints": "use node.taints",
    "--cgroup-driver": "use runtime.cgroupDriver",
    "--container-runtime": "use runtime.type",
    "--container-runtime-endpoint": "use runtime.endpoint",
    "--cluster-dns": "use cluster.clusterDNS",
    "--cluster-domain": "use cluster.clusterDomain",
    "--fail-swap-on": "use host.swap",
}
"""Flags of the kubelet that are written from another place of the file, where a second value would win in silence."""

OWN_FLANNEL_OPTIONS = {
    "etcd-endpoints": "use flannel.etcd.endpoints",
    "etcd-prefix": "use flannel.etcd.prefix",
    "etcd-cafile": "use flannel.etcd.caFile",
    "etcd-certfile": "use flannel.etcd.certFile",
    "etcd-keyfile": "use flannel.etcd.keyFile",
    "iface": "use flannel.iface",
    "iface-can-reach": "use flannel.ifaceCanReach",
    "subnet-file": "its path is fixed",
    "kube-subnet-mgr": "flannel keeps its leases in etcd here",
}
"""Flags of flanneld that are written from another place of the file."""


def _version(config: NodeConfig) -> Iterator[Finding]:
    version = config.kubernetes.version
    if not versions.is_supported(version):
        wanted = f"expected Kubernetes 1.{versions.OLDEST} to 1.{versions.NEWEST}"
        yield ("kubernetes", "version"), f"{wanted}, found {version.text}"


def _ca(config: NodeConfig) -> Iterator[Finding]:
    if (config.cluster.ca_file is None) == (config.cluster.ca_data is None):
        found = "neither" if config.cluster.ca_file is None else "both"
        yield ("cluster", "caFile"), f"expected exactly one of caFile and caData, found {found}"


def _families(config: NodeConfig) -> Iterator[Finding]:
    for place, values in (
        (("node", "ip"), [ipaddress.ip_address(each).version for each in config.node.ips]),
        (("cluster", "podCIDR"), [ipaddress.ip_network(each).version for each in config.cluster.pod_cidr]),
        (("cluster", "serviceCIDR"), [ipaddress.ip_network(each).version for each in config.cluster.service_cidr]),
    ):
        if len(values) != len(set(values)):
            yield place, "expected at most one of each family (IPv4, IPv6), found two of one"


def _ranges(config: NodeConfig) -> Iterator[Finding]:
    pods = [ipaddress.ip_network(each) for each in config.cluster.pod_cidr]
    services = [ipaddress.ip_network(each) for each in config.cluster.service_cidr]
    for pod in pods:
        for service in services:
            if pod.version == service.version and pod.overlaps(service):
                yield (
                    ("cluster", "podCIDR"),
                    f"expected a range apart from serviceCIDR, found {pod} over {service}; say flannel's Network",
                )
    for text in config.node.ips:
        for name, found in (("podCIDR", pods), ("serviceCIDR", services)):
            for each in found:
                if ipaddress.ip_address(text) in each:
                    yield ("node", "ip"), f"expected an address outside {name}, found {text} in {each}"


def _dns(config: NodeConfig) -> Iterator[Finding]:
    ranges = [ipaddress.ip_network(each) for each in config.cluster.service_cidr]
    for text in config.cluster.cluster_dns:
        if not any(ipaddress.ip_address(text) in each for each in ranges):
            shown = ", ".join(config.cluster.service_cidr)
            yield ("cluster", "clusterDNS"), f"expected an address of a Service, in {shown}, found {text}"


def _bootstrap(config: NodeConfig) -> Iterator[Finding]:
    if config.bootstrap.token and config.bootstrap.kubeconfig_file:
        yield ("bootstrap", "token"), "expected one of token and kubeconfigFile, found both; remove one"


def _proxy(config: NodeConfig) -> Iterator[Finding]:
    proxy, version = config.kube_proxy, config.kubernetes.version
    if proxy.enabled and proxy.kubeconfig_file is None:
        yield ("kubeProxy", "kubeconfigFile"), "expected kube-proxy's kubeconfig, found nothing; or set enabled: false"
    if proxy.mode is ProxyMode.NFTABLES and version.minor < 29:  # noqa: PLR2004 - the release that brought the mode
        yield ("kubeProxy", "mode"), f"nftables exists since Kubernetes 1.29, found {version.text}; use iptables"
    yield from _fields(
        ("kubeProxy", "config"), proxy.config, OWN_PROXY_FIELDS, lambda field: _proxy_field(config, field)
    )


def _proxy_field(config: NodeConfig, field: str) -> str | None:
    return versions.proxy_field_problem(field, config.kubernetes.version)


def _kubelet(config: NodeConfig) -> Iterator[Finding]:
    version = config.kubernetes.version
    yield from _fields(
        ("kubelet", "config"),
        config.kubelet.config,
        OWN_KUBELET_FIELDS,
        lambda field: versions.kubelet_field_problem(field, version),
    )
    if str(config.kubelet.config.get("address", "")) in {"127.0.0.1", "::1", "localhost"}:
        yield ("kubelet", "config", "address"), "expected an address that the API server reaches, found this host's own"
    for flag in config.kubelet.extra_args:
        name = flag.split("=", 1)[0]
        wrong = versions.flag_problem("kubelet", flag, version)
        if name in OWN_KUBELET_FLAGS:
            wrong = f"{name} is written by this file already; {OWN_KUBELET_FLAGS[name]}"
        if wrong:
            yield ("kubelet", "extraArgs"), wrong


def _fields(
    place: tuple[str, ...], found: Iterable[str], own: dict[str, str], check: Callable[[str], str | None]
) -> Iterator[Finding]:
    for field in found:
        wrong = f"{field} is written by this file already; {own[field]}" if field in own else check(field)
        if wrong:
            yield (*place, field), wrong


def _runtime(config: NodeConfig) -> Iterator[Finding]:
    runtime, version = config.runtime, config.kubernetes.version
    if runtime.kind is RuntimeKind.DOCKER and version.minor >= 24:  # noqa: PLR2004 - the release without dockershim
        yield (
            ("runtime", "type"),
            f"the kubelet serves docker itself up to 1.23, found {version.text}; use containerd or cri-dockerd",
        )
    if runtime.kind is not RuntimeKind.CONTAINERD and runtime.version is not None:
        yield ("runtime", "version"), "expected it for containerd only, found it for another runtime; remove it"
    elif runtime.version is not None:
        wrong = versions.containerd_problem(version, runtime.version)
        if wrong:
            yield ("runtime", "version"), wrong


def _cni(config: NodeConfig) -> Iterator[Finding]:
    plugin, kind = config.cni.plugin, config.runtime.kind
    if plugin is CniPlugin.NONE and kind is not RuntimeKind.DOCKER and config.flannel.enabled:
        yield ("cni", "plugin"), f"expected bridge or flannel with the runtime {kind.value}, found none"
    if plugin is CniPlugin.BRIDGE and any(":" in each for each in config.cluster.pod_cidr):
        yield ("cni", "plugin"), "expected flannel with an IPv6 podCIDR, found bridge, which is written for IPv4 only"
    if plugin is not CniPlugin.NONE and kind is RuntimeKind.DOCKER:
        yield ("cni", "plugin"), f"expected none with the runtime docker (Pods are on docker0), found {plugin.value}"


def _flannel(config: NodeConfig) -> Iterator[Finding]:
    flannel = config.flannel
    if not flannel.enabled:
        return
    if flannel.iface and flannel.iface_can_reach:
        yield ("flannel", "ifaceCanReach"), "expected one of iface and ifaceCanReach, found both; remove one"
    for option in flannel.options:
        name = option.lstrip("-").split("=", 1)[0]
        if name in OWN_FLANNEL_OPTIONS:
            yield ("flannel", "options"), f"-{name} is written by this file already; {OWN_FLANNEL_OPTIONS[name]}"


def _etcd(config: NodeConfig) -> Iterator[Finding]:
    etcd = config.flannel.etcd
    if not config.flannel.enabled:
        return
    if not etcd.endpoints:
        yield ("flannel", "etcd", "endpoints"), "expected at least one https://HOST:2379, found none"
    files = [each is not None for each in (etcd.ca_file, etcd.cert_file, etcd.key_file)]
    if any(files) and not all(files):
        yield (
            ("flannel", "etcd"),
            "expected caFile, certFile and keyFile, or none, found some: short of one flannel drops TLS in silence",
        )
    schemes = {each.split("://", 1)[0] for each in etcd.endpoints}
    if len(schemes) > 1:
        yield ("flannel", "etcd", "endpoints"), "expected one scheme, found http and https"
    elif schemes == {"https"} and not any(files):
        yield ("flannel", "etcd"), "expected caFile, certFile and keyFile for https endpoints, found none"
    elif schemes == {"http"} and any(files):
        yield ("flannel", "etcd", "endpoints"), "expected https endpoints with TLS files, found http"


_RULES: tuple[tuple[tuple[str, ...], Callable[[NodeConfig], Iterator[Finding]]], ...] = (
    (("kubernetes.version",), _version),
    (("cluster.caFile", "cluster.caData"), _ca),
    (("node.ip", "cluster.podCIDR", "cluster.serviceCIDR"), _families),
    (("node.ip", "cluster.podCIDR", "cluster.serviceCIDR"), _ranges),
    (("cluster.clusterDNS", "cluster.serviceCIDR"), _dns),
    (("bootstrap",), _bootstrap),
    (("kubernetes.version", "kubeProxy"), _proxy),
    (("kubernetes.version", "kubelet.config", "kubelet.extraArgs"), _kubelet),
    (("kubernetes.version", "runtime"), _runtime),
    (("runtime.type", "cni", "flannel.enabled", "cluster.podCIDR"), _cni),
    (("flannel.enabled", "flannel.iface", "flannel.options"), _flannel),
    (("flannel.enabled", "flannel.etcd"), _etcd),
)
"""The fields that a rule looks at, and the rule."""


def contradictions(config: NodeConfig, broken: tuple[str, ...] = ()) -> Iterator[Finding]:
    """Yield what does not fit together; rules on fields in `broken` (paths already found wrong) are left out."""
    for needs, rule in _RULES:
        if not any(path == "" or _touches(path, need) for path in broken for need in needs):
            yield from rule(config)


def _touches(path: str, need: str) -> bool:
    return any(
        one == other or one.startswith((other + ".", other + "[")) for one, other in ((path, need), (need, path))
    )
