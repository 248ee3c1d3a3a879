"""A cluster in memory behind real HTTP on loopback: signing requests, enrollments and what stands beside them.

What enters are an administrator's acts and the program's own calls, what leaves are the objects as they are
now and the calls in order. Rules: as the API server does, every write raises the resourceVersion, a spec's
change raises the generation, stale writes get 409, an approval changes conditions only, and a status patch
changes the status only. Before any call an act can be slipped in, and any call's answer can be replaced.
"""

import asyncio
import copy
import json
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from aiohttp import web
from prometheus_client import CollectorRegistry

from hack.vectors import manifests as m
from hack.vectors.request import Request
from nodegate.clock import now
from nodegate.csr.apply import CSR_PATH
from nodegate.csr.flow import RequestFlow
from nodegate.csr.report import Reports
from nodegate.enrollment.apply import ENROLLMENT_PATH
from nodegate.enrollment.flow import EnrollmentFlow
from nodegate.facts import LiveFacts
from nodegate.kube.client import ApiClient
from nodegate.kube.credentials import Credentials, TokenSource
from nodegate.kube.paths import resource_of
from nodegate.kube.work import WorkQueue
from nodegate.metrics import Metrics
from nodegate.outbox import Outbox
from nodegate.settings import Settings
from tests.unit.kube.fake_api import Answer, FakeApi, drop, event, status

APPROVE = "update certificatesigningrequests/approval"
RECORD = "patch nodeenrollments/status"
READ_ENROLLMENT = "get nodeenrollments"
READ_REQUEST = "get certificatesigningrequests"
"""Calls by verb and resource, as `Cluster.asked` names them."""

CSR = "csr-7x2kq"
NODE = "node-a"
NODES_PATH = "/api/v1/nodes"
SERVICES_PATH = "/api/v1/namespaces/default/services"
SLICES_PATH = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
CIDRS_PATH = "/apis/networking.k8s.io/v1/servicecidrs"
_PLURALS = ("certificatesigningrequests", "nodeenrollments", "nodes", "services", "endpointslices", "servicecidrs")
_METHODS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def _kinds(*names: str) -> dict[str, Any]:
    """Return a discovery document of cluster-scoped kinds; kopf looks at these fields."""
    common = {"namespaced": False, "verbs": ["get", "list", "watch", "patch"]}
    return {"resources": [{"name": name, "kind": name, "singularName": name, **common} for name in names]}


def _group(name: str, version: str) -> dict[str, Any]:
    found = {"groupVersion": f"{name}/{version}", "version": version}
    return {"name": name, "versions": [found], "preferredVersion": found}


_DISCOVERY = {
    "/api": {"versions": ["v1"]},
    "/api/v1": _kinds("namespaces"),
    "/apis": {"groups": [_group("nodegate.dev", "v1alpha1"), _group("apiextensions.k8s.io", "v1")]},
    "/apis/apiextensions.k8s.io/v1": _kinds("customresourcedefinitions"),
    "/apis/nodegate.dev/v1alpha1": _kinds("nodeenrollments", "nodeenrollments/status"),
}


