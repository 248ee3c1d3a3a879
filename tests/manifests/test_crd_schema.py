"""The structural schema of NodeEnrollment: described, bounded, with the defaults that the operator assumes."""

import pytest

from nodegate.enrollment.model import Mode, Phase, Rejoin, State
from nodegate.enrollment.parse import parse_enrollment
from tests.manifests.schema import walk, with_defaults
from tests.manifests.shipped import CRDS, Document, crd_schema, documents

FIELDS = [(path, field) for path, field in walk(crd_schema()) if path != "metadata"]
"""Every field but metadata, which the API server describes itself."""

DEFAULTS = {
    "spec.state": "Active",
    "spec.mode": "Enforce",
    "spec.rejoin": "WhenNotReady",
    "spec.bootstrap": {},
    "spec.bootstrap.token": {},
    "spec.bootstrap.token.issue": False,
    "spec.bootstrap.token.ttl": "1h",
    "spec.bootstrap.maxJoins": 3,
    "spec.serving": {},
    "spec.serving.approve": True,
    "spec.serving.requireNodeAddresses": False,
    "spec.serving.allowDNSOnly": False,
}
"""All of them, as the design names them."""

COLUMNS = [
    ("State", 0),
    ("Phase", 0),
    ("Node-Ready", 0),
    ("Client-Expires", 0),
    ("Age", 0),
    ("Token", 1),
    ("Last-Verdict", 1),
    ("Reason", 1),
    ("Serving-Expires", 1),
]


def _of_type(kind: str) -> list[tuple[str, Document]]:
    return [(path, field) for path, field in FIELDS if field["type"] == kind]


def test_every_field_is_described() -> None:
    """`kubectl explain` has a sentence for every field."""
    assert [path for path, field in FIELDS if not field.get("description", "").rstrip().endswith((".", "}", "]"))] == []


def test_every_field_of_the_spec_gives_an_example_or_a_default() -> None:
    """A reader learns from `kubectl explain` what to write, without a manual."""
    spec = [(path, field) for path, field in FIELDS if path.startswith("spec.") and not path.endswith((".*", "[]"))]
    assert len(spec) > 20
    assert [path for path, field in spec if "Example:" not in field["description"]] == []


def test_every_string_is_bounded() -> None:
    """An unbounded string breaks the cost budget of the rules, or fills etcd."""
    assert [path for path, field in _of_type("string") if "maxLength" not in field and "enum" not in field] == []


def test_every_list_is_bounded() -> None:
    """An unbounded list breaks the cost budget of the rules, or fills etcd."""
    assert [path for path, field in _of_type("array") if "maxItems" not in field] == []


def test_every_object_is_closed() -> None:
    """Every object names its fields or is a bounded map; nothing unknown is kept."""
    for path, field in _of_type("object"):
        assert "properties" in field or "maxProperties" in field, path
        assert "x-kubernetes-preserve-unknown-fields" not in field, path


def test_every_number_has_a_least_value() -> None:
    """No number of ours can be negative."""
    assert [path for path, field in _of_type("integer") if field.get("minimum", -1) < 0] == []


def test_every_rule_has_a_message() -> None:
    """A refused manifest says what to write instead, and not only which expression was false."""
    rules = [(path, rule) for path, field in FIELDS for rule in field.get("x-kubernetes-validations", ())]
    assert len(rules) >= 10
    assert [path for path, rule in rules if len(rule.get("message", "")) < 20] == []


def test_the_defaults_are_those_of_the_design() -> None:
    """A default decides who gets a certificate when nobody said anything, so the list is exact."""
    assert {path: field["default"] for path, field in FIELDS if "default" in field} == DEFAULTS


def test_the_operator_assumes_the_same_defaults() -> None:
    """An offline `explain` reads a manifest with the defaults that the API server would fill in."""
    bare: Document = {"metadata": {"name": "node-a"}, "spec": {}}
    assert parse_enrollment(with_defaults(bare, crd_schema())) == parse_enrollment(bare)


@pytest.mark.parametrize(
    ("path", "choices"),
    [("spec.state", State), ("spec.mode", Mode), ("spec.rejoin", Rejoin), ("status.phase", Phase)],
)
def test_choices_are_those_of_the_model(path: str, choices: type[State | Mode | Rejoin | Phase]) -> None:
    """The schema and the operator know the same words, in the same order."""
    assert dict(FIELDS)[path]["enum"] == [member.value for member in choices]


def test_an_empty_spec_is_enough_and_a_missing_one_is_not() -> None:
    """`spec: {}` is valid, but it has to be written out."""
    assert crd_schema()["required"] == ["spec"]
    assert "required" not in dict(FIELDS)["spec"]


def test_names_and_columns() -> None:
    """What people type and see: the short name, the category, the columns."""
    (crd,) = documents(CRDS / "nodeenrollments.nodegate.dev.yaml")
    names, (version,) = crd["spec"]["names"], crd["spec"]["versions"]
    assert (crd["spec"]["scope"], names["shortNames"], names["categories"]) == ("Cluster", ["ne"], ["nodegate"])
    assert (version["name"], version["served"], version["storage"]) == ("v1alpha1", True, True)
    assert version["subresources"] == {"status": {}}
    assert [(column["name"], column.get("priority", 0)) for column in version["additionalPrinterColumns"]] == COLUMNS


def test_conditions_are_a_map_by_type_with_a_reason() -> None:
    """Scripts wait for one condition of each type; a condition without a reason tells nobody why."""
    fields = dict(FIELDS)
    assert fields["status.conditions"]["x-kubernetes-list-map-keys"] == ["type"]
    assert {"type", "status", "reason", "lastTransitionTime"} <= set(fields["status.conditions[]"]["required"])
    assert fields["status.conditions[].reason"]["minLength"] == 1
