"""Mounts below a folder: found, undone, and never deleted through.

A folder comes in; it leaves unmounted, or removed. Rules: the last mounted goes first; a folder with a mount left
in it is not removed, because what is mounted there is somebody's.
"""

import re
import shutil
import subprocess
from pathlib import Path

from hack.hosts.errors import HostError

_MOUNT_POINT = 4
"""The column of /proc/self/mountinfo (proc_pid_mountinfo(5))."""


def below(folder: Path) -> list[Path]:
    """Return the mount points at and below a folder, the last mounted first."""
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    points = [Path(_plain(line.split()[_MOUNT_POINT])) for line in lines]
    return [point for point in reversed(points) if point == folder or folder in point.parents]


def _plain(text: str) -> str:
    """Undo the octal escapes of spaces and their like."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def unmount(folder: Path) -> None:
    """Unmount everything at and below a folder, lazily where something still uses it."""
    for point in below(folder):
        if subprocess.run(["umount", str(point)], capture_output=True, check=False).returncode:
            subprocess.run(["umount", "--lazy", str(point)], capture_output=True, check=False)


def remove_tree(folder: Path) -> None:
    """Unmount what is below a folder, and remove it; nothing when it is not there.

    Raises:
        HostError: Something stays mounted.
    """
    folder = folder.absolute()
    unmount(folder)
    if left := below(folder):
        raise HostError(f"{folder}: expected nothing mounted below it, found {left[0]}; unmount that, then remove it")
    if folder.exists():
        shutil.rmtree(folder)


def overlay(lower: Path, upper: Path, work: Path, merged: Path) -> None:
    """Mount an overlay; its folders are made.

    Raises:
        HostError: The kernel refused.
    """
    for path in (upper, work, merged):
        path.mkdir(parents=True, exist_ok=True)
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    command = ["mount", "-t", "overlay", "overlay", "-o", options, str(merged)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise HostError(f"{' '.join(command)}: expected an overlay, found: {done.stderr.strip()}")
