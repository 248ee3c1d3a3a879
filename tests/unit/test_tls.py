"""The certificate of /metrics: made in memory, or read from files that change; proved by real handshakes."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from nodegate.clock import now
from nodegate.errors import SettingsInvalid
from nodegate.tls import _self_signed, own_tls, tls_of_files


@asynccontextmanager
async def _listening(context: ssl.SSLContext) -> AsyncIterator[int]:
    """Listen with a context and yield the port."""

    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(close, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


async def _shown(port: int, name: str | None = None) -> bytes:
    """Return the certificate that a new connection is shown, as DER."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname=name or "")
    shown: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return shown


def _write(folder: Path) -> bytes:
    """Put a new pair into tls.crt and tls.key and return the certificate as DER."""
    pem = _self_signed()
    certificate, _, key = pem.partition(b"-----BEGIN PRIVATE KEY")
    (folder / "tls.crt").write_bytes(certificate)
    (folder / "tls.key").write_bytes(b"-----BEGIN PRIVATE KEY" + key)
    return ssl.PEM_cert_to_DER_cert(certificate.decode())


async def test_without_files_a_certificate_is_made() -> None:
    """It is for a server, names the Service, and is another one at each start."""
    async with _listening(own_tls()) as first, _listening(own_tls()) as second:
        shown = [x509.load_der_x509_certificate(await _shown(port)) for port in (first, second)]

    names = shown[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "nodegate.nodegate-system.svc" in names.get_values_for_type(x509.DNSName)
    assert shown[0].issuer == shown[0].subject
    assert shown[0].not_valid_before_utc < now() < shown[0].not_valid_after_utc - timedelta(days=365)
    assert shown[0].public_key() != shown[1].public_key()


@pytest.mark.parametrize("name", [None, "nodegate.nodegate-system.svc"])
async def test_a_changed_pair_is_used_by_the_next_connection(tmp_path: Path, name: str | None) -> None:
    """The files are followed without a restart, whether the client names a server or not."""
    before = _write(tmp_path)
    async with _listening(tls_of_files(tmp_path / "tls.crt", tmp_path / "tls.key")) as port:
        assert await _shown(port, name) == before
        after = _write(tmp_path)
        assert after != before
        assert await _shown(port, name) == after


async def test_a_pair_that_does_not_load_leaves_the_one_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Half a change, or none left, is said once and served with the certificate that was good; then the new one."""
    caplog.set_level(logging.INFO)
    before = _write(tmp_path)
    async with _listening(tls_of_files(tmp_path / "tls.crt", tmp_path / "tls.key")) as port:
        key = (tmp_path / "tls.key").read_bytes()
        (tmp_path / "tls.key").unlink()
        assert [await _shown(port), await _shown(port)] == [before, before]
        (tmp_path / "tls.key").write_bytes(key + b"\n")
        (tmp_path / "tls.crt").write_bytes(b"half")
        assert await _shown(port) == before
        after = _write(tmp_path)
        assert await _shown(port) == after

    said = [(record.levelname, "the one before stays" in record.message) for record in caplog.records]
    assert [each for each in said if each[0] == "WARNING"] == [("WARNING", True), ("WARNING", True)]
    assert caplog.records[-1].message.endswith("was read again")


@pytest.mark.parametrize("broken", ["tls.crt", "tls.key"])
def test_files_that_are_no_pair_stop_the_start(tmp_path: Path, broken: str) -> None:
    """A certificate or key that cannot be used is a mistake in the settings, with both paths."""
    _write(tmp_path)
    (tmp_path / broken).write_text("none")
    with pytest.raises(SettingsInvalid, match=r"--metrics-tls-cert: expected .*tls\.crt and .*tls\.key cannot be used"):
        tls_of_files(tmp_path / "tls.crt", tmp_path / "tls.key")
