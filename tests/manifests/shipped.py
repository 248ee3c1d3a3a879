"""The shipped YAML, read and resolved as `kubectl kustomize` would.

Paths come in, documents as PyYAML decodes them come out. Only what our own kustomizations use is
resolved: lists of resources. `test_kustomize` refuses anything more, so that what the tests read is
what a cluster gets.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CRDS = ROOT / "crds"
BASE = ROOT / "manifests" / "base"
SAMPLES = ROOT / "manifests" / "samples"
VECTORS = ROOT / "tests" / "vectors" / "enrollment"

Document = dict[str, Any]
"""One YAML document: an API object, or a kustomization."""


def documents(path: Path) -> list[Document]:
    """Return every document of a file."""
    return [document for document in yaml.safe_load_all(path.read_text(encoding="utf-8")) if document is not None]


def kustomization(directory: Path) -> Document:
    """Return the kustomization of a directory."""
    (only,) = documents(directory / "kustomization.yaml")
    return only


def rendered(directory: Path) -> Iterator[Document]:
    """Yield every object that a directory's kustomization names, in its order."""
    for entry in kustomization(directory)["resources"]:
        path = directory / entry
        yield from rendered(path) if path.is_dir() else documents(path)


def base_objects(kind: str) -> list[Document]:
    """Return the objects of one kind in the base."""
    return [document for document in rendered(BASE) if document["kind"] == kind]


def crd_schema(plural: str = "nodeenrollments") -> Document:
    """Return the openAPIV3Schema of one of our kinds, v1alpha1."""
    (crd,) = documents(CRDS / f"{plural}.nodegate.dev.yaml")
    (version,) = crd["spec"]["versions"]
    schema: Document = version["schema"]["openAPIV3Schema"]
    return schema


def cases(pattern: str) -> list[Document]:
    """Return the cases of the vector files whose names match a glob."""
    return [
        case for path in sorted(VECTORS.glob(pattern)) for document in documents(path) for case in document["cases"]
    ]


def enrollment(case: Document) -> Document:
    """Return the NodeEnrollment of a case; without ``spec`` in the case it has none."""
    name = case.get("node", "vector-node")
    head = {"apiVersion": "nodegate.dev/v1alpha1", "kind": "NodeEnrollment", "metadata": {"name": name}}
    return head | {"spec": case["spec"]} if "spec" in case else head
