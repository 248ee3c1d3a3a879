"""The judgement of a change: what it does to the nodes that run, and what is done about it.

A resource, the live text, the leases and the facts go in, a `Plan` comes out. Rules: pure. The design's
section 6 is the law: strongest class wins, an approval opens exactly one change, a drift is corrected
only where the way back strands nobody, and no lease is ever deleted to push a config.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nodegate.flannel.canonical import (
    UNKNOWN_SECRET,
    canonical_text,
    change_id,
    concealed,
    request_text,
    revealed,
    secrets_of,
)
from nodegate.flannel.changes import differences, everything, strength, strongest
from nodegate.flannel.check import read_config
from nodegate.flannel.leases import blocker, concerned, holders, missing_reservations, outdated, taken, unfit
from nodegate.flannel.model import Api, Config, Problem, Reading, Severity
from nodegate.flannel.network import (
    Action,
    Adoption,
    Applied,
    Blocker,
    Change,
    ChangeClass,
    DeletionPolicy,
    DriftPolicy,
    Facts,
    FlannelNetwork,
    Lease,
    Plan,
)
from nodegate.flannel.network_rules import foreign_keys, network_problems
from nodegate.text import listed

_OPENED = frozenset({ChangeClass.NARROWING, ChangeClass.RENUMBERING, ChangeClass.DATAPATH})
"""The classes that an approval opens."""

_OUTRIGHT = frozenset({ChangeClass.FIRST_WRITE, ChangeClass.REPAIR})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """Everything that one judgement rests on."""

    network: FlannelNetwork
    wanted: Config
    live_text: str | None
    live: Reading | None
    """None when the key is absent."""

    live_revision: int | None
    contacted: bool
    """Something was written or taken over before."""

    applied: Config | None
    """What that was; None when there is none, or when this flannel does not accept it."""

    leases: Sequence[Lease]
    facts: Facts

    @property
    def sound(self) -> Config | None:
        """The live config when flannel and we accept it."""
        return self.live.config if self.live is not None and self.live.valid else None


@dataclass(frozen=True, slots=True)
class _Comparison:
    """What changes, and how much."""

    change_class: ChangeClass
    changes: tuple[Change, ...]
    drifted: bool = False
    """Somebody else changed the key, and the resource still asks for what was applied."""


def plan(
    network: FlannelNetwork,
    live_text: str | None,
    live_revision: int | None,
    leases: Sequence[Lease],
    applied: Applied | None,
    facts: Facts,
) -> Plan:
    """Judge what a resource asks for against what is there.

    Args:
        network: The resource.
        live_text: The config key's value; None when the key is absent.
        live_revision: The revision of the key's last write; None when it is not known.
        leases: Every key below ``<prefix>/subnets``, at the same revision.
        applied: What was applied last; None before the first contact.
        facts: What is around it.

    Returns:
        The plan. Its `value` is to be written only when the action is to write.
    """
    live = None if live_text is None else _read(live_text, network, facts)
    secrets = {**secrets_of(live.config if live is not None else None), **facts.secrets}
    wanted = _read_ours(request_text(network, secrets), network, facts)
    problems = (*wanted.problems, *network_problems(network, wanted.config, facts), *foreign_keys(network, leases))
    old = None if live is None else live.config
    if wanted.config is None or _errors(problems):
        attempted = _attempted(network, wanted.config, old, facts)
        return _refused(network, attempted, problems, _old_runners(leases, old, live_revision, facts))
    before = None if applied is None else _read_ours(applied.text, network, facts).config
    case = _Case(
        network=network,
        wanted=wanted.config,
        live_text=live_text,
        live=live,
        live_revision=live_revision,
        contacted=applied is not None,
        applied=before,
        leases=leases,
        facts=facts,
    )
    return replace(_judged(case), problems=problems)


def _read(text: str, network: FlannelNetwork, facts: Facts) -> Reading:
    return read_config(text, network.version, allow_public=network.allow_public, allow_extension=facts.allow_extension)


def _read_ours(text: str, network: FlannelNetwork, facts: Facts) -> Reading:
    """Read a text that we wrote, which may have fingerprints in the place of secrets."""
    text, hidden = concealed(text)
    reading = _read(text, network, facts)
    return reading if reading.config is None else replace(reading, config=revealed(reading.config, hidden))


def _errors(problems: Sequence[Problem]) -> list[Problem]:
    return [problem for problem in problems if problem.severity is Severity.ERROR]


def _refused(
    network: FlannelNetwork, changes: tuple[Change, ...], problems: tuple[Problem, ...], runners: tuple[str, ...]
) -> Plan:
    """Return the plan of what may never be written."""
    errors = _errors(problems)
    faulty = {problem.field for problem in errors}
    return Plan(
        change_class=ChangeClass.FORBIDDEN,
        action=Action.REFUSE,
        message=f"expected a config that may be written, found {len(errors)} errors: "
        + listed(f"{problem.field or network.name}: {problem.message}" for problem in errors),
        changes=tuple(_marked(each, faulty) for each in changes),
        restart_needed=runners,
        problems=problems,
    )


def _attempted(network: FlannelNetwork, wanted: Config | None, old: Config | None, facts: Facts) -> tuple[Change, ...]:
    """Return what a refused resource would change."""
    pins = tuple(_unpinned(network, facts))
    if wanted is None:
        return pins
    return (*pins, *(everything(wanted, ChangeClass.FIRST_WRITE) if old is None else differences(old, wanted)))


def _marked(change: Change, faulty: set[str]) -> Change:
    return replace(change, change_class=ChangeClass.FORBIDDEN) if change.field in faulty else change


def _unpinned(network: FlannelNetwork, facts: Facts) -> list[Change]:
    """Return the changes of what may never change."""
    pinned, etcd = network.pinned, network.etcd
    found = []
    if pinned.prefix and pinned.prefix != network.prefix:
        found.append(Change("prefix", pinned.prefix, network.prefix, ChangeClass.FORBIDDEN))
    if pinned.cluster_id and facts.cluster_id and pinned.cluster_id != facts.cluster_id:
        found.append(Change("etcd.clusterID", pinned.cluster_id, facts.cluster_id, ChangeClass.FORBIDDEN))
    if pinned.api is Api.V3 and etcd.api is Api.V2:
        found.append(Change("etcd.api", pinned.api.value, etcd.api.value, ChangeClass.FORBIDDEN))
    return found


def _old_runners(
    leases: Sequence[Lease], live: Config | None, live_revision: int | None, facts: Facts
) -> tuple[str, ...]:
    return holders(outdated(leases, live, live_revision), facts)


def _judged(case: _Case) -> Plan:
    """Judge a config that may be written in principle."""
    found = _compared(case)
    name = change_id(_old_text(case), case.wanted)
    approved = found.change_class in _OPENED and case.network.approved_change == name
    in_the_way = [] if approved else _in_the_way(case, found)
    held = [blocker(*each, case.facts) for each in taken(case.network.reservations, case.leases)]
    action, message, blockers = _action(case, found, in_the_way, held, approved=approved)
    if case.network.paused and action is Action.WRITE:
        action, message = Action.REPORT, "spec.paused is true: nothing is written"
    writes = action is Action.WRITE and any(change.field != RESERVATIONS for change in found.changes)
    live = case.live.config if case.live is not None else None
    runners = _old_runners(case.leases, live, case.live_revision, case.facts)
    return Plan(
        change_class=found.change_class,
        action=action,
        message=message,
        id=name,
        value=_value(case.wanted),
        blocked_by=tuple(blockers),
        changes=found.changes,
        restart_needed=holders(case.leases, case.facts) if writes else runners,
    )


def _value(wanted: Config) -> str | None:
    """Return the text to write; none while a secret in it could not be read."""
    text = canonical_text(wanted)
    return None if UNKNOWN_SECRET in text else text


RESERVATIONS = "Reservations"
"""The field of a change that is no part of the config: a subnet is to be kept for a node."""


def _old_text(case: _Case) -> str:
    """Return what stands for the old config in a change's id."""
    if case.sound is not None:
        return canonical_text(case.sound, redacted=True)
    return case.live_text or ""


