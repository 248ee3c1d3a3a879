"""The stores that decisions rest on: who is woken by what, what is kept, and when facts count as missing."""

from collections.abc import AsyncIterator
from ipaddress import ip_address, ip_network

import pytest

from hack.vectors import manifests as m
from nodegate.csr.apply import CSR_PATH, TRIMMED
from nodegate.csr.model import Fact
from nodegate.csr.parse import parse_csr
from nodegate.enrollment.apply import ENROLLMENT_PATH
from nodegate.enrollment.model import NodeName, Phase
from nodegate.facts import KOPF_FIRST_S, REQUEST_KEPT
from nodegate.kube.informer import FRESH_S
from nodegate.kube.work import WorkQueue
from nodegate.settings import Settings
from tests.unit.fake_cluster import (
    CIDRS_PATH,
    CSR,
    NODE,
    NODES_PATH,
    SERVICES_PATH,
    SLICES_PATH,
    World,
    run_world,
)


@pytest.fixture(name="world")
async def _world() -> AsyncIterator[World]:
    """Two enrolled nodes and a request of each, judged once and waiting; nothing is queued."""
    async with run_world() as world:
        world.cluster.enroll(NODE, addresses=["10.0.0.5"], state="Suspended")
        world.cluster.enroll("node-b", addresses=["10.0.0.6"], state="Suspended")
        world.cluster.ask()
        world.cluster.ask(metadata={"name": "csr-b", "uid": "b"}, node="node-b")
        await world.sync()
        await world.judge()
        await world.judge("csr-b")
        await _drain(world)
        yield world


async def _drain(world: World) -> None:
    """Serve everything that waits, and forget it."""
    await _queued(world.requests)
    await _queued(world.statuses)


async def _queued(queue: WorkQueue) -> list[str]:
    """Take every name that waits out of a queue, sorted."""
    names = []
    while queue.depth:
        names.append(await queue.get())
        queue.done(names[-1])
    return sorted(names)


async def _woken(world: World) -> tuple[list[str], list[str]]:
    """List again and return the requests and enrollments that this wakes; requests are listed without a resync."""
    for informer in world.facts.informers:
        informer._resync = False
        await informer._list()
    return await _queued(world.requests), await _queued(world.statuses)


async def test_nothing_changed_wakes_nobody(world: World) -> None:
    """A list that brings nothing new is no reason to judge."""
    assert await _woken(world) == ([], [])


async def test_enrollment_wakes_the_requests_of_its_node(world: World) -> None:
    """A change of an enrollment has the node's waiting requests judged again, and nobody else's."""
    world.cluster.enroll(NODE, addresses=["10.0.0.5"])

    assert await _woken(world) == ([CSR], [])


async def test_enrollment_deleted_wakes_the_requests_of_its_node(world: World) -> None:
    """A request whose enrollment is gone is judged again: it is not enrolled any more."""
    world.cluster.delete_object(ENROLLMENT_PATH, NODE)

    assert await _woken(world) == ([CSR], [])
    assert world.facts.enrollment(NODE) is None


async def test_shared_claim_wakes_the_other_owner_before_and_after(world: World) -> None:
    """Whoever begins to share an address, and whoever no longer shares it, is looked at again."""
    world.cluster.enroll(NODE, addresses=["10.0.0.5", "10.0.0.6"])
    assert await _woken(world) == ([CSR, "csr-b"], ["node-b"])

    world.cluster.enroll(NODE, addresses=["10.0.0.5"])
    assert await _woken(world) == ([CSR, "csr-b"], ["node-b"])

    world.cluster.enroll(NODE, addresses=["10.0.0.7"])
    assert await _woken(world) == ([CSR], [])


async def test_revoking_ends_a_conflict_and_wakes_the_other(world: World) -> None:
    """A revoked enrollment conflicts with nobody: the other is looked at again."""
    world.cluster.enroll(NODE, addresses=["10.0.0.6"])
    await _woken(world)
    world.cluster.enroll(NODE, addresses=["10.0.0.6"], state="Revoked")

    assert await _woken(world) == ([CSR, "csr-b"], ["node-b"])


