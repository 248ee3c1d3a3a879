"""Every transition vector against the judgement."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from nodegate.flannel.model import Severity
from tests.unit.flannel.plan_vectors import FOLDER, Case, cases, judged, network

CASES = cases()


@pytest.mark.parametrize("path", sorted((FOLDER / "plan").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_vectors_are_well_formed(path: Path) -> None:
    """A misspelt expectation would never be compared."""
    schema = json.loads((FOLDER / "plan-schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(yaml.safe_load(path.read_text()))


def test_there_are_enough_of_them() -> None:
    """Every class and every action occurs, and no name occurs twice."""
    expected = [case["expect"] for case in CASES]

    assert len(CASES) >= 40
    assert len({case["id"] for case in CASES}) == len(CASES)
    assert len({each["class"] for each in expected}) == 9
    assert len({each["action"] for each in expected}) == 5


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_the_plan_is_the_expected_one(case: Case) -> None:
    """Class, action, what blocks, what changes, who restarts, and what is wrong."""
    expect, found = case["expect"], judged(case, network(case))

    assert (found.change_class.value, found.action.value) == (expect["class"], expect["action"]), found
    assert [each.subnet for each in found.blocked_by] == expect.get("blockedBy", [])
    if "changes" in expect:
        assert {each.field: each.change_class.value for each in found.changes} == expect["changes"]
    if "restartNeeded" in expect:
        assert list(found.restart_needed) == expect["restartNeeded"]
    errors = {problem.field for problem in found.problems if problem.severity is Severity.ERROR}
    assert sorted(errors) == expect.get("problems", [])
