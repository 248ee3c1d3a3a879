"""``lint`` of pools: the plugin's schema is the CRD's, and what stalls or conflicts is told before it is applied."""

import json
from pathlib import Path
from typing import Any

import pytest

from nodegate.cli.pool_schema import SPEC
from tests.manifests.shipped import CRDS, documents
from tests.unit.cli.command import run, write
from tests.unit.cli.test_enrollment_schema import described, leaves, of_the_crd
from tests.unit.pool.samples import pool_body

RANGES: dict[str, Any] = {"addressRanges": ["10.0.8.0/22"]}


def _lint(folder: Path, *pools: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return severity, field, rule and message of what lint says of pools."""
    bodies = [{**body, "metadata": {"name": body["metadata"]["name"]}} for body in pools]
    done = run("lint", "-o", "json", write(folder, "pools.yaml", *bodies))
    found = json.loads(done.stdout)["items"]
    return [(item["severity"], item["field"], item["rule"], item["message"]) for item in found]


def test_the_copy_says_what_the_crd_says() -> None:
    """Bound by bound, pattern by pattern and rule by rule."""
    (crd,) = documents(CRDS / "pools" / "nodeenrollmentpools.nodegate.dev.yaml")
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    ours, theirs = dict(leaves(described(SPEC), "spec")), dict(leaves(of_the_crd(spec), "spec"))
    assert len(theirs) > 60
    assert ours == theirs


def test_a_sound_pool_has_no_findings(tmp_path: Path) -> None:
    """Nothing is said of a pool with ranges of its own and a token."""
    assert _lint(tmp_path, pool_body(addressRanges=["10.0.8.0/22", "fd00:8::/64"])) == []


@pytest.mark.parametrize(
    ("spec", "field", "rule"),
    [
        ({"tokenIDs": []}, "spec", "rule"),
        ({"groups": ["system:authenticated"]}, "spec.groups[0]", "rule"),
        ({"users": ["system:node:a"]}, "spec.users[0]", "rule"),
        ({"addressRanges": ["10.0.8.1/22"]}, "spec.addressRanges[0]", "rule"),
        ({"addressRanges": ["10.0.8.1"]}, "spec.addressRanges[0]", "rule"),
        ({"addressRanges": ["10.0.8.0/255.255.252.0"]}, "spec.addressRanges[0]", "rule"),
        ({"namePattern": "^node$"}, "spec.namePattern", "rule"),
        ({"namePattern": "node-.*"}, "spec.namePattern", "stalled"),
        ({"maxNodes": 0}, "spec.maxNodes", "range"),
        ({"maxnodes": 2}, "spec.maxnodes", "unknown-field"),
        ({"template": {"addresses": ["10.0.0.5"]}}, "spec.template.addresses", "unknown-field"),
        ({"template": {"bootstrap": {"tokenID": "abcdef"}}}, "spec.template.bootstrap.tokenID", "unknown-field"),
    ],
)
def test_what_would_be_refused_or_stall_is_an_error(
    tmp_path: Path, spec: dict[str, Any], field: str, rule: str
) -> None:
    """Each with its field."""
    assert [(f[0], f[1], f[2]) for f in _lint(tmp_path, pool_body(**(RANGES | spec)))] == [("error", field, rule)]


@pytest.mark.parametrize(
    ("spec", "severity", "rule"),
    [
        ({"groups": ["system:bootstrappers"]}, "warning", "open-group"),
        ({"addressRanges": ["10.0.0.0/8"]}, "warning", "wide-range"),
        ({"addressRanges": []}, "info", "no-ranges"),
    ],
)
def test_what_is_probably_not_meant_is_advice(tmp_path: Path, spec: dict[str, Any], severity: str, rule: str) -> None:
    """A group of every token, a range of a whole company, none at all."""
    assert [(f[0], f[2]) for f in _lint(tmp_path, pool_body(**(RANGES | spec)))] == [(severity, rule)]


def test_pools_of_the_same_names_conflict(tmp_path: Path) -> None:
    """Both are told, with a name; a suspended one conflicts with none."""
    one, two = pool_body("a", **RANGES), pool_body("b", namePattern="node-(m|n)", **RANGES)
    found = _lint(tmp_path, one, two)
    assert [(f[0], f[2]) for f in found] == [("error", "pool-conflict")] * 2
    assert "node-m, which pool b matches" in found[0][3]
    assert _lint(tmp_path, one, pool_body("b", state="Suspended", **RANGES)) == []


def test_a_pool_twice_is_told(tmp_path: Path) -> None:
    """Of two objects of one name the later one would win."""
    assert [f[2] for f in _lint(tmp_path, pool_body(**RANGES), pool_body(**RANGES))] == ["duplicate-name"]
