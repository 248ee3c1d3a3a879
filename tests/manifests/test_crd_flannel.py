"""The schema of FlannelNetwork: the words that the operator knows, names and columns."""

from pathlib import Path

import pytest

from nodegate.cli.flannel_lint import network_faults, network_remarks
from nodegate.flannel.model import Api
from nodegate.flannel.network import Action, Adoption, ChangeClass, DeletionPolicy, DriftPolicy, Transport
from nodegate.flannel.options import MEMBERS, OPTIONS, TYPES
from tests.manifests.schema import walk
from tests.manifests.shipped import CRDS, SAMPLES, crd_schema, documents

FIELDS = dict(walk(crd_schema("flannelnetworks")))
COLUMNS = [
    ("Network", 0),
    ("Backend", 0),
    ("Phase", 0),
    ("Leases", 0),
    ("Free", 0),
    ("In-Sync", 0),
    ("Age", 0),
    ("Version", 1),
    ("Prefix", 1),
    ("Pending", 1),
]


@pytest.mark.parametrize(
    ("path", "choices"),
    [
        ("spec.etcd.api", Api),
        ("spec.etcd.transport", Transport),
        ("spec.adoption", Adoption),
        ("spec.driftPolicy", DriftPolicy),
        ("spec.deletionPolicy", DeletionPolicy),
        ("status.pendingChange.class", ChangeClass),
        ("status.pendingChange.changes[].class", ChangeClass),
        ("status.pendingChange.action", Action),
    ],
)
def test_choices_are_those_of_the_model(
    path: str, choices: type[Api | Transport | Adoption | DriftPolicy | DeletionPolicy | ChangeClass | Action]
) -> None:
    """The schema and the operator know the same words."""
    assert sorted(FIELDS[path]["enum"]) == sorted(member.value for member in choices)


def test_types_and_options_are_those_of_the_model() -> None:
    """The schema and the operator know the same backends, options and defaults."""
    backend = FIELDS["spec.backend"]["properties"]

    assert backend["type"]["enum"] == list(TYPES)
    assert set(backend) - {"type"} == set(MEMBERS)
    for member, kind in MEMBERS.items():
        shown = {name: field["default"] for name, field in backend[member]["properties"].items() if "default" in field}
        assert shown == {name: option.default for name, option in OPTIONS.get(kind, {}).items() if option.default != ""}


def test_names_and_columns() -> None:
    """What people type and see: the short name, the category, the columns."""
    (crd,) = documents(CRDS / "flannelnetworks.nodegate.dev.yaml")
    names, (version,) = crd["spec"]["names"], crd["spec"]["versions"]

    assert (crd["spec"]["scope"], names["shortNames"], names["categories"]) == ("Cluster", ["fn"], ["nodegate"])
    assert (version["name"], version["served"], version["storage"]) == ("v1alpha1", True, True)
    assert version["subresources"] == {"status": {}}
    assert [(column["name"], column.get("priority", 0)) for column in version["additionalPrinterColumns"]] == COLUMNS


def test_there_is_no_change_policy() -> None:
    """What may be forced is one change by its id, and never a policy."""
    assert "changePolicy" not in FIELDS["spec"]["properties"]
    assert "approvedChange" in FIELDS["spec"]["properties"]


@pytest.mark.parametrize("path", sorted((SAMPLES / "flannel").glob("*.yaml")), ids=lambda path: path.stem)
def test_samples_are_sound_and_say_when_to_use_them(path: Path) -> None:
    """A sample is one network that neither the schema nor the operator has a word against."""
    (sample,) = documents(path)

    assert path.read_text(encoding="utf-8").startswith("# When: ")
    assert network_faults(sample) == []
    assert list(network_remarks(sample, [])) == []
