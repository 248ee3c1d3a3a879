"""The threat model keeps its word: every threat has controls, proofs that exist, and says what remains.

The document comes in. Rules: a proof is a vector, or a test as `file::function`; whatever else the document
quotes as a path must exist, too; a threat that no other test proves is proved here.
"""

import ast
import re
from functools import cache
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import NamedTuple

import pytest

from nodegate.csr.model import Reason
from nodegate.identity import ReservedIndex
from tests.builders import ROOT

DOCUMENT = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")

_THREAT = re.compile(r"^### (T\d+): (.+?)\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
_PARTS = re.compile(r"^\*\*(Control|Proof|Residual):\*\*", re.MULTILINE)
_ROW = re.compile(r"^\| ([AP]\d+) \|", re.MULTILINE)
_PROOF = re.compile(r"^- `([^`]+)`$", re.MULTILINE)
_PATH = re.compile(r"`((?:tests|manifests|docs|operator|hack|crds)/[^`]+)`")
_WORD = re.compile(r"`([A-Z][A-Za-z]+)`")


class Threat(NamedTuple):
    """One threat: its id, title and text."""

    name: str
    title: str
    text: str

    @property
    def proofs(self) -> list[str]:
        """What it names as proof, in order."""
        return _PROOF.findall(self.text.partition("**Proof:**")[2].partition("**Residual:**")[0])


THREATS = [Threat(*match.groups()) for match in _THREAT.finditer(DOCUMENT)]


@cache
def _functions(path: Path) -> frozenset[str]:
    """Return the functions of a test file, methods of classes left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def missing(reference: str) -> str | None:
    """Return why a path, or a test as `file::function`, does not exist; None when it does."""
    file, _, function = reference.partition("::")
    path = ROOT / file
    if not path.exists():
        return f"{file}: expected a file of this repository, found none; correct docs/threat-model.md"
    if function and (not function.startswith("test_") or function not in _functions(path)):
        return f"{file}: expected a test named {function}, found none; correct docs/threat-model.md"
    return None


def is_proof(reference: str) -> bool:
    """Tell whether a reference is of a form that proves something: a test, or a vector."""
    test = re.fullmatch(
        r"tests/(unit|property|contract|manifests|integration)/(\w+/)*test_\w+\.py::test_\w+", reference
    )
    return bool(test or re.fullmatch(r"tests/vectors/csr/\w+/[\w-]+\.yaml", reference))


def test_threats_are_numbered_without_gaps() -> None:
    """Each has an id of its own, in order, so that others can cite it."""
    assert [threat.name for threat in THREATS] == [f"T{number}" for number in range(1, len(THREATS) + 1)]
    assert len(THREATS) == DOCUMENT.count("\n### ") >= 20


@pytest.mark.parametrize("threat", THREATS, ids=lambda threat: threat.name)
def test_every_threat_has_its_parts(threat: Threat) -> None:
    """Control, proof and residual risk, in this order, each once and none empty."""
    assert _PARTS.findall(threat.text) == ["Control", "Proof", "Residual"]
    bodies = _PARTS.split(threat.text)[2::2]
    assert all(len(body.strip()) > 10 for body in bodies)


@pytest.mark.parametrize("threat", THREATS, ids=lambda threat: threat.name)
def test_every_threat_is_proved(threat: Threat) -> None:
    """At least one test or vector stands for it, and every one that it names exists."""
    assert threat.proofs
    assert [proof for proof in threat.proofs if not is_proof(proof)] == []
    assert [fault for proof in threat.proofs if (fault := missing(proof))] == []
    assert len(threat.proofs) == len(set(threat.proofs))


def test_every_quoted_path_exists() -> None:
    """No path is quoted anywhere in the document that leads nowhere."""
    quoted = _PATH.findall(DOCUMENT)
    assert sum(len(threat.proofs) for threat in THREATS) < len(quoted)
    assert [fault for path in quoted if (fault := missing(path))] == []


def test_parties_and_assets_are_the_tables() -> None:
    """Every threat names a party and an asset of the tables, and every row is somebody's."""
    rows = _ROW.findall(DOCUMENT)
    assert len(rows) == len(set(rows))
    heads = [threat.text.strip().partition(".")[0] for threat in THREATS]
    named = {name for head in heads for name in re.findall(r"\b[AP]\d+\b", head)}
    assert named == set(rows)
    for threat, head in zip(THREATS, heads, strict=True):
        assert re.fullmatch(r"P\d(, P\d)* · A\d(, A\d)*", head), threat.name


def test_reasons_exist() -> None:
    """A reason that a control names is one of the operator's."""
    fields = {"Suspended", "Revoked", "Never", "WhenGone", "WhenNotReady"}
    assert set(_WORD.findall(DOCUMENT)) - fields - set(Reason) == set()


@pytest.mark.parametrize(
    "reference",
    [
        "tests/vectors/csr/NotEnrolled/no-such-case.yaml",
        "tests/unit/test_no_such_file.py::test_x",
        "tests/unit/test_threat_model.py::test_no_such_test",
        "tests/unit/test_threat_model.py::missing",
    ],
)
def test_what_does_not_exist_is_found(reference: str) -> None:
    """The checks above can fail: unknown files, unknown tests and functions that are no tests are missing."""
    fault = missing(reference)
    assert fault is not None
    assert "expected" in fault


@pytest.mark.parametrize(
    "reference", ["tests/unit/test_threat_model.py", "docs/threat-model.md", "tests/builders.py::make_case"]
)
def test_what_proves_nothing_is_no_proof(reference: str) -> None:
    """A file as a whole, a document or a builder proves nothing, though it exists."""
    assert not is_proof(reference)


def test_a_node_cannot_reserve_its_neighbours_addresses() -> None:
    """A pod network that a node may have written is not believed while a host's address lies in it; another is."""
    neighbour, free = ip_address("10.0.0.5"), ip_address("10.0.9.9")
    reserved = ReservedIndex()
    reserved.put("Node liar", [ip_network("10.0.0.0/16")], "pod network", claimed=True)
    assert reserved.covering(free) == "pod network 10.0.0.0/16"

    reserved.put_hosts("neighbour", [neighbour])
    assert (reserved.covering(neighbour), reserved.covering(free)) == (None, None)

    reserved.put("ServiceCIDR default", [ip_network("10.0.0.0/24")], "service network")
    assert reserved.covering(neighbour) == "service network 10.0.0.0/24"
