"""SELinux labels of written files: a file that was renamed into place keeps the label of where it was made.

``restorecon`` puts the policy's label on them; where SELinux is off, or in a directory that stands for a host, there
is nothing to do.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from nodegate_host.engine.atomic import Disk

_SWITCH = Path("/sys/fs/selinux/enforce")
_TIMEOUT_S = 30.0


def restore_labels(disk: Disk, paths: Sequence[str]) -> str:
    """Label `paths` as the policy says; return what went wrong, or nothing."""
    if disk.root != Path("/") or not _SWITCH.exists() or not paths:
        return ""
    try:
        done = subprocess.run(
            ["restorecon", "--", *paths], capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"restorecon: {error}"
    return done.stderr.strip() if done.returncode else ""
