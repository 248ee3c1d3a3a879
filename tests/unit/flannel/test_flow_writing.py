"""The protocol of a write against a store that loses races at will; the real etcd cannot be made to do that."""

from collections.abc import Callable, Sequence
from ipaddress import ip_address, ip_interface

import pytest

from nodegate.errors import Conflict
from nodegate.flannel.check import parse_version
from nodegate.flannel.decide import plan
from nodegate.flannel.etcd.values import KeyValue, Lost, Outcome, Snapshot, Written
from nodegate.flannel.model import Api
from nodegate.flannel.network import (
    Action,
    Adoption,
    ChangeClass,
    Etcd,
    Facts,
    FlannelNetwork,
    Plan,
    Reservation,
    WantedBackend,
)
from nodegate.flannel.writing import ROUNDS, Look, look, reservation_key, reservation_value, settle

PREFIX = "/n"
RESERVATION = Reservation(public_ip=ip_address("10.0.0.1"), subnet=ip_interface("172.30.19.0/24"))


class Etcd3:
    """Keys in memory, behind the interface of the etcd client.

    Attributes:
        before_write: Called before each write; may change the keys.
    """

    def __init__(self) -> None:
        self.keys: dict[str, KeyValue] = {}
        self.revision = 10
        self.before_write: Callable[[], None] = lambda: None
        self.writes = 0

    def put(self, key: str, value: bytes, *, ttl: int | None = None) -> int:
        """Write a key as anybody would."""
        self.revision += 1
        created = self.keys[key].create_revision if key in self.keys else self.revision
        self.keys[key] = KeyValue(key, value, self.revision, created, ttl_s=ttl)
        return self.revision

    async def read(self) -> Snapshot:
        """Return what is there."""
        leases = tuple(each for key, each in sorted(self.keys.items()) if key.startswith(f"{PREFIX}/subnets/"))
        return Snapshot(self.keys.get(f"{PREFIX}/config"), leases, self.revision, "c1")

    async def ttls(self, leases: Sequence[KeyValue]) -> dict[str, int | None]:
        """Return what each was written with."""
        return {each.key: each.ttl_s for each in leases}

    async def write_config(self, value: bytes, *, expected_mod_revision: int, judged_revision: int) -> Outcome:
        """Write when nothing came between."""
        self._begin()
        late = [each for key, each in self.keys.items() if "/subnets/" in key and each.mod_revision > judged_revision]
        return self._guarded(f"{PREFIX}/config", value, expected_mod_revision, late=bool(late))

    async def write_reservation(self, key: str, value: bytes, expected_mod_revision: int) -> Outcome:
        """Write when nothing came between."""
        self._begin()
        return self._guarded(key, value, expected_mod_revision, late=False)

    async def delete_config(self, expected_mod_revision: int) -> Outcome:
        """Is not asked for here."""
        raise NotImplementedError(expected_mod_revision)

    def _begin(self) -> None:
        self.writes += 1
        self.before_write()

    def _guarded(self, key: str, value: bytes, expected: int, *, late: bool) -> Outcome:
        found = self.keys.get(key)
        if late or (found.mod_revision if found else 0) != expected:
            return Lost(found, leases_changed=late)
        return Written(self.put(key, value))


def _network(*reservations: Reservation, network: str = "172.30.0.0/16", paused: bool = False) -> FlannelNetwork:
    return FlannelNetwork(
        name="pods",
        etcd=Etcd(endpoints=("https://10.0.0.1:2379",), api=Api.V3),
        version=parse_version("0.28.10"),
        prefix=PREFIX,
        network=ip_interface(network),
        backend=WantedBackend(type="host-gw"),
        reservations=reservations,
        adoption=Adoption.ADOPT_AND_CHANGE,
        paused=paused,
    )


def _judge(network: FlannelNetwork) -> Callable[[Look], Plan]:
    def judge(seen: Look) -> Plan:
        return plan(network, seen.text, seen.revision, seen.leases, network.applied, Facts(cluster_id="c1"))

    return judge


async def _nothing() -> None:
    """Have the resource still ask for the same."""


