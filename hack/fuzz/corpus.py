"""The inputs that are kept: vectors and specs in, seeds out, one folder a target.

Rules: a seed is a file named by its digest; what `python -m hack.fuzz --renew` leaves in `tests/corpus` is the
smallest set that reaches what all of them reach.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from hack.fuzz import reader
from hack.vectors.request import Request
from nodegate.csr.pkcs10 import decode_pem

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "tests" / "corpus"
LONGEST = 4096
"""Bytes of one input; a kubelet's request has 500."""

_VECTORS = ROOT / "tests" / "vectors"


def seeds(target: str) -> Iterator[bytes]:
    """Yield what a target begins with."""
    for content in {"pem": _pems, "der": _ders, "info": _infos, "body": _bodies, "enrollment": _enrollments}[target]():
        if 0 < len(content) <= LONGEST:
            yield content


def put(contents: Iterable[bytes], folder: Path) -> None:
    """Write inputs into a folder, each once."""
    folder.mkdir(parents=True, exist_ok=True)
    for content in contents:
        (folder / hashlib.sha256(content).hexdigest()[:16]).write_bytes(content)


@cache
def _vectors() -> tuple[dict[str, Any], ...]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    paths = sorted((_VECTORS / "csr").rglob("*.yaml"))
    return tuple(yaml.load(path.read_text(encoding="utf-8"), loader) for path in paths)  # noqa: S506 - a safe loader, in C where there is one


def _pems() -> Iterator[bytes]:
    for vector in _vectors():
        try:
            yield base64.b64decode(vector["csr"]["spec"]["request"], validate=True)
        except ValueError:
            continue


def _ders() -> Iterator[bytes]:
    for pem in _pems():
        content, _ = decode_pem(pem)
        if content is not None:
            yield content


def _infos() -> Iterator[bytes]:
    """Yield what is signed in each vector's request, as it stands."""
    yield Request().info
    for content in _ders():
        try:
            yield reader.info(content)
        except ValueError:
            continue


def _bodies() -> Iterator[bytes]:
    for vector in _vectors():
        yield json.dumps(vector["csr"], separators=(",", ":")).encode()


def _enrollments() -> Iterator[bytes]:
    for vector in _vectors():
        for manifest in vector["with"]:
            if manifest["kind"] == "NodeEnrollment":
                yield json.dumps(manifest, separators=(",", ":")).encode()
    for path in sorted((_VECTORS / "enrollment").glob("*.yaml")):
        for case in yaml.safe_load(path.read_text(encoding="utf-8"))["cases"]:
            manifest = {"kind": "NodeEnrollment", "metadata": {"name": "node-a"}, "spec": case.get("spec")}
            yield json.dumps(manifest, separators=(",", ":")).encode()
