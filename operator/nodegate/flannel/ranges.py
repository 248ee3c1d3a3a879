"""Texts that name addresses and networks in, values out.

Rules: pure. A network is ``address/length`` and nothing else: no netmask, no bare address, no leading
zeros, no zone, no IPv4 dressed as IPv6, as the API server's ``isCIDR()`` has it. Host bits are kept.
"""

import re
from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
)

Address = IPv4Address | IPv6Address
Interface = IPv4Interface | IPv6Interface
Network = IPv4Network | IPv6Network

_CIDR = re.compile(r"[0-9A-Fa-f.:]+/(0|[1-9][0-9]{0,2})")


def address_of(text: str) -> Address:
    """Read one address.

    Raises:
        ValueError: It is none, has a zone, or is IPv4 dressed as IPv6.
    """
    address = ip_address(text)
    if isinstance(address, IPv6Address) and (address.scope_id is not None or address.ipv4_mapped is not None):
        raise ValueError(f"{text!r} has a zone or is an IPv4 address in disguise")
    return address


def interface_of(text: str) -> Interface:
    """Read an address with a prefix length, host bits kept.

    Raises:
        ValueError: It is none.
    """
    if _CIDR.fullmatch(text) is None:
        raise ValueError(f"{text!r} is no address with a prefix length")
    address_of(text.partition("/")[0])
    return ip_interface(text)


def is_address(text: str) -> bool:
    """Tell whether CEL's ``isIP()`` holds."""
    return _holds(address_of, text)


def is_cidr(text: str) -> bool:
    """Tell whether CEL's ``isCIDR()`` holds."""
    return _holds(interface_of, text)


def _holds(read: object, text: str) -> bool:
    try:
        read(text)  # type: ignore[operator] # one of the two readers above
    except ValueError:
        return False
    return True


def overlapping(network: Network, others: Iterable[tuple[str, Network]]) -> list[tuple[str, Network]]:
    """Return those of the named networks that share an address with this one."""
    return [(name, other) for name, other in others if _overlap(network, other)]


def _overlap(one: Network, other: Network) -> bool:
    if isinstance(one, IPv4Network) and isinstance(other, IPv4Network):
        return one.overlaps(other)
    return isinstance(one, IPv6Network) and isinstance(other, IPv6Network) and one.overlaps(other)
