"""The whole operator in this process, against a cluster in memory: from its start to its end."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import aiohttp
import pytest

from nodegate.enrollment.apply import ENROLLMENT_PATH
from nodegate.errors import SettingsInvalid
from nodegate.settings import Settings
from nodegate.startup import Operator
from tests.unit.fake_cluster import CSR, NODE, Cluster, run_cluster
from tests.unit.kube.fake_api import hang, until
from tests.unit.running import Run

pytestmark = pytest.mark.usefixtures("untuned")

LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"


@pytest.fixture(name="cluster")
async def _cluster() -> AsyncIterator[Cluster]:
    """A cluster with an enrollment that nobody has looked at and a request of its node."""
    async with run_cluster() as cluster:
        cluster.enroll(processed=False, bootstrap={"tokenID": "abcdef"})
        cluster.ask()
        yield cluster


@pytest.fixture(name="run")
async def _run(cluster: Cluster) -> AsyncIterator[Run]:
    """An operator that has begun."""
    run = Run(cluster)
    yield run
    await run.close()


async def test_from_start_to_sigterm(cluster: Cluster, run: Run) -> None:
    """The status is written, the request approved, both probes content, the state shown; SIGTERM ends it with 0."""
    await until(lambda: cluster.conditions() == [("Approved", "BootstrapApproved")])
    await until(lambda: cluster.enrollment()["status"].get("phase") == "Ready")

    assert await run.get("/healthz") == (200, "ok\n")
    assert await run.get("/readyz") == (200, "ok\n")
    metrics = (await run.get("/metrics"))[1]
    assert 'nodegate_enrollments{phase="Pending"}' in metrics
    assert "nodegate_leader 1.0" in metrics
    os.kill(os.getpid(), signal.SIGTERM)

    assert await asyncio.wait_for(run.task, 20) == 0


async def test_waits_for_every_store(cluster: Cluster, run: Run) -> None:
    """As long as one store has not been listed nothing is judged, and the process is alive but not ready."""
    cluster.answers["list nodes"].extend([hang] * 20)
    await until(lambda: "list nodes" in cluster.asked)

    code, text = await run.get("/readyz")
    assert (code, "no fresh view" in text) == (503, True)
    assert (await run.get("/healthz"))[0] == 200
    assert cluster.conditions() == []
    run.operator._stopping.set()
    assert await asyncio.wait_for(run.task, 20) == 0


async def test_gauges_of_waiting_requests(cluster: Cluster, run: Run) -> None:
    """A held request is pending, held by its reason, and grows old."""
    cluster.enroll(processed=False, state="Suspended")
    await until(lambda: run.operator._reports.held() == {"enrollment_suspended": 1})
    text = (await run.get("/metrics"))[1]

    assert 'nodegate_csr_held{reason="enrollment_suspended"} 1.0' in text
    assert 'nodegate_csr_pending{signer="kubernetes.io/kube-apiserver-client-kubelet"} 1.0' in text
    assert 'nodegate_csr_pending{signer="kubernetes.io/kubelet-serving"} 0.0' in text


async def test_a_part_that_ends_ends_the_process(cluster: Cluster, run: Run) -> None:
    """When a part ends that should run, the process ends with 1 and the kubelet starts it anew."""
    await until(lambda: cluster.conditions() != [])
    run.operator._requests.close()

    assert await asyncio.wait_for(run.task, 20) == 1
    assert (await run.get("/healthz")) == (503, "requests has ended\n")


async def test_the_lead_is_held_while_the_stores_fill(cluster: Cluster) -> None:
    """Listing may take longer than a Lease lasts: it is renewed from the moment it is taken."""
    cluster.answers["list nodes"].extend([hang] * 20)
    run = Run(cluster, leader_elect=True, lease_namespace="kube-system")

    await until(lambda: cluster.asked.count("update leases") >= 2)

    assert run.operator._elector is not None
    assert run.operator._elector.is_leader
    assert cluster.conditions() == []
    await run.close()


async def test_a_lead_lost_while_the_stores_fill_ends_the_process(cluster: Cluster) -> None:
    """Who no longer leads before it has begun to judge never begins."""
    cluster.answers["list nodes"].extend([hang] * 20)
    run = Run(cluster, leader_elect=True, lease_namespace="kube-system")
    await until(lambda: "nodegate" in cluster.objects[LEASES])
    spec = cluster.objects[LEASES]["nodegate"]["spec"] | {"holderIdentity": "another"}
    cluster.put_object(LEASES, "nodegate", spec=spec)

    assert await asyncio.wait_for(run.task, 20) == 1
    assert cluster.conditions() == []
    await run.close()


async def test_a_standby_judges_nothing_and_is_ready(cluster: Cluster) -> None:
    """A standby holds only the election and its endpoints, and is ready to take over; it stops with 0."""
    fields = {"leaseDurationSeconds": 15, "leaseTransitions": 0}
    times = dict.fromkeys(("acquireTime", "renewTime"), "2030-01-31T12:00:00.000000Z")
    cluster.put_object(LEASES, "nodegate", spec={"holderIdentity": "another", **fields, **times})
    run = Run(cluster, leader_elect=True, lease_namespace="kube-system")
    await until(lambda: "get leases" in cluster.asked)

    assert await run.get("/readyz") == (200, "ok\n")
    assert "nodegate_leader 0.0" in (await run.get("/metrics"))[1]
    assert not [call for call in cluster.asked if "leases" not in call]
    run.operator._stopping.set()
    assert await asyncio.wait_for(run.task, 20) == 0
    await run.close()


async def test_leading_needs_a_namespace(cluster: Cluster) -> None:
    """Where the Lease would live has to be known, before any connection is opened."""
    with pytest.raises(SettingsInvalid, match="--lease-namespace"):
        Operator(Settings(leader_elect=True), cluster.credentials())


async def test_revocation_is_seen_by_the_running_operator(cluster: Cluster, run: Run) -> None:
    """A request that is made after a revocation is denied, whatever the stores knew before."""
    await until(lambda: cluster.conditions() != [])
    cluster.enroll(processed=False, bootstrap={"tokenID": "abcdef"}, state="Revoked")
    cluster.ask(metadata={"name": "csr-2", "uid": "two"}, key="p256-b")

    await until(lambda: cluster.conditions("csr-2") == [("Denied", "EnrollmentRevoked")])
    assert not run.task.done()
    assert cluster.conditions(CSR) == [("Approved", "BootstrapApproved")]
    assert NODE in cluster.objects[ENROLLMENT_PATH]


async def test_metrics_are_guarded_unless_told_otherwise(cluster: Cluster) -> None:
    """Without --insecure-metrics a scrape is over TLS and needs a token whose owner may read it."""
    cluster.owners["prometheus"] = {"username": "prometheus"}
    cluster.may = lambda spec: "nonResourceAttributes" in spec
    run = Run(cluster, insecure_metrics=False)
    await until(lambda: run.operator._server.metrics_port > 0)
    url = f"https://127.0.0.1:{run.operator._server.metrics_port}/metrics"
    codes = []
    async with aiohttp.ClientSession() as session:
        for headers in ({}, {"Authorization": "Bearer other"}, {"Authorization": "Bearer prometheus"}):
            async with session.get(url, headers=headers, ssl=False) as response:
                codes.append(response.status)

    assert codes == [401, 401, 200]
    assert (await run.get("/metrics"))[0] == 404
    await run.close()


async def test_a_competing_approver_is_seen_at_start(cluster: Cluster, run: Run) -> None:
    """The first check comes with the first decisions, and its event is posted."""
    cluster.may = lambda spec: bool(spec["resourceAttributes"]["subresource"] == "nodeclient")
    await until(lambda: cluster.asked.count("create subjectaccessreviews") == 2)
    await until(lambda: any(body["reason"] == "ApprovalBypassed" for body in cluster.bodies["create events"]))

    text = (await run.get("/metrics"))[1]
    assert 'nodegate_competing_approver{kind="bootstrap"} 1.0' in text
    assert 'nodegate_competing_approver{kind="renewal"} 0.0' in text
    assert (await run.get("/readyz"))[0] == 200
