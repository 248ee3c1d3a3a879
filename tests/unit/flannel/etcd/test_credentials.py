"""The client's certificates: what is trusted, what is checked, and what shows nowhere."""

import dataclasses
import datetime as dt
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from hack.cluster.etcd_certificates import EtcdCertificates, make_certificates
from nodegate.clock import now
from nodegate.flannel.etcd import v3_wire
from nodegate.flannel.etcd.credentials import Credentials, tls_context
from nodegate.flannel.etcd.errors import EtcdError, Reason

_WORD = "w0rd"


@pytest.fixture(scope="module", name="pki")
def _pki(tmp_path_factory: pytest.TempPathFactory) -> EtcdCertificates:
    """Certificates, right and wrong."""
    return make_certificates(tmp_path_factory.mktemp("pki"))


def _credentials(pki: EtcdCertificates) -> Credentials:
    return Credentials(
        pki.ca.certificate.read_bytes(),
        pki.client.certificate.read_bytes(),
        pki.client.key.read_bytes(),
        password=_WORD,
    )


def test_secrets_are_in_no_text(pki: EtcdCertificates) -> None:
    """Neither the values' texts nor an error about a key that does not fit shows anything of it."""
    good = _credentials(pki)
    mixed = dataclasses.replace(good, key=pki.other.key.read_bytes())
    login = v3_wire.V3Wire("/c").login("me", _WORD)

    with pytest.raises(EtcdError) as refused:
        tls_context(mixed)

    assert refused.value.reason is Reason.CREDENTIALS_UNUSABLE
    assert refused.value.__cause__ is None
    for text in (repr(good), repr(login), str(refused.value)):
        assert _WORD not in text
        assert "PRIVATE" not in text
        assert "BEGIN" not in text


def test_the_context_trusts_one_authority_only(pki: EtcdCertificates, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment adds no authority and no log of keys, and verification is on."""
    monkeypatch.setenv("SSL_CERT_FILE", str(pki.foreign_ca.certificate))
    monkeypatch.setenv("SSLKEYLOGFILE", os.devnull)

    context = tls_context(_credentials(pki))

    (trusted,) = context.get_ca_certs(binary_form=True)
    ours = x509.load_pem_x509_certificate(pki.ca.certificate.read_bytes())
    assert trusted == ours.public_bytes(Encoding.DER)
    assert context.check_hostname
    assert context.keylog_filename is None


def test_no_key_stays_on_disk(pki: EtcdCertificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without files in memory the key goes through a file that only we can read, and that is gone at once."""
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    tls_context(_credentials(pki))

    assert list(tmp_path.iterdir()) == []


def test_a_key_with_a_password_is_refused_and_nobody_is_asked(pki: EtcdCertificates) -> None:
    """OpenSSL would ask at the terminal; the error says that there is a password."""
    key = load_pem_private_key(pki.client.key.read_bytes(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))

    with pytest.raises(EtcdError, match="the key has a password"):
        tls_context(dataclasses.replace(_credentials(pki), key=locked))


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"ca": b""}, "a CA that does not load"),
        ({"ca": b"\xff"}, "a CA that does not load"),
        ({"key": b""}, "a certificate without key"),
        ({"certificate": b""}, "a key without certificate"),
        ({"certificate": b"x"}, "do not load as a pair"),
    ],
)
def test_unusable_credentials_are_named(pki: EtcdCertificates, changes: dict[str, Any], found: str) -> None:
    """Which part is at fault, and that the Secret is to be corrected."""
    with pytest.raises(EtcdError, match=found) as refused:
        tls_context(dataclasses.replace(_credentials(pki), **changes))

    assert refused.value.reason is Reason.CREDENTIALS_UNUSABLE


def test_dates_are_checked_to_the_second(pki: EtcdCertificates) -> None:
    """Valid from its first second until just before its last one."""
    credentials = _credentials(pki)
    ends = credentials.not_after
    assert ends is not None
    second = dt.timedelta(seconds=1)

    credentials.check(ends - second)
    with pytest.raises(EtcdError) as ended:
        credentials.check(ends)
    with pytest.raises(EtcdError) as early:
        credentials.check(now() - dt.timedelta(days=30))
    Credentials(b"").check(ends)

    assert (ended.value.reason, early.value.reason) == (Reason.CLIENT_EXPIRED, Reason.CLIENT_EARLY)
