"""PEM and DER in, `Pkcs10` facts out: the only module that reads requests' ASN.1.

Rules: the API server, NodeRestriction and the signer read requests with Go's decoder, this program
with another. Two decoders differ on odd input, so odd input is refused before it is read: the PEM must
be the one canonical encoding of its DER, and the key's canonical encoding must stand in the request.
Nothing here raises for any input; what cannot be read is a fault in words.
"""

import base64
import binascii
import hashlib
import warnings
from ipaddress import IPv4Address, IPv6Address

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtensionOID, SignatureAlgorithmOID

from nodegate.csr.model import AltName, KeyKind, NameKind, Pkcs10, SubjectAttribute
from nodegate.text import visible

SIZE_LIMIT = 16 * 1024
"""Bytes of PEM that are looked at; a kubelet's request has about 500 (RSA 4096 with 32 SANs: 3,000)."""

RSA_BITS = range(2048, 8192 + 1)
"""RSA moduli that may be certified: 2048 by CA/Browser Forum and NIST SP 800-57; above 8192 verification only costs."""

RSA_EXPONENT = 65537
"""The one public exponent that TLS libraries agree on."""

CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})
"""The NIST curves that Go's crypto/x509 reads and TLS uses."""

SIGNATURES = frozenset(
    {
        SignatureAlgorithmOID.RSA_WITH_SHA256,
        SignatureAlgorithmOID.RSA_WITH_SHA384,
        SignatureAlgorithmOID.RSA_WITH_SHA512,
        SignatureAlgorithmOID.ECDSA_WITH_SHA256,
        SignatureAlgorithmOID.ECDSA_WITH_SHA384,
        SignatureAlgorithmOID.ECDSA_WITH_SHA512,
        SignatureAlgorithmOID.ED25519,
    }
)
"""Signature algorithms that prove possession: no SHA-1, no SHA-224, no PSS."""

_HEAD = b"-----BEGIN CERTIFICATE REQUEST-----\n"
_FOOT = b"-----END CERTIFICATE REQUEST-----\n"
_LINE = 64
_READ_ERRORS = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion)


def decode_pem(pem: bytes) -> tuple[bytes, None] | tuple[None, str]:
    """Return the DER inside one canonical PEM block, or None and why it is no such block."""
    if len(pem) > SIZE_LIMIT:
        return None, f"{len(pem)} bytes"
    body = pem.removeprefix(_HEAD)
    if body == pem:
        return None, "something else before or instead of the BEGIN line"
    try:
        der = base64.b64decode(body.partition(b"-----")[0].replace(b"\n", b""), validate=True)
    except (binascii.Error, ValueError):
        return None, "characters that are not base64"
    canonical = encode_pem(der)
    if not der:
        return None, "an empty block"
    if pem not in (canonical, canonical[:-1]):
        return None, "a block that is not encoded the one usual way, or more than one block"
    return der, None


def encode_pem(der: bytes) -> bytes:
    """Return the one canonical PEM encoding: 64 characters a line, LF, a final newline."""
    text = base64.b64encode(der)
    lines = b"".join(text[i : i + _LINE] + b"\n" for i in range(0, len(text), _LINE))
    return _HEAD + lines + _FOOT


