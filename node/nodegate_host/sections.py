"""Reads one mapping of a config file strictly: each key once asked for, each value of its kind, nothing left over.

A `Section` never raises: it notes a `Problem` and gives the default (or an empty value of the kind), so that all
mistakes of a file are found in one pass. `close` notes every key that nobody asked for, with what was probably meant.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from nodegate_host.errors import Problem
from nodegate_host.versions import suggestion
from nodegate_host.yaml_reader import path_text

Choice = TypeVar("Choice", bound=enum.Enum)
Check = Callable[[str], "str | None"]
"""Takes a string, returns what is wrong with it or None."""

Place = tuple["str | int", ...]


class Problems:
    """The mistakes found so far, with their lines."""

    def __init__(self, lines: Mapping[Place, int]) -> None:
        self.lines = lines
        self.found: list[Problem] = []

    def add(self, place: Place, message: str) -> None:
        """Note a mistake at `place`; the line is that of the nearest thing above which has one."""
        known = [self.lines[place[:end]] for end in range(len(place), -1, -1) if place[:end] in self.lines]
        self.found.append(Problem(path_text(place), message, known[0] if known else None))


class Section:
    """One mapping of the file; see the module."""

    def __init__(self, problems: Problems, place: Place, value: Any) -> None:
        self.problems = problems
        self.place = place
        self.asked: list[str] = []
        self.data: Mapping[str, Any] = value if isinstance(value, Mapping) else {}
        if value is not None and not isinstance(value, Mapping):
            self.problems.add(place, f"expected a mapping, found {_shown(value)}")

    def problem(self, key: str, message: str) -> None:
        """Note a mistake in the value of `key`."""
        self.problems.add((*self.place, key), message)

    def raw(self, key: str) -> Any:
        """Return the value as it is, None when it is absent or empty."""
        self.asked.append(key)
        return self.data.get(key)

    def has(self, key: str) -> bool:
        """Whether the file says something here."""
        return self.data.get(key) is not None

    def optional(self, key: str, check: Check | None = None) -> str | None:
        """Return a string, or None when it is absent (or wrong, which is noted)."""
        value = self.raw(key)
        if value is None:
            return None
        if not isinstance(value, str):
            self.problem(key, f"expected a string, found {_shown(value)}; put it in quotes")
            return None
        wrong = "expected something, found an empty string" if not value else check(value) if check else None
        if wrong:
            self.problem(key, wrong)
            return None
        return value

    def text(self, key: str, default: str, check: Check | None = None) -> str:
        """Return a string, `default` when it is absent."""
        found = self.optional(key, check)
        return default if found is None else found

    def required(self, key: str, expected: str, check: Check | None = None) -> str:
        """Return a string that must be there; `expected` says what, for the message."""
        if not self.has(key):
            self.raw(key)
            self.problem(key, f"expected {expected}, found nothing")
            return ""
        return self.optional(key, check) or ""

    def flag(self, key: str, *, default: bool) -> bool:
        """Return a boolean."""
        value = self.raw(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.problem(key, f"expected true or false, found {_shown(value)}")
            return default
        return value

    def choice(self, key: str, default: Choice) -> Choice:
        """Return one of the values of `default`'s enumeration."""
        kind = type(default)
        value = self.raw(key)
        if value is None:
            return default
        known = [str(each.value) for each in kind]
        if value not in known:
            hint = suggestion(str(value), known)
            self.problem(key, f"expected one of {', '.join(known)}, found {_shown(value)}{hint}")
            return default
        return kind(value)

    def texts(self, key: str, check: Check | None = None, *, split: bool = False) -> tuple[str, ...]:
        """Return a list of strings; with `split` a single string is a list too, its parts divided by commas."""
        value = self.raw(key)
        if split and isinstance(value, str):
            value = [part.strip() for part in value.split(",")]
        if value is None:
            return ()
        if not isinstance(value, list):
            self.problem(key, f"expected a list, found {_shown(value)}")
            return ()
        return tuple(each for index, each in enumerate(value) if self._is_good(key, index, each, check))

    def _is_good(self, key: str, index: int, value: Any, check: Check | None) -> bool:
        wrong = check(value) if check and isinstance(value, str) and value else None
        if not isinstance(value, str) or not value:
            wrong = f"expected a string, found {_shown(value)}"
        if wrong:
            self.problems.add((*self.place, key, index), wrong)
        return wrong is None

    def strings(self, key: str, check: Check | None = None) -> dict[str, str]:
        """Return a mapping of strings; integers and booleans count as what they look like."""
        value = self.raw(key)
        if value is not None and not isinstance(value, Mapping):
            self.problem(key, f"expected a mapping, found {_shown(value)}")
            return {}
        found: dict[str, str] = {}
        for name, each in (value or {}).items():
            if isinstance(each, (str, int)):
                found[name] = str(each).lower() if isinstance(each, bool) else str(each)
                wrong = check(found[name]) if check else None
            else:
                wrong = f"expected a string, found {_shown(each)}; put it in quotes"
            if wrong:
                self.problems.add((*self.place, key, name), wrong)
        return found

    def data_of(self, key: str) -> dict[str, Any]:
        """Return a mapping of anything, as it is."""
        value = self.raw(key)
        if value is not None and not isinstance(value, Mapping):
            self.problem(key, f"expected a mapping, found {_shown(value)}")
            return {}
        return dict(value or {})

    def section(self, key: str) -> Section:
        """Return the mapping under `key`, empty when it is absent."""
        return Section(self.problems, (*self.place, key), self.raw(key))

    def close(self) -> None:
        """Note every key that was not asked for."""
        for key in self.data:
            if key not in self.asked:
                known = ", ".join(sorted(set(self.asked)))
                hint = suggestion(key, self.asked) or f"; known here: {known}"
                self.problem(key, f"unknown key{hint}")


def _shown(value: Any) -> str:
    """Return a value for a message: its kind, and the value itself only when it is short and no text."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, str):
        return repr(value) if len(value) <= 64 else f"a string of {len(value)} characters"  # noqa: PLR2004 - fits a line
    return "a list" if isinstance(value, list) else "a mapping"
