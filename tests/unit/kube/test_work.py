"""The queue of names: order, one at a time, waits and failures."""

import asyncio
import logging

import pytest

from nodegate.kube.work import Place, WorkClosed, WorkQueue, run_workers
from tests.unit.kube.fake_api import until


async def test_oldest_first_and_once() -> None:
    """Names come out in the order in which they were first added, each once."""
    queue = WorkQueue()
    for name in "abcab":
        queue.add(name)

    assert (queue.depth, [await queue.get() for _ in range(3)], queue.depth) == (3, ["a", "b", "c"], 0)


async def test_flows_are_served_in_turn() -> None:
    """However many names one flow has, another's come next; inside a flow the late ones come last."""
    queue = WorkQueue()
    queue.share_by(lambda name: Place(name[0], late=name.endswith("late")))
    for name in ("a1-late", "a2", "a3", "b1", "a4", "b2", "c1"):
        queue.add(name)

    served = [await queue.get() for _ in range(7)]

    assert served == ["a2", "b1", "c1", "a3", "b2", "a4", "a1-late"]
    assert (queue._turns._flows, list(queue._turns._next)) == ({}, [])


async def test_added_while_served_is_served_again() -> None:
    """A name added while it is served waits until done, then comes once more."""
    queue = WorkQueue()
    queue.add("a")
    await queue.get()
    queue.add("a")
    queue.add("a")
    queue.add("b")
    assert await queue.get() == "b"
    assert (queue.depth, queue.in_flight) == (1, 2)

    queue.done("a")

    assert (await queue.get(), queue.depth) == ("a", 0)


async def test_earliest_wish_wins() -> None:
    """Of several delayed wishes the earliest counts, in whichever order they come, and it counts once."""
    queue = WorkQueue()
    queue.add_after("a", 3600)
    queue.add_after("a", 0.01)
    queue.add_after("a", 3600)
    async with asyncio.timeout(10):
        assert await queue.get() == "a"
    queue.done("a")

    assert (queue.depth, queue._timers) == (0, {})


async def test_close_sends_everybody_home() -> None:
    """Closing drops what waits, ends every waiting worker, and later wishes are nothing."""
    queue = WorkQueue()
    waiting = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    queue._serving.add("busy")
    for name in ("x", "busy"):
        queue.add(name)
    queue.add_after("later", 0)
    queue.close()
    queue.add("a")
    queue.add_after("b", 0)
    assert queue.depth == 0

    assert [type(end) for end in await asyncio.gather(*waiting, return_exceptions=True)] == [WorkClosed] * 3
    with pytest.raises(WorkClosed):
        await queue.get()


async def test_cancelled_get_loses_nothing() -> None:
    """A worker cancelled while it waits takes no name with it."""
    queue = WorkQueue()
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    waiting.cancel()
    queue.add("a")
    await asyncio.gather(waiting, return_exceptions=True)

    async with asyncio.timeout(10):
        assert await queue.get() == "a"


async def test_never_one_name_twice_at_once() -> None:
    """However often names are added, no two workers serve the same one, and the last wish is served."""
    queue = WorkQueue()
    serving: set[str] = set()
    wished = dict.fromkeys("abcdef", 0)
    served = dict.fromkeys("abcdef", 0)
    most = 0

    async def handle(name: str) -> None:
        nonlocal most
        assert name not in serving
        serving.add(name)
        most = max(most, len(serving))
        seen = wished[name]
        await asyncio.sleep(0.001)
        served[name] = seen
        serving.remove(name)

    failures: list[str] = []
    workers = asyncio.create_task(run_workers(queue, handle, 4, lambda name, _: failures.append(name)))
    for round_ in range(200):
        for name in wished:
            wished[name] = round_
            queue.add(name)
        await asyncio.sleep(0.0003)
    await until(lambda: served == wished)
    queue.close()
    await workers

    assert (failures, most) == ([], 4)


async def test_failure_is_isolated_and_repeated(caplog: pytest.LogCaptureFixture) -> None:
    """A failing name is logged in one line, counted and served again; others are served meanwhile."""
    caplog.set_level(logging.INFO)
    queue = WorkQueue()
    tries: list[str] = []
    failures: list[tuple[str, str]] = []

    async def handle(name: str) -> None:
        tries.append(name)
        if name == "bad" and tries.count("bad") < 3:
            raise LookupError("line one\nline two")

    workers = asyncio.create_task(
        run_workers(queue, handle, 1, lambda name, error: failures.append((name, str(error))))
    )
    queue.add("bad")
    queue.add("good")
    await until(lambda: tries.count("bad") == 3)
    queue.close()
    await workers

    assert tries == ["bad", "good", "bad", "bad"]
    assert queue._failing == {}
    assert failures == [("bad", "line one\nline two")] * 2
    assert [record.getMessage() for record in caplog.records] == [
        "bad failed, trying again later: LookupError: line one\\nline two"
    ] * 2
    assert not any(record.exc_info for record in caplog.records)


async def test_waits_grow_and_are_forgotten_after_success() -> None:
    """The waits of one name double from 0.2 s to 30 s, jittered, and begin anew after a success."""
    queue = WorkQueue()
    loop = asyncio.get_running_loop()

    def wait_s() -> float:
        queue.failed("a")
        timer = queue._timers.pop("a")
        timer.cancel()
        return timer.when() - loop.time()

    waits = [wait_s() for _ in range(12)]
    queue.succeeded("a")
    again = wait_s()

    for number, wait in enumerate(waits):
        full = min(30.0, 0.2 * 2**number)
        assert full / 2 - 0.05 <= wait <= full + 0.05
    assert again <= 0.25


async def test_inner_cancellation_is_a_failure() -> None:
    """A handler whose own awaited task was cancelled fails like any other; its worker lives on."""
    queue = WorkQueue()
    served: list[str] = []
    failures: list[str] = []

    async def handle(name: str) -> None:
        if name == "bad":
            gone = asyncio.get_running_loop().create_future()
            gone.cancel()
            await gone
        served.append(name)

    workers = asyncio.create_task(run_workers(queue, handle, 1, lambda name, _: failures.append(name)))
    queue.add("bad")
    queue.add("good")
    await until(lambda: served == ["good"])

    assert (failures, workers.done()) == (["bad"], False)
    workers.cancel()
    with pytest.raises(asyncio.CancelledError):
        await workers
