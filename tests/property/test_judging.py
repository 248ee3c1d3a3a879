"""What holds for every decision, whatever the case."""

from dataclasses import replace
from itertools import combinations
from random import Random

import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from hack.vectors.names import dns, ip
from hack.vectors.request import Request
from nodegate.csr.decide import RULES, judge
from nodegate.csr.model import Approve, Case, Deny, Fact, Hold, Ignore, Kind, NameKind, Result
from nodegate.csr.render import MESSAGE_LIMIT, message, verdict_name
from nodegate.enrollment.model import Rejoin
from nodegate.identity import ReservedIndex
from tests.builders import Vector, case_from_vector, load_vectors, make_csr, make_serving, read
from tests.property.strategies import cases, serving_requests

_MANY = settings(max_examples=200, deadline=None)


@_MANY
@given(cases())
def test_judging_is_total_and_deterministic(case: Case) -> None:
    """Every case has one verdict with reasons, a finding for every rule, and the same again when asked again."""
    judgement = judge(case)
    event(verdict_name(judgement.verdict))

    assert isinstance(judgement.verdict, Approve | Deny | Hold | Ignore)
    assert judgement == judge(case)
    assert len(judgement.findings) == len(RULES)
    assert judgement.reasons
    assert 0 < len(message(judgement)) <= MESSAGE_LIMIT
    assert message(judgement).isprintable()


@_MANY
@given(cases())
def test_an_approval_has_no_failed_rule_and_who_asks_may(case: Case) -> None:
    """Said once more in other words: what every approval must have, whatever the rules' code says."""
    judgement = judge(case)
    if not isinstance(judgement.verdict, Approve):
        return
    csr, enrollment, request = case.csr, case.enrollment, case.csr.pkcs10

    assert Result.FAIL not in {finding.result for finding in judgement.findings}
    assert enrollment is not None
    assert request is not None
    assert (enrollment.name, enrollment.state, enrollment.processed) == (csr.node_name, "Active", True)
    assert request.signature_valid
    assert [a.value for a in request.subject if a.oid == "2.5.4.3"] == [f"system:node:{csr.node_name}"]
    assert not {"system:masters", "x"} & {a.value for a in request.subject}
    if csr.kind is Kind.BOOTSTRAP:
        bootstrap = enrollment.bootstrap
        assert not csr.username.startswith("system:node:")
        assert csr.username in bootstrap.users or "system:bootstrappers" in csr.groups
        if bootstrap.token_id and csr.token_id:
            assert csr.token_id == bootstrap.token_id or csr.username in bootstrap.users
    else:
        assert csr.username == f"system:node:{enrollment.name}"
        assert "system:nodes" in csr.groups
    for name in request.alt_names or ():
        assert csr.kind is Kind.SERVING
        assert name.kind is not NameKind.OTHER
        assert name.address in enrollment.addresses or name.text.lower() in enrollment.names


@_MANY
@given(cases())
def test_an_approval_is_of_an_own_key_and_a_current_certificate(case: Case) -> None:
    """The same about what the node holds: no key of another, no superseded certificate, no Node in another's place."""
    judgement = judge(case)
    enrollment, request = case.enrollment, case.csr.pkcs10
    if not isinstance(judgement.verdict, Approve) or enrollment is None or request is None:
        return

    assert case.claims.key_owners(request.public_key_sha256 or "") <= {enrollment.name}
    if case.csr.kind is not Kind.BOOTSTRAP:
        record = enrollment.status.certificates.client
        used, superseded = case.csr.credential_id, {record.previous_sha256} if record and record.seen else set()
        known = {record.sha256, record.previous_sha256} - superseded if record else set()
        assert used in known or not (case.policy.require_known_credential or used in superseded)
        uids = {enrollment.status.node.uid, case.node.uid if case.node else None}
        assert len(uids - {None}) < 2 or enrollment.rejoin is not Rejoin.NEVER or enrollment.status.joins


@_MANY
@given(cases(serving_requests()), st.randoms(use_true_random=False))
def test_the_order_of_names_is_irrelevant(case: Case, random: Random) -> None:
    """A request with its names in another order is judged the same."""
    request = case.csr.pkcs10
    assert request is not None
    names = list(request.alt_names or ())
    random.shuffle(names)
    other = replace(case, csr=replace(case.csr, pkcs10=replace(request, alt_names=tuple(names))))

    assert judge(other).verdict == judge(case).verdict


