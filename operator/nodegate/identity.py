"""Identities: names and addresses, which are well formed, and which are the cluster's own.

What enters is one identity and what is known of the cluster; what leaves is why a node may not carry
it. The rules about an enrollment's own lists and those about a request's SANs both ask here, so they
can never disagree. Pure: no I/O, no clock.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network
from typing import Protocol

from nodegate.enrollment.model import Claims, Enrollment, IPAddress

IPNetwork = IPv4Network | IPv6Network

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_SUBDOMAIN_LIMIT = 253
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_API_SERVICE = "kubernetes.default.svc"
_RESERVED_NAMES = frozenset({"localhost", "kubernetes", "kubernetes.default", _API_SERVICE})


def is_subdomain(text: str) -> bool:
    """Tell whether a text is a lower-case DNS-1123 subdomain, as names of Nodes must be.

    The rule is Kubernetes' own (apimachinery, validation.IsDNS1123Subdomain): 253 characters in all and
    no limit for one label.
    """
    return len(text) <= _SUBDOMAIN_LIMIT and _SUBDOMAIN.fullmatch(text) is not None


def is_dns_name(text: str) -> bool:
    """Tell whether a text is a DNS-1123 subdomain, upper case allowed, and no IP literal.

    A name whose last label is a number (decimal, octal or 0x) is an IP literal to URL parsers
    (WHATWG URL, "ends in a number").
    """
    name = text.lower()
    # Lower-casing maps some non-ASCII letters onto ASCII ones, so they are refused first.
    return text.isascii() and is_subdomain(name) and _NUMBER.fullmatch(name.rpartition(".")[2]) is None


def reserved_name(name: str) -> str | None:
    """Return why a lower-case DNS name is the cluster's own, or None."""
    if name in _RESERVED_NAMES or name.startswith(f"{_API_SERVICE}.") or name.endswith(f".{_API_SERVICE}"):
        return "a name of the API server or of every host"
    return None


class Reserved(Protocol):
    """Identities of the cluster itself, which no node may carry."""

    def covering(self, address: IPAddress) -> str | None:
        """Return what the address belongs to (such as ``service network 10.96.0.0/12``), or None."""

    def is_api_server(self, address: IPAddress) -> bool:
        """Tell whether an API server listens there: reserved except for the enrollment that lists it."""


class ReservedIndex:
    """`Reserved` kept up to date one source at a time: a look-up costs one step for each prefix length.

    A pod network stands in a Node object, which its kubelet can write. It is not believed when it
    contains the address of a host: a node could otherwise reserve its neighbours' addresses.
    """

    __slots__ = ("_api_servers", "_hosts", "_networks", "_sources")

    def __init__(self) -> None:
        self._networks: dict[tuple[int, int], dict[int, dict[str, tuple[IPNetwork, str, bool]]]] = {}
        self._sources: dict[str, tuple[IPNetwork, ...]] = {}
        self._api_servers: dict[str, frozenset[IPAddress]] = {}
        self._hosts: dict[str, frozenset[IPAddress]] = {}

    def put(self, source: str, networks: Iterable[IPNetwork], what: str, *, claimed: bool = False) -> None:
        """Replace the networks of one source; no networks remove it.

        Args:
            source: An object's kind and name.
            networks: What it names.
            what: What they are, in the words of a message.
            claimed: A node could have written them itself.
        """
        for network in self._sources.pop(source, ()):
            bucket = self._networks[network.version, network.prefixlen]
            owners = bucket[int(network.network_address)]
            del owners[source]
            if not owners:
                del bucket[int(network.network_address)]
        kept = tuple(dict.fromkeys(networks))
        for network in kept:
            bucket = self._networks.setdefault((network.version, network.prefixlen), {})
            bucket.setdefault(int(network.network_address), {})[source] = (network, f"{what} {network}", claimed)
        if kept:
            self._sources[source] = kept

    def put_api_servers(self, source: str, addresses: Iterable[IPAddress]) -> None:
        """Replace the API server addresses of one source."""
        self._api_servers[source] = frozenset(addresses)

    def put_hosts(self, source: str, addresses: Iterable[IPAddress]) -> None:
        """Replace the host addresses of one source; no addresses remove it."""
        kept = frozenset(addresses)
        if kept:
            self._hosts[source] = kept
        else:
            self._hosts.pop(source, None)

    def covering(self, address: IPAddress) -> str | None:
        """Return what the address belongs to, or None."""
        number, bits = int(address), address.max_prefixlen
        for (version, length), bucket in self._networks.items():
            if version == address.version and bucket:
                owners = bucket.get(number >> (bits - length) << (bits - length), {})
                for network, what, claimed in owners.values():
                    if not (claimed and self._holds_host(network)):
                        return what
        return None

    def _holds_host(self, network: IPNetwork) -> bool:
        """Tell whether a network contains a host's address; only asked of networks that would reserve something."""
        groups = (*self._hosts.values(), *self._api_servers.values())
        return any(address in network for addresses in groups for address in addresses)

    def is_api_server(self, address: IPAddress) -> bool:
        """Tell whether an API server listens there."""
        return any(address in addresses for addresses in self._api_servers.values())


def special_address(address: IPAddress) -> str | None:
    """Return why an address can be no node's, in any cluster, or None."""
    if address.is_loopback:
        return "loopback"
    if address.is_link_local:
        return "link-local"
    if address.is_multicast:
        return "multicast"
    return "unspecified" if address.is_unspecified else None


def reserved_address(address: IPAddress, enrollment: Enrollment | None, reserved: Reserved) -> str | None:
    """Return why an address is the cluster's own, or None; an enrollment may list an API server's address."""
    why = special_address(address) or reserved.covering(address)
    listed = enrollment is not None and address in enrollment.addresses
    if why is None and not listed and reserved.is_api_server(address):
        return "an API server's address"
    return why


def listed_reserved(enrollment: Enrollment, reserved: Reserved) -> tuple[str, ...]:
    """Return the reserved identities that an enrollment lists, each with why, sorted."""
    names = ((n, reserved_name(n)) for n in enrollment.dns_names)
    addresses = ((str(a), reserved_address(a, enrollment, reserved)) for a in enrollment.addresses)
    return tuple(sorted(f"{text} ({why})" for text, why in (*names, *addresses) if why is not None))


def conflicts(enrollment: Enrollment, claims: Claims) -> tuple[str, ...]:
    """Return the identities that this enrollment and another both list, each with the others, sorted."""
    me = enrollment.name
    shared = [(str(a), claims.address_owners(a) - {me}) for a in enrollment.addresses]
    shared += [(n, claims.name_owners(n) - {me}) for n in enrollment.names]
    return tuple(sorted(f"{text} (also {', '.join(sorted(owners))})" for text, owners in shared if owners))
