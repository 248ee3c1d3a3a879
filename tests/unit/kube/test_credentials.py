"""Credentials from real files: order, paths, TLS with a real server, and what is refused by name."""

import base64
import datetime as dt
import ipaddress
import logging
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nodegate.errors import SettingsInvalid, Unavailable
from nodegate.kube.client import ApiClient
from nodegate.kube.credentials import Credentials, TokenSource, load_credentials
from tests.unit.kube.fake_api import NODES, serve

BEGIN = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
END = dt.datetime(2120, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Pair:
    """A self-signed certificate and its key, as PEM files."""

    certificate: Path
    key: Path

    def data(self) -> tuple[str, str]:
        """Return both as a kubeconfig carries them."""
        texts = [base64.b64encode(file.read_bytes()).decode() for file in (self.certificate, self.key)]
        return texts[0], texts[1]


@pytest.fixture(name="pair", scope="module")
def _pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A certificate for 127.0.0.1 that is its own CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fake")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, BEGIN, END)
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    directory = tmp_path_factory.mktemp("pki")
    pair = Pair(directory / "tls.crt", directory / "tls.key")
    pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pair.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return pair


def _write(file: Path, cluster: dict[str, Any], user: dict[str, Any], name: str = "main") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "current-context": name,
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": f"ns-{name}"}}],
        "clusters": [{"name": name, "cluster": {"server": f"http://{name}.invalid:1/", **cluster}}],
        "users": [{"name": name, "user": user}],
    }
    file.write_text(yaml.safe_dump(document))
    return file


def _service_account(directory: Path, pair: Pair) -> Path:
    directory.mkdir()
    (directory / "token").write_text("pod-token\n")
    (directory / "namespace").write_text("pod-ns")
    (directory / "ca.crt").write_bytes(pair.certificate.read_bytes())
    return directory


POD = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}


def test_pod_before_the_usual_files(tmp_path: Path, pair: Pair) -> None:
    """In a pod the service account counts, not what KUBECONFIG names."""
    account = _service_account(tmp_path / "sa", pair)
    usual = _write(tmp_path / "config", {}, {"token": "t"})

    found = load_credentials(
        kubeconfig=None, context=None, environ={**POD, "KUBECONFIG": str(usual)}, service_account=account
    )

    assert (
        found.server,
        found.namespace,
        found.authorization(),
    ) == ("https://[fd00::1]:6443", "pod-ns", "Bearer pod-token")
    assert found.ssl_context is not None
    assert found.ssl_context.verify_mode is ssl.CERT_REQUIRED


def test_given_file_before_everything(tmp_path: Path, pair: Pair) -> None:
    """A kubeconfig given on purpose counts even in a pod."""
    account = _service_account(tmp_path / "sa", pair)
    given = _write(tmp_path / "config", {}, {"token": "t"})

    found = load_credentials(kubeconfig=given, context=None, environ=POD, service_account=account)

    assert (
        found.server,
        found.authorization(),
        found.namespace,
    ) == ("http://main.invalid:1", "Bearer t", "ns-main")


def test_usual_places(tmp_path: Path) -> None:
    """KUBECONFIG may name several files, the first to name a thing winning; else the home directory counts."""
    one = _write(tmp_path / "one", {}, {"token": "1"}, "one")
    two = _write(tmp_path / "two", {}, {"token": "2"}, "two")
    _write(tmp_path / ".kube" / "config", {}, {"token": "h"}, "home")
    both = {"KUBECONFIG": f"{one}:{two}", "HOME": str(tmp_path)}

    def token(environ: dict[str, str], context: str | None) -> str | None:
        found = load_credentials(kubeconfig=None, context=context, environ=environ, service_account=tmp_path / "none")
        return found.authorization()

    assert token(both, None) == "Bearer 1"
    assert token(both, "two") == "Bearer 2"
    assert token({"HOME": str(tmp_path)}, None) == "Bearer h"


def test_nothing_found(tmp_path: Path) -> None:
    """Without any credentials the message names the three ways to give some."""
    with pytest.raises(SettingsInvalid, match=r"--kubeconfig.*KUBECONFIG.*service account"):
        load_credentials(kubeconfig=None, context=None, environ={"HOME": str(tmp_path)}, service_account=tmp_path)


