"""HTTP connections to the members with one set of credentials: one request in, one answer out, no retries.

Rules: nothing comes from the environment (no proxy, no CA bundle, no netrc); no cookie, no redirect; aiohttp must not
resend by itself; credentials that were replaced end once nothing uses their connections any more; closing does not
wait for members that are frozen.
"""

import asyncio
import socket
import weakref
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import yarl

from nodegate import __version__
from nodegate.flannel.etcd.credentials import Credentials, tls_context
from nodegate.flannel.etcd.values import Limits

TRANSPORT_ERRORS: Final = (aiohttp.ClientError, OSError, TimeoutError)
"""What aiohttp raises when there is no whole answer."""

_FD_IN_USE: Final = "File descriptor "
"""How uvloop 0.23 says that a new socket has the number of one whose transport is not closed yet."""


_CLOSING_ROUNDS: Final = 50
_CLOSING_PAUSE_S: Final = 0.01
"""Half a second at most for the loop to see that a socket was shut."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a member.

    Attributes:
        method: Of HTTP.
        path: Below the member's API path, escaped, with its query.
        body: Sent as JSON; None for none.
        form: Sent as a form; None for none.
        write: Whether it may change something.
    """

    method: str
    path: str
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    write: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        status: Of HTTP.
        headers: Names compare without case.
        body: As received.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


async def _send_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from resending a PUT or DELETE when a kept connection turns out to be dead."""
    try:
        return await handler(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        # aiohttp resends on exactly these two types; their base class ends the call.
        raise aiohttp.ClientConnectionError(f"{type(error).__name__}: {error}") from error
    except RuntimeError as error:
        if not str(error).startswith(_FD_IN_USE):
            raise
        raise aiohttp.ClientConnectionError(str(error)) from error


class Connections:
    """A session; to be made inside the running loop.

    Args:
        credentials: None for http endpoints only.
        limits: Of the client.

    Raises:
        EtcdError: CREDENTIALS_UNUSABLE.
    """

    def __init__(self, credentials: Credentials | None, limits: Limits) -> None:
        self._limits = limits
        self._server_name = credentials.server_name if credentials else ""
        context = tls_context(credentials) if credentials else True
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._users = 0
        self.retired = False
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, socket_factory=self._socket),
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": f"nodegate/{__version__}", "Accept": "application/json"},
            middlewares=(_send_once,),
        )

    async def close(self) -> None:
        """Close every connection; what is under way ends with an error."""
        await self._session.close()
        # A TLS connection that timed out waits half a minute for the other side's farewell: end it from this one.
        for kept in self._left():
            with suppress(OSError):
                kept.shutdown(socket.SHUT_RDWR)
        for _ in range(_CLOSING_ROUNDS):
            if not self._left():
                return
            await asyncio.sleep(_CLOSING_PAUSE_S)

    def _socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        """Make a socket for aiohttp, and remember it."""
        made = socket.socket(*address[:3])
        self._sockets.add(made)
        return made

    def _left(self) -> list[socket.socket]:
        return [kept for kept in self._sockets if kept.fileno() >= 0]

    async def retire(self) -> None:
        """Close every connection as soon as nothing uses one."""
        self.retired = True
        if not self._users:
            await self.close()

    async def exchange(self, url: str, request: Request, timeout_s: float, headers: Mapping[str, str]) -> Answer:
        """Send a request to exactly this URL and return the whole answer.

        Raises:
            aiohttp.ClientError, OSError, TimeoutError: There is none.
        """
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(self._limits.connect_s, timeout_s))
        async with self._response(url, request, timeout, headers) as response:
            return Answer(response.status, response.headers, await response.read())

    @asynccontextmanager
    async def stream(
        self, url: str, request: Request, headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request and yield the response once its headers are there, its body unread and without an end.

        Raises:
            aiohttp.ClientError, OSError, TimeoutError: It did not begin.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._limits.connect_s)
        async with self._response(url, request, timeout, headers) as response:
            yield response

    @asynccontextmanager
    async def _response(
        self, url: str, request: Request, limit: aiohttp.ClientTimeout, headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        self._users += 1
        try:
            async with self._session.request(
                request.method,
                yarl.URL(url, encoded=True),
                json=request.body,
                data=request.form,
                headers=dict(headers),
                timeout=limit,
                allow_redirects=False,
                server_hostname=self._server_name or None,
            ) as response:
                yield response
        finally:
            self._users -= 1
            if self.retired and not self._users:
                await self.close()
