"""The schema of a FlannelNetwork's spec, for those who have no API server at hand, and what it refuses.

Rules: pure; it says what ``crds/flannelnetworks.nodegate.dev.yaml`` says, bound by bound and rule by rule,
and a test walks both and fails where they differ. Change the CRD first, then this. What only the judgement
can tell (ranges, versions, host bits) is no matter of the schema.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from nodegate.cli.enrollment_shape import head_faults
from nodegate.cli.schema import Flag, Law, Listing, Record, Schema, Text, Whole, problems
from nodegate.cli.schema import Problem as Fault
from nodegate.flannel.model import Api
from nodegate.flannel.network import Adoption, DeletionPolicy, DriftPolicy, Transport
from nodegate.flannel.options import MEMBERS, TYPES
from nodegate.flannel.ranges import is_address, is_cidr

_MOST = 2147483647
_ENDPOINT = r"https?://([A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?"
_ENDPOINT_CEL = (
    "self.matches('^https?://([A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?|[[][0-9A-Fa-f:.]+[]])(:[0-9]{1,5})?$')"
)
_PREFIX = "^(/[A-Za-z0-9._-]+)+$"
_VERSION = "^[0-9]{1,3}[.][0-9]{1,4}[.][0-9]{1,4}$"


def _matches(pattern: str) -> Callable[[str], bool]:
    return lambda text: re.fullmatch(pattern, text) is not None


def _cidr(text: str) -> bool:
    return text == "" or is_cidr(text)


def _address(text: str) -> bool:
    return text == "" or is_address(text)


def _is_secure(etcd: Mapping[str, Any]) -> bool:
    plain = (etcd.get("tls") or {}).get("insecurePlaintext")
    return bool(plain) or all(str(url).startswith("https://") for url in etcd["endpoints"])


def _only(member: str, owner: str) -> Law:
    """Return the rule that options are of the type that they belong to."""
    return Law(
        f"!has(self.{member}) || self.type == '{owner}'",
        lambda backend: backend.get(member) is None or backend.get("type") == owner,
        f"no {member} unless type is {owner}, found another type",
        member,
    )


_CIDR = Text(
    shortest=4, longest=43, laws=(Law("isCIDR(self)", is_cidr, "a network in CIDR notation such as 172.30.0.0/16"),)
)
_CIDR_OR_EMPTY = Text(
    longest=43,
    laws=(Law("self == '' || isCIDR(self)", _cidr, "a network in CIDR notation such as fc00:30:0:1::/64"),),
)
_ADDRESS = Text(longest=45, laws=(Law("self == '' || isIP(self)", _address, "one IP address, without prefix length"),))
_NODE_ADDRESS = Text(
    shortest=2, longest=45, laws=(Law("isIP(self)", is_address, "one IP address, without prefix length"),)
)
_NAME = Text(shortest=1, longest=253)
_NAMESPACE = Text(shortest=1, longest=63)
_KEY = Text(shortest=1, longest=253, pattern="^[-._A-Za-z0-9]+$")
_PSK = Record(fields={"namespace": _NAMESPACE, "name": _NAME, "key": _KEY}, required=("namespace", "name"))
_SECRET = Record(fields={"namespace": _NAMESPACE, "name": _NAME}, required=("namespace", "name"))
_COUNT = Whole(least=0, most=_MOST)
_PORT = Whole(least=0, most=65535)
_COMMAND = Text(longest=1024)

_ETCD = Record(
    fields={
        "endpoints": Listing(
            item=Text(
                shortest=8,
                longest=300,
                laws=(
                    Law(
                        _ENDPOINT_CEL,
                        _matches(_ENDPOINT),
                        "a URL of one etcd member without path, such as https://10.0.0.1:2379",
                    ),
                ),
            ),
            longest=9,
            distinct=True,
        ),
        "api": Text(longest=0, choices=tuple(Api)),
        "tls": Record(
            fields={
                "secretRef": _SECRET,
                "caKey": _KEY,
                "certKey": _KEY,
                "keyKey": _KEY,
                "serverName": Text(longest=253),
                "insecurePlaintext": Flag(),
            }
        ),
        "transport": Text(longest=0, choices=tuple(Transport)),
    },
    required=("endpoints", "api"),
    laws=(
        Law("size(self.endpoints) > 0", lambda etcd: bool(etcd["endpoints"]), "at least one endpoint", "endpoints"),
        Law(
            "self.endpoints.all(e, e.startsWith('https://')) || "
            "(has(self.tls) && has(self.tls.insecurePlaintext) && self.tls.insecurePlaintext)",
            _is_secure,
            "https:// endpoints, unless tls.insecurePlaintext is true",
            "endpoints",
        ),
    ),
)
_FOREVER = Law("self == oldSelf", lambda _: True, "the value that it was created with")
_PREFIX_TEXT = Text(
    shortest=2,
    longest=200,
    laws=(
        Law(
            f"self.matches('{_PREFIX}')",
            _matches(_PREFIX),
            "parts of A-Z, a-z, 0-9, '.', '_' and '-', each after a slash, such as /coreos.com/network",
        ),
        Law(
            "!self.matches('/[.][.]?(/|$)')",
            lambda text: not re.search("/[.][.]?(/|$)", text),
            "no part that is . or ..",
        ),
        Law(
            "!self.matches('/(config|subnets)$')",
            lambda text: not re.search("/(config|subnets)$", text),
            "the path above config and subnets",
        ),
        _FOREVER,
    ),
)
_FAMILY: Mapping[str, Schema] = {"subnetLen": Whole(least=0, most=128), "subnetMin": _ADDRESS, "subnetMax": _ADDRESS}
_BACKEND = Record(
    fields={
        "type": Text(longest=0, choices=TYPES),
        "vxlan": Record(
            fields={
                "vni": _COUNT,
                "port": _PORT,
                "gbp": Flag(),
                "directRouting": Flag(),
                "learning": Flag(),
                "mtu": _PORT,
            }
        ),
        "wireguard": Record(
            fields={
                "listenPort": _PORT,
                "listenPortV6": _PORT,
                "mtu": _PORT,
                "mode": Text(longest=0, choices=("separate", "auto", "ipv4", "ipv6")),
                "persistentKeepaliveInterval": _PORT,
                "pskSecretRef": _PSK,
            }
        ),
        "udp": Record(fields={"port": _PORT}),
        "ipip": Record(fields={"directRouting": Flag()}),
        "ipsec": Record(
            fields={"udpEncap": Flag(), "espProposal": Text(longest=128), "pskSecretRef": _PSK},
            required=("pskSecretRef",),
        ),
        "extension": Record(
            fields={
                "preStartupCommand": _COMMAND,
                "postStartupCommand": _COMMAND,
                "subnetAddCommand": _COMMAND,
                "subnetRemoveCommand": _COMMAND,
            }
        ),
        "tencentVPC": Record(fields={"credentialsSecretRef": _SECRET}),
    },
    required=("type",),
    laws=(
        *(_only(member, owner) for member, owner in MEMBERS.items()),
        Law(
            "self.type != 'ipsec' || has(self.ipsec)",
            lambda backend: backend.get("type") != "ipsec" or backend.get("ipsec") is not None,
            "ipsec.pskSecretRef, since ipsec has no default key, found nothing",
            "ipsec",
        ),
    ),
)

SPEC = Record(
    fields={
        "etcd": _ETCD,
        "prefix": _PREFIX_TEXT,
        "flannelVersion": Text(shortest=5, longest=13, pattern=_VERSION),
        "network": _CIDR,
        **_FAMILY,
        "ipv6": Record(fields={"network": _CIDR, **_FAMILY}, required=("network",)),
        "enableNFTables": Flag(),
        "backend": _BACKEND,
        "reservations": Listing(
            item=Record(
                fields={
                    "publicIP": _NODE_ADDRESS,
                    "subnet": _CIDR,
                    "ipv6Subnet": _CIDR_OR_EMPTY,
                    "publicIPv6": _ADDRESS,
                },
                required=("publicIP", "subnet"),
            ),
            longest=256,
        ),
        "reservedCIDRs": Listing(item=_CIDR, longest=64, distinct=True),
        "adoption": Text(longest=0, choices=tuple(Adoption)),
        "approvedChange": Text(longest=128),
        "driftPolicy": Text(longest=0, choices=tuple(DriftPolicy)),
        "deletionPolicy": Text(longest=0, choices=tuple(DeletionPolicy)),
        "leaseGC": Record(fields={"enabled": Flag(), "graceMinutes": Whole(least=1, most=10080)}),
        "pollSeconds": Whole(least=5, most=3600),
        "paused": Flag(),
    },
    required=("etcd", "flannelVersion", "network", "backend"),
)
"""What ``spec`` may hold."""


def faults(body: Mapping[Any, Any]) -> Iterator[Fault]:
    """Yield what the API server would refuse of a FlannelNetwork, its status left out."""
    missing = "expected spec, found nothing; write at least etcd, flannelVersion, network and backend"
    yield from head_faults(body, missing, "the network")
    if body.get("spec") is not None:
        yield from problems(SPEC, body["spec"], ("spec",))
