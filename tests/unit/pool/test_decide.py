"""Which pool enrolls whom, which addresses are recorded, and what a pool's status says."""

from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from hack.vectors.names import dns, ip
from hack.vectors.request import Request
from nodegate.csr.decide import judge
from nodegate.csr.model import CsrFacts, Fact, NodeFacts
from nodegate.enrollment.claims import ClaimIndex
from nodegate.enrollment.model import Enrollment, NodeName
from nodegate.identity import ReservedIndex
from nodegate.pool.decide import Addressing, addresses, asks_for_addresses, asks_for_place, choose, outlook
from nodegate.pool.model import Overlap, Pool, Refusal
from tests.builders import make_case, make_csr, make_enrollment, make_node, make_renewal, make_serving
from tests.unit.pool.samples import make_pool

FREE = frozenset({ip_address("10.0.8.5")})


def _nobody(_: str) -> int:
    return 0


def test_a_first_request_without_an_enrollment_asks_for_a_place() -> None:
    """Held for want of an enrollment, or ignored because nothing lists its user: a pool may have a word."""
    stranger = make_csr(username="builder", groups=frozenset())
    for csr in (make_csr(), stranger):
        assert asks_for_place(judge(make_case(csr=csr, enrollment=None)))


@pytest.mark.parametrize(
    "case",
    [
        make_case(),
        make_case(enrollment=None, csr=make_renewal()),
        make_case(enrollment=None, csr=make_csr(usages=("client auth",))),
        make_case(enrollment=None, csr=make_csr(conditions=("Approved",))),
        make_case(enrollment=None, missing=frozenset({Fact.ENROLLMENT})),
        make_case(enrollment=None, missing=frozenset({Fact.NODE})),
        make_case(enrollment=None, over_rate=True),
    ],
)
def test_other_requests_ask_for_no_place(case: Any) -> None:
    """Enrolled, not a first one, faulty, decided, judged without facts, or over its rate: pools stay out of it."""
    assert not asks_for_place(judge(case))


def test_a_pool_that_matches_and_lists_the_requester_is_chosen() -> None:
    """By token, by user and by group."""
    specs: list[dict[str, Any]] = [{}, {"tokenIDs": [], "users": ["system:bootstrap:abcdef"]}]
    for spec in (*specs, {"tokenIDs": [], "groups": ["fleet"]}):
        pool = make_pool(**spec)
        assert choose(make_csr(groups=frozenset({"fleet"})), [pool], _nobody) == pool


def test_no_pool_matches() -> None:
    """A name that is no pool's gets no note at all."""
    assert choose(make_csr(), [make_pool(namePattern="other")], _nobody) is None
    assert choose(make_csr(), [make_pool(tokenIDs=[])], _nobody) is None
    assert choose(make_csr(node_name=None), [make_pool()], _nobody) is None


@pytest.mark.parametrize(
    ("pools", "words"),
    [
        ([make_pool(state="Suspended")], "of pool fleet, which is suspended"),
        ([make_pool("b"), make_pool("a")], "(a, b)"),
        ([make_pool("b"), make_pool("a")], "PoolConflict"),
        ([make_pool(tokenIDs=["bbbbbb"])], "does not list user system:bootstrap:abcdef"),
        ([make_pool(tokenIDs=[], users=["abcdef"])], "does not list user"),
        ([make_pool(maxNodes=2)], "full (maxNodes 2)"),
    ],
)
def test_why_no_pool_enrolls(pools: list[Pool], words: str) -> None:
    """Suspended, several, another requester, full: each has its own words with the pool's name."""
    refusal = choose(make_csr(), pools, lambda _: 2)
    assert isinstance(refusal, Refusal)
    assert words in refusal.text


def test_suspended_and_stalled_pools_conflict_with_none() -> None:
    """Only active pools count, so suspending one of two resolves their conflict."""
    pools = [make_pool("a"), make_pool("b", state="Suspended"), make_pool("c", tokenIDs=[])]
    assert choose(make_csr(), pools, _nobody) == pools[0]


def test_a_name_of_the_cluster_itself_is_never_enrolled() -> None:
    """A Node called kubernetes would get serving certificates for the API server's name."""
    csr = make_csr(request=Request(common_name="system:node:kubernetes"))
    assert isinstance(choose(csr, [make_pool(namePattern="[a-z]+")], _nobody), Refusal)


def _around(node: NodeFacts | None = None, *others: Enrollment, **fields: Any) -> Addressing:
    usual: dict[str, Any] = {
        "node": node or make_node(addresses=FREE),
        "claims": ClaimIndex([make_enrollment(addresses=()), *others]),
        "reserved": ReservedIndex(),
        "holders": lambda _: frozenset({"node-a"}),
    }
    return Addressing(**(usual | fields))


RANGED = make_pool(addressRanges=["10.0.8.0/22", "fd00:8::/64"])


def test_a_free_address_of_the_ranges_on_the_node_is_recorded() -> None:
    """All addresses of the request are, both families."""
    both = FREE | {ip_address("fd00:8::5")}
    csr = make_serving(dns("node-a"), ip("10.0.8.5"), ip("fd00:8::5"))
    assert addresses(csr, RANGED, _around(make_node(addresses=both))) == both


