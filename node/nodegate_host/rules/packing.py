"""``diagnose --bundle OUT.tgz``: what a colleague needs to help, in one archive, without any secret.

Texts go in, a gzipped tar of them comes out. Rules: every text is redacted, keys and kubeconfigs are never taken, the
archive is 0600 and never written over another file; names, order and times in it are fixed, so equal hosts give equal
archives.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from collections.abc import Iterable, Mapping
from typing import Any

from nodegate_host import paths
from nodegate_host.errors import Refused, Usage
from nodegate_host.facts import system, units
from nodegate_host.facts.host import Host
from nodegate_host.redaction import redact
from nodegate_host.rules.model import Line

_FOLDER = "nodegate-diagnosis"
_LINES = 20_000
"""Journal lines that are taken, the newest."""

_FILES = (
    "/etc/os-release",
    paths.KUBELET_CONFIG,
    paths.PROXY_CONFIG,
    paths.SUBNET_ENV,
    paths.DOCKER_ENV,
    paths.CONTAINERD_CONFIG,
    paths.DOCKER_CONFIG,
    paths.MODULES,
    "/etc/resolv.conf",
    "/etc/hosts",
    "/proc/swaps",
    "/proc/cmdline",
)
_DIRECTORIES = ("/etc/cni/net.d",)


def _paths(host: Host) -> list[str]:
    found = [*_FILES, *units.ENVIRONMENT_FILES, *system.sysctl_files(host)]
    for name in (*units.UNITS, "cri-docker.service"):
        found += [units.fragment(host, name), *units.dropins(host, name)]
    for directory in _DIRECTORIES:
        found += [f"{directory}/{name}" for name in host.names(directory)]
    return sorted({path for path in found if path})


def texts(host: Host, lines: Iterable[Line], diagnosis: Mapping[str, Any], config: str | None) -> dict[str, str]:
    """Return the archive's files: name → redacted text; `config` is the node.yaml's own text."""
    kept = list(lines)[-_LINES:]
    found = {f"files{path}": text for path in _paths(host) if (text := host.text(path)) is not None}
    found["journal.txt"] = "".join(f"{line.unit or '-'}: {line.message}\n" for line in kept)
    found["diagnosis.json"] = json.dumps(diagnosis, indent=2, ensure_ascii=False) + "\n"
    if config is not None:
        found["node.yaml"] = config
    return {name: redact(text) for name, text in found.items()}


def archive(found: Mapping[str, str]) -> bytes:
    """Return the gzipped tar of these files."""
    raw = io.BytesIO()
    with (
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for name in sorted(found):
            content = found[name].encode()
            entry = tarfile.TarInfo(f"{_FOLDER}/{name}")
            entry.size, entry.mode = len(content), 0o600
            tar.addfile(entry, io.BytesIO(content))
    return raw.getvalue()


def write(path: str, content: bytes) -> None:
    """Write the archive to a file that does not exist yet.

    Raises:
        Refused: The file exists.
        Usage: It cannot be written.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise Refused(f"expected no file at {path}, found one; name another") from None
    except OSError as error:
        raise Usage(f"expected to write {path}, found: {error.strerror}") from None
    with os.fdopen(handle, "wb") as file:
        file.write(content)
