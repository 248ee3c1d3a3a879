"""Stages 1 to 5: the request itself and who asks. It is immutable, so a fault here is denied.

Rules: every check is exact (set equality, whole-string match); nothing is accepted for containing
what is wanted. A part that could not be read leaves the rules about it skipped; the fault that made
it unreadable is a denial already.
"""

from nodegate.csr.model import Case, CsrFacts, KeyKind, Kind, NameKind, Pkcs10, Reason
from nodegate.csr.rules.rule import Fault, Outcome, Rule, failed, judged, passed, skipped
from nodegate.names import BOOTSTRAP_USER_PREFIX, NODE_USER_PREFIX, NODES_GROUP
from nodegate.text import listed, visible

EXTENSION_REQUEST = "1.2.840.113549.1.9.14"
"""The PKCS#9 extensionRequest attribute (RFC 2985 §5.4.2)."""

SUBJECT_ALT_NAME = "2.5.29.17"
"""The SubjectAlternativeName extension (RFC 5280 §4.2.1.6)."""

ALT_NAME_LIMIT = 32
"""SANs in one request: an enrollment lists at most 16 addresses and 16 DNS names."""

MIN_EXPIRATION_SECONDS = 600
"""The API's own minimum (kubernetes, apis/certificates/validation)."""

DIGITAL_SIGNATURE, KEY_ENCIPHERMENT = "digital signature", "key encipherment"
_NOT_READ = skipped("the request could not be read")
_NAMES_NOT_READ = skipped("the subject alternative names could not be read")


def _canonical(case: Case) -> Outcome:
    expected = "one PEM block, encoded the one usual way, at most 16 KiB"
    fault = case.csr.encoding_fault
    return passed(expected, "one canonical block") if fault is None else failed(expected, fault)


def _well_formed(case: Case) -> Outcome:
    csr, expected = case.csr, "a version-0 PKCS#10 request with nothing more in it"
    if csr.encoding_fault is not None:
        return skipped("the encoding is not canonical")
    fault = csr.der_fault or (csr.pkcs10.fault if csr.pkcs10 else "nothing")
    return passed(expected, "just that") if fault is None else failed(expected, fault)


def _key_readable(case: Case) -> Outcome:
    request = case.csr.pkcs10
    if request is None:
        return _NOT_READ
    return judged(
        holds=request.key_kind is not KeyKind.UNREADABLE, expected="a key of a known type", found=request.key_text
    )


def _key_allowed(case: Case) -> Outcome:
    request = case.csr.pkcs10
    if request is None or request.key_kind is KeyKind.UNREADABLE:
        return _NOT_READ
    expected = "RSA 2048 to 8192 with exponent 65537, P-256, P-384, P-521 or Ed25519"
    return judged(holds=request.key_kind is KeyKind.ALLOWED, expected=expected, found=request.key_text)


def _signature_valid(case: Case) -> Outcome:
    request = case.csr.pkcs10
    if request is None or request.signature_valid is None:
        return skipped("there is no key to verify with")
    return judged(
        holds=request.signature_valid,
        expected="a valid self-signature by SHA-256, SHA-384 or SHA-512 with RSA PKCS#1 v1.5 or ECDSA, or by Ed25519",
        found=f"{'a valid' if request.signature_valid else 'no such'} signature, algorithm {request.signature_text}",
    )


def _subject_exact(case: Case) -> Outcome:
    request = case.csr.pkcs10
    if request is None:
        return _NOT_READ
    expected = f"exactly O={NODES_GROUP} and CN={NODE_USER_PREFIX}<name>, each once, the name a DNS-1123 subdomain"
    return judged(holds=case.csr.node_name is not None, expected=expected, found=_subject_text(request))


