"""What the tool says: results on stdout, progress on stderr, one JSON object a run when ``-o json`` asks for it.

A verb calls `result` once with its text and its object; `note` tells progress (not with ``-q``), `detail` more of it
(only with ``-v``), `warn` always. Colour is decided for each stream: ``--color``, then NO_COLOR (not empty),
FORCE_COLOR and TERM=dumb, then whether it is a terminal. JSON and YAML are never coloured.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TextIO

from nodegate_host import yaml_writer

API_VERSION = "cli.nodegate.dev/v1"

_SGR = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2", "cyan": "36"}


def wants_colour(stream: TextIO, when: str, environ: Mapping[str, str]) -> bool:
    """Return whether `stream` gets colour; `when` is ``auto``, ``always`` or ``never``."""
    if when != "auto":
        return when == "always"
    if environ.get("NO_COLOR"):
        return False
    # FORCE_COLOR=0 is read as a no by the tools that have it.
    if environ.get("FORCE_COLOR", "0") not in {"", "0"}:
        return True
    return environ.get("TERM") != "dumb" and stream.isatty()


def document(kind: str, summary: Mapping[str, Any], items: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the one object that a run prints under ``-o json``."""
    return {"apiVersion": API_VERSION, "kind": kind, "summary": dict(summary), "items": [dict(item) for item in items]}


@dataclass(frozen=True)
class Output:
    """Where and how a run speaks.

    Attributes:
        stdout: The result.
        stderr: Everything else.
        form: ``text``, ``json`` or ``yaml``.
        colour: ``auto``, ``always`` or ``never``.
        environ: The environment, for the colour rules.
        verbosity: -1 quiet, 0, 1 verbose.
    """

    stdout: TextIO
    stderr: TextIO
    form: str = "text"
    colour: str = "auto"
    environ: Mapping[str, str] | None = None
    verbosity: int = 0

    @property
    def is_text(self) -> bool:
        """Whether people read the result."""
        return self.form == "text"

    def paint(self, text: str, *styles: str, stream: TextIO | None = None) -> str:
        """Return `text` in these styles (red, green, yellow, cyan, bold, dim) if `stream` (stdout) shows colour."""
        where = self.stdout if stream is None else stream
        if (where is self.stdout and not self.is_text) or not wants_colour(where, self.colour, self.environ or {}):
            return text
        return f"\033[{';'.join(_SGR[style] for style in styles)}m{text}\033[0m"

    def result(self, text: str, kind: str, summary: Mapping[str, Any], items: Iterable[Mapping[str, Any]] = ()) -> None:
        """Print the run's result: `text` for people (may be empty), or the object `kind` with summary and items."""
        if self.is_text:
            self.write(text)
            return
        body = document(kind, summary, items)
        if self.form == "json":
            self.write(json.dumps(body, indent=2, ensure_ascii=False))
        else:
            self.write(yaml_writer.dump(body))

    def write(self, text: str) -> None:
        """Write `text` to stdout as it is, ended by one newline if it is not empty."""
        if text:
            self.stdout.write(text if text.endswith("\n") else text + "\n")

    def note(self, text: str) -> None:
        """Tell progress, unless ``-q``."""
        if self.verbosity >= 0:
            self._say(text)

    def detail(self, text: str) -> None:
        """Tell more, with ``-v``."""
        if self.verbosity > 0:
            self._say(text)

    def warn(self, text: str) -> None:
        """Tell what a person should look at."""
        self._say(f"{self.paint('warning:', 'yellow', stream=self.stderr)} {text}")

    def error(self, text: str) -> None:
        """Tell what ended the run."""
        self._say(f"{self.paint('error:', 'red', stream=self.stderr)} {text}")

    def _say(self, text: str) -> None:
        self.stderr.write(text + "\n")
        self.stderr.flush()
