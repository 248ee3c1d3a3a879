"""A queue of names and its workers: names in, each served by one worker at a time.

Rules:
- A name waits at most once, so the queue is bounded by the number of distinct names; whoever
  serves it reads the newest object from the store.
- Names belong to flows, such as one for each requester. Flows are served in turn, so a flood in one
  delays another by one name at most; inside a flow the oldest is served first, those that can wait last.
- A name added while it is being served is served again afterwards, never by two workers at once.
- A failure in one name is logged, counted, and tried again after 0.2 s, doubling to 30 s; it never
  reaches another name and never ends a worker.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from nodegate.kube.backoff import Backoff
from nodegate.text import visible

WORKERS: Final = 32
"""Names served at once: half the client's connections (measured: more brings nothing)."""

FIRST_RETRY_S: Final = 0.2
"""Seconds before the first retry, as in Kubernetes' own certificate controllers."""

RETRY_CAP_S: Final = 30.0
"""Longest wait before a retry: under the 32 s in which a denied kubelet asks again."""

_log = logging.getLogger("nodegate.kube.work")


class WorkClosed(Exception):
    """The queue was closed: no error, it sends a worker home."""


class Place(NamedTuple):
    """Where a name waits."""

    flow: str
    """Whose it is; flows are served in turn."""

    late: bool = False
    """Whether it is served only when the flow has nothing else."""


def one_flow(name: str) -> Place:  # noqa: ARG001 - a place for every name
    """Return the same place for every name: a plain queue."""
    return Place("")


class _Turns:
    """Names by flow, and whose turn it is."""

    def __init__(self) -> None:
        # The flows that have names, the next one first; of each what is due and what can wait.
        self._flows: dict[str, tuple[deque[str], deque[str]]] = {}
        self._next: deque[str] = deque()

    def put(self, name: str, place: Place) -> None:
        flow = self._flows.get(place.flow)
        if flow is None:
            flow = self._flows[place.flow] = (deque(), deque())
            self._next.append(place.flow)
        flow[place.late].append(name)

    def take(self) -> str:
        key = self._next.popleft()
        due, late = self._flows[key]
        name = (due or late).popleft()
        if due or late:
            self._next.append(key)
        else:
            del self._flows[key]
        return name

    def clear(self) -> None:
        self._flows.clear()
        self._next.clear()


class WorkQueue:
    """Distinct names, flows in turn and oldest first; to be made inside the running loop."""

    def __init__(self) -> None:
        # One ticket for each name that waits; None sends a worker home.
        self._tickets: asyncio.Queue[str | None] = asyncio.Queue()
        self._turns = _Turns()
        self._place: Callable[[str], Place] = one_flow
        self._queued: set[str] = set()
        self._serving: set[str] = set()
        self._again: set[str] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._failing: dict[str, Backoff] = {}
        self._closed = False

    def share_by(self, place: Callable[[str], Place]) -> None:
        """Have names wait where `place` says, asked whenever one begins to wait; it must be cheap and not raise."""
        self._place = place

    @property
    def depth(self) -> int:
        """How many names wait to be served now; delayed ones are not counted."""
        return len(self._queued) + len(self._again)

    @property
    def in_flight(self) -> int:
        """How many names are being served."""
        return len(self._serving)

    def add(self, name: str) -> None:
        """Ask for ``name`` to be served; does nothing when it waits already or the queue is closed."""
        if self._closed or name in self._queued:
            return
        if name in self._serving:
            self._again.add(name)
            return
        self._queued.add(name)
        self._turns.put(name, self._place(name))
        self._tickets.put_nowait(name)

    def add_after(self, name: str, delay_s: float) -> None:
        """Ask for ``name`` to be served in ``delay_s`` seconds; of several such wishes the earliest wins."""
        if self._closed:
            return
        loop = asyncio.get_running_loop()
        known = self._timers.get(name)
        if known is not None:
            if known.when() <= loop.time() + delay_s:
                return
            known.cancel()
        self._timers[name] = loop.call_later(max(0.0, delay_s), self._due, name)

    def _due(self, name: str) -> None:
        del self._timers[name]
        self.add(name)

    async def get(self) -> str:
        """Return the name whose turn it is, as soon as there is one; ``done`` must follow.

        Raises:
            WorkClosed: The queue was closed.
        """
        if await self._tickets.get() is None:
            self._tickets.put_nowait(None)
            raise WorkClosed
        name = self._turns.take()
        self._queued.discard(name)
        self._serving.add(name)
        return name

    def done(self, name: str) -> None:
        """Say that ``name`` has been served; if it was added meanwhile, it waits again."""
        self._serving.discard(name)
        if name in self._again:
            self._again.discard(name)
            self.add(name)

    def succeeded(self, name: str) -> None:
        """Forget the failures of ``name``."""
        self._failing.pop(name, None)

    def failed(self, name: str) -> None:
        """Serve ``name`` again after a wait that grows with its failures in a row."""
        backoff = self._failing.setdefault(name, Backoff(first_s=FIRST_RETRY_S / 2, cap_s=RETRY_CAP_S))
        self.add_after(name, backoff.next_s())

    def close(self) -> None:
        """Drop what waits and send the workers home; names being served are served to the end."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._queued.clear()
        self._again.clear()
        self._turns.clear()
        while not self._tickets.empty():
            self._tickets.get_nowait()
        self._tickets.put_nowait(None)


async def run_workers(
    queue: WorkQueue,
    handle: Callable[[str], Awaitable[None]],
    count: int = WORKERS,
    on_error: Callable[[str, Exception], None] | None = None,
) -> None:
    """Serve the queue with ``count`` workers until it is closed or this is cancelled.

    Args:
        queue: Where the names come from.
        handle: Serves one name; it may raise, and is called again later then.
        count: How many names are served at once.
        on_error: Counts a failure: called with the name and the exception.
    """
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(_work(queue, handle, on_error), name=f"worker-{number}")


async def _work(
    queue: WorkQueue,
    handle: Callable[[str], Awaitable[None]],
    on_error: Callable[[str, Exception], None] | None,
) -> None:
    while True:
        try:
            name = await queue.get()
        except WorkClosed:
            return
        try:
            await _serve(queue, name, handle, on_error)
        finally:
            queue.done(name)


async def _serve(
    queue: WorkQueue,
    name: str,
    handle: Callable[[str], Awaitable[None]],
    on_error: Callable[[str, Exception], None] | None,
) -> None:
    try:
        await handle(name)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        # Somebody cancelled what the handler waited for, not this worker.
        _note(queue, name, RuntimeError("what the handler waited for was cancelled"), on_error)
    except Exception as error:  # noqa: BLE001  # whatever fails in one name must not end its worker
        _note(queue, name, error, on_error)
    else:
        queue.succeeded(name)


def _note(queue: WorkQueue, name: str, error: Exception, on_error: Callable[[str, Exception], None] | None) -> None:
    queue.failed(name)
    said = visible(f"{type(error).__name__}: {error}", 256)
    _log.error("%s failed, trying again later: %s", visible(name), said)
    _log.debug("the failure of %s", visible(name), exc_info=error)
    if on_error is not None:
        on_error(name, error)