class Cluster(FakeApi):
    """The objects, the acts that wait for a call, and every call in order."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.acts: dict[str, deque[Callable[[], object]]] = defaultdict(deque)
        self.answers: dict[str, deque[Answer]] = defaultdict(deque)
        self.bodies: dict[str, list[Any]] = defaultdict(list)
        self.following: dict[str, list[asyncio.Queue[bytes | None]]] = defaultdict(list)
        self.before_each: Callable[[str], object] = str

    def credentials(self) -> Credentials:
        """Return what a client needs to talk to this cluster."""
        return Credentials(self.server, None, TokenSource("good"))

    def store(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Put an object as it is, with a new resourceVersion, and tell the watchers."""
        self.version += 1
        obj = copy.deepcopy(body)
        name = obj["metadata"]["name"]
        obj["metadata"]["resourceVersion"] = str(self.version)
        obj["metadata"].setdefault("uid", f"uid-{self.version}")
        kind = "MODIFIED" if name in self.objects[path] else "ADDED"
        self.objects[path][name] = obj
        self._publish(path, event(kind, obj))
        return obj

    def put_object(self, path: str, name: str, **fields: Any) -> dict[str, Any]:
        """Create or replace an object of these fields."""
        return self.store(path, {"metadata": {"name": name}, **fields})

    def enroll(self, name: str = NODE, *, processed: bool = True, **spec: Any) -> dict[str, Any]:
        """Apply an enrollment's spec, as `kubectl apply` does; `processed` lets its status keep up."""
        known = self.objects[ENROLLMENT_PATH].get(name)
        body = copy.deepcopy(known) if known else m.enrollment(name, {}, metadata={"generation": 0})
        body["spec"] = spec
        body["metadata"]["generation"] += 1
        if processed:
            body.setdefault("status", {})["observedGeneration"] = body["metadata"]["generation"]
        return self.store(ENROLLMENT_PATH, body)

    def change(self, path: str, name: str, **parts: Any) -> dict[str, Any]:
        """Merge parts into an object, as another writer does."""
        return self.store(path, _merge(self.objects[path][name], parts))

    def ask(self, **parts: Any) -> dict[str, Any]:
        """Create node-a's first signing request, made with token abcdef; parts replace the spec's or metadata's."""
        spec = {
            "signerName": m.CLIENT,
            "usages": ["digital signature", "client auth"],
            "username": "system:bootstrap:abcdef",
            "groups": m.TOKEN_GROUPS,
        }
        metadata = {"creationTimestamp": now().strftime("%Y-%m-%dT%H:%M:%SZ"), **parts.pop("metadata", {})}
        pem = Request(key=parts.pop("key", "p256-a"), common_name=f"system:node:{parts.pop('node', NODE)}").pem
        return self.store(CSR_PATH, m.signing_request(pem, spec | parts, metadata=metadata))

    def ask_again(self, **parts: Any) -> dict[str, Any]:
        """Create node-a's renewal."""
        return self.ask(username=f"system:node:{NODE}", groups=m.NODE_GROUPS, key="p256-b", **parts)

    def conditions(self, name: str = CSR) -> list[tuple[str, str]]:
        """Return type and reason of a request's conditions."""
        conditions = self.objects[CSR_PATH][name].get("status", {}).get("conditions", [])
        return [(condition["type"], condition["reason"]) for condition in conditions]

    def enrollment(self, name: str = NODE) -> dict[str, Any]:
        """Return an enrollment as it stands."""
        return self.objects[ENROLLMENT_PATH][name]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Note the call, do what waits for it, then answer."""
        key = f"{self._verb(request)} {resource_of(request.rel_url.raw_path)}"
        self.asked.append(key)
        if request.can_read_body:
            self.bodies[key].append(await request.json())
        self.before_each(key)
        if self.acts[key]:
            self.acts[key].popleft()()
        if self.answers[key]:
            answer: web.StreamResponse = await self.answers[key].popleft()(request)
            return answer
        return await self.serve(request)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer as the API server does."""
        if request.path in _DISCOVERY:
            return web.json_response(_DISCOVERY[request.path])
        answer: web.StreamResponse = await getattr(self, f"_{self._verb(request)}")(request)
        return answer

    async def landed(self, request: web.Request) -> web.StreamResponse:
        """Do what is asked, and lose the answer."""
        await self.serve(request)
        return await drop(request)

    def _verb(self, request: web.Request) -> str:
        if request.method != "GET":
            return _METHODS[request.method]
        if request.query.get("watch") == "true":
            return "watch"
        return "list" if request.path.rpartition("/")[2] in _PLURALS else "get"

    async def _list(self, request: web.Request) -> web.StreamResponse:
        items = [body for body in self.objects[request.path].values() if _selects(request, body)]
        return web.json_response({"metadata": {"resourceVersion": str(self.version)}, "items": items})

    def _publish(self, path: str, line: bytes) -> None:
        """Tell those who watch this collection."""
        self.history.append((self.version, path, line))
        for waiting in self.following[path]:
            waiting.put_nowait(line)

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        waiting: asyncio.Queue[bytes | None] = asyncio.Queue()
        for version, path, past in self.history:
            if version > int(request.query.get("resourceVersion", "0")) and path == request.path:
                waiting.put_nowait(past)
        matched = {name for name, body in self.objects[request.path].items() if _selects(request, body)}
        self.watchers.append(waiting)
        self.following[request.path].append(waiting)
        try:
            while (line := await waiting.get()) is not None:
                if shown := _as_selected(request, json.loads(line), matched):
                    await response.write(shown)
        finally:
            self.watchers.remove(waiting)
            self.following[request.path].remove(waiting)
        return response

    async def _update(self, request: web.Request) -> web.StreamResponse:
        """PUT of an approval: the conditions are taken, the rest stays. Other objects are replaced."""
        if not request.path.endswith("/approval"):
            return await super()._update(request)
        name = request.path.split("/")[-2]
        body, known = await request.json(), self.objects[CSR_PATH].get(name)
        fault = self._stale(body, known)
        if known is None or fault is not None:
            return await (fault or status(404, "NotFound"))(request)  # type: ignore[no-any-return]  # an answer's
        conditions = body["status"]["conditions"]
        if len({condition["type"] for condition in conditions} & {"Approved", "Denied"}) > 1:
            return await status(422, "Invalid")(request)  # type: ignore[no-any-return]  # an answer's
        changed = {**known, "status": {**known.get("status", {}), "conditions": conditions}}
        return web.json_response(self.store(CSR_PATH, changed))

    async def _patch(self, request: web.Request) -> web.StreamResponse:
        """Merge patch of an enrollment's status."""
        name = request.path.split("/")[-2]
        body, known = await request.json(), self.objects[ENROLLMENT_PATH].get(name)
        fault = self._stale(body, known)
        if known is None or fault is not None:
            return await (fault or status(404, "NotFound"))(request)  # type: ignore[no-any-return]  # an answer's
        return web.json_response(self.change(ENROLLMENT_PATH, name, status=body["status"]))

    def _stale(self, body: dict[str, Any], known: dict[str, Any] | None) -> Answer | None:
        if known is None:
            return status(404, "NotFound")
        asked = body["metadata"]
        fits = all(asked.get(key) in (None, known["metadata"][key]) for key in ("uid", "resourceVersion"))
        return None if fits else status(409, "Conflict")