def _subject_text(request: Pkcs10) -> str:
    short = {"2.5.4.10": "O", "2.5.4.3": "CN", "2.5.4.11": "OU", "2.5.4.6": "C"}
    parts = [f"{short.get(a.oid, a.oid)}={a.value}" for a in request.subject]
    odd = sorted({a.string_type for a in request.subject} - {"UTF8String", "PrintableString"})
    multiple = len({a.rdn for a in request.subject}) < len(request.subject)
    notes = [f"as {name}" for name in odd] + (["in one RDN"] if multiple else [])
    return listed(parts) + (f" ({', '.join(notes)})" if notes else "")


def _usages_exact(case: Case) -> Outcome:
    csr = case.csr
    purpose = "server auth" if csr.kind is Kind.SERVING else "client auth"
    wanted = ({DIGITAL_SIGNATURE, purpose}, {DIGITAL_SIGNATURE, KEY_ENCIPHERMENT, purpose})
    return judged(
        holds=set(csr.usages) in wanted and len(set(csr.usages)) == len(csr.usages),
        expected=f"{DIGITAL_SIGNATURE}, {purpose} and at most {KEY_ENCIPHERMENT}, each once",
        found=listed(csr.usages),
    )


def _attributes_exact(case: Case) -> Outcome:
    request = case.csr.pkcs10
    if request is None:
        return _NOT_READ
    return judged(
        holds=request.attributes in ((), (EXTENSION_REQUEST,)),
        expected="no attribute but one extensionRequest",
        found=listed(request.attributes),
    )


def _extensions_exact(case: Case) -> Outcome:
    request = case.csr.pkcs10
    if request is None or request.extensions is None:
        return _NOT_READ
    return judged(
        holds=request.extensions in ((), (SUBJECT_ALT_NAME,)),
        expected="no extension but one SubjectAlternativeName",
        found=listed(request.extensions),
    )


def _alt_names_by_kind(case: Case) -> Outcome:
    request = case.csr.pkcs10
    if request is None or request.extensions is None:
        return _NOT_READ
    if case.csr.kind is not Kind.SERVING:
        present = SUBJECT_ALT_NAME in request.extensions
        return judged(
            holds=not present,
            expected="no SubjectAlternativeName in a client request",
            found="one" if present else "none",
        )
    if request.alt_names is None and SUBJECT_ALT_NAME in request.extensions:
        return _NAMES_NOT_READ
    names = request.alt_names or ()
    others = [name.text for name in names if name.kind is NameKind.OTHER]
    return judged(
        holds=not others and 1 <= len(names) <= ALT_NAME_LIMIT,
        expected=f"1 to {ALT_NAME_LIMIT} names, only DNS and IP",
        found=listed(others) if others else f"{len(names)} names",
    )


def _expiration_allowed(case: Case) -> Outcome:
    asked = case.csr.expiration_seconds
    limit = case.enrollment.max_expiration_seconds if case.enrollment else None
    expected = f"none, or at least {MIN_EXPIRATION_SECONDS}" + (f" and at most {limit}" if limit is not None else "")
    if asked is None:
        return passed(expected, "none")
    return judged(
        holds=asked >= MIN_EXPIRATION_SECONDS and (limit is None or asked <= limit),
        expected=f"{expected} seconds",
        found=f"{asked} seconds",
    )


def _requester_matches(case: Case) -> Outcome:
    """Identity is what the API server stamped; the subject only has to agree with it (GHSA-87pw-5j2g-6376)."""
    csr = case.csr
    expected = (
        f"the node itself with group {NODES_GROUP}, or, for a client certificate, a bootstrapper; "
        f"a token in group {case.policy.bootstrap_group}"
    )
    fault = _node_mismatch(csr) if csr.asked_by_node else _bootstrapper_mismatch(case)
    return passed(expected, f"user {visible(csr.username)}") if fault is None else failed(expected, fault)


def _node_mismatch(csr: CsrFacts) -> str | None:
    if NODES_GROUP not in csr.groups:
        return f"user {visible(csr.username)} without group {NODES_GROUP}"
    if csr.node_name is not None and csr.username != f"{NODE_USER_PREFIX}{csr.node_name}":
        return f"user {visible(csr.username)} asking for {visible(csr.node_name)}"
    return None


