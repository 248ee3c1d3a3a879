"""kopf for real, against a cluster that breaks its watch: it is started again and takes nothing that is ours."""

import asyncio
import itertools
import logging
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from nodegate import lifecycle
from nodegate.enrollment.model import Enrollment
from nodegate.kube.credentials import Credentials, TokenSource
from nodegate.lifecycle import Backoffs, Lifecycle, OurTasks
from nodegate.metrics import Metrics
from tests.unit.fake_cluster import NODE, Cluster, run_cluster
from tests.unit.kube.fake_api import event, status, until

WATCH = "watch nodeenrollments"


class Kept:
    """A running lifecycle, what it observed, and a task of ours beside it."""

    def __init__(self, cluster: Cluster, credentials: Credentials) -> None:
        self.cluster = cluster
        self.metrics = Metrics(CollectorRegistry())
        self.observed: list[tuple[str, int | None]] = []
        self.stopped = asyncio.Event()
        self.ours = asyncio.create_task(asyncio.Event().wait())
        plane = Lifecycle(credentials, self._observe, self.metrics, self._take_signals)
        self.running = asyncio.create_task(plane.run())

    async def _observe(self, enrollment: Enrollment) -> None:
        """Note an enrollment and write its generation and phase, as the flow does."""
        self.observed.append((enrollment.name, enrollment.generation))
        self.cluster.change(
            _PATH, enrollment.name, status={"observedGeneration": enrollment.generation, "phase": "Ready"}
        )

    def _take_signals(self) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.stopped.set)

    def restarts(self) -> float | None:
        """Return how often kopf was started again."""
        return self.metrics.registry.get_sample_value("nodegate_kopf_restarts_total")

    async def close(self) -> None:
        """Stop kopf, as the process does at its end."""
        self.running.cancel()
        self.ours.cancel()
        await asyncio.gather(self.running, self.ours, return_exceptions=True)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().remove_signal_handler(number)


_PATH = "/apis/nodegate.dev/v1alpha1/nodeenrollments"


@pytest.fixture(name="kept")
async def _kept(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Kept]:
    """A lifecycle that watches one enrollment; its pauses are short."""
    monkeypatch.setattr(lifecycle, "RESTART_S", (0.01, 0.02))
    async with run_cluster() as cluster:
        cluster.enroll(processed=False)
        kept = Kept(cluster, cluster.credentials())
        await until(lambda: kept.observed == [(NODE, 1)] and len(cluster.watchers) == 1)
        yield kept
        await kept.close()


async def test_new_enrollments_are_observed_once(kept: Kept) -> None:
    """An enrollment without a phase reaches the flow; with one, neither its spec nor our own patches do."""
    kept.cluster.enroll(processed=False, state="Suspended")
    kept.cluster.change(_PATH, NODE, metadata={"labels": {"a": "b"}})
    kept.cluster.enroll("node-b", processed=False)
    await until(lambda: ("node-b", 1) in kept.observed)

    assert kept.observed == [(NODE, 1), ("node-b", 1)]
    assert not [call for call in kept.cluster.asked if call.startswith(("patch", "update", "create", "delete"))]


async def test_error_event_and_gone_restart_kopf_and_nothing_else(kept: Kept, caplog: pytest.LogCaptureFixture) -> None:
    """An ERROR event and HTTP 410 end kopf; it comes back, counted, and our tasks never notice."""
    kept.cluster.send(event("ERROR", {"kind": "Status", "code": 500, "message": "etcd has no leader"}))
    await until(lambda: kept.restarts() == 1 and len(kept.cluster.watchers) == 1)
    kept.cluster.answers[WATCH].append(status(410, "Expired"))
    kept.cluster.send(None)
    await until(lambda: kept.restarts() == 2 and len(kept.cluster.watchers) == 1)

    kept.cluster.enroll("node-b", processed=False)
    await until(lambda: ("node-b", 1) in kept.observed)

    assert not kept.ours.done()
    assert not kept.running.done()
    warnings = [record.getMessage() for record in caplog.records if record.name == "nodegate.lifecycle"]
    assert len(warnings) == 2
    assert all("kopf stopped by itself" in warning for warning in warnings)


async def test_sigterm_is_ours(kept: Kept) -> None:
    """SIGTERM reaches our handler, after a restart as well, and kopf does not stop by it."""
    kept.cluster.send(event("ERROR", {"kind": "Status", "code": 500, "message": "x"}))
    await until(lambda: kept.restarts() == 1 and len(kept.cluster.watchers) == 1)

    os.kill(os.getpid(), signal.SIGTERM)
    await until(kept.stopped.is_set)

    kept.cluster.enroll("node-b", processed=False)
    await until(lambda: ("node-b", 1) in kept.observed)
    assert kept.restarts() == 1


async def test_malformed_enrollment_stops_nothing(kept: Kept, caplog: pytest.LogCaptureFixture) -> None:
    """An enrollment that cannot be read is said, not tried for ever, and those after it are observed."""
    caplog.set_level(logging.WARNING)
    kept.cluster.enroll("node-odd", processed=False, state="Odd")
    kept.cluster.enroll("node-b", processed=False)
    await until(lambda: ("node-b", 1) in kept.observed)
    await until(lambda: "NodeEnrollment node-odd cannot be read" in caplog.text)

    assert kept.restarts() == 0


async def test_stopping_is_clean(kept: Kept) -> None:
    """Cancelled, it ends at once, and leaves our task alone."""
    kept.running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(kept.running, lifecycle.STOP_S)

    assert not kept.ours.done()


async def test_the_token_is_asked_for_every_request() -> None:
    """Kopf's session carries the token of the moment, so that a rotated one is used at once."""
    seen: list[str | None] = []

    class Rotating(TokenSource):
        """A token that is another one each time."""

        def authorization(self) -> str | None:
            """Return the next one."""
            return f"Bearer {len(seen)}"

    async with run_cluster() as cluster:
        real = cluster.serve

        async def serve(request: Any) -> Any:
            """Note the token, then answer."""
            seen.append(request.headers.get("Authorization"))
            return await real(request)

        cluster.serve = serve  # type: ignore[method-assign]  # a spy beside the real one
        kept = Kept(cluster, Credentials(cluster.server, None, Rotating()))
        await until(lambda: len(cluster.watchers) == 1)
        await kept.close()

    assert None not in seen
    assert len(set(seen)) > 1


def test_backoffs_never_end_and_begin_anew() -> None:
    """Kopf counts tries by this list, for every request from its start; an end would be its end."""
    backoffs = Backoffs()
    first, second = ([*itertools.islice(backoffs, 50)] for _ in range(2))

    assert first[0] <= 0.1
    assert second[0] <= 0.1
    assert 1.0 <= first[-1] <= 2.0
    assert len(backoffs) >= 1_000_000
    assert 1.5 in backoffs


async def test_every_task_counts_as_ours() -> None:
    """Kopf cancels what it does not find in this list when it ends."""
    task = asyncio.create_task(asyncio.Event().wait())
    ours = OurTasks()

    assert task in ours
    assert set(ours) == asyncio.all_tasks()
    assert len(ours) == len(asyncio.all_tasks())
    task.cancel()
