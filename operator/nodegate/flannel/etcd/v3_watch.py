"""Watches of the v3 JSON gateway: a range and a revision in, changes out.

Rules: the events of one revision come in one message, so a position between messages is exact; a compacted revision
and a refusal come as ordinary messages of the stream; a message that is no JSON object ends the stream.
"""

import base64
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from nodegate.errors import Unavailable
from nodegate.flannel.etcd import diagnosis
from nodegate.flannel.etcd.connections import TRANSPORT_ERRORS, Request
from nodegate.flannel.etcd.errors import Failure, Reason, error_of
from nodegate.flannel.etcd.keys import Keys
from nodegate.flannel.etcd.transport import Transport
from nodegate.flannel.etcd.v3_wire import Body, decoded_key, encoded, reach, revision
from nodegate.flannel.etcd.values import Change, Kind
from nodegate.flannel.etcd.watching import Batch, Missed, lines


class V3Opener:
    """Opens watches on config and leases.

    Args:
        transport: To the members.
        keys: Of the network.
    """

    def __init__(self, transport: Transport, keys: Keys) -> None:
        self._transport = transport
        self._keys = keys

    async def batches(self, position: int) -> AsyncGenerator[Batch, None]:
        """Yield what happens from a revision on, see `watching.Opener`."""
        where = reach(self._keys.tree)
        idle_s = self._transport.limits.watch_idle_s
        async with self._transport.stream(_watch(where, position)) as (connections, response):
            async for line in lines(response, idle_s):
                changes, following = self._batch(_result(self._transport, line), position)
                yield tuple(change for change in changes if self._keys.matters(change.key)), following
                position = following
                if connections.retired:
                    return

    def _batch(self, result: Mapping[str, Any], position: int) -> Batch:
        """Return the changes of a message; the first one says only that the watch was created, and promises nothing."""
        changes = tuple(map(_change, result.get("events", ())))
        known = 0 if result.get("created") else revision(result) + 1
        return changes, max([position, known, *(change.mod_revision + 1 for change in changes)])


def _watch(where: Body, position: int) -> Request:
    create = {**where, "start_revision": str(position), "progress_notify": True}
    return Request("POST", "/watch", body={"create_request": create})


def _result(transport: Transport, line: bytes) -> Mapping[str, Any]:
    """Return the result in a message.

    Raises:
        Missed: The position was compacted.
        EtcdError: The watch was refused.
        ConnectionError: The message is none, or says that the stream has failed.
    """
    said = diagnosis.decode(line) or {}
    result = said.get("result")
    if not isinstance(result, dict):
        raise _broken(transport, said)
    if int(result.get("compact_revision", 0)):
        raise Missed
    if result.get("canceled"):
        raise _refused(transport, str(result.get("cancel_reason", "")))
    return result


def _broken(transport: Transport, said: Mapping[str, Any]) -> Exception:
    error = said.get("error")
    message = str(error.get("message", "")) if isinstance(error, dict) else ""
    if "permission denied" in message:
        return _refused(transport, message)
    return ConnectionError(f"expected a watch message with a result, found {message or 'none'}")


def _refused(transport: Transport, text: str) -> Exception:
    if "permission denied" in text:
        return error_of({transport.endpoint: Failure(Reason.PERMISSION, text)})
    return ConnectionError(f"the watch was cancelled: {text}")


def _change(event: Mapping[str, Any]) -> Change:
    kv = event.get("kv", {})
    deleted = event.get("type") == "DELETE"
    return Change(
        Kind.DELETE if deleted else Kind.PUT,
        decoded_key(kv.get("key", "")),
        b"" if deleted else base64.b64decode(kv.get("value", "")),
        int(kv.get("mod_revision", 0)),
    )


async def first_change(transport: Transport, key: str, since: int) -> Change | None:
    """Return what happened first to one key from a revision on, None when that cannot be told.

    Raises:
        EtcdError: No member lets us watch.
    """
    try:
        async with transport.stream(_watch({"key": encoded(key)}, since)) as (_, response):
            async for line in lines(response, transport.limits.op_s):
                events = _result(transport, line).get("events", ())
                if events:
                    return _change(events[0])
    except (Missed, Unavailable, *TRANSPORT_ERRORS):
        return None
    return None
