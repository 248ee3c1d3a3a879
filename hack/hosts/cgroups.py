"""One cgroup in every mounted hierarchy: what a machine runs in, and how all of it is found and ended.

A name comes in; folders below each mount of /proc/self/mounts leave. Rules: works on v1, hybrid and v2; ends
processes by their ids, which stand in the cgroup and so cannot be anybody else's; a cgroup goes with its children.
"""

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hack.hosts.errors import HostError

_END_S = 10


@dataclass(frozen=True, slots=True)
class Cgroup:
    """A cgroup of the same name in every hierarchy.

    Attributes:
        name: Relative to each mount.
    """

    name: str

    @property
    def folders(self) -> list[Path]:
        """Its folder in each hierarchy, made or not."""
        return [mount / self.name for mount in _hierarchies()]

    @property
    def entrances(self) -> list[Path]:
        """The files that a process writes its id to."""
        return [folder / "cgroup.procs" for folder in self.folders]

    def create(self) -> None:
        """Make it; a new v1 cpuset is empty, and nothing may enter before it is filled."""
        names = Path(self.name)
        for mount in _hierarchies():
            for part in (*reversed(names.parents[:-1]), names):
                (mount / part).mkdir(exist_ok=True)
                _fill_cpuset(mount / part)

    def processes(self) -> set[int]:
        """Return the ids of everything in it and below."""
        found: set[int] = set()
        for folder in self.folders:
            for cgroup in _tree(folder):
                with suppress(OSError):
                    found.update(map(int, (cgroup / "cgroup.procs").read_text(encoding="ascii").split()))
        return found

    def end(self) -> None:
        """End everything in it with SIGKILL and remove it; nothing when it is not there.

        Raises:
            HostError: A process or a folder stays.
        """
        deadline = time.monotonic() + _END_S
        while self.processes() or not self._removed():
            for pid in self.processes():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if time.monotonic() > deadline:
                left = sorted(self.processes())
                raise HostError(f"cgroup {self.name}: expected it gone after {_END_S} s, found processes {left}")
            time.sleep(0.05)

    def _removed(self) -> bool:
        for folder in self.folders:
            for cgroup in _tree(folder):
                with suppress(OSError):
                    cgroup.rmdir()
        return not any(folder.exists() for folder in self.folders)


def _tree(folder: Path) -> list[Path]:
    """Return a cgroup and those in it, the innermost first; what vanishes meanwhile is no error, as in os.walk."""
    return [Path(path) for path, _, _ in os.walk(folder, topdown=False)]


def _hierarchies() -> list[Path]:
    rows = [line.split() for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    return [Path(row[1]) for row in rows if row[2] in ("cgroup", "cgroup2") and os.access(row[1], os.W_OK)]


def _fill_cpuset(folder: Path) -> None:
    for name in ("cpuset.cpus", "cpuset.mems"):
        file = folder / name
        # On v2 an empty value means the parent's; only v1 has to be told.
        if (folder / "tasks").exists() and file.exists() and not file.read_text(encoding="ascii").strip():
            file.write_text((folder.parent / name).read_text(encoding="ascii"), encoding="ascii")
