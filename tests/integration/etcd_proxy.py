"""A proxy before one plain etcd that loses chosen requests and answers, and acts at chosen moments.

Every request goes through unchanged; the next write obeys a `Plan`. Rules: what is lost looks to the client like a
connection that broke; a plan is used once; a long poll that nothing answers ends with its client.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp
import yarl
from aiohttp import web

Action = Callable[[], Awaitable[object]]


async def _nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens to one write.

    Attributes:
        before: Done when the write has come, before it goes on.
        after: Done when etcd has answered, before the answer goes on.
        lose_request: It never reaches etcd.
        lose_answer: Its answer never reaches the client.
    """

    before: Action = _nothing
    after: Action = _nothing
    lose_request: bool = False
    lose_answer: bool = False


class EtcdProxy:
    """An http endpoint before another one.

    Args:
        endpoint: Of etcd, http.

    Attributes:
        plans: For the writes to come, one each, in order.
    """

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._runner = web.AppRunner(self._app(), shutdown_timeout=0.1)
        self._session: aiohttp.ClientSession | None = None
        self.plans: list[Plan] = []
        self.url = ""

    def _app(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._pass)
        return app

    async def __aenter__(self) -> Self:
        """Listen on a free port."""
        self._session = aiohttp.ClientSession()
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every connection."""
        await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if not (self.plans and _is_write(request.method, body)):
            return await self._forward(request, body)
        plan = self.plans.pop(0)
        await plan.before()
        if plan.lose_request:
            return _lost(request)
        answer = await self._forward(request, body)
        await plan.after()
        return _lost(request) if plan.lose_answer else answer

    async def _forward(self, request: web.Request, body: bytes) -> web.StreamResponse:
        if self._session is None:
            raise RuntimeError("expected `async with`, found a proxy that was not entered")
        url = yarl.URL(f"{self._endpoint}{request.raw_path}", encoded=True)
        kind = {"Content-Type": request.content_type} if body else {}
        async with self._session.request(request.method, url, data=body or None, headers=kind) as answer:
            headers = {name: value for name, value in answer.headers.items() if name.startswith(("X-", "Content-Type"))}
            if request.path.endswith("/watch") or "wait=true" in request.query_string:
                return await _streamed(request, answer, headers)
            return web.Response(status=answer.status, headers=headers, body=await answer.read())


async def _streamed(
    request: web.Request, answer: aiohttp.ClientResponse, headers: dict[str, str]
) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=headers)
    await response.prepare(request)
    async for chunk in answer.content.iter_any():
        await response.write(chunk)
    return response


def _is_write(method: str, body: bytes) -> bool:
    return method in {"PUT", "DELETE"} or b'"request_put"' in body or b'"request_delete_range"' in body


def _lost(request: web.Request) -> web.Response:
    """Break the connection; what is returned reaches nobody."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
