"""Every finding says what its own rule said, at its own stage; what was not asked says why.

Vectors come in. Rules: a finding is the evidence that a person reads, so each is compared whole.
"""

import pytest

from nodegate.csr.decide import RULES, judge
from nodegate.csr.model import Case, Fact, Finding, Reason, Result
from nodegate.csr.rules import ownership
from tests.builders import Vector, case_from_vector, load_vectors, make_case, make_csr

_OWNERSHIP = len(ownership.RULES)
_NOT_OURS = "the request is not nodegate's to judge"
_NOBODYS = "whose request it is cannot be told yet"
_NOT_YET = "the requester asks too often; it is judged when its turn comes"


def _own_words(case: Case) -> list[Finding]:
    """Return what each rule says when it is asked by itself."""
    said = [(rule, rule.judge(case)) for rule in RULES]
    return [Finding(rule.stage, rule.reason, o.result, o.expected, o.found) for rule, o in said]


def _words(case: Case) -> dict[Reason, tuple[Result, str]]:
    """Return what is found by each rule behind ownership."""
    return {finding.reason: (finding.result, finding.found) for finding in judge(case).findings[_OWNERSHIP:]}


@pytest.mark.parametrize("vector", load_vectors(), ids=lambda vector: vector.name)
def test_each_finding_is_its_rules_own(vector: Vector) -> None:
    """Stage, reason, result, expectation and evidence, wherever the rule was asked at all."""
    case = case_from_vector(vector)
    findings = judge(case).findings

    assert [(f.stage, f.reason) for f in findings] == [(rule.stage, rule.reason) for rule in RULES]
    if not case.missing and Result.FAIL not in {finding.result for finding in findings[:_OWNERSHIP]}:
        assert list(findings) == _own_words(case)
    for finding in findings:
        assert isinstance(finding.expected, str)
        assert isinstance(finding.found, str)


def test_what_is_not_ours_is_not_looked_at() -> None:
    """Every rule behind ownership is skipped, and says so."""
    case = make_case(csr=make_csr(signer="example.com/x"))

    assert set(_words(case).values()) == {(Result.SKIPPED, _NOT_OURS)}


def test_what_comes_too_often_is_looked_at_by_one_rule() -> None:
    """The rate alone is told; the others say that the request's turn has not come."""
    words = _words(make_case(over_rate=True))

    assert words.pop(Reason.RATE_LIMITED)[0] is Result.FAIL
    assert set(words.values()) == {(Result.SKIPPED, _NOT_YET)}


def test_what_may_be_ours_is_held_for_what_is_missing() -> None:
    """A user that only an enrollment could list: the missing facts are told, and nothing is made of the rest."""
    case = make_case(csr=make_csr(username="jane", groups=frozenset()), missing=frozenset({Fact.ENROLLMENT}))
    words = _words(case)

    assert words.pop(Reason.FACTS_UNAVAILABLE)[0] is Result.FAIL
    assert set(words.values()) == {(Result.SKIPPED, _NOBODYS)}


@pytest.mark.parametrize("fact", [Fact.CLAIMS, Fact.RESERVED])
def test_other_missing_facts_take_nothing_away(fact: Fact) -> None:
    """Where only the claims or the networks are missing the enrollment and the Node are still looked at."""
    judgement = judge(make_case(missing=frozenset({fact})))

    assert judgement.enrollment is not None
    assert judgement.reasons == (Reason.FACTS_UNAVAILABLE,)


def test_a_missing_enrollment_is_not_told_as_one() -> None:
    """What stands in its place is not used, and not named either; a missing Node takes no enrollment away."""
    assert judge(make_case(missing=frozenset({Fact.ENROLLMENT}))).enrollment is None
    assert judge(make_case(missing=frozenset({Fact.ENROLLMENT, Fact.NODE}))).enrollment is None
    assert judge(make_case(missing=frozenset({Fact.NODE}))).enrollment is not None
