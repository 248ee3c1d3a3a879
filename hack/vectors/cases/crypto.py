"""Stage 2: broken DER, signatures that prove nothing, keys that may not be certified."""

from hack.vectors import der
from hack.vectors.keys import PSS, Signature, public_info, sign
from hack.vectors.names import dns, ip
from hack.vectors.request import COMMON_NAME, ORGANIZATION, Request, pem
from hack.vectors.vector import OWN_NAMES, bootstrap, serving

_GOOD = Request()
_INFO = _GOOD.info
_SIGNATURE = sign("p256-a", _INFO)
_RSA_INFO = der.oid("1.2.840.113549.1.1.1")
_EC_INFO, _P256 = der.oid("1.2.840.10045.2.1"), der.oid("1.2.840.10045.3.1.7")
_POINT = public_info("p256-a")[-65:]
_COMPRESSED = der.sequence(der.sequence(_EC_INFO, _P256), der.bits(bytes([2 + (_POINT[-1] & 1)]) + _POINT[1:33]))
_RSA_KEY = public_info("rsa-2048")[24:]
_NO_NULL = der.sequence(der.sequence(_RSA_INFO), der.tlv(0x03, _RSA_KEY[-271:]))
_HUGE = der.sequence(
    der.sequence(_RSA_INFO, der.NULL),
    der.bits(der.sequence(der.integer((1 << 16383) + 9), der.integer(65537))),
)
_ANY = Signature(der.sequence(der.oid("1.2.840.10045.4.3.2")), _SIGNATURE.value)


def _flip(data: bytes, index: int = -1) -> bytes:
    changed = bytearray(data)
    changed[index] ^= 1
    return bytes(changed)


def _signed(info: bytes, signature: Signature = _SIGNATURE) -> bytes:
    return pem(der.sequence(info, signature.algorithm, der.bits(signature.value)))


def _resigned(info: bytes) -> bytes:
    return _signed(info, sign("p256-a", info))


def _unknown_key(algorithm: bytes) -> Request:
    info = der.sequence(algorithm, der.bits(bytes(range(32))))
    return Request(key_info=info, signature=Signature(algorithm, bytes(64)))


_MANY_VALUED = der.sequence(der.oid("1.2.840.113549.1.9.14"), der.tlv(0x31, der.sequence(), der.sequence()))
_LONG_LENGTH = b"\x30\x83" + len(_INFO[3:]).to_bytes(3, "big") + _INFO[3:] if _INFO[1] == 0x81 else b""  # noqa: PLR2004 - one length octet

