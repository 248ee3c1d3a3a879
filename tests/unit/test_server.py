"""The HTTP endpoints over real HTTP and TLS: what probes and scrapes get."""

import ssl
from collections.abc import AsyncIterator
from http import HTTPStatus

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.parser import text_string_to_metric_families

from nodegate.errors import SettingsInvalid
from nodegate.server import HttpServer
from nodegate.tls import own_tls


class Probed:
    """A running server whose answers a test chooses."""

    def __init__(self) -> None:
        self.deaths: list[str] = []
        self.problems: list[str] = []
        self.registry = CollectorRegistry()
        self.answer = HTTPStatus.OK
        self.asked: list[str | None] = []
        self.server = HttpServer(self.registry, alive=lambda: self.deaths, ready=lambda: self.problems)

    async def admit(self, authorization: str | None) -> HTTPStatus:
        """Answer as the test says."""
        self.asked.append(authorization)
        return self.answer

    async def scrape(self, **headers: str) -> tuple[int, dict[str, str], str]:
        """Return status, headers and text of /metrics over TLS."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(
                f"https://127.0.0.1:{self.server.metrics_port}/metrics", headers=headers, ssl=False
            ) as response,
        ):
            return response.status, dict(response.headers), await response.text()

    async def get(self, path: str, accept: str = "*/*") -> tuple[int, str, str]:
        """Return status, content type and text."""
        url = f"http://127.0.0.1:{self.server.port}{path}"
        async with aiohttp.ClientSession() as session, session.get(url, headers={"Accept": accept}) as response:
            return response.status, response.headers["Content-Type"], await response.text()


@pytest.fixture(name="probed")
async def _probed() -> AsyncIterator[Probed]:
    """A server on a free port, its metrics plain."""
    probed = Probed()
    await probed.server.start("127.0.0.1", 0, insecure_metrics=True)
    yield probed
    await probed.server.close()


@pytest.fixture(name="guarded")
async def _guarded() -> AsyncIterator[Probed]:
    """A server on two free ports, its metrics over TLS."""
    guarded = Probed()
    await guarded.server.start("127.0.0.1", 0)
    await guarded.server.start_metrics("127.0.0.1", 0, own_tls(), guarded.admit)
    yield guarded
    await guarded.server.close()


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
    Gauge("seen", "Seen.", registry=probed.registry).inc()

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


async def test_metrics_are_not_plain_unless_asked_for(guarded: Probed) -> None:
    """The plain port answers probes only; the port of the metrics serves nothing else, and no plain HTTP."""
    assert (await guarded.get("/metrics"))[0] == 404
    assert (await guarded.get("/healthz"))[0] == 200
    async with aiohttp.ClientSession() as session:
        url = f"https://127.0.0.1:{guarded.server.metrics_port}/healthz"
        async with session.get(url, ssl=False) as response:
            assert response.status == 404
        with pytest.raises(aiohttp.ClientError):
            await session.get(url.replace("https", "http"))


async def test_who_is_admitted_gets_the_metrics(guarded: Probed) -> None:
    """The Authorization header decides, as it came; the answer is a scrape's."""
    Counter("seen_total", "Seen.", registry=guarded.registry).inc()

    code, headers, text = await guarded.scrape(Authorization="Bearer abc")

    assert (code, guarded.asked) == (200, ["Bearer abc"])
    assert headers["Content-Type"].startswith("text/plain; version=")
    assert "seen_total 1.0" in text


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (HTTPStatus.UNAUTHORIZED, "expected a bearer token"),
        (HTTPStatus.FORBIDDEN, "nodegate-metrics-reader"),
        (HTTPStatus.SERVICE_UNAVAILABLE, "expected the API server to say"),
    ],
)
async def test_who_is_not_admitted_is_told_why(guarded: Probed, answer: HTTPStatus, said: str) -> None:
    """Not one sample leaves; the text says what is missing, and 401 which scheme is spoken."""
    Counter("seen_total", "Seen.", registry=guarded.registry).inc()
    guarded.answer = answer

    code, headers, text = await guarded.scrape()

    assert (code, guarded.asked) == (answer, [None])
    assert said in text
    assert "seen" not in text
    assert headers.get("WWW-Authenticate") == ("Bearer" if answer == HTTPStatus.UNAUTHORIZED else None)


async def test_old_tls_is_refused(guarded: Probed) -> None:
    """Nothing below TLS 1.2 is spoken."""
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await session.get(f"https://127.0.0.1:{guarded.server.metrics_port}/metrics", ssl=old)
    assert guarded.asked == []


async def test_port_of_the_metrics_in_use_is_a_mistake_in_the_settings(guarded: Probed) -> None:
    """The mistake names the flag that it is about."""
    second = Probed()
    with pytest.raises(SettingsInvalid, match="--metrics-listen: expected a free address"):
        await second.server.start_metrics("127.0.0.1", guarded.server.metrics_port, own_tls(), second.admit)
    await second.server.close()
