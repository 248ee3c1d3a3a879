"""Kubeconfigs, certificates and keys: who this node is, without keeping any secret.

A `Host` and paths go in, `Kubeconfig` and `IdentityFacts` come out. Rules: tokens and keys stay in `Loaded`, which
shows none of them and lives only as long as the probes need it; whether a key belongs to a certificate is TLS's own
answer, with keys from memory never touching a disk.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from nodegate_host import paths
from nodegate_host.facts import x509
from nodegate_host.facts.host import Host
from nodegate_host.facts.model import Certificate, IdentityFacts, Kubeconfig
from nodegate_host.model import NodeConfig

SECRET_DIRECTORIES = (paths.KUBELET_PKI, "/etc/kubernetes/ssl", paths.FLANNEL_DIR)
"""Ours, and the guide's in the middle."""
_SECRET_ENDINGS = (".key", "-key.pem", ".kubeconfig")


@dataclass(frozen=True)
class Loaded:
    """A kubeconfig with its secrets: PEM texts and token, for probes alone."""

    fact: Kubeconfig
    token: str = field(default="", repr=False)
    certificate: bytes = field(default=b"", repr=False)
    key: bytes = field(default=b"", repr=False)
    authority: str = field(default="", repr=False)


def _named(items: Any, name: Any, inner: str) -> Mapping[str, Any]:
    for each in items if isinstance(items, list) else ():
        if isinstance(each, dict) and each.get("name") == name:
            found = each.get(inner)
            return found if isinstance(found, dict) else {}
    return {}


def _bytes(host: Host, entry: Mapping[str, Any], key: str) -> bytes:
    """Return a field's content, from its ``-data`` or from the file that it names."""
    if entry.get(f"{key}-data"):
        try:
            return base64.b64decode(str(entry[f"{key}-data"]))
        except (binascii.Error, ValueError):
            return b""
    return host.data(str(entry[key])) or b"" if entry.get(key) else b""


@contextlib.contextmanager
def in_memory(content: bytes) -> Iterator[str]:
    """Give bytes a path that OpenSSL can read, without a file on any disk."""
    handle = os.memfd_create("pem")
    try:
        os.write(handle, content)
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)