@pytest.mark.parametrize(
    ("cluster", "user", "said"),
    [
        ({}, {"exec": {"command": "aws"}}, "exec plugins are not run"),
        ({}, {"auth-provider": {"name": "gcp"}}, "auth providers"),
        ({}, {"username": "u", "password": "p"}, "basic authentication"),
        ({}, {"token": "t", "as": "admin"}, "impersonation"),
        ({"proxy-url": "http://proxy"}, {}, "proxies are not supported"),
        ({"tls-server-name": "x"}, {}, "TLS server name"),
        ({"server": "ftp://x"}, {}, "http"),
        ({"server": "https://x", "certificate-authority": "gone.crt"}, {}, "cannot load them"),
        ({"server": "https://x", "certificate-authority-data": "!"}, {}, "cannot load them"),
        ({"server": "https://x", "certificate-authority-data": "IA=="}, {}, "cannot load them"),
        ({"server": "https://x", "certificate-authority-data": 5}, {}, "cannot load them"),
        ({}, {"client-certificate": "x"}, "certificate and its key"),
    ],
)
def test_refused_by_name(tmp_path: Path, cluster: dict[str, Any], user: dict[str, Any], said: str) -> None:
    """What cannot be honoured is refused and named, never passed over."""
    file = _write(tmp_path / "config", cluster, user)

    with pytest.raises(SettingsInvalid, match=said):
        load_credentials(kubeconfig=file, context=None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a", "found list"),
        ("{", "cannot read it"),
        ("{}", "current-context"),
        ("{current-context: x}", "the context 'x'"),
        ("{current-context: x, contexts: [1]}", "list of named entries"),
        ("{current-context: x, contexts: [{name: x, context: {cluster: y}}]}", "the cluster 'y'"),
    ],
)
def test_broken_files(tmp_path: Path, text: str, said: str) -> None:
    """A file that is no usable kubeconfig is refused with the place of the fault."""
    file = tmp_path / "config"
    file.write_text(text)

    with pytest.raises(SettingsInvalid, match=said):
        load_credentials(kubeconfig=file, context=None)


def test_missing_file(tmp_path: Path) -> None:
    """A file that does not exist is named."""
    with pytest.raises(SettingsInvalid, match="gone"):
        load_credentials(kubeconfig=tmp_path / "gone", context=None)


@pytest.mark.parametrize("inline", [True, False])
async def test_mutual_tls(tmp_path: Path, pair: Pair, monkeypatch: pytest.MonkeyPatch, inline: bool) -> None:  # noqa: FBT001  # a parameter of the test
    """CA and client certificate work from relative files and from data, which leaves no file behind."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    certificate, key = pair.data()
    files = {"client-certificate": "../pki/tls.crt", "client-key": "../pki/tls.key"}
    data = {"client-certificate-data": certificate, "client-key-data": key}
    (tmp_path / "pki").symlink_to(pair.certificate.parent)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=pair.certificate)
    tls.load_cert_chain(pair.certificate, pair.key)
    tls.verify_mode = ssl.CERT_REQUIRED
    async with serve(tls) as api:
        api.put_object(NODES, "a")
        cluster = {"server": api.server}
        cluster |= (
            {"certificate-authority-data": certificate} if inline else {"certificate-authority": "../pki/tls.crt"}
        )
        file = _write(tmp_path / "kube" / "config", cluster, data if inline else files)
        client = ApiClient(load_credentials(kubeconfig=file, context=None))
        try:
            assert (await client.get(f"{NODES}/a"))["metadata"]["name"] == "a"
        finally:
            await client.close()
    assert list(scratch.iterdir()) == []


async def test_unknown_authority_is_refused(tmp_path: Path, pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    """A server that the CA did not sign gets no token, unless verification was switched off, with a warning."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(pair.certificate, pair.key)
    async with serve(tls) as api:
        api.put_object(NODES, "a")
        strict = _write(tmp_path / "strict", {"server": api.server}, {"token": "t"})
        loose = _write(tmp_path / "loose", {"server": api.server, "insecure-skip-tls-verify": True}, {})
        client = ApiClient(load_credentials(kubeconfig=strict, context=None))
        with pytest.raises(Unavailable, match="Certificate"):
            await client.put(f"{NODES}/a", {})
        await client.close()
        assert api.seen == []

        client = ApiClient(load_credentials(kubeconfig=loose, context=None))
        await client.get(f"{NODES}/a")
        await client.close()
    assert ["is not verified" in record.getMessage() for record in caplog.records] == [True]


class Clock:
    """Monotonic seconds that move only when told."""

    def __init__(self) -> None:
        self.moment = 5.0

    def __call__(self) -> float:
        """Return the present moment."""
        return self.moment


def test_token_file_is_read_again_after_a_minute(tmp_path: Path) -> None:
    """A token file is read again after a minute or when the token was refused, not before."""
    file, clock = tmp_path / "token", Clock()
    file.write_text("one\n")
    source = TokenSource(file=file, clock=clock)
    assert source.authorization() == "Bearer one"
    file.write_text("two\n")
    clock.moment += 59
    assert source.authorization() == "Bearer one"
    clock.moment += 1
    assert source.authorization() == "Bearer two"
    file.write_text("three\n")
    source.invalidate()
    assert source.authorization() == "Bearer three"


@pytest.mark.parametrize("fault", ["gone", "empty", "binary"])
def test_unreadable_token_file_keeps_the_old_token(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    """A token file that is missing, empty or garbage in the middle of a rotation keeps the old token."""
    caplog.set_level(logging.CRITICAL)
    file = tmp_path / "token"
    file.write_text("one")
    source = TokenSource(file=file)
    source.authorization()
    if fault == "gone":
        file.unlink()
    else:
        file.write_bytes(b"" if fault == "empty" else b"\xff\xfe")
    source.invalidate()

    assert source.authorization() == "Bearer one"


def test_token_is_not_shown() -> None:
    """The text of credentials does not hold the token."""
    shown = repr(Credentials("https://x", None, TokenSource("secret-token")))

    assert "secret-token" not in shown
