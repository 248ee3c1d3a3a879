"""Certificates as a signer issues them, and objects of decided requests, for tests.

Requests come in, certificates and objects leave. Rules: by default the certificate is what the request asks
for, signed by a key of this module; every deviation is a keyword.
"""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hack.vectors import manifests as m
from hack.vectors.request import Request
from nodegate.fields import rfc3339

SIGNED = datetime(2030, 1, 31, 12, tzinfo=UTC)
"""When certificates begin by default."""

CLIENT_AUTH, SERVER_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
OURS = {"reason": "BootstrapApproved", "message": "Allowed by NodeEnrollment node-a (generation 1); every rule holds."}
FOREIGN = {"reason": "AutoApproved", "message": "Auto approving kubelet client certificate after SubjectAccessReview."}
_CA = ec.generate_private_key(ec.SECP256R1())


def issue(
    request: Request,
    *,
    key: str | None = None,
    begins: datetime = SIGNED,
    lasts: timedelta = timedelta(days=365),
    usages: Sequence[x509.ObjectIdentifier] = (CLIENT_AUTH,),
    names: Sequence[x509.GeneralName] = (),
    ca: bool = False,
    organization: str | None = None,
    encipherment: bool = False,
) -> x509.Certificate:
    """Return a certificate for a request, with these deviations."""
    asked = x509.load_der_x509_csr(Request(key=key or request.key, common_name=request.common_name).der)
    unit = [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, organization)] if organization else []
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([*asked.subject, *unit]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")]))
        .public_key(asked.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + lasts)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(_key_usage(encipherment=encipherment), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(_CA, SHA256())


def _key_usage(*, encipherment: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=encipherment,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def names_of(*texts: str) -> list[x509.GeneralName]:
    """Return alternative names: texts that are addresses as such, others as DNS names."""
    return [x509.IPAddress(ip_address(t)) if t[0].isdigit() or ":" in t else x509.DNSName(t) for t in texts]


def encoded(certificate: x509.Certificate) -> str:
    """Return a certificate as ``status.certificate`` holds it."""
    return base64.b64encode(certificate.public_bytes(Encoding.PEM)).decode()


def decided(
    request: Request,
    certificate: x509.Certificate | None = None,
    *,
    approval: dict[str, str] | None = None,
    at: datetime = SIGNED,
    failed: str = "",
    metadata: dict[str, Any] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """Return the object of an approved request; by default its approval is worded as ours."""
    common = {"status": "True", "lastUpdateTime": rfc3339(at)}
    conditions = [{"type": "Approved", **common, **(approval or OURS)}]
    if failed:
        conditions.append({"type": "Failed", **common, "reason": "SignerValidationFailure", "message": failed})
    asked = {
        "signerName": m.CLIENT,
        "usages": ["digital signature", "client auth"],
        "username": "system:bootstrap:abcdef",
        "groups": m.TOKEN_GROUPS,
    }
    body = m.signing_request(request.pem, asked | spec, metadata=metadata or {})
    body["status"] = {"conditions": conditions}
    if certificate is not None:
        body["status"]["certificate"] = encoded(certificate)
    return body
