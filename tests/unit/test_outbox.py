"""Events on their way out: bounded, counted when dropped, patient while decisions are made, never in the way."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from nodegate import outbox
from nodegate.outbox import WAITING_LIMIT, Outbox
from tests.unit.fake_cluster import World, run_world
from tests.unit.kube.fake_api import drop, status, until

CREATE = "create events"
_ABOUT = {"apiVersion": "v1", "kind": "Node", "name": "node-a", "uid": "u"}


@pytest.fixture(name="world")
async def _world() -> AsyncIterator[World]:
    """A cluster and an outbox that nobody empties yet."""
    async with run_world() as world:
        yield world


@pytest.fixture(name="running")
async def _running(world: World) -> AsyncIterator[World]:
    """The same with an outbox that is being emptied."""
    task = asyncio.create_task(world.outbox.run())
    yield world
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _add(box: Outbox, note: str) -> None:
    box.add(_ABOUT, "Warning", "NotEnrolled", "Hold", note)


def _notes(world: World) -> list[str]:
    return [body["note"] for body in world.cluster.bodies[CREATE]]


async def test_events_are_posted_whole(running: World) -> None:
    """What is added is posted whole, each event once."""
    for number in range(20):
        _add(running.outbox, str(number))
    await until(lambda: len(_notes(running)) == 20)

    first: Any = running.cluster.bodies[CREATE][0]
    assert first["regarding"] == _ABOUT
    assert (first["type"], first["reason"], first["action"]) == ("Warning", "NotEnrolled", "Hold")
    assert first["reportingController"] == "nodegate.dev/operator"
    assert sorted(_notes(running), key=int) == [str(number) for number in range(20)]


async def test_too_many_are_dropped_and_counted(world: World) -> None:
    """Beyond the limit the oldest go, each counted; what is left is posted, and nothing twice."""
    for number in range(WAITING_LIMIT + 5):
        _add(world.outbox, str(number))
    assert world.metrics.registry.get_sample_value("nodegate_events_dropped_total") == 5
    task = asyncio.create_task(world.outbox.run())
    await until(lambda: len(_notes(world)) >= WAITING_LIMIT)
    _add(world.outbox, "last")
    await until(lambda: "last" in _notes(world))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert sorted(_notes(world)[:-1], key=int) == [str(number) for number in range(5, WAITING_LIMIT + 5)]


@pytest.mark.parametrize("answer", [status(403, "Forbidden"), status(500, "InternalError"), drop])
async def test_a_refused_event_is_not_tried_again(
    running: World, answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """An event that cannot be posted is given up, and those after it are posted."""
    caplog.set_level(logging.DEBUG, "nodegate.events")
    running.cluster.answers[CREATE].append(answer)
    _add(running.outbox, "refused")
    await until(lambda: len(caplog.records) > 0)
    _add(running.outbox, "taken")
    await until(lambda: "taken" in _notes(running))

    assert _notes(running) == ["refused", "taken"]
    assert [record.levelname for record in caplog.records] == ["DEBUG"]


async def test_events_wait_while_decisions_are_made(running: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """While requests wait, no event is posted; once they are through, it is."""
    monkeypatch.setattr(outbox, "YIELD_S", 4.0)
    running.busy = True
    _add(running.outbox, "patient")
    await asyncio.sleep(0.1)
    assert _notes(running) == []

    running.busy = False
    await until(lambda: _notes(running) == ["patient"])


async def test_events_do_not_wait_for_ever(running: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of requests keeps events back for a while, and no longer."""
    monkeypatch.setattr(outbox, "YIELD_S", 0.05)
    running.busy = True
    _add(running.outbox, "at last")

    await until(lambda: _notes(running) == ["at last"])
