"""The schema of a NodeEnrollmentPool's spec, for those who have no API server at hand.

Rules: pure; it says what ``crds/pools/nodeenrollmentpools.nodegate.dev.yaml`` says, bound by bound and rule by rule; a
test walks both and fails where they differ. Change the CRD first, then this.
"""

import re
from collections.abc import Mapping
from ipaddress import IPv6Network, ip_network
from typing import Any

from nodegate.cli.enrollment_schema import SPEC as ENROLLMENT
from nodegate.cli.schema import Law, Listing, Record, Text, Whole
from nodegate.pool.model import PoolState
from nodegate.pool.parse import OPEN_GROUPS

_CIDR = re.compile(r"[0-9A-Fa-f:.]+/[0-9]{1,3}")
_GROUPS = "'system:authenticated', 'system:unauthenticated', 'system:serviceaccounts', 'system:masters', 'system:nodes'"


def _is_cidr(text: str) -> bool:
    """Tell whether CEL's isCIDR() holds: address and prefix length, and not IPv4 dressed as IPv6."""
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return False
    mapped = isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None
    return _CIDR.fullmatch(text) is not None and not mapped


def _is_canonical(text: str) -> bool:
    return not _is_cidr(text) or str(ip_network(text, strict=False)) == text


def _somebody(spec: Mapping[str, Any]) -> bool:
    return any(spec.get(key) for key in ("tokenIDs", "users", "groups"))


_RANGE = Text(
    shortest=3,
    longest=43,
    laws=(
        Law("isCIDR(self)", _is_cidr, "one network: an address, a slash and a prefix length"),
        Law(
            "!isCIDR(self) || string(cidr(self).masked()) == self",
            _is_canonical,
            "canonical text with no bit set behind the prefix, such as 10.0.8.0/22",
        ),
    ),
)
_USER = Text(
    shortest=1,
    longest=253,
    laws=(
        Law(
            "!self.startsWith('system:node:') && self != 'system:anonymous'",
            lambda user: not user.startswith("system:node:") and user != "system:anonymous",
            "a user that kubelets bootstrap with: no node, and not everybody",
        ),
    ),
)
_GROUP = Text(
    shortest=1,
    longest=253,
    laws=(
        Law(
            f"!(self in [{_GROUPS}])",
            lambda group: group not in OPEN_GROUPS,
            "a group of kubelets that bootstrap, such as system:bootstrappers:fleet-a",
        ),
    ),
)
_PATTERN = Text(
    shortest=1,
    longest=253,
    laws=(
        Law(
            "!self.contains('^') && !self.contains('$')",
            lambda text: "^" not in text and "$" not in text,
            "a pattern without ^ and $, since it always covers the whole name",
        ),
    ),
)

SPEC = Record(
    fields={
        "state": Text(longest=0, choices=tuple(PoolState)),
        "namePattern": _PATTERN,
        "maxNodes": Whole(least=1, most=10000),
        "addressRanges": Listing(item=_RANGE, longest=16, distinct=True),
        "addressesPerNode": Whole(least=1, most=16),
        "tokenIDs": Listing(item=Text(longest=6, pattern="^[a-z0-9]{6}$"), longest=64, distinct=True),
        "users": Listing(item=_USER, longest=16, distinct=True),
        "groups": Listing(item=_GROUP, longest=16, distinct=True),
        "template": Record(
            fields={
                **{
                    key: ENROLLMENT.fields[key] for key in ("mode", "rejoin", "serving", "maxExpirationSeconds", "node")
                },
                "bootstrap": Record(fields={"maxJoins": Whole(least=1, most=1000)}),
            }
        ),
    },
    required=("namePattern", "maxNodes"),
    laws=(
        Law(
            "(has(self.tokenIDs) && self.tokenIDs.size() > 0) || (has(self.users) && self.users.size() > 0) "
            "|| (has(self.groups) && self.groups.size() > 0)",
            _somebody,
            "at least one of tokenIDs, users and groups, found none: nobody may join",
        ),
    ),
)
"""What ``spec`` may hold."""
