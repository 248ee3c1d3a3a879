"""Flags go in, an API server that answers comes out: the kubernetes package behind a few lines.

Rules: kubeconfigs are read by the kubernetes package (exec plugins, every kind of credentials), never
by hand; bodies are plain JSON, never its models. No redirect is followed and nothing is written. Every
failure is an `ApiError` by what to do next. Import this only where the cluster is asked.
"""

import argparse
import base64
import json
import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import urllib3
import yaml
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from nodegate import __version__
from nodegate.cli.exits import Exit, Stopped
from nodegate.errors import ApiError, Expired, Forbidden, NotFound, Unauthorized, Unavailable
from nodegate.text import visible

PAGE = 500
"""Objects a page of a list, as kubectl asks for them."""

_BY_STATUS: Mapping[int, type[ApiError]] = {403: Forbidden, 404: NotFound, 410: Expired}
_OK, _CREATED, _UNAUTHORIZED = 200, 201, 401
_GRACE_S = 10
"""Seconds that a watch may be silent beyond its end before it counts as broken."""

_CHUNK = 65536


class Connection:
    """One API server, asked as one user."""

    def __init__(self, settings: client.Configuration, headers: urllib3.HTTPHeaderDict, timeout_s: float) -> None:
        self._client = client.ApiClient(settings)
        self._client.user_agent = f"kubectl-nodegate/{__version__}"
        self._headers = headers
        self._timeout_s = timeout_s
        self.host = str(settings.host)

    def close(self) -> None:
        """Close what is open to the API server."""
        self._client.close()  # type: ignore[no-untyped-call] # the package has no types here

    def get(self, path: str, **query: str | int) -> Any:
        """Return the JSON under a path.

        Raises:
            ApiError: It was refused, or there was no usable answer.
        """
        return self._answer(self._send("GET", path, query), f"GET {path}")

    @property
    def verified(self) -> bool:
        """Whether the API server has to prove who it is."""
        return bool(self._client.configuration.verify_ssl) and self.host.startswith("https:")

    def ca(self) -> str:
        """Return the CA by which the API server is known, base64 of PEM; empty when it is the host's own.

        Raises:
            Stopped: The kubeconfig's CA cannot be read.
        """
        settings = self._client.configuration
        data = settings.ca_cert_data
        try:
            pem = data.encode() if isinstance(data, str) else data
            if pem is None and settings.ssl_ca_cert:
                pem = Path(settings.ssl_ca_cert).read_bytes()
        except OSError as error:
            raise Stopped(Exit.USAGE, f"expected the kubeconfig's CA to be readable, found: {error}") from error
        return base64.b64encode(pem or b"").decode()

    def ask(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return the answer to a review, which is posted and kept nowhere.

        Raises:
            ApiError: As `get` says.
        """
        return self._answer(self._send("POST", path, {}, body), f"POST {path}")

    def clock(self) -> tuple[Any, str]:
        """Return what the API server says of its version, and the Date that it stamped on the answer.

        Raises:
            ApiError: As `get` says.
        """
        response = self._send("GET", "/version", {})
        return self._answer(response, "GET /version"), str(response.headers.get("Date") or "")

    def events(self, path: str, version: str, *, lasts_s: int) -> Iterator[Mapping[str, Any]]:
        """Yield the events of a watch until it ends by itself.

        Args:
            path: The path of the list that is watched.
            version: The resourceVersion to begin after.
            lasts_s: Seconds after which the API server is to end it.

        Raises:
            ApiError: It was refused, or broke off.
        """
        query: dict[str, str | int] = {
            "watch": "true",
            "resourceVersion": version,
            "timeoutSeconds": lasts_s,
            "allowWatchBookmarks": "true",
        }
        response = self._send("GET", path, query, silent_s=lasts_s + _GRACE_S)
        if response.status != _OK:
            self._answer(response, f"GET {path}")
        try:
            yield from map(json.loads, _lines(response.response))
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise Unavailable(0, "Broken", f"the watch of {path} broke off: {_reason(error)}") from error
        finally:
            response.response.close()

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int],
        body: Mapping[str, Any] | None = None,
        *,
        silent_s: float | None = None,
    ) -> Any:
        """Send a request and return the answer, whose body is not read yet."""
        accepted = {"Accept": "application/json"} | ({"Content-Type": "application/json"} if body else {})
        method, url, headers, *_ = self._client.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params=accepted,
            auth_settings=["BearerToken"],
        )
        every = urllib3.HTTPHeaderDict(headers)
        every.extend(self._headers)
        try:
            with warnings.catch_warnings():
                # Whoever asks for no verification knows it; kubectl does not nag either.
                warnings.simplefilter("ignore", urllib3.exceptions.InsecureRequestWarning)
                timeout = self._timeout_s or None
                limits = timeout if silent_s is None else (timeout, silent_s)  # In all; or to connect and of silence.
                return self._client.call_api(method, url, every, body, _request_timeout=limits)
        except (urllib3.exceptions.HTTPError, ApiException, OSError) as error:
            raise self._unreachable(error) from error

    def _answer(self, response: Any, request: str) -> Any:
        """Return the JSON of an answer."""
        try:
            data = response.read()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._unreachable(error) from error
        return _decoded(response.status, data, request)

    def _unreachable(self, error: Exception) -> Unavailable:
        message = f"no answer from {self.host}: {_reason(error)}; check the address and the network"
        return Unavailable(0, "Unreachable", message)

    def objects(self, path: str, kind: str, api_version: str, **query: str | int) -> Iterator[dict[str, Any]]:
        """Yield the objects of a list, page by page, each with its kind, which lists leave out.

        Raises:
            ApiError: As `get` says.
        """
        page = self.get(path, limit=PAGE, **query)
        while True:
            for item in page.get("items") or ():
                yield {"apiVersion": api_version, "kind": kind, **item}
            more = (page.get("metadata") or {}).get("continue")
            if not more:
                return
            page = self.get(path, limit=PAGE, **{**query, "continue": more})

    def object(self, path: str, name: str, kind: str, api_version: str) -> dict[str, Any]:
        """Return one object by name.

        Raises:
            ApiError: As `get` says.
        """
        if name in {"", ".", ".."} or "/" in name or "%" in name:
            raise Stopped(Exit.USAGE, f"expected the name of a {kind}, found {visible(name) or 'nothing'}")
        return {"apiVersion": api_version, "kind": kind, **self.get(f"{path}/{quote(name, safe='')}")}


def _lines(response: urllib3.HTTPResponse) -> Iterator[bytes]:
    """Yield the lines of a streamed answer as they come."""
    rest = b""
    for chunk in response.stream(_CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from filter(None, lines)


def _decoded(status: int, data: bytes, request: str) -> Any:
    try:
        body = json.loads(data)
    except ValueError:
        body = None
    if status in {_OK, _CREATED} and isinstance(body, dict):
        return body
    told = body if isinstance(body, dict) else {}
    if status == _UNAUTHORIZED:
        raise Unauthorized(status, "Unauthorized", "the credentials are refused; log in again, or check --context")
    message = visible(str(told.get("message") or f"{request} was answered without a JSON object"), 400)
    error = _BY_STATUS.get(status, Unavailable)
    raise error(status, visible(str(told.get("reason") or "Unexpected")), message)


def _reason(error: Exception) -> str:
    """Return what went wrong in the innermost error's words, in one line."""
    inner: BaseException = error
    while (deeper := inner.__cause__ or inner.__context__) is not None:
        inner = deeper
    text = getattr(inner, "strerror", None) or getattr(inner, "reason", None) or str(inner) or type(inner).__name__
    return visible(" ".join(str(text).split()), 200)


def connect(args: argparse.Namespace) -> Connection:
    """Return the API server that the connection flags name.

    Raises:
        Stopped: There is no kubeconfig, or it cannot be used.
    """
    settings = client.Configuration()
    # Messages of the kubernetes package go to stderr through the root logger; what matters is told by our own.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    try:
        _load(args, settings)
    except (config.ConfigException, yaml.YAMLError, OSError, ValueError, TypeError, KeyError) as error:
        why = visible(" ".join(str(error).split()), 300)
        raise Stopped(Exit.USAGE, f"expected a usable kubeconfig, found: {why}") from error
    settings.retries = False  # One try: a person waits. It also means that no redirect is followed.
    _override(args, settings)
    try:
        return Connection(settings, _impersonation(args), args.request_timeout)
    except OSError as error:
        raise Stopped(Exit.USAGE, f"expected the kubeconfig's certificates to be readable, found: {error}") from error


def _load(args: argparse.Namespace, settings: client.Configuration) -> None:
    """Read the kubeconfig, or, without any, the credentials that a Pod has."""
    default = os.environ.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser())
    chosen = args.kubeconfig or default
    # The package has no types for these two.
    load: Any = config.load_kube_config
    load_in_pod: Any = config.load_incluster_config
    there = any(Path(part).expanduser().exists() for part in chosen.split(os.pathsep) if part)
    if there:
        load(chosen, context=args.context, client_configuration=settings, persist_config=False)
    elif args.kubeconfig or not os.environ.get("KUBERNETES_SERVICE_HOST"):
        if not args.server:
            raise config.ConfigException(f"no file {chosen}; set KUBECONFIG or give --kubeconfig")
    else:
        load_in_pod(client_configuration=settings)


def _override(args: argparse.Namespace, settings: client.Configuration) -> None:
    """Let the flags win over the kubeconfig, as kubectl does."""
    if args.server:
        settings.host = args.server.rstrip("/")
    if args.token:
        settings.api_key["BearerToken"] = f"Bearer {args.token}"
        settings.refresh_api_key_hook = None
        settings.cert_file = settings.key_file = None
    if args.insecure_skip_tls_verify:
        settings.verify_ssl = False


def _impersonation(args: argparse.Namespace) -> urllib3.HTTPHeaderDict:
    headers = urllib3.HTTPHeaderDict()
    if args.as_user:
        headers.add("Impersonate-User", args.as_user)
    for group in args.as_group or ():
        headers.add("Impersonate-Group", group)
    return headers
