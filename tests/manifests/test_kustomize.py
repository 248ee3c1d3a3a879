"""The kustomizations name every file, once, and do nothing else."""

from pathlib import Path

import pytest

from tests.manifests.shipped import BASE, CRDS, documents, kustomization, rendered


@pytest.mark.parametrize("directory", [BASE, CRDS], ids=lambda path: path.name)
def test_every_file_is_listed(directory: Path) -> None:
    """A manifest that no kustomization names would never reach a cluster."""
    present = {path.name for path in directory.glob("*.yaml")} - {"kustomization.yaml"}
    listed = [entry for entry in kustomization(directory)["resources"] if not (directory / entry).is_dir()]
    assert sorted(present) == sorted(listed)


@pytest.mark.parametrize("directory", [BASE, CRDS], ids=lambda path: path.name)
def test_nothing_is_transformed(directory: Path) -> None:
    """What these tests read is what a cluster gets; a namespace transformer would also move the Role of `default`."""
    assert set(kustomization(directory)) == {"apiVersion", "kind", "resources"}


def test_the_base_brings_the_schemas() -> None:
    """One command installs the operator together with its kinds."""
    assert "../../crds" in kustomization(BASE)["resources"]


def test_files_are_numbered_in_the_order_of_the_kustomization() -> None:
    """A reader meets the files in the order in which they are applied."""
    numbered = [entry for entry in kustomization(BASE)["resources"] if entry != "../../crds"]
    assert numbered == sorted(numbered)
    assert all(entry[:2].isdigit() and entry[2] == "-" for entry in numbered)


def test_no_object_is_shipped_twice() -> None:
    """Two objects of one kind and name would overwrite each other."""
    keys = [(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in rendered(BASE)]
    assert len(keys) == len(set(keys))


def test_every_object_carries_the_standard_labels() -> None:
    """`kubectl get all,clusterrole,crd -l app.kubernetes.io/part-of=nodegate` finds everything."""
    for document in rendered(BASE):
        labels = document["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == "nodegate", document["kind"]
        assert labels["app.kubernetes.io/part-of"] == "nodegate", document["kind"]


@pytest.mark.parametrize("path", sorted(BASE.glob("*.yaml")), ids=lambda path: path.name)
def test_every_file_begins_with_its_purpose(path: Path) -> None:
    """The first line says what the file is for, in a sentence."""
    assert path.read_text(encoding="utf-8").startswith("# ")
    assert documents(path)
