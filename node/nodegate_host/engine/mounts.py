"""Mounts below a directory: found in ``/proc/self/mountinfo``, taken off innermost first, never crossed.

A mount that hangs (NFS without its server) is taken off lazily after a while; whoever deletes afterwards asks again
and stops if any is left.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

UMOUNT_TIMEOUT_S = 10.0
_OCTAL = re.compile(r"\\([0-7]{3})")
_POINT = 4


def mount_points(table: str, below: Path) -> list[Path]:
    """Return the mount points below `below`, innermost first, itself left out; `table` is a mountinfo file's text."""
    found = []
    for line in table.splitlines():
        fields = line.split(" ")
        if len(fields) > _POINT:
            point = Path(_OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[_POINT]))
            if below in point.parents:
                found.append(point)
    return sorted(found, key=lambda each: (len(each.parts), str(each)), reverse=True)


def mounted_below(folder: Path) -> list[Path]:
    """Return what is mounted below `folder` now."""
    return mount_points(Path("/proc/self/mountinfo").read_text(errors="replace"), Path(os.path.realpath(folder)))


def unmount(point: Path) -> str:
    """Take a mount off, lazily if it hangs or is busy; return why it stays, or nothing."""
    if _umount(point):
        return ""
    return "" if _umount(point, "-l") else f"{point} cannot be unmounted"


def _umount(point: Path, *flags: str) -> bool:
    try:
        done = subprocess.run(
            ["umount", *flags, "--", str(point)], capture_output=True, check=False, timeout=UMOUNT_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def remove_tree(folder: Path, *, itself: bool = True) -> list[str]:
    """Delete `folder` on its own file system, links not followed; return what had to stay.

    Args:
        folder: The directory.
        itself: Whether it goes too, not only what is in it.
    """
    try:
        device = folder.lstat().st_dev
    except FileNotFoundError:
        return []
    return [*_empty(folder, device), *(_drop(folder, directory=True) if itself else ())]


def _empty(folder: Path, device: int) -> Iterator[str]:
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        yield f"{folder}: {error.strerror}"
        return
    for entry in entries:
        place = Path(entry.path)
        if not entry.is_dir(follow_symlinks=False):
            yield from _drop(place, directory=False)
        elif entry.stat(follow_symlinks=False).st_dev != device or _is_mounted(place):
            yield f"{place}: something is mounted there, so it stays"
        else:
            yield from _empty(place, device)
            yield from _drop(place, directory=True)


def _is_mounted(place: Path) -> bool:
    """Return whether `place` is a mount point; a bind mount from the same file system has the same device."""
    return place in mounted_below(place.parent)


def _drop(place: Path, *, directory: bool) -> Iterator[str]:
    try:
        if directory:
            place.rmdir()
        else:
            place.unlink()
    except FileNotFoundError:
        return
    except OSError as error:
        yield f"{place}: {error.strerror}"
