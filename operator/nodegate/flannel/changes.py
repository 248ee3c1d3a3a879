"""Two configs go in, what differs between them comes out, each difference with what it does to the nodes.

Rules: pure. Configs are compared as flannel uses them, with defaults filled in. A bound of the range that
merely follows the network or the subnets' length is no change of its own. Of an option that nobody listed
the worst is assumed: it is a matter of the datapath.
"""

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from nodegate.flannel.canonical import normal, same_secret
from nodegate.flannel.model import Backend, Config, Family4, Family6, OptionValue
from nodegate.flannel.network import Change, ChangeClass
from nodegate.flannel.options import SECRETS

_STRENGTH = {
    each: rank
    for rank, each in enumerate(
        (
            ChangeClass.NONE,
            ChangeClass.RESTART,
            ChangeClass.WIDENING,
            ChangeClass.NARROWING,
            ChangeClass.RENUMBERING,
            ChangeClass.DATAPATH,
            ChangeClass.FORBIDDEN,
        )
    )
}
"""The design's order; FirstWrite and Repair stand outside of it."""

_MILD: Mapping[str, frozenset[str]] = {
    "vxlan": frozenset({"Learning", "DirectRouting", "MTU"}),
    "wireguard": frozenset({"ListenPort", "ListenPortV6", "PersistentKeepaliveInterval", "MTU"}),
    "ipip": frozenset({"DirectRouting"}),
    "tencent-vpc": frozenset({"AccessKeyID", "AccessKeySecret"}),
    "ali-vpc": frozenset({"AccessKeyID", "AccessKeySecret"}),
}
"""Options that old and new nodes may differ in while they keep talking."""

SHOWN_SECRET = "redacted"  # noqa: S105 - what is shown in a secret's place
"""What a change shows of a secret."""


def strength(change_class: ChangeClass) -> int:
    """Return how strong a class of change is, 0 for None."""
    return _STRENGTH.get(change_class, 0)


def strongest(changes: Iterable[Change]) -> ChangeClass:
    """Return the strongest class among changes, None for no change."""
    return max((change.change_class for change in changes), key=strength, default=ChangeClass.NONE)


def differences(old: Config, new: Config) -> tuple[Change, ...]:
    """Return what differs, in the order in which a config is written."""
    old, new = normal(old), normal(new)
    found = [*_family(old.ipv4, new.ipv4, ""), *_family(old.ipv6, new.ipv6, "IPv6")]
    if old.enable_nftables != new.enable_nftables:
        found.append(Change("EnableNFTables", old.enable_nftables, new.enable_nftables, ChangeClass.RESTART))
    return (*found, *_backend(old.backend, new.backend))


def everything(new: Config, change_class: ChangeClass) -> tuple[Change, ...]:
    """Return every member of a config as a change from nothing."""
    new = normal(new)
    found: list[Change] = []
    for family, prefix in ((new.ipv4, ""), (new.ipv6, "IPv6")):
        if family is not None:
            found += [Change(name, None, value, change_class) for name, value in _members(family, prefix).items()]
    if new.enable_nftables:
        found.append(Change("EnableNFTables", None, new=True, change_class=change_class))
    found.append(Change("Backend.Type", None, new.backend.type, change_class))
    for name, value in new.backend.options:
        if value:
            found.append(Change(f"Backend.{name}", None, _shown(new.backend.type, name, value), change_class))
    return tuple(found)


def _members(family: Family4 | Family6, prefix: str) -> dict[str, OptionValue]:
    return {
        f"{prefix}Network": str(family.network),
        f"{prefix}SubnetLen": family.subnet_len,
        f"{prefix}SubnetMin": str(family.subnet_min),
        f"{prefix}SubnetMax": str(family.subnet_max),
    }


def _family(old: Family4 | Family6 | None, new: Family4 | Family6 | None, prefix: str) -> Iterator[Change]:
    if old is None or new is None:
        if old is not new:
            yield from _switched(old, new, prefix)
        return
    before, after = _members(old, prefix), _members(new, prefix)
    moved = _move(old.network, new.network)
    classes = {
        f"{prefix}Network": moved,
        f"{prefix}SubnetLen": ChangeClass.RENUMBERING,
        f"{prefix}SubnetMin": _bound(old.subnet_min > new.subnet_min, moved),  # type: ignore[operator] # one family
        f"{prefix}SubnetMax": _bound(old.subnet_max < new.subnet_max, moved),  # type: ignore[operator] # one family
    }
    follows = {
        f"{prefix}SubnetMin": _is_first(old) and _is_first(new),
        f"{prefix}SubnetMax": _is_last(old) and _is_last(new),
    }
    for name, change_class in classes.items():
        if before[name] != after[name] and not follows.get(name):
            yield Change(name, before[name], after[name], change_class)


def _switched(old: Family4 | Family6 | None, new: Family4 | Family6 | None, prefix: str) -> Iterator[Change]:
    """Yield the changes of a family that comes or goes."""
    family = prefix or "IPv4"
    yield Change(f"Enable{family}", old is not None, new is not None, ChangeClass.RENUMBERING)
    before, after = (None if each is None else str(each.network) for each in (old, new))
    yield Change(f"{prefix}Network", before, after, ChangeClass.RENUMBERING)


def _move(old: Any, new: Any) -> ChangeClass:
    """Return what a change of the network is; two networks are nested or apart."""
    if old == new:
        return ChangeClass.NONE
    if new.supernet_of(old):
        return ChangeClass.WIDENING
    return ChangeClass.NARROWING if new.subnet_of(old) else ChangeClass.RENUMBERING


def _bound(outward: bool, moved: ChangeClass) -> ChangeClass:  # noqa: FBT001 - one of two directions
    if moved is ChangeClass.RENUMBERING:
        return moved
    return ChangeClass.WIDENING if outward else ChangeClass.NARROWING


def _is_first(family: Family4 | Family6) -> bool:
    """Tell whether the range begins where flannel begins it: the network's first subnet is skipped."""
    return int(family.subnet_min) == int(family.network.network_address) + subnet_size(
        family.network, family.subnet_len
    )


def _is_last(family: Family4 | Family6) -> bool:
    size = subnet_size(family.network, family.subnet_len)
    return int(family.subnet_max) == int(family.network.broadcast_address) + 1 - size


def subnet_size(network: IPv4Network | IPv6Network, length: int) -> int:
    """Return how many addresses a subnet of this length has."""
    return 1 << max(0, network.max_prefixlen - length)


def capacity(family: Family4 | Family6) -> int:
    """Return how many subnets a range has room for."""
    span = int(family.subnet_max) - int(family.subnet_min)
    return max(0, span // subnet_size(family.network, family.subnet_len) + 1)


def _backend(old: Backend, new: Backend) -> Iterator[Change]:
    if old.type != new.type:
        yield Change("Backend.Type", old.type, new.type, ChangeClass.DATAPATH)
        return
    before, after = dict(old.options), dict(new.options)
    mild, secret = _MILD.get(new.type, frozenset()), SECRETS.get(new.type, ())
    for name in dict.fromkeys((*before, *after)):
        one, other = before.get(name), after.get(name)
        alike = same_secret(one, other) if name in secret else (one or None) == (other or None)
        if not alike:
            change_class = ChangeClass.RESTART if name in mild else ChangeClass.DATAPATH
            yield Change(f"Backend.{name}", _shown(new.type, name, one), _shown(new.type, name, other), change_class)


def _shown(kind: str, name: str, value: OptionValue | None) -> OptionValue | None:
    return SHOWN_SECRET if value and name in SECRETS.get(kind, ()) else value