def _reserving() -> ReservedIndex:
    index = ReservedIndex()
    index.put("Node b", [ip_network("10.0.8.0/24")], "pod network")
    return index


@pytest.mark.parametrize(
    ("csr", "pool", "around", "words"),
    [
        (make_serving(ip("10.0.12.5")), RANGED, _around(), "10.0.12.5 (outside addressRanges)"),
        (make_serving(ip("10.0.8.6")), RANGED, _around(), "10.0.8.6 (not in Node.status.addresses)"),
        (make_serving(ip("10.0.8.5"), ip("10.0.12.5")), RANGED, _around(), "outside addressRanges"),
        (make_serving(ip("10.0.8.5")), make_pool(), _around(), "outside addressRanges"),
        (make_serving(ip("10.0.8.5")), RANGED, _around(reserved=_reserving()), "pod network"),
        (make_serving(ip("10.0.8.5")), RANGED, _around(holders=lambda _: frozenset({"node-z"})), "also of node-z"),
        (
            make_serving(ip("10.0.8.5")),
            RANGED,
            _around(None, make_enrollment(name=NodeName("node-b"), addresses=("10.0.8.5",))),
            "also of node-b",
        ),
        (make_serving(dns("other"), ip("10.0.8.5")), RANGED, _around(), "records addresses only"),
        (
            make_serving(ip("10.0.8.5"), ip("10.0.8.6"), ip("10.0.8.7")),
            RANGED,
            _around(),
            "records 2 addresses a node, not 3",
        ),
        (
            make_serving(ip("10.0.8.5")),
            make_pool(addressRanges=["10.0.8.0/22"], state="Suspended"),
            _around(),
            "suspended",
        ),
    ],
)
def test_why_addresses_are_not_recorded(csr: CsrFacts, pool: Pool, around: Addressing, words: str) -> None:
    """One address with a fault is enough, and the words name it."""
    refusal = addresses(csr, pool, around)
    assert isinstance(refusal, Refusal)
    assert words in refusal.text


def test_without_a_node_no_address_is_recorded() -> None:
    """A serving request that comes before the Node says nothing about the Node's addresses."""
    csr = make_serving(ip("10.0.8.5"))
    for around in (_around(make_node(addresses=frozenset())), replace(_around(), node=None)):
        refusal = addresses(csr, RANGED, around)
        assert isinstance(refusal, Refusal)
        assert "not in Node.status.addresses" in refusal.text


def test_a_pool_with_a_fault_records_nothing() -> None:
    """Who is let in cannot be told any more, so no address is given either; nor to a request without one."""
    stalled = make_pool(addressRanges=["10.0.8.0/22"], tokenIDs=[])
    for csr, pool in ((make_serving(ip("10.0.8.5")), stalled), (make_serving(dns("node-a")), RANGED)):
        assert isinstance(addresses(csr, pool, _around()), Refusal)


def test_only_an_enrollment_without_addresses_asks_for_some() -> None:
    """What is recorded once is never changed: a later request for another address stays held."""
    csr, node = make_serving(ip("10.0.8.5")), make_node(addresses=FREE)
    bare, listed = make_enrollment(addresses=()), make_enrollment(addresses=("10.0.8.9",))
    assert asks_for_addresses(judge(make_case(csr=csr, node=node, enrollment=bare)))
    assert not asks_for_addresses(judge(make_case(csr=csr, node=node, enrollment=listed)))
    assert not asks_for_addresses(judge(make_case(csr=csr, enrollment=bare)))
    assert not asks_for_addresses(judge(make_case(csr=csr, node=node, enrollment=None)))


def _conditions(pool: Pool, nodes: int = 0, *overlaps: Overlap) -> dict[str, tuple[str, str]]:
    return {c.type: (c.status, c.reason) for c in outlook(pool, nodes, overlaps).conditions}


def test_the_status_of_a_pool_in_order() -> None:
    """Ready, with room, nothing to mend, alone."""
    assert _conditions(make_pool()) == {
        "Ready": ("True", "Active"),
        "Stalled": ("False", "Consistent"),
        "Full": ("False", "RoomLeft"),
        "PoolConflict": ("False", "Distinct"),
    }


def test_the_status_tells_what_is_wrong() -> None:
    """Stalled for a fault, not Ready while suspended, Full at the limit, and conflicts by name with an example."""
    assert _conditions(make_pool(tokenIDs=[]))["Stalled"] == ("True", "SpecInvalid")
    assert _conditions(make_pool(tokenIDs=[]))["Ready"] == ("False", "SpecInvalid")
    assert _conditions(make_pool(state="Suspended"))["Ready"] == ("False", "Suspended")
    assert _conditions(make_pool(), 3)["Full"] == ("True", "MaxNodesReached")
    assert _conditions(make_pool(), 3)["Ready"] == ("True", "Full")
    assert _conditions(make_pool(), 0, Overlap("b", "node-a"))["PoolConflict"] == ("True", "PatternsOverlap")
    assert "nodegate.dev/pool=fleet" in outlook(make_pool(), 3, ()).conditions[2].message
    assert "nodegate.dev/pool" not in outlook(make_pool(), 2, ()).conditions[2].message
    (message,) = (c.message for c in outlook(make_pool(), 0, (Overlap("b", "node-a"),)).conditions[3:])
    assert "b (such as node-a)" in message
