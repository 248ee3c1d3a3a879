"""How the rules' outcomes add up to one verdict."""

import ast
from dataclasses import replace

import pytest

from hack.vectors.request import Request
from nodegate.csr.decide import RULES, judge
from nodegate.csr.model import Approve, Deny, Fact, Hold, Ignore, Policy, Reason, Result
from nodegate.csr.rules import ownership
from nodegate.csr.rules.rule import Fault
from nodegate.enrollment.model import Bootstrap, State
from tests.builders import ROOT, Vector, case_from_vector, load_vectors, make_case, make_csr, make_enrollment, make_node
from tests.expect import expect_approved, expect_denied, expect_held, expect_ignored

_ANY = ("any",)
"""Usages that no kubelet asks for."""

_APPROVED = [vector for vector in load_vectors() if vector.verdict == "Approve"]


def test_approves_when_every_rule_holds() -> None:
    """The builders' default case is approved, and no rule has failed."""
    judgement = expect_approved(make_case(), Reason.BOOTSTRAP_APPROVED)

    assert judgement.failures == ()
    assert [finding.reason for finding in judgement.findings] == [rule.reason for rule in RULES]


def test_ignore_outweighs_deny_and_hold() -> None:
    """A request that is not ours is left alone, whatever is wrong with it."""
    csr = make_csr(signer="example.com/other", usages=_ANY)

    judgement = expect_ignored(make_case(csr=csr, enrollment=None), Reason.SIGNER_NOT_MANAGED)

    assert {Result.SKIPPED} == {f.result for f in judgement.findings[len(ownership.RULES) :]}


def test_the_first_ownership_rule_that_fails_is_the_reason() -> None:
    """An issued certificate with a condition is AlreadyDecided."""
    csr = make_csr(conditions=("Approved",), issued=True, deleting=True)

    expect_ignored(make_case(csr=csr), Reason.ALREADY_DECIDED)


def test_deny_outweighs_hold_and_names_both() -> None:
    """Reasons to deny come before reasons to hold, each group in the rules' order."""
    case = make_case(csr=make_csr(expiration_seconds=1, usages=_ANY), enrollment=None)

    expect_denied(case, Reason.USAGES_INVALID, Reason.EXPIRATION_NOT_ALLOWED, Reason.NOT_ENROLLED)


def test_hold_outweighs_approve() -> None:
    """One reason to hold is enough."""
    expect_held(make_case(enrollment=make_enrollment(state=State.SUSPENDED)), Reason.ENROLLMENT_SUSPENDED)


def test_never_deny_holds_with_the_same_reasons() -> None:
    """--never-deny turns every denial into a hold, reasons and order unchanged."""
    case = make_case(csr=make_csr(usages=_ANY), enrollment=None)

    expect_denied(case, Reason.USAGES_INVALID, Reason.NOT_ENROLLED)
    held = replace(case, policy=Policy(never_deny=True))
    expect_held(held, Reason.USAGES_INVALID, Reason.NOT_ENROLLED)


def test_never_deny_changes_denials_only() -> None:
    """Over all vectors: what is no denial stays as it is, and what is one becomes a hold."""
    for vector in load_vectors():
        case = case_from_vector(vector)
        lax = judge(replace(case, policy=replace(case.policy, never_deny=True))).verdict
        match judge(case).verdict:
            case Deny(reasons=reasons):
                assert lax == Hold(reasons)
            case other:
                assert lax == other


@pytest.mark.parametrize("fact", Fact)
@pytest.mark.parametrize("vector", _APPROVED, ids=lambda vector: vector.name)
def test_a_missing_fact_holds_what_would_be_approved(vector: Vector, fact: Fact) -> None:
    """Without a fact nothing is approved and nothing denied: the verdict is Hold FactsUnavailable."""
    case = case_from_vector(vector)

    expect_held(replace(case, missing=frozenset({fact})), Reason.FACTS_UNAVAILABLE)


