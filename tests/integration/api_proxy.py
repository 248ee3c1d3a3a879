"""A proxy between the operator and its API server, at which tests make faults.

An API server's address comes in; a kubeconfig that leads through the proxy leaves. Rules: it speaks TLS with the
API server's own certificate and passes every request on with its credentials, so neither side notices; a watch
can be held (it stays open and tells nothing) and answers can be lost after the API server has acted.
"""

import http.client
import re
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import yaml

from hack.cluster import Cluster
from hack.cluster.pki import write_private

Match = Callable[[str, str], bool]
"""Tells by method and path whether a request is meant."""


class ApiProxy:
    """The proxy; as context manager it listens from the beginning to the end.

    Attributes:
        requests: Method and path of everything that was passed on.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._flowing = threading.Event()
        self._flowing.set()
        self._held: Match = lambda _method, _path: False
        self._lost: Match = lambda _method, _path: False
        self.requests: list[tuple[str, str]] = []
        self._server = _Server(self)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cluster.pki.api_server.certificate, cluster.pki.api_server.key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let everything go and stop."""
        self.release()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def kubeconfig(self, original: Path, target: Path) -> Path:
        """Write a copy of a kubeconfig that leads through the proxy."""
        document = yaml.safe_load(original.read_text(encoding="utf-8"))
        for entry in document["clusters"]:
            entry["cluster"]["server"] = f"https://127.0.0.1:{self._server.server_address[1]}"
        return write_private(target, yaml.safe_dump(document).encode())

    def hold(self, match: Match) -> None:
        """Keep back what watches tell, until `release`; they stay open."""
        self._held = match
        self._flowing.clear()

    def release(self) -> None:
        """Pass on what was kept back."""
        self._flowing.set()

    def lose_answers(self, match: Match) -> None:
        """Cut the connection instead of passing on the answer, after the API server has acted."""
        self._lost = match

    def upstream(self, request: BaseHTTPRequestHandler) -> http.client.HTTPSConnection:
        """Open a connection to the API server and send it what the operator sent."""
        url = urlsplit(self._cluster.server)
        context = ssl.create_default_context(cafile=str(self._cluster.ca_file))
        connection = http.client.HTTPSConnection(url.hostname or "", url.port, context=context, timeout=120)
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        headers = {key: value for key, value in request.headers.items() if key.lower() != "accept-encoding"}
        self.requests.append((request.command, request.path))
        connection.request(request.command, request.path, body, headers)
        return connection

    def is_lost(self, request: BaseHTTPRequestHandler) -> bool:
        """Tell whether the answer is to be lost."""
        return self._lost(request.command, request.path)

    def wait_for(self, request: BaseHTTPRequestHandler) -> None:
        """Wait while this request's stream is held."""
        if self._held(request.command, request.path):
            self._flowing.wait()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, proxy: ApiProxy) -> None:
        self.proxy = proxy
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that break: breaking them is what this proxy is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _pass(self) -> None:
        connection = self.server.proxy.upstream(self)
        try:
            answer = connection.getresponse()
            if self.server.proxy.is_lost(self):
                answer.read()
                self.close_connection = True
            elif re.search(r"[?&]watch=true", self.path):
                self._stream(answer)
            else:
                self._answer(answer, answer.read())
        finally:
            connection.close()

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _pass  # noqa: N815  # the base's names

    def _head(self, answer: http.client.HTTPResponse, **more: str) -> None:
        self.send_response(answer.status)
        for name, value in {"Content-Type": answer.headers.get("Content-Type", ""), **more}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def _answer(self, answer: http.client.HTTPResponse, body: bytes) -> None:
        self._head(answer, Content_Length=str(len(body)))
        self.wfile.write(body)

    def _stream(self, answer: http.client.HTTPResponse) -> None:
        """Pass on line by line; the end of the stream is the end of the connection."""
        self._head(answer, Connection="close")
        self.close_connection = True
        with suppress(OSError, http.client.HTTPException):
            while line := answer.readline():
                self.server.proxy.wait_for(self)
                self.wfile.write(line)
