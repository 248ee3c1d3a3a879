"""Where the API server is and who we are: a kubeconfig or a service account in, ``Credentials`` out.

Order: an explicit kubeconfig, else the pod's service account, else ``$KUBECONFIG`` or
``~/.kube/config``. What cannot be used is said at once (``SettingsInvalid``), never skipped over: a
credential that is half understood would act as somebody else.

Rules: the TLS context is made once; a token that lives in a file is read again after a minute and
after a 401, because service account tokens rotate.
"""

import base64
import logging
import os
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import kopf

from nodegate.errors import SettingsInvalid
from nodegate.kube.kubeconfig import Access, read_kubeconfig

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the kubelet mounts a pod's token and CA (Kubernetes, "Accessing the API from within a Pod")."""

TOKEN_AGE_S: Final = 60.0
"""Seconds for which a token read from a file is used, client-go's own figure."""

_NOTHING_FOUND: Final = (
    "expected credentials for the API server, found none: give --kubeconfig, set KUBECONFIG, "
    "or run in a pod whose service account token is mounted"
)

_log = logging.getLogger("nodegate.kube.credentials")


class TokenSource:
    """A bearer token that is fixed, or kept in a file that somebody rotates.

    Args:
        token: The fixed token; unused when there is a file.
        file: The file, read when first needed.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        token: str | None = None,
        file: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._header = _bearer(token) if token else None
        self._file = file
        self._clock = clock
        self._read_at: float | None = None

    def authorization(self) -> str | None:
        """Return the value of the ``Authorization`` header, or None where a certificate speaks."""
        if self._file is not None and self._is_old():
            self._read(self._file)
        return self._header

    def invalidate(self) -> None:
        """Read the file again before the next use: the API server refused the token."""
        self._read_at = None

    def _is_old(self) -> bool:
        return self._read_at is None or self._clock() - self._read_at >= TOKEN_AGE_S

    def _read(self, file: Path) -> None:
        self._read_at = self._clock()
        try:
            token = file.read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            # The old token may still be good; the API server will say when it is not.
            _log.warning("expected a token in %s, cannot read it: %s; using the one before", file, error)
            return
        if token:
            self._header = _bearer(token)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Everything needed to talk to one API server.

    Attributes:
        server: URL without a slash at the end.
        ssl_context: None for plain HTTP.
        token: Where the bearer token comes from.
        namespace: The namespace of the context or the pod, if one is named.
    """

    server: str
    ssl_context: ssl.SSLContext | None
    token: TokenSource
    namespace: str | None = None

    def authorization(self) -> str | None:
        """Return the value of the ``Authorization`` header, or None where a certificate speaks."""
        return self.token.authorization()

    def invalidate(self) -> None:
        """Forget the token: the API server refused it."""
        self.token.invalidate()


def load_credentials(
    *,
    kubeconfig: Path | None,
    context: str | None,
    environ: Mapping[str, str] = os.environ,
    service_account: Path = SERVICE_ACCOUNT,
) -> Credentials:
    """Return the credentials to use.

    Args:
        kubeconfig: A file given on purpose; nothing else is looked at then.
        context: The kubeconfig context; None takes the current one. It rules out the service account.
        environ: Where ``KUBECONFIG``, ``HOME`` and ``KUBERNETES_SERVICE_HOST`` are looked up.
        service_account: The directory of the pod's token.

    Raises:
        SettingsInvalid: Nothing was found, or what was found cannot be used; says what to do.
    """
    if kubeconfig is None and context is None and _in_pod(environ, service_account):
        return _of_access(_pod_access(environ, service_account))
    files = (kubeconfig,) if kubeconfig is not None else _usual_files(environ)
    if not files:
        raise SettingsInvalid((_NOTHING_FOUND,))
    return _of_access(read_kubeconfig(files, context))


def _in_pod(environ: Mapping[str, str], service_account: Path) -> bool:
    return bool(environ.get("KUBERNETES_SERVICE_HOST")) and (service_account / "token").is_file()


def _pod_access(environ: Mapping[str, str], directory: Path) -> Access:
    # The address is in the environment: unlike kubernetes.default.svc it works before DNS does.
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ.get("KUBERNETES_SERVICE_PORT", "443")
    namespace = directory / "namespace"
    return Access(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        ca_path=directory / "ca.crt",
        token_file=directory / "token",
        namespace=namespace.read_text(encoding="utf-8").strip() if namespace.is_file() else None,
    )


def _usual_files(environ: Mapping[str, str]) -> tuple[Path, ...]:
    listed = tuple(Path(item).expanduser() for item in environ.get("KUBECONFIG", "").split(os.pathsep) if item)
    home = Path(environ.get("HOME", "~")).expanduser() / ".kube" / "config"
    return listed or ((home,) if home.is_file() else ())


def _of_access(access: Access) -> Credentials:
    if access.insecure:
        _log.warning(
            "the certificate of %s is not verified (insecure-skip-tls-verify): never in production", access.server
        )
    tls = _tls(access) if access.server.startswith("https://") else None
    token = TokenSource(access.token, access.token_file)
    return Credentials(access.server.rstrip("/"), tls, token, access.namespace)


def _tls(access: Access) -> ssl.SSLContext:
    try:
        # kopf writes certificate data to private temporary files and removes them once loaded.
        return kopf.ConnectionInfo(
            server=access.server,
            insecure=access.insecure,
            ca_path=access.ca_path,
            ca_data=_pem(access.ca_data),
            certificate_path=access.certificate_path,
            certificate_data=_pem(access.certificate_data),
            private_key_path=access.key_path,
            private_key_data=_pem(access.key_data),
        ).as_ssl_context()
    except (OSError, ValueError) as error:
        raise SettingsInvalid(
            (f"expected usable certificates for {access.server}, cannot load them: {error}; check the files and data",)
        ) from error


def _pem(data: object) -> str | None:
    """Return the PEM text in a kubeconfig's base64, strictly.

    A lenient reading makes nothing of garbage, and without a CA Python trusts every public one.

    Raises:
        ValueError: The data is no base64, or holds no PEM.
    """
    if data is None:
        return None
    text = base64.b64decode("".join(str(data).split()), validate=True).decode("ascii")
    begin = text.find("-----BEGIN ")
    if begin < 0:
        raise ValueError("expected base64 of PEM, found no BEGIN line")
    return text[begin:]


def _bearer(token: str) -> str:
    return f"Bearer {token}"