def _bootstrapper_mismatch(case: Case) -> str | None:
    csr, group = case.csr, case.policy.bootstrap_group
    if csr.kind is Kind.SERVING:
        return f"user {visible(csr.username)}, no node, asking for a serving certificate"
    if csr.username.startswith(BOOTSTRAP_USER_PREFIX) and group not in csr.groups:
        return f"token user {visible(csr.username)} without group {group}"
    return None


_HELPERS = "kubernetes, apis/certificates ValidateKubeletClientCSR and ValidateKubeletServingCSR"

RULES = (
    Rule(
        1,
        Reason.ENCODING_NOT_CANONICAL,
        Fault.DENY,
        "The request is one canonical PEM block of at most 16 KiB: what Go reads and what we read cannot differ.",
        "RFC 7468 §3; measured differences between Go's and other PEM decoders",
        _canonical,
    ),
    Rule(
        2,
        Reason.REQUEST_MALFORMED,
        Fault.DENY,
        "The DER is a version-0 PKCS#10 request and nothing more.",
        "RFC 2986 §4.1",
        _well_formed,
    ),
    Rule(
        2,
        Reason.SIGNATURE_INVALID,
        Fault.DENY,
        "The requester holds the key: the self-signature is valid, by an algorithm that is still trusted.",
        "RFC 2986 §3; NIST SP 800-131A",
        _signature_valid,
    ),
    Rule(
        2,
        Reason.KEY_NOT_ALLOWED,
        Fault.DENY,
        "The key is RSA 2048 to 8192 with exponent 65537, P-256, P-384, P-521 or Ed25519.",
        "NIST SP 800-57; CA/Browser Forum Baseline Requirements §6.1.5",
        _key_allowed,
    ),
    Rule(
        2,
        Reason.KEY_UNSUPPORTED,
        Fault.HOLD,
        "The key's type is one that this program can read.",
        "RFC 5280 §4.1.2.7",
        _key_readable,
    ),
    Rule(
        3,
        Reason.SUBJECT_INVALID,
        Fault.DENY,
        "The subject is exactly O=system:nodes and CN=system:node:<name>, because the signer copies it as it is.",
        _HELPERS,
        _subject_exact,
    ),
    Rule(
        4,
        Reason.USAGES_INVALID,
        Fault.DENY,
        "The usages are exactly digital signature, the signer's one purpose, and at most key encipherment.",
        _HELPERS,
        _usages_exact,
    ),
    Rule(
        4,
        Reason.ATTRIBUTE_FORBIDDEN,
        Fault.DENY,
        "The request has no attribute but one extensionRequest.",
        "RFC 2985 §5.4.2",
        _attributes_exact,
    ),
    Rule(
        4,
        Reason.EXTENSION_FORBIDDEN,
        Fault.DENY,
        "The request asks for no extension but one SubjectAlternativeName.",
        "RFC 5280 §4.2",
        _extensions_exact,
    ),
    Rule(
        4,
        Reason.SUBJECT_ALT_NAME_FORBIDDEN,
        Fault.DENY,
        "A client request has no SANs; a serving request has 1 to 32, only DNS names and IP addresses.",
        _HELPERS,
        _alt_names_by_kind,
    ),
    Rule(
        4,
        Reason.EXPIRATION_NOT_ALLOWED,
        Fault.DENY,
        "A lifetime that is asked for is at least 600 seconds and at most what the enrollment allows.",
        "Kubernetes API, CertificateSigningRequestSpec.expirationSeconds",
        _expiration_allowed,
    ),
    Rule(
        5,
        Reason.REQUESTER_MISMATCH,
        Fault.DENY,
        "A node asks for itself only; a token is in the bootstrap group; serving certificates are asked for by nodes.",
        "Kubernetes, NodeRestriction and TLS bootstrapping; GHSA-87pw-5j2g-6376",
        _requester_matches,
    ),
)
"""Stages 1 to 5, in order."""
