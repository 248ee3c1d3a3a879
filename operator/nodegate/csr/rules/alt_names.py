"""Stage 7: may the node carry these names and addresses? Only serving requests have any.

Rules: every SAN falls into exactly one class (malformed, reserved, another's, not enrolled, own), so
one fault is reported once. Node.status.addresses is the kubelet's own word (kubernetes issue 50635):
it can only narrow what the enrollment allows.
"""

from collections.abc import Callable

from nodegate.csr.model import AltName, Case, Fact, Kind, NameKind, Reason
from nodegate.csr.rules.identity import is_own, is_well_formed, other_owners, reserved_because
from nodegate.csr.rules.rule import Fault, Outcome, Rule, failed, judged, missing, passed, skipped
from nodegate.text import listed, visible

_SERVING_ONLY = skipped("only asked of a serving certificate")
_NO_NAMES = skipped("there are no subject alternative names to judge")
_NO_ENROLLMENT = skipped("there is no enrollment")


def _names(case: Case) -> tuple[AltName, ...]:
    """Return the DNS and IP names of a serving request; names of other kinds are forbidden already."""
    request = case.csr.pkcs10
    if case.csr.kind is not Kind.SERVING or request is None:
        return ()
    return tuple(name for name in request.alt_names or () if name.kind is not NameKind.OTHER)


def _unknown(case: Case, fact: Fact) -> Outcome | None:
    """Return that names cannot be judged without this fact or their own enrollment, or None when they can."""
    absent = next((needed for needed in (fact, Fact.ENROLLMENT) if needed in case.missing), None)
    return missing(absent) if absent is not None and _names(case) else None


def _each(case: Case, expected: str, fault: Callable[[AltName], str | None]) -> Outcome:
    """Judge every name; the rule fails when one has a fault, and says which and why."""
    if case.csr.kind is not Kind.SERVING:
        return _SERVING_ONLY
    names = _names(case)
    if not names:
        return _NO_NAMES
    faults = [f"{visible(name.text)} ({why})" for name in names if (why := fault(name)) is not None]
    return failed(expected, listed(faults)) if faults else passed(expected, listed(name.text for name in names))


def _well_formed(case: Case) -> Outcome:
    def fault(name: AltName) -> str | None:
        return None if is_well_formed(name) else f"no host name, as {name.kind}"

    return _each(case, "DNS-1123 names without wildcard, trailing dot or IP literal", fault)


def _not_reserved(case: Case) -> Outcome:
    unknown = _unknown(case, Fact.RESERVED)
    if unknown is not None:
        return unknown

    def fault(name: AltName) -> str | None:
        return reserved_because(name, case) if is_well_formed(name) else None

    return _each(case, "no identity of the cluster itself", fault)


def _ordinary(name: AltName, case: Case) -> bool:
    """Tell whether a name is left to be judged by who owns it."""
    return is_well_formed(name) and reserved_because(name, case) is None


def _not_foreign(case: Case) -> Outcome:
    unknown = _unknown(case, Fact.CLAIMS)
    if unknown is not None:
        return unknown

    def fault(name: AltName) -> str | None:
        owners = other_owners(name, case) if _ordinary(name, case) and not is_own(name, case) else ()
        return f"enrolled for {listed(owners)}" if owners else None

    return _each(case, "no identity of another enrollment", fault)


def _enrolled(case: Case) -> Outcome:
    if case.enrollment is None:
        return _NO_ENROLLMENT

    def fault(name: AltName) -> str | None:
        unknown = _ordinary(name, case) and not is_own(name, case) and not other_owners(name, case)
        return "not enrolled" if unknown else None

    return _each(case, "the node's name and what its enrollment lists", fault)


def _serving_approved(case: Case) -> Outcome:
    if case.csr.kind is not Kind.SERVING:
        return _SERVING_ONLY
    if case.enrollment is None:
        return _NO_ENROLLMENT
    approve = case.enrollment.serving.approve
    return judged(holds=approve, expected="serving.approve true", found=f"serving.approve {str(approve).lower()}")


def _has_address(case: Case) -> Outcome:
    """Kubelets before 1.31 may ask without any address (kubernetes, AllowDNSOnlyNodeCSR)."""
    if case.csr.kind is not Kind.SERVING:
        return _SERVING_ONLY
    names = _names(case)
    if case.enrollment is None or not names:
        return _NO_NAMES if case.enrollment else _NO_ENROLLMENT
    addresses = sum(1 for name in names if name.kind is NameKind.IP)
    allowed = case.enrollment.serving.allow_dns_only
    return judged(
        holds=addresses > 0 or allowed,
        expected="DNS names alone are enough" if allowed else "at least one IP address",
        found=f"{addresses} addresses",
    )