_SERVING = [v for v in load_vectors() if v.folder == "ServingApproved"]
_ADDED = st.one_of(
    st.sampled_from(["10.0.0.6", "10.0.0.1", "10.9.9.9", "fd00::6", "127.0.0.1", "::", "10.96.0.9", "10.244.3.3"]).map(
        ip
    ),
    st.sampled_from(["node-b", "node-a.corp.evil", "kubernetes", "*", "", "node-a1", "localhost", "b.node-a"]).map(dns),
    st.ip_addresses().map(str).map(ip),
    st.text(max_size=20).map(dns),
)


@_MANY
@given(st.sampled_from(_SERVING), _ADDED)
def test_adding_a_name_that_is_not_enrolled_never_stays_approved(vector: Vector, name: bytes) -> None:
    """One name more than enrolled, and the request is no longer approved."""
    case = case_from_vector(vector)
    added, own = read(Request(alt_names=(name,))).alt_names, case.csr.pkcs10
    assert own is not None
    assert case.enrollment is not None
    assume(added)
    (extra,) = added or ()
    assume(extra.address not in case.enrollment.addresses and extra.text.lower() not in case.enrollment.names)

    more = replace(own, alt_names=(*(own.alt_names or ()), extra))

    assert not isinstance(judge(replace(case, csr=replace(case.csr, pkcs10=more))).verdict, Approve)


_SUBSETS = [frozenset(facts) for size in range(1, len(Fact) + 1) for facts in combinations(Fact, size)]


def _without(case: Case, facts: frozenset[Fact], *, blank: bool) -> Case:
    """Return the case with facts missing, and with nothing in their place when `blank`."""
    gone = replace(case, missing=case.missing | facts)
    if blank and Fact.ENROLLMENT in facts:
        gone = replace(gone, enrollment=None)
    if blank and Fact.NODE in facts:
        gone = replace(gone, node=None)
    return replace(gone, reserved=ReservedIndex()) if blank and Fact.RESERVED in facts else gone


@pytest.mark.parametrize("facts", _SUBSETS, ids=lambda facts: "+".join(sorted(fact.name for fact in facts)))
@pytest.mark.parametrize("blank", [False, True], ids=["stale", "blank"])
def test_a_missing_fact_never_makes_an_approval(facts: frozenset[Fact], blank: bool) -> None:  # noqa: FBT001 - a parameter
    """Over all vectors: without facts nothing is approved, and nothing is denied for the lack of them."""
    for vector in load_vectors():
        case = case_from_vector(vector)
        verdict, lesser = judge(case).verdict, judge(_without(case, facts, blank=blank)).verdict

        assert not isinstance(lesser, Approve), vector.name
        if not isinstance(verdict, Deny):
            assert not isinstance(lesser, Deny), vector.name


@_MANY
@given(cases(), st.sampled_from(_SUBSETS), st.booleans())
def test_a_missing_fact_never_makes_an_approval_of_any_case(case: Case, facts: frozenset[Fact], blank: bool) -> None:  # noqa: FBT001 - drawn
    """The same for cases that nobody thought of."""
    assert not isinstance(judge(_without(case, facts, blank=blank)).verdict, Approve)


@_MANY
@given(cases())
def test_never_deny_never_denies_and_never_approves_more(case: Case) -> None:
    """The lenient policy turns denials into holds and changes nothing else."""
    strict = judge(replace(case, policy=replace(case.policy, never_deny=False)))
    lenient = judge(replace(case, policy=replace(case.policy, never_deny=True)))

    assert lenient.reasons == strict.reasons
    expected = Hold(strict.reasons) if isinstance(strict.verdict, Deny) else strict.verdict
    assert lenient.verdict == expected


def test_builders_make_what_is_approved() -> None:
    """The base of these tests is an approval, or they would prove nothing."""
    names = (dns("node-a"), ip("10.0.0.5"))

    assert make_csr().node_name == make_serving(*names).node_name == "node-a"
