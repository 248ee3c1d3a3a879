"""The values that a plan is made from and made of; no logic beyond what names them.

`Wish` (what is wanted) and `Facts` (what there is) go into `plan.make_plan`; `Plan`, with one `FileChange` a path and
ordered `Action`s, comes out.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nodegate_host.engine.atomic import Live
from nodegate_host.engine.records import Entry, Manifest
from nodegate_host.engine.systemd import UnitFacts
from nodegate_host.model import Directory, File, Unit


class Kind(str, enum.Enum):
    """How a path's three states compare."""

    CREATED = "created"
    UPDATED = "updated"
    DRIFTED = "drifted"
    FOREIGN = "foreign"
    UNCHANGED = "unchanged"
    REMOVED = "removed"
    KEPT = "kept"


@dataclass(frozen=True)
class FileChange:
    """What is to become of a path. `after` is None when the file goes; `original` then is what comes back."""

    path: str
    kind: Kind
    live: Live
    after: File | None
    why: str = ""
    original: Entry | None = None

    @property
    def writes(self) -> bool:
        """Whether anything on disk is to change."""
        return self.kind not in {Kind.UNCHANGED, Kind.KEPT}


@dataclass(frozen=True)
class Action:
    """One step. `verb`: mkdir, write, remove, reload, enable, disable, stop, run, refresh, start or restart."""

    verb: str
    target: str
    why: tuple[str, ...] = ()
    effect: str = ""


@dataclass(frozen=True)
class Wish:
    """What is wanted, and how."""

    files: tuple[File, ...]
    units: tuple[Unit, ...]
    directories: tuple[Directory, ...] = ()
    generated: tuple[str, ...] = ()
    adopt: bool = False
    start: bool = True
    restart: bool = True
    """Whether running units may be restarted (``policy.restart: auto``)."""
    force: bool = False
    only: frozenset[str] = frozenset()
    """When not empty: touch these units and their files only."""


@dataclass(frozen=True)
class Facts:
    """What there is. `inputs`: unit → other things it starts with (program, generated files) → digest."""

    last: Manifest | None
    live: Mapping[str, Live]
    units: Mapping[str, UnitFacts] = field(default_factory=dict)
    started: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    inputs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    originals: Mapping[str, Entry] = field(default_factory=dict)
    missing_directories: tuple[str, ...] = ()
    has_systemd: bool = True
    compares_owners: bool = True


@dataclass(frozen=True)
class Plan:
    """The answer. `refused`: sentences that stop it (exit 9); `notes`: what a person should know."""

    changes: tuple[FileChange, ...]
    actions: tuple[Action, ...]
    refused: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether the host is as wanted."""
        return not self.actions

    @property
    def restarts(self) -> tuple[Action, ...]:
        """The units that are started or restarted, in order."""
        return tuple(each for each in self.actions if each.verb in {"start", "restart"})


def concerns(units: Iterable[str], only: frozenset[str]) -> bool:
    """Return whether a file of these units belongs to a run that is limited to `only`."""
    return not only or bool(only & set(units))
