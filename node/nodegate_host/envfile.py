"""Environment files as systemd reads them, and the mistakes that people make in them (the guide's E18).

Text goes in; assignments with the line they began on, or problems with line and remedy, come out. Rules, all from
systemd's own reader: a quote opens at a value's beginning or right behind a closed one; the value goes on behind it, so
``A="x" # note`` is ``x# note``; ``#`` and ``;`` begin a comment only where a name could begin; nothing is expanded;
``export`` is no word of the language; a line without ``=`` is dropped in silence; CR ends a line as LF does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

ERROR = "error"
WARNING = "warning"
INFO = "info"

_BLANK = " \t\n\r"
_NEWLINE = "\n\r"
_ESCAPABLE = '"\\`$'
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_SWALLOWED = re.compile(r"^\s*(?:export\s+)?([A-Z][A-Z0-9_]*)=", re.MULTILINE)
_REFERENCE = re.compile(r"\$(?:\{[A-Za-z_]\w*\}|[A-Za-z_]\w*)")
_TYPOGRAPHIC = {
    "\u201c": ("left double quotation mark", '"'),
    "\u201d": ("right double quotation mark", '"'),
    "\u201e": ("low double quotation mark", '"'),
    "\u2018": ("left single quotation mark", "'"),
    "\u2019": ("right single quotation mark", "'"),
    "\u2013": ("en dash", "--"),
    "\u2014": ("em dash", "--"),
    "\u2212": ("minus sign", "-"),
    "\u00a0": ("no-break space", "a space"),
    "\u3000": ("ideographic space", "a space"),
    "\uff0d": ("fullwidth hyphen", "-"),
    "\ufeff": ("byte order mark", "nothing"),
}


@dataclass(frozen=True)
class Assignment:
    """``name=value`` as systemd would hand it to the program; `line` is where the name stands, from 1."""

    name: str
    value: str
    line: int


@dataclass(frozen=True)
class Problem:
    """A mistake: `kind` is stable, `severity` is error, warning or info, `line` counts from 1."""

    kind: str
    severity: str
    line: int
    message: str
    remedy: str


@dataclass
class _Entry:
    """One assignment while it is being read."""

    line: int
    name: str = ""
    value: list[str] = field(default_factory=list)
    kept: int = 0
    """How many characters of the value stay when trailing blanks go; quoted ones always stay."""
    quote_line: int = 0
    comment_line: int = 0
    joined_line: int = 0
    quoted: list[str] = field(default_factory=list)
    unclosed: bool = False

    def add(self, char: str, *, keep: bool) -> None:
        self.value.append(char)
        if keep or char not in _BLANK:
            self.kept = len(self.value)


class _Reader:
    """systemd's state machine; each state is a method that takes a character."""

    def __init__(self) -> None:
        self.line = 1
        self.entries: list[_Entry] = []
        self.dropped: list[tuple[int, str]] = []
        self.entry = _Entry(1)
        self.state = self.before_name
        self.previous = "\n"

    def read(self, text: str) -> None:
        for position, char in enumerate(text):
            self.state(char)
            self.previous = char
            if char == "\n" or (char == "\r" and text[position + 1 : position + 2] != "\n"):
                self.line += 1
        if self.state == self.in_name and self.entry.name.strip():
            self.dropped.append((self.entry.line, self.entry.name.strip()))
        elif self.state not in (self.before_name, self.in_name, self.in_comment, self.in_comment_escape):
            self.entry.unclosed = self.state in (self.in_single, self.in_double, self.in_double_escape)
            self.finish()

    def finish(self) -> None:
        self.entries.append(self.entry)
        self.state = self.before_name

    def before_name(self, char: str) -> None:
        if char in "#;":
            self.state = self.in_comment
        elif char not in _BLANK:
            self.entry = _Entry(self.line, char)
            self.state = self.in_name

    def in_comment(self, char: str) -> None:
        if char == "\\":
            self.state = self.in_comment_escape
        elif char in _NEWLINE:
            self.state = self.before_name

    def in_comment_escape(self, char: str) -> None:  # noqa: ARG002 (all states take the character)
        self.state = self.in_comment

    def in_name(self, char: str) -> None:
        if char in _NEWLINE:
            self.dropped.append((self.entry.line, self.entry.name.strip()))
            self.state = self.before_name
        elif char == "=":
            self.entry.name = self.entry.name.rstrip(_BLANK)
            self.state = self.before_value
        else:
            self.entry.name += char

    def before_value(self, char: str) -> None:
        if char in _NEWLINE:
            self.finish()
        elif char in "'\"":
            self.entry.quote_line = self.line
            self.state = self.in_single if char == "'" else self.in_double
        elif char == "\\":
            self.state = self.in_escape
        elif char not in _BLANK:
            self.state = self.in_value
            self._note_comment(char, resumed=bool(self.entry.value))
            self.entry.add(char, keep=False)

    def in_value(self, char: str) -> None:
        if char in _NEWLINE:
            self.finish()
        elif char == "\\":
            self.state = self.in_escape
        else:
            self._note_comment(char, resumed=False)
            self.entry.add(char, keep=False)

    def in_escape(self, char: str) -> None:
        self.state = self.in_value
        if char in _NEWLINE:
            self.entry.joined_line = self.line
        else:
            self.entry.add(char, keep=True)

    def in_single(self, char: str) -> None:
        if char == "'":
            self.state = self.before_value
        else:
            self._quoted(char)

    def in_double(self, char: str) -> None:
        if char == '"':
            self.state = self.before_value
        elif char == "\\":
            self.state = self.in_double_escape
        else:
            self._quoted(char)

    def in_double_escape(self, char: str) -> None:
        self.state = self.in_double
        if char in _ESCAPABLE:
            self._quoted(char)
        elif char != "\n":
            self._quoted("\\")
            self._quoted(char)

    def _quoted(self, char: str) -> None:
        self.entry.quoted.append(char)
        self.entry.add(char, keep=True)

    def _note_comment(self, char: str, *, resumed: bool) -> None:
        if char == "#" and (resumed or self.previous in " \t") and not self.entry.comment_line:
            self.entry.comment_line = self.line


