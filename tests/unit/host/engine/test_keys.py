"""Fingerprints are those that a NodeEnrollment pins, and the pending key is made once and is private."""

from __future__ import annotations

import hashlib
import shutil
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from nodegate_host.engine.atomic import Disk
from nodegate_host.engine.keys import PENDING, fingerprint_of_key, pending_key
from nodegate_host.errors import Stop

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl on this machine")


def test_the_fingerprint_is_of_the_public_half() -> None:
    """It is SHA-256 over the SubjectPublicKeyInfo, as another library has it."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)

    assert fingerprint_of_key(pem) == hashlib.sha256(der).hexdigest()


def test_the_pending_key_is_made_once(tmp_path: Path) -> None:
    """A second look finds the first key: P-256, 0600."""
    disk = Disk(tmp_path)

    first = pending_key(disk, "/var/lib/kubelet/pki")

    assert pending_key(disk, "/var/lib/kubelet/pki") == first
    key = serialization.load_pem_private_key(first, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.curve.name == "secp256r1"
    assert stat.S_IMODE(disk.at(f"/var/lib/kubelet/pki/{PENDING}").stat().st_mode) == 0o600


def test_no_key_is_told() -> None:
    """What is no key ends with openssl's reason."""
    with pytest.raises(Stop, match="openssl pkey ended with"):
        fingerprint_of_key(b"nothing")
