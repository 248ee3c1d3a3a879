"""The root file system of every test host: Debian 12, made once, kept in the cache, never written to again.

Nothing comes in; a folder leaves. Rules: the folder is named after what is in it, appears only when it is complete,
and two callers never make it at the same time (file lock). The mirror is the one that apt of this machine uses.
"""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from hack.cluster.binaries import cache_root, locked
from hack.cluster.toolchain import Log, watched
from hack.hosts import needs
from hack.hosts.mounts import remove_tree

SUITE = "bookworm"
"""Debian 12: systemd 252, runc 1.1.5, CNI plugins 1.1.1."""

PACKAGES = (
    "ca-certificates", "conntrack", "containernetworking-plugins", "curl", "dbus", "iproute2", "iptables", "kmod",
    "mount", "nftables", "procps", "python3", "runc", "systemd", "systemd-sysv", "util-linux",
)  # fmt: skip
"""Beside Debian's minimal set; the programs under test come in by a bind."""


def location() -> Path:
    """Return where the root file system is or will be."""
    recipe = "\n".join((SUITE, *PACKAGES)).encode()
    return cache_root() / "hosts" / f"{SUITE}-{hashlib.sha256(recipe).hexdigest()[:12]}"


def find(log: Log | None = None) -> Path:
    """Return the root file system, made when it is not there (about two minutes, once).

    Args:
        log: Called with each line of progress.

    Raises:
        NotPossible: This is not root, or debootstrap is missing.
        BuildFailed: debootstrap failed, with the end of its output.
    """
    say = log or (lambda _: None)
    target = location()
    if target.exists():
        return target
    needs.check()
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(target.with_suffix(".lock"), "makes the root file system", say):
        if not target.exists():
            _make(target, say)
    return target


def _make(target: Path, log: Log) -> None:
    partial = target.with_suffix(".partial")
    remove_tree(partial)
    log(f"making Debian {SUITE} in {target} (about two minutes, once)")
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(partial), *_mirror()]
    try:
        watched(command, "debootstrap", log, environment={**os.environ, **_proxy()})
    except BaseException:
        remove_tree(partial)
        raise
    for left in (partial / "var/cache/apt/archives").glob("*.deb"):
        left.unlink()
    partial.rename(target)


def _mirror() -> list[str]:
    """Return the address that apt takes Debian's main archive from; empty for debootstrap's own default."""
    if not shutil.which("apt-get"):
        return []
    fields = ["--format", "$(CODENAME) $(COMPONENT) $(REPO_URI)", "Created-By: Packages"]
    done = subprocess.run(["apt-get", "indextargets", *fields], capture_output=True, text=True, check=False)
    wanted = f"{SUITE} main "
    return [line.removeprefix(wanted) for line in done.stdout.splitlines() if line.startswith(wanted)][:1]


def _proxy() -> dict[str, str]:
    """Return apt's HTTP proxy in the form that debootstrap understands."""
    if not shutil.which("apt-config"):
        return {}
    read = ["apt-config", "shell", "proxy", "Acquire::http::Proxy"]
    text = subprocess.run(read, capture_output=True, text=True, check=False).stdout.strip()
    return {"http_proxy": text.removeprefix("proxy=").strip("'")} if text else {}
