"""The folder that a control plane writes into, and the leftovers of those whose caller was killed.

A wish comes in; a new folder of this user's leaves. Rules: a temporary folder carries a lock that its process
holds; a later start removes temporary folders whose lock nobody holds any more (an etcd takes 60 MB and more).
Folders that a caller named, or wants to keep, carry no lock and are never swept.
"""

import fcntl
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hack.cluster.errors import ClusterError

_PREFIX = "nodegate-cluster-"
_LOCK = "owner.lock"


@dataclass(frozen=True, slots=True)
class State:
    """One folder.

    Attributes:
        folder: Its path, absolute.
        lock: Held until `remove`, for a temporary folder.
    """

    folder: Path
    lock: IO[bytes] | None = None

    def clear(self) -> None:
        """Remove what is inside, except the lock."""
        for entry in self.folder.iterdir():
            if entry.name != _LOCK:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.release()

    def release(self) -> None:
        """Give up the lock."""
        if self.lock:
            self.lock.close()


def new_state(given: Path | None, *, keep: bool) -> State:
    """Return the folder for a new control plane.

    Args:
        given: A new or empty folder; None makes a temporary one.
        keep: Whether a temporary folder stays.

    Raises:
        ClusterError: The given folder is not empty.
    """
    if given is None:
        sweep()
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        return State(folder, None if keep else _lock(folder))
    given.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any(given.iterdir()):
        raise ClusterError(f"{given}: expected an empty folder, found files; remove them or name another")
    return State(given.resolve())


def _lock(folder: Path) -> IO[bytes]:
    # Renamed when held, so that no sweep ever sees it free.
    lock = (folder / "lock.new").open("wb")
    fcntl.flock(lock, fcntl.LOCK_EX)
    (folder / "lock.new").rename(folder / _LOCK)
    return lock


def sweep() -> None:
    """Remove temporary folders whose process is gone."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_LOCK}"):
        with suppress(OSError), path.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path.parent)
