"""Stage 6: does the enrollment of this name let this requester ask now?

Rules: what is fixed in the request and contradicts the enrollment's pins is denied; what can change
with the enrollment or the clock is held. The window, the pins and the join limit are about the first
certificate only: a renewal proves itself by the certificate it holds.
"""

from nodegate.csr.model import Case, Fact, Kind, Reason
from nodegate.csr.rules.rule import Fault, Outcome, Rule, failed, judged, missing, passed, skipped
from nodegate.enrollment.model import Enrollment, State
from nodegate.identity import conflicts, listed_reserved
from nodegate.text import listed, visible

_NO_ENROLLMENT = skipped("there is no enrollment")
_FIRST_ONLY = skipped("only asked of a first certificate")


def _facts_at_hand(case: Case) -> Outcome:
    expected = "every fact that the rules need, fresh"
    if not case.missing:
        return passed(expected, "all of them")
    return failed(expected, f"no fresh view of {listed(sorted(case.missing))}")


def _enrolled(case: Case) -> Outcome:
    name = case.csr.node_name
    if name is None:
        return skipped("the subject names no node")
    if Fact.ENROLLMENT in case.missing:
        return missing(Fact.ENROLLMENT)
    expected = f"a NodeEnrollment named {visible(name)}"
    return judged(
        holds=case.enrollment is not None, expected=expected, found="it" if case.enrollment else "none of that name"
    )


def _ready(case: Case) -> Outcome:
    enrollment, expected = case.enrollment, "an enrollment that is processed, in order and has its token"
    if enrollment is None:
        return _NO_ENROLLMENT
    if not enrollment.processed:
        seen = enrollment.status.observed_generation
        return failed(expected, f"generation {enrollment.generation}, processed up to {seen or 'none'}")
    if _awaits_token(case, enrollment):
        return failed(expected, "bootstrap.token.issue is set and no token was issued yet")
    if Fact.RESERVED in case.missing and enrollment.addresses:
        return missing(Fact.RESERVED)
    faults = listed_reserved(enrollment, case.reserved)
    return failed(expected, f"reserved identities in it: {listed(faults)}") if faults else passed(expected, "that")


def _awaits_token(case: Case, enrollment: Enrollment) -> bool:
    """Tell whether the requester can only be judged once the operator has minted the token."""
    if case.csr.kind is not Kind.BOOTSTRAP or case.csr.username in enrollment.bootstrap.users:
        return False
    return enrollment.bootstrap.issue_token and enrollment.expected_token_id is None


def _no_conflict(case: Case) -> Outcome:
    enrollment, expected = case.enrollment, "no identity that another enrollment lists too"
    if enrollment is None:
        return _NO_ENROLLMENT
    if Fact.CLAIMS in case.missing:
        return missing(Fact.CLAIMS)
    shared = conflicts(enrollment, case.claims) if enrollment.state is not State.REVOKED else ()
    return failed(expected, listed(shared)) if shared else passed(expected, "none")


def _not_revoked(case: Case) -> Outcome:
    return _state(case, State.REVOKED)


def _not_suspended(case: Case) -> Outcome:
    return _state(case, State.SUSPENDED)


def _state(case: Case, forbidden: State) -> Outcome:
    if case.enrollment is None:
        return _NO_ENROLLMENT
    state = case.enrollment.state
    return judged(holds=state is not forbidden, expected=f"a state other than {forbidden}", found=f"state {state}")


def _inside_window(case: Case) -> Outcome:
    if case.enrollment is None:
        return _NO_ENROLLMENT
    if case.csr.kind is not Kind.BOOTSTRAP:
        return _FIRST_ONLY
    start, end = case.enrollment.bootstrap.not_before, case.enrollment.bootstrap.not_after
    after = f" from {start.isoformat()}" if start else ""
    before = f" until {end.isoformat()}" if end else ""
    holds = (start is None or start <= case.now) and (end is None or case.now <= end)
    return judged(
        holds=holds,
        expected=f"a moment{after}{before}" if after or before else "any moment",
        found=case.now.isoformat(timespec="seconds"),
    )


def _token_matches(case: Case) -> Outcome:
    """A token's user name carries its id, which the API server verified; it must be this node's."""
    enrollment, token_id = case.enrollment, case.csr.token_id
    if enrollment is None:
        return _NO_ENROLLMENT
    if case.csr.kind is not Kind.BOOTSTRAP:
        return _FIRST_ONLY
    if token_id is None:
        return skipped("no bootstrap token asks")
    if case.csr.username in enrollment.bootstrap.users:
        return passed("a user that the enrollment lists", f"token {visible(token_id)}")
    others = sorted(case.claims.token_owners(token_id) - {enrollment.name})
    if others:
        return failed("a token that was not made for another node", f"token {visible(token_id)} of {listed(others)}")
    if not _restricts_requester(enrollment):
        return passed("a token that the enrollment allows", f"token {visible(token_id)}")
    if _awaits_token(case, enrollment):
        return skipped("no token was issued yet")
    wanted = enrollment.expected_token_id
    return judged(
        holds=token_id == wanted,
        expected=f"token {wanted}" if wanted else f"one of the users {listed(sorted(enrollment.bootstrap.users))}",
        found=f"token {visible(token_id)}",
    )


