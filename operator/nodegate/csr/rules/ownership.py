"""Stage 0: is the request ours to judge? A fault here means: leave it alone, without a word."""

from nodegate.csr.model import Case, Fact, Reason
from nodegate.csr.rules.rule import Fault, Outcome, Rule, judged, missing
from nodegate.names import BOOTSTRAP_USER_PREFIX, MANAGED_SIGNERS, NODE_USER_PREFIX
from nodegate.text import listed, visible


def _signer_managed(case: Case) -> Outcome:
    return judged(
        holds=case.csr.signer in MANAGED_SIGNERS, expected=listed(MANAGED_SIGNERS), found=visible(case.csr.signer)
    )


def _undecided(case: Case) -> Outcome:
    """Any condition at all counts as decided, also an odd one (alex1989hu's rule, kept)."""
    return judged(holds=not case.csr.conditions, expected="no condition", found=listed(case.csr.conditions))


def _unissued(case: Case) -> Outcome:
    return judged(
        holds=not case.csr.issued,
        expected="no certificate",
        found="a certificate" if case.csr.issued else "no certificate",
    )


def _not_deleting(case: Case) -> Outcome:
    return judged(
        holds=not case.csr.deleting,
        expected="not being deleted",
        found="being deleted" if case.csr.deleting else "not being deleted",
    )


def _requester_managed(case: Case) -> Outcome:
    """A stranger's request under our signers belongs to somebody else's approver (postfinance issue 61)."""
    csr, group = case.csr, case.policy.bootstrap_group
    holds = csr.username.startswith((NODE_USER_PREFIX, BOOTSTRAP_USER_PREFIX)) or group in csr.groups
    if not holds and csr.node_name is not None and Fact.ENROLLMENT in case.missing:
        return missing(Fact.ENROLLMENT)
    return judged(
        holds=holds or (case.enrollment is not None and csr.username in case.enrollment.bootstrap.users),
        expected=f"a node, a bootstrap token, a member of {group} or a user that the enrollment lists",
        found=f"user {visible(csr.username)}",
    )


RULES = (
    Rule(
        0,
        Reason.SIGNER_NOT_MANAGED,
        Fault.IGNORE,
        "The signer is the kubelet client signer or the kubelet serving signer.",
        "Kubernetes, Certificates and Certificate Signing Requests: Kubernetes signers",
        _signer_managed,
    ),
    Rule(
        0,
        Reason.ALREADY_DECIDED,
        Fault.IGNORE,
        "Nobody has put a condition on it, whatever its type and status.",
        "Kubernetes API, CertificateSigningRequestStatus.conditions",
        _undecided,
    ),
    Rule(
        0,
        Reason.ALREADY_ISSUED,
        Fault.IGNORE,
        "It carries no certificate yet.",
        "Kubernetes API, CertificateSigningRequestStatus.certificate",
        _unissued,
    ),
    Rule(
        0,
        Reason.BEING_DELETED,
        Fault.IGNORE,
        "It is not being deleted.",
        "Kubernetes API, ObjectMeta.deletionTimestamp",
        _not_deleting,
    ),
    Rule(
        0,
        Reason.REQUESTER_NOT_MANAGED,
        Fault.IGNORE,
        "The requester is a node, a bootstrap token, a member of the bootstrap group, or a listed user.",
        "Kubernetes, TLS bootstrapping",
        _requester_managed,
    ),
)
"""Stage 0, in order; the first that fails is the reason."""
