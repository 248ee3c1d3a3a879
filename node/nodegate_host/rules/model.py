"""What a diagnosis rule is, what it is matched against, and what comes out.

Values only. A rule is data: anchors (plain substrings, one of which every matching line holds; they make the pass over
a long journal cheap), a pattern whose groups fill ``{0}`` ``{1}`` of cause and remedy, and a rank among the causes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

ERROR = "error"
WARNING = "warning"
INFO = "info"

ROOT_CAUSE = 1
EFFECT = 2
"""`Rule.depth`: what others follow from comes before what only follows (a start limit, a failed dependency)."""


@dataclass(frozen=True)
class Rule:
    """One row: `id` is stable; `faq` is the guide's FAQ number; `errata` the guide's error that leads here."""

    id: str
    title: str
    anchors: tuple[str, ...]
    pattern: re.Pattern[str]
    cause: str
    remedy: tuple[str, ...]
    doc: str
    severity: str = ERROR
    faq: int | None = None
    errata: str | None = None
    depth: int = ROOT_CAUSE


class Line(NamedTuple):
    """A journal line: `number` from 1 in what was read, `time` in seconds since the epoch when it is known."""

    number: int
    message: str
    unit: str = ""
    time: float | None = None
    priority: int | None = None


@dataclass(frozen=True)
class Hit:
    """A rule that matched: the last line, how often, the first and last time, and the pattern's groups."""

    rule: Rule
    line: Line
    count: int
    first: float | None
    last: float | None
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """A place to look at: a host's file and line (0 when the whole file), and what stands there."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        """As compilers print it."""
        return f"{self.file}:{self.line}: {self.text}" if self.line else f"{self.file}: {self.text}"


@dataclass(frozen=True)
class Cause:
    """A diagnosis: `id` is the rule's, with a letter where the host's files tell cases apart (D2a, D2b, D2c)."""

    id: str
    severity: str
    title: str
    cause: str
    remedy: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    hit: Hit


@dataclass(frozen=True)
class Unknown:
    """An error that no rule knows: its last line and how many alike there were."""

    line: Line
    count: int


@dataclass(frozen=True)
class Diagnosis:
    """`causes` by rank; `unknown` the last distinct errors, newest first; `lines` how many were read."""

    causes: tuple[Cause, ...]
    unknown: tuple[Unknown, ...]
    lines: int


def rule(  # noqa: PLR0913 (a row of a table has as many columns as it has)
    identifier: str,
    title: str,
    anchors: tuple[str, ...],
    pattern: str,
    *,
    cause: str,
    remedy: tuple[str, ...],
    doc: str,
    severity: str = ERROR,
    faq: int | None = None,
    errata: str | None = None,
    depth: int = ROOT_CAUSE,
) -> Rule:
    """Make a row; `pattern` is searched in a line's message."""
    return Rule(identifier, title, anchors, re.compile(pattern), cause, remedy, doc, severity, faq, errata, depth)
