"""The backends' options as the resource names them, beside flannel's own names.

Rules: pure tables. A type without a member has no options. The defaults are flannel's (flannel
documentation, "Backends", and `pkg/backend/*`), so that a field left out and its default are the same.
"""

from collections.abc import Mapping
from typing import NamedTuple

from nodegate.flannel.model import OptionValue


class Option(NamedTuple):
    """One option of a backend."""

    name: str
    """flannel's own name."""

    default: OptionValue


TYPES = (
    "vxlan",
    "host-gw",
    "wireguard",
    "udp",
    "ipip",
    "ipsec",
    "extension",
    "alloc",
    "tencent-vpc",
    "ali-vpc",
    "aws-vpc",
    "gce",
)
"""Every backend type that some flannel has, in lower case."""

MEMBERS: Mapping[str, str] = {
    "vxlan": "vxlan",
    "wireguard": "wireguard",
    "udp": "udp",
    "ipip": "ipip",
    "ipsec": "ipsec",
    "extension": "extension",
    "tencentVPC": "tencent-vpc",
}
"""The members of ``spec.backend`` that hold options, each with its type."""

OPTIONS: Mapping[str, Mapping[str, Option]] = {
    "vxlan": {
        "vni": Option("VNI", 1),
        "port": Option("Port", 0),
        "gbp": Option("GBP", default=False),
        "directRouting": Option("DirectRouting", default=False),
        "learning": Option("Learning", default=False),
        "mtu": Option("MTU", 0),
    },
    "wireguard": {
        "listenPort": Option("ListenPort", 51820),
        "listenPortV6": Option("ListenPortV6", 51821),
        "mtu": Option("MTU", 0),
        "mode": Option("Mode", "separate"),
        "persistentKeepaliveInterval": Option("PersistentKeepaliveInterval", 0),
    },
    "udp": {"port": Option("Port", 8285)},
    "ipip": {"directRouting": Option("DirectRouting", default=False)},
    "ipsec": {
        "udpEncap": Option("UDPEncap", default=False),
        "espProposal": Option("ESPProposal", "aes128gcm16-sha256-prfsha256-ecp256"),
    },
    "extension": {
        "preStartupCommand": Option("PreStartupCommand", ""),
        "postStartupCommand": Option("PostStartupCommand", ""),
        "subnetAddCommand": Option("SubnetAddCommand", ""),
        "subnetRemoveCommand": Option("SubnetRemoveCommand", ""),
    },
}
"""The options of a type by the resource's names, in the order in which they are written."""

SECRET_FIELDS: Mapping[str, str] = {
    "wireguard": "pskSecretRef",
    "ipsec": "pskSecretRef",
    "tencent-vpc": "credentialsSecretRef",
}
"""The field of a type's member that says where its secret options stand."""

SECRETS: Mapping[str, tuple[str, ...]] = {
    "wireguard": ("PSK",),
    "ipsec": ("PSK",),
    "tencent-vpc": ("AccessKeyID", "AccessKeySecret"),
    "ali-vpc": ("AccessKeyID", "AccessKeySecret"),
}
"""The options of a type that are secret, by flannel's names."""

VXLAN_PORT = 8472
"""The kernel's port for vxlan, which ``Port`` 0 stands for (Linux, drivers/net/vxlan; flannel documentation)."""
