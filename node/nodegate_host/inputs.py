"""The files that a config names: which they are, where their copies go, and reading them.

A relative path is beside the node.yaml, an absolute one is on the host (under ``--root``). Rendering itself reads
nothing; it gets the bytes. A file that is missing, empty, too large or no PEM where PEM is due is a problem of the
field that named it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from nodegate_host import paths
from nodegate_host.errors import ConfigInvalid, Problem
from nodegate_host.model import NodeConfig

LIMIT = 1024 * 1024
"""Bytes of one input that are read at most; a CA bundle has a few hundred kilobytes."""

_CERTIFICATE = re.compile(rb"-----BEGIN (?:TRUSTED )?CERTIFICATE-----")
_KEY = re.compile(rb"-----BEGIN (?:EC |RSA )?PRIVATE KEY-----")


@dataclass(frozen=True)
class Input:
    """A file to read and where its copy goes.

    Attributes:
        field: The field that names it.
        source: The path as the field has it.
        target: The copy's absolute path on the host.
        form: ``certificate``, ``key`` or ``kubeconfig``.
        units: Who reads the copy.
        secret: Whether it holds a key or a token; the copy is 0600.
    """

    field: str
    source: str
    target: str
    form: str
    units: tuple[str, ...]
    secret: bool = False


def wanted(config: NodeConfig) -> tuple[Input, ...]:
    """Return every input of this config, in the order of the file."""
    kubelet, proxy, flanneld = ("kubelet.service",), ("kube-proxy.service",), ("flanneld.service",)
    etcd = config.flannel.etcd
    found = [
        ("cluster.caFile", config.cluster.ca_file, paths.CA, "certificate", kubelet),
        (
            "bootstrap.kubeconfigFile",
            config.bootstrap.kubeconfig_file,
            paths.BOOTSTRAP_KUBECONFIG,
            "kubeconfig",
            kubelet,
        ),
    ]
    if config.kube_proxy.enabled:
        source = config.kube_proxy.kubeconfig_file
        found.append(("kubeProxy.kubeconfigFile", source, paths.PROXY_KUBECONFIG, "kubeconfig", proxy))
    if config.flannel.enabled:
        found += [
            ("flannel.etcd.caFile", etcd.ca_file, paths.FLANNEL_CA, "certificate", flanneld),
            ("flannel.etcd.certFile", etcd.cert_file, paths.FLANNEL_CERT, "certificate", flanneld),
            ("flannel.etcd.keyFile", etcd.key_file, paths.FLANNEL_KEY, "key", flanneld),
        ]
    return tuple(
        Input(field, source, target, form, readers, secret=form != "certificate")
        for field, source, target, form, readers in found
        if source is not None
    )


def _certificate(content: bytes) -> str | None:
    if b"PRIVATE KEY" in content:
        return "expected certificates only, found a private key in it; take it out"
    return None if _CERTIFICATE.search(content) else "expected PEM certificates, found none"


def _key(content: bytes) -> str | None:
    return None if _KEY.search(content) else "expected a PEM private key without a passphrase, found none"


def _kubeconfig(content: bytes) -> str | None:
    return None if b"clusters" in content else "expected a kubeconfig with a cluster in it, found none"


_FORMS: Mapping[str, Callable[[bytes], str | None]] = {
    "certificate": _certificate,
    "key": _key,
    "kubeconfig": _kubeconfig,
}


def locate(source: str, base: Path, root: Path) -> Path:
    """Return where `source` is: beside the config in `base`, or on the host under `root`."""
    return root / source.lstrip("/") if source.startswith("/") else base / source


def _read(each: Input, path: Path) -> tuple[bytes, str | None]:
    try:
        with path.open("rb") as file:
            content = file.read(LIMIT + 1)
    except OSError as error:
        return b"", f"expected a readable file, found {path}: {error.strerror}"
    if not content.strip():
        return content, f"expected a {each.form}, found an empty file: {path}"
    if len(content) > LIMIT:
        return content, f"expected at most {LIMIT} bytes, found more in {path}"
    wrong = _FORMS[each.form](content)
    return content, f"{wrong}: {path}" if wrong else None


def read_inputs(config: NodeConfig, base: Path, root: Path, source: str = "node.yaml") -> dict[str, bytes]:
    """Return the content of every input by its field.

    Args:
        config: The config.
        base: The directory of the node.yaml.
        root: What stands for the host.
        source: The node.yaml's name, for messages.

    Raises:
        ConfigInvalid: With everything that cannot be used.
    """
    found: dict[str, bytes] = {}
    problems: list[Problem] = []
    for each in wanted(config):
        found[each.field], wrong = _read(each, locate(each.source, base, root))
        if wrong:
            problems.append(Problem(each.field, wrong))
    if problems:
        raise ConfigInvalid(source, tuple(problems))
    return found
