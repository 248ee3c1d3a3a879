"""The schema of a NodeEnrollment's spec, for those who have no API server at hand.

Rules: it says what ``crds/nodeenrollments.nodegate.dev.yaml`` says, bound by bound and rule by rule; a
test walks both and fails where they differ. Change the CRD first, then this.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from ipaddress import IPv6Address, ip_address
from typing import Any

from nodegate.cli.schema import Flag, Law, Listing, Record, Table, Text, Whole
from nodegate.enrollment.model import Mode, Rejoin, State
from nodegate.identity import is_dns_name, is_subdomain

_TTL = "^([0-9]{1,5}[hms]){1,3}$"
_MOMENT = (
    "^[12][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)
_LABEL_VALUE = "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"
_QUALIFIED = "^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
_BAD_PREFIX = re.compile("([.][-.]|-[.]).*/")
_TOKEN_ID = "^[a-z0-9]{6}$"  # noqa: S105 - the form of an id, not a secret
_DIGEST = "^([0-9a-f]{64})?$"
_SUBDOMAIN = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
_UNIT_S = {"h": 3600, "m": 60, "s": 1}
_TTL_RANGE_S = range(60, 24 * 3600 + 1)
_FRACTION_DIGITS = 9


def _is_ip(text: str) -> bool:
    """Tell whether CEL's isIP() holds: one address, without zone, and not IPv4 dressed as IPv6."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return not isinstance(address, IPv6Address) or (address.scope_id is None and address.ipv4_mapped is None)


def _is_canonical(text: str) -> bool:
    return not _is_ip(text) or str(ip_address(text)) == text


def _matches(pattern: str) -> Any:
    return re.compile(pattern).fullmatch


def _is_name(text: str) -> bool:
    return is_dns_name(text) or not is_subdomain(text)


def _ttl_in_range(text: str) -> bool:
    if not re.fullmatch(_TTL, text):
        return True
    return sum(int(count) * _UNIT_S[unit] for count, unit in re.findall("([0-9]+)([hms])", text)) in _TTL_RANGE_S


def _is_qualified(key: str) -> bool:
    return re.fullmatch(_QUALIFIED, key) is not None and _BAD_PREFIX.search(key) is None


def _one_token(bootstrap: Mapping[str, Any]) -> bool:
    return bootstrap.get("tokenID") is None or not (bootstrap.get("token") or {}).get("issue")


def _window_in_order(bootstrap: Mapping[str, Any]) -> bool:
    bounds = [bootstrap.get(key) for key in ("notBefore", "notAfter")]
    return None in bounds or _instant(str(bounds[0])) < _instant(str(bounds[1]))


def _instant(text: str) -> tuple[datetime, str]:
    """Return a moment to the nanosecond, which Python's own moments have no room for."""
    seconds, rest = text[:19], text[19:]
    fraction, zone = re.fullmatch(r"(?:[.]([0-9]+))?(.*)", rest).groups()  # type: ignore[union-attr] # it matches anything
    return datetime.fromisoformat(seconds + zone).astimezone(UTC), (fraction or "").ljust(_FRACTION_DIGITS, "0")


_MATCHES = "self.matches('{}')"
_KEY_WORDS = (
    "name or prefix/name, the name of up to 63 letters, digits, '-', '_' and '.', the prefix a lower-case DNS name"
)


def _qualified_cel(name: str) -> str:
    return f"{name}.matches('{_QUALIFIED}') && !{name}.matches('([.][-.]|-[.]).*/')"


_ADDRESS = Text(
    shortest=2,
    longest=45,
    laws=(
        Law("isIP(self)", _is_ip, "one IPv4 or IPv6 address, without zone, port, prefix length or leading zeros"),
        Law(
            "!isIP(self) || ip.isCanonical(self)",
            _is_canonical,
            "canonical text (RFC 5952): lower case, the longest run of zero groups as ::, no leading zeros",
        ),
    ),
)
_DNS_NAME = Text(
    shortest=1,
    longest=253,
    laws=(
        Law(
            _MATCHES.format(_SUBDOMAIN),
            _matches(_SUBDOMAIN),
            "a lower-case DNS-1123 name without wildcard, underscore or trailing dot",
        ),
        Law(
            "!self.matches('(^|[.])([0-9]+|0x[0-9a-f]*)$')",
            _is_name,
            "a name; one whose last label is a number is an address, which belongs in spec.addresses",
        ),
    ),
)
_USER = Text(
    shortest=1,
    longest=253,
    laws=(
        Law(
            "!self.startsWith('system:node:')",
            lambda user: not user.startswith("system:node:"),
            "no node: a node's own certificate may renew itself and never vouch for a first one",
        ),
        Law(
            "self != 'system:anonymous'",
            lambda user: user != "system:anonymous",
            "the user that the kubelet bootstraps with, and not everybody",
        ),
    ),
)
_BOUND = Text(longest=35, pattern=_MOMENT, moment=True)