@pytest.mark.parametrize("fact", Fact)
def test_an_unreadable_fact_is_absent_and_holds(fact: Fact) -> None:
    """The same when nothing at all stands in the missing fact's place."""
    absent = {Fact.ENROLLMENT: {"enrollment": None}, Fact.NODE: {"node": None}}.get(fact, {})

    judgement = judge(make_case(missing=frozenset({fact}), **absent))

    assert isinstance(judgement.verdict, Hold)
    assert Reason.FACTS_UNAVAILABLE in judgement.reasons
    assert Reason.NOT_ENROLLED not in judgement.reasons


@pytest.mark.parametrize(
    "enrollment",
    [
        make_enrollment(state=State.REVOKED),
        make_enrollment(bootstrap=Bootstrap(token_id="zzzzzz")),  # noqa: S106 - an id is no secret
        make_enrollment(bootstrap=Bootstrap(users=frozenset({"jane"}))),
        make_enrollment(bootstrap=Bootstrap(public_key_sha256="0" * 64)),
        make_enrollment(max_expiration_seconds=600),
    ],
    ids=["revoked", "token", "users", "pin", "lifetime"],
)
def test_a_stale_enrollment_never_denies(enrollment: object) -> None:
    """What stands in the place of an enrollment that could not be read is not used to deny (design, section 4)."""
    case = make_case(enrollment=enrollment, csr=make_csr(expiration_seconds=3600))

    assert isinstance(judge(case).verdict, Deny)
    assert isinstance(judge(replace(case, missing=frozenset({Fact.ENROLLMENT}))).verdict, Hold)


def test_an_api_server_address_is_not_denied_while_enrollments_are_missing() -> None:
    """The enrollment that could not be read may list the API server's address: that is for it to say."""
    vector = next(v for v in load_vectors() if v.name == "ServingApproved/api-server-address-listed")
    case = replace(case_from_vector(vector), enrollment=None, missing=frozenset({Fact.ENROLLMENT, Fact.CLAIMS}))

    expect_held(case, Reason.FACTS_UNAVAILABLE)


def test_a_retry_passes_without_knowing_the_node() -> None:
    """The key of the newest join needs no Node to be judged; the missing fact alone holds it."""
    vector = next(v for v in load_vectors() if v.name == "BootstrapApproved/spire-2454-lost-answer")
    case = replace(case_from_vector(vector), node=None, missing=frozenset({Fact.NODE}))

    expect_held(case, Reason.FACTS_UNAVAILABLE)


def test_approve_is_constructed_on_one_line() -> None:
    """In all of the program's source there is one expression that makes an approval, and it is in csr/decide.py."""
    calls = [
        (str(path.relative_to(ROOT)), node.lineno)
        for path in (ROOT / "operator" / "nodegate").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "Approve"
    ]

    assert [path for path, _ in calls] == ["operator/nodegate/csr/decide.py"]


def test_only_stage_0_ignores() -> None:
    """The fault Ignore belongs to ownership, and every ownership rule has it."""
    assert {0} == {rule.stage for rule in RULES if rule.fault is Fault.IGNORE}
    assert {Fault.IGNORE} == {rule.fault for rule in RULES if rule.stage == 0}


def test_every_rule_has_its_own_reason_law_and_source() -> None:
    """No two rows share a reason, stages ascend, and each row says what it stands for."""
    assert len(RULES) == len({rule.reason for rule in RULES})
    assert [rule.stage for rule in RULES] == sorted(rule.stage for rule in RULES)
    assert all(rule.law.endswith(".") and rule.source for rule in RULES)


def test_every_reason_is_an_approval_or_a_rule() -> None:
    """No reason stands in the enum that nothing can give."""
    approvals = {Reason.BOOTSTRAP_APPROVED, Reason.RENEWAL_APPROVED, Reason.SERVING_APPROVED}

    assert set(Reason) == {rule.reason for rule in RULES} | approvals


def test_a_request_of_another_node_takes_nothing_from_this_ones_enrollment() -> None:
    """A case that names one node and brings the enrollment of another is a mistake that still never approves."""
    csr = make_csr(request=Request(common_name="system:node:node-b"))

    verdict = judge(make_case(csr=csr, enrollment=None, node=make_node())).verdict

    assert not isinstance(verdict, Approve | Ignore)
