"""Words go in, lines of a given width come out.

Rules: pure. A line is a row of spans, each with a style that a terminal may show as colour; without
colour the words are the same. Nothing is cut: what is too long is wrapped under itself.
"""

import enum
import textwrap
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

GAP = 3
"""Blanks between two columns, as kubectl has them."""


class Style(enum.Enum):
    """What a span means; the terminal decides how that looks."""

    PLAIN = enum.auto()
    STRONG = enum.auto()
    GOOD = enum.auto()
    CARE = enum.auto()
    BAD = enum.auto()
    FAINT = enum.auto()


class Span(NamedTuple):
    """Some text of one style."""

    text: str
    style: Style = Style.PLAIN


Line = tuple[Span, ...]

EMPTY: Line = ()
"""An empty line."""


class Cell(NamedTuple):
    """One cell of a row: its text, its width in characters and its style."""

    text: str
    width: int
    style: Style = Style.PLAIN


def plain(lines: Iterable[Line]) -> str:
    """Return the lines as text, without styles and without blanks at the ends of lines."""
    return "".join("".join(span.text for span in line).rstrip() + "\n" for line in lines)


def row(cells: Sequence[Cell], *, indent: int = 0) -> list[Line]:
    """Return one row of cells side by side, each wrapped to its width."""
    wrapped = [_wrap(cell.text, cell.width) for cell in cells]
    height = max(len(texts) for texts in wrapped)
    lines: list[Line] = []
    for index in range(height):
        spans = [Span(" " * indent)]
        for cell, texts in zip(cells, wrapped, strict=True):
            text = texts[index] if index < len(texts) else ""
            spans += [Span(text, cell.style), Span(" " * (cell.width - len(text) + GAP))]
        while spans and not spans[-1].text.strip():
            spans.pop()
        lines.append(tuple(spans))
    return lines


def _wrap(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, max(width, 1), break_on_hyphens=False) or [""]


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, with_header: bool = True) -> list[Line]:
    """Return rows in columns as wide as their longest text, as kubectl prints them; nothing is wrapped."""
    shown = [list(header), *rows] if with_header else [list(cells) for cells in rows]
    widths = [max(len(cells[index]) for cells in shown) for index in range(len(header))] if shown else []
    lines: list[Line] = []
    for cells in shown:
        texts = [text.ljust(width + GAP) for text, width in zip(cells, widths, strict=True)]
        lines.append((Span("".join(texts).rstrip()),))
    return lines


_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def span_of_time(length: timedelta) -> str:
    """Return a length of time as kubectl writes ages, such as ``32s``, ``4m50s``, ``95m``, ``3d4h`` or ``40d``.

    The steps are those of kubernetes, apimachinery duration.HumanDuration, years left out.
    """
    seconds = int(abs(length).total_seconds())
    if seconds < 2 * _MINUTE:
        return f"{seconds}s"
    if seconds < 3 * _HOUR:
        return _units(seconds, _MINUTE, "m", 1, "s" if seconds < 10 * _MINUTE else "")
    if seconds < 2 * _DAY:
        return _units(seconds, _HOUR, "h", _MINUTE, "m" if seconds < 8 * _HOUR else "")
    return _units(seconds, _DAY, "d", _HOUR, "h" if seconds < 8 * _DAY else "")


def _units(seconds: int, large: int, name: str, small: int, small_name: str) -> str:
    """Return whole large units and, when it has a name, the rest in small units."""
    rest = seconds % large // small
    return f"{seconds // large}{name}" + (f"{rest}{small_name}" if small_name and rest else "")


def ago(moment: datetime | None, now: datetime) -> str:
    """Return how long ago a moment was, ``in …`` for one to come, ``<unknown>`` for none."""
    if moment is None:
        return "<unknown>"
    length = now - moment
    return f"in {span_of_time(length)}" if length < timedelta(0) else f"{span_of_time(length)} ago"
