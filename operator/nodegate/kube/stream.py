"""Cuts a byte stream into lines, each one JSON document of a watch. No I/O.

aiohttp's own ``readline`` refuses long lines, while a watch event may carry an object of 1.5 MB
(etcd's limit) and its managed fields; so lines are collected here, up to ``LINE_LIMIT``.
"""

from nodegate.errors import Unavailable

LINE_LIMIT = 8 * 1024 * 1024
"""Bytes of one line: five times the largest object etcd stores, so that JSON escapes fit too."""


class LineSplitter:
    """Collects chunks and hands out whole lines."""

    def __init__(self, limit: int = LINE_LIMIT) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._held = 0

    @property
    def held(self) -> int:
        """Bytes of the line that has begun but not ended."""
        return self._held

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take a chunk and return the lines that it completes, without their line ends.

        Raises:
            Unavailable: A line is longer than the limit.
        """
        head, *rest = chunk.split(b"\n")
        self._keep(head)
        if not rest:
            return []
        lines = [b"".join(self._parts), *rest[:-1]]
        self._parts, self._held = [], 0
        self._keep(rest[-1])
        return [line for line in lines if line.strip()]

    def _keep(self, part: bytes) -> None:
        self._held += len(part)
        if self._held > self._limit:
            raise Unavailable(
                0, "LineTooLong", f"expected watch lines of at most {self._limit} bytes, found more: list again"
            )
        if part:
            self._parts.append(part)
