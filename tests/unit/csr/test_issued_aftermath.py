"""What decided requests tell of a node, through the stores to the enrollment's status, counters and events."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from hack.vectors import manifests as m
from hack.vectors.request import Request
from nodegate.csr.apply import CSR_PATH
from nodegate.csr.findings import FindingReports
from nodegate.csr.issued import read_certificate
from nodegate.enrollment.apply import ENROLLMENT_PATH
from tests.unit.csr.certificates import FOREIGN, SERVER_AUTH, SIGNED, decided, encoded, issue, names_of
from tests.unit.fake_cluster import CSR, NODE, RECORD, World, run_world

REQUEST = Request()
AGAIN = Request(key="p256-b")
NODE_SPEC: dict[str, Any] = {"username": f"system:node:{NODE}", "groups": m.NODE_GROUPS}


@pytest.fixture(name="world")
async def _world() -> AsyncIterator[World]:
    """One enrolled node; findings are told from now on."""
    async with run_world() as world:
        world.cluster.enroll(NODE)
        await world.sync()
        _listen(world)
        yield world


def _listen(world: World) -> None:
    world.facts.aftermath.listen(FindingReports(world.metrics, world.outbox, world.facts.enrollment).tell)


async def _settle(world: World) -> int:
    """List what there is, write the node's status, list again; return how many patches that took."""
    await world.sync()
    while world.requests.depth:  # Bookkeeping yields to requests that wait.
        world.requests.done(await world.requests.get())
    await world.enrollments.handle(NODE)
    patches = world.cluster.asked.count(RECORD)
    await world.sync()
    return patches


