"""What flannel of each release knows: members, backends, their options, and how it fills in lengths.

Pure tables. A version is asked, an answer comes out. Sources: flannel's `pkg/subnet/config.go` and
`pkg/backend/*` at the tags, and the pull requests named below. Releases newer than the newest row are read
like it; there is no row before 0.7.0.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from nodegate.flannel.model import OptionValue, Version

OLDEST = Version(0, 7, 0)
"""The first release that the tables describe."""

CHECKS_LENGTHS = Version(0, 10, 0)
"""From here on there is room for four subnets, lengths end at 30, and bounds lie on a boundary (flannel #896)."""

REQUIRES_NETWORK = Version(0, 20, 0)
"""From here on a family that is enabled needs its network (flannel #1636); before, 0.0.0.0/0 was taken."""

CARRIES_IPV6 = Version(0, 18, 0)
"""From here on leases in etcd hold IPv6: the v3 store."""

WIDE_VNI = Version(0, 24, 0)
"""From here on leases hold VNIs of more than 16 bits."""

GONE = Version(0, 20, 0)
"""The release without the cloud backends (flannel bb657386)."""


class Shape(enum.StrEnum):
    """What a member or an option holds."""

    FLAG = "true or false"
    LENGTH = "a whole number of 0 or more"
    NUMBER = "a whole number"
    TEXT = "a string"
    TEXTS = "a string or a list of strings"
    NETWORK4 = 'an IPv4 network such as "172.30.0.0/16"'
    NETWORK6 = 'an IPv6 network such as "fc00:30::/48"'
    ADDRESS4 = 'an IPv4 address such as "172.30.1.0"'
    ADDRESS6 = 'an IPv6 address such as "fc00:30:0:1::"'
    OBJECT = 'an object such as {"Type": "vxlan"}'


@dataclass(frozen=True, slots=True)
class Member:
    """One member of the config."""

    name: str
    shape: Shape
    since: Version = OLDEST
    is_ipv6: bool = False
    """Whether it only matters to IPv6."""


_DUAL = Version(0, 14, 0)
_NFTABLES = Version(0, 25, 0)

MEMBERS: Mapping[str, Member] = {
    member.name: member
    for member in (
        Member("EnableIPv4", Shape.FLAG, _DUAL),
        Member("EnableIPv6", Shape.FLAG, _DUAL),
        Member("EnableNFTables", Shape.FLAG, _NFTABLES),
        Member("Network", Shape.NETWORK4),
        Member("IPv6Network", Shape.NETWORK6, _DUAL, is_ipv6=True),
        Member("SubnetMin", Shape.ADDRESS4),
        Member("SubnetMax", Shape.ADDRESS4),
        Member("IPv6SubnetMin", Shape.ADDRESS6, _DUAL, is_ipv6=True),
        Member("IPv6SubnetMax", Shape.ADDRESS6, _DUAL, is_ipv6=True),
        Member("SubnetLen", Shape.LENGTH),
        Member("IPv6SubnetLen", Shape.LENGTH, _DUAL, is_ipv6=True),
        Member("Backend", Shape.OBJECT),
    )
}
"""The members of a config, by flannel's own names (`pkg/subnet/config.go`)."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a backend."""

    name: str
    shape: Shape
    default: OptionValue | None
    """What flannel uses when it is absent; None where that is the node's own matter."""

    since: Version = OLDEST
    range: tuple[int, int] | None = None
    """The numbers that make sense; flannel itself checks none."""

    is_secret: bool = False


@dataclass(frozen=True, slots=True)
class BackendKind:
    """One type of backend."""

    type: str
    words: str
    """How flannel begins its message about options that it cannot decode."""

    options: tuple[Option, ...] = ()
    since: Version = OLDEST
    until: Version | None = None
    """The first release without it."""

    carries_ipv6: bool = False
    needs_ipv4: bool = True
    """Whether it panics on a node without an IPv4 address of its own."""

    def is_known(self, version: Version) -> bool:
        """Tell whether flannel of a version has it."""
        return self.since <= version and (self.until is None or version < self.until)


_PORT = (1, 65535)
_MTU = (576, 65535)
_MTU_SINCE = Version(0, 21, 3)
_KEY = tuple(Option(name, Shape.TEXT, "", is_secret=True) for name in ("AccessKeyID", "AccessKeySecret"))

_VXLAN = (
    Option("VNI", Shape.NUMBER, 1, range=(1, 16777215)),
    Option("Port", Shape.NUMBER, 0, range=(0, 65535)),
    Option("GBP", Shape.FLAG, default=False),
    Option("DirectRouting", Shape.FLAG, default=False, since=Version(0, 9, 0)),
    Option("Learning", Shape.FLAG, default=False, since=Version(0, 12, 0)),
    Option("MTU", Shape.NUMBER, None, since=_MTU_SINCE, range=_MTU),
)
_WIREGUARD = (
    Option("PSK", Shape.TEXT, "", is_secret=True),
    Option("ListenPort", Shape.NUMBER, 51820, range=_PORT),
    Option("ListenPortV6", Shape.NUMBER, 51821, range=_PORT),
    Option("MTU", Shape.NUMBER, None, since=_MTU_SINCE, range=_MTU),
    Option("Mode", Shape.TEXT, "separate"),
    Option("PersistentKeepaliveInterval", Shape.NUMBER, 0, range=(0, 65535)),
)
_IPSEC = (
    Option("PSK", Shape.TEXT, "", is_secret=True),
    Option("UDPEncap", Shape.FLAG, default=False),
    Option("ESPProposal", Shape.TEXT, "aes128gcm16-sha256-prfsha256-ecp256"),
)
_COMMANDS = tuple(
    Option(name, Shape.TEXT, "")
    for name in ("PreStartupCommand", "PostStartupCommand", "SubnetAddCommand", "SubnetRemoveCommand")
)

BACKENDS: Mapping[str, BackendKind] = {
    kind.type: kind
    for kind in (
        BackendKind("vxlan", "error decoding VXLAN backend config", _VXLAN, carries_ipv6=True, needs_ipv4=False),
        BackendKind("host-gw", "", carries_ipv6=True, needs_ipv4=False),
        BackendKind(
            "wireguard",
            "error decoding backend config",
            _WIREGUARD,
            Version(0, 16, 0),
            carries_ipv6=True,
            needs_ipv4=False,
        ),
        BackendKind("udp", "error decoding UDP backend config", (Option("Port", Shape.NUMBER, 8285, range=_PORT),)),
        BackendKind(
            "ipip",
            "error decoding IPIP backend config",
            (Option("DirectRouting", Shape.FLAG, default=False),),
            Version(0, 10, 0),
        ),
        BackendKind("ipsec", "error decoding IPSEC backend config", _IPSEC, Version(0, 11, 0)),
        BackendKind("extension", "error decoding backend config", _COMMANDS, Version(0, 8, 0), needs_ipv4=False),
        BackendKind("alloc", ""),
        BackendKind("tencent-vpc", "error decoding VPC backend config", _KEY, Version(0, 14, 0)),
        BackendKind("ali-vpc", "error decoding VPC backend config", _KEY, Version(0, 8, 0), GONE),
        BackendKind(
            "aws-vpc", "error decoding VPC backend config", (Option("RouteTableID", Shape.TEXTS, ""),), until=GONE
        ),
        BackendKind("gce", "", until=GONE),
    )
}
"""The backends, by type."""

DEFAULT_BACKEND = "udp"
"""What flannel takes when there is no member ``Backend`` (its documentation says vxlan, and errs)."""

WIREGUARD_MODES = ("separate", "auto", "ipv4", "ipv6")
"""`pkg/backend/wireguard`, constants of type Mode."""

IPSEC_PSK_BYTES = 96
"""The shortest pre-shared key that flannel takes (`pkg/backend/ipsec`, minPasswordLength)."""

AWS_LISTS = Version(0, 8, 0)
"""From here on ``RouteTableID`` may be a list."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """How flannel judges and fills in the subnets' length of one family."""

    bits: int
    longest: int
    """The longest subnet that leaves a node two addresses."""

    smallest: int
    """The longest prefix of a network that has room for four such subnets."""

    usual: int
    """The length that is taken when the network is large enough."""

    prefix: str
    """What the family's members begin with."""


IPV4 = Lengths(32, 30, 28, 24, "")
IPV6 = Lengths(128, 126, 124, 64, "IPv6")


def default_length(lengths: Lengths, prefix: int, version: Version) -> int:
    """Return the subnets' length that flannel of a version takes for a network of a prefix when none is given."""
    if version < CHECKS_LENGTHS:
        return lengths.usual if prefix < lengths.usual else prefix + 1
    return lengths.usual if prefix <= lengths.usual - 2 else prefix + 2
