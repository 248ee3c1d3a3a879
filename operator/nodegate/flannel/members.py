"""The members of a config: a JSON value goes in, what flannel of a version decodes comes out.

Rules: pure. Keys match without regard to case, the last of a name counts, null leaves numbers and flags
alone. A known member of the wrong type is an error in every version, but a refusal only by a flannel that
knows it. A member's own decoder (networks, addresses) stops flannel at once; other faults it reports last.
"""

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from nodegate.flannel import golang
from nodegate.flannel.dialects import CHECKS_LENGTHS, MEMBERS, Member, Shape
from nodegate.flannel.findings import Findings, shown
from nodegate.flannel.golang import Kind, Mismatch, Value
from nodegate.flannel.model import Version
from nodegate.text import visible

_BY_KEY = {golang.fold(name): member for name, member in MEMBERS.items()}
_MAPPED = 96
"""Bits before the IPv4 address in one that is mapped to IPv6."""

_PANIC = "panic: runtime error: index out of range [3]"
"""How flannel before 0.10 dies of an IPv6 address in the place of an IPv4 one."""


@dataclass(slots=True)
class Members:
    """What a config's text says, by flannel's own names; what is not said is not there."""

    flags: dict[str, bool] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    networks: dict[str, tuple[IPv4Address | IPv6Address, int]] = field(default_factory=dict)
    """Address and prefix length, host bits kept."""

    bounds: dict[str, IPv4Address | IPv6Address] = field(default_factory=dict)
    backend: Value | None = None
    names: set[str] = field(default_factory=set)
    """Every known member that stands there, whatever its value."""


class _Stop(Exception):
    """A member's own decoder refuses; with flannel's words."""


def read_members(root: Value, version: Version, findings: Findings) -> Members:
    """Return the members of a config as flannel of a version decodes them."""
    members = Members()
    if root.kind not in {Kind.OBJECT, Kind.NULL}:
        words = f"json: cannot unmarshal {root.kind} into Go value of type subnet.Config"
        findings.refuse(words, "", f'expected an object such as {{"Network": "172.30.0.0/16"}}, found {shown(root)}')
    late: list[str] = []
    stopped: list[str] = []
    for key, value in root.members:
        member = _BY_KEY.get(golang.fold(key))
        if member is None:
            findings.warn(visible(key), "expected a member that flannel knows, found one that it ignores; remove it")
            continue
        if member.name in members.names:
            findings.warn(member.name, "expected each member once, found it again; flannel takes the last, remove one")
        members.names.add(member.name)
        try:
            _read(member, value, version, members)
        except Mismatch as error:
            findings.error(member.name, f"expected {member.shape}, found {shown(value)}")
            late += [golang.type_error(error, f"Config.{member.name}")] if member.since <= version else []
        except _Stop as error:
            findings.error(member.name, f"expected {member.shape}, found {shown(value)}")
            stopped += [str(error)] if member.since <= version else []
    for words in (*stopped, *late):
        findings.refused(words)
    return members


def _read(member: Member, value: Value, version: Version, members: Members) -> None:
    name, is_null = member.name, value.kind is Kind.NULL
    match member.shape:
        case Shape.FLAG if not is_null:
            members.flags[name] = golang.boolean(value)
        case Shape.LENGTH if not is_null:
            members.lengths[name] = golang.unsigned(value)
        case Shape.NETWORK4 | Shape.NETWORK6:
            members.networks[name] = _network(value.raw.strip('"'), version, is_ipv6=member.is_ipv6)
        case Shape.ADDRESS6 if is_null:
            members.bounds.pop(name, None)
        case Shape.ADDRESS4 | Shape.ADDRESS6:
            members.bounds[name] = _address(value.raw.strip('"'), version, is_ipv6=member.is_ipv6)
        case Shape.OBJECT:
            members.backend = value
        case _:
            pass


def _network(text: str, version: Version, *, is_ipv6: bool) -> tuple[IPv4Address | IPv6Address, int]:
    found = golang.cidr(text)
    if found is None:
        raise _Stop(f"invalid CIDR address: {visible(text)}")
    base, length = found
    if is_ipv6 or isinstance(base, IPv4Address):
        return found
    if base.ipv4_mapped is not None and length >= _MAPPED:  # To flannel it is IPv4, of a length that none has.
        return base.ipv4_mapped, length
    raise _Stop("invalid IPv4 CIDR format" if version >= CHECKS_LENGTHS else _PANIC)


def _address(text: str, version: Version, *, is_ipv6: bool) -> IPv4Address | IPv6Address:
    found = golang.address(text)
    if found is None:
        raise _Stop("invalid IP address format")
    if is_ipv6:
        return found if isinstance(found, IPv6Address) else IPv6Address(f"::ffff:{found}")
    if isinstance(found, IPv4Address):
        return found
    if found.ipv4_mapped is not None:
        return found.ipv4_mapped
    raise _Stop("invalid IPv4 address format" if version >= CHECKS_LENGTHS else _PANIC)
