"""A list, then a watch, then a list again: a collection's path in, a store and its changes out.

Rules:
- A LIST replaces the store: what vanished while nobody watched is reported as gone.
- Level-triggered: after ``relist_s`` the loop lists again, so a missed event is late, never lost.
- 410, any ERROR event and a silent stream lead to a LIST; a stream that merely ends goes on from
  the last resource version. Both wait, jittered, 50 ms to 2 s: never a hot loop.
- One object that cannot be understood is left out and counted; it never stops the others.
- Only what ``transform`` returns is kept; raw objects are dropped at once.
"""

import asyncio
import logging
import random
import time as clock
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

from nodegate.errors import ApiError, Expired, Unavailable
from nodegate.kube.answers import error_of_status
from nodegate.kube.backoff import Backoff
from nodegate.kube.client import ApiClient, StreamBroken, StreamSilent
from nodegate.kube.health import Health, Stage
from nodegate.kube.observer import InformerObserver, NullObserver, RelistReason

FRESH_S: Final = 90.0
"""Seconds without news after which a store is stale: a bookmark's minute and half a minute more."""

QUICK_CAP_S: Final = 2.0
"""Longest wait where the API server is away: it comes back by itself."""

SLOW_CAP_S: Final = 30.0
"""Longest wait where a person must act: a right, a credential or a CRD is missing."""

T = TypeVar("T")
_Version = tuple[str, str]

_log = logging.getLogger("nodegate.kube.informer")


class Informer(Generic[T]):
    """Keeps a store of one collection and reports each change by key.

    Args:
        client: The API server.
        path: The collection, e.g. ``/api/v1/nodes``.
        params: Selectors, sent with every LIST and WATCH.
        transform: Makes of a raw object what is to be kept; may raise to leave an object out.
        on_change: Called with the key and the new value, or None when it is gone. It must be quick
            and must not block: it runs inside the loop.
        relist_s: Seconds between LISTs.
        idle_s: Seconds of silence after which a stream is dead.
        resource: The collection's name for metrics and messages.
        observer: Hears of LISTs, events and objects left out.
        resync: Report unchanged objects, too, at every LIST.
        if_absent: What to do when the collection does not exist, for the message.
        time: Monotonic seconds.

    Attributes:
        synced: Set once the first LIST is complete.
    """

    def __init__(  # noqa: PLR0913  # all but two are named, and most have defaults
        self,
        client: ApiClient,
        path: str,
        *,
        params: Mapping[str, str] = MappingProxyType({}),
        transform: Callable[[dict[str, Any]], T],
        on_change: Callable[[str, T | None], None],
        relist_s: float = 60.0,
        idle_s: float = 75.0,
        resource: str,
        observer: InformerObserver | None = None,
        resync: bool = False,
        if_absent: str = "",
        time: Callable[[], float] = clock.monotonic,
    ) -> None:
        self._client = client
        self._path = path
        self._params = dict(params)
        self._transform = transform
        self._on_change = on_change
        self._relist_s = relist_s
        self._idle_s = idle_s
        self._resource = resource
        self._observer: InformerObserver = observer or NullObserver()
        self._resync = resync
        self._time = time
        self._values: dict[str, T] = {}
        self._versions: dict[str, _Version] = {}
        self._backoff = Backoff(cap_s=QUICK_CAP_S)
        self._resource_version = ""
        self._health = Health(resource, time, if_absent)
        self.synced = asyncio.Event()

    @property
    def store(self) -> Mapping[str, T]:
        """What is known, by key (``name``, or ``namespace/name``); a live, read-only view."""
        return MappingProxyType(self._values)

    @property
    def resource(self) -> str:
        """The collection's name for metrics and messages."""
        return self._resource

    @property
    def problem(self) -> str | None:
        """One line on what is wrong now, or None."""
        return self._health.problem

    @property
    def last_seen_monotonic(self) -> float:
        """When the last LIST, event or bookmark came, in monotonic seconds; minus infinity before."""
        return self._health.last_seen

    @property
    def state(self) -> str:
        """One line: the problem, ``synced``, or ``starting``."""
        return self.problem or ("synced" if self.synced.is_set() else "starting")

    def age_s(self) -> float:
        """Return the seconds since the last LIST, event or bookmark; infinite before the first LIST."""
        return self._time() - self.last_seen_monotonic

    def is_fresh(self, limit_s: float = FRESH_S) -> bool:
        """Tell whether the store can be relied on: listed once, and heard of since ``limit_s``."""
        return self.synced.is_set() and self.age_s() <= limit_s

    async def run(self) -> None:
        """List and watch until cancelled."""
        reason: RelistReason = "start"
        while True:
            self._observer.relist(self._resource, reason)
            reason = await self._cycle()

    async def _cycle(self) -> RelistReason:
        """List once, follow the changes, and return why to list again."""
        try:
            await self._list()
            due = self._time() + self._relist_s * random.uniform(0.9, 1.0)  # noqa: S311  # spreads LISTs
            await self._follow(due)
        except ApiError as error:
            if not isinstance(error, Expired):
                self._health.failed(error)
            quick = isinstance(error, Unavailable | Expired)
            await asyncio.sleep(self._backoff.next_s(QUICK_CAP_S if quick else SLOW_CAP_S))
            return _reason_of(error)
        return "periodic"

    async def _list(self) -> None:
        self._health.stage = Stage.LISTING
        versions: dict[str, _Version] = {}
        changed: dict[str, T] = {}
        resource_version = ""
        async with aclosing(self._client.list_pages(self._path, self._params)) as pages:
            async for page in pages:
                # Every page belongs to one snapshot; its version is where the watch begins.
                resource_version = resource_version or _list_version(page)
                self._read_page(page, versions, changed)
        self._replace(versions, changed)
        self._resource_version = resource_version
        self._health.news()
        self.synced.set()

    def _read_page(self, page: Mapping[str, Any], versions: dict[str, _Version], changed: dict[str, T]) -> None:
        for raw in _items(page):
            key, version = _key(raw), _version(raw)
            if key is not None and version[1] and self._versions.get(key) == version:
                versions[key] = version
            elif (made := self._make(raw, key)) is not None and key is not None:
                versions[key] = version
                changed[key] = made[0]

    def _make(self, raw: dict[str, Any], key: str | None) -> tuple[T] | None:
        """Return what to keep of an object, in a tuple; None when it is to be left out."""
        try:
            if key is None:
                self._skip("an object without a name", "metadata.name is missing")
                return None
            return (self._transform(raw),)
        except Exception as error:  # noqa: BLE001  # whatever is wrong with one object stays with that object
            self._skip(str(key), f"{type(error).__name__}: {error}")
            return None

    def _skip(self, what: str, why: str) -> None:
        self._observer.skipped(self._resource)
        _log.warning("%s: left out %.120r: %.256s", self._resource, what, why)

    def _replace(self, versions: dict[str, _Version], changed: dict[str, T]) -> None:
        """Make the store equal to the LIST, without a pause between, then report."""
        gone = [key for key in self._values if key not in versions]
        for key in gone:
            del self._values[key]
        self._values.update(changed)
        self._versions = versions
        for key in gone:
            self._report(key, None)
        for key in versions if self._resync else changed:
            self._report(key, self._values[key])

    def _report(self, key: str, value: T | None) -> None:
        try:
            self._on_change(key, value)
        except Exception as error:  # noqa: BLE001  # a listener's fault must not stop the store from following
            self._skip(key, f"the listener failed: {type(error).__name__}: {error}")

    async def _follow(self, due: float) -> None:
        """Watch, again and again where streams end, until ``due``."""
        while (left := due - self._time()) > 0:
            before = self._resource_version, self.last_seen_monotonic
            try:
                await self._stream(left)
            except StreamBroken as error:
                _log.debug("%s: %s", self._resource, error)
            if (self._resource_version, self.last_seen_monotonic) != before:
                self._backoff.reset()
            if self._time() < due:
                await asyncio.sleep(self._backoff.next_s())
        self._backoff.reset()

    async def _stream(self, left: float) -> None:
        params = {
            **self._params,
            "resourceVersion": self._resource_version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(max(1, round(left))),
        }
        self._health.stage = Stage.OPENING
        events = self._client.watch(self._path, params, self._idle_s, left, self._opened)
        async with aclosing(events):
            await self._take_all(events)
        self._health.passed()

    def _opened(self) -> None:
        self._health.passed()
        self._health.stage = Stage.STREAMING

    async def _take_all(self, events: AsyncIterator[dict[str, Any]]) -> None:
        async for event in events:
            kind, raw = event["type"], event["object"]
            if kind == "ERROR":
                raise error_of_status(raw)
            if kind != "BOOKMARK":
                self._observer.event(self._resource)
                self._take(raw, gone=kind == "DELETED")
            self._resource_version = _version(raw)[1] or self._resource_version
            self._health.news()

    def _take(self, raw: dict[str, Any], *, gone: bool) -> None:
        key = _key(raw)
        made = None if gone else self._make(raw, key)
        if key is None:
            return
        if made is not None:
            self._values[key], self._versions[key] = made[0], _version(raw)
            self._report(key, made[0])
        elif key in self._values:
            del self._values[key], self._versions[key]
            self._report(key, None)


