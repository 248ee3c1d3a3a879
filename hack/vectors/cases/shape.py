"""Stage 4: usages, attributes, extensions, kinds of names and lifetime."""

from hack.vectors import der
from hack.vectors.names import (
    directory_name,
    dns,
    edi_party_name,
    email,
    ip,
    other_name,
    registered_id,
    uri,
)
from hack.vectors.request import Request
from hack.vectors.vector import OWN_NAMES, Vector, bootstrap, renewal, serving

_CA = der.extension("2.5.29.19", der.sequence(b"\x01\x01\xff"), critical=True)
_CERT_SIGN = der.extension("2.5.29.15", b"\x03\x02\x02\x04", critical=True)
_SERVER_AUTH = der.extension("2.5.29.37", der.sequence(der.oid("1.3.6.1.5.5.7.3.1")))
_SAN = der.alt_names(OWN_NAMES)
_ISSUER_NAMES = der.extension("2.5.29.18", der.sequence(dns("ca.example.com")))
_UNKNOWN = der.extension("1.3.6.1.4.1.57683.7", der.text("x", der.UTF8), critical=True)
_REQUEST = der.extension_request(_SAN)


def _attribute(kind: str, value: bytes) -> bytes:
    return der.sequence(der.oid(kind), der.set_of(value))


_CHALLENGE = _attribute("1.2.840.113549.1.9.7", der.text("secret", der.UTF8))
_UNSTRUCTURED = _attribute("1.2.840.113549.1.9.2", der.text("node-a", der.UTF8))
_MICROSOFT = _attribute("1.3.6.1.4.1.311.2.1.14", der.sequence(_SAN))
_OS_VERSION = _attribute("1.3.6.1.4.1.311.13.2.3", der.text("10.0", der.IA5))


def _usages(name: str, why: str, *usages: str, api: str = "unknown") -> Vector:
    return serving(f"UsagesInvalid/{name}", why, spec={"usages": list(usages)}, api=api)


def _forbidden(name: str, why: str, alt_name: bytes) -> Vector:
    request = Request(alt_names=(*OWN_NAMES, alt_name))
    return serving(f"SubjectAltNameForbidden/{name}", why, request=request)


def _names(count: int) -> tuple[bytes, ...]:
    return (*OWN_NAMES, *(dns("node-a.corp") for _ in range(count - len(OWN_NAMES))))