def _compared(case: _Case) -> _Comparison:
    """Return what changes; the stronger of both ways counts when live and applied have parted."""
    wanted, live = case.wanted, case.sound
    same_wish = case.applied is not None and not differences(case.applied, wanted)
    if case.live is None:
        return _Comparison(ChangeClass.FIRST_WRITE, everything(wanted, ChangeClass.FIRST_WRITE), drifted=same_wish)
    if live is None:
        old = case.live.config
        changes = everything(wanted, ChangeClass.REPAIR) if old is None else differences(old, wanted)
        return _Comparison(ChangeClass.REPAIR, changes, drifted=same_wish)
    back = differences(live, wanted)
    reserved = tuple(
        Change(RESERVATIONS, None, f"{each.subnet} for {each.public_ip}", ChangeClass.WIDENING)
        for each in missing_reservations(case.network.reservations, case.leases)
    )
    if case.applied is None or not differences(live, case.applied):
        return _Comparison(strongest((*back, *reserved)), (*back, *reserved))
    forth = differences(case.applied, wanted)
    chosen = forth if strength(strongest(forth)) > strength(strongest(back)) else back
    return _Comparison(strongest((*chosen, *reserved)), (*chosen, *reserved), drifted=same_wish)


def _in_the_way(case: _Case, found: _Comparison) -> list[Blocker]:
    """Return the leases that the change would strand."""
    if found.change_class not in _OUTRIGHT:
        stranded = concerned(found.changes, case.leases, case.wanted)
        return [blocker(lease, reason, case.facts) for lease, reason in stranded]
    stranded = unfit(case.leases, case.wanted)
    known = {lease.key for lease, _ in stranded}
    run = case.applied or (case.live.config if case.live is not None else None)
    parted = concerned(differences(run, case.wanted), case.leases, case.wanted) if run is not None else []
    stranded += [each for each in parted if each[0].key not in known]
    return [blocker(lease, reason, case.facts) for lease, reason in stranded]


