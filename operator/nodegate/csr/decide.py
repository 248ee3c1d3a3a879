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
from nodegate.csr.rules import alt_names, enrollment, node_state, ownership, request
from nodegate.csr.rules.rule import Fault, Outcome, Rule, skipped

RULES: tuple[Rule, ...] = (
    *ownership.RULES,
    *request.RULES,
    *enrollment.RULES,
    *alt_names.RULES,
    *node_state.RULES,
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


def judge(case: Case) -> Judgement:
    """Judge one request by every rule."""
    case = _without_missing(case)
    owned = [(rule, rule.judge(case)) for rule in ownership.RULES]
    results = {outcome.result for _, outcome in owned}
    if Result.FAIL in results:
        rest = [(rule, _NOT_OURS) for rule in _REST]
    elif Result.SKIPPED in results:
        rest = [(rule, rule.judge(case) if rule.reason is Reason.FACTS_UNAVAILABLE else _NOBODYS) for rule in _REST]
    else:
        rest = [(rule, rule.judge(case)) for rule in _REST]
    outcomes = [*owned, *rest]
    return Judgement(
        csr=case.csr,
        enrollment=case.enrollment,
        verdict=_verdict(case, outcomes),
        findings=tuple(Finding(rule.stage, rule.reason, o.result, o.expected, o.found) for rule, o in outcomes),
    )


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
