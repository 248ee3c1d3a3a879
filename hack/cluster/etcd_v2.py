"""Finds an etcd that still serves the v2 keys API, and an etcdctl that still speaks it: Debian's 3.4.

What leaves are two programs' paths. Order: `etcd-v2` and `etcdctl-v2` in `$NODEGATE_BIN_DIR`; the cache; `/usr/bin`
when those are a 3.4 or 3.5; then Debian's packages, fetched with apt and unpacked into the cache, never installed, so
that no service starts. Rules: etcd 3.6 has lost the v2 API for good, so newer ones do not count.
"""

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hack.cluster.binaries import cache_root
from hack.cluster.errors import ClusterError, NotBuildable
from hack.cluster.etcd_members import EtcdMembers

_PACKAGES: Final = {"etcd": "etcd-server", "etcdctl": "etcd-client"}
_SERVES_V2: Final = re.compile(r"(etcd Version|etcdctl version): 3\.[45]\.")


@dataclass(frozen=True, slots=True)
class EtcdV2:
    """The programs.

    Attributes:
        etcd: Needs the flag `--enable-v2=true`.
        etcdctl: Needs `ETCDCTL_API=2`, which `run` sets.
    """

    etcd: Path
    etcdctl: Path

    def run(self, members: EtcdMembers, *arguments: str) -> str:
        """Run etcdctl on the v2 store and return what it prints.

        Raises:
            ClusterError: Its exit status is not 0.
        """
        pki = members.certificates
        files = [
            f"--ca-file={pki.ca.certificate}",
            f"--cert-file={pki.client.certificate}",
            f"--key-file={pki.client.key}",
        ]
        urls = ",".join(members.endpoints)
        command = [str(self.etcdctl), f"--endpoints={urls}", *(files if members.tls else ()), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=_environment())
        if done.returncode:
            said = done.stderr.strip()
            raise ClusterError(f"etcdctl {arguments[0]}: expected exit status 0, found {done.returncode}: {said}")
        return done.stdout


def find_etcd_v2() -> EtcdV2:
    """Return the programs.

    Raises:
        NotBuildable: There are none, and apt cannot fetch Debian's.
    """
    return EtcdV2(_found("etcd"), _found("etcdctl"))


def _environment() -> dict[str, str]:
    return {**os.environ, "ETCDCTL_API": "2"}


def _found(name: str) -> Path:
    cached = cache_root() / "bin" / "etcd-v2" / name
    given = os.environ.get("NODEGATE_BIN_DIR")
    places = [*([Path(given) / f"{name}-v2"] if given else ()), cached, Path("/usr/bin") / name]
    return next((place for place in places if _serves_v2(place)), None) or _fetched(name, cached)


def _serves_v2(program: Path) -> bool:
    if not os.access(program, os.X_OK):
        return False
    said = subprocess.run(
        [program, "--version"], capture_output=True, text=True, check=False, timeout=30, env=_environment()
    )
    return _SERVES_V2.search(said.stdout) is not None


def _fetched(name: str, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    package = _PACKAGES[name]
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=target.parent) as scratch:
        try:
            _run("apt-get", "download", package, folder=scratch)
            archive = next(Path(scratch).glob("*.deb"))
            _run("dpkg-deb", "-x", archive.name, "content", folder=scratch)
            shutil.move(Path(scratch) / "content" / "usr" / "bin" / name, target)
        except (OSError, StopIteration, subprocess.SubprocessError) as error:
            raise NotBuildable(
                f"expected {name} 3.4 or 3.5, found none, and apt cannot fetch {package}: {error};"
                f" put one into NODEGATE_BIN_DIR as {name}-v2"
            ) from error
    if not _serves_v2(target):
        raise NotBuildable(f"{target}: expected {name} 3.4 or 3.5, found another version; put one there")
    return target


def _run(*command: str, folder: str) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300)
