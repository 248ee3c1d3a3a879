"""A decided request in, what became of it out: who approved it, whether it was signed, and signed as approved.

Rules: the signer copies subject and alternative names and sets usages and lifetime from the request
(kubernetes, certificates/authority), so whatever differs in the certificate was not approved. Pure:
what cannot be read is a difference in words, and nothing here raises for any certificate.
"""

import base64
import binascii
import hashlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from nodegate.csr.model import AltName, CsrFacts, Reason, SubjectAttribute
from nodegate.csr.pkcs10 import read_alt_name, read_subject
from nodegate.fields import Fields
from nodegate.text import listed, visible

BACKDATE: Final = timedelta(minutes=5)
"""How far before the moment of signing a certificate begins (kubernetes, certificates/signer, backdate)."""

OUR_REASONS: Final = frozenset({Reason.BOOTSTRAP_APPROVED, Reason.RENEWAL_APPROVED, Reason.SERVING_APPROVED})
OUR_WORDS: Final = "Allowed by NodeEnrollment "
"""How the message of every approval of ours begins; a test holds ``render`` to it."""

_READ_ERRORS = (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)
_KEY_USAGES = {
    "digital_signature": "digital signature",
    "content_commitment": "content commitment",
    "key_encipherment": "key encipherment",
    "data_encipherment": "data encipherment",
    "key_agreement": "key agreement",
    "key_cert_sign": "cert sign",
    "crl_sign": "crl sign",
}
_EXTENDED_USAGES = {
    ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string: "client auth",
    ExtendedKeyUsageOID.SERVER_AUTH.dotted_string: "server auth",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """What matters of an issued certificate."""

    serial: str
    """Lower-case hex."""

    sha256: str
    """SHA-256 over the DER, lower-case hex."""

    not_before: datetime
    not_after: datetime
    public_key_sha256: str
    """SHA-256 over the SubjectPublicKeyInfo DER, lower-case hex."""

    subject: tuple[SubjectAttribute, ...]
    alt_names: frozenset[str]
    """Each as its kind and its text; addresses as `ipaddress` writes them, IPv4-mapped ones unwrapped."""

    usages: frozenset[str]
    """Key usages and extended ones, in the words of ``spec.usages``; unknown ones dotted."""

    is_ca: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """An Approved condition."""

    reason: str
    message: str
    time: datetime | None

    @property
    def sounds_ours(self) -> bool:
        """Tell whether reason and message are as ours are; anybody who may approve could write the same."""
        return self.reason in OUR_REASONS and self.message.startswith(OUR_WORDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one request; None and empty where nothing did."""

    passed: Passed | None
    failure: str | None
    """What the signer said when it refused, made visible."""

    issued: Issued | None
    differences: tuple[str, ...]
    """How the certificate differs from the request, a phrase for each."""


def read_outcome(csr: CsrFacts, status: Fields) -> Outcome:
    """Read what became of a request.

    Args:
        csr: The request.
        status: Its object's status.

    Raises:
        Malformed: A field has the wrong type.
    """
    conditions = {c.text("type"): c for c in status.children("conditions") if c.text("status", "True") == "True"}
    failed, text = conditions.get("Failed"), status.text("certificate")
    issued, differences = read_certificate(text) if text else (None, ())
    return Outcome(
        passed=_passed(conditions.get("Approved")),
        failure=visible(f"{failed.text('reason')}: {failed.text('message')}", 512) if failed else None,
        issued=issued,
        differences=differences if issued is None else tuple(differ(csr, issued)),
    )


def _passed(condition: Fields | None) -> Passed | None:
    if condition is None:
        return None
    time = condition.moment("lastUpdateTime") or condition.moment("lastTransitionTime")
    return Passed(reason=condition.text("reason"), message=condition.text("message"), time=time)


def read_certificate(text: str) -> tuple[Issued, tuple[()]] | tuple[None, tuple[str]]:
    """Return the first certificate of ``status.certificate`` (base64 of PEM), or None and why it cannot be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # The library warns of long names, which node names may be.
        try:
            pem = base64.b64decode(text.replace("\n", ""), validate=True)
            return _read(x509.load_pem_x509_certificates(pem)[0]), ()
        except (binascii.Error, *_READ_ERRORS) as error:
            return None, (f"a certificate that can be read, not: {visible(str(error) or type(error).__name__)}",)


def _read(certificate: x509.Certificate) -> Issued:
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Issued(
        serial=f"{certificate.serial_number:x}",
        sha256=hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest(),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        public_key_sha256=hashlib.sha256(key).hexdigest(),
        subject=read_subject(certificate.subject),
        alt_names=frozenset(_alt_names(certificate.extensions)),
        usages=frozenset(_usages(certificate.extensions)),
        is_ca=any(isinstance(e.value, x509.BasicConstraints) and e.value.ca for e in certificate.extensions),
    )


def _alt_names(extensions: x509.Extensions) -> Iterator[str]:
    for extension in extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            yield from (_alt_name(read_alt_name(name)) for name in extension.value)


def _alt_name(name: AltName) -> str:
    return f"{name.kind} {name.address or name.text}"


def _usages(extensions: x509.Extensions) -> Iterator[str]:
    for extension in extensions:
        if isinstance(extension.value, x509.KeyUsage):
            usage = extension.value
            yield from (text for attribute, text in _KEY_USAGES.items() if getattr(usage, attribute))
        if isinstance(extension.value, x509.ExtendedKeyUsage):
            yield from (_EXTENDED_USAGES.get(oid.dotted_string, oid.dotted_string) for oid in extension.value)


def differ(csr: CsrFacts, issued: Issued) -> Iterator[str]:
    """Yield how a certificate differs from its request, as ``what was requested, not what was issued``."""
    request = csr.pkcs10
    if request is None:
        yield "a request that can be read, not one whose certificate compares with nothing"
        return
    if issued.public_key_sha256 != request.public_key_sha256:
        yield f"key {request.public_key_sha256}, not {issued.public_key_sha256}"
    wanted, got = _names(request.subject), _names(issued.subject)
    if wanted != got:
        yield f"subject {listed(wanted)}, not {listed(got)}"
    wanted_names = frozenset(_alt_name(name) for name in request.alt_names or ())
    if wanted_names != issued.alt_names:
        yield f"alternative names {listed(sorted(wanted_names))}, not {listed(sorted(issued.alt_names))}"
    if frozenset(csr.usages) != issued.usages:
        yield f"usages {listed(sorted(csr.usages))}, not {listed(sorted(issued.usages))}"
    if issued.is_ca:
        yield "no certificate authority, not one that may sign others"
    yield from _longer(csr.expiration_seconds, issued)


def _names(subject: tuple[SubjectAttribute, ...]) -> list[str]:
    return sorted(f"{attribute.oid}={attribute.value}" for attribute in subject)


def _longer(seconds: int | None, issued: Issued) -> Iterator[str]:
    lifetime = issued.not_after - issued.not_before
    if seconds is not None and lifetime > timedelta(seconds=seconds) + BACKDATE:
        yield f"at most {seconds} seconds, not {int(lifetime.total_seconds())}"
