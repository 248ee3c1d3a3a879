"""What the outer machine must have before it can run test hosts, and how it gets it.

Nothing comes in; a list of what is missing leaves, or the packages are installed with apt-get when a person or CI
asks for that (`install`). Rules: nothing is ever installed in passing; the message names the command that helps.
"""

import os
import shutil
import sys

from hack.cluster.toolchain import Log, watched
from hack.hosts.errors import NotPossible

PACKAGES = {
    "systemd-nspawn": "systemd-container",
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "mount": "mount",
}
"""Program to the Debian package that holds it."""


def missing() -> list[str]:
    """Return what is missing, in words for people; empty when test hosts can run."""
    if sys.platform != "linux":
        return ["Linux"]
    found = [] if os.geteuid() == 0 else ["root"]
    return found + [f"{name} (Debian: {package})" for name, package in PACKAGES.items() if not shutil.which(name)]


def check() -> None:
    """Check that test hosts can run.

    Raises:
        NotPossible: They cannot.
    """
    if lacking := missing():
        raise NotPossible(
            "test hosts: expected root on Linux with systemd-nspawn, debootstrap and iproute2, found no"
            f" {', no '.join(lacking)}; as root run: python -m hack.hosts prepare"
        )


def install(log: Log) -> None:
    """Install the missing packages with apt-get; nothing when none is missing.

    Raises:
        NotPossible: This is not root, or there is no apt-get.
        BuildFailed: apt-get failed, with the end of its output.
    """
    wanted = sorted({package for name, package in PACKAGES.items() if not shutil.which(name)})
    if not wanted:
        return
    if os.geteuid() or not shutil.which("apt-get"):
        raise NotPossible(f"expected root and apt-get, found neither or one; install by hand: {' '.join(wanted)}")
    log(f"installing {' '.join(wanted)}")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    watched(["apt-get", "update", "-qq"], "apt-get update", log, environment=quiet)
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *wanted]
    watched(install, "apt-get install", log, environment=quiet)
