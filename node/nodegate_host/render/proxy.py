"""kube-proxy's KubeProxyConfiguration: the mode is always said, and ``clusterCIDR`` is flannel's Network.

With flannel's leases in etcd a Node's ``spec.podCIDR`` is not its lease, so Pods are told apart by ClusterCIDR, never
by NodeCIDR. ``kubeProxy.config`` is laid over it as the kubelet's is.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from nodegate_host import paths, yaml_writer
from nodegate_host.model import File, NodeConfig, ProxyMode
from nodegate_host.render.headers import with_header
from nodegate_host.render.kubelet import merge

_NFTABLES_ON = 31
"""The minor whose kube-proxy has the nftables mode without a feature gate."""


def configuration(config: NodeConfig) -> dict[str, Any]:
    """Return the KubeProxyConfiguration."""
    six = ipaddress.ip_address(config.node.ips[0]).version == 6  # noqa: PLR2004 - the family
    any_address = "::" if six else "0.0.0.0"  # noqa: S104 - load balancers ask for its health here
    base: dict[str, Any] = {
        "bindAddress": any_address,
        "clientConnection": {"kubeconfig": paths.PROXY_KUBECONFIG},
        "clusterCIDR": ",".join(config.cluster.pod_cidr),
        "detectLocalMode": "ClusterCIDR",
        "healthzBindAddress": "[::]:10256" if six else "0.0.0.0:10256",
        "hostnameOverride": config.node.name,
        "metricsBindAddress": "[::1]:10249" if six else "127.0.0.1:10249",
        "mode": config.kube_proxy.mode.value,
    }
    if config.kube_proxy.mode is ProxyMode.NFTABLES and config.kubernetes.version.minor < _NFTABLES_ON:
        base["featureGates"] = {"NFTablesProxyMode": True}
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        **merge(base, config.kube_proxy.config),
    }


def config_file(config: NodeConfig) -> File:
    """Return the KubeProxyConfiguration's file."""
    content = with_header(yaml_writer.dump(configuration(config)), advice="change kubeProxy.config in node.yaml")
    return File(paths.PROXY_CONFIG, content, units=("kube-proxy.service",))
