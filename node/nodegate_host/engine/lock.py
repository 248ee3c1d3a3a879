"""One change at a time: flock on ``/run/lock/nodegate-host.lock``, with the holder's process id in the file.

The kernel lets go when the holder ends, however it ends, so there is no stale lock. Who finds it held is told by
whom and gets exit 7.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Iterator

from nodegate_host.engine.atomic import Disk
from nodegate_host.errors import Refused, Stop
from nodegate_host.exits import Exit

PATH = "/run/lock/nodegate-host.lock"
_POLL_S = 0.2


@contextlib.contextmanager
def held(disk: Disk, verb: str, patience_s: float = 0.0) -> Iterator[None]:
    """Hold the lock for `verb`; wait at most `patience_s` for it, then stop with `Exit.LOCKED`."""
    disk.make_directory(os.path.dirname(PATH))  # noqa: PTH120 - a path on the host, not on this file system
    handle = os.open(disk.at(PATH), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        _refuse_somebody_elses(handle)
        _take(handle, patience_s)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()} {verb}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def _refuse_somebody_elses(handle: int) -> None:
    """Refuse a file that another user put there first: the directory is open to all on most distributions."""
    state = os.fstat(handle)
    if not stat.S_ISREG(state.st_mode) or state.st_nlink != 1 or state.st_uid != os.geteuid():
        raise Refused(f"{PATH}: expected a lock file of our own, found one of uid {state.st_uid}; remove it")


def _take(handle: int, patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while not _try(handle):
        if time.monotonic() >= deadline:
            raise _locked(handle)
        time.sleep(_POLL_S)


def _try(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _locked(handle: int) -> Stop:
    pid, _, verb = os.pread(handle, 100, 0).decode(errors="replace").strip().partition(" ")
    holder = f"process {pid} ({verb})" if pid else "another process"
    return Stop(f"{holder} is changing this host and holds {PATH}; wait for it to end and run this again", Exit.LOCKED)