def read_der(der: bytes) -> tuple[Pkcs10, None] | tuple[None, str]:
    """Return what a PKCS#10 request holds, or None and why it is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # The library warns of long names, which node names may be.
        try:
            csr = x509.load_der_x509_csr(der)
            return _read_request(csr), None
        except _READ_ERRORS as error:
            return None, visible(str(error) or type(error).__name__)


def _read_request(csr: x509.CertificateSigningRequest) -> Pkcs10:
    key = _read_key(csr)
    kind, key_text = _judge_key(key)
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) if key else None
    if spki is not None and spki not in csr.tbs_certrequest_bytes:
        raise ValueError("the public key is not encoded the one usual way")
    oid = csr.signature_algorithm_oid
    extensions, alt_names, fault = _read_extensions(csr)
    return Pkcs10(
        subject=read_subject(csr.subject),
        key_kind=kind,
        key_text=key_text,
        public_key_sha256=hashlib.sha256(spki).hexdigest() if spki else None,
        signature_valid=_verify(csr) if kind is KeyKind.ALLOWED else None,
        signature_text=visible(getattr(oid, "_name", "") or oid.dotted_string),
        attributes=tuple(attribute.oid.dotted_string for attribute in csr.attributes),
        extensions=extensions,
        alt_names=alt_names,
        fault=fault,
    )


def read_subject(name: x509.Name) -> tuple[SubjectAttribute, ...]:
    """Return the attributes of a subject, of a request or a certificate, in order."""
    return tuple(
        SubjectAttribute(
            rdn=index,
            oid=attribute.oid.dotted_string,
            string_type=attribute._type.name,  # noqa: SLF001 - the library has no public name for it; a canary test holds it
            value=attribute.value if isinstance(attribute.value, str) else attribute.value.hex(),
        )
        for index, rdn in enumerate(name.rdns)
        for attribute in rdn
    )


def _read_key(csr: x509.CertificateSigningRequest) -> PublicKeyTypes | None:
    """Return the public key, or None when its type is unknown; a broken key of a known type raises ValueError."""
    try:
        return csr.public_key()
    except UnsupportedAlgorithm:
        return None


def _judge_key(key: PublicKeyTypes | None) -> tuple[KeyKind, str]:
    match key:
        case None:
            return KeyKind.UNREADABLE, "a key of an unknown type"
        case rsa.RSAPublicKey():
            exponent = key.public_numbers().e
            allowed = key.key_size in RSA_BITS and exponent == RSA_EXPONENT
            text = f"RSA {key.key_size}" + ("" if exponent == RSA_EXPONENT else " with another exponent than 65537")
        case ec.EllipticCurvePublicKey():
            allowed, text = key.curve.name in CURVES, f"EC {key.curve.name}"
        case ed25519.Ed25519PublicKey():
            allowed, text = True, "Ed25519"
        case _:
            allowed, text = False, type(key).__name__.removesuffix("PublicKey")
    return KeyKind.ALLOWED if allowed else KeyKind.FORBIDDEN, text


def _verify(csr: x509.CertificateSigningRequest) -> bool:
    """Verify the self-signature; False as well when its algorithm is not one of `SIGNATURES`."""
    try:
        return csr.signature_algorithm_oid in SIGNATURES and csr.is_signature_valid
    except _READ_ERRORS:
        return False


def _read_extensions(
    csr: x509.CertificateSigningRequest,
) -> tuple[tuple[str, ...] | None, tuple[AltName, ...] | None, str | None]:
    """Return the extensions' OIDs, the alternative names, and why a part of them cannot be read."""
    try:
        extensions = tuple(csr.extensions)
    except x509.DuplicateExtension as error:
        return (error.oid.dotted_string,) * 2, None, None
    except x509.UnsupportedGeneralNameType:
        unknown = AltName(NameKind.OTHER, "a name of an unknown type")
        return (ExtensionOID.SUBJECT_ALTERNATIVE_NAME.dotted_string,), (unknown,), None
    except _READ_ERRORS as error:
        return None, None, f"the requested extensions cannot be read ({visible(str(error))})"
    oids = tuple(extension.oid.dotted_string for extension in extensions)
    for extension in extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            return _read_alt_names(oids, extension.value)
    return oids, None, None


def _read_alt_names(
    oids: tuple[str, ...], value: x509.SubjectAlternativeName
) -> tuple[tuple[str, ...], tuple[AltName, ...] | None, str | None]:
    try:
        return oids, tuple(read_alt_name(name) for name in value), None
    except ValueError as error:
        return oids, None, str(error)


def read_alt_name(name: x509.GeneralName) -> AltName:
    """Return one alternative name, of a request or a certificate.

    Raises:
        ValueError: It is an IP name of a wrong length.
    """
    if isinstance(name, x509.DNSName):
        return AltName(NameKind.DNS, name.value)
    if not isinstance(name, x509.IPAddress):
        return AltName(NameKind.OTHER, f"{type(name).__name__} {getattr(name, 'value', '')}")
    match name.value:
        case IPv4Address():
            return AltName(NameKind.IP, str(name.value), name.value)
        case IPv6Address():
            address = name.value.ipv4_mapped or name.value
            return AltName(NameKind.IP, str(name.value), address)
        case _:
            raise ValueError("an IP name that is neither 4 nor 16 bytes long")
