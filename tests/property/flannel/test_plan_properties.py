"""What holds of every plan: written configs read back equal, an applied plan is done, and nobody is stranded.

Networks, leases and edits are drawn; the judgement is the operator's own. Rules: the last test keeps a small
model of a fleet beside it, whose nodes know which config they started with and nothing of our classes.
"""

import json
from dataclasses import dataclass
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from nodegate.flannel.canonical import canonical_text, fingerprint, normal, request_text
from nodegate.flannel.check import read_config
from nodegate.flannel.decide import plan
from nodegate.flannel.model import Config, Version
from nodegate.flannel.network import Action, Applied, ChangeClass, Facts, FlannelNetwork, Lease, Plan
from nodegate.flannel.parse import parse_lease, parse_network

PREFIX = "/coreos.com/network"
VERSION = Version(0, 28, 10)
KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

_VXLAN = st.fixed_dictionaries(
    {},
    optional={
        "vni": st.sampled_from([1, 2, 16777215]),
        "port": st.sampled_from([0, 8472, 4789]),
        "gbp": st.booleans(),
        "learning": st.booleans(),
        "directRouting": st.booleans(),
        "mtu": st.sampled_from([0, 1400]),
    },
)
_WIREGUARD = st.fixed_dictionaries(
    {},
    optional={
        "mode": st.sampled_from(["separate", "auto"]),
        "listenPort": st.sampled_from([51820, 51900]),
        "pskSecretRef": st.just({"namespace": "a", "name": "b"}),
    },
)
_BACKENDS = st.one_of(
    st.just({"type": "host-gw"}),
    _VXLAN.map(lambda options: {"type": "vxlan", "vxlan": options}),
    _WIREGUARD.map(lambda options: {"type": "wireguard", "wireguard": options}),
    st.sampled_from([{"type": "udp"}, {"type": "udp", "udp": {"port": 7890}}, {"type": "ipip"}]),
)
_NETWORKS = ("172.30.0.0/16", "172.30.0.0/17", "172.30.0.0/20", "172.31.0.0/16", "172.30.0.0/15")
_NONSENSE = (None, "", "{", '{"Network":"172.30.0.0/16","SubnetMin":"172.30.9.0","SubnetMax":"172.30.8.0"}')

SPECS = st.fixed_dictionaries(
    {
        "network": st.sampled_from(_NETWORKS),
        "backend": _BACKENDS,
    },
    optional={
        "subnetLen": st.sampled_from([0, 22, 24, 25]),
        "subnetMin": st.sampled_from(["172.30.4.0", "172.30.8.0"]),
        "subnetMax": st.sampled_from(["172.30.8.0", "172.30.12.0", "172.30.100.0"]),
        "ipv6": st.sampled_from([{"network": "fc00:30::/48"}, {"network": "fc00:30::/48", "subnetLen": 80}]),
        "enableNFTables": st.booleans(),
    },
)
"""Specs that a person might write, some of them never to be written to etcd."""

_FEW_BACKENDS: tuple[dict[str, Any], ...] = (
    {"type": "vxlan"},
    {"type": "vxlan", "vxlan": {"vni": 2}},
    {"type": "vxlan", "vxlan": {"port": 4789}},
    {"type": "vxlan", "vxlan": {"gbp": True}},
    {"type": "vxlan", "vxlan": {"mtu": 1400, "learning": True, "directRouting": True}},
    {"type": "host-gw"},
    {"type": "wireguard"},
    {"type": "wireguard", "wireguard": {"pskSecretRef": {"namespace": "a", "name": "b"}}},
)
_EDITS: tuple[tuple[str, Any], ...] = (
    *(("network", each) for each in _NETWORKS),
    *(("backend", each) for each in _FEW_BACKENDS),
    *(("subnetLen", each) for each in (0, 22, 25)),
    *(("subnetMin", each) for each in ("", "172.30.4.0", "172.30.8.0")),
    *(("subnetMax", each) for each in ("", "172.30.8.0", "172.30.100.0")),
    *(("ipv6", each) for each in (None, {"network": "fc00:30::/48"}, {"network": "fc00:30::/48", "subnetLen": 80})),
    ("enableNFTables", True),
)
"""One field and what a person makes of it: edits of one field reach the milder classes."""


def network(spec: dict[str, Any], **more: Any) -> FlannelNetwork:
    """Return the resource of a drawn spec."""
    etcd = {"endpoints": ["https://10.0.0.1:2379"], "api": "V3"}
    body = {"metadata": {"name": "drawn"}, "spec": {"etcd": etcd, "flannelVersion": "0.28.10", **spec, **more}}
    return parse_network(body)


