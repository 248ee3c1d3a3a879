"""D16-D21, D23: flannel, CNI and the bridge.

Data. The network's configuration in etcd is the operator's (FlannelNetwork); the host only reads it.
"""

from __future__ import annotations

from nodegate_host.rules.model import EFFECT, WARNING, Rule, rule

RULES: tuple[Rule, ...] = (
    rule(
        "D16",
        "flanneld finds no network configuration in etcd",
        ("Couldn't fetch network config", "Did you create your config using etcd", "flannel config not found"),
        r"Couldn't fetch network config|Did you create your config using etcdv3|flannel config not found in etcd",
        cause="PREFIX/config is not in etcd, or it is in the API version that this flannel does not read",
        remedy=(
            "kubectl get flannelnetwork: the operator writes the configuration",
            "nodegate-host preflight --only etcd.config,etcd.conn",
        ),
        doc="flannel reads etcd v3 only since 0.18.0; the guide's etcdctl commands write v2.",
        errata="E10",
    ),
    rule(
        "D17",
        "the br_netfilter module is missing",
        ("Failed to check br_netfilter", "bridge-nf-call-iptables"),
        r"Failed to check br_netfilter|bridge-nf-call-iptables: no such file",
        cause="/proc/sys/net/bridge is missing, so bridged traffic does not pass iptables, and flanneld exits",
        remedy=(
            "modprobe br_netfilter",
            "persist it: nodegate-host apply writes /etc/modules-load.d/nodegate.conf",
        ),
        doc="kubeadm stopped checking for it in 1.30; flannel checks it itself since 0.26.",
        errata="E21",
    ),
    rule(
        "D18",
        "flannel has not written its lease yet",
        ("subnet.env: no such file",),
        r"/run/flannel/subnet\.env: no such file",
        cause="Pods cannot get an address because flanneld has no lease yet",
        remedy=("systemctl status flanneld", "journalctl -u flanneld -b"),
        doc="Normal for seconds after a boot; /run is empty then. If it stays, flanneld does not reach etcd.",
        severity=WARNING,
        depth=EFFECT,
    ),
    rule(
        "D19",
        "the bridge has an address of an older lease",
        ("already has an IP address different",),
        r"\"?(cni0|cbr0|docker0)\"? already has an IP address different from (\S+)",
        cause="{0} still has an address of an old lease; the new one is {1}",
        remedy=(
            "ip link delete {0} (Pods on this node lose their network and must be restarted)",
            "systemctl restart kubelet",
        ),
        doc="A bridge outlives the lease that it was made from.",
    ),
    rule(
        "D20",
        "the node's Pod addresses are used up",
        ("no IP addresses available in range set",),
        r"no IP addresses available in range set: (\S+)",
        cause="all addresses of {0} are taken; mostly by Pods that no longer exist",
        remedy=(
            "compare: ls /var/lib/cni/networks/*/ and crictl pods -q | wc -l",
            "remove the files of addresses that no Pod has, with the kubelet stopped",
        ),
        doc="The host-local plugin keeps one file an address; a crash or a wiped runtime leaves them behind. If all "
        "are used, maxPods is too high for the lease's size.",
    ),
    rule(
        "D21",
        "a CNI plugin is missing",
        ("failed to find plugin",),
        r"failed to find plugin \\?\"([\w.-]+)\\?\" in path",
        cause="the CNI configuration names the plugin {0}, and its program is not in the plugin directory",
        remedy=(
            "install it into /opt/cni/bin (cni.binDir), mode 0755",
            "or cni.plugin: bridge in node.yaml, which needs only the stock plugins",
        ),
        doc="The flannel plugin has not been part of the stock plugins since 1.0.0.",
    ),
    rule(
        "D23",
        "another program changes the overlay's MAC address",
        ("persistent MAC", "Could not generate persistent"),
        r"(?:[Cc]ould not|Failed to) (?:generate|set) persistent MAC(?: address)? (?:for|on|of) \"?(flannel[\w.]*)"
        r"|(flannel[\w.]*): .*persistent MAC",
        cause="udev sets a MAC address on {0}, so it differs from the VtepMAC in flannel's lease, and other nodes' "
        "packets are dropped",
        remedy=(
            "nodegate-host apply writes /etc/systemd/network/50-flannel.link (MACAddressPolicy=none)",
            "ip link delete flannel.1 && systemctl restart flanneld",
        ),
        doc="systemd 242 and newer give virtual devices a persistent address; flannel before 0.22.3 did not notice.",
    ),
)
"""By number."""
