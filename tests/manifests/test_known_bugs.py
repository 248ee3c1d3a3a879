"""The page of others' bugs keeps its word: what it names exists, and what is named after a report stands on it.

`docs/known-bugs.md` comes in. Rules: whatever it quotes as a path is a file of this repository, or a test as
`file::function`; every row of the first three tables names a proof.
"""

import ast
import re
from functools import cache

import pytest

from tests.builders import ROOT

PAGE = (ROOT / "docs" / "known-bugs.md").read_text(encoding="utf-8")
_PATH = re.compile(r"`((?:tests|manifests|docs|operator|hack|crds)/[^`]+)`")
_ROW = re.compile(r"^\| (?!report |---)(.+) \|$", re.MULTILINE)
# fmt: off
_PROJECTS = (
    "alex1989hu", "castai", "cma", "cve", "deckhouse", "ghsa", "k0s", "k3s", "kops", "kubelet-csr-approver",
    "kubeone", "kubernetes", "kubeuser", "mco", "openvox", "openyurt", "origin", "postfinance", "spire",
    "talos", "windows-machine", "bz1707162", "gke", "gcp", "openshift",
)
# fmt: on
"""What the names of vectors begin with that stand for a report of that project."""

_NOT_REPORTS = {"kubernetes", "kubernetes-default", "kubernetes-in-upper-case", "kubernetes-service"}
"""Vectors that are about the Service `kubernetes`."""


@cache
def _functions(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def missing(reference: str) -> str | None:
    """Return why a path, or a test as `file::function`, does not exist; None when it does."""
    file, _, function = reference.partition("::")
    if not (ROOT / file).is_file():
        return f"{file}: expected a file of this repository, found none; correct docs/known-bugs.md"
    if function and function not in _functions(file):
        return f"{file}: expected a test named {function}, found none; correct docs/known-bugs.md"
    return None


def named_after_a_report() -> set[str]:
    """Return the vectors and tests whose names begin with a project, as paths."""
    vectors = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests" / "vectors" / "csr").glob("*/*.yaml")
        if path.stem.startswith(_PROJECTS)
        and not path.stem.startswith("kubernetes-default")
        and path.stem not in _NOT_REPORTS
    }
    outages = "tests/unit/test_published_outages.py"
    return vectors | {f"{outages}::{name}" for name in _functions(outages) if name.startswith("test_")}


def test_every_path_exists() -> None:
    """No row rests on a vector or a test that is not there, and none is listed twice in one row."""
    quoted = _PATH.findall(PAGE)

    assert len(quoted) > 80
    assert [fault for path in quoted if (fault := missing(path))] == []


@pytest.mark.parametrize("row", _ROW.findall(PAGE.partition("## What does not apply")[0]))
def test_every_report_has_a_proof(row: str) -> None:
    """A report is answered by a vector or a test, or by a target that the Makefile has."""
    answer = row.rsplit(" | ", maxsplit=1)[-1]

    assert _PATH.search(answer), row


def test_what_is_named_after_a_report_is_on_the_page() -> None:
    """A vector or test that stands for a report can be found by whoever asks for it."""
    named = named_after_a_report()

    assert len(named) > 40
    assert sorted(named - set(_PATH.findall(PAGE))) == []


def test_what_does_not_exist_is_found() -> None:
    """The checks above can fail."""
    for reference in ("tests/vectors/csr/NotEnrolled/cma-1.yaml", "tests/manifests/test_known_bugs.py::test_nothing"):
        assert missing(reference)