def _read(text: str) -> _Reader:
    reader = _Reader()
    reader.read(text)
    return reader


def _text(entry: _Entry) -> str:
    return "".join(entry.value[: entry.kept])


def parse(text: str) -> tuple[Assignment, ...]:
    """Return what systemd would set, in order; a name that is set twice stands twice, and its last value counts."""
    entries = _read(text).entries
    return tuple(Assignment(each.name, _text(each), each.line) for each in entries if _NAME.match(each.name))


def _quote_problem(entry: _Entry) -> Iterator[Problem]:
    swallowed = _SWALLOWED.search("".join(entry.quoted))
    if entry.unclosed or swallowed:
        what = f"and swallows the assignment of {swallowed.group(1)}" if swallowed else "before the end of the file"
        yield Problem(
            "unclosed-quote",
            ERROR,
            entry.quote_line,
            f"{entry.name}: expected a closing quote on line {entry.quote_line}, it is not closed {what}",
            "close the quote at the end of the value",
        )


def _value_problems(entry: _Entry) -> Iterator[Problem]:
    if entry.comment_line:
        yield Problem(
            "inline-comment",
            ERROR,
            entry.comment_line,
            f"{entry.name}: expected the value alone, found text after #; systemd has no comments behind values, "
            f"so the program gets it as arguments: {_text(entry)!r}",
            "move the comment to a line of its own",
        )
    joined = re.search(r"(?:^|\s)([A-Z][A-Z0-9_]*)=", _text(entry)) if entry.joined_line else None
    if joined:
        yield Problem(
            "joined-line",
            ERROR,
            entry.line,
            f"{entry.name}: the line ends in a backslash, so the assignment of {joined.group(1)} became part of it",
            "remove the backslash at the end of the line",
        )
    reference = _REFERENCE.search(_text(entry))
    if reference:
        yield Problem(
            "not-expanded",
            ERROR,
            entry.line,
            f"{entry.name}: {reference.group()} stays as it is; systemd expands nothing in environment files",
            "write the value out",
        )


def _name_problem(entry: _Entry) -> Iterator[Problem]:
    if _NAME.match(entry.name):
        return
    if entry.name.startswith("export") and entry.name[6:7] in (" ", "\t"):
        message = f"expected NAME=value, found 'export'; systemd ignores the assignment of {entry.name[6:].strip()}"
        yield Problem("export", ERROR, entry.line, message, "remove the word export")
    else:
        message = f"{entry.name!r} is no name of a variable; systemd ignores the line"
        yield Problem("bad-name", ERROR, entry.line, message, "use letters, digits and _ only, not a digit first")


def _character_problems(text: str) -> Iterator[Problem]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.lstrip().startswith(("#", ";")) and "\ufeff" not in line:
            continue
        found = sorted({char for char in line if char in _TYPOGRAPHIC})
        for char in found:
            name, instead = _TYPOGRAPHIC[char]
            yield Problem(
                "typographic",
                ERROR,
                number,
                f"expected ASCII, found the typographic character U+{ord(char):04X} ({name}) in column "
                f"{line.index(char) + 1}; systemd takes it literally",
                f"retype it as {instead}",
            )


def _repeated(entries: list[_Entry]) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for entry in entries:
        if entry.name in first:
            message = f"{entry.name} is set on line {first[entry.name]} already; the last one counts"
            yield Problem("repeated", WARNING, entry.line, message, "keep one of the two")
        first[entry.name] = entry.line


def lint(text: str) -> tuple[Problem, ...]:
    """Return the mistakes in a file, by line; an empty result means that systemd reads what the author meant."""
    reader = _read(text)
    problems = list(_character_problems(text))
    for line, content in reader.dropped:
        message = f"expected NAME=value, found {content!r}; systemd drops the line"
        problems.append(Problem("no-assignment", ERROR, line, message, "write NAME=value, or make it a comment"))
    for entry in reader.entries:
        problems += [*_name_problem(entry), *_quote_problem(entry), *_value_problems(entry)]
        if "\r" in entry.quoted:
            message = f"{entry.name}: a carriage return inside the quotes becomes part of the value"
            problems.append(Problem("crlf", ERROR, entry.line, message, "save the file with Unix line ends"))
    problems += _repeated(reader.entries)
    if "\r\n" in text and not any(each.kind == "crlf" for each in problems):
        line = text[: text.index("\r\n")].count("\n") + 1
        message = "the file has Windows line ends; systemd copes, other readers do not"
        problems.append(Problem("crlf", INFO, line, message, "save the file with Unix line ends"))
    return tuple(sorted(problems, key=lambda each: each.line))