def _restricts_requester(enrollment: Enrollment) -> bool:
    bootstrap = enrollment.bootstrap
    return bool(bootstrap.token_id or bootstrap.issue_token or bootstrap.users)


def _requester_allowed(case: Case) -> Outcome:
    enrollment = case.enrollment
    if enrollment is None:
        return _NO_ENROLLMENT
    if case.csr.kind is not Kind.BOOTSTRAP:
        return _FIRST_ONLY
    if case.csr.token_id is not None:
        return skipped("a bootstrap token asks")
    users = enrollment.bootstrap.users
    expected = f"one of the users {listed(sorted(users))}" if users else "the enrollment's token"
    if not _restricts_requester(enrollment):
        users, expected = frozenset({case.csr.username}), f"a member of {case.policy.bootstrap_group}"
    return judged(holds=case.csr.username in users, expected=expected, found=f"user {visible(case.csr.username)}")


def _key_matches_pin(case: Case) -> Outcome:
    if case.enrollment is None:
        return _NO_ENROLLMENT
    if case.csr.kind is not Kind.BOOTSTRAP:
        return _FIRST_ONLY
    pin = case.enrollment.bootstrap.public_key_sha256
    key = case.csr.pkcs10.public_key_sha256 if case.csr.pkcs10 else None
    if key is None:
        return skipped("the request has no key that could be read")
    return judged(holds=pin in (None, key), expected=f"key {pin}" if pin else "any key", found=f"key {key}")


def _joins_left(case: Case) -> Outcome:
    enrollment, key = case.enrollment, case.csr.pkcs10.public_key_sha256 if case.csr.pkcs10 else None
    if enrollment is None:
        return _NO_ENROLLMENT
    if case.csr.kind is not Kind.BOOTSTRAP:
        return _FIRST_ONLY
    if key is None:
        return skipped("the request has no key that could be read")
    if enrollment.holds_key(key):
        return passed("a key that joined before, or a join left", "a key that joined before")
    limit, count = enrollment.bootstrap.max_joins, enrollment.status.join_count
    return judged(
        holds=count < limit,
        expected=f"fewer than {limit} keys that have joined, or one of them",
        found=f"{count} others joined",
    )


_DESIGN = "nodegate, NodeEnrollment"

RULES = (
    Rule(
        6,
        Reason.FACTS_UNAVAILABLE,
        Fault.HOLD,
        "Every fact that a rule needs is at hand and fresh; a fault of the infrastructure never denies.",
        "nodegate, ADR 0004",
        _facts_at_hand,
    ),
    Rule(6, Reason.NOT_ENROLLED, Fault.HOLD, "A NodeEnrollment of the node's name exists.", _DESIGN, _enrolled),
    Rule(
        6,
        Reason.ENROLLMENT_NOT_READY,
        Fault.HOLD,
        "The enrollment is processed at its current generation, lists nothing reserved, and has the token it asks for.",
        "Kubernetes API conventions, observedGeneration",
        _ready,
    ),
    Rule(
        6,
        Reason.ENROLLMENT_CONFLICT,
        Fault.HOLD,
        "No other enrollment lists an address or name of this one.",
        _DESIGN,
        _no_conflict,
    ),
    Rule(6, Reason.ENROLLMENT_REVOKED, Fault.DENY, "The enrollment is not revoked.", _DESIGN, _not_revoked),
    Rule(6, Reason.ENROLLMENT_SUSPENDED, Fault.HOLD, "The enrollment is not suspended.", _DESIGN, _not_suspended),
    Rule(
        6,
        Reason.OUTSIDE_WINDOW,
        Fault.HOLD,
        "A first certificate is asked for inside the enrollment's window, bounds included.",
        _DESIGN,
        _inside_window,
    ),
    Rule(
        6,
        Reason.TOKEN_MISMATCH,
        Fault.DENY,
        "A token that asks for a first certificate is the one that the enrollment names.",
        "Kubernetes, Authenticating with Bootstrap Tokens: user system:bootstrap:<id>",
        _token_matches,
    ),
    Rule(
        6,
        Reason.REQUESTER_NOT_ALLOWED,
        Fault.DENY,
        "Another user that asks for a first certificate is one that the enrollment lists.",
        _DESIGN,
        _requester_allowed,
    ),
    Rule(
        6,
        Reason.KEY_PIN_MISMATCH,
        Fault.DENY,
        "The key is the pinned one, when one is pinned.",
        "RFC 7469 §2.4: a pin is the SHA-256 of the SubjectPublicKeyInfo",
        _key_matches_pin,
    ),
    Rule(
        6,
        Reason.JOIN_LIMIT_REACHED,
        Fault.HOLD,
        "Fewer keys than bootstrap.maxJoins have joined, or the key is one that has.",
        _DESIGN,
        _joins_left,
    ),
)
"""Stage 6, in order."""
