"""What to do, from three states of each file and the units: pure.

In: the desired files and units, what was last applied, what is there now, how the units are. Out: one `FileChange` a
path and the ordered `Action`s. Kinds: created, updated (as last applied, wanted otherwise), drifted (changed by
somebody since), foreign (somebody else's), unchanged, removed (no longer wanted), kept (no longer wanted, but changed
by somebody, so left). Units restart when what they were last started with differs from what they are to run with.
"""

from __future__ import annotations

from collections.abc import Iterable

from nodegate_host.engine.atomic import ABSENT, Live
from nodegate_host.engine.records import Entry
from nodegate_host.engine.restarts import unit_actions
from nodegate_host.engine.states import Action, Facts, FileChange, Kind, Plan, Wish, concerns
from nodegate_host.engine.systemd import UnitFacts
from nodegate_host.model import File

UNIT_FOLDER = "/etc/systemd/system/"
HEADER = b"# Managed by nodegate-host"


def make_plan(wish: Wish, facts: Facts) -> Plan:
    """Return what takes the host from `facts` to `wish`."""
    changes = tuple(_changes(wish, facts))
    units, notes = unit_actions(wish, facts, changes)
    actions = (*_stops(wish, facts), *_file_actions(changes, facts), *_reload(changes, facts), *units)
    refused = (*_refused(changes, adopt=wish.adopt), *_masked(wish, facts))
    kept = tuple(f"{each.path}: {each.why}" for each in changes if each.kind is Kind.KEPT)
    return Plan(changes, actions, refused, (*notes, *kept))


def _changes(wish: Wish, facts: Facts) -> Iterable[FileChange]:
    last = {each.path: each for each in facts.last.files} if facts.last else {}
    wanted = {each.path for each in wish.files}
    for file in wish.files:
        if concerns(file.units, wish.only):
            live = facts.live.get(file.path, ABSENT)
            yield _compare(file, live, last.get(file.path), owners=facts.compares_owners)
    for path, entry in last.items():
        if path not in wanted and concerns(entry.units, wish.only):
            yield from _leaving(entry, facts.live.get(path, ABSENT), facts)


def _compare(file: File, live: Live, last: Entry | None, *, owners: bool) -> FileChange:
    if live.kind == "absent":
        if last is None:
            return FileChange(file.path, Kind.CREATED, live, file, "there is none")
        return FileChange(file.path, Kind.DRIFTED, live, file, "somebody removed it")
    if live.kind == "file" and _is_same(live, file.sha256, file.mode, file.owner, owners=owners):
        return FileChange(file.path, Kind.UNCHANGED, live, file)
    if last is None or live.kind != "file":
        return FileChange(file.path, Kind.FOREIGN, live, file, _stranger(live))
    if _is_same(live, last.sha256, last.mode, last.owner, owners=owners):
        return FileChange(file.path, Kind.UPDATED, live, file, "wanted otherwise than last applied")
    return FileChange(file.path, Kind.DRIFTED, live, file, "somebody changed it after it was applied")


def _is_same(live: Live, sha256: str, mode: int, owner: str, *, owners: bool) -> bool:
    return live.sha256 == sha256 and live.mode == mode and (not owners or live.owner == owner)


def _stranger(live: Live) -> str:
    if live.kind == "symlink":
        return f"it is a symbolic link to {live.target}"
    if live.kind != "file":
        return "it is no plain file"
    if live.content.startswith(HEADER):
        return "it carries nodegate-host's header, but no generation on this host knows it"
    return "it was not written by nodegate-host"


def _leaving(entry: Entry, live: Live, facts: Facts) -> Iterable[FileChange]:
    if live.kind == "absent":
        return
    same = _is_same(live, entry.sha256, entry.mode, entry.owner, owners=facts.compares_owners)
    if live.kind == "file" and same:
        original = facts.originals.get(entry.path)
        why = "no longer wanted" if original is None else "no longer wanted; what was there before comes back"
        yield FileChange(entry.path, Kind.REMOVED, live, None, why, original)
    else:
        yield FileChange(entry.path, Kind.KEPT, live, None, "no longer wanted, but somebody changed it, so it stays")


def _refused(changes: Iterable[FileChange], *, adopt: bool) -> Iterable[str]:
    for each in changes:
        if each.kind is not Kind.FOREIGN:
            continue
        if each.live.kind == "symlink" and each.live.target == "/dev/null" and each.path.startswith(UNIT_FOLDER):
            yield f"{each.path.rpartition('/')[2]} is masked; if it is to run, systemctl unmask it"
        elif each.live.kind != "file":
            yield f"{each.path}: {each.why}; expected a plain file or none; move it away"
        elif not adopt:
            yield f"{each.path}: {each.why}; use --adopt to take it over (a copy is kept) or move it away"


def _masked(wish: Wish, facts: Facts) -> Iterable[str]:
    for unit in wish.units:
        seen = facts.units.get(unit.name)
        is_linked = facts.live.get(UNIT_FOLDER + unit.name, ABSENT).kind == "symlink"
        if seen is not None and seen.is_masked and not is_linked and concerns([unit.name], wish.only):
            yield f"{unit.name} is masked; if it is to run, systemctl unmask {unit.name}"


def _file_actions(changes: Iterable[FileChange], facts: Facts) -> Iterable[Action]:
    for path in facts.missing_directories:
        yield Action("mkdir", path, ("it is missing",))
    for each in changes:
        if each.writes:
            gone = each.after is None and each.original is None
            yield Action("remove" if gone else "write", each.path, (f"{each.kind.value}: {each.why}",))


def _reload(changes: Iterable[FileChange], facts: Facts) -> Iterable[Action]:
    if not facts.has_systemd:
        return
    paths = [each.path for each in changes if each.writes and each.path.startswith(UNIT_FOLDER)]
    stale = [f"{each.name} changed on disk" for each in facts.units.values() if each.needs_reload]
    if paths or stale:
        yield Action("reload", "systemd", (*(f"{path} changes" for path in paths), *stale))


def _stops(wish: Wish, facts: Facts) -> Iterable[Action]:
    """Stop and disable what was ours and is not wanted any more, before its unit file goes."""
    if not facts.has_systemd or facts.last is None:
        return
    wanted = {each.name for each in wish.units}
    for record in reversed(facts.last.units):
        seen = facts.units.get(record.name, UnitFacts(record.name))
        if record.ours and record.name not in wanted and concerns([record.name], wish.only):
            if seen.is_running:
                yield Action("stop", record.name, ("no longer wanted",))
            if seen.is_enabled:
                yield Action("disable", record.name, ("no longer wanted",))
