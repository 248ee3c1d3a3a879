"""The v3 JSON gateway's language: requests made, answers read. Pure.

Rules: bytes travel as base64 and 64-bit integers as strings; an absent member means false, zero or empty; etcd 3.3
serves everything below ``/v3beta``, 3.4 and newer below ``/v3``.
"""

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from nodegate.flannel.etcd import diagnosis
from nodegate.flannel.etcd.connections import Answer, Request
from nodegate.flannel.etcd.errors import Failure, Reason
from nodegate.flannel.etcd.values import KeyValue, ServerVersion

Body = dict[str, Any]

_OK: Final = 200
_NUMBERS: Final = re.compile(r"(\d+)\.(\d+)\.")


def encoded(text: str | bytes) -> str:
    """Return bytes, or a key, as base64."""
    raw = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    return base64.b64encode(raw).decode()


def after_all(prefix: str) -> str:
    """Return the first key after every key that begins with `prefix`, whose last character is not U+007F."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def reach(prefix: str) -> Body:
    """Return the range of every key that begins with `prefix`."""
    return {"key": encoded(prefix), "range_end": encoded(after_all(prefix))}


def revision_is(key: str, mod_revision: int) -> Body:
    """Return the condition that a key was written last at this revision; 0 for absent."""
    return {"key": encoded(key), "target": "MOD", "result": "EQUAL", "mod_revision": str(mod_revision)}


def none_since(prefix: str, revision: int) -> Body:
    """Return the condition that no key of a range was written after this revision."""
    return {**reach(prefix), "target": "MOD", "result": "LESS", "mod_revision": str(revision + 1)}


def none_there(prefix: str) -> Body:
    """Return the condition that a range is empty: no existing key was created at revision 0."""
    return {**reach(prefix), "target": "CREATE", "result": "EQUAL", "create_revision": "0"}


def get(where: Body, **more: Any) -> Body:
    """Return the read of a range, to be part of a transaction."""
    return {"request_range": {**where, **more}}


def put(key: str, value: bytes) -> Body:
    """Return the write of a key without a lease."""
    return {"request_put": {"key": encoded(key), "value": encoded(value)}}


def delete(key: str) -> Body:
    """Return the deletion of exactly one key."""
    return {"request_delete_range": {"key": encoded(key)}}


def txn(compare: Iterable[Body], success: Iterable[Body], failure: Iterable[Body] = (), *, write: bool) -> Request:
    """Return a transaction."""
    body = {"compare": list(compare), "success": list(success), "failure": list(failure)}
    return Request("POST", "/kv/txn", body=body, write=write)


@dataclass(frozen=True, slots=True)
class TxnResult:
    """What a transaction answered.

    Attributes:
        succeeded: Whether every condition held.
        revision: Of the store.
        ranges: The keys of every read among its parts, in order.
    """

    succeeded: bool
    revision: int
    ranges: tuple[tuple[KeyValue, ...], ...]


def txn_result(answer: Answer) -> TxnResult:
    """Return what a good answer to a transaction says."""
    said = diagnosis.decode(answer.body) or {}
    parts = [part["response_range"] for part in said.get("responses", ()) if "response_range" in part]
    ranges = tuple(tuple(key_value(kv) for kv in part.get("kvs", ())) for part in parts)
    return TxnResult(bool(said.get("succeeded")), revision(said), ranges)


def revision(said: Mapping[str, Any]) -> int:
    """Return the store's revision from an answer's header."""
    return int(said.get("header", {}).get("revision", 0))


def decoded_key(text: str) -> str:
    """Return a key as text."""
    return base64.b64decode(text).decode("utf-8", "surrogateescape")


def key_value(kv: Mapping[str, Any]) -> KeyValue:
    """Return a key as a value."""
    return KeyValue(
        key=decoded_key(kv.get("key", "")),
        value=base64.b64decode(kv.get("value", "")),
        mod_revision=int(kv.get("mod_revision", 0)),
        create_revision=int(kv.get("create_revision", 0)),
        lease_id=int(kv.get("lease", 0)),
    )


class V3Wire:
    """How the gateway is spoken.

    Args:
        config_key: Read to learn the cluster: the least that a role on the prefix may read.
    """

    def __init__(self, config_key: str) -> None:
        self._probe = Request("POST", "/kv/range", body={"key": encoded(config_key), "keys_only": True})

    @property
    def probe(self) -> Request:
        """A cheap read whose answer names the cluster."""
        return self._probe

    def base(self, version: ServerVersion) -> str | None:
        """Return ``/v3``, ``/v3beta`` for etcd 3.3, None for older ones."""
        found = _NUMBERS.match(version.server)
        numbers = (int(found[1]), int(found[2])) if found else (0, 0)
        if numbers < (3, 3):
            return None
        return "/v3beta" if numbers == (3, 3) else "/v3"

    def cluster_id(self, answer: Answer) -> str:
        """Return the header's cluster in hexadecimal; streams name it inside their results."""
        said = diagnosis.decode(answer.body) or {}
        number = said.get("header", {}).get("cluster_id")
        return f"{int(number):x}" if number else ""

    def failure(self, answer: Answer) -> Failure | None:
        """Return what is wrong with an answer, None when the store can use it."""
        if answer.status != _OK:
            return diagnosis.of_v3_answer(answer.status, answer.body)
        if diagnosis.decode(answer.body) is None:
            return Failure(Reason.UNEXPECTED, f"{len(answer.body)} bytes that are no JSON object", maybe_done=True)
        return None

    def login(self, username: str, password: str) -> Request | None:
        """Return the request for a token."""
        return Request("POST", "/auth/authenticate", body={"name": username, "password": password})

    def token(self, answer: Answer) -> Mapping[str, str]:
        """Return the header that carries the token."""
        return {"Authorization": str((diagnosis.decode(answer.body) or {}).get("token", ""))}
