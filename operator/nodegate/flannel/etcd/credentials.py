"""The client's certificates: PEM bytes in, a TLS context out.

Rules: only the given CA is trusted, whatever the environment says; TLS 1.2 or newer; the certificate's dates are
checked before connecting; secrets are in no repr. Python loads certificates from paths only: they are put into a
file in memory (or, where there is none, a temporary file of mode 0600) that is gone before the context is used.
"""

import datetime as dt
import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO

from cryptography import x509

from nodegate.flannel.etcd.errors import Reason, own_error


@dataclass(frozen=True, slots=True)
class Credentials:
    """What it takes to trust etcd and to be trusted.

    Attributes:
        ca: The authorities of the members' certificates, PEM.
        certificate: Our certificate and its chain, PEM; empty for none.
        key: Its private key without password, PEM; empty for none.
        server_name: Expected in every member's certificate instead of the endpoint's host; empty for the host.
        username: Of etcd's own authentication, v3 only; empty for none.
        password: Of that user.
    """

    ca: bytes = field(repr=False)
    certificate: bytes = field(default=b"", repr=False)
    key: bytes = field(default=b"", repr=False)
    server_name: str = ""
    username: str = ""
    password: str = field(default="", repr=False)

    @property
    def not_after(self) -> dt.datetime | None:
        """When the client certificate ends, None without one.

        Raises:
            EtcdError: CREDENTIALS_UNUSABLE, it is no certificate.
        """
        return _parsed(self.certificate).not_valid_after_utc if self.certificate else None

    def check(self, now: dt.datetime) -> None:
        """Refuse a client certificate that is not valid at this moment.

        Raises:
            EtcdError: CLIENT_EXPIRED, CLIENT_EARLY or CREDENTIALS_UNUSABLE.
        """
        if not self.certificate:
            return
        parsed = _parsed(self.certificate)
        if now >= parsed.not_valid_after_utc:
            raise own_error(Reason.CLIENT_EXPIRED, f"one that ended {parsed.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}")
        if now < parsed.not_valid_before_utc:
            raise own_error(Reason.CLIENT_EARLY, f"one that begins {parsed.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}")


def _parsed(certificate: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(certificate)
    except ValueError as error:
        raise own_error(Reason.CREDENTIALS_UNUSABLE, f"a client certificate that is none ({error})") from None


def tls_context(credentials: Credentials) -> ssl.SSLContext:
    """Return a context with these credentials and nothing else.

    Raises:
        EtcdError: CREDENTIALS_UNUSABLE, they do not load; the text names which part, never its content.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cadata=credentials.ca.decode("ascii"))
    except (ValueError, ssl.SSLError) as error:
        raise own_error(Reason.CREDENTIALS_UNUSABLE, f"a CA that does not load ({_said(error)})") from None
    if bool(credentials.certificate) != bool(credentials.key):
        have = "a certificate without key" if credentials.certificate else "a key without certificate"
        raise own_error(Reason.CREDENTIALS_UNUSABLE, have)
    if credentials.certificate:
        _load_pair(context, credentials)
    return context


def _load_pair(context: ssl.SSLContext, credentials: Credentials) -> None:
    try:
        with _file() as (file, path):
            file.write(credentials.certificate + b"\n" + credentials.key)
            file.flush()
            context.load_cert_chain(path, password=_no_password)
    except (OSError, ValueError) as error:
        found = f"a certificate and key that do not load as a pair ({_said(error)})"
        raise own_error(Reason.CREDENTIALS_UNUSABLE, found) from None


def _said(error: Exception) -> str:
    """Return OpenSSL's reason, or our own words; never the bytes at fault."""
    return str(getattr(error, "reason", None) or error)


def _no_password() -> str:
    """Refuse a key with a password, for which OpenSSL would ask at the terminal."""
    raise ValueError("the key has a password, expected none")


@contextmanager
def _file() -> Iterator[tuple[IO[bytes], str]]:
    """Yield a file that only we can read and that is gone afterwards, and a path to it."""
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("nodegate-etcd"), "wb") as file:
            yield file, f"/proc/self/fd/{file.fileno()}"
    else:  # Only Linux has files in memory; mkstemp gives mode 0600 from birth.
        with tempfile.NamedTemporaryFile(prefix="nodegate-etcd-") as named:
            yield named.file, named.name
