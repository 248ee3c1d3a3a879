"""The way back: every path and unit that a generation touched, as it was before.

The manifest says what was there; the objects have the content. Each step looks before it acts, so all of it may be
done again after a crash in its middle. A file that is neither what we wrote nor what was there before is left: somebody
else has been there since. That, and a unit that does not come up again, is told, but nothing more can be undone; only
what failed and may succeed later keeps the journal.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from nodegate_host.engine import journal
from nodegate_host.engine.atomic import Disk, Live
from nodegate_host.engine.generations import Generations
from nodegate_host.engine.health import Patience, Watch
from nodegate_host.engine.records import Change, Entry, Journal, Manifest, UnitBefore
from nodegate_host.engine.systemd import Systemctl
from nodegate_host.errors import Stop


@dataclass(frozen=True)
class Undone:
    """How it went. `problems` failed and are tried again by the next run; `left` is as it is, for a person to see."""

    problems: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """All of it, one a line."""
        return "\n  ".join((*self.problems, *self.left))


_RUNNING = {"active", "activating", "reloading"}


class Undo:
    """Undoes generations on one host; without `systemd` only files."""

    def __init__(
        self,
        disk: Disk,
        generations: Generations,
        systemd: Systemctl | None,
        patience: Patience,
        at: Callable[[str], None],
    ) -> None:
        self._disk = disk
        self._generations = generations
        self._systemd = systemd
        self._patience = patience
        self._at = at
        self._problems: list[str] = []
        self._left: list[str] = []

    def run(self, manifest: Manifest, entry: Journal) -> Undone:
        """Undo `manifest`, whose journal is `entry`; the journal stays if there are problems."""
        self._problems, self._left = [], []
        touched_units = entry.phase != "files"
        if touched_units:
            journal.write(self._disk, Journal(entry.operation, entry.generation, entry.previous, "undo"))
        # systemd can only disable what still has its unit file, so this comes before the files.
        self._each_unit(manifest, self._take_down)
        for change in reversed(manifest.changes):
            self._try(f"{change.path}:", partial(self._restore, manifest.number, change))
            self._at(f"undone:{change.path}")
        for path in sorted(manifest.made, reverse=True):
            self._disk.remove_directory(path)
        if self._systemd is not None:
            self._try("systemd:", self._systemd.daemon_reload)
        restarted = manifest.restarts if touched_units else ()
        self._each_unit(manifest, lambda systemd, unit: self._bring_up(systemd, unit, again=unit.name in restarted))
        if touched_units:
            self._wait([each.name for each in manifest.before if each.active == "active"])
        if not self._problems:
            journal.clear(self._disk)
            self._at("undone")
            self._generations.drop(manifest.number)
        return Undone(tuple(self._problems), tuple(self._left))

    def _try(self, what: str, step: Callable[[], None]) -> None:
        try:
            step()
        except (OSError, Stop) as error:
            self._problems.append(f"{what} {error}")

    def _restore(self, number: int, change: Change) -> None:
        self._disk.discard(change.path)
        live = self._disk.look(change.path)
        if _is(live, change.before):
            return
        if not _is(live, change.after) and live.kind != "absent":
            self._left.append(f"{change.path}: somebody changed it meanwhile, so it stays as it is")
            return
        if change.before is None:
            self._disk.remove(change.path)
            return
        old = change.before
        content = self._generations.object(number, old.sha256)
        self._disk.write(change.path, content, old.mode, old.owner)

    def _each_unit(self, manifest: Manifest, step: Callable[[Systemctl, UnitBefore], None]) -> None:
        if self._systemd is not None:
            for unit in manifest.before:
                self._try(f"{unit.name}:", partial(step, self._systemd, unit))
                self._at(f"undone:{unit.name}")

    def _take_down(self, systemd: Systemctl, before: UnitBefore) -> None:
        now = systemd.show([before.name])[before.name]
        if before.active not in _RUNNING and now.active != "inactive":
            systemd.stop(before.name)
            systemd.reset_failed(before.name)
        if now.is_enabled and not before.is_enabled:
            systemd.disable(before.name)

    def _bring_up(self, systemd: Systemctl, before: UnitBefore, *, again: bool) -> None:
        now = systemd.show([before.name])[before.name]
        if before.is_enabled and not now.is_enabled:
            systemd.enable(before.name)
        if before.active in _RUNNING and (again or not now.is_running):
            systemd.restart(before.name)

    def _wait(self, units: list[str]) -> None:
        if self._systemd is None:
            return
        watch = Watch(self._systemd, self._disk, lambda: True)
        deadline = time.monotonic() + self._patience.wait_s
        for unit in units:
            try:
                fault = watch.wait_up(unit, self._patience, deadline)
            except Stop as error:
                fault = str(error)
            if fault:
                self._left.append(f"{unit}: it ran before, and now {fault}")


def _is(live: Live, entry: Entry | None) -> bool:
    if entry is None:
        return live.kind == "absent"
    return live.kind == "file" and (live.sha256, live.mode) == (entry.sha256, entry.mode)
