"""A small API server on loopback: real HTTP, real streams, and every fault on demand.

It keeps objects by collection with one resource version for all, pages its lists, streams watches
from a history, checks uid and resource version on PUT, and does as told by the faults queued in it.
"""

import asyncio
import json
import ssl
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from nodegate.kube.client import ApiClient
from nodegate.kube.credentials import Credentials, TokenSource
from nodegate.kube.observer import RelistReason

Answer = Callable[[web.Request], Any]
"""Makes the answer of one request: a coroutine function that returns a response."""

NODES = "/api/v1/nodes"


@dataclass
class Seen:
    """One request as it came in."""

    verb: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass
class Recorder:
    """Keeps what the observers are told."""

    calls: list[tuple[str, str, str]] = field(default_factory=list)
    relists: list[RelistReason] = field(default_factory=list)
    events: int = 0
    skips: int = 0

    def observe(self, verb: str, resource: str, code: str, seconds: float) -> None:
        """Keep a call without its duration, which must only be sane."""
        assert seconds >= 0
        self.calls.append((verb, resource, code))

    def relist(self, resource: str, reason: RelistReason) -> None:
        """Keep the reason of a LIST."""
        assert resource
        self.relists.append(reason)

    def event(self, resource: str) -> None:
        """Count an event."""
        assert resource
        self.events += 1

    def skipped(self, resource: str) -> None:
        """Count an object left out."""
        assert resource
        self.skips += 1