async def test_node_wakes_its_requests_and_its_enrollment(world: World) -> None:
    """A Node that comes, changes or goes has requests and status of its name looked at again."""
    world.cluster.store(NODES_PATH, m.node(NODE))
    assert await _woken(world) == ([CSR], [NODE])
    ref = world.facts.node_ref(NODE)
    assert ref is not None
    assert (ref.uid, ref.ready) == (m.node(NODE)["metadata"]["uid"], "True")

    world.cluster.store(NODES_PATH, m.node(NODE, ready="False"))
    assert await _woken(world) == ([CSR], [NODE])

    world.cluster.delete_object(NODES_PATH, NODE)
    assert await _woken(world) == ([CSR], [NODE])
    assert world.facts.node_ref(NODE) is None


async def test_node_without_enrollment_wakes_its_requests_only(world: World) -> None:
    """There is no status to bring up to date for a Node that nobody has enrolled."""
    world.cluster.store(NODES_PATH, m.node("node-z"))

    assert await _woken(world) == ([], [])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (SERVICES_PATH, m.service()),
        (SLICES_PATH, m.api_servers("10.0.0.1")),
        (CIDRS_PATH, m.service_cidr("10.96.0.0/12")),
    ],
)
async def test_the_clusters_own_identities_wake_everybody(world: World, path: str, body: m.Manifest) -> None:
    """What is reserved bears on every request and every enrollment, when it comes and when it goes."""
    world.cluster.store(path, body)
    assert await _woken(world) == ([CSR, "csr-b"], [NODE, "node-b"])

    world.cluster.delete_object(path, "kubernetes")
    assert await _woken(world) == ([CSR, "csr-b"], [NODE, "node-b"])
    assert world.facts.reserved.covering(ip_address("10.96.0.1")) is None
    assert not world.facts.reserved.is_api_server(ip_address("10.0.0.1"))


async def test_the_clusters_own_identities_are_reserved(world: World) -> None:
    """Services, service networks, pod networks and API servers all count."""
    world.cluster.store(SERVICES_PATH, m.service(address="192.0.2.1"))
    world.cluster.store(SLICES_PATH, m.api_servers("10.0.0.1"))
    world.cluster.store(CIDRS_PATH, m.service_cidr("10.96.0.0/12"))
    world.cluster.store(NODES_PATH, m.node("node-z", spec={"podCIDRs": ["10.244.3.0/24"]}))
    await world.sync()

    covering = world.facts.reserved.covering
    assert [covering(ip_address(text)) for text in ("192.0.2.1", "10.97.1.1", "10.244.3.9", "10.0.0.5")] == [
        "kubernetes Service 192.0.2.1/32",
        "service network 10.96.0.0/12",
        "pod network 10.244.3.0/24",
        None,
    ]
    assert world.facts.reserved.is_api_server(ip_address("10.0.0.1"))


async def test_service_networks_from_settings_take_the_objects_place() -> None:
    """With `--service-cidr` no ServiceCIDR is read: clusters before 1.33 have none."""
    async with run_world(Settings(service_cidr=(ip_network("10.96.0.0/12"),))) as world:
        await world.sync()

        assert "servicecidrs" not in {informer.resource for informer in world.facts.informers}
        assert world.facts.reserved.covering(ip_address("10.96.0.1")) == "service network 10.96.0.0/12"


async def test_new_requests_are_queued(world: World) -> None:
    """A request that comes is to be judged."""
    world.cluster.ask(metadata={"name": "csr-c", "uid": "c"})

    assert await _woken(world) == (["csr-c"], [])


async def test_every_list_brings_waiting_requests_again(world: World) -> None:
    """A list has what waits judged again, so nothing that changed unseen stays undecided."""
    await world.sync()

    assert await _queued(world.requests) == [CSR, "csr-b"]


@pytest.mark.parametrize(
    "parts",
    [
        {"status": {"conditions": [{"type": "Approved", "status": "True"}]}},
        {"status": {"certificate": "eA=="}},
        {"metadata": {"deletionTimestamp": "2030-01-01T00:00:00Z"}},
    ],
)
async def test_decided_requests_are_dropped(world: World, parts: m.Manifest) -> None:
    """A request that needs no decision is kept as a name only; it is queued once, so that others forget it."""
    assert world.facts.request(CSR) is not None
    world.cluster.change(CSR_PATH, CSR, **parts)

    assert (await _woken(world))[0] == [CSR]
    assert world.facts.request(CSR) is None
    assert [body["metadata"]["name"] for body in world.facts.undecided()] == ["csr-b"]
    world.cluster.enroll(NODE, addresses=["10.0.0.5"])
    assert (await _woken(world))[0] == []


