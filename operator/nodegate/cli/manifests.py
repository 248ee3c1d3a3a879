"""Files go in, the objects in them come out, each knowing where it stands.

Rules: YAML or JSON, many documents a file, a ``List`` taken apart, ``-`` for stdin. A fault names the
file, the document and the line; nothing is guessed and no directory is walked.
"""

import gc
import itertools
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from nodegate.cli.facts import Manifest
from nodegate.cli.places import Place, Source, Unreadable
from nodegate.cli.yaml_loader import Loader
from nodegate.errors import Malformed
from nodegate.text import visible

STDIN = "-"
"""The file name that means standard input, as with kubectl."""

_LIST = "List"
_SPACE = re.compile(r"\s*")


@contextmanager
def uncollected() -> Iterator[None]:
    """Keep the garbage collector still: thousands of objects that all stay are walked in vain, half of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def read_files(names: Iterable[str]) -> dict[str, tuple[Manifest, ...]]:
    """Return the objects of each file, in order.

    Raises:
        Malformed: A file cannot be read, or holds something that is no object.
    """
    read: dict[str, tuple[Manifest, ...]] = {}
    for name in names:
        if name in read:
            raise Malformed(f"{_shown(name)}: expected each file once, found it twice; name it once")
        with uncollected():
            read[name] = tuple(read_file(name))
    return read


def read_file(name: str) -> Iterator[Manifest]:
    """Yield the objects of one file; those before a fault come before it is raised.

    Raises:
        Unreadable: It holds something that is no object.
        Malformed: It cannot be read at all.
    """
    yield from read_text(_text(name), _shown(name))


def _shown(name: str) -> str:
    return "stdin" if name == STDIN else visible(name)


def _text(name: str) -> str:
    path = Path(name)
    if name != STDIN and path.is_dir():
        raise Malformed(f"{_shown(name)}: expected a file, found a directory; name its files, such as {name}/*.yaml")
    try:
        data = sys.stdin.buffer.read() if name == STDIN else path.read_bytes()
    except OSError as error:
        raise Malformed(f"{_shown(name)}: expected a file that can be read, found: {error.strerror}") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Unreadable(f"{_shown(name)}, line {line}", line, "expected UTF-8 text, found other bytes") from error


def read_text(text: str, name: str) -> Iterator[Manifest]:
    """Yield the objects of one file's text.

    Args:
        text: YAML or JSON.
        name: What messages call the file.

    Raises:
        Unreadable: It is neither YAML nor JSON, or holds something that is no object.
    """
    try:
        documents = _json_documents(text, name) if text.lstrip().startswith(("{", "[")) else None
        yield from documents if documents is not None else _yaml_documents(text, name)
    except RecursionError as error:
        raise Unreadable(name, 1, "expected objects, found values nested too deeply") from error


def _json_documents(text: str, name: str) -> list[Manifest] | None:
    """Return the objects of JSON documents, or None when it is no JSON (YAML may begin with a brace too)."""
    decoder = json.JSONDecoder(object_pairs_hook=_distinct)
    found: list[Manifest] = []
    start = _skip_space(text, 0)
    for number in itertools.count(1):
        if start >= len(text):
            break
        line = text.count("\n", 0, start) + 1
        where = f"{name}, document {number}, line {line}"
        try:
            body, end = decoder.raw_decode(text, start)
        except _Twice as error:
            raise Unreadable(where, line, str(error)) from error
        except ValueError:
            return None
        found.extend(_taken_apart(body, where, Place(name, Source(text[start:end], line))))
        start = _skip_space(text, end)
    return found


def _skip_space(text: str, start: int) -> int:
    space = _SPACE.match(text, start)
    return space.end() if space else start


class _Twice(Malformed):
    """A key stands twice in one JSON object."""


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    body = dict(pairs)
    if len(body) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _Twice(f"expected each key once, found {visible(twice)!r} twice in one object")
    return body


def _yaml_documents(text: str, name: str) -> Iterator[Manifest]:
    number = 0
    try:
        loader = Loader(text)
        while loader.check_node() and (node := loader.get_node()) is not None:
            number += 1
            where = f"{name}, document {number}, line {node.start_mark.line + 1}"
            body = loader.construct_document(node)
            if body is not None:
                yield from _taken_apart(body, where, Place(name, Source(node)), _item_lines(node))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}, line {mark.line + 1}" if mark is not None else f"{name}, document {number + 1}"
        line = mark.line + 1 if mark is not None else 1
        raise Unreadable(where, line, f"expected YAML or JSON, {_problem(error)}") from error
    except ValueError as error:  # Such as a control character, which YAML has no place for, or 0x without digits.
        what = f"expected YAML or JSON, found {visible(str(error))}"
        raise Unreadable(f"{name}, document {number}", 1, what) from error


def _problem(error: yaml.YAMLError) -> str:
    parts = [getattr(error, "context", None), getattr(error, "problem", None) or getattr(error, "reason", None)]
    return "found: " + visible(", ".join(str(part) for part in parts if part) or "a text that is neither")


def _item_lines(node: yaml.Node) -> tuple[int, ...]:
    """Return the lines at which the items of a List begin, or none when it is no List."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == "items" and isinstance(value, yaml.SequenceNode):
                return tuple(item.start_mark.line + 1 for item in value.value)
    return ()


def _taken_apart(body: Any, where: str, at: Place, lines: tuple[int, ...] = ()) -> Iterator[Manifest]:
    """Yield the object itself, or the items of a List; `lines` are those at which its items begin."""
    if not isinstance(body, Mapping):
        raise Unreadable(where, at.line_of(), f"expected a Kubernetes object, found {_what(body)}")
    kind, items = body.get("kind"), body.get("items")
    if not (isinstance(kind, str) and kind.endswith(_LIST)):
        yield Manifest(body, where, at)
        return
    if not isinstance(items or [], list):
        what = f"expected a list under items of {visible(kind)}, found {_what(items)}"
        raise Unreadable(where, at.line_of(("items",)), what)
    for index, item in enumerate(items or []):
        place = f"{where}, item {index + 1}" + (f" (line {lines[index]})" if index < len(lines) else "")
        if isinstance(item, Mapping):
            # Items of the API server's own lists carry neither kind nor apiVersion.
            defaults = {} if kind == _LIST else {"kind": kind[: -len(_LIST)], "apiVersion": body.get("apiVersion")}
            item = {**defaults, **item}  # noqa: PLW2901 - the item, completed
        yield from _taken_apart(item, place, Place(at.file, at.source, (*at.inside, "items", index)))


def _what(value: Any) -> str:
    if isinstance(value, list | Mapping):
        return "a list" if isinstance(value, list) else "an object"
    return f"the value {visible(repr(value))}"
