"""A watch that outlives its connections: one revision in, changes out.

Rules: after a break, or silence, it is opened again exactly where it ended, so that nothing is missed and nothing
comes twice; it ends with RELIST when etcd no longer has what lies between, and with an error only where a person must
act. A caller polls all the same: an old connection to a frozen member tells nothing until `Limits.watch_idle_s`.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Final, Protocol

import aiohttp

from nodegate.errors import Unavailable
from nodegate.flannel.etcd.connections import TRANSPORT_ERRORS
from nodegate.flannel.etcd.errors import FINAL, HOPELESS, EtcdError
from nodegate.flannel.etcd.transport import Transport
from nodegate.flannel.etcd.values import Change, Kind
from nodegate.kube.backoff import Backoff
from nodegate.kube.stream import LineSplitter

_RELIST: Final = Change(Kind.RELIST)
_PAUSE_CAP_S: Final = 2.0

Batch = tuple[tuple[Change, ...], int]
"""What came at once, and the revision to go on from once all of it was handed out."""


class Missed(Exception):
    """What lies between is gone: only a new reading helps."""


class Opener(Protocol):
    """One connection's worth of a watch."""

    def batches(self, position: int) -> AsyncGenerator[Batch, None]:
        """Yield what happens from a revision on; end when the connection ends or goes silent.

        Raises:
            Missed: The revision is no longer there.
            EtcdError: The watch could not begin or was refused.
            aiohttp.ClientError, OSError, TimeoutError: The connection broke.
        """


async def watch(transport: Transport, opener: Opener, from_revision: int) -> AsyncGenerator[Change, None]:
    """Yield changes for ever; end after RELIST.

    Raises:
        EtcdError: For reasons that waiting does not heal.
    """
    position, backoff = from_revision, Backoff(first_s=0.05, cap_s=_PAUSE_CAP_S)
    while True:
        begun = position
        try:
            async with aclosing(opener.batches(position)) as batches:
                async for changes, following in batches:
                    backoff.reset()
                    for change in changes:
                        yield change
                    position = following
            if position == begun:
                # A member that ends its streams at once must not be asked without a pause.
                await asyncio.sleep(backoff.next_s())
        except (Missed, Unavailable):
            yield _RELIST
            return
        except (EtcdError, *TRANSPORT_ERRORS) as error:
            _outlive(transport, error)
            await asyncio.sleep(backoff.next_s())


def _outlive(transport: Transport, error: Exception) -> None:
    """Leave the member whose stream broke; raise what waiting does not heal."""
    if not isinstance(error, EtcdError):
        transport.leave_current()
    elif error.reason in FINAL | HOPELESS:
        raise error


async def chunks(response: aiohttp.ClientResponse, idle_s: float) -> AsyncIterator[bytes]:
    """Yield what arrives; end with the stream, or after silence.

    Raises:
        aiohttp.ClientError, OSError: The connection broke.
    """
    while True:
        try:
            async with asyncio.timeout(idle_s):
                chunk = await response.content.readany()
        except TimeoutError:
            return
        if not chunk:
            return
        yield chunk


async def lines(response: aiohttp.ClientResponse, idle_s: float) -> AsyncIterator[bytes]:
    """Yield whole lines; end with the stream, or after silence.

    Raises:
        Unavailable: A line is longer than can be kept.
        aiohttp.ClientError, OSError: The connection broke.
    """
    splitter = LineSplitter()
    async for chunk in chunks(response, idle_s):
        for line in splitter.feed(chunk):
            yield line