VECTORS = (
    bootstrap(
        "RequestMalformed/trailing-der",
        "Bytes after the request: Go rejects them (V27).",
        request=pem(_GOOD.der + b"\x05\x00"),
        api="refuses",
    ),
    bootstrap(
        "RequestMalformed/garbage",
        "Canonical PEM around no DER at all.",
        request=pem(b"not a request, sorry"),
        api="refuses",
    ),
    bootstrap("RequestMalformed/truncated", "The request is cut off.", request=pem(_GOOD.der[:-9]), api="refuses"),
    bootstrap(
        "RequestMalformed/version-1", "RFC 2986 §4.1: version is 0; Go accepts others.", request=Request(version=1)
    ),
    bootstrap(
        "RequestMalformed/length-not-minimal",
        "A length in more octets than needed: BER, not DER.",
        request=_resigned(_LONG_LENGTH),
        api="refuses",
    ),
    bootstrap(
        "RequestMalformed/indefinite-length",
        "BER's indefinite length.",
        request=pem(b"\x30\x80" + _GOOD.der[3:] + b"\x00\x00"),
        api="refuses",
    ),
    bootstrap(
        "RequestMalformed/compressed-point",
        "A compressed EC point: another encoding of the same key.",
        request=Request(key_info=_COMPRESSED),
    ),
    bootstrap(
        "RequestMalformed/rsa-without-null",
        "RFC 3279 §2.3.1: RSA's parameters are NULL, never absent.",
        request=Request(key="rsa-2048", key_info=_NO_NULL),
    ),
    bootstrap(
        "RequestMalformed/common-name-not-utf8",
        "A UTF8String that holds no UTF-8.",
        request=Request(
            rdns=(
                der.rdn(der.attribute(ORGANIZATION, "system:nodes")),
                der.rdn(der.sequence(der.oid(COMMON_NAME), der.tlv(der.UTF8, b"system:node:\xff\xfe"))),
            )
        ),
        api="refuses",
    ),
    bootstrap(
        "RequestMalformed/set-out-of-order",
        "The members of an RDN out of DER's order.",
        request=Request(
            rdns=(
                der.tlv(0x31, der.attribute(COMMON_NAME, "system:node:node-a"), der.attribute(COMMON_NAME, "a")),
                der.rdn(der.attribute(ORGANIZATION, "system:nodes")),
            )
        ),
    ),
    bootstrap(
        "RequestMalformed/empty-rdn",
        "An RDN has at least one attribute (X.501 §9.3).",
        request=Request(
            rdns=(
                der.rdn(der.attribute(ORGANIZATION, "system:nodes")),
                der.rdn(der.attribute(COMMON_NAME, "system:node:node-a")),
                der.rdn(),
            )
        ),
    ),
    bootstrap(
        "RequestMalformed/extension-request-with-two-values",
        "RFC 2985 §5.4.2: extensionRequest has one value.",
        request=Request(attributes=[_MANY_VALUED]),
    ),
    serving(
        "RequestMalformed/address-of-5-bytes",
        "An iPAddress has 4 or 16 octets (RFC 5280 §4.2.1.6).",
        request=Request(alt_names=(dns("node-a"), ip(b"\x0a\x00\x00\x05\x00"))),
        api="refuses",
    ),
    serving(
        "RequestMalformed/address-of-8-bytes",
        "8 octets are an address and a mask, as in name constraints; some libraries read a network.",
        request=Request(alt_names=(dns("node-a"), ip(b"\x0a\x00\x00\x05\xff\x00\x00\x00"))),
        api="refuses",
    ),
    serving(
        "RequestMalformed/address-empty",
        "An iPAddress of no octets.",
        request=Request(alt_names=(dns("node-a"), ip(b""))),
        api="refuses",
    ),
    serving(
        "RequestMalformed/alt-names-garbage",
        "A SAN extension that holds no GeneralNames.",
        request=Request(extensions=[der.extension("2.5.29.17", b"\x0c\x02hi")]),
        api="refuses",
    ),
    bootstrap(
        "SignatureInvalid/bit-flip",
        "One bit of the signature is wrong (V29).",
        request=_signed(_INFO, Signature(_SIGNATURE.algorithm, _flip(_SIGNATURE.value))),
        api="refuses",
    ),
    bootstrap(
        "SignatureInvalid/other-key",
        "Signed by another key: the requester does not hold the one it names.",
        request=Request(signer="p256-c"),
        api="refuses",
    ),
    bootstrap(
        "SignatureInvalid/other-content",
        "The signature of another request by the same key.",
        request=_signed(_INFO, sign("p256-a", Request(common_name="system:node:node-b").info)),
        api="refuses",
    ),
    bootstrap(
        "SignatureInvalid/empty",
        "No signature at all.",
        request=_signed(_INFO, Signature(_SIGNATURE.algorithm, b"")),
        api="refuses",
    ),
    bootstrap(
        "SignatureInvalid/sha1-rsa",
        "SHA-1 no longer proves anything (V30).",
        request=Request(key="rsa-2048", algorithm="1.2.840.113549.1.1.5"),
    ),
    bootstrap(
        "SignatureInvalid/sha1-ecdsa",
        "SHA-1 no longer proves anything (V30).",
        request=Request(algorithm="1.2.840.10045.4.1"),
    ),
    bootstrap(
        "SignatureInvalid/sha224",
        "SHA-224 is not among the algorithms that are trusted.",
        request=Request(algorithm="1.2.840.10045.4.3.1"),
    ),
    bootstrap(
        "SignatureInvalid/md5",
        "MD5 (V30).",
        request=Request(
            key="rsa-2048", signature=Signature(der.sequence(der.oid("1.2.840.113549.1.1.4"), der.NULL), bytes(256))
        ),
    ),
    bootstrap(
        "SignatureInvalid/pss",
        "RSA-PSS: a valid signature, by an algorithm that is not accepted.",
        request=Request(key="rsa-2048", algorithm=PSS),
    ),
    bootstrap(
        "SignatureInvalid/algorithm-of-another-key-kind",
        "An ECDSA algorithm beside an RSA key.",
        request=Request(key="rsa-2048", signature=_SIGNATURE),
        api="refuses",
    ),
    bootstrap(
        "SignatureInvalid/unknown-algorithm",
        "A signature algorithm that nobody knows.",
        request=Request(signature=Signature(der.sequence(der.oid("1.3.6.1.4.1.57683.9")), bytes(64))),
    ),
    bootstrap("KeyNotAllowed/rsa-1024", "RSA below 2048 bits (V31).", request=Request(key="rsa-1024")),
    bootstrap(
        "KeyNotAllowed/rsa-exponent-3", "A public exponent other than 65537 (V31).", request=Request(key="rsa-2048-e3")
    ),
    bootstrap(
        "KeyNotAllowed/rsa-16384",
        "RSA above 8192 bits only costs (V31).",
        request=Request(
            key_info=_HUGE, signature=Signature(der.sequence(der.oid("1.2.840.113549.1.1.11"), der.NULL), bytes(2048))
        ),
    ),
    bootstrap("KeyNotAllowed/p224", "A curve below the strength of P-256 (V31).", request=Request(key="p224")),
    bootstrap(
        "KeyNotAllowed/secp256k1",
        "A curve that Go does not read and TLS does not use.",
        request=Request(key="secp256k1"),
    ),
    bootstrap("KeyNotAllowed/ed448", "Ed448: readable, and not allowed.", request=Request(key="ed448")),
    bootstrap("KeyNotAllowed/dsa", "DSA (V31).", request=Request(key="dsa")),
    bootstrap(
        "KeyNotAllowed/ml-dsa",
        "ML-DSA is readable and not among the allowed keys yet (V32).",
        request=Request(key="mldsa44"),
    ),
    bootstrap(
        "KeyNotAllowed/x25519",
        "A key that cannot sign proves nothing.",
        request=Request(
            key_info=der.sequence(der.sequence(der.oid("1.3.101.110")), der.bits(bytes([9] + [0] * 31))), signature=_ANY
        ),
    ),
    bootstrap(
        "KeyUnsupported/private-algorithm",
        "A key type that the library cannot read (V33).",
        request=_unknown_key(der.sequence(der.oid("1.3.6.1.4.1.57683.1"))),
        api="refuses",
    ),
    bootstrap(
        "KeyUnsupported/slh-dsa",
        "SLH-DSA (FIPS 205): a later library may read it.",
        request=_unknown_key(der.sequence(der.oid("2.16.840.1.101.3.4.3.20"))),
        api="refuses",
    ),
    bootstrap(
        "KeyUnsupported/gost-2012",
        "GOST R 34.10-2012.",
        request=_unknown_key(der.sequence(der.oid("1.2.643.7.1.1.1.1"))),
        api="refuses",
    ),
    serving(
        "KeyUnsupported/serving",
        "Held for a serving request alike.",
        request=Request(
            alt_names=OWN_NAMES,
            key_info=der.sequence(der.sequence(der.oid("1.3.6.1.4.1.57683.1")), der.bits(bytes(32))),
            signature=_ANY,
        ),
        api="refuses",
    ),
    bootstrap(
        "KeyUnsupported/unknown-curve",
        "An elliptic curve that the library does not know.",
        request=_unknown_key(der.sequence(_EC_INFO, der.oid("1.3.6.1.4.1.57683.2"))),
        api="refuses",
    ),
)
