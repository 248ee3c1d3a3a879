"""Where lines are shown: the width there is, and colour where it is wanted.

Rules: colour only on a terminal, without ``NO_COLOR`` (no-color.org) and ``TERM=dumb``, and when rich
is installed; the words are the same either way. rich is imported only then.
"""

import importlib.util
import os
import shutil
from collections.abc import Iterable
from typing import TextIO

from nodegate.cli.layout import Line, Style, plain

WIDTHS = range(40, 181)
"""Columns that lines are laid out for: narrower cannot be read, wider makes the eye lose the line."""

_COLOURS = {
    Style.PLAIN: "",
    Style.STRONG: "bold",
    Style.GOOD: "green",
    Style.CARE: "yellow",
    Style.BAD: "red",
    Style.FAINT: "dim",
}


def width() -> int:
    """Return the columns to lay out for: ``COLUMNS``, the terminal's, or 100 when there is no terminal."""
    columns = shutil.get_terminal_size(fallback=(100, 24)).columns
    return min(max(columns, WIDTHS.start), WIDTHS.stop - 1)


def show(lines: Iterable[Line], stream: TextIO) -> None:
    """Write lines to a stream, coloured where that is wanted."""
    if not _wants_colour(stream):
        stream.write(plain(lines))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=True)
    for line in lines:
        console.print(Text.assemble(*((span.text, _COLOURS[span.style]) for span in line)))


def _wants_colour(stream: TextIO) -> bool:
    wanted = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"
    return wanted and importlib.util.find_spec("rich") is not None
