"""Published ways in which approvers came to a standstill, each tried on the whole operator in this process.

A cluster in memory breaks as the report tells; what must follow is an approval, without anybody restarting
anything. Rules: a test is named after its report; `docs/known-bugs.md` lists them.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from hack.vectors import manifests as m
from nodegate.clock import now
from nodegate.csr.apply import CSR_PATH
from tests.unit.fake_cluster import APPROVE, NODES_PATH, Cluster, run_cluster, run_world
from tests.unit.kube.fake_api import drop, event, lines, status, until
from tests.unit.running import Run

pytestmark = pytest.mark.usefixtures("untuned")

WATCH, LIST = "watch certificatesigningrequests", "list certificatesigningrequests"
APPROVED = [("Approved", "BootstrapApproved")]
MANY = 150
"""More than the hundred beyond the nodes at which another approver stopped for everybody."""


@pytest.fixture(name="cluster")
async def _cluster() -> AsyncIterator[Cluster]:
    """A cluster in which node-a is enrolled."""
    async with run_cluster() as cluster:
        cluster.enroll(bootstrap={"tokenID": "abcdef"})
        yield cluster


@pytest.fixture(name="run")
async def _run(cluster: Cluster) -> AsyncIterator[Run]:
    """An operator that follows the cluster."""
    run = Run(cluster)
    await until(lambda: len(cluster.following[CSR_PATH]) > 0)
    yield run
    await run.close()


def _end_streams(cluster: Cluster, path: str = CSR_PATH) -> None:
    for waiting in list(cluster.following[path]):
        waiting.put_nowait(None)


async def test_cma_40_a_request_is_never_dropped_for_coming_early(cluster: Cluster, run: Run) -> None:
    """A request that came before what allows it is judged again when that comes, with no restart."""
    cluster.ask(node="node-late")
    await until(lambda: run.operator._reports.held() == {"not_enrolled": 1})

    cluster.enroll("node-late", bootstrap={"tokenID": "abcdef"})

    await until(lambda: cluster.conditions() == APPROVED)


async def test_k0s_8204_a_failed_approval_is_tried_again(cluster: Cluster, run: Run) -> None:
    """An approval that the API server fails twice and once loses is written in the end."""
    cluster.answers[APPROVE].extend([status(500, "InternalError"), drop, status(503, "ServiceUnavailable")])
    cluster.ask()

    await until(lambda: cluster.conditions() == APPROVED)
    assert cluster.asked.count(APPROVE) >= 4
    assert run.operator._reports.problem is None


async def test_k0s_8333_a_request_that_cannot_be_read_blocks_no_other(cluster: Cluster, run: Run) -> None:
    """What comes first by name and cannot be read keeps nobody else's request from being judged."""
    broken = m.signing_request(None, {"signerName": m.CLIENT, "usages": "no list"}, metadata={"name": "a-first"})
    cluster.store(CSR_PATH, broken)
    cluster.ask()

    await until(lambda: cluster.conditions() == APPROVED)
    assert not run.task.done()


async def test_castai_151_what_waited_during_a_restart_is_judged(cluster: Cluster, run: Run) -> None:
    """A request made while no operator ran is approved by the next one, though no watch ever told of it."""
    await run.close()
    cluster.ask()
    after = Run(cluster)
    try:
        await until(lambda: cluster.conditions() == APPROVED)
    finally:
        await after.close()


async def test_cma_310_duplicates_stop_nobody_and_press_nobody(cluster: Cluster, run: Run) -> None:
    """A kubelet's abandoned requests pile up: others are approved, and only the newest counts as waiting."""
    old = (now() - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for number in range(MANY):
        cluster.ask(node="stranger", metadata={"name": f"again-{number}", "creationTimestamp": old})
    cluster.ask(node="stranger", metadata={"name": "newest"})
    await until(lambda: run.operator._reports.held() == {"not_enrolled": MANY + 1})
    cluster.ask()

    await until(lambda: cluster.conditions() == APPROVED)
    assert run.operator._snapshot().oldest_pending_age_s < timedelta(minutes=15).total_seconds()


async def test_cma_152_everybody_may_renew_at_once(cluster: Cluster, run: Run) -> None:
    """The simultaneous renewals of a whole fleet are approved; no number of pending requests stops them."""
    nodes = [f"fleet-{number}" for number in range(MANY)]
    for node in nodes:
        cluster.enroll(node)
        cluster.store(NODES_PATH, m.node(node))
    await until(lambda: len(run.operator._facts.enrollments.store) > MANY)
    for node in nodes:
        name = {"name": f"csr-{node}"}
        cluster.ask(node=node, username=f"system:node:{node}", groups=m.NODE_GROUPS, metadata=name)

    expected = [("Approved", "RenewalApproved")]
    await until(lambda: all(cluster.conditions(f"csr-{node}") == expected for node in nodes), 60)


async def test_kopf_996_resets_while_the_watch_is_opened_end_nothing(cluster: Cluster, run: Run) -> None:
    """A watch whose connection is reset at every try is opened again, and what it then tells is judged."""
    cluster.answers[WATCH].extend([drop] * 3)
    _end_streams(cluster)
    await until(lambda: not cluster.answers[WATCH] and bool(cluster.following[CSR_PATH]))
    cluster.ask()

    await until(lambda: cluster.conditions() == APPROVED)
    await until(lambda: not run.operator._problems())


async def test_kopf_787_an_error_in_the_stream_ends_nothing(cluster: Cluster, run: Run) -> None:
    """ERROR events of every kind, told one after another, leave an operator that follows as before."""
    errors = [{"kind": "Status", "code": code, "reason": "Told"} for code in (410, 500, 403)]
    cluster.answers[WATCH].extend([lines(event("ERROR", error)) for error in errors])
    _end_streams(cluster)
    await until(lambda: not cluster.answers[WATCH] and bool(cluster.following[CSR_PATH]))
    cluster.ask()

    await until(lambda: cluster.conditions() == APPROVED)
    assert not run.task.done()


async def test_kopf_204_a_watch_that_tells_nothing_is_not_relied_on(cluster: Cluster) -> None:
    """Where no watch ever tells anything, the LIST that comes at intervals finds the request."""

    async def silent(request: Any) -> Any:
        response = aiohttp.web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        await asyncio.sleep(3600)
        return response

    cluster.answers[WATCH].extend([silent] * 1000)
    run = Run(cluster, relist_seconds=0.2)
    try:
        await until(lambda: WATCH in cluster.asked)
        cluster.ask()
        await until(lambda: cluster.conditions() == APPROVED)
    finally:
        await run.close()


async def test_kopf_762_a_dead_watch_fails_the_probe(cluster: Cluster, run: Run) -> None:
    """When what follows a collection has ended, the probe fails and the process ends: no green light over it."""
    await until(lambda: len(cluster.watchers) > 0)
    next(task for task in run.operator._tasks if task.get_name() == "informer").cancel()

    await until(run.task.done)
    code, text = await run.get("/healthz")
    assert (code, "informer has ended" in text) == (503, True)


async def test_kubernetes_132947_an_approval_that_nobody_issues_is_left_alone() -> None:
    """Approved and never issued, a request costs no call however often it is listed, and waits in no memory."""
    async with run_world() as world:
        world.cluster.enroll(bootstrap={"tokenID": "abcdef"})
        world.cluster.ask()
        await world.sync()
        await world.judge()
        assert world.cluster.conditions() == APPROVED
        for _ in range(3):
            await world.sync()
            assert await world.judge() == []
        assert list(world.facts.undecided()) == []
        assert world.flow._written == {}
