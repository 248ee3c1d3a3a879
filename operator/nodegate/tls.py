"""The certificate under which /metrics is served: two files or nothing in, a TLS context out.

Rules: TLS 1.2 or newer; files are looked at for every new connection and read again when they have changed, and
a pair that does not load leaves the one before in use; without files a certificate is made in memory, signed by
itself, and its key ends with the process.
"""

import datetime as dt
import logging
import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from nodegate.clock import now
from nodegate.errors import SettingsInvalid

OWN_LIFE: Final = dt.timedelta(days=3650)
"""Life of a certificate made at start: longer than any process runs; nobody can verify it anyway."""

OWN_NAMES: Final = ("nodegate", "nodegate.nodegate-system.svc", "localhost")
"""Names in a certificate made at start: the shipped Service's, and this host's own."""

_log = logging.getLogger("nodegate.metrics")

_Stamp = tuple[int, ...]


def own_tls() -> ssl.SSLContext:
    """Return a context with a certificate made now, which no client can verify."""
    context = _context()
    with _memory() as (file, path):
        file.write(_self_signed())
        file.flush()
        context.load_cert_chain(path)
    return context


@contextmanager
def _memory() -> Iterator[tuple[IO[bytes], str]]:
    """Yield a file that is nowhere, and a path to it.

    Python loads certificates from paths only, and the container's file system cannot be written.
    """
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("nodegate-metrics"), "wb") as file:
            yield file, f"/proc/self/fd/{file.fileno()}"
    else:  # Only Linux has files in memory; elsewhere people try the operator out, in a home of their own.
        with tempfile.NamedTemporaryFile() as named:
            yield named.file, named.name


def tls_of_files(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return a context that follows two PEM files.

    Args:
        certificate: The certificate and its chain.
        key: Its private key, without a password.

    Raises:
        SettingsInvalid: They cannot be used now.
    """
    files = _Files(certificate, key)
    try:
        files.load()
    except (OSError, ValueError) as error:
        expected = "--metrics-tls-cert: expected a certificate and, with --metrics-tls-key, its key as PEM files"
        raise SettingsInvalid((f"{expected}, found {certificate} and {key} cannot be used: {error}",)) from error
    listening = _context()
    listening.sni_callback = files.choose
    return listening


class _Files:
    """Two files and the context that was made of them last."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._paths = (certificate, key)
        self._seen: _Stamp = ()
        self._current = _context()
        self._problem = ""

    def load(self) -> None:
        """Read both files when they are not the ones that were read, or tried, last.

        Raises:
            OSError: They cannot be read, or are no pair (``ssl.SSLError`` is one).
        """
        stamp = tuple(number for path in self._paths for number in _stamp(path))
        if stamp == self._seen:
            return
        self._seen = stamp
        fresh = _context()
        fresh.load_cert_chain(*self._paths, password=_no_password)
        self._current = fresh

    def choose(self, connection: ssl.SSLObject, _name: str | None, _listening: ssl.SSLContext) -> None:
        """Give a new connection the certificate that the files hold now; called for every handshake."""
        before = self._current
        try:
            self.load()
        except (OSError, ValueError) as error:
            if str(error) != self._problem:
                self._problem = str(error)
                _log.warning("--metrics-tls-cert: expected a pair that loads, found %s: the one before stays", error)
        if self._current is not before:
            self._problem = ""
            _log.info("--metrics-tls-cert: the certificate of /metrics was read again")
        connection.context = self._current


def _stamp(path: Path) -> _Stamp:
    """Return what changes when a file is written or replaced."""
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _no_password() -> str:
    """Refuse a key with a password, for which OpenSSL would ask at the terminal."""
    raise ValueError("the key has a password, expected none")


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _self_signed() -> bytes:
    """Return a certificate for a server and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, OWN_NAMES[0])])
    start = now() - dt.timedelta(hours=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + OWN_LIFE)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in OWN_NAMES]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM) + secret