def wanted(resource: FlannelNetwork) -> Config | None:
    """Return what a resource asks for, when it may be written."""
    reading = read_config(request_text(resource, {"PSK": KEY}), resource.version)
    return reading.config if reading.valid else None


@given(SPECS)
def test_the_canonical_text_reads_back_equal(spec: dict[str, Any]) -> None:
    """What is written is what was asked for, flannel accepts it, and there is one text for it."""
    resource = network(spec)
    config = wanted(resource)
    if config is None:
        return
    text = canonical_text(config)

    again = read_config(text, resource.version)

    assert again.config is not None
    assert again.problems == ()
    assert normal(again.config) == normal(config)
    assert canonical_text(again.config) == text
    assert KEY not in canonical_text(config, redacted=True)


@given(SPECS, st.sampled_from(["Correct", "Report"]))
def test_an_applied_plan_is_done(spec: dict[str, Any], drift: str) -> None:
    """After a write the same resource has nothing left to do, whether secrets are at hand or not."""
    resource = network(spec, driftPolicy=drift)
    first = plan(resource, None, None, [], None, Facts(secrets={"PSK": KEY}))
    if first.action is not Action.WRITE:
        assert first.change_class is ChangeClass.FORBIDDEN
        return
    assert first.value is not None
    config = wanted(resource)
    assert config is not None
    applied = Applied(text=canonical_text(config, redacted=True))

    for secrets in ({"PSK": KEY}, {}):
        again = plan(resource, first.value, 7, [], applied, Facts(secrets=secrets))
        assert (again.change_class, again.action, again.changes) == (ChangeClass.NONE, Action.NONE, ())


