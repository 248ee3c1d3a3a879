"""The kubelet's key and its fingerprint, by ``openssl``: the standard library has no keys.

A fingerprint is SHA-256 over the DER of the SubjectPublicKeyInfo, 64 lower-case hex digits, as a NodeEnrollment's
``publicKeySHA256`` has it. Keys pass through pipes only; none is ever an argument or in a file of others.
"""

from __future__ import annotations

import hashlib
import subprocess

from nodegate_host.engine.atomic import Disk
from nodegate_host.errors import Stop
from nodegate_host.exits import Exit

PENDING = "kubelet-client.key.tmp"
"""Where a kubelet that does not rotate keeps its key until it has a certificate, and looks for one first [source]."""

_TIMEOUT_S = 30.0


def fingerprint(public_der: bytes) -> str:
    """Return the fingerprint of a SubjectPublicKeyInfo."""
    return hashlib.sha256(public_der).hexdigest()


def fingerprint_of_key(pem: bytes) -> str:
    """Return the fingerprint of a private key's public half."""
    return fingerprint(_openssl(["pkey", "-pubout", "-outform", "DER"], pem))


def fingerprint_of_certificate(pem: bytes) -> str:
    """Return the fingerprint of a certificate's key."""
    public = _openssl(["x509", "-noout", "-pubkey"], pem)
    return fingerprint(_openssl(["pkey", "-pubin", "-pubout", "-outform", "DER"], public))


def pending_key(disk: Disk, folder: str) -> bytes:
    """Return the key that the kubelet will ask with, made now if there is none: EC on P-256, as its own are."""
    path = f"{folder}/{PENDING}"
    live = disk.look(path)
    if live.kind == "file":
        return live.content
    pem = _openssl(["ecparam", "-name", "prime256v1", "-genkey", "-noout"], b"")
    disk.make_directory(folder, 0o700)
    disk.write(path, pem, 0o600)
    return pem


def _openssl(words: list[str], given: bytes) -> bytes:
    try:
        done = subprocess.run(["openssl", *words], input=given, capture_output=True, check=False, timeout=_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Stop(f"expected to run openssl {words[0]}, found: {error}; install openssl", Exit.PREFLIGHT) from error
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()[:1]
        raise Stop(f"openssl {words[0]} ended with {done.returncode}: {''.join(reason)}", Exit.UNHEALTHY)
    return done.stdout
