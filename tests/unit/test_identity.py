"""Names and addresses: well formed, reserved, shared; and the index that is kept up to date."""

from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from nodegate.enrollment.claims import ClaimIndex
from nodegate.identity import (
    IPNetwork,
    ReservedIndex,
    conflicts,
    is_dns_name,
    is_subdomain,
    listed_reserved,
    reserved_address,
    reserved_name,
    special_address,
)
from tests.builders import make_enrollment

_LONGEST = "a" * 253


@pytest.mark.parametrize("name", ["a", "0", "a-b", "a.b", "1.2.3.4", "a" * 64, _LONGEST, "a--b", "x.0"])
def test_subdomains(name: str) -> None:
    """Kubernetes' rule: 253 characters in all, no limit for a label, digits anywhere."""
    assert is_subdomain(name)


@pytest.mark.parametrize(
    "name",
    ["", "-a", "a-", "a.", ".a", "a..b", "A", "a_b", "a b", "a\n", "\u212a", "*", "a.-b", _LONGEST + "a"],
)
def test_no_subdomains(name: str) -> None:
    """Upper case, odd characters, empty labels and lengths over 253."""
    assert not is_subdomain(name)


@pytest.mark.parametrize("name", ["node-a", "Node-A.CORP", "1.2.3.example", "0x7f.example", "a1", "1a", "0xg", "x0x1"])
def test_dns_names(name: str) -> None:
    """Upper case is fine, and so is a number anywhere but at the end."""
    assert is_dns_name(name)


@pytest.mark.parametrize(
    "name", ["10.0.0.5", "1", "a.1", "0x", "a.0x", "a.0xFF", "0177.0.0.01", "a.09", "\u212aube", "K\u0130", "a.", "*.a"]
)
def test_no_dns_names(name: str) -> None:
    """IP literals of every kind, letters that lower-case into ASCII, and what is no subdomain."""
    assert not is_dns_name(name)


@pytest.mark.parametrize(
    "name",
    ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
     "a.kubernetes.default.svc"],
)  # fmt: skip
def test_reserved_names(name: str) -> None:
    """Names of the API server and of every host."""
    assert reserved_name(name) is not None


@pytest.mark.parametrize(
    "name", ["kubernetes.corp", "kubernetes.default.svcx", "kubernetes2", "akubernetes.default.svc", "localhost.corp"]
)
def test_names_that_only_look_reserved(name: str) -> None:
    """Labels are compared whole."""
    assert reserved_name(name) is None


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1", "loopback"),
        ("127.255.255.255", "loopback"),
        ("::1", "loopback"),
        ("169.254.0.1", "link-local"),
        ("fe80::1", "link-local"),
        ("febf::1", "link-local"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.255", "multicast"),
        ("ff02::1", "multicast"),
        ("0.0.0.0", "unspecified"),  # noqa: S104 - the case itself
        ("::", "unspecified"),
        ("10.0.0.5", None),
        ("128.0.0.1", None),
        ("fec0::1", None),
        ("240.0.0.1", None),
        ("fd00::1", None),
    ],
)
def test_special_addresses(address: str, why: str | None) -> None:
    """What no node anywhere may carry, and its neighbours."""
    assert special_address(ip_address(address)) == why


def test_api_server_addresses_are_for_who_lists_them() -> None:
    """Reserved for everybody but the enrollment that lists the address; a service network stays reserved."""
    reserved = ReservedIndex()
    reserved.put_api_servers("slice", [ip_address("10.0.0.1"), ip_address("10.96.0.1")])
    reserved.put("cidr", [ip_network("10.96.0.0/12")], "service network")
    owner = make_enrollment(addresses=("10.0.0.1", "10.96.0.1"))

    assert reserved_address(ip_address("10.0.0.1"), make_enrollment(), reserved) == "an API server's address"
    assert reserved_address(ip_address("10.0.0.1"), None, reserved) == "an API server's address"
    assert reserved_address(ip_address("10.0.0.1"), owner, reserved) is None
    assert reserved_address(ip_address("10.96.0.1"), owner, reserved) == "service network 10.96.0.0/12"


def test_listed_reserved_tells_each_with_why() -> None:
    """Names and addresses of an enrollment that it must not list, sorted."""
    reserved = ReservedIndex()
    reserved.put("cidr", [ip_network("10.96.0.0/12")], "service network")
    enrollment = make_enrollment(addresses=("10.96.0.7", "::1", "10.0.0.5"), dns_names=frozenset({"localhost", "ok"}))

    assert listed_reserved(enrollment, reserved) == (
        "10.96.0.7 (service network 10.96.0.0/12)",
        "::1 (loopback)",
        "localhost (a name of the API server or of every host)",
    )


def test_conflicts_are_seen_from_both_sides() -> None:
    """Each of two enrollments is told what it shares and with whom; names conflict like addresses."""
    mine = make_enrollment(dns_names=frozenset({"node-b"}))
    other = make_enrollment(name="node-b", addresses=("10.0.0.5",))
    claims = ClaimIndex([mine, other])

    assert conflicts(mine, claims) == ("10.0.0.5 (also node-b)", "node-b (also node-b)")
    assert conflicts(other, claims) == ("10.0.0.5 (also node-a)", "node-b (also node-a)")
    assert conflicts(make_enrollment(name="node-c", addresses=()), claims) == ()


_SOURCES = st.sampled_from(["Node a", "Node b", "ServiceCIDR x"])
_V4 = st.tuples(st.integers(0, 7), st.integers(26, 32)).map(
    lambda drawn: ip_network((int(ip_address("10.0.0.0")) + drawn[0] * 8, drawn[1]), strict=False)
)
_V6 = st.tuples(st.integers(0, 7), st.integers(122, 128)).map(
    lambda drawn: ip_network((int(ip_address("fd00::")) + drawn[0] * 8, drawn[1]), strict=False)
)
_PROBES = [ip_address(text) for n in range(0, 64, 3) for text in (f"10.0.0.{n}", f"fd00::{n:x}")]


class ReservedMachine(RuleBasedStateMachine):
    """Sources come, change and go; the index answers as a plain list of networks would."""

    def __init__(self) -> None:
        super().__init__()
        self.index = ReservedIndex()
        self.networks: dict[str, list[IPNetwork]] = {}
        self.api_servers: dict[str, list[Any]] = {}

    @rule(source=_SOURCES, networks=st.lists(st.one_of(_V4, _V6), max_size=4))
    def put(self, source: str, networks: list[IPNetwork]) -> None:
        """One source says anew what it has."""
        self.index.put(source, networks, "network")
        self.networks[source] = networks

    @rule(source=_SOURCES, addresses=st.lists(st.sampled_from(_PROBES), max_size=2))
    def put_api_servers(self, source: str, addresses: list[Any]) -> None:
        """One slice says anew where API servers listen."""
        self.index.put_api_servers(source, addresses)
        self.api_servers[source] = addresses

    @invariant()
    def answers_like_a_list(self) -> None:
        """Every probe is covered exactly when some source's network holds it, and the answer names one such."""
        everything = [network for networks in self.networks.values() for network in networks]
        for probe in _PROBES:
            covering = {f"network {network}" for network in everything if probe in network}
            answer = self.index.covering(probe)
            assert answer in covering if covering else answer is None
            assert self.index.is_api_server(probe) == any(probe in found for found in self.api_servers.values())


ReservedMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=15, deadline=None)
TestReservedIndex = ReservedMachine.TestCase