VECTORS = (
    _usages(
        "openshift-client-auth-besides",
        "Three usages that contain the two: openshift's approver takes them (V45).",
        "digital signature",
        "server auth",
        "client auth",
    ),
    _usages(
        "gcp-digital-signature-twice",
        "Length and membership alone let a usage stand twice (GCP, deckhouse).",
        "digital signature",
        "digital signature",
        api="refuses",
    ),
    _usages(
        "repeated",
        "Every usage once; the API server refuses duplicates.",
        "digital signature",
        "server auth",
        "server auth",
        api="refuses",
    ),
    _usages(
        "alex1989hu-without-server-auth",
        "A subset is not enough: server auth may not be missing (V46).",
        "digital signature",
        "key encipherment",
    ),
    _usages("digital-signature-only", "One usage alone (V46).", "digital signature"),
    _usages("server-auth-only", "digital signature is missing.", "server auth"),
    _usages("empty", "No usages at all (V46).", api="refuses"),
    _usages("any", "The usage that allows everything.", "any"),
    _usages("cert-sign", "A key that signs certificates.", "digital signature", "server auth", "cert sign"),
    _usages(
        "key-agreement", "A usage that kubelets never ask for.", "digital signature", "server auth", "key agreement"
    ),
    _usages("other-case", "Usages are compared exactly.", "Digital Signature", "Server Auth", api="refuses"),
    _usages("client-usages", "The client's usages under the serving signer.", "digital signature", "client auth"),
    bootstrap(
        "UsagesInvalid/server-auth-in-a-client-request",
        "A client certificate that may also serve (V45).",
        spec={"usages": ["digital signature", "client auth", "server auth"]},
    ),
    renewal(
        "UsagesInvalid/serving-usages-in-a-renewal",
        "The serving usages under the client signer.",
        spec={"usages": ["digital signature", "server auth"]},
    ),
    bootstrap(
        "AttributeForbidden/challenge-password",
        "Every node may read every CSR: no secret belongs into one.",
        request=Request(attributes=[_CHALLENGE]),
    ),
    bootstrap(
        "AttributeForbidden/unstructured-name",
        "An attribute besides extensionRequest.",
        request=Request(attributes=[_UNSTRUCTURED]),
    ),
    serving(
        "AttributeForbidden/microsoft-extension-request",
        "Microsoft's own attribute that asks for extensions.",
        request=Request(attributes=[_MICROSOFT]),
    ),
    serving(
        "AttributeForbidden/two-extension-requests",
        "Two extensionRequests: Go merges them, others take one.",
        request=Request(
            attributes=[_REQUEST, der.extension_request(der.alt_names([dns("node-a.corp"), ip("10.0.0.5")]))]
        ),
    ),
    serving(
        "AttributeForbidden/same-extension-request-twice",
        "The same extensionRequest twice is not one.",
        request=Request(attributes=[_REQUEST, _REQUEST]),
    ),
    serving(
        "AttributeForbidden/challenge-besides",
        "A challenge password besides the right attribute.",
        request=Request(attributes=[_CHALLENGE, _REQUEST]),
    ),
    serving(
        "AttributeForbidden/os-version-besides",
        "Microsoft's OS version besides the right attribute.",
        request=Request(attributes=[_OS_VERSION, _REQUEST]),
    ),
    bootstrap(
        "ExtensionForbidden/ca-true",
        "basicConstraints CA:TRUE: a certificate authority (V44).",
        request=Request(extensions=[_CA]),
    ),
    bootstrap(
        "ExtensionForbidden/key-cert-sign", "keyUsage keyCertSign (V44).", request=Request(extensions=[_CERT_SIGN])
    ),
    bootstrap(
        "ExtensionForbidden/extended-key-usage",
        "Usages are asked for in spec.usages, not here.",
        request=Request(extensions=[_SERVER_AUTH]),
    ),
    serving(
        "ExtensionForbidden/ca-true-besides",
        "basicConstraints besides the right SAN.",
        request=Request(alt_names=OWN_NAMES, extensions=[_CA]),
    ),
    serving(
        "ExtensionForbidden/issuer-names-besides",
        "issuerAltName besides the right SAN.",
        request=Request(alt_names=OWN_NAMES, extensions=[_ISSUER_NAMES]),
    ),
    serving(
        "ExtensionForbidden/unknown-critical",
        "A critical extension that nobody knows.",
        request=Request(alt_names=OWN_NAMES, extensions=[_UNKNOWN]),
    ),
    serving(
        "ExtensionForbidden/two-san-extensions",
        "RFC 5280 §4.2: an extension stands at most once.",
        request=Request(extensions=[_SAN, der.alt_names([dns("node-b")])]),
    ),
    bootstrap(
        "SubjectAltNameForbidden/client-with-dns",
        "A client certificate has no SANs (V41).",
        request=Request(alt_names=[dns("node-a")]),
    ),
    renewal(
        "SubjectAltNameForbidden/client-with-ip",
        "A renewal has no SANs (V41).",
        request=Request(alt_names=[ip("10.0.0.5")]),
    ),
    bootstrap(
        "SubjectAltNameForbidden/client-with-empty-san",
        "A SAN extension with no names in it is one, too.",
        request=Request(extensions=[der.alt_names([])]),
    ),
    bootstrap(
        "SubjectAltNameForbidden/client-with-email",
        "Upstream checks four kinds; all are forbidden.",
        request=Request(alt_names=[email("root@node-a")]),
    ),
    serving("SubjectAltNameForbidden/none", "A serving request without SANs (V43).", request=Request()),
    serving(
        "SubjectAltNameForbidden/empty-san",
        "A SAN extension with no names in it.",
        request=Request(extensions=[der.alt_names([])]),
    ),
    _forbidden("email", "An e-mail SAN (V42).", email("root@node-a.corp")),
    _forbidden("uri-spiffe", "A URI SAN would be a workload's identity (V42).", uri("spiffe://corp/ns/kube-system")),
    _forbidden(
        "other-name-upn",
        "Go drops otherName in silence; a Windows domain takes it as the user.",
        other_name("1.3.6.1.4.1.311.20.2.3", "administrator@corp"),
    ),
    _forbidden("directory-name", "Go drops directoryName in silence.", directory_name("system:node:node-b")),
    _forbidden("registered-id", "Go drops registeredID in silence.", registered_id("1.2.3.4")),
    _forbidden("edi-party-name", "A kind that libraries cannot even read.", edi_party_name("node-b")),
    serving(
        "SubjectAltNameForbidden/thirty-three",
        "33 entries: one over the cap (V73).",
        request=Request(alt_names=_names(33)),
        found="33",
    ),
    serving(
        "SubjectAltNameForbidden/two-hundred", "200 entries (V73).", request=Request(alt_names=_names(200)), found="200"
    ),
    bootstrap(
        "ExpirationNotAllowed/below-api-minimum",
        "599 seconds: below the API's own minimum (V49).",
        spec={"expirationSeconds": 599},
        api="refuses",
    ),
    bootstrap("ExpirationNotAllowed/zero", "No lifetime at all.", spec={"expirationSeconds": 0}, api="refuses"),
    renewal(
        "ExpirationNotAllowed/negative",
        "A lifetime that ends before it starts (V49).",
        spec={"expirationSeconds": -1},
        api="refuses",
    ),
    bootstrap(
        "ExpirationNotAllowed/above-the-limit",
        "One second over the enrollment's limit (V47).",
        spec={"expirationSeconds": 3601},
        enrollment={"maxExpirationSeconds": 3600},
        found="3601",
    ),
    serving(
        "ExpirationNotAllowed/longest",
        "The longest that the API can say, over the limit.",
        spec={"expirationSeconds": 2147483647},
        enrollment={"maxExpirationSeconds": 31536000},
    ),
    bootstrap(
        "ExpirationNotAllowed/below-api-minimum-unenrolled",
        "Without an enrollment only the API's own minimum applies, and it does.",
        spec={"expirationSeconds": 599},
        enrollment=None,
        reasons=["ExpirationNotAllowed", "NotEnrolled"],
        api="refuses",
    ),
    bootstrap(
        "ExpirationNotAllowed/never-deny",
        "With --never-deny a fault is held, and all of them are told.",
        policy={"neverDeny": True},
        verdict="Hold",
        enrollment=None,
        spec={"expirationSeconds": 599},
        reasons=["ExpirationNotAllowed", "NotEnrolled"],
    ),
)
