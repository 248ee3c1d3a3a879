"""What is asked over sockets: the runtime's CRI, the API server, etcd; each against a real peer on this machine."""

import base64
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nodegate_host.facts import cri, probes
from nodegate_host.facts.host import Host
from nodegate_host.facts.identity import Loaded
from nodegate_host.facts.model import Kubeconfig
from nodegate_host.model import Cluster, Etcd, Flannel, NodeConfig, Version
from tests.unit.host import healthy

_NOBODY = Loaded(Kubeconfig("/b"))
_TOKEN = "abcdef.0123456789abcdef"  # noqa: S105 (of the stub)
_CONFIG = '{"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}'
_LEASE = '{"PublicIP": "10.0.0.3", "BackendType": "vxlan", "BackendData": {"VtepMAC": "c2:25:29:32:b6:68"}}'
Answers = Callable[[str, str, Any], tuple[int, Any]]
"""Path, Authorization header and body → status and body."""


def _server_pem(address: str) -> tuple[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stub")])
    now = datetime.now(UTC)  # noqa: TID251 (a certificate for the test's own server)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM).decode(), private.decode()


@contextmanager
def _serving(tmp_path: Path, answers: Answers, address: str = "127.0.0.1") -> Iterator[tuple[str, str]]:
    """Serve JSON over TLS; gives the URL and the CA."""

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            status, body = answers(self.path, self.headers.get("Authorization", ""), json.loads(raw) if raw else None)
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _serve  # noqa: N815 (the names that the library calls)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    certificate, key = _server_pem(address)
    (tmp_path / "stub.pem").write_text(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "stub.pem")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}", certificate
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _cluster(url: str, authority: str) -> NodeConfig:
    cluster = Cluster(url, ("10.96.0.0/16",), ("10.244.0.0/16",), ("10.96.0.10",), ca_data=authority)
    return replace(healthy.CONFIG, cluster=cluster, bootstrap=replace(healthy.CONFIG.bootstrap, token=_TOKEN))


def _cluster_answers(path: str, authorization: str, body: Any) -> tuple[int, Any]:
    if path == "/version":
        return 200, {"gitVersion": "v1.37.2"}
    if authorization != f"Bearer {_TOKEN}":
        return 401, {}
    if path.endswith("selfsubjectaccessreviews"):
        wanted = body["spec"]["resourceAttributes"]
        return 201, {"status": {"allowed": wanted["resource"] == "certificatesigningrequests"}}
    if path == "/api/v1/nodes/node-a":
        status = {
            "conditions": [{"type": "Ready", "status": "True"}],
            "nodeInfo": {"machineID": "m"},
            "addresses": [{"type": "InternalIP", "address": "10.0.0.9"}],
        }
        return 200, {"metadata": {"uid": "u-9"}, "status": status}
    return 404, {}


def test_asks_the_api_server_for_version_token_and_node(tmp_path: Path) -> None:
    """One good token: version, access and the Node of our name are known."""
    with _serving(tmp_path, _cluster_answers) as (url, authority):
        found = probes.api(Host("/"), _cluster(url, authority), _NOBODY, _NOBODY)

    assert (found.tcp, found.tls, found.credential, found.may_request) == (True, True, "ok", True)
    assert found.version is not None
    assert found.version.text == "1.37.2"
    assert found.node is not None
    assert (found.node.uid, found.node.ready, found.node.addresses) == ("u-9", True, ("10.0.0.9",))


def test_tells_a_rejected_token_from_a_forbidden_one(tmp_path: Path) -> None:
    """401 is a token that is not known, 403 one that may not."""
    for status, word in ((401, "rejected"), (403, "forbidden")):

        def answers(path: str, _authorization: str, _body: Any, status: int = status) -> tuple[int, Any]:
            return (200, {"gitVersion": "v1.37.2"}) if path == "/version" else (status, {})

        with _serving(tmp_path, answers) as (url, authority):
            assert probes.api(Host("/"), _cluster(url, authority), _NOBODY, _NOBODY).credential == word


def test_a_certificate_of_another_ca_or_address_is_no_tls(tmp_path: Path) -> None:
    """The connection stands, the certificate does not; nothing else is asked."""
    with _serving(tmp_path, _cluster_answers) as (url, _):
        other, _ = _server_pem("127.0.0.1")
        found = probes.api(Host("/"), _cluster(url, other), _NOBODY, _NOBODY)
    assert (found.tcp, found.tls, found.credential) == (True, False, None)
    assert "certificate verify failed" in found.problem

    with _serving(tmp_path, _cluster_answers, "127.0.0.2") as (url, authority):
        assert probes.api(Host("/"), _cluster(url, authority), _NOBODY, _NOBODY).tls is False


def test_nobody_there_is_no_tcp(tmp_path: Path) -> None:
    """A closed port is told as such, and a broken CA before anything is asked."""
    with _serving(tmp_path, _cluster_answers) as (url, authority):
        pass
    found = probes.api(Host("/"), _cluster(url, authority), _NOBODY, _NOBODY)
    assert (found.tcp, found.tls) == (False, None)

    assert "cannot be used" in probes.api(Host("/"), _cluster(url, "no pem"), _NOBODY, _NOBODY).problem


def _etcd_of(tmp_path: Path, answers: Answers, **changes: Any) -> Any:
    with _serving(tmp_path, answers) as (url, authority):
        (tmp_path / "ca.pem").write_text(authority)
        settings = Etcd((url, "https://127.0.0.1:1"), prefix="/net", ca_file=str(tmp_path / "ca.pem"))
        flannel = replace(Flannel(etcd=settings), **changes)
        return url, probes.etcd(Host("/"), replace(healthy.CONFIG, flannel=flannel))


