"""Carries a plan out as a new generation, or takes everything back.

Order: verify the units, record the generation, journal, stage every file, stop what goes, publish every file, reload,
restart in dependency order, wait for health, commit. Whatever fails between the journal and the commit, Ctrl-C
included, is undone, and the outcome's code says how that went (4, 5, 130).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nodegate_host.engine import interrupts, journal, trying
from nodegate_host.engine.health import Health
from nodegate_host.engine.live import other_inputs
from nodegate_host.engine.plan import UNIT_FOLDER
from nodegate_host.engine.recording import objects_of, record
from nodegate_host.engine.records import Journal, Manifest, Probe, State
from nodegate_host.engine.restarts import inputs_of
from nodegate_host.engine.selinux import restore_labels
from nodegate_host.engine.sites import Site
from nodegate_host.engine.states import Action, Facts, FileChange, Kind, Plan, Wish, concerns
from nodegate_host.engine.systemd import Systemctl, SystemdFailed
from nodegate_host.errors import Stop
from nodegate_host.exits import Exit


@dataclass(frozen=True)
class Order:
    """How a plan is carried out.

    Attributes:
        purpose: What the generation is for, in its manifest.
        previous: The generation that a later rollback goes to.
        probes: How to ask whether the units are well.
        insist: Whether unwell units take everything back; a rollback stays where it is and reports them.
        try_s: Seconds until the generation is taken back unless it is confirmed; None for good.
        command: How the timer starts this program.
    """

    purpose: str
    previous: int
    probes: tuple[Probe, ...] = ()
    insist: bool = True
    try_s: int | None = None
    command: trying.Command | None = None


@dataclass(frozen=True)
class Outcome:
    """How it went. `generation` holds now; `unwell` units were left so (only when not insisted)."""

    code: Exit
    generation: int
    message: str
    unwell: tuple[Health, ...] = ()


class Unwell(Stop):
    """Units did not become well in time."""

    code = Exit.ROLLED_BACK


class Apply:
    """One apply."""

    def __init__(self, site: Site, wish: Wish, facts: Facts, plan: Plan, order: Order) -> None:
        self._site = site
        self._wish = wish
        self._facts = facts
        self._plan = plan
        self._order = order
        self._phase = "files"
        self._is_committed = False
        self._started = dict(facts.started)
        self._unwell: tuple[Health, ...] = ()

    def run(self) -> Outcome:
        """Carry the plan out; stops with 3 or 4 when nothing was changed, else returns the outcome."""
        self._verify_units()
        manifest = self._record()
        with interrupts.heard():
            try:
                self._forward(manifest)
            except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - whatever it was, the host is put back
                with interrupts.unheard():
                    return self._backward(manifest, error)
        code = Exit.UNHEALTHY if self._unwell else Exit.OK
        return Outcome(code, manifest.number, f"generation {manifest.number} holds", self._unwell)

    def _verify_units(self) -> None:
        """Ask systemd what it thinks of our unit files before anything is touched."""
        ours = [each.name for each in self._wish.units if each.ours]
        texts = {each.path[len(UNIT_FOLDER) :]: each for each in self._wish.files if each.path.startswith(UNIT_FOLDER)}
        # The way back must not be barred by a program that has gone since.
        if self._site.systemd is None or not self._order.insist or not any(name in texts for name in ours):
            return
        with tempfile.TemporaryDirectory(prefix="nodegate-units-") as folder:
            for name, file in texts.items():
                place = Path(folder, name)
                place.parent.mkdir(exist_ok=True)
                place.write_bytes(self._with_programs(file.content))
            found = self._site.systemd.verify(Path(folder), [name for name in ours if name in texts])
        if found:
            raise Stop(f"systemd does not accept the units, so nothing was changed:\n{found.strip()}", Exit.PREFLIGHT)

    def _with_programs(self, unit: bytes) -> bytes:
        """Return a unit that names an existing program in place of each that this apply is about to write."""
        for file in self._wish.files:
            if file.mode & 0o111:
                unit = unit.replace(file.path.encode(), b"/bin/true")
        return unit

    def _record(self) -> Manifest:
        site = self._site
        number = site.generations.next_number()
        manifest = record(self._wish, self._facts, self._plan, number, site.now())
        manifest = replace(
            manifest, purpose=self._order.purpose, previous=self._order.previous, probes=self._order.probes
        )
        try:
            for change in self._plan.changes:
                if change.kind is Kind.FOREIGN:
                    site.generations.remember_original(change.path, change.live)
            site.generations.write(manifest, objects_of(manifest, self._wish, self._facts, site.generations))
        except (OSError, KeyboardInterrupt) as error:
            site.generations.drop(number)
            raise Stop(
                f"the generation could not be recorded, so nothing was changed: {error}", Exit.ROLLED_BACK
            ) from error
        site.at("recorded")
        return manifest

    def _forward(self, manifest: Manifest) -> None:
        self._enter("files", manifest)
        self._arm(manifest, trying.CHANGING)
        self._stage()
        self._stop_leaving(manifest)
        self._publish()
        if self._site.systemd is not None:
            self._units(manifest, self._site.systemd)
        self._commit(manifest)

    def _enter(self, phase: str, manifest: Manifest) -> None:
        self._phase = phase
        journal.write(self._site.disk, self._journal(manifest))
        self._site.at(f"journal:{phase}")

    def _journal(self, manifest: Manifest) -> Journal:
        return Journal(self._order.purpose, manifest.number, self._order.previous, self._phase)

    def _arm(self, manifest: Manifest, stage: str) -> None:
        order = self._order
        if order.try_s is not None and order.command is not None and self._site.systemd is not None:
            trying.arm(self._site.systemd, manifest.number, order.try_s, order.command, stage)

    def _writes(self) -> Sequence[FileChange]:
        return [each for each in self._plan.changes if each.writes]

    def _stage(self) -> None:
        site = self._site
        for action in self._plan.actions:
            if action.verb == "mkdir":
                wanted = next((each for each in self._wish.directories if each.path == action.target), None)
                site.disk.make_directory(
                    action.target, wanted.mode if wanted else 0o755, wanted.owner if wanted else "root:root"
                )
        for change in self._writes():
            if change.after is not None:
                site.disk.stage(change.path, change.after.content, change.after.mode, change.after.owner)
            elif change.original is not None:
                old = change.original
                site.disk.stage(change.path, site.generations.object(0, old.sha256), old.mode, old.owner)
            site.at(f"staged:{change.path}")

    def _stop_leaving(self, manifest: Manifest) -> None:
        actions = [each for each in self._plan.actions if each.verb in {"stop", "disable"}]
        if self._site.systemd is None or not actions:
            return
        self._enter("units", manifest)
        for action in actions:
            self._site.say(f"{action.verb} {action.target}")
            (self._site.systemd.stop if action.verb == "stop" else self._site.systemd.disable)(action.target)
            self._started.pop(action.target, None)
            self._site.at(f"{action.verb}:{action.target}")

    def _publish(self) -> None:
        site = self._site
        for change in self._writes():
            gone = change.after is None and change.original is None
            site.say(f"{'remove' if gone else 'write'} {change.path}")
            (site.disk.remove if gone else site.disk.publish)(change.path)
            site.at(f"published:{change.path}")
        problem = restore_labels(site.disk, [each.path for each in self._writes() if each.after is not None])
        if problem:
            site.say(f"SELinux labels: {problem}")

    def _units(self, manifest: Manifest, systemd: Systemctl) -> None:
        verbs = {each.verb for each in self._plan.actions}
        if "reload" in verbs:
            systemd.daemon_reload()
            self._site.at("reloaded")
        self._refuse_bad_units(systemd)
        if verbs & {"enable", "run", "refresh", "start", "restart"}:
            self._enter("units", manifest)
        for action in self._plan.actions:
            if action.verb == "enable":
                systemd.enable(action.target)
            elif action.verb in {"run", "refresh"}:
                self._run_helper(systemd, action)
        if verbs & {"start", "restart"}:
            self._start_all(manifest, systemd)

    def _run_helper(self, systemd: Systemctl, action: Action) -> None:
        self._site.say(f"{action.verb} {action.target}")
        try:
            (systemd.refresh if action.verb == "refresh" else systemd.run_once)(action.target)
        except SystemdFailed as error:
            # It applies a file; whether the host has what is needed is asked by the checks, with a better sentence.
            self._site.say(f"{action.target}: {error}")

    def _refuse_bad_units(self, systemd: Systemctl) -> None:
        names = [each.name for each in self._wish.units if concerns([each.name], self._wish.only)]
        for name, seen in systemd.show(names).items():
            if seen.load not in {"loaded", "not-found", "masked"}:
                raise Unwell(f"{name}: systemd cannot load it (LoadState={seen.load}); see systemctl status {name}")

    def _start_all(self, manifest: Manifest, systemd: Systemctl) -> None:
        site = self._site
        deadline = time.monotonic() + site.patience.wait_s
        planned = {each.target: each.verb for each in self._plan.restarts}
        watched = []
        for unit in (each.name for each in self._wish.units):
            if unit not in planned and not self._must_follow(unit, systemd):
                continue
            if unit not in planned:
                manifest = replace(manifest, restarts=(*manifest.restarts, unit))
                site.generations.write(manifest, {})
            self._start_one(unit, planned.get(unit, "restart"), systemd, deadline)
            watched.append(unit)
        self._wait_well(watched, systemd, deadline)
        site.at("healthy")

    def _must_follow(self, unit: str, systemd: Systemctl) -> bool:
        """Return whether `unit` runs with a generated file that was made anew by what was restarted before it."""
        started = self._facts.started.get(unit)
        if started is None or not systemd.show([unit])[unit].is_running or not self._wish.restart:
            return False
        now = other_inputs(self._site.disk, self._wish, unit)
        return any(started.get(name) != digest for name, digest in now.items())

    def _start_one(self, unit: str, verb: str, systemd: Systemctl, deadline: float) -> None:
        self._site.say(f"{verb} {unit}")
        systemd.restart(unit)
        self._started[unit] = inputs_of(unit, self._wish.files, other_inputs(self._site.disk, self._wish, unit))
        self._site.at(f"{verb}:{unit}")
        fault = self._site.watch(systemd).wait_up(unit, self._site.patience, deadline)
        if fault and not self._may_wait(unit):
            self._judge([Health(unit, fault)])

    def _may_wait(self, unit: str) -> bool:
        """Return whether `unit` can only be well after the node has joined, and it has not."""
        return any(each.unit == unit and each.needs_join for each in self._order.probes) and not self._site.is_joined()

    def _wait_well(self, units: Sequence[str], systemd: Systemctl, deadline: float) -> None:
        probes = [each for each in self._order.probes if each.unit in units]
        self._site.say("wait until " + ", ".join(units) + (" is well" if len(units) == 1 else " are well"))
        self._judge(self._site.watch(systemd).wait_well(units, probes, self._site.patience, deadline))

    def _judge(self, unwell: Sequence[Health]) -> None:
        if unwell and self._order.insist:
            raise Unwell("; ".join(f"{each.unit}: {each.fault}" for each in unwell) + "; see journalctl -u UNIT")
        self._unwell = tuple({each.unit: each for each in (*self._unwell, *unwell)}.values())

    def _commit(self, manifest: Manifest) -> None:
        site = self._site
        trial = None
        if self._order.try_s is not None:
            self._arm(manifest, trying.DECIDING)
            trial = trying.trial(manifest, self._order.try_s, site.now())
        site.generations.commit(State(manifest.number, self._started, trial))
        self._is_committed = True
        site.at("committed")
        journal.clear(site.disk)
        site.at("cleared")
        if site.systemd is not None and trial is not None:
            trying.disarm(site.systemd, manifest.number, trying.CHANGING)
        site.generations.prune()

    def _backward(self, manifest: Manifest, error: BaseException) -> Outcome:
        was_interrupted = isinstance(error, KeyboardInterrupt)
        reason = "it was interrupted" if was_interrupted else str(error) or type(error).__name__
        if self._is_committed:
            journal.clear(self._site.disk)
            code = Exit.INTERRUPTED if was_interrupted else Exit.OK
            return Outcome(code, manifest.number, f"generation {manifest.number} holds; afterwards: {reason}")
        self._site.say(f"{reason}; going back")
        undone = self._site.undo.run(manifest, self._journal(manifest))
        held = self._site.generations.state().generation
        if not undone.problems:
            self._disarm(manifest)
        if undone.text:
            text = f"{reason}; not everything is as it was:\n  {undone.text}"
            return Outcome(Exit.ROLLBACK_INCOMPLETE, held, text)
        code = Exit.INTERRUPTED if was_interrupted else Exit.ROLLED_BACK
        return Outcome(code, held, f"{reason}; everything is as before")

    def _disarm(self, manifest: Manifest) -> None:
        if self._site.systemd is not None and self._order.try_s is not None:
            for stage in (trying.CHANGING, trying.DECIDING):
                trying.disarm(self._site.systemd, manifest.number, stage)
