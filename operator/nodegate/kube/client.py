"""The API server as methods: a path and an object in, an object out, the error family raised.

Paths are escaped (``kube.paths.object_path``). What is retried, and how long a call may last, is
``kube.transport``'s to say. Field managers: the API server takes the first word of our User-Agent,
which is ``nodegate``, wherever no other is given.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, Final

import aiohttp

from nodegate.errors import Unavailable
from nodegate.kube.answers import decode_object
from nodegate.kube.credentials import Credentials
from nodegate.kube.observer import CallObserver, NullObserver
from nodegate.kube.stream import LineSplitter
from nodegate.kube.transport import TRANSPORT_ERRORS, Transport

CALL_CONNECTIONS: Final = 64
"""Connections for calls: twice the 32 workers; without a bound a burst opens thousands (measured)."""

PAGE_SIZE: Final = 500
"""Objects in one page of a LIST, the figure of kubectl and client-go."""

_MERGE = {"Content-Type": "application/merge-patch+json"}

Body = dict[str, Any] | bytes
"""What is sent: an object, or its JSON already made."""


class StreamBroken(Unavailable):
    """A watch broke after it had begun: continue from the last resource version."""


class StreamSilent(Unavailable):
    """A watch said nothing for too long: take it for dead and list again."""


class ApiClient:
    """Calls and watches with one set of credentials; to be made inside the running loop.

    Args:
        credentials: Where the API server is and who we are.
        observer: Hears of every attempt.
        limit: Connections for calls.
    """

    def __init__(
        self,
        credentials: Credentials,
        observer: CallObserver | None = None,
        *,
        limit: int = CALL_CONNECTIONS,
    ) -> None:
        self._transport = Transport(credentials, observer or NullObserver(), limit=limit)

    @property
    def server(self) -> str:
        """The API server's URL, without a slash at the end."""
        return self._transport.server

    async def close(self) -> None:
        """Close every connection; what is under way ends with an error."""
        await self._transport.close()

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return the object at ``path``.

        Raises:
            ApiError: The member of the family that fits; the same holds for every method here.
        """
        return await self._transport.call("get", path, params, None, {})

    async def list_pages(
        self, path: str, params: Mapping[str, str] | None = None, limit: int = PAGE_SIZE
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Yield the pages of a LIST, each the raw list object.

        Raises:
            Expired: The snapshot behind the ``continue`` token is gone: begin again.
        """
        query = {**(params or {}), "limit": str(limit)}
        while True:
            page = await self._transport.call("list", path, query, None, {})
            yield page
            token = (page.get("metadata") or {}).get("continue")
            if not token:
                return
            # The API server refuses these two beside a token, which holds them already.
            query.pop("resourceVersion", None)
            query.pop("resourceVersionMatch", None)
            query["continue"] = token

    async def post(self, path: str, body: Body) -> dict[str, Any]:
        """Create ``body`` in the collection at ``path`` and return the answer."""
        return await self._transport.call("create", path, None, _encode(body), {})

    async def put(self, path: str, body: Body, accept: str | None = None) -> dict[str, Any]:
        """Replace the object at ``path``; ``accept`` asks for another form of the answer."""
        headers = {"Accept": accept} if accept else {}
        return await self._transport.call("update", path, None, _encode(body), headers)

    async def merge_patch(self, path: str, body: Body, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Apply a JSON merge patch (RFC 7386) and return the answer."""
        return await self._transport.call("patch", path, params, _encode(body), _MERGE)

    async def delete(self, path: str, *, uid: str | None = None) -> dict[str, Any]:
        """Delete the object at ``path``; with ``uid``, only that very object (else ``Conflict``)."""
        body = _encode({"preconditions": {"uid": uid}}) if uid else None
        return await self._transport.call("delete", path, None, body, {})

    async def watch(
        self,
        path: str,
        params: Mapping[str, str],
        idle_s: float,
        total_s: float | None = None,
        on_open: Callable[[], None] | None = None,
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Yield the events of a watch, raw, ERROR events and bookmarks too.

        It ends when the API server ends the stream or after ``total_s`` seconds. Use
        ``contextlib.aclosing`` when leaving it early.

        Args:
            path: The collection.
            params: ``resourceVersion`` and selectors; ``watch=true`` is added here.
            idle_s: Seconds without a whole line after which the stream is dead; bytes that drip
                in do not count.
            total_s: Seconds after which to end, or None.
            on_open: Called once the API server has accepted the watch.

        Raises:
            StreamSilent: Nothing came for ``idle_s``.
            StreamBroken: The stream broke in the middle.
            Unavailable: A line is no event.
            ApiError: The watch could not begin.
        """
        clock = asyncio.get_running_loop().time
        end = clock() + total_s if total_s is not None else float("inf")
        response = await self._open_watch(path, {**params, "watch": "true"}, idle_s)
        try:
            if on_open is not None:
                on_open()
            splitter, spoken = LineSplitter(), clock()
            while clock() < end and (chunk := await _next_chunk(response, splitter, spoken + idle_s, end)):
                for line in splitter.feed(chunk):
                    yield _event(line)
                    spoken = clock()
        finally:
            response.close()

    async def _open_watch(self, path: str, params: Mapping[str, str], idle_s: float) -> aiohttp.ClientResponse:
        try:
            async with asyncio.timeout(idle_s):
                return await self._transport.open_watch(path, params)
        except TimeoutError as error:
            raise StreamSilent(0, "Silent", f"expected the watch to begin within {idle_s:g} s") from error


def _encode(body: Body) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()


def _event(line: bytes) -> dict[str, Any]:
    event = decode_object(line)
    if isinstance(event.get("type"), str) and isinstance(event.get("object"), dict):
        return event
    raise Unavailable(0, "BadBody", "expected a watch event with type and object, found neither: list again")


async def _next_chunk(response: aiohttp.ClientResponse, splitter: LineSplitter, silent_at: float, end: float) -> bytes:
    """Return the next bytes, or none at the end of the stream or at the moment ``end``."""
    try:
        async with asyncio.timeout_at(min(silent_at, end)):
            chunk = await response.content.readany()
    except TimeoutError as error:
        if silent_at >= end:
            return b""
        raise StreamSilent(0, "Silent", "expected an event or a bookmark in time, found silence") from error
    except TRANSPORT_ERRORS as error:
        raise StreamBroken(0, type(error).__name__, f"the watch broke: {error}") from error
    if not chunk and splitter.held:
        raise StreamBroken(0, "Truncated", "expected whole lines, found one cut short by the stream's end")
    return chunk
