"""systemd unit files, read as far as checks and the import need it.

Text goes in; settings with section, value and line come out, continued lines joined as systemd joins them. `expand`
makes the argument vector of an ``ExecStart`` with the file and line that each argument came from. Rules: ``$NAME``
alone is split at blanks, ``${NAME}`` is one word; an undefined variable is empty, and then no word at all when bare.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)\}|\$([A-Za-z_]\w*)")


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


def variables(command: str) -> tuple[tuple[str, bool], ...]:
    """Return each variable that a command line names, and whether in braces (one word)."""
    return tuple((each[1] or each[2], bool(each[1])) for each in _VARIABLE.finditer(command))


def _expand_word(word: str, known: Mapping[str, Value], source: Source) -> Iterator[Argument]:
    bare = re.fullmatch(r"\$([A-Za-z_]\w*)", word)
    if bare:
        value = known.get(bare.group(1))
        if value is not None:
            yield from (Argument(part, value.source) for part in words(value.text))
        return
    origin, names = source, [name for name, _ in variables(word)]
    if names and names[0] in known:
        origin = known[names[0]].source
    yield Argument(_VARIABLE.sub(lambda each: _lookup(known, each), word), origin)


def _lookup(known: Mapping[str, Value], found: re.Match[str]) -> str:
    value = known.get(found.group(1) or found.group(2))
    return value.text if value else ""


def expand(command: str, known: Mapping[str, Value], source: Source) -> tuple[Argument, ...]:
    """Return the arguments that systemd would pass, the program first, its ``-@:+!`` prefixes taken off."""
    return tuple(
        argument
        for position, word in enumerate(words(command))
        for argument in _expand_word(word.lstrip("-@:+!") if position == 0 else word, known, source)
    )