async def test_what_was_written_is_read_back() -> None:
    """One write, and the second look says that there is nothing left to do."""
    etcd, network = Etcd3(), _network()
    done = await settle(etcd, network, _judge(network), _nothing)
    assert (etcd.writes, len(done.written), done.plan.action, done.contended) == (1, 1, Action.NONE, False)
    assert done.look.text == etcd.keys[f"{PREFIX}/config"].value.decode()
    again = await settle(etcd, network, _judge(network), _nothing)
    assert (etcd.writes, again.written) == (1, [])


async def test_a_lease_that_comes_between_is_judged_anew() -> None:
    """The write is lost, and what is judged then is that lease: the change waits for it instead of stranding it."""
    etcd, network = Etcd3(), _network()
    value = b'{"PublicIP":"10.0.0.9","BackendType":"vxlan"}'

    def join() -> None:
        etcd.put(f"{PREFIX}/subnets/10.9.9.0-24", value, ttl=86400)

    etcd.before_write = join
    done = await settle(etcd, network, _judge(network), _nothing)
    assert done.plan.action is Action.BLOCK
    assert f"{PREFIX}/config" not in etcd.keys


async def test_contention_ends_after_five_rounds() -> None:
    """Somebody who is always faster gets the better of us, and we say so."""
    etcd, network = Etcd3(), _network()

    def overtake() -> None:
        etcd.put(f"{PREFIX}/config", b"{%d" % etcd.revision)

    etcd.before_write = overtake
    done = await settle(etcd, network, _judge(network), _nothing)
    assert (etcd.writes, done.contended, done.written) == (ROUNDS, True, [])
    assert done.plan.change_class is ChangeClass.REPAIR


async def test_a_resource_that_changed_meanwhile_is_not_written() -> None:
    """The question comes right before the write."""
    etcd, network = Etcd3(), _network()

    async def changed() -> None:
        raise Conflict(409, "Changed", "look again")

    with pytest.raises(Conflict):
        await settle(etcd, network, _judge(network), changed)
    assert etcd.keys == {}


async def test_reservations_follow_the_config_and_are_turned_back() -> None:
    """One key without an end; given an end by flannel it is written with flannel's own value, without one."""
    etcd, network = Etcd3(), _network(RESERVATION)
    done = await settle(etcd, network, _judge(network), _nothing)
    key = f"{PREFIX}/subnets/172.30.19.0-24"
    assert etcd.keys[key].value == b'{"PublicIP":"10.0.0.1"}'
    assert done.ours == {key: etcd.keys[key].mod_revision}

    value = b'{"PublicIP":"10.0.0.1","BackendType":"host-gw"}'
    etcd.put(key, value, ttl=86400)
    await settle(etcd, network, _judge(network), _nothing)
    assert (etcd.keys[key].value, etcd.keys[key].ttl_s) == (value, None)


async def test_paused_turns_no_reservation_back() -> None:
    """Nothing is written at all."""
    etcd, network = Etcd3(), _network(RESERVATION)
    await settle(etcd, network, _judge(network), _nothing)
    etcd.put(f"{PREFIX}/subnets/172.30.19.0-24", b'{"PublicIP":"10.0.0.1"}', ttl=86400)
    writes, paused = etcd.writes, _network(RESERVATION, paused=True)
    await settle(etcd, paused, _judge(paused), _nothing)
    assert etcd.writes == writes


async def test_bytes_that_are_no_text_are_no_config() -> None:
    """They are kept as something that is no JSON, and are told apart from an absent key."""
    etcd = Etcd3()
    etcd.put(f"{PREFIX}/config", b"\xff\xfe")
    seen = await look(etcd)
    assert seen.text is not None
    assert seen.text.encode(errors="surrogateescape") == b"\xff\xfe"


def test_keys_and_values_of_reservations_are_flannels() -> None:
    """Both families stand in one key, IPv6 as Go writes it."""
    dual = Reservation(
        public_ip=ip_address("10.0.0.1"),
        subnet=ip_interface("172.30.19.0/24"),
        subnet6=ip_interface("fc00:30:0:13::/64"),
        public_ip6=ip_address("fd00::1"),
    )
    assert reservation_key("/p", dual) == "/p/subnets/172.30.19.0-24&fc00:30:0:13::-64"
    assert reservation_value(dual) == b'{"PublicIP":"10.0.0.1","PublicIPv6":"fd00::1"}'
