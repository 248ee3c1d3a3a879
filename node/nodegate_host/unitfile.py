"""systemd unit files, read as far as checks and the import need it.

Text goes in; settings with section, value and line come out, continued lines joined as systemd joins them. `expand`
makes the argument vector of an ``ExecStart`` with the file and line that each argument came from. Rules, all
measured with systemd 252: ``$NAME`` that is a whole word is split at blanks, in the middle of a word it stays as it is;
``${NAME}`` is replaced anywhere and never split; an undefined variable is empty, and no word at all when bare.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)\}|\$([A-Za-z_]\w*)")

_BRACED = re.compile(r"\$\{([A-Za-z_]\w*)\}")


@dataclass(frozen=True)
class Setting:
    """``key=value`` of a section; `line` is where the key stands, from 1."""

    section: str
    key: str
    value: str
    line: int


@dataclass(frozen=True)
class Source:
    """Where a value stands."""

    file: str
    line: int

    def __str__(self) -> str:
        """As compilers print it."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Value:
    """A variable's value and where it was set."""

    text: str
    source: Source


@dataclass(frozen=True)
class Argument:
    """One argument that the program gets, and where it was written."""

    text: str
    source: Source


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    pending, start = "", 0
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if line.startswith(("#", ";")) or (not line and not pending):
            continue
        start = start or number
        if line.endswith("\\"):
            pending += line[:-1] + " "
            continue
        yield start, (pending + line).strip()
        pending, start = "", 0
    if pending:
        yield start, pending.strip()


def parse(text: str) -> tuple[Setting, ...]:
    """Return all settings in order; lines that are none are left out."""
    section, found = "", []
    for line, content in _logical_lines(text):
        if content.startswith("[") and content.endswith("]"):
            section = content[1:-1]
        elif "=" in content:
            key, _, value = content.partition("=")
            found.append(Setting(section, key.strip(), value.strip(), line))
    return tuple(found)


def values(settings: tuple[Setting, ...], section: str, key: str) -> tuple[Setting, ...]:
    """Return what counts for a list setting: an empty assignment takes back all before it."""
    found: list[Setting] = []
    for each in settings:
        if (each.section, each.key) == (section, key):
            found = [*found, each] if each.value else []
    return tuple(found)


def words(command: str) -> tuple[str, ...]:
    """Split a command line into words, quotes taken off; one that cannot be split comes back whole."""
    try:
        return tuple(shlex.split(command))
    except ValueError:
        return (command,)


def relaxed_words(text: str) -> tuple[str, ...]:
    """Split a variable's value as systemd does: quotes and backslashes anywhere, an open quote ends with the text."""
    found: list[str] = []
    word: list[str] | None = None
    quote, escaped = "", False
    for char in text:
        if escaped:
            word, escaped = [*(word or []), char], False
        elif char == "\\":
            word, escaped = word or [], True
        elif quote or (char in "\"'"):
            word = word if word is not None else []
            if char == quote or not quote:
                quote = "" if quote else char
            else:
                word.append(char)
        elif char in " \t\n\r":
            if word is not None:
                found.append("".join(word))
            word = None
        else:
            word = [*(word or []), char]
    return (*found, *(["".join(word)] if word is not None else []))


def variables(command: str) -> tuple[tuple[str, bool], ...]:
    """Return each variable that a command line names, and whether in braces (one word)."""
    return tuple((each[1] or each[2], bool(each[1])) for each in _VARIABLE.finditer(command))


def _expand_word(word: str, known: Mapping[str, Value], source: Source) -> Iterator[Argument]:
    bare = re.fullmatch(r"\$([A-Za-z_]\w*)", word)
    if bare:
        value = known.get(bare.group(1))
        if value is not None:
            yield from (Argument(part, value.source) for part in relaxed_words(value.text))
        return
    braced = _BRACED.search(word)
    origin = known[braced.group(1)].source if braced and braced.group(1) in known else source
    yield Argument(_BRACED.sub(lambda each: _lookup(known, each.group(1)), word), origin)


def _lookup(known: Mapping[str, Value], name: str) -> str:
    value = known.get(name)
    return value.text if value else ""


def expand(command: str, known: Mapping[str, Value], source: Source) -> tuple[Argument, ...]:
    """Return the arguments that systemd would pass, the program first, its ``-@:+!`` prefixes taken off."""
    return tuple(
        argument
        for position, word in enumerate(words(command))
        for argument in _expand_word(word.lstrip("-@:+!") if position == 0 else word, known, source)
    )
