"""A thin JSON client for an API server: one request, one answer.

Credentials, a method, a path and a body come in; the decoded answer leaves. Rules: a new connection each time
(the tools here are not in a hurry), redirects are not followed, 400 and above raise `ApiRefused`.
"""

import http.client
import json
import ssl
import tempfile
from typing import Any
from urllib.parse import urlsplit

from hack.cluster.errors import ApiRefused
from hack.cluster.kubeconfig import Credentials

_FAILED = 400
"""The first HTTP status that is an error."""


def tls_context(credentials: Credentials) -> ssl.SSLContext:
    """Return a context that trusts the credentials' authority only and shows their certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=credentials.ca_pem.decode())
    if credentials.certificate_pem:
        # The ssl module reads certificates from files only; a kubelet's file holds both parts already.
        with tempfile.NamedTemporaryFile(prefix="nodegate-") as file:
            file.write(credentials.certificate_pem + b"\n" + credentials.key_pem)
            file.flush()
            context.load_cert_chain(file.name)
    return context


def exchange(
    credentials: Credentials,
    method: str,
    path: str,
    body: bytes | None = None,
    *,
    content_type: str = "application/json",
    timeout: float = 30,
) -> tuple[int, bytes]:
    """Send one request and return the status and the body.

    Args:
        credentials: Where to and as whom.
        method: The HTTP method.
        path: With its query.
        body: Sent as it is.
        content_type: Of the body.
        timeout: In seconds, for each step on the connection.

    Raises:
        OSError: There was no answer.
    """
    headers = {"Accept": "application/json", "Content-Type": content_type}
    if credentials.token:
        headers["Authorization"] = f"Bearer {credentials.token}"
    connection = _connection(credentials, timeout)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as error:
        raise ConnectionError(f"{method} {path}: expected an HTTP answer, found {error!r}") from error
    finally:
        connection.close()


def _connection(credentials: Credentials, timeout: float) -> http.client.HTTPConnection:
    url = urlsplit(credentials.server)
    host = url.hostname or ""
    if url.scheme == "http":
        return http.client.HTTPConnection(host, url.port, timeout=timeout)
    return http.client.HTTPSConnection(host, url.port, timeout=timeout, context=tls_context(credentials))


def call(
    credentials: Credentials, method: str, path: str, body: Any = None, *, content_type: str = "application/json"
) -> dict[str, Any]:
    """Send `body` as JSON and return the decoded answer; an answer that is no JSON object is under `text`.

    Raises:
        ApiRefused: The status is 400 or more.
        OSError: There was no answer.
    """
    sent = None if body is None else json.dumps(body).encode()
    status, received = exchange(credentials, method, path, sent, content_type=content_type)
    answer = _decoded(received)
    if status >= _FAILED:
        raise ApiRefused(method, path, status, answer)
    return answer


def _decoded(content: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(content)
    except ValueError:
        answer = None
    return answer if isinstance(answer, dict) else {"text": content.decode(errors="replace")}


def is_ok(credentials: Credentials, path: str) -> bool:
    """Tell whether a GET answers 200 within two seconds."""
    return exchange(credentials, "GET", path, timeout=2)[0] == http.client.OK
