"""The HTTP endpoints over real HTTP: what probes and scrapes get."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from nodegate.errors import SettingsInvalid
from nodegate.server import HttpServer


class Probed:
    """A running server whose answers a test chooses."""

    def __init__(self) -> None:
        self.deaths: list[str] = []
        self.problems: list[str] = []
        self.registry = CollectorRegistry()
        self.server = HttpServer(self.registry, alive=lambda: self.deaths, ready=lambda: self.problems)

    async def get(self, path: str, accept: str = "*/*") -> tuple[int, str, str]:
        """Return status, content type and text."""
        url = f"http://127.0.0.1:{self.server.port}{path}"
        async with aiohttp.ClientSession() as session, session.get(url, headers={"Accept": accept}) as response:
            return response.status, response.headers["Content-Type"], await response.text()


@pytest.fixture(name="probed")
async def _probed() -> AsyncIterator[Probed]:
    """A server on a free port."""
    probed = Probed()
    await probed.server.start("127.0.0.1", 0)
    yield probed
    await probed.server.close()


async def test_port_is_known(probed: Probed) -> None:
    """Port 0 takes a free one and says which."""
    assert probed.server.port > 0


async def test_alive_and_ready(probed: Probed) -> None:
    """With nothing wrong both probes say so."""
    assert await probed.get("/healthz") == (200, "text/plain; charset=utf-8", "ok\n")
    assert await probed.get("/readyz") == (200, "text/plain; charset=utf-8", "ok\n")


async def test_not_ready_says_why(probed: Probed) -> None:
    """Each reason is a line of its own; readiness says nothing about being alive."""
    probed.problems = ["nodes: no fresh view", "403 Forbidden: no"]

    assert await probed.get("/readyz") == (
        503,
        "text/plain; charset=utf-8",
        "nodes: no fresh view\n403 Forbidden: no\n",
    )
    assert (await probed.get("/healthz"))[0] == 200


async def test_dead_says_what(probed: Probed) -> None:
    """A part that has ended fails the liveness probe, so that the kubelet restarts the process."""
    probed.deaths = ["requests has ended"]

    assert (await probed.get("/healthz"))[::2] == (503, "requests has ended\n")


async def test_probes_follow_the_state(probed: Probed) -> None:
    """What is over is over: the checks are made anew for every probe."""
    probed.problems = ["x"]
    assert (await probed.get("/readyz"))[0] == 503
    probed.problems = []
    assert (await probed.get("/readyz"))[0] == 200


async def test_metrics_are_prometheus_text(probed: Probed) -> None:
    """A scrape gets the text format under its own content type."""
    Counter("seen_total", "Seen.", registry=probed.registry).inc()

    code, content_type, text = await probed.get("/metrics")

    assert code == 200
    assert content_type.startswith("text/plain; version=")
    assert [family.name for family in text_string_to_metric_families(text)] == ["seen"]


async def test_metrics_are_open_metrics_when_asked(probed: Probed) -> None:
    """Prometheus asks for OpenMetrics and gets it."""
    _, content_type, text = await probed.get("/metrics", "application/openmetrics-text; version=1.0.0")

    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n")


async def test_nothing_else_is_served(probed: Probed) -> None:
    """Three paths and no more."""
    assert (await probed.get("/"))[0] == 404


async def test_address_in_use_is_a_mistake_in_the_settings(probed: Probed) -> None:
    """An address that somebody listens on is said as a flag's mistake; nothing is left open."""
    second = Probed()

    with pytest.raises(
        SettingsInvalid, match=f"--listen: expected a free address, found 127.0.0.1:{probed.server.port}"
    ):
        await second.server.start("127.0.0.1", probed.server.port)
    await second.server.close()
    assert second.server.port == 0


async def test_closing_what_never_started() -> None:
    """A process that ends before it listens closes nothing."""
    await Probed().server.close()