def _node_exists(case: Case) -> Outcome:
    if case.csr.kind is not Kind.SERVING:
        return _SERVING_ONLY
    if case.csr.node_name is None:
        return skipped("the subject names no node")
    if Fact.NODE in case.missing:
        return missing(Fact.NODE)
    return judged(
        holds=case.node is not None, expected=f"Node {visible(case.csr.node_name)}", found="it" if case.node else "none"
    )


def _asks_node(case: Case) -> Outcome | None:
    """Return why Node.status is not asked, or None when it is."""
    if case.csr.kind is not Kind.SERVING:
        return _SERVING_ONLY
    if case.enrollment is None:
        return _NO_ENROLLMENT
    if not case.enrollment.serving.require_node_addresses:
        return skipped("serving.requireNodeAddresses is false")
    if Fact.NODE in case.missing:
        return missing(Fact.NODE)
    return None if case.node is not None else skipped("there is no Node")


def _node_addresses_known(case: Case) -> Outcome:
    not_asked = _asks_node(case)
    if not_asked is not None or case.node is None:
        return not_asked or _NO_NAMES
    known = len(case.node.addresses) + len(case.node.dns_names)
    return judged(holds=known > 0, expected="addresses in Node.status", found=f"{known} addresses")


def _on_node(case: Case) -> Outcome:
    not_asked, node = _asks_node(case), case.node
    if not_asked is not None or node is None:
        return not_asked or _NO_NAMES
    if not node.addresses and not node.dns_names:
        return skipped("Node.status has no addresses yet")

    def fault(name: AltName) -> str | None:
        there = name.address in node.addresses or name.text.lower() in (*node.dns_names, node.name)
        return None if there or not is_own(name, case) else "not in Node.status.addresses"

    return _each(case, "only what Node.status.addresses lists too", fault)


_KUBELET = "Kubernetes, Kubelet TLS bootstrapping: certificate rotation"
_DESIGN = "nodegate, NodeEnrollment"

RULES = (
    Rule(
        7,
        Reason.SUBJECT_ALT_NAME_MALFORMED,
        Fault.DENY,
        "Every DNS SAN is a DNS-1123 name: no wildcard, empty name, trailing dot, underscore or IP literal.",
        "RFC 1123 §2.1; RFC 6125 §6.4",
        _well_formed,
    ),
    Rule(
        7,
        Reason.SUBJECT_ALT_NAME_RESERVED,
        Fault.DENY,
        "No SAN is the cluster's own: API server, service, pod or flannel network, loopback, link-local, multicast.",
        "Kubernetes, PKI certificates and requirements; GHSA-87pw-5j2g-6376",
        _not_reserved,
    ),
    Rule(
        7,
        Reason.SUBJECT_ALT_NAME_FOREIGN,
        Fault.DENY,
        "No SAN belongs to another enrollment.",
        _DESIGN,
        _not_foreign,
    ),
    Rule(
        7,
        Reason.SUBJECT_ALT_NAME_NOT_ENROLLED,
        Fault.HOLD,
        "Every SAN is the node's own name or listed in its enrollment.",
        _DESIGN,
        _enrolled,
    ),
    Rule(7, Reason.SERVING_NOT_APPROVED, Fault.HOLD, "The enrollment approves serving.", _DESIGN, _serving_approved),
    Rule(
        7,
        Reason.ADDRESS_MISSING,
        Fault.HOLD,
        "A serving request has an IP SAN, unless serving.allowDNSOnly.",
        _KUBELET,
        _has_address,
    ),
    Rule(
        7, Reason.NODE_NOT_FOUND, Fault.HOLD, "The Node exists when its serving request comes.", _KUBELET, _node_exists
    ),
    Rule(
        7,
        Reason.NODE_ADDRESSES_UNKNOWN,
        Fault.HOLD,
        "With serving.requireNodeAddresses the Node reports addresses.",
        _KUBELET,
        _node_addresses_known,
    ),
    Rule(
        7,
        Reason.SUBJECT_ALT_NAME_NOT_ON_NODE,
        Fault.HOLD,
        "With serving.requireNodeAddresses every SAN but the node's name stands in Node.status.addresses.",
        _KUBELET,
        _on_node,
    ),
)
"""Stage 7, in order."""
