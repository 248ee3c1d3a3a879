"""A small stand-in for one member on loopback: real HTTP, and answers that no real etcd gives on demand.

Real members are asked in the integration tier; this one plays old versions, other clusters, proxies and half answers.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class FakeEtcd:
    """One member.

    Attributes:
        version: What `/version` says.
        cluster: The number in every header.
        answers: For the requests to come by path; taken in order, the last one stays.
        seen: Method and path of every request.
        url: Where it listens.
    """

    version: str = "3.7.3"
    cluster: int = 0xABC
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    seen: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer as told, or like an etcd without keys."""
        self.seen.append((request.method, request.path))
        queued = self.answers.get(request.path)
        if queued:
            return await (queued.pop(0) if len(queued) > 1 else queued[0])(request)
        if request.path == "/version":
            return web.json_response({"etcdserver": self.version, "etcdcluster": self.version})
        return await self.empty(request)

    async def empty(self, _request: web.Request) -> web.StreamResponse:
        """Answer like an etcd without keys, whatever was asked."""
        ranges: list[object] = [{"response_range": {}}, {"response_range": {}}]
        return self.says(succeeded=True, responses=ranges)

    def says(self, status: int = 200, **content: object) -> web.Response:
        """Return an answer with this cluster's header."""
        header = {"cluster_id": str(self.cluster), "revision": "5"}
        return web.json_response({"header": header, **content}, status=status)


@asynccontextmanager
async def running(fake: FakeEtcd) -> AsyncIterator[FakeEtcd]:
    """Let it listen on a free port."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", fake.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield fake
    finally:
        await runner.cleanup()


def always(status: int, body: object, *, named: bool = True) -> Answer:
    """Return an answer that is the same for everything, with v2's header of the cluster unless told otherwise."""

    async def answer(_request: web.Request) -> web.StreamResponse:
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(status=status, text=text, headers={"X-Etcd-Cluster-Id": "abc"} if named else {})

    return answer


async def hang_up(request: web.Request) -> web.StreamResponse:
    """Break the connection instead of answering."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