def _merge(target: Any, patch: Any) -> Any:
    """Return the target with a JSON merge patch applied (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value)
    return merged


def _selects(request: web.Request, body: Any) -> bool:
    """Tell whether a request's field selector, if any, selects an object."""
    field, _, value = request.query.get("fieldSelector", "").partition("=")
    for key in filter(None, field.split(".")):
        body = body.get(key, {})
    # A field that an object does not have counts as empty.
    return not field or bool((body or "") == value)


def _as_selected(request: web.Request, told: Any, matched: set[str]) -> bytes:
    """Return an event as a watch with this selector shows it: gone once it matches no more, nothing if it never did."""
    name = told["object"].get("metadata", {}).get("name")
    if name is None:
        return event(told["type"], told["object"])
    known, fits = name in matched, told["type"] != "DELETED" and _selects(request, told["object"])
    (matched.add if fits else matched.discard)(name)
    if fits:
        return event("MODIFIED" if known else "ADDED", told["object"])
    return event("DELETED", told["object"]) if known else b""


C = TypeVar("C", bound=Cluster)


@asynccontextmanager
async def run_cluster() -> AsyncIterator[Cluster]:
    """Run a cluster on a free loopback port."""
    async with served(Cluster()) as cluster:
        yield cluster


@asynccontextmanager
async def served(cluster: C) -> AsyncIterator[C]:
    """Serve a cluster on a free loopback port."""
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", cluster.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    cluster.server = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield cluster
    finally:
        await runner.cleanup()


class World:
    """The program's own parts around a cluster; its stores change only when `sync` lists."""

    def __init__(self, cluster: Cluster, client: ApiClient, metrics: Metrics, settings: Settings | None = None) -> None:
        self.cluster, self.client, self.metrics = cluster, client, metrics
        self.requests, self.statuses = WorkQueue(), WorkQueue()
        self.busy = False
        self.outbox = Outbox(client, metrics, lambda: self.busy)
        self.facts = LiveFacts(client, settings or Settings(), metrics, self.requests, self.statuses)
        self.enrollments = EnrollmentFlow(client, self.facts, self.statuses, self.outbox, metrics)
        self.reports = Reports(metrics, self.outbox, self.enrollments.note)
        self.flow = RequestFlow(client, self.facts, self.enrollments, self.reports, self.requests)

    async def sync(self) -> None:
        """List every collection once; the calls that takes are not counted."""
        for informer in self.facts.informers:
            await informer._list()
        self.cluster.asked.clear()

    async def judge(self, name: str = CSR) -> list[str]:
        """Handle one request and return the calls that took."""
        before = len(self.cluster.asked)
        await self.flow.handle(name)
        return self.cluster.asked[before:]

    def events(self) -> list[tuple[str, str]]:
        """Return action and reason of the events that wait to be posted."""
        return [(waiting.action, waiting.reason) for waiting in self.outbox._waiting]

    def told(self, verdict: str, reason: str, *, kind: str = "bootstrap", signer: str = m.CLIENT) -> float:
        """Return how often a verdict was counted; the reason as the metric has it."""
        labels = {"signer": signer, "kind": kind, "verdict": verdict, "reason": reason}
        return self.metrics.registry.get_sample_value("nodegate_csr_decisions_total", labels) or 0.0

    def due_s(self, queue: WorkQueue, name: str) -> float | None:
        """Return in how many seconds a name is to be served again; None when it is not."""
        timer = queue._timers.get(name)
        return timer.when() - asyncio.get_running_loop().time() if timer else None

    def trouble(self) -> str:
        """Return what keeps requests or statuses from being written; empty when nothing does."""
        return self.reports.problem or self.enrollments.problem or ""

    def close(self) -> None:
        """Stop every timer."""
        self.requests.close()
        self.statuses.close()


@asynccontextmanager
async def run_world(settings: Settings | None = None) -> AsyncIterator[World]:
    """Run a cluster and the program's parts around it."""
    metrics = Metrics(CollectorRegistry())
    async with run_cluster() as cluster:
        client = ApiClient(cluster.credentials(), metrics)
        world = World(cluster, client, metrics, settings)
        try:
            yield world
        finally:
            world.close()
            await client.close()
