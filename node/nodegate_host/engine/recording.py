"""A plan written down as a generation: what will hold, what it replaces, how the units were.

With ``--only`` the rest of the last generation is carried over, so every generation is complete.
"""

from __future__ import annotations

from collections.abc import Mapping

from nodegate_host.engine.atomic import Live
from nodegate_host.engine.generations import Generations
from nodegate_host.engine.records import Change, Entry, Manifest, UnitBefore, UnitRecord
from nodegate_host.engine.states import Facts, FileChange, Plan, Wish, concerns
from nodegate_host.engine.systemd import UnitFacts
from nodegate_host.model import File


def record(wish: Wish, facts: Facts, plan: Plan, number: int, now: float) -> Manifest:
    """Return the manifest of what `plan` makes of the host; purpose, previous and probes are the caller's."""
    made = tuple(each.target for each in plan.actions if each.verb == "mkdir")
    old = facts.last.directories if facts.last else ()
    return Manifest(
        number=number,
        previous=0,
        created=now,
        purpose="",
        files=(*(_wanted(each) for each in wish.files if concerns(each.units, wish.only)), *_carried(wish, facts)),
        directories=tuple(dict.fromkeys([*old, *made])),
        made=made,
        units=_units(wish, facts),
        changes=tuple(_change(each) for each in plan.changes if each.writes),
        before=_before(wish, facts),
        restarts=tuple(each.target for each in plan.restarts),
        generated=tuple(dict.fromkeys([*(facts.last.generated if facts.last else ()), *wish.generated])),
    )


def objects_of(manifest: Manifest, wish: Wish, facts: Facts, generations: Generations) -> Mapping[str, bytes]:
    """Return every content that `manifest` names, by digest."""
    objects = {each.sha256: each.content for each in wish.files}
    objects.update((each.sha256, each.content) for each in facts.live.values() if each.kind == "file")
    named = {entry.sha256 for entry in manifest.files}
    for change in manifest.changes:
        named.update(entry.sha256 for entry in (change.before, change.after) if entry is not None)
    for sha256 in named - objects.keys():
        last = facts.last.number if facts.last else 0
        objects[sha256] = generations.object(0 if _is_original(manifest, facts, sha256) else last, sha256)
    return {sha256: objects[sha256] for sha256 in sorted(named)}


def _is_original(manifest: Manifest, facts: Facts, sha256: str) -> bool:
    originals = {each.sha256 for each in facts.originals.values()}
    return sha256 in originals and sha256 not in {each.sha256 for each in manifest.files}


def _wanted(file: File) -> Entry:
    return Entry(file.path, file.sha256, file.mode, file.owner, secret=file.secret, units=file.units)


def _carried(wish: Wish, facts: Facts) -> tuple[Entry, ...]:
    if facts.last is None or not wish.only:
        return ()
    return tuple(each for each in facts.last.files if not concerns(each.units, wish.only))


def _units(wish: Wish, facts: Facts) -> tuple[UnitRecord, ...]:
    known = {each.name for each in facts.last.units} if facts.last else set()
    chosen = [each for each in wish.units if not wish.only or each.name in wish.only or each.name in known]
    return tuple(UnitRecord(each.name, each.ours) for each in chosen)


def _before(wish: Wish, facts: Facts) -> tuple[UnitBefore, ...]:
    names = [*(each.name for each in wish.units), *(each.name for each in (facts.last.units if facts.last else ()))]
    seen = (facts.units.get(name, UnitFacts(name)) for name in dict.fromkeys(names) if facts.has_systemd)
    return tuple(UnitBefore(each.name, each.is_enabled, each.active) for each in seen)


def _change(change: FileChange) -> Change:
    if change.after is not None:
        return Change(change.path, _found(change.path, change.live), _wanted(change.after))
    return Change(change.path, _found(change.path, change.live), change.original)


def _found(path: str, live: Live) -> Entry | None:
    return Entry(path, live.sha256, live.mode, live.owner, secret=True) if live.kind == "file" else None
