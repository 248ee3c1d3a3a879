"""Files on the host, changed so that a reader never sees half a file and nobody can redirect a write.

Absolute host paths go in; `Live` values or nothing come out. Rules: a new file is written beside its target under a
name of its own (O_EXCL, O_NOFOLLOW, mode and owner set before the first byte), synced, and renamed over it; a target
that is a symbolic link is refused; so is a parent that somebody else could change (group- or world-writable, or
another user's). A rename onto a mount point (EBUSY) is an error, never a fallback to writing in place.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import hashlib
import os
import pwd
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from nodegate_host.errors import Refused

LIMIT_BYTES = 64 * 1024 * 1024
"""The largest file that is read whole; configuration is smaller by orders of magnitude."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True)
class Live:
    """What is at a path now.

    Attributes:
        kind: ``absent``, ``file``, ``symlink`` or ``other`` (a directory, a device).
        content: Of a file.
        mode: Permission bits of a file.
        owner: ``user:group`` of a file; numbers where they have no name.
        target: Of a symbolic link, as written.
    """

    kind: str
    content: bytes = field(default=b"", repr=False)
    mode: int = 0
    owner: str = ""
    target: str = ""

    @property
    def sha256(self) -> str:
        """The content's digest, in hex."""
        return hashlib.sha256(self.content).hexdigest()


ABSENT = Live("absent")


def owner_name(uid: int, gid: int) -> str:
    """Return ``user:group``, with numbers for what has no name here."""
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = str(uid)
    try:
        group = grp.getgrgid(gid).gr_name
    except KeyError:
        group = str(gid)
    return f"{user}:{group}"


def owner_ids(owner: str) -> tuple[int, int]:
    """Return uid and gid of ``user:group``; raises `Refused` for a name that this host does not know."""
    user, _, group = owner.partition(":")
    try:
        uid = int(user) if user.isdigit() else pwd.getpwnam(user).pw_uid
        gid = int(group) if group.isdigit() else grp.getgrnam(group or user).gr_gid
    except KeyError as error:
        raise Refused(f"expected an owner that exists on this host, found {owner!r}; create it first") from error
    return uid, gid


