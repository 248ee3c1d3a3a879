"""The only way to a host's files and programs: read-only, bounded, and always under a root directory.

Paths go in as on the host. Rules: symbolic links are followed inside the root (an absolute target never leaves it);
what cannot be read is None; programs are run only when the root is the running host, or when a test says so, always
with a time limit, and never with a shell.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from nodegate_host.facts.model import Place

HEADER = b"Managed by nodegate-host"
"""The first line of every text file that the tool writes."""

_LIMIT = 4 * 1024 * 1024
"""Bytes of a text file; none that is read here comes near."""
_LINKS = 40
"""As the kernel's own limit of symbolic links in a path."""
TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Ran:
    """What a program said."""

    code: int
    out: str
    err: str


class Host:
    """A host under `root`; `live` says whether its programs may be asked (by default when root is ``/``).

    A relative path is beside the node.yaml, in `base`; an absolute one is on the host.
    """

    def __init__(self, root: str | Path = "/", *, live: bool | None = None, base: str | Path = ".") -> None:
        self.root = Path(root)
        self.base = Path(base)
        self.live = self.root == Path("/") if live is None else live

    def where(self, path: str) -> Path:
        """Return where the host's `path` is, links of its directories and itself followed inside the root."""
        if not path.startswith("/"):
            return self.base / path
        if self.root == Path("/"):
            return Path(path)
        parts = [part for part in path.split("/") if part]
        found: list[str] = []
        links = 0
        while parts:
            part = parts.pop(0)
            if part == "..":
                found = found[:-1]
                continue
            here = self.root.joinpath(*found, part)
            if links < _LINKS and here.is_symlink():
                links += 1
                target = str(here.readlink())
                found = [] if target.startswith("/") else found
                parts = [each for each in target.split("/") if each not in ("", ".")] + parts
            else:
                found.append(part)
        return self.root.joinpath(*found)

    def data(self, path: str, limit: int = _LIMIT) -> bytes | None:
        """Return a file's first `limit` bytes, or None when it cannot be read."""
        try:
            with self.where(path).open("rb") as file:
                return file.read(limit)
        except (OSError, ValueError):
            return None

    def text(self, path: str) -> str | None:
        """Return a file's text (line ends as they are), or None."""
        content = self.data(path)
        return None if content is None else content.decode("utf-8", "replace")

    def word(self, path: str) -> str | None:
        """Return a one-line file's text without its line end."""
        content = self.text(path)
        return None if content is None else content.strip()

    def names(self, path: str) -> tuple[str, ...]:
        """Return the sorted names in a directory; none when it is not there."""
        try:
            return tuple(sorted(each.name for each in self.where(path).iterdir()))
        except OSError:
            return ()

    def is_dir(self, path: str) -> bool:
        """Whether a directory is there."""
        return self.where(path).is_dir()

    def exists(self, path: str) -> bool:
        """Whether anything is there; a link is something even when it leads nowhere."""
        return os.path.lexists(self.root / path.lstrip("/")) or os.path.lexists(self.where(path))

    def place(self, path: str) -> Place:
        """Return what is at `path` itself; a link is told as a link."""
        raw = self.root / path.lstrip("/")
        try:
            found = raw.lstat()
        except OSError:
            return Place(path)
        kind = "link" if raw.is_symlink() else "file" if raw.is_file() else "directory" if raw.is_dir() else "other"
        head = self.data(path, 512) or b"" if kind == "file" else b""
        target = str(raw.readlink()) if kind == "link" else ""
        return Place(path, kind, found.st_mode & 0o7777, found.st_uid, target, HEADER in head, self.label(path))

    def label(self, path: str) -> str | None:
        """Return the SELinux type of a file, or None."""
        try:
            raw = os.getxattr(self.where(path), "security.selinux", follow_symlinks=False)
        except OSError:
            return None
        parts = raw.rstrip(b"\0").decode("ascii", "replace").split(":")
        return parts[2] if len(parts) > 2 else None  # noqa: PLR2004 (user:role:type)

    def run(self, *argv: str, timeout: float = TIMEOUT_S) -> Ran | None:
        """Run a program that only tells something; None when it may not be run, is not there or takes too long."""
        if not self.live:
            return None
        environ = {**os.environ, "LC_ALL": "C", "SYSTEMD_COLORS": "0"}
        try:
            done = subprocess.run(
                argv, capture_output=True, timeout=timeout, check=False, env=environ, stdin=subprocess.DEVNULL
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return Ran(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))
