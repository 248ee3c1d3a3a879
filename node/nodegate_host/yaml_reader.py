"""YAML text in, plain data with line numbers out; stricter than YAML, so that nothing means two things.

One document; keys are strings, none twice; no anchors, aliases, merge keys, tags or custom types. Only ``true`` and
``false`` are booleans, only decimal digits are integers: ``yes``, ``0644``, ``12:30`` and dates stay strings,
whatever YAML 1.1 says. JSON is read as well, being YAML. The pure Python parser is used, so no compiled part is
needed on a host.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from nodegate_host.errors import ConfigInvalid, Problem

LIMIT = 1024 * 1024
"""Bytes of a file that are read at most; a node.yaml has a few kilobytes."""

DEPTH_LIMIT = 40
"""Levels of nesting that are read at most; a KubeletConfiguration has five."""


@dataclass(frozen=True)
class Document:
    """A file's data.

    Attributes:
        value: Mappings, lists, strings, integers, floats, booleans and None.
        lines: The way to a value (keys and indexes) → its line, counted from 1.
    """

    value: Any
    lines: dict[tuple[str | int, ...], int]


class _Loader(yaml.SafeLoader):
    """The safe loader with only the resolvers below."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own attribute, filled right below


for _tag, _pattern, _first in (
    ("bool", r"true|false", "tf"),
    ("null", r"null|~|", "n~\0"),
    ("int", r"-?(?:0|[1-9][0-9]*)", "-0123456789"),
    ("float", r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)(?:[eE][-+]?[0-9]+)?", "-0123456789"),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), [each.strip("\0") for each in _first]
    )

_PLAIN_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("bool", "null", "int", "float", "str", "map", "seq")}


class _Walk:
    """Turns YAML nodes into data, collecting lines and problems."""

    def __init__(self) -> None:
        self.lines: dict[tuple[str | int, ...], int] = {}
        self.problems: list[Problem] = []

    def problem(self, node: yaml.Node, place: tuple[str | int, ...], message: str) -> None:
        self.problems.append(Problem(path_text(place), message, node.start_mark.line + 1))

    def value(self, node: yaml.Node, place: tuple[str | int, ...]) -> Any:
        self.lines[place] = node.start_mark.line + 1
        if node.tag not in _PLAIN_TAGS:
            self.problem(node, place, f"expected plain data, found the tag {node.tag}; remove it")
            return None
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(each, (*place, index)) for index, each in enumerate(node.value)]
        return self.scalar(node)

    def mapping(self, node: yaml.MappingNode, place: tuple[str | int, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self.key(key_node, place)
            if key is None:
                continue
            if key in found:
                first = self.lines[(*place, key)]
                self.problem(key_node, (*place, key), f"expected each key once, found it again (first in line {first})")
                continue
            found[key] = self.value(value_node, (*place, key))
            self.lines[(*place, key)] = key_node.start_mark.line + 1
        return found

    def key(self, node: yaml.Node, place: tuple[str | int, ...]) -> str | None:
        if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:str" and node.value != "<<":
            return str(node.value)
        self.problem(node, place, "expected a string as key, found something else; put it in quotes")
        return None

    def scalar(self, node: yaml.Node) -> Any:
        kind = node.tag.rsplit(":", 1)[1]
        if kind == "bool":
            return node.value == "true"
        if kind == "null":
            return None
        if kind == "int":
            return int(node.value)
        return float(node.value) if kind == "float" else str(node.value)


def path_text(place: tuple[str | int, ...]) -> str:
    """Return the way to a value as people write it: ``node.taints[0].key``."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _refuse_tricks(text: str, source: str) -> None:
    """Refuse what costs much to read or hides what is meant; stops at the first, so no such file takes long."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        line = event.start_mark.line + 1 if event.start_mark else None
        if depth > DEPTH_LIMIT:
            raise ConfigInvalid(source, (Problem("", f"expected at most {DEPTH_LIMIT} levels, found more", line),))
        if getattr(event, "anchor", None):
            raise ConfigInvalid(
                source, (Problem("", "expected no anchors and aliases, found one; write it out", line),)
            )


def _compose(text: str, source: str) -> yaml.Node | None:
    loader: _Loader | None = None
    try:
        _refuse_tricks(text, source)
        loader = _Loader(text)
        return loader.get_single_node()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        found = getattr(error, "problem", None) or "characters that YAML does not allow"
        problem = Problem("", f"expected YAML, found: {found}", None if mark is None else mark.line + 1)
        raise ConfigInvalid(source, (problem,)) from None
    finally:
        if loader is not None:
            loader.dispose()


def read(text: str, source: str = "node.yaml") -> Document:
    """Return the data in `text`; `source` is the name that problems carry.

    Raises:
        ConfigInvalid: It is not YAML, or not the plain kind described above; every problem is listed.
    """
    if len(text) > LIMIT:
        raise ConfigInvalid(source, (Problem("", f"expected at most {LIMIT} characters, found {len(text)}"),))
    node = _compose(text, source)
    if node is None:
        raise ConfigInvalid(source, (Problem("", "expected a document, found an empty file"),))
    walk = _Walk()
    value = walk.value(node, ())
    if walk.problems:
        raise ConfigInvalid(source, tuple(walk.problems))
    return Document(value, walk.lines)
