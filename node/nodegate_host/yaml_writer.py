"""YAML from plain data, the same bytes under every Python and PyYAML.

Takes mappings (string keys), sequences, strings, booleans, integers, floats and None; gives block style, keys in the
order given, strings quoted (as JSON) whenever a YAML 1.1 or 1.2 reader could take them for something else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_PLAIN = re.compile(r"[A-Za-z/_][A-Za-z0-9_./@%+-]*(:[A-Za-z0-9_./@%+-]+)*")
"""Strings that need no quotes, unless they are one of `_WORDS`."""

_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")

_WORDS = frozenset({"y", "n", "yes", "no", "true", "false", "on", "off", "null", "none", "nan", "inf"})
"""What some YAML reader takes for a boolean, a null or a number."""


def dump(value: Any) -> str:
    """Return `value` as a YAML document, ended by a newline.

    Raises:
        TypeError: The value holds something that is not plain data.
    """
    return "\n".join(_lines(value, "")) + "\n"


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return json.dumps(value)
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
        return value if plain else _quoted(value)
    raise TypeError(f"expected plain data, found {type(value).__name__}")


def _quoted(text: str) -> str:
    """Return `text` as JSON, with what YAML does not take as it is escaped as well."""
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(text, ensure_ascii=False))


def _lines(value: Any, indent: str) -> list[str]:
    if isinstance(value, Mapping) and value:
        return [line for key, each in value.items() for line in _pair(f"{indent}{_scalar(key)}:", each, indent)]
    if isinstance(value, (list, tuple)) and value:
        return [line for each in value for line in _element(each, indent)]
    return [indent + _inline(value)]


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{}"
    if isinstance(value, (list, tuple)):
        return "[]"
    return _scalar(value)


def _pair(head: str, value: Any, indent: str) -> list[str]:
    if isinstance(value, (Mapping, list, tuple)) and value:
        return [head, *_lines(value, indent + "  ")]
    return [f"{head} {_inline(value)}"]


def _element(value: Any, indent: str) -> list[str]:
    first, *rest = _lines(value, indent + "  ")
    return [f"{indent}- {first[len(indent) + 2 :]}", *rest]
