"""What a vector is, and the three valid requests that every vector deviates from in one thing.

What enters is the deviation, what leaves is a `Vector`. Rules: the first word of a path is the vector's
reason, and the verdict follows from it by the design's table, which stands here in its own words: the
program's table is what the vectors judge.
"""

from dataclasses import dataclass, field
from typing import Any

from hack.vectors import manifests as m
from hack.vectors.names import dns, ip
from hack.vectors.request import Request

_VERDICTS = {
    "Approve": "BootstrapApproved RenewalApproved ServingApproved",
    "Ignore": "SignerNotManaged AlreadyDecided AlreadyIssued BeingDeleted RequesterNotManaged",
    "Deny": """EncodingNotCanonical RequestMalformed SignatureInvalid KeyNotAllowed SubjectInvalid UsagesInvalid
        AttributeForbidden ExtensionForbidden SubjectAltNameForbidden ExpirationNotAllowed RequesterMismatch
        EnrollmentRevoked TokenMismatch RequesterNotAllowed KeyPinMismatch SubjectAltNameMalformed
        SubjectAltNameReserved SubjectAltNameForeign""",
    "Hold": """KeyUnsupported NotEnrolled EnrollmentNotReady EnrollmentConflict EnrollmentSuspended OutsideWindow
        JoinLimitReached SubjectAltNameNotEnrolled ServingNotApproved AddressMissing NodeNotFound
        NodeAddressesUnknown SubjectAltNameNotOnNode NodeAlreadyJoined KeyReused CredentialSuperseded NodeReplaced
        FactsUnavailable""",
}
VERDICT_OF = {reason: verdict for verdict, reasons in _VERDICTS.items() for reason in reasons.split()}
"""What each reason leads to, by the design's section 4."""

_OPTIONS = ("at", "policy", "missing", "verdict", "reasons", "found", "api")
"""What a case says besides its deviation."""

OWN_NAMES = (dns("node-a"), ip("10.0.0.5"), ip("fd00::5"))
"""The alternative names of the valid serving request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """What differs from a valid base; empty fields leave it alone."""

    request: Request | bytes = b""
    """Another request, or the bytes to stand in its place; empty bytes leave the base's request."""

    spec: m.Manifest = field(default_factory=dict)
    """Fields of the CSR's spec; None takes one away."""

    metadata: m.Manifest = field(default_factory=dict)
    status: m.Manifest = field(default_factory=dict)
    enrollment: m.Manifest | None = field(default_factory=dict)
    """Fields of node-a's enrollment spec; None means that there is no such enrollment."""

    bootstrap: m.Manifest = field(default_factory=dict)
    """Fields of its ``spec.bootstrap``; None takes one away."""

    enrolled: m.Manifest = field(default_factory=dict)
    """Its status and metadata."""

    others: tuple[m.Manifest, ...] = ()
    """More manifests; one of the same kind and name as a base's takes its place."""

    without: tuple[str, ...] = ()
    """Kinds of manifests to leave out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """One file."""

    path: str
    """``<Reason>/<case>``."""

    content: dict[str, Any]

    @property
    def reason(self) -> str:
        """The reason that the vector stands for."""
        return self.path.partition("/")[0]


def bootstrap(path: str, why: str, **rest: Any) -> Vector:
    """Return a vector that deviates from node-a's first request, made with token abcdef."""
    spec = {
        "signerName": m.CLIENT,
        "usages": ["digital signature", "client auth"],
        "username": "system:bootstrap:abcdef",
        "groups": m.TOKEN_GROUPS,
    }
    return _vector(path, why, Request(), spec, (), rest)


def renewal(path: str, why: str, **rest: Any) -> Vector:
    """Return a vector that deviates from node-a's renewal of its client certificate."""
    spec = {
        "signerName": m.CLIENT,
        "usages": ["digital signature", "client auth"],
        "username": "system:node:node-a",
        "groups": m.NODE_GROUPS,
        "extra": {m.CREDENTIAL: ["X509SHA256=" + "a1" * 32]},
    }
    return _vector(path, why, Request(key="p256-b"), spec, (m.node("node-a"),), rest)


def serving(path: str, why: str, **rest: Any) -> Vector:
    """Return a vector that deviates from node-a's serving request, in a cluster with all its facts."""
    spec = {
        "signerName": m.SERVING,
        "usages": ["digital signature", "server auth"],
        "username": "system:node:node-a",
        "groups": m.NODE_GROUPS,
        "extra": {m.CREDENTIAL: ["X509SHA256=" + "a1" * 32]},
    }
    around = (
        m.node("node-a", addresses=[{"type": "InternalIP", "address": "10.0.0.5"}], spec={"podCIDR": "10.244.1.0/24"}),
        m.enrollment("node-b", m.NODE_B),
        m.service(),
        m.service_cidr("10.96.0.0/12"),
        m.api_servers("10.0.0.1"),
        m.flannel_network(),
    )
    return _vector(path, why, Request(key="p256-b", alt_names=OWN_NAMES), spec, around, rest)


def _vector(
    path: str, why: str, request: Request, spec: m.Manifest, around: tuple[m.Manifest, ...], rest: dict[str, Any]
) -> Vector:
    reason = path.partition("/")[0]
    options = {
        key: rest.pop(key) for key in ("at", "policy", "missing", "verdict", "reasons", "found", "api") if key in rest
    }
    deviation = Deviation(**rest)
    expect = {"verdict": options.get("verdict", VERDICT_OF[reason]), "reasons": options.get("reasons", [reason])}
    if "found" in options:
        expect["found"] = options["found"]
    content: dict[str, Any] = {
        "why": " ".join(why.split()),
        "at": options.get("at", m.AT),
        **{key: options[key] for key in ("policy", "missing") if key in options},
        "csr": _signing_request(deviation, request, spec),
        "with": _facts(deviation, around),
        "expect": expect,
        "api": options.get("api", "unknown"),
    }
    return Vector(path=path, content=content)


def _signing_request(deviation: Deviation, request: Request, spec: m.Manifest) -> m.Manifest:
    wanted = deviation.request or request
    pem = wanted if isinstance(wanted, bytes) else wanted.pem
    status = {"status": deviation.status} if deviation.status else {}
    own_request = "request" in deviation.spec
    return m.signing_request(None if own_request else pem, spec | deviation.spec, metadata=deviation.metadata, **status)


def _facts(deviation: Deviation, around: tuple[m.Manifest, ...]) -> list[m.Manifest]:
    own = [_enrollment(deviation)] if deviation.enrollment is not None else []
    facts = {(f["kind"], f["metadata"]["name"]): f for f in (*own, *around, *deviation.others)}
    return [fact for fact in facts.values() if fact["kind"] not in deviation.without]


def _enrollment(deviation: Deviation) -> m.Manifest:
    spec = {**m.NODE_A, **(deviation.enrollment or {})}
    bootstrap = {key: value for key, value in {**spec["bootstrap"], **deviation.bootstrap}.items() if value is not None}
    return m.enrollment("node-a", {**spec, "bootstrap": bootstrap}, **deviation.enrolled)