def load_pair(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Load a certificate and key into a context; raise ssl.SSLError when they do not belong together."""
    with in_memory(certificate) as first, in_memory(key) as second:
        context.load_cert_chain(first, second, password=lambda: b"")


def matches(certificate: bytes, key: bytes) -> bool | None:
    """Whether a key belongs to a certificate; None when one of the two is not there."""
    if not certificate or not key:
        return None
    try:
        load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), certificate, key)
    except (ssl.SSLError, OSError):
        return False
    return True


def certificates(pem: bytes, file: str) -> tuple[tuple[Certificate, ...], str]:
    """Return a PEM's certificates, and why there are none."""
    try:
        found = x509.parse_pem(pem.decode("utf-8", "replace"), file)
    except x509.Malformed as error:
        return (), str(error)
    return found, "" if found else f"no certificate in {file}"


def _parsed(text: str) -> tuple[Mapping[str, Any], str, str]:
    """Return a kubeconfig's document, its state and what is wrong with it."""
    if not text.strip():
        return {}, "empty", "the file is empty"
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        return {}, "invalid", f"the file is no YAML: {' '.join(str(error).split())}"
    if not isinstance(document, dict):
        return {}, "invalid", "the file holds no mapping"
    if not document.get("contexts") or not document.get("clusters"):
        return document, "empty", "the file has no contexts or no clusters"
    return document, "usable", ""


def load(host: Host, path: str) -> Loaded:
    """Read a kubeconfig; its current context counts, or its only one."""
    text = host.text(path)
    if text is None:
        return Loaded(Kubeconfig(path, problem="the file does not exist" if not host.exists(path) else "not readable"))
    document, state, problem = _parsed(text)
    contexts = document.get("contexts") or []
    count = len(contexts) if isinstance(contexts, list) else 0
    if state != "usable":
        return Loaded(Kubeconfig(path, state, problem, count))
    current = document.get("current-context") or (contexts[0].get("name") if count == 1 else None)
    context = _named(contexts, current, "context")
    cluster = _named(document.get("clusters"), context.get("cluster"), "cluster")
    user = _named(document.get("users"), context.get("user"), "user")
    if not context or not cluster:
        problem = f"current-context {current!r} or its cluster is not in the file"
        return Loaded(Kubeconfig(path, "invalid", problem, count))
    return _loaded(host, Kubeconfig(path, state, "", count, str(cluster.get("server", ""))), cluster, user, context)


def _loaded(
    host: Host, fact: Kubeconfig, cluster: Mapping[str, Any], user: Mapping[str, Any], context: Mapping[str, Any]
) -> Loaded:
    token = str(user.get("token") or (host.word(str(user["tokenFile"])) if user.get("tokenFile") else "") or "")
    certificate, key = _bytes(host, user, "client-certificate"), _bytes(host, user, "client-key")
    file = str(user.get("client-certificate") or fact.path)
    parsed, problem = certificates(certificate, file) if certificate else ((), "")
    named = str(user.get("client-certificate") or "")
    if named and not certificate:
        problem = f"client-certificate {named} does not exist"
    filled = replace(
        fact,
        problem=problem,
        user=str(context.get("user", "")),
        token=bool(token),
        certificate=parsed[0] if parsed else None,
        certificate_file=named,
        key_file=str(user.get("client-key") or ""),
        key_matches=matches(certificate, key),
    )
    authority = _bytes(host, cluster, "certificate-authority").decode("utf-8", "replace")
    return Loaded(filled, token, certificate, key, authority)


def cluster_ca(host: Host, config: NodeConfig) -> str:
    """Return the cluster's CA as PEM, empty when its file cannot be read."""
    return config.cluster.ca_data or host.text(config.cluster.ca_file or "") or ""


def secret_paths(host: Host) -> tuple[str, ...]:
    """Return the files that nobody but root may read."""
    found = [
        path
        for path in (paths.KUBELET_KUBECONFIG, paths.BOOTSTRAP_KUBECONFIG, paths.PROXY_KUBECONFIG)
        if host.exists(path)
    ]
    for directory in SECRET_DIRECTORIES:
        names = host.names(directory)
        found += [f"{directory}/{name}" for name in names if name.endswith(_SECRET_ENDINGS)]
        found += [f"{directory}/{name}" for name in names if name.startswith(("kubelet-client-", "kubelet-server-"))]
    return tuple(dict.fromkeys(path for path in found if not path.endswith(".crt")))


def gather(host: Host, config: NodeConfig | None) -> tuple[IdentityFacts, Loaded, Loaded]:
    """Return the facts, and the kubelet's and the bootstrap credential for the probes."""
    kubelet, bootstrap = load(host, paths.KUBELET_KUBECONFIG), load(host, paths.BOOTSTRAP_KUBECONFIG)
    if config and config.bootstrap.kubeconfig_file:
        bootstrap = load(host, config.bootstrap.kubeconfig_file)
    facts = IdentityFacts(
        kubelet=kubelet.fact,
        bootstrap=bootstrap.fact,
        kube_proxy=load(host, (config.kube_proxy.kubeconfig_file if config else "") or paths.PROXY_KUBECONFIG).fact,
        secrets=tuple(host.place(path) for path in secret_paths(host)),
    )
    if config is None:
        return facts, kubelet, bootstrap
    authority, problem = certificates(cluster_ca(host, config).encode(), config.cluster.ca_file or "cluster.caData")
    etcd = config.flannel.etcd
    client, key = host.data(etcd.cert_file or "") or b"", host.data(etcd.key_file or "") or b""
    etcd_ca = certificates(host.data(etcd.ca_file) or b"", etcd.ca_file)[0] if etcd.ca_file else None
    etcd_client = certificates(client, etcd.cert_file or "")[0]
    facts = replace(
        facts,
        ca=authority,
        ca_problem=problem,
        etcd_ca=etcd_ca,
        etcd_client=etcd_client[0] if etcd_client else None,
        etcd_key_matches=matches(client, key),
    )
    return facts, kubelet, bootstrap
