"""Every vector is judged as it says, and the vectors cover the whole policy."""

import json
from collections import Counter

import pytest
import yaml
from jsonschema import Draft202012Validator

from hack.vectors.cases import VECTORS as CASES
from hack.vectors.keys import FOLDER as KEYS
from hack.vectors.write import strangers, text
from nodegate.csr.decide import RULES, judge
from nodegate.csr.model import Reason, Result
from nodegate.csr.render import message, verdict_name
from tests.builders import ROOT, VECTORS, Vector, case_from_vector, load_vectors

_ALL = load_vectors()
_SCHEMA = Draft202012Validator(json.loads((ROOT / "tests" / "vectors" / "schema.json").read_text()))
_RANDOM = {"KeyNotAllowed/dsa", "KeyNotAllowed/ml-dsa"}
"""Vectors whose signatures differ from run to run."""


@pytest.mark.parametrize("vector", _ALL, ids=lambda vector: vector.name)
def test_is_judged_as_the_vector_says(vector: Vector) -> None:
    """The verdict, all reasons in order, and what was found are the vector's."""
    judgement = judge(case_from_vector(vector))

    assert (vector.verdict, vector.reasons) == (
        verdict_name(judgement.verdict),
        tuple(map(str, judgement.reasons)),
    ), message(judgement)
    assert vector.found in " ".join(finding.found for finding in judgement.failures)


@pytest.mark.parametrize("vector", _ALL, ids=lambda vector: vector.name)
def test_vector_has_the_schemas_form(vector: Vector) -> None:
    """The file is what schema.json describes, and stands in the folder of its first reason."""
    assert [error.message for error in _SCHEMA.iter_errors(vector.body)] == []
    assert vector.folder == vector.reasons[0]


def test_schema_refuses_what_is_no_vector() -> None:
    """A misspelt field, an unknown verdict and a missing reason are refused."""
    good = dict(_ALL[0].body)

    assert _SCHEMA.is_valid(good)
    assert not _SCHEMA.is_valid(good | {"polizy": {}})
    assert not _SCHEMA.is_valid(good | {"expect": {"verdict": "Maybe", "reasons": ["NotEnrolled"]}})
    assert not _SCHEMA.is_valid({key: value for key, value in good.items() if key != "why"})


def test_every_reason_has_three_vectors() -> None:
    """Every reason stands over at least three vectors, and every folder is a reason; no file can tell a rate."""
    folders = Counter(vector.folder for vector in _ALL)

    assert set(map(str, Reason)) - {str(Reason.RATE_LIMITED)} == set(folders)
    assert {reason: count for reason, count in folders.items() if count < 3} == {}


def test_every_rule_is_seen_to_fail_and_to_pass() -> None:
    """Each row of the policy passes for one vector and fails for another."""
    seen = {(finding.reason, finding.result) for vector in _ALL for finding in judge(case_from_vector(vector)).findings}

    for rule in RULES:
        if rule.reason is Reason.RATE_LIMITED:  # What the operator has seen before stands in no file.
            continue
        assert {(rule.reason, Result.PASS), (rule.reason, Result.FAIL)} <= seen, rule.reason


def test_files_are_what_the_generator_writes() -> None:
    """No vector was edited by hand: each file is, to the byte, what its case makes of it."""
    stale = []
    for case in CASES:
        kept = (VECTORS / f"{case.path}.yaml").read_text()
        if case.path not in _RANDOM and text(case, yaml.load(kept, yaml.CSafeLoader)) != kept:
            stale.append(case.path)

    assert stale == []
    assert strangers(CASES, VECTORS) == ()


def test_case_names_are_unique() -> None:
    """No case overwrites another's file."""
    assert [path for path, count in Counter(case.path for case in CASES).items() if count > 1] == []


def test_keys_say_that_they_are_for_tests_only() -> None:
    """Nobody mistakes a checked-in private key for one that protects something."""
    assert [path.name for path in KEYS.iterdir() if not path.name.startswith("test-only-")] == []