def status(code: int, reason: str, *, wait: int | None = None) -> Answer:
    """Return an answer with that status, a Status object and perhaps a Retry-After."""
    body = {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": f"told to {reason}"}

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response(body, status=code, headers={} if wait is None else {"Retry-After": str(wait)})

    return answer


def raw(body: bytes, code: int = 200, headers: dict[str, str] | None = None) -> Answer:
    """Return an answer with exactly these bytes."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, status=code, headers=headers)

    return answer


async def drop(request: web.Request) -> web.StreamResponse:
    """Break the connection after the request was read."""
    transport = request.transport
    assert transport is not None
    transport.abort()
    return web.Response()


async def hang(_: web.Request) -> web.StreamResponse:
    """Never answer."""
    await asyncio.sleep(3600)
    return web.Response()


def lines(*chunks: bytes, pause_s: float = 0.0, then_hang: bool = False) -> Answer:
    """Return a watch that sends these chunks as they are, then ends or goes silent."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
            await asyncio.sleep(pause_s)
        if then_hang:
            await asyncio.sleep(3600)
        return response

    return answer


def truncated(body: bytes) -> Answer:
    """Return an answer whose connection breaks before the announced length is reached."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(body) + 100)})
        await response.prepare(request)
        await response.write(body)
        return await drop(request)

    return answer


def event(kind: str, obj: dict[str, Any]) -> bytes:
    """Return one line of a watch."""
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


class FakeApi:
    """The server's state, its faults and the record of what was asked."""

    def __init__(self) -> None:
        self.server = ""
        self.version = 100
        self.compacted = 0
        self.objects: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        self.history: list[tuple[int, str, bytes]] = []
        self.faults: dict[str, deque[Answer]] = defaultdict(deque)
        self.always: dict[str, Answer] = {}
        self.seen: list[Seen] = []
        self.watchers: list[asyncio.Queue[bytes | None]] = []
        self.tokens: set[str] | None = None
        self.owners: dict[str, dict[str, Any]] = {}
        """Whose a token is, as a TokenReview says it."""

        self.may: Callable[[dict[str, Any]], bool] = lambda _: False
        """Answers a SubjectAccessReview, given its spec."""

    def put_object(self, path: str, name: str, **fields: Any) -> dict[str, Any]:
        """Create or change an object and tell the watchers."""
        known = self.objects[path].get(name)
        self.version += 1
        uid = known["metadata"]["uid"] if known else f"uid-{self.version}"
        obj = {"metadata": {"name": name, "uid": uid, "resourceVersion": str(self.version)}, **fields}
        self.objects[path][name] = obj
        self._publish(path, event("MODIFIED" if known else "ADDED", obj))
        return obj

    def delete_object(self, path: str, name: str, *, unseen: bool = False) -> None:
        """Delete an object; ``unseen`` keeps it from every watch, as a lost event would."""
        obj = self.objects[path].pop(name)
        self.version += 1
        obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.version)}}
        if not unseen:
            self._publish(path, event("DELETED", obj))

    def bookmark(self) -> None:
        """Send a bookmark to every watcher."""
        self.version += 1
        self.send(event("BOOKMARK", {"metadata": {"resourceVersion": str(self.version)}}))

    def send(self, line: bytes | None) -> None:
        """Send raw bytes to every watcher; None ends their streams."""
        for watcher in self.watchers:
            watcher.put_nowait(line)

    def count(self, verb: str) -> int:
        """Return how many requests of that verb came in."""
        return sum(1 for seen in self.seen if seen.verb == verb)

    def _publish(self, path: str, line: bytes) -> None:
        self.history.append((self.version, path, line))
        self.send(line)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one request: a fault if one waits for its verb, else as an API server would."""
        verb = _verb(request)
        self.seen.append(Seen(verb, request.path, dict(request.query), dict(request.headers), await request.read()))
        if self.tokens is not None and request.headers.get("Authorization", "")[7:] not in self.tokens:
            return _as_response(await status(401, "Unauthorized")(request))
        if self.faults[verb]:
            return _as_response(await self.faults[verb].popleft()(request))
        if verb in self.always:
            return _as_response(await self.always[verb](request))
        return await getattr(self, f"_{verb}")(request)  # type: ignore[no-any-return]  # one method a verb

    async def _get(self, request: web.Request) -> web.StreamResponse:
        collection, _, name = request.path.rpartition("/")
        obj = self.objects[collection].get(name)
        return _json(obj) if obj else _as_response(await status(404, "NotFound")(request))

    async def _list(self, request: web.Request) -> web.StreamResponse:
        names = sorted(self.objects[request.path])
        start, size = int(request.query.get("continue", "0")), int(request.query.get("limit", "500"))
        page = names[start : start + size]
        more = {"continue": str(start + size)} if start + size < len(names) else {}
        items = [self.objects[request.path][name] for name in page]
        return _json({"metadata": {"resourceVersion": str(self.version), **more}, "items": items})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        since = int(request.query["resourceVersion"])
        if since < self.compacted:
            await response.write(event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired"}))
            return response
        waiting: asyncio.Queue[bytes | None] = asyncio.Queue()
        for version, path, past in self.history:
            if version > since and path == request.path:
                waiting.put_nowait(past)
        self.watchers.append(waiting)
        try:
            while (line := await waiting.get()) is not None:
                await response.write(line)
        finally:
            self.watchers.remove(waiting)
        return response

    async def _create(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if request.path.endswith("reviews"):
            return _json(body | {"status": self._review(body)}, 201)
        name = body["metadata"].get("name") or f"{body['metadata']['generateName']}{self.version}"
        if name in self.objects[request.path]:
            return _as_response(await status(409, "AlreadyExists")(request))
        return _json(self.put_object(request.path, name, **_fields(body)), 201)

    def _review(self, body: dict[str, Any]) -> dict[str, Any]:
        if body["kind"] == "SubjectAccessReview":
            return {"allowed": self.may(body["spec"])}
        owner = self.owners.get(body["spec"]["token"])
        return {"error": "no such token", "user": {}} if owner is None else {"authenticated": True, "user": owner}

    async def _update(self, request: web.Request) -> web.StreamResponse:
        collection, _, name = request.path.rpartition("/")
        body, known = await request.json(), self.objects[collection].get(name)
        if known is None:
            return _as_response(await status(404, "NotFound")(request))
        if body["metadata"].get("resourceVersion") != known["metadata"]["resourceVersion"]:
            return _as_response(await status(409, "Conflict")(request))
        return _json(self.put_object(collection, name, **_fields(body)))

    async def _patch(self, request: web.Request) -> web.StreamResponse:
        return _json({"patched": json.loads(await request.read())})

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        return _json({"kind": "Status", "status": "Success", "path": request.path})


def _verb(request: web.Request) -> str:
    if request.method != "GET":
        return {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}[request.method]
    if request.query.get("watch") == "true":
        return "watch"
    return "list" if "limit" in request.query else "get"


def _fields(body: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != "metadata"}


def _json(value: Any, code: int = 200) -> web.StreamResponse:
    return web.json_response(value, status=code)


def _as_response(value: Any) -> web.StreamResponse:
    assert isinstance(value, web.StreamResponse)
    return value


@asynccontextmanager
async def serve(tls: ssl.SSLContext | None = None) -> AsyncIterator[FakeApi]:
    """Run a fake API server on a free loopback port."""
    api = FakeApi()
    app = web.Application(client_max_size=32 * 1024 * 1024)
    app.router.add_route("*", "/{tail:.*}", api.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    api.server = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield api
    finally:
        await runner.cleanup()


@asynccontextmanager
async def connect(
    api: FakeApi, token: TokenSource | None = None, recorder: Recorder | None = None
) -> AsyncIterator[ApiClient]:
    """Make a real client of that server and close it at the end."""
    client = ApiClient(Credentials(api.server, None, token or TokenSource("good")), recorder)
    try:
        yield client
    finally:
        await client.close()


async def until(condition: Callable[[], bool], limit_s: float = 20.0) -> None:
    """Return as soon as the condition holds; fail when it never does."""
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110  # a state of ours has no event to wait for
            await asyncio.sleep(0.005)
