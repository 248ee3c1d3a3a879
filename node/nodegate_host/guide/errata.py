"""The old guide's errors, E1 to E30: what it says, what is true, what to do.

Data. `on_host` tells whether a host's files can show the error; the others are in commands and texts that leave no
trace, and are here for ``explain``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ERROR = "error"
WARNING = "warning"
INFO = "info"


@dataclass(frozen=True)
class Erratum:
    """One error of the guide."""

    id: str
    says: str
    truth: str
    remedy: str
    severity: str = WARNING
    on_host: bool = True


_APPLY = "nodegate-host apply renders it right"

ERRATA: tuple[Erratum, ...] = (
    Erratum(
        "E1",
        "kube-proxy: --cluster-cidr is the Service range",
        "clusterCIDR is the range of all Pods; with the "
        "Service range all traffic from Pods to Services is rewritten as if it came from outside",
        _APPLY,
        ERROR,
    ),
    Erratum(
        "E2",
        "EnvironmentFile=/run/flannel/docker puts docker on flannel",
        "docker's own ExecStart has no "
        "$DOCKER_NETWORK_OPTIONS, so docker ignores the file and Pods get addresses outside the overlay",
        "apply writes a drop-in that states ExecStart anew",
        ERROR,
    ),
    Erratum(
        "E3",
        "units are edited in /usr/lib/systemd/system",
        "that directory is the packages'; an update puts the old file back",
        "apply writes to /etc/systemd/system and drop-ins",
    ),
    Erratum(
        "E4",
        "the binding cluster-admin ties system:kube-proxy to system:node-proxier",
        "the binding is called system:node-proxier",
        "nothing on the host",
        INFO,
        on_host=False,
    ),
    Erratum(
        "E5",
        "copy ~/.kube/config to the nodes",
        "that is the whole cluster on each node, past the node authorizer; the "
        "kubelet never asks for a certificate of its own",
        "nodegate-host rejoin --bootstrap-kubeconfig FILE",
        ERROR,
    ),
    Erratum(
        "E6",
        "two endpoints 192.168.0.3 prove that it works",
        "the same address twice, outside flannel's network: the "
        "overlay is broken, and the test passes because a local Pod answers",
        "compare the endpoints with the leases, and ask each one from every node",
        ERROR,
        on_host=False,
    ),
    Erratum(
        "E7",
        "flannel chooses its interface",
        "it takes the default route's: the guide's leases carry public addresses, "
        "so Pods' traffic crosses the Internet unencrypted",
        "flannel.iface: the interface of node.ip",
    ),
    Erratum(
        "E8",
        "subnets 172.30.19 and .71 are listed, .5 and .56 are read",
        "outputs of different runs",
        "nothing",
        INFO,
        on_host=False,
    ),
    Erratum(
        "E9",
        "flanneld uses /etc/etcd/ssl/etcd.pem",
        "that is the etcd servers' own key: each node can read and write all of etcd, Secrets included",
        "a client certificate with a role on flannel's prefix",
    ),
    Erratum(
        "E10",
        "etcdctl mkdir, mk, ls",
        "that is etcd's v2 API; flannel 0.18.0 and newer read v3 only",
        "a FlannelNetwork; the operator writes the right API",
        ERROR,
        on_host=False,
    ),
    Erratum("E11", "mk and mkdir", "they fail the second time", "a FlannelNetwork", INFO, on_host=False),
    Erratum(
        "E12",
        "yum install conntrack-toolsconntrack-tools",
        "the package is conntrack-tools, on Debian conntrack; kube-proxy needs the program up to 1.31",
        "install conntrack",
        INFO,
        on_host=False,
    ),
    Erratum(
        "E13",
        "old flags: --experimental-bootstrap-kubeconfig, --require-kubeconfig, --api-servers, $KUBE_ALLOW_PRIV",
        "newer kubelets refuse them and print their usage (FAQ 1)",
        _APPLY,
    ),
    Erratum(
        "E14",
        "--runtime-cgroups=/systemd/system.slice",
        "no such cgroup: the path of the v1 name=systemd hierarchy got "
        "into it; the kubelet then logs 'Failed to get system container stats'",
        _APPLY,
    ),
    Erratum(
        "E15",
        "--cgroup-driver: systemd, beside =cgroupfs",
        "kubelet and runtime must have the same; the value must not carry quotes",
        "runtime.cgroupDriver says it once",
    ),
    Erratum(
        "E16",
        "--hairpin-mode promiscuous-bridge",
        "only kubenet knew it, which ended with 1.24",
        "hairpinMode of the CNI bridge; apply writes it",
        INFO,
    ),
    Erratum(
        "E17",
        "'Stat fs failed': reboot, delete Pods and Services",
        "the line is harmless, nothing is to be done",
        "nothing",
        INFO,
        on_host=False,
    ),
    Erratum(
        "E18",
        "usage in the journal: an option in /etc/kubernetes/kubelet is wrong",
        "mostly the file itself: comments behind values, typographic quotes, unclosed quotes, export",
        "correct the line",
        ERROR,
    ),
    Erratum(
        "E19",
        "'unable to load bootstrap kubeconfig': copy it again",
        "three faults read alike: missing, empty, or an expired certificate on a node that had joined",
        "nodegate-host diagnose tells which",
        ERROR,
    ),
    Erratum(
        "E20",
        "no step for swap",
        "the kubelet does not start with swap on",
        "swapoff -a and /etc/fstab, or host.swap",
        ERROR,
    ),
    Erratum(
        "E21",
        "no br_netfilter, no ip_forward, no FORWARD policy",
        "bridged traffic passes by the Service rules, and docker drops what is forwarded",
        "apply persists modules and sysctls",
    ),
    Erratum(
        "E22",
        "no --anonymous-auth=false, no client CA",
        "with flags alone the kubelet's API is open to everybody: anonymous, AlwaysAllow, and port 10255",
        "apply writes a config file, whose defaults are closed",
        ERROR,
    ),
    Erratum(
        "E23",
        "--address is the node's address",
        "one family only; the form today is 0.0.0.0 and --node-ip",
        _APPLY,
        INFO,
    ),
    Erratum(
        "E24",
        "Restart=on-failure without RestartSec=",
        "five failures within a second, and the unit stays down",
        _APPLY,
    ),
    Erratum(
        "E25",
        "kubectl run --replicas",
        "removed with 1.18; a Deployment does it",
        "nothing on the host",
        INFO,
        on_host=False,
    ),
    Erratum("E26", "/etc/kubernetes/config is never shown", "its variables are undefined and so empty", _APPLY, INFO),
    Erratum("E27", "kube-proxy --bind-address", "it binds nothing", _APPLY, INFO),
    Erratum(
        "E28",
        "the node's name is its address",
        "it works, and the certificate says system:node:ADDRESS; a name outlives an address",
        "keep it, or reset and rejoin with a name",
    ),
    Erratum(
        "E29",
        "cp over the programs, tar kubernetes-src",
        "a copy over a running program fails ('text file busy'); the sources are not needed",
        "install -m 0755, which renames",
        INFO,
        on_host=False,
    ),
    Erratum(
        "E30",
        "-etcd-cafile alone",
        "flannel 0.18 and newer drop TLS altogether when one of the three files is missing",
        "all three of caFile, certFile and keyFile",
        ERROR,
    ),
)
"""In the order of their numbers."""

BY_ID: Mapping[str, Erratum] = {each.id: each for each in ERRATA}
"""By id."""
