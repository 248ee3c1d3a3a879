"""Log lines: one JSON object a line for machines, or one plain line for people.

Rules: whatever came from outside is escaped, so a line stays one line; a traceback appears only at
level debug; secrets are never handed to a logger in the first place.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

from nodegate.text import visible

LINE_LIMIT = 2048
"""Characters of one message: an audit line's longest message and its prefix."""


def configure(level: str, form: str, stream: TextIO | None = None) -> None:
    """Set up the root logger for this process.

    Args:
        level: ``debug``, ``info``, ``warning`` or ``error``.
        form: ``json`` or ``text``.
        stream: Where the lines go; standard error by default.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else PlainLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # These speak for every request and every retry; what matters of it this program says itself.
    quiet = logging.DEBUG if level == "debug" else logging.ERROR
    for name in ("kopf", "aiohttp.access", "asyncio"):
        logging.getLogger(name).setLevel(quiet)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields = getattr(record, "fields", None)
    return fields if isinstance(fields, dict) else {}


def _trace(record: logging.LogRecord, formatter: logging.Formatter) -> str | None:
    if record.exc_info and logging.getLogger().isEnabledFor(logging.DEBUG):
        return formatter.formatException(record.exc_info)
    return None


def _moment(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")


class JsonLines(logging.Formatter):
    """One JSON object a line: ts, level, logger, msg, and the record's ``fields``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {
            "ts": _moment(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": visible(record.getMessage(), LINE_LIMIT),
            **_fields(record),
        }
        trace = _trace(record, self)
        return json.dumps(line | ({"trace": trace} if trace else {}), default=str)


class PlainLines(logging.Formatter):
    """One line for people: time, level, logger, message."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        detail = _fields(record).get("message")
        text = record.getMessage() + (f" | {detail}" if detail else "")
        trace = _trace(record, self)
        line = f"{_moment(record)[11:23]} {record.levelname:<7} {record.name}: {visible(text, LINE_LIMIT)}"
        return line + (f"\n{trace}" if trace else "")
