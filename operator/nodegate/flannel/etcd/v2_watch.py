"""Watches of the v2 keys API: an index in, changes out.

Rules: one long poll brings one event; the index in its headers tells how far the history was searched, so that an
idle watch does not fall out of etcd's last thousand events; the end of a directory is a reason to read again.
"""

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

from nodegate.flannel.etcd import diagnosis
from nodegate.flannel.etcd import v2_wire as wire
from nodegate.flannel.etcd.connections import TRANSPORT_ERRORS, Answer
from nodegate.flannel.etcd.errors import EtcdError, Reason
from nodegate.flannel.etcd.keys import Keys
from nodegate.flannel.etcd.transport import Transport
from nodegate.flannel.etcd.values import Change, Kind
from nodegate.flannel.etcd.watching import Batch, Missed, chunks

_GONE: Final = frozenset({"delete", "expire", "compareAndDelete"})


class V2Opener:
    """Opens watches on config and leases.

    Args:
        transport: To the members.
        keys: Of the network.
    """

    def __init__(self, transport: Transport, keys: Keys) -> None:
        self._transport = transport
        self._keys = keys

    async def batches(self, position: int) -> AsyncGenerator[Batch, None]:
        """Yield the next event, see `watching.Opener`."""
        request = wire.wait(self._keys.prefix, position)
        try:
            async with self._transport.stream(request) as (_, response):
                body = b"".join([chunk async for chunk in chunks(response, self._transport.limits.watch_idle_s)])
                searched = wire.index(Answer(response.status, response.headers, b""))
        except EtcdError as error:
            if error.reason is Reason.REJECTED and _was_cleared(error):
                raise Missed from error
            raise
        event = diagnosis.decode(body)
        if event is None:
            # A message that was cut short may be about an event that the search had found.
            yield (), position if body else max(position, searched + 1)
            return
        yield self._batch(event, position)

    def _batch(self, event: Mapping[str, Any], position: int) -> Batch:
        change, is_directory = _change(event), bool((event.get("node") or {}).get("dir"))
        if change.kind is Kind.DELETE and (is_directory or not change.key.startswith(self._keys.tree)):
            raise Missed
        matters = not is_directory and self._keys.matters(change.key)
        return ((change,) if matters else ()), max(position, change.mod_revision + 1)


def _change(event: Mapping[str, Any]) -> Change:
    found = wire.key_value(event.get("node") or {})
    if event.get("action") in _GONE:
        return Change(Kind.DELETE, found.key, b"", found.mod_revision)
    return Change(Kind.PUT, found.key, found.value, found.mod_revision)


async def first_change(transport: Transport, key: str, since: int) -> Change | None:
    """Return what happened first to one key from an index on, None when that cannot be told.

    Raises:
        EtcdError: No member lets us watch, or the index is forgotten.
    """
    try:
        async with transport.stream(wire.wait(key, since, recursive=False)) as (_, response):
            body = b"".join([chunk async for chunk in chunks(response, transport.limits.op_s)])
    except TRANSPORT_ERRORS:
        return None
    event = diagnosis.decode(body)
    return _change(event) if event else None


def _was_cleared(error: EtcdError) -> bool:
    return any(failure.found.startswith(f"{wire.CLEARED} ") for failure in error.failures.values())