def _held(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.cluster.enrollment()["status"].get("certificates", {})
    return found


def _condition(world: World, kind: str) -> tuple[str, str] | None:
    conditions = world.cluster.enrollment()["status"]["conditions"]
    return next(((c["status"], c["reason"]) for c in conditions if c["type"] == kind), None)


def _count(world: World, name: str) -> float:
    return world.metrics.registry.get_sample_value(f"nodegate_{name}_total") or 0.0


def _sha(certificate: Any) -> str:
    issued, _ = read_certificate(encoded(certificate))
    assert issued is not None
    return issued.sha256


async def test_own_approval_is_known_and_recorded(world: World) -> None:
    """A request that this process approved is no foreign approval, and its certificate stands in the status."""
    world.cluster.ask()
    await world.sync()
    await world.judge()
    certificate = issue(REQUEST)
    world.cluster.change(CSR_PATH, CSR, status={"certificate": encoded(certificate)})
    await _settle(world)

    assert world.cluster.conditions() == [("Approved", "BootstrapApproved")]
    assert _held(world) == {
        "client": {
            "serial": f"{certificate.serial_number:x}",
            "notAfter": "2031-01-31T12:00:00Z",
            "sha256": _sha(certificate),
            "seen": False,
            "csrName": CSR,
        }
    }
    assert _count(world, "foreign_approvals") == 0
    assert _condition(world, "ApprovalBypassed") is None


async def test_a_forged_approval_is_foreign(world: World) -> None:
    """Our words under an approval that this process has not written are somebody else's."""
    world.cluster.store(CSR_PATH, decided(REQUEST))
    await _settle(world)

    assert _count(world, "foreign_approvals") == 1
    assert _condition(world, "ApprovalBypassed") == ("True", "ForeignApproval")


async def test_a_foreign_approval_is_told_once(world: World) -> None:
    """It is counted and told once, on the enrollment, though the request changes and is listed again."""
    world.cluster.store(CSR_PATH, decided(REQUEST, approval=FOREIGN))
    await _settle(world)
    world.cluster.store(CSR_PATH, decided(REQUEST, issue(REQUEST), approval=FOREIGN))
    await _settle(world)

    assert _count(world, "foreign_approvals") == 1
    assert world.events() == [("Verify", "ApprovalBypassed")]
    assert world.outbox._waiting[0].regarding["kind"] == "NodeEnrollment"
    message = next(c for c in world.cluster.enrollment()["status"]["conditions"] if c["type"] == "ApprovalBypassed")
    assert "AutoApproved" in message["message"]
    assert message["lastTransitionTime"] == "2030-01-31T12:00:00Z"
    assert _held(world)["client"]["csrName"] == CSR


async def test_a_foreign_approval_without_an_enrollment_is_told_on_the_request(world: World) -> None:
    """Where nobody is enrolled the event stands on the request."""
    stranger = Request(common_name="system:node:node-z")
    world.cluster.store(CSR_PATH, decided(stranger, approval=FOREIGN))
    await world.sync()

    assert _count(world, "foreign_approvals") == 1
    assert world.outbox._waiting[0].regarding["kind"] == "CertificateSigningRequest"


async def test_own_approval_ends_a_bypass(world: World) -> None:
    """The condition is over when a later approval of the node is ours, and not before."""
    world.cluster.store(CSR_PATH, decided(REQUEST, approval=FOREIGN))
    await _settle(world)
    renewal: dict[str, Any] = {"metadata": {"name": "csr-2", "uid": "2"}, **NODE_SPEC}
    world.facts.intend("csr-2", "2")
    world.cluster.store(CSR_PATH, decided(AGAIN, at=SIGNED + timedelta(seconds=1), **renewal))
    await _settle(world)

    assert _condition(world, "ApprovalBypassed") == ("False", "OwnApproval")
    world.cluster.delete_object(CSR_PATH, "csr-2")
    world.cluster.delete_object(CSR_PATH, CSR)
    assert await _settle(world) == 0


async def test_what_was_there_at_the_start_is_history() -> None:
    """Requests decided before anybody listens make no event and no count, but their certificates are recorded."""
    async with run_world() as world:
        world.cluster.enroll(NODE)
        world.cluster.store(CSR_PATH, decided(REQUEST, issue(REQUEST, ca=True)))
        world.cluster.store(CSR_PATH, decided(AGAIN, approval=FOREIGN, metadata={"name": "csr-2", "uid": "2"}))
        await world.sync()
        _listen(world)
        await _settle(world)
        world.cluster.change(CSR_PATH, "csr-2", metadata={"labels": {"a": "b"}})
        await _settle(world)

        assert world.events() == []
        assert _count(world, "foreign_approvals") == _count(world, "issued_mismatch") == 0
        assert _held(world)["client"]["csrName"] == CSR
        assert _condition(world, "IssuedMismatch") == ("True", "ClientCertificateDiffers")


async def test_a_renewal_is_a_line_and_seen(world: World) -> None:
    """A newer certificate names the one before, and is seen when a request was made with it, once."""
    first, second = issue(REQUEST), issue(AGAIN, begins=SIGNED + timedelta(hours=1))
    world.cluster.store(CSR_PATH, decided(REQUEST, first))
    await _settle(world)
    renewal: dict[str, Any] = {**NODE_SPEC, **m.credential(_sha(first))}
    world.cluster.store(CSR_PATH, decided(AGAIN, second, metadata={"name": "csr-2", "uid": "2"}, **renewal))
    await _settle(world)
    held = _held(world)["client"]
    assert (held["sha256"], held["previousSHA256"], held["seen"]) == (_sha(second), _sha(first), False)

    world.cluster.ask_again(metadata={"name": "csr-3", "uid": "3"}, **m.credential(_sha(second)))
    await _settle(world)
    assert _held(world)["client"] == {**held, "seen": True}
    assert await _settle(world) == 0


async def test_a_record_never_goes_back(world: World) -> None:
    """When the newest request is deleted first, the one before it does not become the record again."""
    first, second = issue(REQUEST), issue(AGAIN, begins=SIGNED + timedelta(hours=1))
    world.cluster.store(CSR_PATH, decided(REQUEST, first))
    world.cluster.store(CSR_PATH, decided(AGAIN, second, metadata={"name": "csr-2", "uid": "2"}, **NODE_SPEC))
    await _settle(world)
    world.cluster.delete_object(CSR_PATH, "csr-2")

    assert await _settle(world) == 0
    assert _held(world)["client"]["sha256"] == _sha(second)


async def test_a_mismatch_is_told_on_both_and_mended_by_the_next(world: World) -> None:
    """It is counted once, told on enrollment and request, and over with a certificate that is as approved."""
    world.facts.intend(CSR, decided(REQUEST)["metadata"]["uid"])
    world.cluster.store(CSR_PATH, decided(REQUEST, issue(REQUEST, ca=True)))
    await _settle(world)
    assert _count(world, "issued_mismatch") == 1
    assert world.events() == [("Verify", "IssuedMismatch")] * 2
    assert _condition(world, "IssuedMismatch") == ("True", "ClientCertificateDiffers")
    assert _held(world)["client"]["csrName"] == CSR

    later = SIGNED + timedelta(hours=1)
    world.facts.intend("csr-2", "2")
    renewal: dict[str, Any] = {"metadata": {"name": "csr-2", "uid": "2"}, **NODE_SPEC}
    world.cluster.store(CSR_PATH, decided(AGAIN, issue(AGAIN, begins=later), at=later, **renewal))
    await _settle(world)
    assert _condition(world, "IssuedMismatch") == ("False", "Mended")


async def test_a_foreign_mismatch_is_no_lineage(world: World) -> None:
    """A certificate that nobody of ours approved and that is not what was requested is told and not recorded."""
    world.cluster.store(CSR_PATH, decided(REQUEST, issue(REQUEST, key="p256-b"), approval=FOREIGN))
    await _settle(world)

    assert _count(world, "issued_mismatch") == 1
    assert _held(world) == {}


async def test_a_refusal_of_the_signer_is_told(world: World) -> None:
    """An approval of ours that fails is counted and a condition; one of somebody else's is not our failure."""
    world.facts.intend(CSR, decided(REQUEST)["metadata"]["uid"])
    world.cluster.store(CSR_PATH, decided(REQUEST, failed="invalid usages"))
    await _settle(world)
    assert _count(world, "signer_failures") == 1
    assert _condition(world, "SignerRefused") == ("True", "ClientRequestFailed")

    other: dict[str, Any] = {"metadata": {"name": "csr-2", "uid": "2"}, "approval": FOREIGN}
    world.cluster.store(CSR_PATH, decided(AGAIN, failed="invalid usages", **other))
    await _settle(world)
    assert _count(world, "signer_failures") == 1


async def test_a_serving_certificate_is_a_condition(world: World) -> None:
    """A recorded serving certificate shows, with its end."""
    asked = Request(alt_names=[b"\x82\x06node-a"])
    spec: dict[str, Any] = {"signerName": m.SERVING, "usages": ["digital signature", "server auth"], **NODE_SPEC}
    world.cluster.store(CSR_PATH, decided(asked, issue(asked, usages=[SERVER_AUTH], names=names_of("node-a")), **spec))
    await _settle(world)

    assert _condition(world, "ServingCertificateIssued") == ("True", "Issued")
    assert _held(world)["serving"]["notAfter"] == "2031-01-31T12:00:00Z"
    world.cluster.enroll(NODE, serving={"approve": False})
    await _settle(world)
    assert _condition(world, "ServingCertificateIssued") == ("False", "ServingNotApproved")


async def test_a_gone_request_leaves_nothing(world: World) -> None:
    """Of a request that is deleted nothing stays in memory, and of strangers' requests nothing is kept at all."""
    world.cluster.store(CSR_PATH, decided(REQUEST, issue(REQUEST), **(NODE_SPEC | m.credential("a" * 64))))
    world.cluster.ask(metadata={"name": "csr-2", "uid": "2"})
    await world.sync()
    assert list(world.facts.aftermath._known) == [CSR]
    world.cluster.delete_object(CSR_PATH, CSR)
    await world.sync()

    assert (world.facts.aftermath._known, world.facts.aftermath._names) == ({}, {})


async def test_what_cannot_be_read_tells_nothing(world: World) -> None:
    """An object with a field of a wrong type disturbs nobody."""
    body = decided(REQUEST, issue(REQUEST), approval=FOREIGN)
    body["spec"]["usages"] = "client auth"
    world.cluster.store(CSR_PATH, body)
    await _settle(world)

    assert world.events() == []
    assert _held(world) == {}


async def test_the_earliest_end_is_that_of_nodes_in_the_cluster(world: World) -> None:
    """The gauge has the first end of each kind, and leaves out enrollments without a Node."""
    world.cluster.store(CSR_PATH, decided(REQUEST, issue(REQUEST)))
    await _settle(world)
    assert world.facts.earliest_expiry() == {}

    world.cluster.store("/api/v1/nodes", m.node(NODE))
    record = {"sha256": "b" * 64, "notAfter": "2040-01-01T00:00:00Z"}
    world.cluster.enroll("node-b")
    world.cluster.change(ENROLLMENT_PATH, "node-b", status={"certificates": {"client": record}})
    world.cluster.store("/api/v1/nodes", m.node("node-b"))
    await world.sync()
    assert world.facts.earliest_expiry() == {"client": (SIGNED + timedelta(days=365)).timestamp()}


async def test_many_decided_requests_are_written_only_where_something_changed(world: World) -> None:
    """Three hundred decided requests and a second start cost no status write, because the statuses say it already."""
    for number in range(300):
        asked = Request(common_name=f"system:node:node-{number}")
        metadata = {"name": f"csr-{number}", "uid": f"u-{number}"}
        world.cluster.store(CSR_PATH, decided(asked, issue(asked), metadata=metadata))
        world.cluster.enroll(f"node-{number}")
    await world.sync()
    for _ in range(2):
        world.cluster.asked.clear()
        for number in range(300):
            await world.enrollments.handle(f"node-{number}")
        written = world.cluster.asked.count(RECORD)
        await world.sync()

    assert written == 0
    assert len(world.cluster.enrollment("node-299")["status"]["certificates"]["client"]["sha256"]) == 64
