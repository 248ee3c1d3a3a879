"""The v2 keys API's language: requests made, answers read. Pure.

Rules: reads ask for a quorum; a refusal that is about the key itself (absent, there already, other index) is an answer
and not a failure; a directory is never written, and never deleted.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from nodegate.flannel.etcd import diagnosis
from nodegate.flannel.etcd.connections import Answer, Request
from nodegate.flannel.etcd.errors import Failure, Reason
from nodegate.flannel.etcd.values import KeyValue, ServerVersion

ABSENT: Final = 100
COMPARED_OTHERWISE: Final = 101
THERE_ALREADY: Final = 105
CLEARED: Final = 401
"""Codes of the v2 API: etcd, package v2error."""

_ABOUT_THE_KEY: Final = frozenset({ABSENT, COMPARED_OTHERWISE, THERE_ALREADY})
_OK: Final = 200
_CREATED: Final = 201


def read(key: str, *, recursive: bool = False) -> Request:
    """Return the read of a key, or of everything below it."""
    more = {"recursive": "true"} if recursive else {}
    return Request("GET", _path(key, quorum="true", **more))


def put(key: str, value: bytes, expected: int) -> Request:
    """Return the write of a key without an end, guarded by its index; 0 for absent."""
    guard = {"prevIndex": str(expected)} if expected else {"prevExist": "false"}
    return Request("PUT", _path(key, **guard), form={"value": value.decode("utf-8", "surrogateescape")}, write=True)


def delete(key: str, expected: int) -> Request:
    """Return the deletion of one key, guarded by its index; a directory is refused by etcd."""
    return Request("DELETE", _path(key, prevIndex=str(expected)), write=True)


def wait(key: str, index: int, *, recursive: bool = True) -> Request:
    """Return the long poll for the first event of a key, or below it too, at or after an index."""
    more = {"recursive": "true"} if recursive else {}
    return Request("GET", _path(key, wait="true", waitIndex=str(index), **more))


def _path(key: str, **query: str) -> str:
    return f"{quote(key, safe='/')}?{urlencode(query)}"


def said(answer: Answer) -> Mapping[str, Any]:
    """Return the JSON object of an answer, empty when there is none."""
    return diagnosis.decode(answer.body) or {}


def error_code(answer: Answer) -> int:
    """Return the code of a refusal, 0 for a success."""
    code = said(answer).get("errorCode", 0)
    return code if isinstance(code, int) else 0


def index(answer: Answer) -> int:
    """Return the store's index from the headers, 0 when they have none."""
    text = answer.headers.get("X-Etcd-Index", "")
    return int(text) if text.isdecimal() else 0


def key_value(node: Mapping[str, Any]) -> KeyValue:
    """Return a key as a value."""
    ttl = node.get("ttl")
    return KeyValue(
        key=str(node.get("key", "")),
        value=str(node.get("value", "")).encode("utf-8", "surrogateescape"),
        mod_revision=int(node.get("modifiedIndex", 0)),
        create_revision=int(node.get("createdIndex", 0)),
        ttl_s=int(ttl) if ttl is not None else None,
    )


def leaves(node: Mapping[str, Any]) -> Iterator[KeyValue]:
    """Yield every key at or below a node."""
    if not node.get("dir"):
        yield key_value(node)
    for child in node.get("nodes") or ():
        yield from leaves(child)


class V2Wire:
    """How the v2 API is spoken.

    Args:
        config_key: Read to learn the cluster.
    """

    def __init__(self, config_key: str) -> None:
        self._probe = Request("GET", quote(config_key, safe="/"))

    @property
    def probe(self) -> Request:
        """A cheap read whose answer names the cluster."""
        return self._probe

    def base(self, version: ServerVersion) -> str | None:  # noqa: ARG002  # the path is the same for every version
        """Return ``/v2/keys``; whether it is served there, the answer tells."""
        return "/v2/keys"

    def cluster_id(self, answer: Answer) -> str:
        """Return the header's cluster in hexadecimal."""
        return answer.headers.get("X-Etcd-Cluster-Id", "")

    def failure(self, answer: Answer) -> Failure | None:
        """Return what is wrong with an answer, None when the store can use it."""
        if answer.status in (_OK, _CREATED):
            if "node" in said(answer):
                return None
            return Failure(Reason.UNEXPECTED, f"{len(answer.body)} bytes without a node", maybe_done=True)
        if error_code(answer) in _ABOUT_THE_KEY:
            return None
        return diagnosis.of_v2_answer(answer.status, answer.body)

    def login(self, username: str, password: str) -> Request | None:  # noqa: ARG002  # shape of the protocol
        """Return None: the v2 API has no tokens, and its basic authentication is not supported."""
        return None

    def token(self, answer: Answer) -> Mapping[str, str]:  # noqa: ARG002  # shape of the protocol
        """Return no headers."""
        return {}
