"""Kubeconfigs: written for users, read for their credentials.

A server, its authority and one credential come in; a file with mode 0600 leaves, certificates inlined, and the
other way round. Rules: one cluster, user and context a file; reading understands inlined data, paths relative
to the file, and tokens, which is what kubeadm, kubelets and this package write. Exec plugins are not for here.
"""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hack.cluster.errors import ClusterError
from hack.cluster.pki import Pair, write_private


@dataclass(frozen=True, slots=True)
class Credentials:
    """What it takes to talk to an API server.

    Attributes:
        server: `https://host:port`.
        ca_pem: The authority of the server's certificate.
        certificate_pem: The client certificate, or empty.
        key_pem: Its private key, or empty.
        token: The bearer token, or empty.
    """

    server: str
    ca_pem: bytes
    certificate_pem: bytes = b""
    key_pem: bytes = b""
    token: str = ""


def write_kubeconfig(path: Path, server: str, ca_file: Path, credential: Pair | str, user: str = "user") -> Path:
    """Write a kubeconfig and return its path.

    Args:
        path: Overwritten.
        server: `https://host:port`.
        ca_file: The authority of the server's certificate.
        credential: A client certificate with its key, or a bearer token.
        user: The name of the user entry; only a label.
    """
    cluster = {"server": server, "certificate-authority-data": _encoded(ca_file)}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "nodegate",
        "clusters": [{"name": "nodegate", "cluster": cluster}],
        "users": [{"name": user, "user": _user_entry(credential)}],
        "contexts": [{"name": "nodegate", "context": {"cluster": "nodegate", "user": user}}],
    }
    return write_private(path, yaml.safe_dump(document, sort_keys=False).encode())


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _user_entry(credential: Pair | str) -> dict[str, str]:
    if isinstance(credential, str):
        return {"token": credential}
    return {
        "client-certificate-data": _encoded(credential.certificate),
        "client-key-data": _encoded(credential.key),
    }


def read_kubeconfig(path: Path) -> Credentials:
    """Return the credentials of the current context.

    Raises:
        ClusterError: The file is no kubeconfig, or names something that it does not hold.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        context = _entry(document, "context", document["current-context"])
        cluster = _entry(document, "cluster", context["cluster"])
        user = _entry(document, "user", context["user"])
        return Credentials(
            server=cluster["server"],
            ca_pem=_material(path, cluster, "certificate-authority"),
            certificate_pem=_material(path, user, "client-certificate"),
            key_pem=_material(path, user, "client-key"),
            token=user.get("token", ""),
        )
    except (OSError, KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise ClusterError(f"{path}: expected a kubeconfig with a current context, found {error!r}") from error


def _entry(document: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {item["name"]: item[kind] for item in document[f"{kind}s"]}[name]
    return found


def _material(path: Path, entry: dict[str, str], field: str) -> bytes:
    """Return what `<field>-data` holds or the file `<field>` holds; empty when neither is there."""
    if data := entry.get(f"{field}-data"):
        return base64.b64decode(data)
    return (path.parent / entry[field]).read_bytes() if entry.get(field) else b""
