"""Reading, judging and writing one network in etcd, again and again until nothing is left to write.

An etcd client and a judge go in; what stands in the end comes out. Rules: a write replaces exactly what was judged,
and only while no lease was written since; whoever was faster is read and judged anew, five times at most; what was
written is read back; no lease is deleted, and under ``subnets/`` only reservations are written.
"""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from nodegate.flannel.decide import RESERVATIONS
from nodegate.flannel.etcd.values import KeyValue, Lost, Outcome, Snapshot, Written
from nodegate.flannel.leases import missing_reservations
from nodegate.flannel.network import Action, FlannelNetwork, Lease, Plan, Reservation
from nodegate.flannel.parse import parse_lease

ROUNDS: Final = 5
"""Times that a change is judged and written again because somebody else was faster."""

PAUSE_S: Final = 0.2
"""Longest pause before another round, in seconds."""


class Store(Protocol):
    """What is needed of `etcd.client.EtcdClient`."""

    async def read(self) -> Snapshot:
        """Return config and leases at one revision."""

    async def ttls(self, leases: Sequence[KeyValue]) -> dict[str, int | None]:
        """Return the seconds each has left, by key."""

    async def write_config(self, value: bytes, *, expected_mod_revision: int, judged_revision: int) -> Outcome:
        """Write the config, guarded."""

    async def write_reservation(self, key: str, value: bytes, expected_mod_revision: int) -> Outcome:
        """Write a lease without an end, guarded."""

    async def delete_config(self, expected_mod_revision: int) -> Outcome:
        """Delete the config when nothing uses it, guarded."""


@dataclass(frozen=True, slots=True)
class Look:
    """What stood in etcd at one revision."""

    snapshot: Snapshot
    leases: tuple[Lease, ...]

    @property
    def text(self) -> str | None:
        """The config; bytes that are no UTF-8 become something that no JSON is."""
        config = self.snapshot.config
        return None if config is None else config.value.decode(errors="surrogateescape")

    @property
    def revision(self) -> int | None:
        """The revision of the config's last write; None when it is absent."""
        return None if self.snapshot.config is None else self.snapshot.config.mod_revision


@dataclass(slots=True)
class Settled:
    """What came of it."""

    look: Look
    plan: Plan
    written: list[Plan] = field(default_factory=list)
    """The plans whose config was written, in order."""

    ours: dict[str, int] = field(default_factory=dict)
    """Keys below ``subnets/`` that were written, and the revision since."""

    contended: bool = False
    """Somebody else was faster in every round."""


Judge = Callable[[Look], Plan]


async def look(store: Store) -> Look:
    """Read config and leases.

    Raises:
        EtcdError: It cannot be read.
    """
    snapshot = await store.read()
    ttls = await store.ttls(snapshot.leases)
    leases = tuple(
        parse_lease(
            each.key,
            each.value.decode(errors="surrogateescape"),
            mod_revision=each.mod_revision,
            ttl=ttls.get(each.key),
        )
        for each in snapshot.leases
    )
    return Look(snapshot, leases)


async def settle(
    store: Store, network: FlannelNetwork, judge: Judge, still_wanted: Callable[[], Awaitable[None]]
) -> Settled:
    """Judge and write until there is nothing left to write, or nobody else lets us.

    Args:
        store: The network's keys.
        network: The resource.
        judge: Judges what stands there.
        still_wanted: Called before each write; raises when the resource is another by now.

    Raises:
        EtcdError: etcd failed us; what was sent may have taken effect, and the next look tells.
    """
    seen = await look(store)
    done = Settled(seen, judge(seen))
    for _ in range(ROUNDS):
        if not await _step(store, network, done, still_wanted):
            return done
        done.look = await look(store)
        done.plan = judge(done.look)
    done.contended = done.plan.action is Action.WRITE
    return done


async def _step(
    store: Store, network: FlannelNetwork, done: Settled, still_wanted: Callable[[], Awaitable[None]]
) -> bool:
    """Write what the plan asks for; tell whether etcd has to be looked at again."""
    plan, seen = done.plan, done.look
    if plan.action is Action.WRITE:
        await still_wanted()
        if not any(change.field != RESERVATIONS for change in plan.changes):
            return await _reserve(store, network, done)
        if plan.value is None:
            return False
        outcome = await store.write_config(
            plan.value.encode(), expected_mod_revision=seen.revision or 0, judged_revision=seen.snapshot.revision
        )
        if isinstance(outcome, Written):
            done.written.append(plan)
        else:
            await _pause()
        return True
    if plan.action in (Action.REFUSE, Action.REPORT):
        return False
    return await _reassert(store, network, done, still_wanted)


async def _pause() -> None:
    await asyncio.sleep(PAUSE_S * random.uniform(0.1, 1.0))  # noqa: S311 - spreads retries


async def _reserve(store: Store, network: FlannelNetwork, done: Settled) -> bool:
    """Write the reservations that no key stands for."""
    for each in missing_reservations(network.reservations, done.look.leases):
        key, value = reservation_key(network.prefix, each), reservation_value(each)
        outcome = await store.write_reservation(key, value, 0)
        if isinstance(outcome, Lost):
            await _pause()
            return True
        done.ours[key] = outcome.mod_revision
    return True


async def _reassert(
    store: Store, network: FlannelNetwork, done: Settled, still_wanted: Callable[[], Awaitable[None]]
) -> bool:
    """Take the end away that flannel has given to reservations; whoever writes at the same time goes first."""
    kept = {(each.subnet.network, str(each.public_ip)) for each in network.reservations}
    converted = {
        lease.key for lease in done.look.leases if lease.ttl is not None and (lease.subnet, lease.public_ip) in kept
    }
    if not converted or network.paused:
        return False
    await still_wanted()
    for each in done.look.snapshot.leases:
        if each.key in converted:
            outcome = await store.write_reservation(each.key, each.value, each.mod_revision)
            if isinstance(outcome, Written):
                done.ours[each.key] = outcome.mod_revision
    return True


def reservation_key(prefix: str, reservation: Reservation) -> str:
    """Return the key that flannel keeps a subnet under (flannel, pkg/subnet: ``MakeSubnetKey``)."""
    four = reservation.subnet.network
    name = f"{four.network_address}-{four.prefixlen}"
    if reservation.subnet6 is not None:
        six = reservation.subnet6.network
        name += f"&{six.network_address}-{six.prefixlen}"
    return f"{prefix}/subnets/{name}"


def reservation_value(reservation: Reservation) -> bytes:
    """Return what a subnet is kept with: whose it is, and no backend yet."""
    body = {"PublicIP": str(reservation.public_ip)}
    if reservation.public_ip6 is not None:
        body["PublicIPv6"] = str(reservation.public_ip6)
    return json.dumps(body, separators=(",", ":")).encode()
