"""Stage 8 in detail: shared keys, certificates' lineage, and Nodes that took another's place."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from hack.vectors.names import dns, ip
from nodegate.csr.decide import judge
from nodegate.csr.model import Case, CsrFacts, Fact, Finding, Policy, Reason, Result
from nodegate.enrollment.claims import ClaimIndex
from nodegate.enrollment.model import (
    CertificateRecord,
    Certificates,
    Enrollment,
    Join,
    NodeName,
    NodeRef,
    Rejoin,
    State,
    Status,
)
from tests.builders import NOW, make_case, make_csr, make_enrollment, make_node, make_renewal, make_serving
from tests.expect import expect_approved, expect_held

_REQUESTS = [make_csr(), make_renewal(), make_serving(dns("node-a"), ip("10.0.0.5"))]
_KINDS = ["bootstrap", "renewal", "serving"]
_NEWEST, _PREVIOUS, _OTHER = "a1" * 32, "b2" * 32, "c3" * 32
_HOUR = timedelta(hours=1)


def _finding(case: Case, reason: Reason) -> Finding:
    return next(finding for finding in judge(case).findings if finding.reason is reason)


def _join(csr: CsrFacts, **fields: Any) -> Join:
    key = csr.pkcs10.public_key_sha256 if csr.pkcs10 else None
    joined: dict[str, Any] = {"public_key_sha256": key, "csr_uid": "u", "csr_name": "c", "requester": "r", "time": NOW}
    return Join(**(joined | fields))


def _neighbour(csr: CsrFacts, name: str = "node-b", **fields: Any) -> Enrollment:
    """Return another node's enrollment, under which the request's key has joined."""
    status = Status(joins=(_join(csr),), join_count=1)
    return make_enrollment(name=NodeName(name), addresses=("10.0.0.6",), status=status, **fields)


def _shared(csr: CsrFacts, *others: Enrollment) -> Case:
    own = make_enrollment()
    node = None if csr.username.startswith("system:bootstrap") else make_node()
    return make_case(csr=csr, enrollment=own, node=node, claims=ClaimIndex([own, *others]))


@pytest.mark.parametrize("csr", _REQUESTS, ids=_KINDS)
@pytest.mark.parametrize("state", State)
def test_a_key_that_joined_as_another_node_is_held(csr: CsrFacts, state: State) -> None:
    """Requests of every kind, whatever the state of the other enrollment; the other is named."""
    case = _shared(csr, _neighbour(csr, state=state))

    expect_held(case, Reason.KEY_REUSED)
    assert "node-b" in _finding(case, Reason.KEY_REUSED).found


def test_every_other_node_with_the_key_is_named() -> None:
    """In order, so that the message does not change from one judgement to the next."""
    csr = make_csr()
    others = [_neighbour(csr, name) for name in ("node-d", "node-c")]

    assert _finding(_shared(csr, *others), Reason.KEY_REUSED).found == "a key that joined as node-c, node-d"


def test_the_nodes_own_join_is_no_reuse() -> None:
    """A retry, and a renewal with the key of the join, stand under this node's own name."""
    csr = make_csr()
    own = make_enrollment(status=Status(joins=(_join(csr),), join_count=1))

    expect_approved(make_case(csr=csr, enrollment=own), Reason.BOOTSTRAP_APPROVED)


def test_without_the_other_enrollments_reuse_is_not_judged() -> None:
    """What stands in the place of missing claims is not used, and the request is held for the lack of them."""
    csr = make_csr()
    case = replace(_shared(csr, _neighbour(csr)), missing=frozenset({Fact.CLAIMS}))

    expect_held(case, Reason.FACTS_UNAVAILABLE)
    assert _finding(case, Reason.KEY_REUSED).found == "the other NodeEnrollments could not be read"


def _lineage(used: str | None, *, seen: bool, known: bool = False, recorded: bool = True) -> Case:
    record = CertificateRecord(
        serial="0a", not_after=NOW + _HOUR, sha256=_NEWEST, csr_name="c", seen=seen, previous_sha256=_PREVIOUS
    )
    held = Certificates(client=record if recorded else None)
    return make_case(
        csr=make_renewal(credential_id=used),
        enrollment=make_enrollment(status=Status(certificates=held)),
        node=make_node(),
        policy=Policy(require_known_credential=known),
    )


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize(("used", "seen"), [(_NEWEST, False), (_NEWEST, True), (_PREVIOUS, False)])
def test_a_current_certificate_passes(used: str, seen: bool, known: bool) -> None:  # noqa: FBT001 - parameters
    """The newest always, the one before until the newest was used; both are known."""
    case = _lineage(used, seen=seen, known=known)

    expect_approved(case, Reason.RENEWAL_APPROVED)
    assert "warning" not in _finding(case, Reason.CREDENTIAL_SUPERSEDED).found


