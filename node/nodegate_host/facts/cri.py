"""Two questions to a container runtime over its socket: which CRI v1 are you, and which images are there.

A socket path goes in, answers come out; ``None`` means that nothing answered. This is as much of gRPC as that takes:
HTTP/2 with literal headers, one request on stream 1, answers of at most `_LIMIT` bytes, `_TIMEOUT_S` in all.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

from nodegate_host.facts.programs import version_in
from nodegate_host.model import Version

_TIMEOUT_S = 2.0
_LIMIT = 4 * 1024 * 1024
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_WINDOW = 16 * 1024 * 1024
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_ACK, _END_STREAM, _END_HEADERS = 1, 1, 4
_LENGTH_DELIMITED = 2


@dataclass(frozen=True)
class Answer:
    """`connected`: something listens; `message`: the answer's protobuf, None when the service is not there."""

    connected: bool
    message: bytes | None = None
    problem: str = ""


@dataclass(frozen=True)
class Runtime:
    """What the runtime calls itself."""

    name: str
    version: Version | None
    api: str


def _frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    return len(content).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + content


def _header(name: str, value: str) -> bytes:
    """Write a header as a literal without index; names and values here are shorter than 127 bytes."""
    return b"\0" + bytes((len(name),)) + name.encode() + bytes((len(value),)) + value.encode()


def _request(method: str, message: bytes) -> bytes:
    headers = b"".join(
        _header(name, value)
        for name, value in (
            (":method", "POST"),
            (":scheme", "http"),
            (":path", method),
            (":authority", "localhost"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        )
    )
    settings = (4).to_bytes(2, "big") + _WINDOW.to_bytes(4, "big")
    return (
        _PREFACE
        + _frame(_SETTINGS, 0, 0, settings)
        + _frame(_WINDOW_UPDATE, 0, 0, _WINDOW.to_bytes(4, "big"))
        + _frame(_HEADERS, _END_HEADERS, 1, headers)
        + _frame(_DATA, _END_STREAM, 1, b"\0" + len(message).to_bytes(4, "big") + message)
    )


def _read(connection: socket.socket, count: int, deadline: float) -> bytes:
    found = b""
    while len(found) < count:
        connection.settimeout(max(deadline - time.monotonic(), 0.001))
        part = connection.recv(count - len(found))
        if not part:
            raise ConnectionError("the runtime closed the connection")
        found += part
    return found


def _answer(connection: socket.socket, deadline: float) -> bytes | None:
    """Read frames until the stream ends; return what its DATA frames held, None when there were none."""
    found = b""
    while len(found) < _LIMIT:
        head = _read(connection, 9, deadline)
        kind, flags, stream = head[3], head[4], int.from_bytes(head[5:9], "big")
        content = _read(connection, int.from_bytes(head[:3], "big"), deadline)
        if kind == _SETTINGS and not flags & _ACK:
            connection.sendall(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            connection.sendall(_frame(_PING, _ACK, 0, content))
        elif kind == _DATA and stream == 1:
            found += content
        if kind in (_RESET, _GOAWAY) or (stream == 1 and kind in (_DATA, _HEADERS) and flags & _END_STREAM):
            break
    return found[5:] if len(found) >= 5 else None  # noqa: PLR2004 (flag and length before each message)


def call(path: str, method: str, message: bytes = b"") -> Answer:
    """Send one request; never raises."""
    deadline = time.monotonic() + _TIMEOUT_S
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_TIMEOUT_S)
            connection.connect(path)
            try:
                connection.sendall(_request(method, message))
                return Answer(connected=True, message=_answer(connection, deadline))
            except OSError as error:
                return Answer(connected=True, problem=str(error))
    except OSError as error:
        return Answer(connected=False, problem=str(error))


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data):
        value |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if not data[at - 1] & 0x80:
            break
    return value, at


def fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield a protobuf's strings and messages as (number, content); numbers in it are passed over."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        if key & 7 == _LENGTH_DELIMITED:
            length, at = _varint(data, at)
            yield key >> 3, data[at : at + length]
            at += length
        elif key & 7 == 0:
            _, at = _varint(data, at)
        else:
            return


def version(path: str) -> tuple[Answer, Runtime | None]:
    """Ask the runtime's CRI v1 for its version."""
    answer = call(path, "/runtime.v1.RuntimeService/Version")
    if not answer.message:
        return answer, None
    texts = {number: content.decode("utf-8", "replace") for number, content in fields(answer.message)}
    return answer, Runtime(texts.get(2, ""), version_in(texts.get(3, "")), texts.get(4, ""))


def images(path: str) -> tuple[str, ...] | None:
    """Ask the runtime's CRI v1 for the names of its images."""
    answer = call(path, "/runtime.v1.ImageService/ListImages")
    if answer.message is None:
        return None
    return tuple(
        content.decode("utf-8", "replace")
        for number, image in fields(answer.message)
        if number == 1
        for kind, content in fields(image)
        if kind in (2, 3)
    )
