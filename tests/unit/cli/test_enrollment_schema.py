"""The plugin's copy of the schema beside the CRD itself and beside the vectors: neither may drift.

Rules: every bound, pattern, choice and rule of the CRD's spec is compared with the plugin's, in both
directions; every vector that the API server refuses is refused with the same field, and the others are not.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nodegate.cli.enrollment_schema import SPEC
from nodegate.cli.places import shown
from nodegate.cli.schema import Flag, Law, Listing, Record, Schema, Table, Text, Whole, problems
from tests.manifests.shipped import cases, crd_schema, enrollment
from tests.unit.cli.command import run, write

Described = dict[str, Any]
_SAID_ELSEWHERE = {"description", "default", "x-kubernetes-map-type"}
"""What the CRD says that no value can violate."""


def described(schema: Schema) -> Described:
    """Return a schema of ours in the words of OpenAPI."""
    match schema:
        case Text():
            return _text(schema)
        case Whole():
            nullable = {"nullable": True} if schema.nullable else {}
            return {"type": "integer", "format": "int32", "minimum": schema.least, "maximum": schema.most, **nullable}
        case Flag():
            return {"type": "boolean"}
        case Listing():
            kind: Described = {"x-kubernetes-list-type": "set"} if schema.distinct else {}
            if schema.keys:
                kind = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(schema.keys)}
            return {"type": "array", "maxItems": schema.longest, **kind, "items": described(schema.item)}
        case Table():
            head = {"type": "object", "maxProperties": schema.longest, "additionalProperties": described(schema.value)}
            return head | _laws(schema.laws)
        case Record():
            required = {"required": list(schema.required)} if schema.required else {}
            fields = {key: described(part) for key, part in schema.fields.items()}
            return {"type": "object", "properties": fields, **required, **_laws(schema.laws)}


def _text(schema: Text) -> Described:
    if schema.choices:
        return {"type": "string", "enum": list(schema.choices)}
    pattern = {"pattern": schema.pattern} if schema.pattern else {}
    shortest = {"minLength": schema.shortest} if schema.shortest else {}
    moment = {"format": "date-time"} if schema.moment else {}
    return {"type": "string", "maxLength": schema.longest, **shortest, **pattern, **moment, **_laws(schema.laws)}


def _laws(laws: tuple[Law, ...]) -> Described:
    return {"x-kubernetes-validations": [(law.cel, f".{law.at}" if law.at else "") for law in laws]} if laws else {}


def of_the_crd(schema: Described) -> Described:
    """Return a schema of the CRD without what no value can violate."""
    kept = {key: value for key, value in schema.items() if key not in _SAID_ELSEWHERE}
    if "properties" in kept:
        kept["properties"] = {key: of_the_crd(part) for key, part in kept["properties"].items()}
    for key in ("items", "additionalProperties"):
        if key in kept:
            kept[key] = of_the_crd(kept[key])
    if "x-kubernetes-validations" in kept:
        rules = kept["x-kubernetes-validations"]
        kept["x-kubernetes-validations"] = [(" ".join(r["rule"].split()), r.get("fieldPath", "")) for r in rules]
    return kept


def leaves(schema: Described, path: str) -> Iterator[tuple[str, Any]]:
    """Yield everything that a schema says, each with its path, so that a difference is one line."""
    for key, value in schema.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{path}.{key}")
        else:
            yield f"{path}.{key}", value


def test_the_copy_says_what_the_crd_says() -> None:
    """Bound by bound, pattern by pattern and rule by rule."""
    ours = dict(leaves(described(SPEC), "spec"))
    theirs = dict(leaves(of_the_crd(crd_schema()["properties"]["spec"]), "spec"))

    assert len(theirs) > 80
    assert ours == theirs


def test_the_head_of_the_crd_is_as_lint_takes_it() -> None:
    """Only spec is required, and there are five fields at the top."""
    schema = crd_schema()

    assert schema["required"] == ["spec"]
    assert sorted(schema["properties"]) == ["apiVersion", "kind", "metadata", "spec", "status"]


@pytest.mark.parametrize("case", cases("refused*.yaml"), ids=lambda case: case["name"])
def test_what_the_api_server_refuses_is_an_error(case: dict[str, Any], tmp_path: Path) -> None:
    """Every refused vector is an error of lint, and one of them names the same field."""
    done = run("lint", write(tmp_path, "case.json", enrollment(case)))

    assert done.returncode == 1, case["why"]
    assert any(f": error: {case['field']}: " in line for line in done.stdout.splitlines()), done.stdout


@pytest.mark.parametrize("case", cases("accepted*.yaml"), ids=lambda case: case["name"])
def test_what_the_api_server_accepts_is_accepted(case: dict[str, Any]) -> None:
    """No accepted vector has a fault by the schema."""
    assert list(problems(SPEC, case["spec"], ("spec",))) == []


@pytest.mark.parametrize(
    ("spec", "field", "found"),
    [
        ({"bootstrap": {"tokenID": 123456}}, "spec.bootstrap.tokenID", "expected a string, found a number 123456"),
        ({"addresses": "10.0.0.5"}, "spec.addresses", "expected a list, found a string 10.0.0.5"),
        ({"bootstrap": {"maxJoins": 2.5}}, "spec.bootstrap.maxJoins", "expected a whole number"),
        ({"bootstrap": {"maxJoins": True}}, "spec.bootstrap.maxJoins", "found the truth value true"),
        ({"bootstrap": {"maxJoins": float("inf")}}, "spec.bootstrap.maxJoins", "expected a whole number"),
        ({"bootstrap": []}, "spec.bootstrap", "expected an object, found a list"),
        ({"node": {"labels": []}}, "spec.node.labels", "expected an object, found a list"),
        ({"addresses": [None]}, "spec.addresses[0]", "expected a string, found null"),
        ({"bootstrap": {"notAfter": "2030-01-01T24:00:00Z"}}, "spec.bootstrap.notAfter", "expected a moment"),
        ({"bootstrap": {"notAfter": "2030-01-01T00:00:60Z"}}, "spec.bootstrap.notAfter", "expected a moment"),
        ({"adresses": []}, "spec.adresses", "did you mean addresses?"),
        ({"bootstrap": {"tokenid": "abcdef"}}, "spec.bootstrap.tokenid", "did you mean tokenID?"),
        ({"zzz": 1}, "spec.zzz", "there are: addresses, bootstrap"),
        (
            {"node": {"annotations": {"a": "x" * 4097}}},
            "spec.node.annotations.a",
            "at most 4096 characters, found 4097",
        ),
        ({"node": {"labels": {f"l{n}": "" for n in range(65)}}}, "spec.node.labels", "at most 64 entries, found 65"),
    ],
)
def test_faults_name_field_and_value(spec: dict[str, Any], field: str, found: str) -> None:
    """What YAML and people get wrong is said in their words."""
    (problem,) = problems(SPEC, spec, ("spec",))

    assert shown(problem.path) == field
    assert found in problem.message


@pytest.mark.parametrize(
    "spec",
    [
        {"bootstrap": None, "serving": None, "addresses": None, "node": None},
        {"bootstrap": {"token": None, "tokenID": "abcdef", "notBefore": None}},
        {"bootstrap": {"maxJoins": 3.0}},
        {"node": {"labels": {"a": None}}},
    ],
)
def test_null_stands_for_absent(spec: dict[str, Any]) -> None:
    """A null is as good as leaving the field out, and a whole number may have a point."""
    assert list(problems(SPEC, spec, ("spec",))) == []


def test_moments_are_compared_to_the_nanosecond() -> None:
    """Two bounds that only nanoseconds part are in order, and the other way round they are not."""
    early, late = "2030-01-01T00:00:00.000000001Z", "2030-01-01T01:00:00.000000002+01:00"

    assert list(problems(SPEC, {"bootstrap": {"notBefore": early, "notAfter": late}}, ())) == []
    assert len(list(problems(SPEC, {"bootstrap": {"notBefore": late, "notAfter": early}}, ()))) == 1


def test_a_secret_in_the_wrong_place_is_not_repeated() -> None:
    """A whole token in tokenID is refused without its secret half."""
    (problem,) = problems(SPEC, {"bootstrap": {"tokenID": "abcdef.0123456789abcdef"}}, ())

    assert "0123456789abcdef" not in problem.message
