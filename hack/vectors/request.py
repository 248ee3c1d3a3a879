"""PKCS#10 requests, valid by default and wrong in exactly the way one asks for.

What enters are keyword arguments, what leaves is DER or PEM (RFC 2986 §4). Rules: the defaults are what a
kubelet sends for node-a: O then CN as PrintableString, a P-256 key, ECDSA with SHA-256.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from hack.vectors import der
from hack.vectors.keys import Signature, public_info, sign

ORGANIZATION, COMMON_NAME = "2.5.4.10", "2.5.4.3"
HEAD, FOOT = b"-----BEGIN CERTIFICATE REQUEST-----", b"-----END CERTIFICATE REQUEST-----"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request; every field that is left alone is as a kubelet of node-a makes it."""

    common_name: str = "system:node:node-a"
    organization: str = "system:nodes"
    string_tag: int = der.PRINTABLE
    rdns: Sequence[bytes] | None = None
    """The whole subject instead of organization and common name."""

    key: str = "p256-a"
    key_info: bytes | None = None
    """The SubjectPublicKeyInfo instead of the key's own."""

    signer: str | None = None
    """The key that signs, instead of the one in the request."""

    alt_names: Sequence[bytes] = ()
    alt_names_critical: bool = False
    extensions: Sequence[bytes] = ()
    """Extensions besides the alternative names."""

    attributes: Sequence[bytes] | None = None
    """All attributes instead of one extensionRequest (none when there are no extensions)."""

    version: int = 0
    algorithm: str | None = None
    """Dotted OID of the signature algorithm instead of the key's usual one."""

    signature: Signature | None = None
    """The signature instead of a valid one."""

    @property
    def info(self) -> bytes:
        """The CertificationRequestInfo: what is signed."""
        rdns = self.rdns
        if rdns is None:
            rdns = (
                der.rdn(der.attribute(ORGANIZATION, self.organization, self.string_tag)),
                der.rdn(der.attribute(COMMON_NAME, self.common_name, self.string_tag)),
            )
        attributes = self.attributes
        if attributes is None:
            names = [der.alt_names(self.alt_names, critical=self.alt_names_critical)] if self.alt_names else []
            extensions = [*names, *self.extensions]
            attributes = [der.extension_request(*extensions)] if extensions else []
        return der.sequence(
            der.integer(self.version),
            der.sequence(*rdns),
            self.key_info or public_info(self.key),
            der.tlv(0xA0, *sorted(attributes)),
        )

    @property
    def der(self) -> bytes:
        """The signed request."""
        info = self.info
        signature = self.signature or sign(self.signer or self.key, info, self.algorithm)
        return der.sequence(info, signature.algorithm, der.bits(signature.value))

    @property
    def pem(self) -> bytes:
        """The signed request as one canonical PEM block."""
        return pem(self.der)


def pem(content: bytes, *, width: int = 64, newline: bytes = b"\n") -> bytes:
    """Return one PEM block around any bytes."""
    text = base64.b64encode(content)
    lines = [text[start : start + width] for start in range(0, len(text), width)]
    return newline.join([HEAD, *lines, FOOT, b""])
