"""A structural schema as values, and what a JSON value gets wrong by it.

What enters is a schema and a value, what leaves are problems, each with the way to the field. Rules:
pure; as the API server, null stands for an absent field save where null is allowed; what a rule asks of
a whole is asked only when its parts are right. A text that is too long is never shown: it may be a secret.
"""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from nodegate.cli.places import FieldPath
from nodegate.text import visible


class Problem(NamedTuple):
    """One thing that is wrong."""

    path: FieldPath
    message: str
    """What was expected and what was found."""

    rule: str
    """Which kind of rule it is, in one word."""


@dataclass(frozen=True, slots=True)
class Law:
    """One validation rule of the CRD."""

    cel: str
    """The CRD's own text for it, so that a test can tell when the two part."""

    holds: Callable[[Any], bool]
    expected: str
    at: str = ""
    """The field of the object that it speaks of; empty: the value itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A string; lengths in characters."""

    longest: int
    shortest: int = 0
    pattern: str = ""
    choices: tuple[str, ...] = ()
    moment: bool = False
    """It is an RFC 3339 moment with a zone."""

    laws: tuple[Law, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A whole number."""

    least: int
    most: int
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class Flag:
    """A truth value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A list."""

    item: "Schema"
    longest: int
    distinct: bool = False
    keys: tuple[str, ...] = ()
    """No two items are alike in all of these fields."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """An object whose keys are free."""

    value: "Schema"
    longest: int
    laws: tuple[Law, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An object whose keys are known."""

    fields: Mapping[str, "Schema"]
    required: tuple[str, ...] = ()
    laws: tuple[Law, ...] = field(default=())


Schema = Text | Whole | Flag | Listing | Table | Record

_NAMES = ((bool, "true or false"), (int | float, "a number"), (str, "a string"), (list, "a list"))


def problems(schema: Schema, value: Any, path: FieldPath) -> Iterator[Problem]:
    """Yield everything that is wrong with a value."""
    match schema:
        case Text():
            yield from _text(schema, value, path)
        case Whole():
            yield from _whole(schema, value, path)
        case Flag():
            if not isinstance(value, bool):
                yield _type(value, path, "true or false", "without quotes")
        case Listing():
            yield from _list(schema, value, path)
        case Table():
            yield from _table(schema, value, path)
        case Record():
            yield from _record(schema, value, path)


def _type(value: Any, path: FieldPath, expected: str, how: str) -> Problem:
    return Problem(path, f"expected {expected}, found {_what(value)}; write it {how}", "type")


def _what(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        return "an object"
    name = next((name for kind, name in _NAMES if isinstance(value, kind)), "another value")
    shown = (
        "" if isinstance(value, list) else f" {visible(str(value).lower() if isinstance(value, bool) else str(value))}"
    )
    return f"the truth value{shown}" if isinstance(value, bool) else f"{name}{shown}"


def _text(schema: Text, value: Any, path: FieldPath) -> Iterator[Problem]:
    if not isinstance(value, str):
        yield _type(value, path, "a string", "in quotes")
        return
    found = _text_fault(schema, value)
    if found is not None:
        yield Problem(path, *found)
        return
    yield from _laws(schema.laws, value, path)
    if schema.moment and not is_moment(value):
        what = f"expected a moment in RFC 3339 such as 2030-01-31T12:00:00Z, found {visible(value)!r}"
        yield Problem(path, what, "format")


def _text_fault(schema: Text, value: str) -> tuple[str, str] | None:
    """Return what is wrong with a text's length or form, and the rule; a law says it better where there is one."""
    if schema.choices and value not in schema.choices:
        return f"expected one of {', '.join(schema.choices)}, found {visible(value)!r}", "enum"
    if len(value) > schema.longest and not schema.choices:
        return f"expected at most {schema.longest} characters, found {len(value)}", "length"
    if len(value) < schema.shortest:
        return f"expected at least {schema.shortest} characters, found {len(value)}", "length"
    if schema.pattern and not schema.laws and not schema.moment and not re.fullmatch(schema.pattern, value):
        return f"expected a text that matches {schema.pattern}, found {visible(value)!r}", "pattern"
    if schema.moment and not re.fullmatch(schema.pattern, value):
        return (
            f"expected a moment in RFC 3339 with a zone such as 2030-01-31T12:00:00Z, found {visible(value)!r}",
            "pattern",
        )
    return None


def is_moment(text: str) -> bool:
    """Tell whether a text of a moment's form names a day and an hour that exist (go-openapi, strfmt.IsDateTime)."""
    try:
        datetime.fromisoformat(text[:19])
    except ValueError:
        return False
    return text[11:13] != "24"  # Some versions of Python take it for the next day's midnight.


def _laws(laws: tuple[Law, ...], value: Any, path: FieldPath) -> Iterator[Problem]:
    for law in laws:
        if not law.holds(value):
            found = f", found {visible(value)!r}" if isinstance(value, str) else ""
            yield Problem((*path, law.at) if law.at else path, f"expected {law.expected}{found}", "rule")


def _whole(schema: Whole, value: Any, path: FieldPath) -> Iterator[Problem]:
    if value is None and schema.nullable:
        return
    if isinstance(value, bool) or not (isinstance(value, int) or (isinstance(value, float) and value.is_integer())):
        yield _type(value, path, "a whole number", "in digits without quotes")
    elif not schema.least <= value <= schema.most:
        yield Problem(path, f"expected a whole number from {schema.least} to {schema.most}, found {value}", "range")


def _list(schema: Listing, value: Any, path: FieldPath) -> Iterator[Problem]:
    if not isinstance(value, list):
        yield _type(value, path, "a list", "in brackets or one item a line, each after a hyphen")
        return
    if len(value) > schema.longest:
        yield Problem(path, f"expected at most {schema.longest} items, found {len(value)}", "length")
    seen: set[str] = set()
    for index, item in enumerate(value):
        yield from problems(schema.item, item, (*path, index))
        key = _identity(schema, item)
        if key is not None and key in seen:
            yield Problem((*path, index), f"expected each item once, found {visible(key)} again", "duplicate")
        seen |= {key} if key is not None else set()


def _identity(schema: Listing, item: Any) -> str | None:
    """Return what no two items may share, or None when anything may be there twice."""
    if schema.keys and isinstance(item, Mapping):
        return ", ".join(f"{key} {item.get(key)}" for key in schema.keys)
    return repr(item) if schema.distinct else None


def _keyed(value: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    """Yield an object's keys and values; kubectl makes texts of keys that YAML reads as something else."""
    for key, item in value.items():
        yield key if isinstance(key, str) else str(key).lower(), item


def _table(schema: Table, value: Any, path: FieldPath) -> Iterator[Problem]:
    if not isinstance(value, Mapping):
        yield _type(value, path, "an object", "as one key: value a line")
        return
    if len(value) > schema.longest:
        yield Problem(path, f"expected at most {schema.longest} entries, found {len(value)}", "length")
    for key, item in _keyed(value):
        if item is not None:
            yield from problems(schema.value, item, (*path, key))
    yield from _laws(schema.laws, dict(_keyed(value)), path)


def _record(schema: Record, value: Any, path: FieldPath) -> Iterator[Problem]:
    if not isinstance(value, Mapping):
        yield _type(value, path, "an object", "as one key: value a line, or as {} when it is empty")
        return
    inside = [*_unknown(schema, value, path), *_missing(schema, value, path)]
    for key, part in schema.fields.items():
        if value.get(key) is not None:
            inside += problems(part, value[key], (*path, key))
    yield from inside
    if not inside:
        yield from _laws(schema.laws, value, path)


def _unknown(schema: Record, value: Mapping[Any, Any], path: FieldPath) -> Iterator[Problem]:
    for key, _ in _keyed(value):
        if key not in schema.fields:
            yield unknown_field(key, schema.fields, path)


def unknown_field(key: str, known: Mapping[str, Any], path: FieldPath) -> Problem:
    """Return the problem of a field that the schema does not know, with the known field that comes near."""
    near = difflib.get_close_matches(key.lower(), {name.lower(): name for name in known}, n=1)
    names = [name for name in known if near and name.lower() == near[0]]
    hint = f"did you mean {names[0]}?" if names else f"there are: {', '.join(sorted(known))}"
    return Problem((*path, key), f"expected a known field, found {visible(key)}; {hint}", "unknown-field")


def _missing(schema: Record, value: Mapping[Any, Any], path: FieldPath) -> Iterator[Problem]:
    for key in schema.required:
        if value.get(key) is None:
            yield Problem((*path, key), f"expected {key}, found nothing; it is required", "required")
