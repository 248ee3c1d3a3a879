"""One HTTP exchange with the API server, and the retries that are safe: a path in, an answer out.

Rules:
- A read is tried again with jittered backoff; a write whose outcome is unknown (a broken
  connection, a timeout, a 5xx) is not: the caller reads again and judges again.
- 429 means "not executed" and is honoured for every verb; 401 re-reads the token and tries once.
- No redirect is followed: it would carry the token to wherever the answer says.
- Calls and watches have a session each, so that a watch never takes a call's slot.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

import aiohttp
import yarl

from nodegate import __version__
from nodegate.errors import ApiError, Unauthorized, Unavailable
from nodegate.kube.answers import decode_object, error_of_answer
from nodegate.kube.backoff import Backoff
from nodegate.kube.credentials import Credentials
from nodegate.kube.observer import CallObserver
from nodegate.kube.paths import resource_of

CONNECT_S: Final = 5.0
"""Seconds to connect, TLS included."""

CALL_S: Final = 10.0
"""Seconds for one attempt, and the age after which a read is not tried again."""

TRIES: Final = 4
"""Attempts at most, the first included."""

RETRY_AFTER_CAP_S: Final = 10.0
"""Seconds waited at most for a ``Retry-After``; longer waits are the caller's to plan."""

TRANSPORT_ERRORS: Final = (aiohttp.ClientError, OSError, TimeoutError)
"""What aiohttp raises when there is no whole answer."""

_FD_IN_USE: Final = "File descriptor "
"""How uvloop begins to say that a new socket has the number of one whose transport is not closed yet
(uvloop 0.23, ``_ensure_fd_no_transport``); seen when an API server dies under many connections."""

_FIRST_ERROR_STATUS = 300
_THROTTLED = 429
_READS = frozenset({"get", "list"})
_METHODS = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
}

T = TypeVar("T")


async def _send_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Stop aiohttp from resending a PUT or DELETE by itself when a reused connection breaks."""
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        # aiohttp resends on exactly these two types; their common base class ends the call.
        raise aiohttp.ClientConnectionError(f"{type(error).__name__}: {error}") from error
    except RuntimeError as error:
        if not str(error).startswith(_FD_IN_USE):
            raise
        raise aiohttp.ClientConnectionError(str(error)) from error


class Transport:
    """The two sessions, the credentials and the observer."""

    def __init__(self, credentials: Credentials, observer: CallObserver, *, limit: int) -> None:
        self.server = credentials.server
        self._credentials = credentials
        self._observer = observer
        self._calls = self._session(limit, aiohttp.ClientTimeout(total=CALL_S, sock_connect=CONNECT_S))
        self._watches = self._session(0, aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S))

    def _session(self, limit: int, timeout: aiohttp.ClientTimeout) -> aiohttp.ClientSession:
        tls = self._credentials.ssl_context
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=limit, ssl=True if tls is None else tls),
            timeout=timeout,
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": f"nodegate/{__version__}", "Accept": "application/json"},
            middlewares=(_send_once,),
        )

    async def close(self) -> None:
        """Close every connection; what is under way ends with an error."""
        await self._calls.close()
        await self._watches.close()

    async def call(
        self,
        verb: str,
        path: str,
        params: Mapping[str, str] | None,
        data: bytes | None,
        headers: Mapping[str, str],
    ) -> dict[str, Any]:
        """Make a call, with the retries that are safe, and return the object it answers with.

        Raises:
            ApiError: The member of the family that fits.
            Malformed: The path is not escaped.
        """
        resource, url = resource_of(path), self._url(path, params)

        async def attempt() -> dict[str, Any]:
            response, body = await self._exchange(verb, resource, url, data, headers)
            if response.status >= _FIRST_ERROR_STATUS:
                raise error_of_answer(response.status, response.headers, body)
            return decode_object(body)

        return await self._retrying(verb, attempt)

    async def open_watch(self, path: str, params: Mapping[str, str]) -> aiohttp.ClientResponse:
        """Begin a watch and return the response, its body unread; the caller closes it.

        Raises:
            ApiError: The watch could not begin.
            Malformed: The path is not escaped.
        """
        resource, url = resource_of(path), self._url(path, params)

        async def attempt() -> aiohttp.ClientResponse:
            response = await self._begin_watch(resource, url)
            if response.status < _FIRST_ERROR_STATUS:
                return response
            try:
                body = await response.read()
            except TRANSPORT_ERRORS:
                body = b""
            raise error_of_answer(response.status, response.headers, body)

        return await self._retrying("watch", attempt)

    def _url(self, path: str, params: Mapping[str, str] | None) -> yarl.URL:
        query = f"?{urlencode(params)}" if params else ""
        return yarl.URL(f"{self.server}{path}{query}", encoded=True)

    def _headers(self, data: bytes | None, extra: Mapping[str, str]) -> dict[str, str]:
        headers = dict(extra)
        if data is not None:
            headers.setdefault("Content-Type", "application/json")
        authorization = self._credentials.authorization()
        if authorization is not None:
            headers["Authorization"] = authorization
        return headers

    async def _exchange(
        self, verb: str, resource: str, url: yarl.URL, data: bytes | None, extra: Mapping[str, str]
    ) -> tuple[aiohttp.ClientResponse, bytes]:
        started, code = time.perf_counter(), "error"
        headers = self._headers(data, extra)
        try:
            async with self._calls.request(
                _METHODS[verb], url, data=data, headers=headers, allow_redirects=False
            ) as response:
                body = await response.read()
                code = str(response.status)
                return response, body
        except TRANSPORT_ERRORS as error:
            raise self._no_answer(verb, resource, error) from error
        finally:
            self._observer.observe(verb, resource, code, time.perf_counter() - started)

    async def _begin_watch(self, resource: str, url: yarl.URL) -> aiohttp.ClientResponse:
        started, code = time.perf_counter(), "error"
        try:
            response = await self._watches.get(url, headers=self._headers(None, {}), allow_redirects=False)
            code = str(response.status)
        except TRANSPORT_ERRORS as error:
            raise self._no_answer("watch", resource, error) from error
        finally:
            self._observer.observe("watch", resource, code, time.perf_counter() - started)
        return response

    def _no_answer(self, verb: str, resource: str, error: BaseException) -> Unavailable:
        said = str(error) or f"no answer within {CALL_S:g} s"
        return Unavailable(
            0, type(error).__name__, f"{verb} {resource}: expected an answer of {self.server}, found none: {said}"
        )

    async def _retrying(self, verb: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """Repeat ``attempt`` while that is safe and promising; raise its last error otherwise."""
        started, backoff, tries, refreshed = time.monotonic(), Backoff(), 0, False
        while True:
            tries += 1
            try:
                return await attempt()
            except Unauthorized:
                if refreshed:
                    raise
                # Service account tokens rotate: the file may hold a newer one already.
                refreshed = True
                self._credentials.invalidate()
            except Unavailable as error:
                if tries >= TRIES or not _repeatable(verb, error, time.monotonic() - started):
                    raise
                await asyncio.sleep(_pause_s(error, backoff))


def _repeatable(verb: str, error: ApiError, age_s: float) -> bool:
    """Tell whether the call may be made again: it was not executed, or executing it twice is harmless."""
    return error.status == _THROTTLED or (verb in _READS and age_s < CALL_S)


def _pause_s(error: ApiError, backoff: Backoff) -> float:
    own = backoff.next_s()
    return own if error.retry_after_s is None else max(own, min(error.retry_after_s, RETRY_AFTER_CAP_S))