def _reason_of(error: ApiError) -> RelistReason:
    if isinstance(error, Expired):
        return "expired"
    return "silent" if isinstance(error, StreamSilent) else "error"


def _list_version(page: Mapping[str, Any]) -> str:
    """Return the snapshot's version.

    Raises:
        Unavailable: The answer is no list; an empty store must never come of such an answer.
    """
    metadata = page.get("metadata")
    version = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
    if not isinstance(version, str) or not version or "items" not in page:
        raise Unavailable(0, "BadBody", "expected a list with items and a resourceVersion, found neither")
    return version


def _items(page: Mapping[str, Any]) -> list[dict[str, Any]]:
    items = page.get("items")
    if items is None:
        # Go writes an empty list as null.
        return []
    if not isinstance(items, list):
        raise Unavailable(0, "BadBody", f"expected a list's items, found a {type(items).__name__}")
    return [item for item in items if isinstance(item, dict)]


def _key(raw: Mapping[str, Any]) -> str | None:
    metadata = raw.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if metadata is None or not isinstance(name, str) or not name:
        return None
    namespace = metadata.get("namespace")
    return f"{namespace}/{name}" if namespace else name


def _version(raw: Mapping[str, Any]) -> _Version:
    """Return uid and resource version, each empty where missing."""
    metadata = raw.get("metadata")
    if not isinstance(metadata, dict):
        return "", ""
    return str(metadata.get("uid") or ""), str(metadata.get("resourceVersion") or "")