_TOKEN = Record(
    fields={
        "issue": Flag(),
        "ttl": Text(
            shortest=2,
            longest=18,
            pattern=_TTL,
            laws=(
                Law(_MATCHES.format(_TTL), _matches(_TTL), "whole hours, minutes and seconds such as 1h or 1h30m"),
                Law(
                    f"!self.matches('{_TTL}') || "
                    "(duration(self) >= duration('1m') && duration(self) <= duration('24h'))",
                    _ttl_in_range,
                    "a duration from 1m to 24h",
                ),
            ),
        ),
    }
)
_BOOTSTRAP = Record(
    fields={
        "token": _TOKEN,
        "tokenID": Text(
            longest=6,
            pattern=_TOKEN_ID,
            laws=(
                Law(
                    _MATCHES.format(_TOKEN_ID),
                    _matches(_TOKEN_ID),
                    "the six characters (a-z, 0-9) before the dot of the token",
                ),
            ),
        ),
        "users": Listing(item=_USER, longest=16, distinct=True),
        "publicKeySHA256": Text(
            longest=64,
            pattern=_DIGEST,
            laws=(
                Law(
                    _MATCHES.format(_DIGEST),
                    _matches(_DIGEST),
                    "64 lower-case hex digits, the SHA-256 of the key's SubjectPublicKeyInfo",
                ),
            ),
        ),
        "notBefore": _BOUND,
        "notAfter": _BOUND,
        "maxJoins": Whole(least=1, most=1000),
    },
    laws=(
        Law(
            "!(has(self.tokenID) && has(self.token) && has(self.token.issue) && self.token.issue)",
            _one_token,
            "at most one of tokenID and token.issue, found both",
            "tokenID",
        ),
        Law(
            "!has(self.notBefore) || !has(self.notAfter) || self.notBefore < self.notAfter",
            _window_in_order,
            "a moment later than notBefore, found one that is not",
            "notAfter",
        ),
    ),
)
_KEYS = Law(
    f"self.all(k, {_qualified_cel('k')})",
    lambda table: all(_is_qualified(key) for key in table),
    f"keys that are qualified names ({_KEY_WORDS}), found another",
)
_TAINT = Record(
    fields={
        "key": Text(
            shortest=1,
            longest=317,
            laws=(
                Law(
                    _qualified_cel("self"),
                    _is_qualified,
                    f"a qualified name ({_KEY_WORDS})",
                ),
            ),
        ),
        "value": Text(longest=63, pattern=_LABEL_VALUE),
        "effect": Text(longest=0, choices=("NoSchedule", "PreferNoSchedule", "NoExecute")),
    },
    required=("key", "effect"),
)

SPEC = Record(
    fields={
        "state": Text(longest=0, choices=tuple(State)),
        "mode": Text(longest=0, choices=tuple(Mode)),
        "addresses": Listing(item=_ADDRESS, longest=16, distinct=True),
        "dnsNames": Listing(item=_DNS_NAME, longest=16, distinct=True),
        "bootstrap": _BOOTSTRAP,
        "rejoin": Text(longest=0, choices=tuple(Rejoin)),
        "serving": Record(fields={"approve": Flag(), "requireNodeAddresses": Flag(), "allowDNSOnly": Flag()}),
        "maxExpirationSeconds": Whole(least=600, most=315360000, nullable=True),
        "node": Record(
            fields={
                "labels": Table(value=Text(longest=63, pattern=_LABEL_VALUE), longest=64, laws=(_KEYS,)),
                "annotations": Table(value=Text(longest=4096), longest=64, laws=(_KEYS,)),
                "taints": Listing(item=_TAINT, longest=32, keys=("key", "effect")),
            }
        ),
    }
)
"""What ``spec`` may hold."""
