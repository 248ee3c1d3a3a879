"""What is allowed in a `NodeConfig` and yet unwise; each a sentence with its field. Nothing here stops anything."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from nodegate_host.model import CgroupDriver, NodeConfig, ProxyMode
from nodegate_host.render.kubelet import configuration

_IPVS_DEPRECATED = 35
"""The minor since which kube-proxy calls its ipvs mode deprecated."""


def advice(config: NodeConfig) -> Iterator[tuple[str, str]]:
    """Yield fields and sentences."""
    if _is_address(config.node.name):
        yield "node.name", "an address as the name makes certificates for that address; use a host name"
    cert = config.flannel.etcd.cert_file or ""
    if config.flannel.enabled and "/etcd/" in cert:
        yield "flannel.etcd.certFile", f"{cert} looks like an etcd member's own; give flannel a client certificate"
    if config.runtime.cgroup_driver is CgroupDriver.CGROUPFS:
        yield "runtime.cgroupDriver", "under systemd the driver systemd is the one with a single owner of the cgroups"
    if config.kube_proxy.mode is ProxyMode.IPVS and config.kubernetes.version.minor >= _IPVS_DEPRECATED:
        yield "kubeProxy.mode", "ipvs is deprecated since 1.35; use nftables"
    if config.runtime.manage and config.runtime.version is None:
        yield "runtime.version", "not given, so containerd's configuration is written in format 2, which all migrate"
    yield from _open_kubelet(config)


def _open_kubelet(config: NodeConfig) -> Iterator[tuple[str, str]]:
    found = configuration(config)
    if found.get("authentication", {}).get("anonymous", {}).get("enabled"):
        yield "kubelet.config.authentication", "anonymous access to the kubelet's API is on"
    if found.get("authorization", {}).get("mode") != "Webhook":
        yield "kubelet.config.authorization", "whoever reaches the kubelet's API may do everything there"
    if found.get("readOnlyPort"):
        yield "kubelet.config.readOnlyPort", "the port is open to everybody who reaches it"


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