@pytest.mark.parametrize("known", [False, True])
def test_a_superseded_certificate_is_held(known: bool) -> None:  # noqa: FBT001 - a parameter
    """The one before the newest, once that was used, whatever the policy."""
    case = _lineage(_PREVIOUS, seen=True, known=known)

    expect_held(case, Reason.CREDENTIAL_SUPERSEDED)
    assert _PREVIOUS in _finding(case, Reason.CREDENTIAL_SUPERSEDED).found


@pytest.mark.parametrize(
    ("used", "recorded", "said"),
    [
        (_OTHER, True, "is not a recorded one"),
        (_OTHER, False, "none is recorded"),
        (None, True, "does not say"),
        (None, False, "does not say"),
    ],
)
def test_an_unknown_certificate_is_a_warning_or_a_hold(used: str | None, recorded: bool, said: str) -> None:  # noqa: FBT001 - a parameter
    """By default it passes and the finding warns; with --require-known-credential it is held."""
    lax = _lineage(used, seen=True, recorded=recorded)
    strict = _lineage(used, seen=True, recorded=recorded, known=True)

    expect_approved(lax, Reason.RENEWAL_APPROVED)
    found = _finding(lax, Reason.CREDENTIAL_SUPERSEDED).found
    assert found.startswith("warning: ")
    assert said in found
    expect_held(strict, Reason.CREDENTIAL_SUPERSEDED)


def test_a_bootstrap_request_has_no_lineage() -> None:
    """A token is no certificate: not even with --require-known-credential."""
    expect_approved(make_case(policy=Policy(require_known_credential=True)), Reason.BOOTSTRAP_APPROVED)


def _replaced(rejoin: Rejoin = Rejoin.NEVER, *, join_age: timedelta = _HOUR, **fields: Any) -> Case:
    """Return a renewal while the Node is another than the recorded one, which joined an hour ago."""
    status = Status(
        node=NodeRef(uid="old", joined_at=NOW - _HOUR, ready="True"),
        joins=(_join(make_csr(), time=NOW - join_age),),
        join_count=1,
    )
    enrollment = make_enrollment(rejoin=rejoin, status=status, **fields)
    return make_case(csr=make_renewal(), enrollment=enrollment, node=make_node(uid="new"))


def test_a_replaced_node_is_held_under_never() -> None:
    """Both UIDs are told."""
    case = _replaced()

    expect_held(case, Reason.NODE_REPLACED)
    assert _finding(case, Reason.NODE_REPLACED).found == "another Node than the recorded one: UID new, recorded old"


@pytest.mark.parametrize("rejoin", [rejoin for rejoin in Rejoin if rejoin is not Rejoin.NEVER])
def test_a_replaced_node_passes_and_is_told_otherwise(rejoin: Rejoin) -> None:
    """After `kubectl delete node` a kubelet registers again by itself; the finding says that it did."""
    case = _replaced(rejoin)

    expect_approved(case, Reason.RENEWAL_APPROVED)
    assert "UID new, recorded old" in _finding(case, Reason.NODE_REPLACED).found


@pytest.mark.parametrize(("accepted", "held"), [("new", False), ("old", True), ("other", True)])
def test_the_annotation_lets_the_named_uid_pass(accepted: str, held: bool) -> None:  # noqa: FBT001 - a parameter
    """Only the UID that it names."""
    finding = _finding(_replaced(accepted_node_uid=accepted), Reason.NODE_REPLACED)

    assert finding.result is (Result.FAIL if held else Result.PASS)


@pytest.mark.parametrize(("age", "held"), [(2 * _HOUR, True), (_HOUR, True), (_HOUR / 2, False)])
def test_only_a_newer_join_announces_another_node(age: timedelta, held: bool) -> None:  # noqa: FBT001 - a parameter
    """A join before the recorded Node, or at its moment, is that Node's own."""
    finding = _finding(_replaced(join_age=age), Reason.NODE_REPLACED)

    assert finding.result is (Result.FAIL if held else Result.PASS)


def test_a_record_without_its_moment_announces_nothing() -> None:
    """Nothing can be newer than a moment that is not known."""
    case = _replaced(join_age=timedelta())
    enrollment = case.enrollment
    assert enrollment is not None
    status = replace(enrollment.status, node=NodeRef(uid="old"))

    expect_held(replace(case, enrollment=replace(enrollment, status=status)), Reason.NODE_REPLACED)


def test_without_the_node_its_uid_is_not_judged() -> None:
    """A Node that could not be read holds for that; one that is not there is no other Node."""
    gone = replace(_replaced(), node=None)

    expect_approved(gone, Reason.RENEWAL_APPROVED)
    case = replace(_replaced(), missing=frozenset({Fact.NODE}))
    expect_held(case, Reason.FACTS_UNAVAILABLE)
    assert _finding(case, Reason.NODE_REPLACED).found == "the Node could not be read"
