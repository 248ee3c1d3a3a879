"""Stage 8: may another key take this node's name now?

Rules: a bootstrap credential must not displace a node that works. The key of the newest recorded join
is a retry and always passes: a kubelet whose approval was lost on the way asks with it again.
"""

from nodegate.csr.model import Case, Fact, Kind, NodeFacts, Reason
from nodegate.csr.rules.rule import Fault, Outcome, Rule, judged, missing, passed, skipped
from nodegate.enrollment.model import Enrollment, Rejoin


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


RULES = (
    Rule(
        8,
        Reason.NODE_ALREADY_JOINED,
        Fault.HOLD,
        "Another key than the newest join's may take the name only as the enrollment's rejoin allows.",
        "nodegate, NodeEnrollment spec.rejoin; kops-controller refuses a Node that exists and is Ready",
        _may_join,
    ),
)
"""Stage 8, in order."""
