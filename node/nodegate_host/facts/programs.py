"""Programs: are they there, for this processor, which version, which flags.

A `Host` and paths go in, `Program` values come out. Rules: the architecture is read from the ELF header, so a program
for another processor is told before it is run; ``--version`` and ``--help`` are asked only on the running host.
"""

from __future__ import annotations

import hashlib
import os
import re

from nodegate_host.facts.host import Host
from nodegate_host.facts.model import Program
from nodegate_host.model import Version

_MACHINES = {
    0x03: "i686",
    0x28: "armv7l",
    0x3E: "x86_64",
    0xB7: "aarch64",
    0xF3: "riscv64",
    0x15: "ppc64le",
    0x16: "s390x",
}
"""e_machine of the ELF header → what ``uname -m`` says."""

_CHUNK = 1024 * 1024
_FLAG = re.compile(r"^\s+(?:-\w, )?(--?[A-Za-z][\w-]*)", re.MULTILINE)
_VERSION = re.compile(r"\bv?(\d+)\.(\d+)\.(\d+)")
_WITH_FLAGS = frozenset({"kubelet", "kube-proxy", "flanneld"})


def _machine(head: bytes) -> str:
    if head[:4] != b"\x7fELF" or len(head) < 20:  # noqa: PLR2004 (e_machine is at 18)
        return ""
    order = "little" if head[5] == 1 else "big"
    number = int.from_bytes(head[18:20], "little" if order == "little" else "big")
    return _MACHINES.get(number, f"ELF machine {number}")


def _digest(host: Host, path: str) -> str:
    found = hashlib.sha256()
    try:
        with host.where(path).open("rb") as file:
            for chunk in iter(lambda: file.read(_CHUNK), b""):
                found.update(chunk)
    except OSError:
        return ""
    return found.hexdigest()


def version_in(text: str) -> Version | None:
    """Return the first version of three numbers in a program's answer."""
    found = _VERSION.search(text)
    return Version(int(found.group(1)), int(found.group(2)), int(found.group(3))) if found else None


def _ask(host: Host, path: str, flag: str) -> str:
    ran = host.run(path, flag)
    return f"{ran.out}\n{ran.err}" if ran else ""


def program(host: Host, name: str, path: str, *, digest: bool = False) -> Program:
    """Return what is known of the program at `path`; its digest only when it is wanted."""
    head = host.data(path, 64)
    if head is None:
        return Program(name, path)
    machine = _machine(head)
    runs = os.access(host.where(path), os.X_OK)
    native = host.live and runs and (not machine or machine == os.uname().machine)
    return Program(
        name,
        path,
        exists=True,
        executable=runs,
        machine=machine,
        version=version_in(_ask(host, path, "--version")) if native else None,
        sha256=_digest(host, path) if digest else "",
        flags=frozenset(_FLAG.findall(_ask(host, path, "--help"))) if native and name in _WITH_FLAGS else frozenset(),
    )


def find(host: Host, name: str) -> str:
    """Return the path of a program that packages bring, or an empty string."""
    for directory in ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", "/opt/bin"):
        if host.exists(f"{directory}/{name}"):
            return f"{directory}/{name}"
    return ""
