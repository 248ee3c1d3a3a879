"""Reads kubeconfig files: paths and a context in, one ``Access`` out.

kopf's own reader knows neither contexts, nor relative paths, nor token files, and passes over what
it does not know. This one refuses by name what it cannot honour (exec plugins, auth providers,
impersonation, proxies): connecting anyway would act as somebody else, or go somewhere else.

The law: Kubernetes, "Organizing Cluster Access Using kubeconfig Files": files are merged, the first
to set a value wins; relative paths are relative to the file that holds them; data wins over a path.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from nodegate.errors import SettingsInvalid

_PATHS: Final = ("certificate-authority", "client-certificate", "client-key", "tokenFile")

_ADVICE: Final = (
    "use a kubeconfig with a certificate, a token or a tokenFile; `kubectl create token SERVICEACCOUNT` makes a token"
)

_REFUSED: Final[tuple[tuple[str, str, str], ...]] = (
    ("user", "exec", f"exec plugins are not run by the operator: {_ADVICE}"),
    ("user", "auth-provider", f"auth providers are gone from Kubernetes since 1.26: {_ADVICE}"),
    ("user", "username", f"basic authentication is gone from Kubernetes since 1.19: {_ADVICE}"),
    ("user", "as", "impersonation is not supported: use the credentials of the user to act as"),
    ("user", "as-uid", "impersonation is not supported: use the credentials of the user to act as"),
    ("user", "as-groups", "impersonation is not supported: use the credentials of the user to act as"),
    ("cluster", "proxy-url", "proxies are not supported: give a server that can be reached directly"),
    (
        "cluster",
        "tls-server-name",
        "another TLS server name is not supported: give a server by a name in its certificate",
    ),
)
"""What would be passed over silently otherwise: where it stands, its key, what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One cluster and one user, as plain values; of a path and its data at most one is set."""

    server: str
    ca_path: Path | None = None
    ca_data: str | None = None
    certificate_path: Path | None = None
    certificate_data: str | None = None
    key_path: Path | None = None
    key_data: str | None = None
    token: str | None = None
    token_file: Path | None = None
    namespace: str | None = None
    insecure: bool = False


def read_kubeconfig(files: Iterable[Path], context: str | None) -> Access:
    """Return the access that the files describe.

    Args:
        files: The files in order of precedence.
        context: The context's name, or None for the current one.

    Raises:
        SettingsInvalid: A file cannot be read, a name leads nowhere, or something is not supported.
    """
    merged = _Merged(tuple(files))
    chosen = context or merged.current
    if not chosen:
        raise _mistake(f"expected a current-context in {merged.shown}, found none: give --context")
    named = merged.entry("contexts", "context", chosen)
    cluster = merged.entry("clusters", "cluster", str(named.get("cluster") or ""))
    user = merged.entry("users", "user", str(named.get("user") or "")) if named.get("user") else {}
    _refuse(cluster, user, merged.shown)
    return _access(cluster, user, named, merged.shown)


class _Merged:
    """The files as one, the first to name a thing winning."""

    def __init__(self, files: tuple[Path, ...]) -> None:
        self.shown = ", ".join(str(file) for file in files)
        self.current: str | None = None
        self._entries: dict[tuple[str, str], dict[str, Any]] = {}
        for file in files:
            self._add(file, _load(file))

    def _add(self, file: Path, document: Mapping[str, Any]) -> None:
        self.current = self.current or document.get("current-context")
        for section, kind in (("contexts", "context"), ("clusters", "cluster"), ("users", "user")):
            for item in document.get(section) or ():
                if not isinstance(item, dict) or not isinstance(item.get(kind) or {}, dict):
                    raise _mistake(f"expected {section} of {file} to be a list of named entries, found other things")
                self._entries.setdefault((section, str(item.get("name"))), _anchored(item.get(kind) or {}, file))

    def entry(self, section: str, kind: str, name: str) -> dict[str, Any]:
        found = self._entries.get((section, name))
        if found is None:
            known = ", ".join(sorted(n for s, n in self._entries if s == section)) or "none"
            raise _mistake(f"expected the {kind} {name!r} in {self.shown}, found {known}: check the name")
        return found


def _load(file: Path) -> Mapping[str, Any]:
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise _mistake(f"expected a kubeconfig in {file}, cannot read it: {error}") from error
    if not isinstance(document, dict):
        raise _mistake(f"expected a kubeconfig in {file}, found {type(document).__name__}: is it the right file?")
    return document


def _anchored(entry: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """Return the entry with its relative paths made relative to the file's directory."""
    paths = {key: str(file.absolute().parent / entry[key]) for key in _PATHS if entry.get(key)}
    return {**entry, **paths}


def _refuse(cluster: Mapping[str, Any], user: Mapping[str, Any], shown: str) -> None:
    parts = {"cluster": cluster, "user": user}
    mistakes = tuple(
        f"{shown}: found {key!r} in the {part}; {advice}" for part, key, advice in _REFUSED if parts[part].get(key)
    )
    if mistakes:
        raise SettingsInvalid(mistakes)


def _access(cluster: Mapping[str, Any], user: Mapping[str, Any], context: Mapping[str, Any], shown: str) -> Access:
    server = str(cluster.get("server") or "")
    if not server.startswith(("https://", "http://")):
        raise _mistake(f"expected the cluster's server in {shown} to be an http(s) URL, found {server!r}")
    if bool(_certificate(user)) != bool(_key(user)):
        raise _mistake(f"expected a client certificate and its key in {shown}, found one of them: add the other")
    return Access(
        server=server,
        ca_path=_path(cluster, "certificate-authority"),
        ca_data=cluster.get("certificate-authority-data"),
        certificate_path=_path(user, "client-certificate"),
        certificate_data=user.get("client-certificate-data"),
        key_path=_path(user, "client-key"),
        key_data=user.get("client-key-data"),
        token=str(user["token"]) if user.get("token") else None,
        # kubectl, too, lets the file win, for it is the one that rotates.
        token_file=_path(user, "tokenFile"),
        namespace=context.get("namespace"),
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
    )


def _certificate(user: Mapping[str, Any]) -> object:
    return user.get("client-certificate") or user.get("client-certificate-data")


def _key(user: Mapping[str, Any]) -> object:
    return user.get("client-key") or user.get("client-key-data")


def _path(entry: Mapping[str, Any], key: str) -> Path | None:
    return Path(entry[key]) if entry.get(key) and not entry.get(f"{key}-data") else None


def _mistake(text: str) -> SettingsInvalid:
    return SettingsInvalid((text,))