async def test_decided_requests_take_no_memory(world: World) -> None:
    """However many requests were decided before the start, none of their objects is kept."""
    for number in range(50):
        metadata = {"name": f"old-{number}", "uid": f"o{number}"}
        world.cluster.ask(metadata=metadata)
        world.cluster.change(CSR_PATH, f"old-{number}", status={"certificate": "eA=="})
    await world.sync()

    kept = [body for informer in world.facts._csrs for body in informer.store.values() if body]
    assert len(kept) == 2
    assert await _queued(world.requests) == [CSR, "csr-b"]


async def test_forgotten_requests_leave_nothing(world: World) -> None:
    """Requests that are gone leave no trace in what is woken."""
    for name in (CSR, "csr-b"):
        world.cluster.delete_object(CSR_PATH, name)
    assert (await _woken(world))[0] == [CSR, "csr-b"]

    assert (world.facts._node_of, world.facts._pending) == ({}, {})
    world.facts.forget("never-seen")


async def test_a_request_is_remembered_under_its_newest_node(world: World) -> None:
    """A name that now asks for another node is woken by that one only."""
    world.facts.note_node(CSR, NodeName("node-b"))
    world.cluster.enroll(NODE, addresses=["10.0.0.5"])
    assert (await _woken(world))[0] == []

    world.facts.note_node(CSR, None)
    world.cluster.enroll("node-b", addresses=["10.0.0.6"])
    assert (await _woken(world))[0] == ["csr-b"]


async def test_managed_fields_are_not_kept(world: World) -> None:
    """The largest part of most objects is of no use here."""
    world.cluster.change(CSR_PATH, CSR, metadata={"managedFields": [{"manager": "kubelet"}]})
    await world.sync()

    body = world.facts.request(CSR)
    assert body is not None
    assert "managedFields" not in body["metadata"]


async def test_long_requests_are_cut_in_memory(world: World) -> None:
    """A request may be a megabyte: no more of it is kept than proves that it is too long, and it stays too long."""
    world.cluster.change(CSR_PATH, CSR, spec={"request": "QUFB" * 300_000})
    await world.sync()

    body = world.facts.request(CSR)
    assert body is not None
    assert len(body["spec"]["request"]) == REQUEST_KEPT
    for kept in (body, world.cluster.objects[CSR_PATH][CSR]):
        assert (parse_csr(kept).encoding_fault or "").endswith(" bytes")


class _Ageing:
    """Monotonic seconds that move only when told, for chosen resources."""

    def __init__(self, world: World, *resources: str) -> None:
        self.moment = 1000.0
        for informer in world.facts.informers:
            if informer.resource in resources:
                informer._time = informer._health._time = lambda: self.moment


_STALE = [
    ("nodeenrollments", {Fact.ENROLLMENT, Fact.CLAIMS}),
    ("nodes", {Fact.NODE}),
    ("services", {Fact.RESERVED}),
    ("endpointslices", {Fact.RESERVED}),
    ("servicecidrs", {Fact.RESERVED}),
    ("certificatesigningrequests", set[Fact]()),
]


@pytest.mark.parametrize(("resource", "missing"), _STALE)
async def test_stale_stores_make_facts_missing(world: World, resource: str, missing: set[Fact]) -> None:
    """A store that has heard nothing for too long is no source of facts, until it is listed again."""
    ageing = _Ageing(world, resource)
    await world.sync()
    csr = parse_csr(world.facts.request(CSR))
    ageing.moment += FRESH_S
    assert world.facts.case(csr, None).missing == set()

    ageing.moment += 1
    assert world.facts.case(csr, None).missing == missing
    assert world.facts.is_known() == (not missing)
    assert (world.facts.known_enrollment(csr) is None) == (Fact.ENROLLMENT in missing)

    await world.sync()
    assert world.facts.case(csr, None).missing == set()


