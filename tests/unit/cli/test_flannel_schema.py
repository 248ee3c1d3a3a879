"""The plugin's copy of FlannelNetwork's schema beside the CRD itself and beside the vectors: neither may drift."""

from typing import Any

import pytest

from nodegate.cli.flannel_schema import SPEC, faults
from nodegate.cli.places import shown
from nodegate.errors import Malformed
from nodegate.flannel.parse import parse_network
from tests.manifests.schema import walk, with_defaults
from tests.manifests.shipped import crd_schema
from tests.unit.cli.test_enrollment_schema import described, leaves, of_the_crd
from tests.unit.flannel.network_vectors import accepted, bare, refused

CRD = crd_schema("flannelnetworks")


def test_the_copy_says_what_the_crd_says() -> None:
    """Bound by bound, pattern by pattern and rule by rule."""
    ours = dict(leaves(described(SPEC), "spec"))
    theirs = dict(leaves(of_the_crd(CRD["properties"]["spec"]), "spec"))

    assert len(theirs) > 200
    assert ours == theirs


@pytest.mark.parametrize("case", refused(), ids=lambda case: case["name"])
def test_what_the_api_server_refuses_is_a_fault(case: dict[str, Any]) -> None:
    """Every refused vector is a fault of the field that the API server names."""
    found = [shown(fault.path) for fault in faults(bare(case))]

    assert case["field"] in found, case["why"]


@pytest.mark.parametrize("case", accepted(), ids=lambda case: case["name"])
def test_what_the_api_server_accepts_is_none(case: dict[str, Any]) -> None:
    """What the schema accepts, the operator reads."""
    assert [shown(fault.path) for fault in faults(bare(case))] == []
    assert parse_network(bare(case)).name == "vector"


@pytest.mark.parametrize("case", accepted(), ids=lambda case: case["name"])
def test_the_operator_assumes_the_same_defaults(case: dict[str, Any]) -> None:
    """A manifest reads as the API server would give it back, defaults filled in."""
    body = bare(case)

    assert parse_network(with_defaults(body, CRD)) == parse_network(body)


@pytest.mark.parametrize(
    "case",
    [case for case in refused() if not case.get("only", False)],
    ids=lambda case: case["name"],
)
def test_the_operator_refuses_it_by_itself(case: dict[str, Any]) -> None:
    """Whatever has no sound reading is Malformed, were the schema never asked."""
    with pytest.raises(Malformed, match=r"spec|metadata"):
        parse_network(bare(case))


def test_every_default_is_reached() -> None:
    """The accepted vectors set no default away from the comparison above: the bare one leaves all of them out."""
    defaults = [path for path, field in walk(CRD) if "default" in field and path.startswith("spec.")]

    assert len(defaults) > 20
