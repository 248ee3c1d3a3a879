"""The Secrets that a network names, read and made into credentials for etcd and options of the backend.

A network goes in; `Credentials` and secret options come out, with the resourceVersion that they are of. Rules: only
the named Secrets are read, one `get` each; what is missing becomes a `Troubled` that names Secret and key, never a
value.
"""

import base64
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from nodegate.errors import ApiError, Forbidden, NotFound
from nodegate.flannel.apply import read_secret
from nodegate.flannel.etcd.credentials import Credentials
from nodegate.flannel.network import FlannelNetwork, SecretRef, Tls
from nodegate.flannel.options import SECRETS
from nodegate.flannel.trouble import CREDENTIALS, Trouble, Troubled
from nodegate.kube.client import ApiClient

_SYSTEM_CAS: Final = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
"""Where distributions keep the system's authorities (Debian, Red Hat, Alpine)."""


async def etcd_credentials(client: ApiClient, network: FlannelNetwork) -> tuple[Credentials | None, str]:
    """Return what etcd is spoken to with, and the version of the Secret that it is of.

    Returns:
        None where every endpoint is http.

    Raises:
        Troubled: The Secret is missing, may not be read, or lacks a key.
        ApiError: The API server did not answer.
    """
    tls = network.etcd.tls
    if not any(url.startswith("https:") for url in network.etcd.endpoints):
        return None, ""
    if tls.secret is None:
        return Credentials(_system_cas(), server_name=tls.server_name), "system"
    body = await _secret(client, tls.secret)
    version = f"{body['metadata'].get('uid')}/{body['metadata'].get('resourceVersion')}"
    return _credentials(tls, tls.secret, body), version


def _credentials(tls: Tls, ref: SecretRef, body: Mapping[str, Any]) -> Credentials:
    """Return the Secret's content; one without certificate and key trusts and shows nothing."""
    data = body.get("data") or {}
    shows = tls.cert_key in data or tls.key_key in data
    keys = (tls.ca_key, tls.cert_key, tls.key_key) if shows else (tls.ca_key,)
    authority, *pair = (_value(data, ref, key) for key in keys)
    certificate, key = pair or (b"", b"")
    return Credentials(authority, certificate, key, server_name=tls.server_name)


async def backend_secrets(client: ApiClient, network: FlannelNetwork) -> Mapping[str, str]:
    """Return the backend's secret options by flannel's names; empty where it has none.

    Raises:
        Troubled: The Secret is missing, may not be read, or lacks a key.
        ApiError: The API server did not answer.
    """
    ref = network.backend.secret
    if ref is None:
        return {}
    data = (await _secret(client, ref)).get("data") or {}
    names = SECRETS.get(network.backend.type, ())
    return {name: _value(data, ref, ref.key or name).decode(errors="replace").strip() for name in names}


async def _secret(client: ApiClient, ref: SecretRef) -> Mapping[str, Any]:
    where = f"Secret {ref.namespace}/{ref.name}"
    try:
        return await read_secret(client, ref)
    except NotFound:
        raise _troubled("SecretNotFound", f"expected {where}, found none; create it") from None
    except Forbidden as error:
        advice = f"name it in the Role nodegate-flannel of namespace {ref.namespace}"
        raise _troubled("SecretForbidden", f"expected the right to get {where}, found none; {advice}") from error
    except ApiError as error:
        raise _troubled("SecretUnreadable", f"expected {where}, found {error}; it is tried again") from error


def _value(data: Mapping[str, str], ref: SecretRef, key: str) -> bytes:
    where = f"key {key} of Secret {ref.namespace}/{ref.name}"
    if not data.get(key):
        raise _troubled("SecretIncomplete", f"expected {where}, found nothing; add it, or name the key that is there")
    try:
        return base64.b64decode(data[key], validate=True)
    except ValueError:
        raise _troubled("SecretIncomplete", f"expected base64 in {where}, found something else") from None


def _system_cas() -> bytes:
    for name in (ssl.get_default_verify_paths().openssl_cafile, *_SYSTEM_CAS):
        path = Path(name)
        if path.is_file():
            return path.read_bytes()
    raise _troubled("SecretMissing", "expected spec.etcd.tls.secretRef for https endpoints, found none; name a Secret")


def _troubled(reason: str, message: str) -> Troubled:
    return Troubled(Trouble(CREDENTIALS, reason, message))
