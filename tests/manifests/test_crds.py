"""Every CRD of ours: described, bounded, closed, and with rules that say what to write instead."""

import pytest

from tests.manifests.schema import walk
from tests.manifests.shipped import CRDS, Document, crd_schema, kustomization

PLURALS = [path.name.partition(".")[0] for path in sorted(CRDS.glob("*.nodegate.dev.yaml"))]

pytestmark = pytest.mark.parametrize("plural", PLURALS)


def _fields(plural: str, kind: str = "") -> list[tuple[str, Document]]:
    """Return every field of a kind but metadata, which the API server describes itself; of one type when given."""
    found = [(path, field) for path, field in walk(crd_schema(plural)) if path != "metadata"]
    return [(path, field) for path, field in found if not kind or field["type"] == kind]


def test_it_is_installed(plural: str) -> None:
    """`kubectl apply -k crds` installs every schema."""
    assert f"{plural}.nodegate.dev.yaml" in kustomization(CRDS)["resources"]


def test_every_field_is_described(plural: str) -> None:
    """`kubectl explain` has a sentence for every field."""
    ends = (".", "}", "]")
    assert [path for path, field in _fields(plural) if not field.get("description", "").rstrip().endswith(ends)] == []


def test_every_field_of_the_spec_gives_an_example_or_a_default(plural: str) -> None:
    """A reader learns from `kubectl explain` what to write, without a manual."""
    spec = [(path, field) for path, field in _fields(plural) if path.startswith("spec.")]
    spec = [(path, field) for path, field in spec if not path.endswith((".*", "[]"))]
    assert len(spec) > 5
    assert [path for path, field in spec if "Example:" not in field["description"]] == []


def test_what_is_left_out_has_a_stated_default(plural: str) -> None:
    """Whatever a person may leave out says what holds then."""
    for path, field in _fields(plural, "object"):
        for name, child in field.get("properties", {}).items():
            if path.startswith("spec") and name not in field.get("required", ()) and "default" in child:
                assert "Default:" in child["description"], f"{path}.{name}"


def test_every_string_is_bounded(plural: str) -> None:
    """An unbounded string breaks the cost budget of the rules, or fills etcd."""
    texts = _fields(plural, "string")
    assert [path for path, field in texts if "maxLength" not in field and "enum" not in field] == []


def test_every_list_is_bounded(plural: str) -> None:
    """An unbounded list breaks the cost budget of the rules, or fills etcd."""
    assert [path for path, field in _fields(plural, "array") if "maxItems" not in field] == []


def test_every_object_is_closed(plural: str) -> None:
    """Every object names its fields or is a bounded map; nothing unknown is kept."""
    for path, field in _fields(plural, "object"):
        assert "properties" in field or "maxProperties" in field, path
        assert "x-kubernetes-preserve-unknown-fields" not in field, path


def test_every_number_has_a_least_value(plural: str) -> None:
    """No number of ours can be negative."""
    assert [path for path, field in _fields(plural, "integer") if field.get("minimum", -1) < 0] == []


def test_every_rule_has_a_message(plural: str) -> None:
    """A refused manifest says what to write instead, and not only which expression was false."""
    rules = [(path, rule) for path, field in _fields(plural) for rule in field.get("x-kubernetes-validations", ())]
    assert rules
    assert [path for path, rule in rules if len(rule.get("message", "")) < 20] == []


def test_conditions_are_a_map_by_type_with_a_reason(plural: str) -> None:
    """Scripts wait for one condition of each type; a condition without a reason tells nobody why."""
    fields = dict(_fields(plural))
    assert fields["status.conditions"]["x-kubernetes-list-map-keys"] == ["type"]
    assert {"type", "status", "reason", "lastTransitionTime"} <= set(fields["status.conditions[]"]["required"])
    assert fields["status.conditions[].reason"]["minLength"] == 1
