"""The fields of a CustomResourceDefinition as Markdown, for ``docs/crd``.

A schema of ``crds/`` comes in, a table leaves: one row for each field that a person writes, or that the operator
does, with its type, bounds and the schema's own description. Rules: what the schema says is all there is; it is
what `kubectl explain` shows, too.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from hack.markdown import cell

ROOT = Path(__file__).resolve().parents[1]
_BOUNDS = {"maxItems": "at most {} entries", "maxLength": "at most {} characters", "maxProperties": "at most {} keys"}


def _schema(kind_file: str) -> dict[str, Any]:
    document = yaml.safe_load((ROOT / "crds" / kind_file).read_text(encoding="utf-8"))
    schema: dict[str, Any] = document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def _type(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema["type"] == "array":
        return f"list of {_type(schema['items'])}"
    if schema["type"] == "object" and "additionalProperties" in schema:
        return "strings by key"
    names = {"date-time": "RFC 3339 moment"}
    return names.get(schema.get("format", ""), str(schema["type"]))


def _rows(path: str, schema: dict[str, Any]) -> Iterator[str]:
    for name, field in schema.get("properties", {}).items():
        inner = field["items"] if field["type"] == "array" else field
        where = f"{path}.{name}" + ("[]" if inner is not field and "properties" in inner else "")
        bounds = [text.format(field[key]) for key, text in _BOUNDS.items() if key in field]
        kind = "; ".join([_type(field), *bounds])
        text = cell(" ".join(field.get("description", "").split()))
        yield f"| `{where}` | {kind} | {text} |"
        yield from _rows(where, inner)


def fields_table(kind_file: str, part: str) -> str:
    """Return the table of the fields of ``spec`` or ``status``.

    Args:
        kind_file: A file name in ``crds``.
        part: ``spec`` or ``status``.
    """
    rows = _rows(part, _schema(kind_file)["properties"][part])
    return "\n".join(("| field | type | meaning |", "|---|---|---|", *rows))
