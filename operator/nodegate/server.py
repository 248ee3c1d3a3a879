"""The HTTP endpoints: /healthz, /readyz and /metrics.

Rules: /healthz fails only when a restart would help (a part has ended); /readyz says, a line each,
what keeps decisions from being made. Both are plain text without data about nodes. /metrics has an address
of its own, over TLS and for those who are admitted; plain, and for everybody, only where that is asked for.
"""

import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from nodegate.errors import SettingsInvalid

SHUTDOWN_S: Final = 1.0
"""Seconds that open scrapes are waited for."""

Checks = Callable[[], Sequence[str]]
"""Returns what is wrong, one line each; empty when nothing is."""

Admit = Callable[[str | None], Awaitable[HTTPStatus]]
"""Takes an Authorization header, returns what to answer: 200 to let in, 401, 403 or 503."""

REFUSALS: Final[Mapping[HTTPStatus, str]] = {
    HTTPStatus.UNAUTHORIZED: "expected a bearer token that the API server knows, found none: "
    "send a ServiceAccount's token as Authorization: Bearer",
    HTTPStatus.FORBIDDEN: "expected the right to get /metrics, found none: "
    "bind the token's owner to ClusterRole nodegate-metrics-reader",
    HTTPStatus.SERVICE_UNAVAILABLE: "expected the API server to say who may read this, found no answer: try again",
}
"""What those who are not let in are told."""


class HttpServer:
    """Serves the endpoints; started and closed with the process."""

    def __init__(self, registry: CollectorRegistry, alive: Checks, ready: Checks) -> None:
        self._registry = registry
        self._alive = alive
        self._ready = ready
        self._runners: list[web.AppRunner] = []
        self.port = 0
        """The port of the probes, once started."""

        self.metrics_port = 0
        """The port of /metrics over TLS, once started."""

    async def start(self, host: str, port: int, *, insecure_metrics: bool = False) -> None:
        """Begin to answer probes; port 0 takes a free one.

        Args:
            host: The address.
            port: The port.
            insecure_metrics: Serve /metrics here as well, to everybody.

        Raises:
            SettingsInvalid: The address cannot be listened on.
        """
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        if insecure_metrics:
            app.router.add_get("/metrics", self._metrics)
        self.port = await self._listen(app, "--listen", host, port, None)

    async def start_metrics(self, host: str, port: int, tls: ssl.SSLContext, admit: Admit) -> None:
        """Begin to serve /metrics over TLS to those who are admitted; port 0 takes a free one.

        Raises:
            SettingsInvalid: The address cannot be listened on.
        """

        async def guarded(request: web.Request) -> web.Response:
            answer = await admit(request.headers.get("Authorization"))
            return await self._metrics(request) if answer is HTTPStatus.OK else _refusal(answer)

        app = web.Application()
        app.router.add_get("/metrics", guarded)
        self.metrics_port = await self._listen(app, "--metrics-listen", host, port, tls)

    async def _listen(self, app: web.Application, flag: str, host: str, port: int, tls: ssl.SSLContext | None) -> int:
        """Listen, and return the port."""
        runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=SHUTDOWN_S, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port, ssl_context=tls).start()
        except OSError as error:
            await runner.cleanup()
            raise SettingsInvalid((f"{flag}: expected a free address, found {host}:{port} is not: {error}",)) from error
        self._runners.append(runner)
        taken: int = runner.addresses[0][1]
        return taken

    async def close(self) -> None:
        """Stop listening."""
        for runner in self._runners:
            await runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        return _report(self._alive())

    async def _readyz(self, _: web.Request) -> web.Response:
        return _report(self._ready())

    async def _metrics(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._registry), headers={"Content-Type": content_type})


def _report(problems: Sequence[str]) -> web.Response:
    text = "".join(f"{problem}\n" for problem in problems) or "ok\n"
    return web.Response(text=text, status=503 if problems else 200)


def _refusal(answer: HTTPStatus) -> web.Response:
    headers = {"WWW-Authenticate": "Bearer"} if answer is HTTPStatus.UNAUTHORIZED else {}
    return web.Response(text=f"{REFUSALS[answer]}\n", status=answer, headers=headers)
