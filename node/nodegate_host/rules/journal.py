"""Journal lines from journald or from a file: JSON as ``journalctl -o json`` prints it, or text as people save it.

Text or a command's output goes in, `Line` values come out. Rules: a line that is no JSON is read as text, so a mixed
file works; only the last `LIMIT` lines count; a message that journald gives as a list of bytes is decoded.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from nodegate_host.rules.model import Line

LIMIT = 200_000
"""Lines; a node that loops logs some thousand an hour, and causes are in the newest."""

UNITS = ("flanneld", "containerd", "docker", "cri-docker", "kubelet", "kube-proxy")
"""Whose lines are read when no unit is named."""

TIMEOUT_S = 30
"""For journalctl."""

_FIELDS = "MESSAGE,_SYSTEMD_UNIT,UNIT,SYSLOG_IDENTIFIER,PRIORITY"
_STAMP = re.compile(
    r"(?:(?P<iso>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)"
    r"|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)?)"
    r" (?:\S+ )?(?=[\w@.()-]+(?:\[\d+\])?: )"
)
_ABOUT = re.compile(r"([\w@:.-]+)\.service: ")
"""How systemd's own lines begin when they are about a service."""
_TAG = re.compile(r"([\w@.()-]+?)(?:\[\d+\])?: ")


def _message(value: Any) -> str:
    if isinstance(value, list):
        numbers = [each for each in value if isinstance(each, int) and 0 <= each < 256]  # noqa: PLR2004 (bytes)
        return bytes(numbers).decode("utf-8", "replace")
    return value if isinstance(value, str) else ""


def _from_json(number: int, entry: dict[str, Any]) -> Line:
    unit = str(entry.get("UNIT") or entry.get("_SYSTEMD_UNIT") or entry.get("SYSLOG_IDENTIFIER") or "")
    stamp, priority = str(entry.get("__REALTIME_TIMESTAMP", "")), str(entry.get("PRIORITY", ""))
    return Line(
        number,
        _message(entry.get("MESSAGE")),
        unit.removesuffix(".service"),
        int(stamp) / 1e6 if stamp.isdigit() else None,
        int(priority) if priority.isdigit() else None,
    )


def _seconds(text: str | None) -> float | None:
    if not text:
        return None
    normal = re.sub(r"[.,]\d+", "", text).replace("Z", "+00:00").replace(" ", "T")
    normal = re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", normal)
    try:
        return datetime.fromisoformat(normal).timestamp()
    except ValueError:
        return None


def _from_text(number: int, text: str) -> Line:
    stamp = _STAMP.match(text)
    rest = text[stamp.end() :] if stamp else text
    tag = _TAG.match(rest) if stamp or "[" in rest[:40] else None
    if tag is None:
        return Line(number, rest)
    message = rest[tag.end() :]
    about = _ABOUT.match(message) if tag.group(1) == "systemd" else None
    unit = about.group(1) if about else tag.group(1)
    return Line(number, message, unit, _seconds(stamp.group("iso") if stamp else None))


def _parse(number: int, raw: str) -> Line | None:
    if raw.startswith("{"):
        try:
            entry = json.loads(raw)
        except ValueError:
            return _from_text(number, raw)
        return _from_json(number, entry) if isinstance(entry, dict) and "MESSAGE" in entry else None
    return _from_text(number, raw) if raw.strip() else None


def read(lines: Iterable[str]) -> tuple[Line, ...]:
    """Return the last `LIMIT` lines of a saved journal; a message of several lines becomes several."""
    kept = deque(enumerate(lines, start=1), LIMIT)
    return tuple(part for number, raw in kept for part in _split(_parse(number, raw.rstrip("\r\n"))))


def _split(line: Line | None) -> Iterator[Line]:
    if line is None or "\n" not in line.message:
        if line is not None:
            yield line
        return
    for part in line.message.split("\n"):
        yield Line(line.number, part, line.unit, line.time, line.priority)


def command(units: Sequence[str], since: str | None, *, root: str = "/") -> list[str]:
    """Return the journalctl command for these units (all of ours when none are named)."""
    chosen = [each if "." in each else f"{each}.service" for each in (units or UNITS)]
    argv = ["journalctl", "--no-pager", "-o", "json", f"--output-fields={_FIELDS}", "-n", str(LIMIT)]
    argv += [f"--root={root}"] if root != "/" else []
    argv += [f"--since={since}"] if since else ["-b"]
    return argv + [f"--unit={each}" for each in chosen]


def from_journald(argv: Sequence[str]) -> tuple[tuple[Line, ...], str]:
    """Run journalctl; return its lines, and why it could not (empty when it could)."""
    try:
        done = subprocess.run(argv, capture_output=True, timeout=TIMEOUT_S, check=False)
    except FileNotFoundError:
        return (), "expected journalctl on this host, found none; use --journal-file FILE"
    except subprocess.TimeoutExpired:
        return (), f"journalctl took longer than {TIMEOUT_S} s; narrow it with --since or --unit"
    if done.returncode != 0 and not done.stdout:
        return (), f"journalctl failed: {done.stderr.decode('utf-8', 'replace').strip()}"
    return read(done.stdout.decode("utf-8", "replace").splitlines()), ""
