"""The HTTP endpoints: /healthz, /readyz and /metrics.

Rules: /healthz fails only when a restart would help (a part has ended); /readyz says, a line each,
what keeps decisions from being made. Both are plain text without data about nodes.
"""

from collections.abc import Callable, Sequence
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from nodegate.errors import SettingsInvalid

SHUTDOWN_S: Final = 1.0
"""Seconds that open scrapes are waited for."""

Checks = Callable[[], Sequence[str]]
"""Returns what is wrong, one line each; empty when nothing is."""


class HttpServer:
    """Serves the endpoints on one address; started and closed with the process."""

    def __init__(self, registry: CollectorRegistry, alive: Checks, ready: Checks) -> None:
        self._registry = registry
        self._alive = alive
        self._ready = ready
        self._runner: web.AppRunner | None = None
        self.port = 0
        """The port that is listened on, once started."""

    async def start(self, host: str, port: int) -> None:
        """Begin to listen; port 0 takes a free one.

        Raises:
            SettingsInvalid: The address cannot be listened on.
        """
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=SHUTDOWN_S, access_log=None)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise SettingsInvalid(
                (f"--listen: expected a free address, found {host}:{port} is not: {error}",)
            ) from error
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

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
