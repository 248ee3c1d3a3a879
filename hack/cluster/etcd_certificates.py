"""Certificates of a test etcd: the right ones, and each wrong one that a client can meet.

A folder comes in; PEM files leave, keys readable by their owner only. Rules: EC P-256; one authority that the
members trust and a foreign one that they do not; every certificate is named by what is wrong with it.
"""

import datetime as dt
import ipaddress
import time
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hack.cluster.pki import Pair, key_pem, make_authority, new_key, write_private

_DAY = dt.timedelta(days=1)
_BOTH = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
_CLIENT = (ExtendedKeyUsageOID.CLIENT_AUTH,)


@dataclass(frozen=True, slots=True)
class EtcdCertificates:
    """The files of one test etcd.

    Attributes:
        ca: The authority of members and clients.
        foreign_ca: Another one, which no member trusts.
        server: For servers and clients, names localhost, etcd.test and the loopback addresses.
        server_expired: The same, ended yesterday.
        server_only: The same, without the purpose of a client.
        client: A good client, CN nodegate.
        other: A good client with the CN other.
        nameless: A good client without a CN.
        expired: CN nodegate, ended yesterday.
        foreign: CN nodegate, of the foreign authority.
    """

    ca: Pair
    foreign_ca: Pair
    server: Pair
    server_expired: Pair
    server_only: Pair
    client: Pair
    other: Pair
    nameless: Pair
    expired: Pair
    foreign: Pair


def make_certificates(folder: Path) -> EtcdCertificates:
    """Write all of them into `folder` and return where they are."""
    ca, foreign_ca = make_authority(folder, "ca"), make_authority(folder, "foreign-ca")
    return EtcdCertificates(
        ca=ca,
        foreign_ca=foreign_ca,
        server=_issue(ca, folder, "server", "etcd", _BOTH, server=True),
        server_expired=_issue(ca, folder, "server-expired", "etcd", _BOTH, server=True, days=(-9, -1)),
        server_only=_issue(ca, folder, "server-only", "etcd", _BOTH[:1], server=True),
        client=_issue(ca, folder, "client", "nodegate", _CLIENT),
        other=_issue(ca, folder, "other", "other", _CLIENT),
        nameless=_issue(ca, folder, "nameless", "", _CLIENT),
        expired=_issue(ca, folder, "expired", "nodegate", _CLIENT, days=(-9, -1)),
        foreign=_issue(foreign_ca, folder, "foreign", "nodegate", _CLIENT),
    )


def _issue(
    authority: Pair,
    folder: Path,
    name: str,
    common_name: str,
    purposes: tuple[x509.ObjectIdentifier, ...],
    *,
    server: bool = False,
    days: tuple[int, int] = (-1, 365),
) -> Pair:
    """Write one certificate, valid between two days from now; without a common name its subject has an O only."""
    key, signer = new_key(), x509.load_pem_x509_certificate(authority.certificate.read_bytes())
    today = dt.datetime.fromtimestamp(int(time.time()), dt.UTC)
    oid = NameOID.COMMON_NAME if common_name else NameOID.ORGANIZATION_NAME
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(oid, common_name or "nodegate")]))
        .issuer_name(signer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today + days[0] * _DAY)
        .not_valid_after(today + days[1] * _DAY)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    )
    if server:
        builder = builder.add_extension(_names(), critical=False)
    return _write(folder, name, builder.sign(_signing_key(authority), hashes.SHA256()), key)


def _names() -> x509.SubjectAlternativeName:
    dns = [x509.DNSName(name) for name in ("localhost", "etcd.test")]
    return x509.SubjectAlternativeName(
        [*dns, *(x509.IPAddress(ipaddress.ip_address(ip)) for ip in ("127.0.0.1", "::1"))]
    )


def _signing_key(authority: Pair) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(authority.key.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{authority.key}: expected an EC key, found {type(key).__name__}")
    return key


def _write(folder: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    pair = Pair(folder / f"{name}.crt", folder / f"{name}.key")
    write_private(pair.key, key_pem(key))
    pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return pair
