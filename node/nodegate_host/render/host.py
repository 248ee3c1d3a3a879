"""The host itself: kernel modules, sysctls, and the files that keep network managers off flannel's devices.

A `NodeConfig` goes in, files come out; what the file says is added to, and wins over, what is always needed.
"""

from __future__ import annotations

from nodegate_host import paths
from nodegate_host.model import File, NetworkManager, NodeConfig, ProxyMode, Version
from nodegate_host.render.headers import with_header

_ADVICE = "change host in node.yaml"

_MAC_FIXED = Version(0, 22, 3)
"""Since this flannel, systemd's own MAC address policy no longer breaks the lease."""

_KERNEL_DEFAULTS = {
    "kernel.keys.root_maxbytes": "25000000",
    "kernel.keys.root_maxkeys": "1000000",
    "kernel.panic": "10",
    "kernel.panic_on_oops": "1",
    "vm.overcommit_memory": "1",
    "vm.panic_on_oom": "0",
}
"""What the kubelet wants to find with ``protectKernelDefaults`` (its own source)."""


def modules(config: NodeConfig) -> tuple[str, ...]:
    """Return the kernel modules that the node needs, sorted."""
    found = {"br_netfilter", "nf_conntrack", "overlay", *config.host.modules}
    if config.flannel.enabled:
        found.add("vxlan")
    if config.kube_proxy.enabled and config.kube_proxy.mode is ProxyMode.NFTABLES:
        found.add("nf_tables")
    if config.kube_proxy.enabled and config.kube_proxy.mode is ProxyMode.IPVS:
        found |= {"ip_vs", "ip_vs_rr", "ip_vs_sh", "ip_vs_wrr"}
    return tuple(sorted(found))


def sysctls(config: NodeConfig) -> dict[str, str]:
    """Return the sysctls that the node needs, sorted, the file's own over them."""
    found = {
        "fs.inotify.max_user_instances": "8192",
        "net.bridge.bridge-nf-call-ip6tables": "1",
        "net.bridge.bridge-nf-call-iptables": "1",
        "net.ipv4.ip_forward": "1",
        "net.ipv4.ip_local_reserved_ports": "30000-32767",
    }
    if any(":" in each for each in config.node.ips):
        found["net.ipv6.conf.all.forwarding"] = "1"
    if config.kubelet.config.get("protectKernelDefaults") is True:
        found.update(_KERNEL_DEFAULTS)
    found.update({name.replace("/", "."): value for name, value in config.host.sysctls.items()})
    return dict(sorted(found.items()))


def files(config: NodeConfig) -> list[File]:
    """Return the host's files."""
    loaded = "".join(f"{each}\n" for each in modules(config))
    settings = "".join(f"{name} = {value}\n" for name, value in sysctls(config).items())
    return [
        File(paths.MODULES, with_header(loaded, advice=_ADVICE)),
        File(paths.SYSCTL, with_header(settings, advice=_ADVICE)),
        *(_unmanaged(config) if config.host.network_manager is NetworkManager.CONFIGURE else []),
    ]


def _unmanaged(config: NodeConfig) -> list[File]:
    names = ("flannel*", "flannel.*", "cni*", "veth*")
    keyfile = "[keyfile]\nunmanaged-devices+=" + ";".join(f"interface-name:{each}" for each in names) + "\n"
    network = f"[Match]\nName={' '.join(names)}\n\n[Link]\nUnmanaged=yes\n"
    found = [
        File(paths.NETWORK_MANAGER, with_header(keyfile, advice=_ADVICE)),
        File(paths.NETWORKD, with_header(network, advice=_ADVICE)),
    ]
    if config.flannel.enabled and config.flannel.version < _MAC_FIXED:
        link = "[Match]\nOriginalName=flannel*\n\n[Link]\nMACAddressPolicy=none\n"
        found.append(File(paths.FLANNEL_LINK, with_header(link, advice=_ADVICE)))
    return found
