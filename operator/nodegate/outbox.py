"""Events waiting to be posted: added at once, posted in the background, dropped when too many wait.

Rules: an event is a courtesy; it never delays a decision, is never tried twice, and a flood of them
costs bounded memory. What is dropped is counted.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from nodegate.clock import now
from nodegate.errors import ApiError
from nodegate.kube.client import ApiClient
from nodegate.kube.events import EventType, post_event
from nodegate.metrics import Metrics

WAITING_LIMIT: Final = 1000
"""Events that may wait; the oldest are dropped beyond it."""

POSTERS: Final = 4
"""Events posted at once: few, so that approvals keep the connections."""

YIELD_S: Final = 10.0
"""Longest that an event waits for decisions to be through, in seconds."""

_log = logging.getLogger("nodegate.events")


class _Event(NamedTuple):
    regarding: Mapping[str, str]
    type: EventType
    reason: str
    action: str
    note: str
    when: datetime


class Outbox:
    """Posts events one after another; made inside the running loop.

    Args:
        client: Where to.
        metrics: Counts what is dropped.
        is_busy: Tells whether requests wait to be decided; events then wait a little, too.
    """

    def __init__(self, client: ApiClient, metrics: Metrics, is_busy: Callable[[], bool]) -> None:
        self._is_busy = is_busy
        self._client = client
        self._metrics = metrics
        self._waiting: deque[_Event] = deque()
        self._more = asyncio.Semaphore(0)

    def add(self, regarding: Mapping[str, str], type_: EventType, reason: str, action: str, note: str) -> None:
        """Have an event posted soon.

        Args:
            regarding: ``apiVersion``, ``kind``, ``name`` and ``uid`` of the object that it is about.
            type_: Normal or Warning.
            reason: Why, one CamelCase word.
            action: What was done, one CamelCase word.
            note: A sentence for people.
        """
        if len(self._waiting) >= WAITING_LIMIT:
            self._waiting.popleft()
            self._metrics.events_dropped.inc()
        else:
            self._more.release()
        self._waiting.append(_Event(regarding, type_, reason, action, note, now()))

    async def run(self) -> None:
        """Post what waits until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(POSTERS):
                group.create_task(self._post_all())

    async def _post_all(self) -> None:
        while True:
            await self._more.acquire()
            event = self._waiting.popleft()
            while self._is_busy() and (now() - event.when).total_seconds() < YIELD_S:  # noqa: ASYNC110 - nobody signals it
                await asyncio.sleep(YIELD_S / 20)
            try:
                await post_event(self._client, **event._asdict())
            except ApiError as error:
                _log.debug("an event was not posted: %s", error)
