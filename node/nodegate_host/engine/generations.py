"""Generations on disk: ``/var/lib/nodegate/generations/N`` with ``manifest.json`` and ``objects/SHA256``, all 0700.

A generation is complete in itself: its objects are every file that is ours and every file that it replaced. The
manifest is written last, so a directory without one is a leftover of a crash and is dropped. Generation 0 keeps what
others had at paths that were adopted, for good. ``state.json`` names the generation that holds.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import replace

from nodegate_host.engine.atomic import Disk, Live
from nodegate_host.engine.records import Entry, Manifest, State, manifest_from, state_from, to_json
from nodegate_host.errors import Refused, Stop
from nodegate_host.exits import Exit

HOME = "/var/lib/nodegate"
STATE = f"{HOME}/state.json"
FOLDER = f"{HOME}/generations"
KEEP = 5
"""How many generations are kept besides 0: enough to undo a bad day, small enough to read."""

_NUMBER = re.compile(r"(?:0|[1-9][0-9]*)\Z")
_MANIFEST = "manifest.json"


class Generations:
    """The generations of the host that `disk` is."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def state(self) -> State:
        """Return what holds; generation 0 where nothing was ever applied."""
        live = self._disk.look(STATE)
        if live.kind == "absent":
            return State()
        try:
            return state_from(json.loads(live.content))
        except (ValueError, KeyError, TypeError) as error:
            raise _unreadable(STATE, error) from error

    def commit(self, state: State) -> None:
        """Make `state` what holds."""
        self._make_home()
        self._disk.write(STATE, json.dumps(to_json(state), indent=1).encode(), 0o600)

    def numbers(self) -> list[int]:
        """Return the generations with a manifest, oldest first, 0 included when it exists."""
        return [number for number in self._folders() if self._disk.look(_manifest_path(number)).kind == "file"]

    def _folders(self) -> list[int]:
        folder = self._disk.at(FOLDER)
        if not folder.is_dir():
            return []
        return sorted(int(each.name) for each in folder.iterdir() if _NUMBER.match(each.name))

    def next_number(self) -> int:
        """Return the number after all that are there; that of an apply that was undone is given again."""
        return max([*self._folders(), self.state().generation, 0]) + 1

    def load(self, number: int) -> Manifest:
        """Return generation `number`; stops with exit 2 when it is not kept any more."""
        live = self._disk.look(_manifest_path(number))
        if live.kind != "file":
            kept = ", ".join(map(str, self.numbers())) or "none"
            raise Stop(f"generation {number} is not on this host; kept are: {kept}", Exit.USAGE)
        try:
            return manifest_from(json.loads(live.content))
        except (ValueError, KeyError, TypeError) as error:
            raise _unreadable(_manifest_path(number), error) from error

    def current(self) -> Manifest | None:
        """Return the generation that holds, or None."""
        number = self.state().generation
        return self.load(number) if number else None

    def object(self, number: int, sha256: str) -> bytes:
        """Return the content named `sha256` in generation `number`; refuses one that does not match its name."""
        live = self._disk.look(_object_path(number, sha256))
        if live.kind != "file" or live.sha256 != sha256:
            raise Refused(f"{_object_path(number, sha256)}: expected the copy of a file, found none or a damaged one")
        return live.content

    def write(self, manifest: Manifest, objects: Mapping[str, bytes]) -> None:
        """Write a generation; `objects`: digest → content."""
        self._make_home()
        for path in (f"{FOLDER}/{manifest.number}", f"{FOLDER}/{manifest.number}/objects"):
            self._disk.make_directory(path, 0o700)
        for sha256, content in objects.items():
            self._disk.write(_object_path(manifest.number, sha256), content, 0o600)
        text = json.dumps(to_json(manifest), indent=1)
        self._disk.write(_manifest_path(manifest.number), text.encode(), 0o600)

    def remember_original(self, path: str, live: Live) -> None:
        """Keep what somebody else had at `path`, in generation 0, replacing what was kept for it before."""
        old = self.load(0) if 0 in self.numbers() else Manifest(0, 0, 0.0, "before nodegate-host")
        entry = Entry(path, live.sha256, live.mode, live.owner, secret=True)
        others = tuple(each for each in old.files if each.path != path)
        self.write(replace(old, files=(*others, entry)), {live.sha256: live.content})

    def originals(self) -> Mapping[str, Entry]:
        """Return what is kept in generation 0, by path."""
        return {each.path: each for each in self.load(0).files} if 0 in self.numbers() else {}

    def drop(self, number: int) -> None:
        """Forget generation `number`."""
        # Without its manifest it is a leftover, should this be cut short.
        self._disk.remove(_manifest_path(number))
        shutil.rmtree(self._disk.at(f"{FOLDER}/{number}"), ignore_errors=True)

    def prune(self) -> None:
        """Drop what is older than the last `KEEP`, and leftovers without a manifest; never what holds, nor 0."""
        state = self.state()
        held = {0, state.generation, *(() if state.trying is None else (state.trying.previous,))}
        complete = [number for number in self.numbers() if number]
        for number in self._folders():
            if number not in held and number not in complete[-KEEP:]:
                self.drop(number)

    def _make_home(self) -> None:
        for path in (HOME, FOLDER):
            self._disk.make_directory(path, 0o700)


def _manifest_path(number: int) -> str:
    return f"{FOLDER}/{number}/{_MANIFEST}"


def _object_path(number: int, sha256: str) -> str:
    return f"{FOLDER}/{number}/objects/{sha256}"


def _unreadable(path: str, error: Exception) -> Refused:
    return Refused(
        f"{path}: expected what nodegate-host wrote, found something else ({error}); restore it from a backup"
    )
