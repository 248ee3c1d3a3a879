"""The first process of a machine, seen from outside.

The process id of systemd-nspawn comes in; the id of the machine's PID 1 leaves. Rules: it is nspawn's own child, or
grandchild, whose innermost process id is 1; a process is signalled only while it is still that child.
"""

import os
from contextlib import suppress
from pathlib import Path


def find(nspawn: int) -> int:
    """Return the outer process id of a machine's PID 1, or 0 while there is none."""
    for child in _children(nspawn):
        if _innermost(child) == 1:
            return child
        if found := find(child):
            return found
    return 0


def kill(leader: int, nspawn: int, number: int) -> None:
    """Send a signal to a machine's PID 1, if it is still nspawn's."""
    if leader and find(nspawn) == leader:
        with suppress(ProcessLookupError):
            os.kill(leader, number)


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
        return [int(word) for word in text.split()]
    return []


def _innermost(pid: int) -> int:
    with suppress(OSError, IndexError):
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
        return int(status.partition("\nNSpid:")[2].splitlines()[0].split()[-1])
    return 0