@dataclass(frozen=True)
class Disk:
    """The host's files under `root` (``/``, or a directory that stands for the host)."""

    root: Path

    @property
    def keeps_owners(self) -> bool:
        """Whether owners can be set and so are compared: only root can give files away."""
        return os.geteuid() == 0

    def at(self, path: str) -> Path:
        """Return where the host's absolute `path` is."""
        return self.root / path.lstrip("/")

    def look(self, path: str) -> Live:
        """Return what is at `path`, following no link in its last part; raises `OSError` when it cannot be read."""
        place = self.at(path)
        try:
            state = place.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return ABSENT
        if stat.S_ISLNK(state.st_mode):
            return Live("symlink", target=str(place.readlink()))
        if not stat.S_ISREG(state.st_mode):
            return Live("other")
        return self._read(place, path)

    def _read(self, place: Path, path: str) -> Live:
        with os.fdopen(os.open(place, _READ), "rb") as file:
            state = os.fstat(file.fileno())
            content = file.read(LIMIT_BYTES + 1)
        if len(content) > LIMIT_BYTES:
            raise Refused(f"{path}: expected at most {LIMIT_BYTES} bytes, found more; move the file away")
        return Live("file", content, stat.S_IMODE(state.st_mode), owner_name(state.st_uid, state.st_gid))

    def stage(self, path: str, content: bytes, mode: int, owner: str) -> None:
        """Write `content` beside `path`, ready to be published; the target is not touched."""
        with self._parent(path) as (parent, name):
            self._refuse_odd_target(parent, name, path)
            temporary = _temporary(name)
            _unlink(temporary, parent)
            handle = os.open(temporary, _NEW, 0o600, dir_fd=parent)
            try:
                self._fill(handle, content, mode, owner)
            except BaseException:
                _unlink(temporary, parent)
                raise
            finally:
                os.close(handle)

    def _fill(self, handle: int, content: bytes, mode: int, owner: str) -> None:
        if self.keeps_owners:
            os.fchown(handle, *owner_ids(owner))
        # After the owner: a change of owner clears set-id bits. Before the data: nobody reads it in between.
        os.fchmod(handle, mode)
        view = memoryview(content)
        while view:
            view = view[os.write(handle, view) :]
        os.fsync(handle)

    def publish(self, path: str) -> None:
        """Rename what was staged for `path` over it."""
        with self._parent(path) as (parent, name):
            self._refuse_odd_target(parent, name, path)
            try:
                os.rename(_temporary(name), name, src_dir_fd=parent, dst_dir_fd=parent)
            except OSError as error:
                if error.errno != errno.EBUSY:
                    raise
                raise Refused(
                    f"{path}: expected a plain file, found a mount point; unmount it (umount {path}) first"
                ) from error
            os.fsync(parent)

    def write(self, path: str, content: bytes, mode: int = 0o644, owner: str = "root:root") -> None:
        """Stage and publish in one."""
        self.stage(path, content, mode, owner)
        try:
            self.publish(path)
        except BaseException:
            self.discard(path)
            raise

    def discard(self, path: str) -> None:
        """Remove what was staged for `path`, if anything."""
        if self.at(path).parent.is_dir():
            with self._parent(path) as (parent, name):
                _unlink(_temporary(name), parent)

    def remove(self, path: str) -> None:
        """Remove the file (or the link itself) at `path`, if there is one."""
        if self.at(path).parent.is_dir():
            with self._parent(path) as (parent, name):
                _unlink(name, parent)
                os.fsync(parent)

    def make_directory(self, path: str, mode: int = 0o755, owner: str = "root:root") -> list[str]:
        """Make `path` and its missing parents; return those made, outermost first. What exists is left alone."""
        missing = []
        walk = Path(path)
        while not self.at(str(walk)).is_dir():
            missing.append(str(walk))
            walk = walk.parent
        made = list(reversed(missing))
        for each in made:
            self._make_one(each, mode if each == path else 0o755, owner)
        return made

    def _make_one(self, path: str, mode: int, owner: str) -> None:
        with self._parent(path) as (parent, name):
            os.mkdir(name, 0o700, dir_fd=parent)
            handle = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
            try:
                if self.keeps_owners:
                    os.fchown(handle, *owner_ids(owner))
                os.fchmod(handle, mode)
            finally:
                os.close(handle)
            os.fsync(parent)

    def remove_directory(self, path: str) -> bool:
        """Remove `path` if it is an empty directory; return whether it was."""
        try:
            self.at(path).rmdir()
        except OSError:
            return False
        return True

    @contextlib.contextmanager
    def _parent(self, path: str) -> Iterator[tuple[int, str]]:
        """Open the directory of `path` once, so that every step afterwards is in the directory that was checked."""
        place = self.at(path)
        real = Path(os.path.realpath(place.parent))
        self._refuse_open_parents(real, path)
        handle = os.open(real, _DIRECTORY | os.O_NOFOLLOW)
        try:
            yield handle, place.name
        finally:
            os.close(handle)

    def _refuse_open_parents(self, real: Path, path: str) -> None:
        root = Path(os.path.realpath(self.root))
        if root not in {real, *real.parents}:
            raise Refused(f"{path}: expected a directory under {root}, found a link to {real}; remove the link")
        for each in (real, *real.parents):
            self._refuse_if_open(each, path, is_last=each == real)
            if each == root:
                return

    def _refuse_if_open(self, directory: Path, path: str, *, is_last: bool) -> None:
        state = directory.stat()
        if state.st_uid not in {0, os.geteuid()}:
            owner = owner_name(state.st_uid, state.st_gid)
            raise Refused(f"{path}: {directory} belongs to {owner}, expected root; run chown root:root {directory}")
        # Others may not replace what is in a sticky directory, which is enough for one further up.
        is_open = state.st_mode & 0o022 and (is_last or not state.st_mode & stat.S_ISVTX)
        if is_open:
            mode = stat.S_IMODE(state.st_mode)
            raise Refused(f"{path}: {directory} has mode {mode:04o}, so others can write there; run chmod go-w on it")

    def _refuse_odd_target(self, parent: int, name: str, path: str) -> None:
        try:
            mode = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
        except FileNotFoundError:
            return
        if stat.S_ISLNK(mode):
            raise Refused(f"{path}: expected a plain file, found a symbolic link; remove it (rm {path}) first")
        if not stat.S_ISREG(mode):
            raise Refused(f"{path}: expected a plain file, found a directory or device; move it away first")


def _temporary(name: str) -> str:
    """Return the name that is used while writing; fixed, so that the run after a crash finds it."""
    return f".{name}.nodegate-new"


def _unlink(name: str, parent: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        # Asked first: on a read-only file system removing nothing is an error too.
        os.stat(name, dir_fd=parent, follow_symlinks=False)
        os.unlink(name, dir_fd=parent)
