"""`Hosts`: a bridge with machines on it, and the promise that nothing of them stays.

Names and programs come in; hosts leave. Everything made carries one id: the cgroup `nodegate-<id>`, the bridge
`ngb-<id>` and the folder `<cache>/hosts/run/<id>`, so that it can be taken down without a record of it. Rules: the
folder's lock is held as long as its owner lives; a guard process takes everything down when the owner dies, and
`sweep`, at every start, when the guard died too.
"""

import fcntl
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from hack.cluster.binaries import cache_root, locked
from hack.cluster.process import wait_until
from hack.cluster.toolchain import Log
from hack.hosts import needs, rootfs
from hack.hosts.cgroups import Cgroup
from hack.hosts.errors import HostError
from hack.hosts.host import Host
from hack.hosts.mounts import remove_tree
from hack.hosts.network import Bridge

PROGRAMS = "/opt/kube"
"""Where a host finds the programs it was given."""

DATA = ("/var/lib/containerd", "/var/lib/docker", "/var/lib/kubelet")
"""Folders of a host on a real file system: an overlay cannot hold a container runtime's overlays."""

_REPOSITORY = Path(__file__).resolve().parents[2]
_FIRST_ADDRESS = 11
_GUARD_S = 30


class Hosts:
    """A bridge of its own, as context manager or with `start` and `stop`.

    Args:
        log: Called with one line for each step.

    Attributes:
        address: The bridge's, with the network's length; the hosts' gateway, and what programs on the outer
            machine listen on for them.
        folder: Everything on disk.
        guard: The process that takes everything down when this one dies.
    """

    address: IPv4Interface
    folder: Path

    def __init__(self, log: Log | None = None) -> None:
        self._log = log or (lambda _: None)
        self._identity = ""
        self._lock: IO[bytes] | None = None
        self.guard: subprocess.Popen[bytes] | None = None
        self._hosts: list[Host] = []

    @property
    def network(self) -> IPv4Network:
        """The hosts' network."""
        return self.address.network

    @property
    def gateway(self) -> str:
        """The bridge's address, as text."""
        return str(self.address.ip)

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    def start(self) -> None:
        """Clean up after owners that are gone, then make the bridge.

        Raises:
            NotPossible: This machine cannot run test hosts.
            BuildFailed: The root file system is not there and cannot be made.
        """
        needs.check()
        self._lower = rootfs.find(self._log)
        sweep(self._log)
        try:
            with _all_locked(self._log):
                self._claim()
                self.guard = _start_guard(self._identity)
                self._bridge = Bridge(self._identity)
                self.address = self._bridge.create()
        except BaseException:
            self.stop()
            raise
        self._log(f"hosts {self._identity}: bridge {self._bridge.name} with {self.address}")

    def _claim(self) -> None:
        self._identity = next(name for name in _identities() if not (_runs() / name).exists())
        self.folder = _runs() / self._identity
        self.folder.mkdir(mode=0o700)
        self._lock = (self.folder / "owner.lock").open("wb")
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def host(
        self,
        name: str,
        *,
        programs: Mapping[str, str | Path] | None = None,
        data: Sequence[str] = DATA,
        read_only: Mapping[Path, str] | None = None,
    ) -> Host:
        """Return a new host, not booted yet.

        Args:
            name: Its host name; one word, new.
            programs: Name to file; they appear in `/opt/kube`, read-only.
            data: Folders that lie on a real file system.
            read_only: More folders of the outer machine, to where they appear.

        Raises:
            HostError: The name is taken, or the kernel refused the disk.
        """
        if any(host.name == name for host in self._hosts):
            raise HostError(f"host {name}: expected a new name, found it taken; use another")
        number = len(self._hosts)
        folder = self.folder / name
        address = IPv4Interface(f"{self.network[_FIRST_ADDRESS + number]}/{self.network.prefixlen}")
        host = Host(
            name, machine=f"ng{self._identity}n{number}", address=address, folder=folder, lower=self._lower,
            bridge=self._bridge.name, gateway=self.gateway, cgroup=Cgroup(f"{_group(self._identity)}/{name}"),
            binds=_made({folder / "data" / path.strip("/").replace("/", "-"): path for path in data}),
            read_only={**_gathered(folder / "programs", programs or {}), **(read_only or {})},
        )  # fmt: skip
        self._hosts.append(host)
        return host

    def stop(self) -> None:
        """End every host without ceremony and remove everything; nothing when it is not started."""
        if not self._identity:
            return
        for host in self._hosts:
            host.discard()
        self._hosts.clear()
        with _all_locked(self._log):
            _take_down(self._identity)
        if self._lock:
            self._lock.close()
        if self.guard and self.guard.stdin:
            self.guard.stdin.close()
            self.guard.wait(_GUARD_S)
        self._identity, self._lock, self.guard = "", None, None


def _identities() -> Iterator[str]:
    while True:
        yield secrets.token_hex(2)


def _runs() -> Path:
    return cache_root() / "hosts" / "run"


def _group(identity: str) -> str:
    return f"nodegate-{identity}"


@contextmanager
def _all_locked(log: Log) -> Iterator[None]:
    """Hold the lock under which folders come and go."""
    _runs().mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(_runs() / "lock", "makes or removes test hosts", log):
        yield


def _made(folders: Mapping[Path, str]) -> Mapping[Path, str]:
    for folder in folders:
        folder.mkdir(parents=True)
    return folders


def _gathered(folder: Path, programs: Mapping[str, str | Path]) -> dict[Path, str]:
    """Return one folder that holds every program under its name."""
    folder.mkdir(parents=True)
    for name, path in programs.items():
        try:
            os.link(path, folder / name)
        except OSError:
            shutil.copy2(path, folder / name)  # Another file system.
    return {folder: PROGRAMS}


def _take_down(identity: str) -> None:
    Cgroup(_group(identity)).end()
    Bridge(identity).remove()
    remove_tree(_runs() / identity)


def _owned(identity: str) -> bool:
    try:
        with (_runs() / identity / "owner.lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def sweep(log: Log | None = None, *, only: str = "") -> list[str]:
    """Take down what owners left that are gone; return their ids.

    Args:
        log: Called with each line of progress.
        only: One id; empty for all.
    """
    say = log or (lambda _: None)
    found: list[str] = []
    with _all_locked(say):
        for folder in sorted(path for path in _runs().iterdir() if path.is_dir()):
            if only in ("", folder.name) and not _owned(folder.name):
                say(f"hosts {folder.name}: their owner is gone; taking them down")
                _take_down(folder.name)
                found.append(folder.name)
    return found


def _start_guard(identity: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "hack.hosts", "guard", identity]
    # Whatever ends the owner closes its end of the pipe; a session of its own keeps Ctrl-C away.
    return subprocess.Popen(
        command, cwd=_REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip


def guard(identity: str) -> None:
    """Wait until standard input ends, which is the owner's end, then take down what it left."""
    sys.stdin.buffer.read()
    # The kernel closes a dying owner's pipe and lock in no promised order.
    wait_until(lambda: not _owned(identity), _GUARD_S, lambda: f"hosts {identity}: their owner lives on")
    sweep(only=identity)
