"""Certificates of a local cluster: two authorities, every server and every client.

A folder comes in; PEM files leave, keys readable by their owner only. Rules: EC P-256 throughout (a key costs
a millisecond), etcd has an authority of its own, certificates hold for a year and begin five minutes ago, so
that a clock that is a little behind does no harm.
"""

import datetime as dt
import ipaddress
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFETIME = dt.timedelta(days=365)
_BACKDATED = dt.timedelta(minutes=5)
_API_SERVER_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
_LOOPBACK = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate (or public key) and its private key, as PEM files."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Pki:
    """The files of one cluster."""

    ca: Pair
    etcd_ca: Pair
    api_server: Pair
    service_accounts: Pair
    admin: Pair
    controller_manager: Pair
    etcd_server: Pair
    etcd_client: Pair
    kubelet_client: Pair


def write_private(path: Path, content: bytes) -> Path:
    """Write a file with mode 0600 from its first moment on; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123  # only os.open sets the mode at birth
        file.write(content)
    return path


def new_key() -> ec.EllipticCurvePrivateKey:
    """Return a new EC P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a private key as unencrypted PKCS#8 PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def subject(common_name: str, organizations: Sequence[str] = ()) -> x509.Name:
    """Return the name with one O attribute for each organization, then the CN."""
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, text) for text in organizations]
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.fromtimestamp(int(time.time()), dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _LIFETIME)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=authority, crl_sign=authority, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def make_authority(folder: Path, name: str) -> Pair:
    """Write a self-signed authority as `<name>.crt` and `<name>.key`."""
    key = new_key()
    issuer = subject(f"nodegate-{name}")
    certificate = (
        _builder(issuer, issuer, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _write(folder, name, certificate, key)


def issue(
    authority: Pair, folder: Path, name: str, who: x509.Name, *, dns: Sequence[str] = (), ips: Sequence[str] = ()
) -> Pair:
    """Write a certificate for TLS clients, and for servers when it has alternative names.

    Args:
        authority: Who signs.
        folder: Where the files go.
        name: `<name>.crt` and `<name>.key`.
        who: The subject.
        dns: DNS names of the server.
        ips: Addresses of the server, as text.
    """
    key = new_key()
    signer = x509.load_pem_x509_certificate(authority.certificate.read_bytes())
    signing_key = serialization.load_pem_private_key(authority.key.read_bytes(), None)
    if not isinstance(signing_key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{authority.key}: expected an EC key, found {type(signing_key).__name__}")
    names = [*map(x509.DNSName, dns), *(x509.IPAddress(ipaddress.ip_address(ip)) for ip in ips)]
    purposes = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if names else [])]
    builder = (
        _builder(who, signer.subject, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return _write(folder, name, builder.sign(signing_key, hashes.SHA256()), key)


def _write(folder: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    pair = Pair(folder / f"{name}.crt", folder / f"{name}.key")
    write_private(pair.key, key_pem(key))
    pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return pair


def _make_token_key(folder: Path) -> Pair:
    key = new_key()
    pair = Pair(folder / "service-accounts.pub", folder / "service-accounts.key")
    write_private(pair.key, key_pem(key))
    pair.certificate.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return pair


def make_pki(folder: Path, service_cidr: str, address: str = _LOOPBACK[0]) -> Pki:
    """Write everything a cluster needs.

    Args:
        folder: Where the files go.
        service_cidr: The first address of this range is a name of the API server.
        address: Where the servers listen.
    """
    addresses = tuple(dict.fromkeys((*_LOOPBACK, address)))
    ca, etcd_ca = make_authority(folder, "ca"), make_authority(folder, "etcd-ca")
    service_ip = str(ipaddress.ip_network(service_cidr)[1])
    masters = ("system:masters",)
    return Pki(
        ca=ca,
        etcd_ca=etcd_ca,
        api_server=issue(
            ca, folder, "apiserver", subject("kube-apiserver"), dns=_API_SERVER_NAMES, ips=(*addresses, service_ip)
        ),
        service_accounts=_make_token_key(folder),
        admin=issue(ca, folder, "admin", subject("kubernetes-admin", masters)),
        # Its controllers act with this one identity, which therefore may do everything.
        controller_manager=issue(ca, folder, "controller-manager", subject("system:kube-controller-manager", masters)),
        etcd_server=issue(etcd_ca, folder, "etcd-server", subject("etcd"), dns=("localhost",), ips=addresses),
        etcd_client=issue(etcd_ca, folder, "etcd-client", subject("kube-apiserver-etcd-client")),
        kubelet_client=issue(ca, folder, "kubelet-client", subject("kube-apiserver-kubelet-client", masters)),
    )
