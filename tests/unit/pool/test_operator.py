"""The whole operator with pools in this process, and what kopf calls for pools."""

from typing import Any

import kopf
import pytest

from nodegate.pool.apply import POOL_PATH
from nodegate.pool.handlers import register
from tests.unit.kube.fake_api import until
from tests.unit.pool.fleet import PoolCluster, run_pool_cluster
from tests.unit.pool.samples import pool_body
from tests.unit.running import Run


def _ready(cluster: PoolCluster) -> bool:
    status: dict[str, Any] = cluster.objects[POOL_PATH]["fleet"].get("status", {})
    return status.get("nodes") == 1 and status.get("observedGeneration") == 1


@pytest.mark.usefixtures("untuned")
async def test_a_fleet_joins_from_the_first_list_to_the_status() -> None:
    """With the flag the pool's node is enrolled and approved, and the pool counts it."""
    async with run_pool_cluster() as cluster:
        cluster.pool()
        cluster.ask()
        run = Run(cluster, pools=True)
        try:
            await until(lambda: cluster.conditions() == [("Approved", "BootstrapApproved")])
            await until(lambda: _ready(cluster))
        finally:
            await run.close()


@pytest.mark.usefixtures("untuned")
async def test_without_the_flag_pools_are_never_asked_for() -> None:
    """Off by default: no list of pools, no enrollment, and the request is held."""
    async with run_pool_cluster() as cluster:
        cluster.pool()
        cluster.ask()
        run = Run(cluster)
        try:
            await until(lambda: bool(run.operator._reports.held()))
        finally:
            await run.close()
        assert not [call for call in cluster.asked if "pools" in call or call.startswith("create nodeenrollments")]


async def test_kopf_has_the_status_of_a_pool_looked_at() -> None:
    """Creation and change call for the pool by name."""
    looked: list[str] = []
    registry = kopf.OperatorRegistry()
    register(registry, looked.append)
    body: Any = kopf.Body(pool_body())  # type: ignore[arg-type]  # kopf's own form of an object
    for handler in registry._changing.get_all_handlers():
        await handler.fn(body=body)  # type: ignore[call-arg,misc]  # kopf passes a dozen more that are not used
    assert looked == ["fleet", "fleet"]
