"""Every shipped object against the published schemas: Kubernetes' own for its kinds, ours for samples and vectors."""

from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest

from nodegate.enrollment.parse import parse_enrollment
from tests.manifests.schema import json_schema
from tests.manifests.shipped import BASE, SAMPLES, Document, cases, crd_schema, documents, enrollment, rendered

KUBERNETES = "1.37"
"""The newest release whose schemas are at hand."""

ACCEPTED = cases("accepted*.yaml")
REFUSED = cases("refused*.yaml")


def _errors(body: Any) -> list[str]:
    validator = jsonschema.Draft202012Validator(json_schema(crd_schema()))
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(body)]


def _name(document: Document) -> str:
    return f"{document['kind']}-{document['metadata']['name']}"


@pytest.mark.parametrize("document", list(rendered(BASE)), ids=_name)
def test_base_objects_are_valid(document: Document) -> None:
    """Kubernetes' schemas accept every object, strictly: no field is unknown."""
    assert kubernetes_validate.validate(document, KUBERNETES, strict=True) == KUBERNETES


def test_an_unknown_field_would_be_found() -> None:
    """The check above can fail."""
    (wrong,) = documents(BASE / "00-namespace.yaml")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong | {"specs": {}}, KUBERNETES, strict=True)


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_samples_are_valid_and_say_when_to_use_them(path: Path) -> None:
    """A sample is one enrollment that the schema accepts, under a comment that tells when one would use it."""
    (sample,) = documents(path)
    assert path.read_text(encoding="utf-8").startswith("# When: ")
    assert _errors(sample) == []
    assert str(parse_enrollment(sample, offline=True).name) == sample["metadata"]["name"]


def test_samples_have_names_of_their_own() -> None:
    """`kubectl apply -f manifests/samples` makes as many enrollments as there are files."""
    paths = list(SAMPLES.glob("*.yaml"))
    assert len({sample["metadata"]["name"] for path in paths for sample in documents(path)}) == len(paths) >= 6


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case["name"])
def test_accepted_vectors_are_valid_and_readable(case: Document) -> None:
    """What the schema accepts the operator can read; otherwise an applied enrollment would be lost on it."""
    assert _errors(enrollment(case)) == []
    assert str(parse_enrollment(enrollment(case)).name) == enrollment(case)["metadata"]["name"]


def test_vectors_are_well_formed() -> None:
    """Each case has a name of its own, says why, and a refused one tells the field and the message."""
    every = ACCEPTED + REFUSED
    assert len({case["name"] for case in every}) == len(every)
    assert all(case["why"].endswith(".") for case in every)
    assert all(set(case) <= {"name", "why", "node", "spec"} for case in ACCEPTED)
    assert all(set(case) - {"node", "spec"} == {"name", "why", "field", "message"} for case in REFUSED)
    assert len(ACCEPTED) >= 12
    assert len(REFUSED) >= 40
