"""Stage 8: may this key, this certificate and this Node stand for the name now?

Rules: a bootstrap credential must not displace a node that works, a key that joined as one node stands
for no other, a certificate that was followed by another in use is a copy, and a Node that took the
place of the recorded one is a re-join. The key of the newest recorded join is a retry and always passes
the first rule: a kubelet whose approval was lost on the way asks with it again.
"""

from nodegate.csr.model import Case, Fact, Kind, NodeFacts, Reason
from nodegate.csr.rules.rule import Fault, Outcome, Rule, failed, judged, missing, passed, skipped
from nodegate.enrollment.model import Enrollment, Rejoin
from nodegate.text import listed, visible


def _may_join(case: Case) -> Outcome:
    enrollment, key = case.enrollment, case.csr.pkcs10.public_key_sha256 if case.csr.pkcs10 else None
    if case.csr.kind is not Kind.BOOTSTRAP:
        return skipped("only asked of a first certificate")
    if enrollment is None or key is None:
        return skipped("there is no enrollment, or no key that could be read")
    newest = enrollment.status.joins[0].public_key_sha256 if enrollment.status.joins else None
    if key == newest:
        return passed("the key of the newest join, or a free name", "the key of the newest join")
    if Fact.NODE in case.missing:
        return missing(Fact.NODE)
    return judged(
        holds=_is_free(enrollment, case.node),
        expected=_EXPECTED[enrollment.rejoin],
        found=f"{'a' if newest else 'no'} recorded join, {_node_text(case.node)}",
    )


_EXPECTED = {
    Rejoin.NEVER: "no recorded join and no Node (rejoin Never)",
    Rejoin.WHEN_GONE: "no Node (rejoin WhenGone)",
    Rejoin.WHEN_NOT_READY: "no Node, or one that is not Ready (rejoin WhenNotReady)",
    Rejoin.ALWAYS: "anything (rejoin Always)",
}


def _is_free(enrollment: Enrollment, node: NodeFacts | None) -> bool:
    match enrollment.rejoin:
        case Rejoin.NEVER:
            return node is None and not enrollment.status.joins
        case Rejoin.WHEN_GONE:
            return node is None
        case Rejoin.WHEN_NOT_READY:
            return node is None or node.ready != "True"
        case Rejoin.ALWAYS:
            return True


def _node_text(node: NodeFacts | None) -> str:
    return "no Node" if node is None else f"a Node with Ready {node.ready}"


def _key_is_this_nodes(case: Case) -> Outcome:
    """Judge requests of every kind: a kubelet makes each of its keys itself, so a shared one was copied."""
    name, key = case.csr.node_name, case.csr.pkcs10.public_key_sha256 if case.csr.pkcs10 else None
    if name is None or key is None:
        return skipped("the request names no node, or its key could not be read")
    if Fact.CLAIMS in case.missing:
        return missing(Fact.CLAIMS)
    others = sorted(case.claims.key_owners(key) - {name})
    return judged(
        holds=not others,
        expected="a key that joined as no other node",
        found=f"a key that joined as {listed(others)}" if others else "a key that joined as no other node",
    )


def _credential_is_current(case: Case) -> Outcome:
    enrollment, used = case.enrollment, case.csr.credential_id
    if case.csr.kind is Kind.BOOTSTRAP:
        return skipped("only asked of a node that has a certificate")
    if enrollment is None:
        return skipped("there is no enrollment")
    record = enrollment.status.certificates.client
    if record is not None and used is not None and used in (record.sha256, record.previous_sha256):
        return judged(
            holds=used == record.sha256 or not record.seen,
            expected="the newest client certificate, or the one before it until the newest is used",
            found=_credential_text(used, record.sha256, seen=record.seen),
        )
    outcome = failed if case.policy.require_known_credential else passed
    return outcome("a recorded client certificate", _unknown_text(used, recorded=record is not None))


def _credential_text(used: str, newest: str, *, seen: bool) -> str:
    if used == newest:
        return "the newest client certificate"
    state = "has been used" if seen else "has not been used yet"
    return f"the certificate before the newest one, which {state} ({visible(used)})"


def _unknown_text(used: str | None, *, recorded: bool) -> str:
    if used is None:
        return "warning: the API server does not say which certificate was used"
    why = "is not a recorded one" if recorded else "is not known, none is recorded"
    return f"warning: the certificate that was used {why} ({visible(used)})"


def _node_is_the_recorded_one(case: Case) -> Outcome:
    """Judge what asks as the node that joined; a bootstrap request is a re-join and judged as one above."""
    enrollment = case.enrollment
    if case.csr.kind is Kind.BOOTSTRAP:
        return skipped("a first certificate is judged by rejoin")
    if enrollment is None:
        return skipped("there is no enrollment")
    if Fact.NODE in case.missing:
        return missing(Fact.NODE)
    if case.node is None:
        return skipped("there is no Node")
    uid, recorded = case.node.uid, enrollment.status.node.uid
    if enrollment.expects_node(uid):
        return passed("the Node that joined, or one that may follow it", _follower_text(enrollment, uid))
    return judged(
        holds=enrollment.rejoin is not Rejoin.NEVER,
        expected=f"the Node that joined, or another by rejoin (rejoin {enrollment.rejoin})",
        found=f"another Node than the recorded one: UID {visible(uid)}, recorded {visible(recorded or '')}",
    )


def _follower_text(enrollment: Enrollment, uid: str) -> str:
    recorded = enrollment.status.node.uid
    if recorded is None:
        return "no Node is recorded yet"
    if uid == recorded:
        return "the recorded Node"
    if uid == enrollment.accepted_node_uid:
        return "another Node, accepted by annotation"
    return "another Node, after a newer join"


RULES = (
    Rule(
        8,
        Reason.NODE_ALREADY_JOINED,
        Fault.HOLD,
        "Another key than the newest join's may take the name only as the enrollment's rejoin allows.",
        "nodegate, NodeEnrollment spec.rejoin; kops-controller refuses a Node that exists and is Ready",
        _may_join,
    ),
    Rule(
        8,
        Reason.KEY_REUSED,
        Fault.HOLD,
        "The key stands in no other enrollment's recorded joins, revoked ones included.",
        "nodegate, NodeEnrollment status.joins",
        _key_is_this_nodes,
    ),
    Rule(
        8,
        Reason.CREDENTIAL_SUPERSEDED,
        Fault.HOLD,
        "A node asks with its newest client certificate, or with the one before it until the newest has been used.",
        "Kubernetes, user extra authentication.kubernetes.io/credential-id; NodeEnrollment status.certificates",
        _credential_is_current,
    ),
    Rule(
        8,
        Reason.NODE_REPLACED,
        Fault.HOLD,
        "With rejoin Never the Node is the one that joined, one that was accepted, or one that a newer join announced.",
        "nodegate, NodeEnrollment spec.rejoin and status.node; CVE-2025-5187",
        _node_is_the_recorded_one,
    ),
)
"""Stage 8, in order."""
