"""What is written down about the host: what was applied, what it replaced, what runs with what.

Values and their JSON form; no I/O. A `Manifest` is one generation, complete in itself: with its objects the host can
be brought to it from anywhere. `State` says which generation holds and is the point of commitment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Entry:
    """A file as it was applied or found; the content is the generation's object named `sha256`."""

    path: str
    sha256: str
    mode: int
    owner: str
    secret: bool = False
    units: tuple[str, ...] = ()


@dataclass(frozen=True)
class Change:
    """What one generation did to one path; None stands for no file."""

    path: str
    before: Entry | None
    after: Entry | None


@dataclass(frozen=True)
class UnitRecord:
    """A unit of a generation. `ours`: the unit file is rendered, and it is enabled by us."""

    name: str
    ours: bool


@dataclass(frozen=True)
class UnitBefore:
    """How a unit was before a generation touched it: whether it starts at boot, and systemd's ActiveState."""

    name: str
    is_enabled: bool
    active: str


@dataclass(frozen=True)
class Probe:
    """A question to a unit: is it well? `kind`: ``http`` (target: URLs, any answers) or ``file`` (target: path)."""

    unit: str
    kind: str
    target: tuple[str, ...]
    needs_join: bool = False
    """Whether it can only be well once the node has its certificate."""


@dataclass(frozen=True)
class Manifest:
    """One generation.

    Attributes:
        number: Counted from 1; 0 holds the files of others as they were before they were adopted.
        previous: The generation that a rollback goes to.
        created: Seconds since the epoch.
        purpose: ``apply`` or ``rollback to N``.
        files: All files that are ours.
        directories: Directories that were made by us, in any generation.
        made: Those of them that this generation made.
        units: In the order they start.
        changes: What differs from the state before.
        before: The units it touches, as they were.
        restarts: The units it restarts, in order.
        probes: How to ask whether its units are well.
        generated: Paths that our units write while they run, of this and earlier generations; gone with a reset.
    """

    number: int
    previous: int
    created: float
    purpose: str
    files: tuple[Entry, ...] = ()
    directories: tuple[str, ...] = ()
    made: tuple[str, ...] = ()
    units: tuple[UnitRecord, ...] = ()
    changes: tuple[Change, ...] = ()
    before: tuple[UnitBefore, ...] = ()
    restarts: tuple[str, ...] = ()
    probes: tuple[Probe, ...] = ()
    generated: tuple[str, ...] = ()

    def file(self, path: str) -> Entry | None:
        """Return the entry of `path`."""
        return next((each for each in self.files if each.path == path), None)


@dataclass(frozen=True)
class Trying:
    """A generation on trial: the timer `timer` goes back to `previous` unless somebody confirms."""

    generation: int
    previous: int
    timer: str
    until: float


@dataclass(frozen=True)
class State:
    """What holds now. `started`: unit → digests of what it was last started with, by input."""

    generation: int = 0
    started: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    trying: Trying | None = None


@dataclass(frozen=True)
class Journal:
    """A change under way. `phase`: ``files`` (nothing was restarted yet), ``units`` or ``undo``."""

    operation: str
    generation: int
    previous: int
    phase: str


def to_json(value: Any) -> dict[str, Any]:
    """Return the JSON form of a record."""
    return asdict(value)


def _entry(raw: Mapping[str, Any] | None) -> Entry | None:
    return None if raw is None else Entry(**{**raw, "units": tuple(raw["units"])})


def _some_entry(raw: Mapping[str, Any]) -> Entry:
    return Entry(**{**raw, "units": tuple(raw["units"])})


def manifest_from(raw: Mapping[str, Any]) -> Manifest:
    """Return the manifest that `raw` is; raises KeyError or TypeError when it is none."""
    return Manifest(
        number=raw["number"],
        previous=raw["previous"],
        created=raw["created"],
        purpose=raw["purpose"],
        files=tuple(_some_entry(each) for each in raw["files"]),
        directories=tuple(raw["directories"]),
        made=tuple(raw["made"]),
        units=tuple(UnitRecord(**each) for each in raw["units"]),
        changes=tuple(Change(each["path"], _entry(each["before"]), _entry(each["after"])) for each in raw["changes"]),
        before=tuple(UnitBefore(**each) for each in raw["before"]),
        restarts=tuple(raw["restarts"]),
        probes=tuple(Probe(**{**each, "target": tuple(each["target"])}) for each in raw["probes"]),
        generated=tuple(raw["generated"]),
    )


def state_from(raw: Mapping[str, Any]) -> State:
    """Return the state that `raw` is; raises KeyError or TypeError when it is none."""
    trying = raw["trying"]
    return State(raw["generation"], raw["started"], None if trying is None else Trying(**trying))


def journal_from(raw: Mapping[str, Any]) -> Journal:
    """Return the journal that `raw` is; raises TypeError when it is none."""
    return Journal(**raw)
