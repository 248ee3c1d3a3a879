"""A `Case` goes in, a `Judgement` comes out.

Rules: `Approve` is constructed on one line of the program, and it is in this file. Every rule is
judged and reported, not only the first that fails; Ignore (stage 0) outweighs Deny, Deny outweighs
Hold, and a rule whose facts are missing leaves a Hold at least.
"""

from dataclasses import replace

from nodegate.csr.model import (
    Approve,
    Case,
    Deny,
    Fact,
    Finding,
    Hold,
    Ignore,
    Judgement,
    Kind,
    Reason,
    Result,
    Verdict,
)
from nodegate.csr.rules import alt_names, enrollment, limits, node_state, ownership, request
from nodegate.csr.rules.rule import Fault, Outcome, Rule, skipped

RULES: tuple[Rule, ...] = (
    *ownership.RULES,
    *request.RULES,
    *enrollment.RULES,
    *alt_names.RULES,
    *node_state.RULES,
    *limits.RULES,
)
"""The whole policy, in the order of its stages."""

APPROVALS = {
    Kind.BOOTSTRAP: Reason.BOOTSTRAP_APPROVED,
    Kind.RENEWAL: Reason.RENEWAL_APPROVED,
    Kind.SERVING: Reason.SERVING_APPROVED,
}
"""The reason of an approval, by what the request is for."""

_REST = RULES[len(ownership.RULES) :]
_NOT_OURS = skipped("the request is not nodegate's to judge")
_NOBODYS = skipped("whose request it is cannot be told yet")
_NOT_YET = skipped("the requester asks too often; it is judged when its turn comes")


def judge(case: Case) -> Judgement:
    """Judge one request by every rule."""
    case = _without_missing(case)
    owned = [(rule, rule.judge(case)) for rule in ownership.RULES]
    outcomes = [*owned, *_judge_rest(case, {outcome.result for _, outcome in owned})]
    return Judgement(
        csr=case.csr,
        enrollment=case.enrollment,
        verdict=_verdict(case, outcomes),
        findings=tuple(Finding(rule.stage, rule.reason, o.result, o.expected, o.found) for rule, o in outcomes),
    )


def _judge_rest(case: Case, owned: set[Result]) -> list[tuple[Rule, Outcome]]:
    """Judge by the rules behind ownership; what cannot be asked yet leaves the one rule that says why."""
    if Result.FAIL in owned:
        return [(rule, _NOT_OURS) for rule in _REST]
    if case.over_rate:
        return _only(Reason.RATE_LIMITED, case, _NOT_YET)
    if Result.SKIPPED in owned:
        return _only(Reason.FACTS_UNAVAILABLE, case, _NOBODYS)
    return [(rule, rule.judge(case)) for rule in _REST]


def _only(reason: Reason, case: Case, other: Outcome) -> list[tuple[Rule, Outcome]]:
    return [(rule, rule.judge(case) if rule.reason is reason else other) for rule in _REST]


def _without_missing(case: Case) -> Case:
    """Take away what stands in the place of missing facts, so that no rule can use it."""
    if not case.missing & {Fact.ENROLLMENT, Fact.NODE}:
        return case
    enrollment = None if Fact.ENROLLMENT in case.missing else case.enrollment
    return replace(case, enrollment=enrollment, node=None if Fact.NODE in case.missing else case.node)


def _verdict(case: Case, outcomes: list[tuple[Rule, Outcome]]) -> Verdict:
    ignored = _failed(outcomes, Fault.IGNORE)
    if ignored:
        return Ignore(ignored[0])
    denied, held = _failed(outcomes, Fault.DENY), _failed(outcomes, Fault.HOLD)
    if denied and not case.policy.never_deny:
        return Deny(denied + held)
    if denied or held:
        return Hold(denied + held)
    return Approve(APPROVALS[case.csr.kind])


def _failed(outcomes: list[tuple[Rule, Outcome]], fault: Fault) -> tuple[Reason, ...]:
    return tuple(rule.reason for rule, outcome in outcomes if rule.fault is fault and outcome.result is Result.FAIL)