_Outcome = tuple[Action, str, list[Blocker]]


def _action(
    case: _Case, found: _Comparison, in_the_way: list[Blocker], held: list[Blocker], *, approved: bool
) -> _Outcome:
    """Return what is done, why, and what blocks it."""
    first = _first_contact(case, found)
    if first is not None:
        return first
    if found.drifted:
        report = _drift(case, found, in_the_way, approved=approved)
        if report is not None:
            return report
    known = {(each.subnet, each.public_ip) for each in in_the_way}
    blockers = [*in_the_way, *(each for each in held if (each.subnet, each.public_ip) not in known)]
    if blockers:
        return Action.BLOCK, f"{found.change_class}: {_waits(len(blockers))}", blockers
    if found.change_class is ChangeClass.NONE or _is_there(case):
        return Action.NONE, "the config in etcd is what the resource asks for", []
    how = "as approved" if approved else "it strands no lease"
    return Action.WRITE, f"{found.change_class}: {how}", []


def _waits(count: int) -> str:
    return f"waits until {count} leases are gone" if count != 1 else "waits until 1 lease is gone"


def _is_there(case: _Case) -> bool:
    """Tell whether there is nothing left to write, although what was applied differs."""
    missing = missing_reservations(case.network.reservations, case.leases)
    return case.sound is not None and not missing and not differences(case.sound, case.wanted)


def _first_contact(case: _Case, found: _Comparison) -> _Outcome | None:
    """Return what an existing key means for a resource that applied nothing yet; None when it is judged as usual."""
    if case.contacted or case.live is None:
        return None
    adoption = case.network.adoption
    differs = case.sound is None or bool(differences(case.sound, case.wanted))
    if adoption is Adoption.REFUSE:
        reason = "spec.adoption is Refuse, and etcd holds a config already"
        return Action.REFUSE, f"{reason}; write Adopt, or choose another prefix", []
    if adoption is Adoption.ADOPT and differs:
        reason = f"spec.adoption is Adopt, and the config in etcd differs ({found.change_class})"
        return Action.BLOCK, f"{reason}; ask for what is there, or write AdoptAndChange", [Blocker(reason)]
    return None


def _drift(case: _Case, found: _Comparison, in_the_way: list[Blocker], *, approved: bool) -> _Outcome | None:
    """Return the report of a drift that is not corrected; None when it is judged as any other change."""
    if case.network.drift_policy is DriftPolicy.REPORT:
        return Action.REPORT, "spec.driftPolicy is Report: somebody else changed the config in etcd", in_the_way
    far = found.change_class in {ChangeClass.RENUMBERING, ChangeClass.DATAPATH}
    used = found.change_class is ChangeClass.NARROWING and bool(in_the_way)
    if (far or used) and not approved:
        message = f"somebody else changed the config in etcd, and the way back is {found.change_class}"
        return Action.REPORT, message, in_the_way
    return None


def plan_deletion(network: FlannelNetwork, live_text: str | None, leases: Sequence[Lease], facts: Facts) -> Plan:
    """Judge what becomes of the config when the resource is deleted.

    Returns:
        Action none: the config stays, or is gone. Action write: the config key is to be deleted. Action
        block: leases are in the way; report: paused.
    """
    if network.deletion_policy is DeletionPolicy.RETAIN or live_text is None:
        return Plan(change_class=ChangeClass.NONE, action=Action.NONE, message="the config stays as it is")
    if leases:
        blockers = tuple(blocker(lease, "it is in use", facts) for lease in leases)
        message = f"deletion: {_waits(len(leases))}"
        return Plan(change_class=ChangeClass.NONE, action=Action.BLOCK, message=message, blocked_by=blockers)
    action = Action.REPORT if network.paused else Action.WRITE
    return Plan(change_class=ChangeClass.NONE, action=action, message="the config is unused and is deleted")
