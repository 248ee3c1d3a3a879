"""Which units are started or restarted, in which order, why, and what else that does: pure.

A unit restarts when what it was last started with (its files, program, generated files; by digest, from the state)
differs from what it is to run with, when somebody edited one of its files, when its program was replaced under it, or
when systemd has not read its unit's latest text. The order is that of the wish.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nodegate_host.engine.states import Action, Facts, FileChange, Kind, Wish, concerns
from nodegate_host.engine.systemd import UnitFacts
from nodegate_host.model import File, Unit

_EFFECTS = {
    "flanneld.service": "Pods keep running; traffic between nodes pauses; a new lease makes the runtime restart too",
    "docker.service": "every container on this host restarts, unless live-restore is on",
    "containerd.service": "Pods keep running; logs and exec break for a moment",
    "cri-docker.service": "Pods keep running; logs and exec break for a moment",
    "kubelet.service": "Pods keep running; logs and exec break for a moment; the Node may be NotReady for seconds",
    "kube-proxy.service": "Pods and open connections go on; changes of Services wait",
}

_APPLIED_BY = {
    "/etc/modules-load.d/": "systemd-modules-load.service",
    "/etc/sysctl.d/": "systemd-sysctl.service",
    "/etc/NetworkManager/conf.d/": "NetworkManager.service",
    "/etc/systemd/network/": "systemd-networkd.service",
}
_REREAD = {"NetworkManager.service", "systemd-networkd.service"}
"""Daemons that are told to read their files again, if they run; never restarted, since that drops connections."""


def inputs_of(unit: str, files: Iterable[File], others: Mapping[str, str]) -> dict[str, str]:
    """Return what `unit` is to run with: its files and `others` (program, generated files), by digest."""
    own = {each.path: f"{each.sha256}:{each.mode:o}" for each in files if unit in each.units}
    return {**own, **others}


def unit_actions(wish: Wish, facts: Facts, changes: tuple[FileChange, ...]) -> tuple[list[Action], list[str]]:
    """Return enables, runs, starts and restarts in order, and notes on what is left as it is."""
    actions: list[Action] = []
    notes: list[str] = []
    if not facts.has_systemd:
        return actions, notes
    units = [each for each in wish.units if concerns([each.name], wish.only)]
    for unit in units:
        seen = facts.units.get(unit.name, UnitFacts(unit.name))
        if unit.ours and not seen.is_enabled:
            actions.append(Action("enable", unit.name, ("it does not start at boot",)))
    actions.extend(_helpers(wish, changes))
    for unit in units:
        _add_start(unit, wish, facts, changes, actions, notes)
    return actions, notes


def _helpers(wish: Wish, changes: tuple[FileChange, ...]) -> Iterable[Action]:
    """Yield runs of units that only apply a file, as systemd-sysctl.service does."""
    known = {each.name for each in wish.units}
    reasons: dict[str, list[str]] = {}
    for each in changes:
        if each.writes and each.after is not None:
            folders = (unit for folder, unit in _APPLIED_BY.items() if each.path.startswith(folder))
            for name in (*folders, *each.after.units):
                if name not in known:
                    reasons.setdefault(name, []).append(f"{each.path} changes")
    if wish.start:
        # Modules come first: some sysctls exist only with their module.
        for name in sorted(reasons):
            verb = "refresh" if name in _REREAD else "run"
            yield Action(verb, name, tuple(dict.fromkeys(reasons[name])))


def _add_start(
    unit: Unit, wish: Wish, facts: Facts, changes: tuple[FileChange, ...], actions: list[Action], notes: list[str]
) -> None:
    seen = facts.units.get(unit.name, UnitFacts(unit.name))
    if not unit.ours and seen.load == "not-found":
        notes.append(f"{unit.name} is not on this host; install it, then apply again")
        return
    if not seen.is_running:
        if wish.start:
            actions.append(Action("start", unit.name, ("it does not run",)))
        return
    why = _reasons(unit, wish, facts, changes)
    if not why:
        return
    if wish.start and (wish.restart or wish.force):
        actions.append(Action("restart", unit.name, why, _EFFECTS.get(unit.name, "")))
    else:
        notes.append(f"{unit.name} needs a restart ({'; '.join(why)}) and is left running")


def _reasons(unit: Unit, wish: Wish, facts: Facts, changes: tuple[FileChange, ...]) -> tuple[str, ...]:
    seen = facts.units[unit.name]
    reasons = ["it was asked for (--force-restart)"] if wish.force else []
    reasons.extend(_differences(unit, wish, facts))
    drifted = (each for each in changes if each.kind is Kind.DRIFTED and each.after and unit.name in each.after.units)
    reasons.extend(f"{each.path}: {each.why}" for each in drifted)
    if seen.is_program_gone:
        reasons.append("its program was replaced while it ran")
    if seen.needs_reload:
        reasons.append("its unit changed on disk after systemd read it")
    return tuple(dict.fromkeys(reasons))


def _differences(unit: Unit, wish: Wish, facts: Facts) -> Iterable[str]:
    wanted = inputs_of(unit.name, wish.files, facts.inputs.get(unit.name, {}))
    started = facts.started.get(unit.name)
    if started is None:
        mine = [path for path in wanted if path.startswith("/") and any(path == file.path for file in wish.files)]
        yield from (f"{path} is new to it" for path in mine)
        return
    for name in sorted({*wanted, *started}):
        if name not in wanted:
            yield f"{name} goes away"
        elif started.get(name) != wanted[name]:
            yield f"{name} is not what it was started with"
