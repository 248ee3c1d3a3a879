"""The schema of NodeEnrollment: its defaults, choices, names and columns; `test_crds` has what holds for every kind."""

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
