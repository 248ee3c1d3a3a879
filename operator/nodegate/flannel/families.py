"""One address family of a config: what is asked for goes in, what flannel of a version fills in comes out.

Rules: pure. Both families follow the same arithmetic, on integers. flannel's checks are those of its
version; ours hold for every version: two more bits than the network, two addresses a node, bounds inside
the network and on a subnet's boundary, a range that is not empty, no range that belongs to something else.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from nodegate.flannel.dialects import CHECKS_LENGTHS, IPV6, REQUIRES_NETWORK, Lengths, default_length
from nodegate.flannel.findings import Findings
from nodegate.flannel.members import Members
from nodegate.flannel.model import Version

_Network = IPv4Network | IPv6Network

_SPECIAL: tuple[_Network, ...] = (
    *map(IPv4Network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4")),
    *map(IPv6Network, ("::/8", "fe80::/10", "ff00::/8")),
)
"""What no pod can have: this host, loopback, link-local, multicast, reserved (IANA's special-purpose registries)."""

_PRIVATE: tuple[_Network, ...] = (
    *map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")),
    IPv6Network("fc00::/7"),
)
"""RFC 1918, RFC 6598 and RFC 4193."""

_ROOM = 2
"""Bits between network and subnet: four subnets, of which flannel skips the first."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A family as flannel uses it, in numbers."""

    base: int
    prefix: int
    length: int
    least: int
    most: int


def read_family(
    members: Members, lengths: Lengths, version: Version, findings: Findings, *, allow_public: bool
) -> Filled | None:
    """Return a family as flannel of a version fills it in, or None when it refuses."""
    name = f"{lengths.prefix}Network"
    if findings.has_error(name):  # It could not be decoded.
        return None
    address, prefix = members.networks.get(name, (None, 0))
    if lengths is IPV6 and isinstance(address, IPv4Address):
        findings.error(name, f"expected an IPv6 network, found the IPv4 network {address}/{prefix}")
        findings.refused("IPv6SubnetMin is not on a SubnetLen boundary")
        return None
    if address is None or not prefix:
        findings.error(
            name, f"expected a network that holds the pods of all nodes, found {address or 'none'}; name one"
        )
        if version >= REQUIRES_NETWORK:
            findings.refused(f"please define a correct {name} parameter in the flannel config")
            return None
        base = 0
    elif prefix > lengths.bits:
        findings.error(name, f"expected an IPv4 network, found {address}/{prefix}, an IPv4 address dressed as IPv6")
        base = 0
    else:
        base = int(address) >> (lengths.bits - prefix) << (lengths.bits - prefix)
        _judge_network(name, _network(lengths, base, prefix), address, findings, allow_public=allow_public)
    length = _read_length(members.lengths.get(f"{lengths.prefix}SubnetLen", 0), prefix, lengths, version, findings)
    return None if length is None else _read_range(members, lengths, version, findings, (base, prefix, length))


def _network(lengths: Lengths, base: int, prefix: int) -> _Network:
    return IPv6Network((base, prefix)) if lengths is IPV6 else IPv4Network((base, prefix))


def _judge_network(
    name: str,
    network: _Network,
    address: IPv4Address | IPv6Address,
    findings: Findings,
    *,
    allow_public: bool,
) -> None:
    special = next((each for each in _SPECIAL if each.version == network.version and network.overlaps(each)), None)
    private = [each for each in _PRIVATE if each.version == network.version]
    if special is not None:
        findings.error(
            name, f"expected a range that pods can have, found {network}, which meets {special}; choose another"
        )
    elif not allow_public and not any(_lies_in(network, each) for each in private):
        findings.error(
            name,
            f"expected a private range ({', '.join(map(str, private))}), found {network};"
            ' choose one, or annotate the resource with nodegate.dev/allow-public-range: "true"',
        )
    if address != network.network_address:
        findings.error(name, f"expected {network}, found {address} with bits of a host; write {network}")


def _lies_in(network: _Network, other: _Network) -> bool:
    return network.prefixlen >= other.prefixlen and network.network_address in other


def _read_length(asked: int, prefix: int, lengths: Lengths, version: Version, findings: Findings) -> int | None:
    """Return the subnets' length, or None when flannel refuses it."""
    length = asked or default_length(lengths, prefix, version)
    name = f"{lengths.prefix}SubnetLen"
    if prefix > lengths.smallest:
        if prefix <= lengths.bits:  # Otherwise it is no network of the family, which is said already.
            found = f"expected a network of /{lengths.smallest} or larger, found /{prefix}; a node needs four addresses"
            findings.error(f"{lengths.prefix}Network", found)
    elif not prefix + _ROOM <= length <= lengths.longest:
        origin = "" if asked else f", which flannel {version} takes by itself"
        findings.error(
            name,
            f"expected {prefix + _ROOM} to {lengths.longest} for a network of /{prefix}, found {length}{origin};"
            f" write a {name} in between",
        )
    elif length == lengths.longest:
        findings.warn(name, f"a subnet of /{length} has two usable addresses: a node can run one pod; shorten it")
    words = _refusal_of_length(asked, length, prefix, lengths, version)
    if words:
        findings.refused(words)
    return None if words else length


def _refusal_of_length(asked: int, length: int, prefix: int, lengths: Lengths, version: Version) -> str:
    """Return flannel's words, or nothing when it takes the length."""
    if version < CHECKS_LENGTHS:
        if asked and asked < prefix:
            return "HostSubnet is larger network than Network"
        return "panic: the subnet's length does not fit its lease key" if length >= lengths.bits else ""
    if asked > lengths.longest:
        return f"SubnetLen must be less than /{lengths.longest + 1}"
    if asked and asked < prefix + _ROOM:
        return "network must be able to accommodate at least four subnets"
    if not asked and prefix > lengths.smallest:
        name = "IPv6Network" if lengths is IPV6 else "network"
        return f"{name} is too small. Minimum useful network prefix is /{lengths.smallest}"
    return ""


def _read_range(
    members: Members, lengths: Lengths, version: Version, findings: Findings, parts: tuple[int, int, int]
) -> Filled | None:
    base, prefix, length = parts
    size, room = 1 << (lengths.bits - length), 1 << (lengths.bits - prefix)
    network = _network(lengths, base, prefix)
    names = (f"{lengths.prefix}SubnetMin", f"{lengths.prefix}SubnetMax")
    asked = [int(members.bounds[name]) if name in members.bounds else 0 for name in names]
    # flannel's IPv4 addresses are 32 bits wide and wrap around, so that 0.0.0.0/0 ends at 255.255.255.0.
    wrap = 1 << lengths.bits
    filled = [asked[0] or (base + size) % wrap, asked[1] or (base + room - size) % wrap]
    for name, value in zip(names, asked, strict=True):
        if value and not base <= value < base + room:
            bound = members.bounds[name]
            findings.refuse(
                f"{name} is not in the range of the {lengths.prefix}Network",
                name,
                f"expected an address in {network}, found {bound}",
            )
    for name, value in zip(names, asked, strict=True):
        if value % size and not findings.has_error(name):
            _judge_boundary(name, members.bounds[name], size, findings, is_refused=version >= CHECKS_LENGTHS)
    _judge_range(lengths, network, asked[0], filled, findings)
    return Filled(base, prefix, length, *filled)


def _judge_boundary(
    name: str, bound: IPv4Address | IPv6Address, size: int, findings: Findings, *, is_refused: bool
) -> None:
    below = type(bound)(int(bound) - int(bound) % size)
    findings.error(name, f"expected the first address of a subnet, found {bound}; write {below}")
    if is_refused:
        findings.refused(f"{name} is not on a SubnetLen boundary: {bound}")


def _judge_range(lengths: Lengths, network: _Network, asked: int, filled: list[int], findings: Findings) -> None:
    """Say that a range is empty, or begins with the subnet that flannel skips."""
    name = f"{lengths.prefix}SubnetMin"
    is_sound = not any(findings.has_error(f"{lengths.prefix}Subnet{each}") for each in ("Min", "Max", "Len"))
    if asked and asked == int(network.network_address):
        findings.warn(name, f"{network.network_address} is the network's own first subnet, which flannel skips unasked")
    if is_sound and filled[0] > filled[1] and not findings.has_error(f"{lengths.prefix}Network"):
        least, most = (type(network.network_address)(value) for value in filled)
        findings.error(
            name, f"expected an address up to {lengths.prefix}SubnetMax {most}, found {least}: no subnet is left"
        )