@given(SPECS, SPECS)
def test_an_id_names_one_change(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Two plans from nothing have one id exactly when they write the same."""
    first, second = (plan(network(spec), None, None, [], None, Facts(secrets={"PSK": KEY})) for spec in (one, other))

    if first.value is not None and second.value is not None:
        assert (first.id == second.id) == (first.value == second.value)


@given(st.text(min_size=1))
def test_a_fingerprint_is_no_secret(secret: str) -> None:
    """A fingerprint stays itself and does not hold the secret."""
    shown = fingerprint(secret)

    assert fingerprint(shown) == shown
    assert shown == secret or len(shown) == len("redacted:") + 64


@given(st.text(), st.text())
def test_no_key_and_no_value_is_too_odd_to_read(key: str, value: str) -> None:
    """Whatever stands in etcd becomes a lease that says what is wrong with it, and any plan can be made beside it."""
    lease = parse_lease(f"{PREFIX}/subnets/{key}", value, mod_revision=1, ttl=None)
    base = {"network": "172.30.0.0/16", "backend": {"type": "host-gw"}}

    found = plan(network(base), None, None, [lease], None, Facts())

    assert (lease.subnet is None) <= bool(lease.malformed)
    assert found.action in {Action.WRITE, Action.BLOCK}


@dataclass(frozen=True)
class Node:
    """One node of the model: the lease that it holds and the config that its flanneld read when it started."""

    lease: Lease
    runs: Config


def _datapath(config: Config) -> object:
    """Return what two nodes must have in common to reach each other."""
    backend = normal(config).backend
    strict = {"vxlan": {"VNI", "Port", "GBP"}, "wireguard": {"Mode", "PSK"}, "udp": {"Port"}}.get(backend.type, set())
    return backend.type, sorted((name, str(value)) for name, value in backend.options if name in strict and value)


def _keeps(lease: Lease, config: Config) -> bool:
    """Tell whether flanneld would keep a lease when it starts with a config (flannel, isSubnetConfigCompat)."""
    assert lease.subnet is not None
    assert config.ipv4 is not None
    four, base = config.ipv4, lease.subnet.network_address
    if lease.subnet.prefixlen != four.subnet_len or not four.subnet_min <= base <= four.subnet_max:
        return False
    if config.ipv6 is None or lease.subnet6 is None:
        return config.ipv6 is None and lease.subnet6 is None
    six, base6 = config.ipv6, lease.subnet6.network_address
    return lease.subnet6.prefixlen == six.subnet_len and six.subnet_min <= base6 <= six.subnet_max


class Fleet(RuleBasedStateMachine):
    """A resource that people edit, a key in etcd, and nodes that come and go; nobody ever approves anything."""

    def __init__(self) -> None:
        super().__init__()
        self.spec: dict[str, Any] = {"network": "172.30.0.0/16", "backend": {"type": "vxlan"}}
        self.live: str | None = None
        self.applied: Applied | None = None
        self.nodes: dict[int, Node] = {}
        self.revision = 1

    @initialize(
        adoption=st.sampled_from(["Adopt", "AdoptAndChange"]),
        backend=st.sampled_from(_FEW_BACKENDS),
        numbers=st.sets(st.integers(0, 60)),
    )
    def begin(self, adoption: str, backend: dict[str, Any], numbers: set[int]) -> None:
        """Somebody makes the resource, and the first nodes start."""
        self.spec = {"network": "172.30.0.0/16", "backend": backend, "adoption": adoption}
        self.reconcile()
        for number, at in enumerate(sorted(numbers)[:3]):
            self.start(number, at)

    @rule(edit=st.sampled_from(_EDITS))
    def edit(self, edit: tuple[str, Any]) -> None:
        """Somebody edits one field."""
        self.spec = {**self.spec, edit[0]: edit[1]}

    def _plan(self, spec: dict[str, Any], live: str | None) -> Plan:
        """Judge a spec, a stale approval in it; whatever would be written must strand nobody."""
        leases = [node.lease for node in self.nodes.values()]
        resource = network(spec, approvedChange="0" * 64)
        found = plan(resource, live, self.revision, leases, self.applied, Facts(secrets={"PSK": KEY}))
        if found.action is Action.WRITE:
            assert found.value is not None
            config = read_config(found.value, resource.version).config
            assert config is not None
            for node in self.nodes.values():
                assert _keeps(node.lease, config), (found, node)
                assert _datapath(node.runs) == _datapath(config), (found, node)
        assert bool(found.blocked_by) <= (found.action in {Action.BLOCK, Action.REPORT, Action.REFUSE})
        assert (found.action is Action.BLOCK) <= bool(found.blocked_by)
        return found

    @rule()
    def reconcile(self) -> None:
        """The operator does what its plan says."""
        found = self._plan(self.spec, self.live)
        if found.action is Action.WRITE:
            self.live, self.revision = found.value, self.revision + 1
        if found.action in {Action.WRITE, Action.NONE}:
            config = wanted(network(self.spec))
            assert config is not None
            self.applied = Applied(text=canonical_text(config, redacted=True))

    @invariant()
    def no_edit_strands_anybody(self) -> None:
        """In every state that can be reached, no edit of one field is dangerous, nor with the key gone or broken."""
        for field, value in _EDITS:
            for live in dict.fromkeys((self.live, None, "{")):
                self._plan({**self.spec, field: value}, live)

    @rule(text=st.sampled_from(_NONSENSE))
    def break_it(self, text: str | None) -> None:
        """A stranger deletes the key, or makes nonsense of it."""
        self.live, self.revision = text, self.revision + 1

    @rule(number=st.integers(0, 5), at=st.integers(0, 60))
    def start(self, number: int, at: int) -> None:
        """A node starts, or starts again: it keeps its lease when it may, else takes a free subnet."""
        config = None if self.live is None else read_config(self.live, VERSION).config
        if config is None or config.ipv4 is None:
            return
        node = self.nodes.pop(number, None)
        if node is not None and _keeps(node.lease, config):
            self.nodes[number] = Node(self._lease(number, node.lease.key, config), config)
            return
        four = config.ipv4
        size = 1 << (32 - four.subnet_len)
        count = (int(four.subnet_max) - int(four.subnet_min)) // size + 1
        key = f"{four.subnet_min + size * (at % count)}-{four.subnet_len}"
        if config.ipv6 is not None:
            key += f"&{config.ipv6.subnet_min}-{config.ipv6.subnet_len}"
        key = f"{PREFIX}/subnets/{key}"
        if all(other.lease.key != key for other in self.nodes.values()):
            self.nodes[number] = Node(self._lease(number, key, config), config)

    def _lease(self, number: int, key: str, config: Config) -> Lease:
        self.revision += 1
        kind = {} if config.backend.type == "udp" else {"BackendType": config.backend.type}
        value = json.dumps({"PublicIP": f"10.0.0.{number + 1}", **kind})
        return parse_lease(key, value, mod_revision=self.revision, ttl=86400)

    @precondition(lambda self: self.nodes)
    @rule(at=st.integers(0, 10**9))
    def stop(self, at: int) -> None:
        """A node is gone for good and its lease ends."""
        del self.nodes[sorted(self.nodes)[at % len(self.nodes)]]


FleetTest = Fleet.TestCase
FleetTest.settings = settings(
    max_examples=10,
    stateful_step_count=6,
    deadline=None,
    # Runs are short already, and making them shorter would take longer than the test may.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