async def test_before_the_first_list_everything_is_missing() -> None:
    """A store that was never listed knows nothing, which is not the same as knowing that there is nothing."""
    async with run_world() as world:
        csr = parse_csr(world.cluster.ask())

        assert world.facts.case(csr, None).missing == set(Fact)
        assert not world.facts.is_known()
        assert world.facts.last_seen() == {}


async def test_last_signs_of_life_are_the_oldest_of_each_resource(world: World) -> None:
    """Two watches share the requests; the one that is older counts."""
    seen = world.facts.last_seen()
    assert set(seen) == {resource for resource, _ in _STALE}

    first = world.facts._csrs[0]
    first._health.last_seen -= 50

    assert seen["certificatesigningrequests"] - world.facts.last_seen()["certificatesigningrequests"] > 40


async def test_phases_are_counted_from_the_store(world: World) -> None:
    """Every phase has a number, none included; an enrollment without one is pending."""
    world.cluster.change(ENROLLMENT_PATH, NODE, status={"phase": "Suspended"})
    await world.sync()

    assert world.facts.phases() == dict.fromkeys(Phase, 0) | {Phase.SUSPENDED: 1, Phase.PENDING: 1}


async def test_busy_while_requests_wait(world: World) -> None:
    """Bookkeeping asks whether decisions are waiting."""
    assert not world.facts.is_busy()
    world.requests.add(CSR)
    assert world.facts.is_busy()


async def test_case_has_the_facts_of_its_node(world: World) -> None:
    """A case is made of the Node and the enrollment that its subject names; a subject without a name has neither."""
    world.cluster.store(NODES_PATH, m.node(NODE))
    world.cluster.ask(metadata={"name": "csr-bad", "uid": "bad"}, node="NOT-A-NAME")
    await world.sync()
    csr, bad = parse_csr(world.facts.request(CSR)), parse_csr(world.facts.request("csr-bad"))

    case = world.facts.case(csr, world.facts.known_enrollment(csr))
    assert case.node is not None
    assert case.enrollment is not None
    assert (case.node.name, case.enrollment.name) == (NODE, NODE)
    assert world.facts.case(bad, None).node is None
    assert world.facts.known_enrollment(bad) is None


async def test_malformed_enrollment_is_left_out(world: World) -> None:
    """An enrollment that cannot be read authorises nothing, and is counted."""
    world.cluster.enroll(NODE, addresses=["10.0.0.5"], state="Odd")

    assert (await _woken(world))[0] == [CSR]
    assert world.facts.enrollment(NODE) is None
    labels = {"resource": "nodeenrollments"}
    assert world.metrics.registry.get_sample_value("nodegate_objects_skipped_total", labels) == 1


async def test_unprocessed_enrollments_reach_the_status_queue(world: World) -> None:
    """A new enrollment is kopf's first and the queue's two seconds later; a changed one goes there at once."""
    world.cluster.enroll("node-new", processed=False)
    await world.sync()

    assert world.due_s(world.statuses, "node-new") == pytest.approx(KOPF_FIRST_S, abs=1)

    world.cluster.change(ENROLLMENT_PATH, "node-new", status={"observedGeneration": 1})
    world.cluster.enroll("node-new", processed=False, state="Suspended")
    await world.sync()

    assert "node-new" in world.statuses._queued


async def test_a_node_that_was_there_first_reaches_the_status_queue(world: World) -> None:
    """An enrollment whose status does not show the Node that is there is looked at, whichever came first."""
    world.cluster.store(NODES_PATH, m.node("node-new"))
    assert (await _woken(world))[1] == []

    seen = world.cluster.enroll("node-new")
    assert seen["status"]["observedGeneration"] == seen["metadata"]["generation"]
    assert (await _woken(world))[1] == ["node-new"]


async def test_bulky_metadata_is_not_kept(world: World) -> None:
    """A held request's large annotations are left out of memory, marked, and read again before a write."""
    world.cluster.ask(metadata={"name": "csr-big", "uid": "big", "annotations": {"a": "x" * 100_000}})
    await world.sync()
    body = world.facts.request("csr-big")

    assert body is not None
    assert "annotations" not in body["metadata"]
    assert body[TRIMMED]
