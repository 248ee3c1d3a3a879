"""What forbids a network beside its config: the store, what is pinned, reservations and the surroundings.

A resource, the config that it asks for and the facts go in, problems come out. Rules: pure; each problem
names the field of the resource, what was expected and what was found. What flannel itself and our rules
about a config say is `check.read_config`'s.
"""

from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from nodegate.flannel.changes import capacity
from nodegate.flannel.model import Api, Config, Problem
from nodegate.flannel.network import Facts, FlannelNetwork, Lease, Reservation
from nodegate.flannel.ranges import Network, address_of, interface_of, overlapping
from nodegate.text import listed


def network_problems(network: FlannelNetwork, config: Config | None, facts: Facts) -> tuple[Problem, ...]:
    """Return what forbids a network.

    Args:
        network: The resource.
        config: What it asks for; None when flannel accepts no such config.
        facts: What is around it.
    """
    found = [*_store(network), *_pins(network, facts)]
    if config is not None:
        found += [*_overlaps(network, config, facts), *_neighbours(network, config, facts)]
        found += [*_room(config, facts), *_reservations(network, config)]
    return tuple(found)


def foreign_keys(network: FlannelNetwork, leases: Iterable[Lease]) -> Iterator[Problem]:
    """Yield a problem when leases lie below another prefix: they are of another network, or the prefix changed."""
    below = f"{network.prefix}/subnets"
    others = [lease.key for lease in leases if not lease.key.startswith(below)]
    if others:
        yield Problem(
            "spec.prefix",
            f"expected leases below {below}, found {listed(others)}; a prefix never changes: write the one that"
            " flanneld uses, or make a new FlannelNetwork",
        )


def _store(network: FlannelNetwork) -> Iterator[Problem]:
    wanted = network.version.api
    if network.etcd.api is not wanted:
        yield Problem(
            "spec.etcd.api",
            f"expected {wanted}, the store that flannel {network.version} reads, found {network.etcd.api};"
            f" write {wanted}, or the flannelVersion that runs",
        )


def _pins(network: FlannelNetwork, facts: Facts) -> Iterator[Problem]:
    pinned = network.pinned
    if pinned.cluster_id and facts.cluster_id and pinned.cluster_id != facts.cluster_id:
        yield Problem(
            "spec.etcd.endpoints",
            f"expected the etcd cluster {pinned.cluster_id}, which was written before, found {facts.cluster_id};"
            " give the endpoints of the former, or make a new FlannelNetwork",
        )
    if pinned.api is Api.V3 and network.etcd.api is Api.V2:
        yield Problem("spec.etcd.api", "expected V3, which was written before, found V2; flannel never goes back")
    if pinned.prefix and pinned.prefix != network.prefix:
        yield Problem(
            "spec.prefix",
            f"expected {pinned.prefix}, which was written before, found {network.prefix}; make a new FlannelNetwork",
        )


def _ranges(config: Config) -> Iterator[tuple[str, Network]]:
    if config.ipv4 is not None:
        yield "Network", config.ipv4.network
    if config.ipv6 is not None:
        yield "IPv6Network", config.ipv6.network


def _overlaps(network: FlannelNetwork, config: Config, facts: Facts) -> Iterator[Problem]:
    taken: list[tuple[str, Network]] = [("spec.reservedCIDRs", each) for each in network.reserved_cidrs]
    taken += [*facts.taken, *_endpoints(network)]
    for other in facts.others:
        name = f"FlannelNetwork {other.name}"
        taken += [(name, each.network) for each in (other.network, other.ipv6 and other.ipv6.network) if each]
    for field, wanted in _ranges(config):
        for name, other_range in overlapping(wanted, taken):
            yield Problem(
                field, f"expected a range of the pods alone, found {wanted} overlapping {other_range} of {name}"
            )


def _endpoints(network: FlannelNetwork) -> Iterator[tuple[str, Network]]:
    """Yield the addresses of etcd itself, where the endpoints give any."""
    for url in network.etcd.endpoints:
        try:
            address = address_of(urlsplit(url).hostname or "")
        except ValueError:
            continue
        yield f"the etcd endpoint {url}", interface_of(f"{address}/{address.max_prefixlen}").network


def _neighbours(network: FlannelNetwork, config: Config, facts: Facts) -> Iterator[Problem]:
    """Yield what two networks in one etcd must not share."""
    for other in facts.others:
        if not set(other.etcd.endpoints) & set(network.etcd.endpoints):
            continue
        if other.prefix == network.prefix and other.etcd.api is network.etcd.api:
            yield Problem(
                "spec.prefix", f"expected a prefix of its own, found {network.prefix} of FlannelNetwork {other.name}"
            )
        if config.backend.type == other.backend.type == "vxlan" and _vxlan(network) == _vxlan(other):
            yield Problem(
                "Backend.VNI", f"expected a VNI or port of its own, found those of FlannelNetwork {other.name}"
            )


def _vxlan(network: FlannelNetwork) -> tuple[object, object]:
    options = dict(network.backend.options)
    return options.get("VNI"), options.get("Port") or None


def _room(config: Config, facts: Facts) -> Iterator[Problem]:
    families = (("SubnetLen", config.ipv4), ("IPv6SubnetLen", config.ipv6))
    for field, family in families:
        if family is not None and capacity(family) < facts.node_count:
            yield Problem(
                field,
                f"expected a subnet for each of {facts.node_count} Nodes, found room for {capacity(family)};"
                " widen the network or the range, or make the subnets smaller",
            )


def _reservations(network: FlannelNetwork, config: Config) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for index, each in enumerate(network.reservations):
        path = f"spec.reservations[{index}]"
        yield from _reservation(each, path, config)
        for field, value in (("publicIP", str(each.public_ip)), ("subnet", str(each.subnet.network))):
            before = seen.setdefault(value, index)
            if before != index:
                yield Problem(
                    f"{path}.{field}", f"expected each {field} once, found {value} also in spec.reservations[{before}]"
                )


def _reservation(each: Reservation, path: str, config: Config) -> Iterator[Problem]:
    halves = (("subnet", each.subnet, config.ipv4), ("ipv6Subnet", each.subnet6, config.ipv6))
    for field, subnet, family in halves:
        if subnet is None or family is None:
            if (subnet is None) != (family is None):
                wanted = "a subnet" if subnet is None else "no subnet"
                found = "nothing" if subnet is None else str(subnet)
                yield Problem(f"{path}.{field}", f"expected {wanted}, as the network has the family, found {found}")
            continue
        if subnet.ip != subnet.network.network_address:
            yield Problem(f"{path}.{field}", f"expected {subnet.network}, without host bits, found {subnet}")
        elif subnet.version != family.network.version or subnet.network.prefixlen != family.subnet_len:
            expected = f"an IPv{family.network.version} subnet of length {family.subnet_len}"
            yield Problem(f"{path}.{field}", f"expected {expected}, found {subnet}")
        elif not int(family.subnet_min) <= int(subnet.ip) <= int(family.subnet_max):
            expected = f"a subnet from {family.subnet_min} to {family.subnet_max}"
            yield Problem(f"{path}.{field}", f"expected {expected}, found {subnet}")
