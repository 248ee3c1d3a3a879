"""The fake cluster with pools in it, and the program's own parts with pools switched on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry

from hack.vectors import manifests as m
from hack.vectors.request import Request
from nodegate.clock import now
from nodegate.csr.apply import CSR_PATH
from nodegate.csr.decide import judge
from nodegate.csr.flow import RequestFlow
from nodegate.enrollment.apply import ENROLLMENT_PATH
from nodegate.enrollment.parse import parse_enrollment
from nodegate.facts import LiveFacts
from nodegate.kube.client import ApiClient
from nodegate.kube.work import WorkQueue
from nodegate.metrics import Metrics
from nodegate.pool.apply import POOL_PATH
from nodegate.pool.flow import PoolFlow
from nodegate.pool.index import PoolIndex
from nodegate.settings import Settings
from tests.unit.fake_cluster import CSR, Cluster, World, _kinds, _merge, served
from tests.unit.kube.fake_api import status
from tests.unit.pool.samples import pool_body

LIST_POOLS, CREATE, GET_NODE = "list nodeenrollmentpools", "create nodeenrollments", "get nodes"
PATCH_ENROLLMENT, PATCH_POOL = "patch nodeenrollments", "patch nodeenrollmentpools/status"
READ_ENROLLMENT = "get nodeenrollments"
SERVING = {"signerName": m.SERVING, "usages": ["digital signature", "server auth"], "groups": m.NODE_GROUPS}


class PoolCluster(Cluster):
    """The cluster of the other tests, with pools and with enrollments that can be created."""

    def pool(self, name: str = "fleet", **spec: Any) -> dict[str, Any]:
        """Apply a pool."""
        known = self.objects[POOL_PATH].get(name)
        body = pool_body(name, **spec)
        body["metadata"]["generation"] = known["metadata"]["generation"] + 1 if known else 1
        return self.store(POOL_PATH, {**body, **({"status": known["status"]} if known and "status" in known else {})})

    def serving(self, *alt_names: bytes, node: str = "node-a", name: str = CSR, key: str = "p256-a") -> dict[str, Any]:
        """Create a serving request of a node."""
        pem = Request(key=key, common_name=f"system:node:{node}", alt_names=alt_names).pem
        spec = {**SERVING, "username": f"system:node:{node}"}
        created = now().strftime("%Y-%m-%dT%H:%M:%SZ")
        metadata = {"name": name, "uid": f"uid-of-{name}", "creationTimestamp": created}
        return self.store(CSR_PATH, m.signing_request(pem, spec, metadata=metadata))

    def settle(self, name: str = "node-a") -> None:
        """Let an enrollment's status keep up with its spec."""
        generation = self.enrollment(name)["metadata"]["generation"]
        self.change(ENROLLMENT_PATH, name, status={"observedGeneration": generation})

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer as the API server does; it knows pools, too."""
        if request.path == "/apis/nodegate.dev/v1alpha1":
            kinds = ("nodeenrollments", "nodeenrollmentpools")
            return web.json_response(_kinds(*kinds, *(f"{kind}/status" for kind in kinds)))
        return await super().serve(request)

    def _verb(self, request: web.Request) -> str:
        verb = super()._verb(request)
        return "list" if verb == "get" and request.path == POOL_PATH else verb

    async def _create(self, request: web.Request) -> web.StreamResponse:
        if request.path != ENROLLMENT_PATH:
            return await super()._create(request)
        body = await request.json()
        name = body["metadata"]["name"]
        if name in self.objects[ENROLLMENT_PATH]:
            return await status(409, "AlreadyExists")(request)  # type: ignore[no-any-return]  # an answer's
        body["metadata"]["generation"] = 1
        return web.json_response(self.store(ENROLLMENT_PATH, body), status=201)

    async def _patch(self, request: web.Request) -> web.StreamResponse:
        path, body = request.path, await request.json()
        if path.startswith(f"{ENROLLMENT_PATH}/") and path.endswith("/status"):
            return await super()._patch(request)
        collection = POOL_PATH if path.startswith(POOL_PATH) else ENROLLMENT_PATH
        name = path.removeprefix(f"{collection}/").removesuffix("/status")
        known = self.objects[collection].get(name)
        fault = self._stale(body, known)
        if known is None or fault is not None:
            return await (fault or status(404, "NotFound"))(request)  # type: ignore[no-any-return]  # an answer's
        changed = _merge(known, {key: body[key] for key in ("spec", "status") if key in body})
        changed["metadata"] = {**known["metadata"], "generation": known["metadata"]["generation"] + ("spec" in body)}
        return web.json_response(self.store(collection, changed))


class PoolWorld(World):
    """The program's parts with pools; the stores change only when `sync` lists."""

    cluster: PoolCluster

    def __init__(self, cluster: PoolCluster, client: ApiClient, metrics: Metrics) -> None:
        super().__init__(cluster, client, metrics)
        self.pool_names = WorkQueue()
        self.index = PoolIndex(self.pool_names.add, asyncio.get_running_loop().time)
        self.facts = LiveFacts(client, Settings(), metrics, self.requests, self.statuses, self.index)
        self.pools = PoolFlow(
            client,
            self.facts,
            self.index,
            self.pool_names,
            self.outbox,
            judge=lambda csr, enrollment: judge(self.facts.case(csr, enrollment)),
            parse=parse_enrollment,
        )
        self.enrollments._around = self.facts
        self.flow = RequestFlow(client, self.facts, self.enrollments, self.reports, self.requests, enroller=self.pools)

    def message(self, name: str = CSR) -> str:
        """Return the note of the newest event that waits."""
        return self.outbox._waiting[-1].note if self.outbox._waiting else f"nothing was said of {name}"

    async def drain(self) -> None:
        """Take everything out of the queue of requests."""
        while self.waiting():
            self.requests.done(await self.requests.get())

    def waiting(self) -> int:
        """Return how many requests wait to be judged."""
        return self.requests.depth

    async def settled_judge(self) -> list[str]:
        """Judge, let the enrollment that was made be processed, list anew, and judge again; return all calls."""
        calls = await self.judge()
        self.cluster.settle()
        await self.sync()
        return calls + await self.judge()

    def close(self) -> None:
        """Stop every timer."""
        super().close()
        self.pool_names.close()


@asynccontextmanager
async def run_pool_cluster() -> AsyncIterator[PoolCluster]:
    """Run a cluster with pools on a free loopback port."""
    async with served(PoolCluster()) as cluster:
        yield cluster


@asynccontextmanager
async def run_fleet(prepare: Callable[[PoolCluster], object] = str) -> AsyncIterator[PoolWorld]:
    """Run a cluster with pools and the program's parts around it; `prepare` fills it before the first lists."""
    metrics = Metrics(CollectorRegistry())
    async with run_pool_cluster() as cluster:
        client = ApiClient(cluster.credentials(), metrics)
        world = PoolWorld(cluster, client, metrics)
        prepare(cluster)
        try:
            await world.sync()
            yield world
        finally:
            world.close()
            await client.close()
