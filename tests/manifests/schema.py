"""A CRD's structural schema, walked, turned into JSON Schema, and its defaults applied.

An openAPIV3Schema as decoded YAML comes in. Rules of the conversion: what is not named is refused
(the API server's strict decoding), ``nullable`` becomes a type, sets become unique lists, and rules in
CEL are left to the API server, which the integration tier asks.
"""

import copy
from collections.abc import Iterator
from typing import Any

from tests.manifests.shipped import Document


def walk(schema: Document, path: str = "") -> Iterator[tuple[str, Document]]:
    """Yield every schema below this one with its path, such as ``spec.taints[].key``, and the schema itself."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from walk(child, f"{path}.{name}" if path else name)
    if "items" in schema:
        yield from walk(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from walk(schema["additionalProperties"], f"{path}.*")


def json_schema(schema: Document) -> Document:
    """Return the JSON Schema that says the same, CEL aside."""
    keep = {key: value for key, value in schema.items() if not key.startswith("x-") and key not in _CONVERTED}
    if schema.get("nullable"):
        keep["type"] = [schema["type"], "null"]
    if schema.get("x-kubernetes-list-type") == "set":
        keep["uniqueItems"] = True
    if "items" in schema:
        keep["items"] = json_schema(schema["items"])
    if "properties" in schema:
        keep["properties"] = {name: json_schema(child) for name, child in schema["properties"].items()}
        keep["additionalProperties"] = False
    if "additionalProperties" in schema:
        keep["additionalProperties"] = json_schema(schema["additionalProperties"])
    return keep


_CONVERTED = frozenset({"nullable", "items", "properties", "additionalProperties", "default", "description"})


def with_defaults(value: Any, schema: Document) -> Any:
    """Return the value with the schema's defaults filled in, as the API server stores it."""
    if not isinstance(value, dict):
        return value
    filled = dict(value)
    for name, child in schema.get("properties", {}).items():
        if name not in filled and "default" in child:
            filled[name] = copy.deepcopy(child["default"])
        if name in filled:
            filled[name] = with_defaults(filled[name], child)
    return filled