def _v3(path: str, _authorization: str, body: Any) -> tuple[int, Any]:
    if path == "/health":
        return 200, {"health": "true"}
    if path != "/v3/kv/range":
        return 404, {"message": "not found"}
    key, end = (base64.b64decode(body.get(name, "")).decode() for name in ("key", "range_end"))
    pairs = {"/net/config": _CONFIG, "/net/subnets/10.244.31.0-24": _LEASE}
    chosen = {name: value for name, value in pairs.items() if name == key or (end and key <= name < end)}
    return 200, {"kvs": [{"key": _b64(name), "value": _b64(value)} for name, value in chosen.items()]}


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _v2(path: str, _authorization: str, _body: Any) -> tuple[int, Any]:
    if path == "/health":
        return 200, {"health": "true"}
    if path == "/v2/keys/net/config":
        return 200, {"node": {"key": "/net/config", "value": _CONFIG}}
    if path == "/v2/keys/net/subnets":
        return 200, {"node": {"dir": True, "nodes": [{"key": "/net/subnets/10.244.31.0-24", "value": _LEASE}]}}
    return 404, {"errorCode": 100} if path.startswith("/v2") else {}


def test_reads_configuration_and_leases_by_v3(tmp_path: Path) -> None:
    """The healthy endpoint is read, the dead one told."""
    url, found = _etcd_of(tmp_path, _v3)

    assert found.health[url] == ""
    assert found.health["https://127.0.0.1:1"]
    assert (found.config, found.config_read, found.found_in_other_api) == (_CONFIG, True, False)
    assert [(each.subnet, each.public_ip, each.vtep_mac) for each in found.leases] == [
        ("10.244.31.0/24", "10.0.0.3", "c2:25:29:32:b6:68")
    ]


def test_reads_v2_for_an_old_flannel_and_tells_a_new_one_about_it(tmp_path: Path) -> None:
    """What the guide wrote by v2 is found by flannel before 0.18, and named to a newer one."""
    _, old = _etcd_of(tmp_path, _v2, version=Version(0, 7, 1))
    _, new = _etcd_of(tmp_path, _v2)

    assert old.config == _CONFIG
    assert [each.public_ip for each in old.leases] == ["10.0.0.3"]
    assert (new.config, new.found_in_other_api) == (None, True)


def _frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    return len(content).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + content


def _text(number: int, content: bytes) -> bytes:
    return bytes((number << 3 | 2, len(content))) + content


@contextmanager
def _runtime(tmp_path: Path, *frames: bytes) -> Iterator[str]:
    """Serve one HTTP/2 connection with these frames."""
    path = str(tmp_path / "cri.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(path)
        listening.listen()

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"".join(frames))
                while connection.recv(65536):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield path
        thread.join()
    Path(path).unlink()


def test_asks_a_runtime_for_its_version(tmp_path: Path) -> None:
    """SETTINGS and PING are answered, the message is put together from its frames."""
    message = _text(1, b"0.1.0") + _text(2, b"containerd") + _text(3, b"v2.2.1") + _text(4, b"v1")
    data = b"\0" + len(message).to_bytes(4, "big") + message
    frames = (
        _frame(4, 0, 0, b""),
        _frame(6, 0, 0, b"12345678"),
        _frame(1, 4, 1, b"\x88"),
        _frame(0, 0, 1, data[:9]),
        _frame(0, 0, 1, data[9:]),
        _frame(1, 5, 1, b"\x88"),
    )
    with _runtime(tmp_path, *frames) as path:
        answer, found = cri.version(path)

    assert answer.connected
    assert found is not None
    assert found.version is not None
    assert (found.name, found.version.text, found.api) == ("containerd", "2.2.1", "v1")


def test_a_runtime_without_cri_answers_and_says_nothing(tmp_path: Path) -> None:
    """Trailers alone are 'unknown service': connected, and no CRI."""
    with _runtime(tmp_path, _frame(4, 0, 0, b""), _frame(1, 5, 1, b"\x88")) as path:
        answer, found = cri.version(path)

    assert (answer.connected, answer.message, found) == (True, None, None)


def test_lists_images(tmp_path: Path) -> None:
    """Tags and digests of every image are names that may be asked for."""
    image = _text(1, b"sha256:1") + _text(2, b"registry.example/pause:3.10") + bytes((5 << 3, 150, 1))
    message = _text(1, image)
    frames = (_frame(1, 4, 1, b"\x88"), _frame(0, 1, 1, b"\0" + len(message).to_bytes(4, "big") + message))
    with _runtime(tmp_path, *frames) as path:
        assert cri.images(path) == ("registry.example/pause:3.10",)


@pytest.mark.parametrize("content", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_what_is_no_http2_is_no_cri(tmp_path: Path, content: bytes) -> None:
    """A peer that closes or speaks something else is connected and no runtime."""
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(path)
        listening.listen()

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(content)

        thread = threading.Thread(target=serve)
        thread.start()
        answer, found = cri.version(path)
        thread.join()

    assert (answer.connected, found) == (True, None)


def test_no_socket_is_no_connection(tmp_path: Path) -> None:
    """Nothing listens: not connected, with the system's reason."""
    answer, _ = cri.version(str(tmp_path / "none"))

    assert not answer.connected
    assert answer.problem
