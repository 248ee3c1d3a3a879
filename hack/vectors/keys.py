"""The fixed keys that sign the vectors' requests, and how each kind signs.

What enters is a key's name, what leaves are its SubjectPublicKeyInfo and signatures. The private halves
are checked in under `tests/vectors/keys` on purpose and protect nothing. ECDSA is deterministic (RFC 6979);
only DSA and ML-DSA signatures differ from run to run.
"""

import hashlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from hack.vectors import der

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "vectors" / "keys"

RSA_SHA256, ECDSA_SHA256 = "1.2.840.113549.1.1.11", "1.2.840.10045.4.3.2"
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "1.2.840.113549.1.1.5": hashes.SHA1(),  # noqa: S303 - a vector shows that it is refused
    "1.2.840.113549.1.1.14": hashes.SHA224(),
    RSA_SHA256: hashes.SHA256(),
    "1.2.840.113549.1.1.12": hashes.SHA384(),
    "1.2.840.113549.1.1.13": hashes.SHA512(),
    "1.2.840.10045.4.1": hashes.SHA1(),  # noqa: S303 - a vector shows that it is refused
    "1.2.840.10045.4.3.1": hashes.SHA224(),
    ECDSA_SHA256: hashes.SHA256(),
    "1.2.840.10045.4.3.3": hashes.SHA384(),
    "1.2.840.10045.4.3.4": hashes.SHA512(),
    "2.16.840.1.101.3.4.3.2": hashes.SHA256(),
}
PSS = "1.2.840.113549.1.1.10"
_CURVES: dict[str, type[ec.SECP224R1 | ec.SECP256R1 | ec.SECP384R1 | ec.SECP521R1 | ec.SECP256K1]] = {
    "p224": ec.SECP224R1,
    "p384": ec.SECP384R1,
    "p521": ec.SECP521R1,
    "secp256k1": ec.SECP256K1,
}


class Signature(NamedTuple):
    """A signature and the AlgorithmIdentifier that announces it."""

    algorithm: bytes
    value: bytes


def _generate(name: str) -> PrivateKeyTypes:
    kind, _, size = name.partition("-")
    match kind:
        case "rsa":
            return rsa.generate_private_key(3 if size == "2048-e3" else 65537, int(size[:4]))
        case "dsa":
            return dsa.generate_private_key(2048)
        case "ed25519":
            return ed25519.Ed25519PrivateKey.generate()
        case "ed448":
            return ed448.Ed448PrivateKey.generate()
        case "mldsa44":
            return mldsa.MLDSA44PrivateKey.generate()
        case _:
            return ec.generate_private_key(_CURVES.get(kind, ec.SECP256R1)())


@cache
def private_key(name: str) -> PrivateKeyTypes:
    """Return a key by name, such as ``rsa-2048`` or ``p256-a``; it is made and kept when there is none."""
    path = FOLDER / f"test-only-{name}.pem"
    if not path.exists():
        key = _generate(name)
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    # Checking a key of 8192 bits takes seconds, and these are known to be sound.
    return load_pem_private_key(path.read_bytes(), None, unsafe_skip_rsa_key_validation=True)


@cache
def public_info(name: str) -> bytes:
    """Return a key's SubjectPublicKeyInfo as DER."""
    return private_key(name).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def public_sha256(name: str) -> str:
    """Return what a NodeEnrollment pins: the SHA-256 of the SubjectPublicKeyInfo, in hex."""
    return hashlib.sha256(public_info(name)).hexdigest()


def sign(name: str, data: bytes, algorithm: str | None = None) -> Signature:
    """Sign `data` as the key's kind does by default, or by the algorithm that the dotted OID names."""
    key = private_key(name)
    match key:
        case rsa.RSAPrivateKey() if algorithm == PSS:
            return _sign_pss(key, data)
        case rsa.RSAPrivateKey():
            kind = algorithm or RSA_SHA256
            value = key.sign(data, padding.PKCS1v15(), _HASHES[kind])
            return Signature(der.sequence(der.oid(kind), der.NULL), value)
        case ec.EllipticCurvePrivateKey():
            kind = algorithm or ECDSA_SHA256
            value = key.sign(data, ec.ECDSA(_HASHES[kind], deterministic_signing=True))
            return Signature(der.sequence(der.oid(kind)), value)
        case dsa.DSAPrivateKey():
            kind = "2.16.840.1.101.3.4.3.2"
            return Signature(der.sequence(der.oid(kind)), key.sign(data, _HASHES[kind]))
        case ed25519.Ed25519PrivateKey():
            return Signature(der.sequence(der.oid("1.3.101.112")), key.sign(data))
        case ed448.Ed448PrivateKey():
            return Signature(der.sequence(der.oid("1.3.101.113")), key.sign(data))
        case mldsa.MLDSA44PrivateKey():
            return Signature(der.sequence(der.oid("2.16.840.1.101.3.4.3.17")), key.sign(data))
        case _:
            raise ValueError(f"expected a key that signs, found {name}")


def _sign_pss(key: rsa.RSAPrivateKey, data: bytes) -> Signature:
    """Sign with PSS and a salt of length 0, which makes it deterministic (RFC 4055 §3.1)."""
    sha256 = der.sequence(der.oid("2.16.840.1.101.3.4.2.1"), der.NULL)
    mask = der.sequence(der.oid("1.2.840.113549.1.1.8"), sha256)
    options = der.sequence(der.tlv(0xA0, sha256), der.tlv(0xA1, mask), der.tlv(0xA2, der.integer(0)))
    value = key.sign(data, padding.PSS(padding.MGF1(hashes.SHA256()), 0), hashes.SHA256())
    return Signature(der.sequence(der.oid(PSS), options), value)
