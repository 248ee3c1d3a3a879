"""Where everything is on a node. Each path is written once, here."""

from __future__ import annotations

from nodegate_host.model import NodeConfig

NODEGATE = "/etc/nodegate"
KUBERNETES = "/etc/kubernetes"
CA = "/etc/kubernetes/pki/ca.crt"
BOOTSTRAP_KUBECONFIG = "/etc/kubernetes/bootstrap.kubeconfig"
KUBELET_KUBECONFIG = "/etc/kubernetes/kubelet.kubeconfig"
KUBELET_CONFIG = "/etc/kubernetes/kubelet-config.yaml"
KUBELET_ROOT = "/var/lib/kubelet"
KUBELET_PKI = "/var/lib/kubelet/pki"
PROXY_KUBECONFIG = "/etc/kubernetes/kube-proxy.kubeconfig"
PROXY_CONFIG = "/etc/kubernetes/kube-proxy-config.yaml"
STATIC_PODS = "/etc/kubernetes/manifests"

FLANNEL_DIR = "/etc/nodegate/flannel"
FLANNEL_CA = "/etc/nodegate/flannel/ca.crt"
FLANNEL_CERT = "/etc/nodegate/flannel/client.crt"
FLANNEL_KEY = "/etc/nodegate/flannel/client.key"
LEASE_SCRIPT = "/etc/nodegate/hand-over-lease.sh"
"""Turns flannel's lease into the runtime's configuration; under /etc, writable where programs' places are not."""
SUBNET_ENV = "/run/flannel/subnet.env"
DOCKER_ENV = "/run/flannel/docker"

UNITS = "/etc/systemd/system"
DROP_IN = "10-nodegate-flannel.conf"
CONTAINERD_CONFIG = "/etc/containerd/config.toml"
DOCKER_CONFIG = "/etc/docker/daemon.json"
CNI_CONFLIST = "10-flannel.conflist"

MODULES = "/etc/modules-load.d/nodegate.conf"
SYSCTL = "/etc/sysctl.d/90-nodegate.conf"
NETWORK_MANAGER = "/etc/NetworkManager/conf.d/90-nodegate.conf"
NETWORKD = "/etc/systemd/network/05-nodegate-unmanaged.network"
FLANNEL_LINK = "/etc/systemd/network/50-flannel.link"


def unit(name: str) -> str:
    """Return where our own unit `name` (with its suffix) is."""
    return f"{UNITS}/{name}"


def drop_in(name: str) -> str:
    """Return where our drop-in for somebody else's unit `name` is."""
    return f"{UNITS}/{name}.d/{DROP_IN}"


def conflist(config: NodeConfig) -> str:
    """Return where the CNI configuration is."""
    return f"{config.cni.conf_dir.rstrip('/')}/{CNI_CONFLIST}"


def binary(config: NodeConfig, name: str) -> str:
    """Return where the program `name` is."""
    return f"{config.kubernetes.bin_dir.rstrip('/')}/{name}"


def flannel_env(config: NodeConfig) -> str:
    """Return where flanneld's environment file is."""
    return f"{config.host.env_dir.rstrip('/')}/flanneld"
