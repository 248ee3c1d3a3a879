"""What was seen of a network, worded as conditions.

An `Observation` goes in, conditions come out, each True, False or Unknown with a reason and a sentence. Rules: pure;
times and the conditions of earlier are `report`'s to add; a message names what blocks, who has to restart and what to
run.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from nodegate.flannel.model import Config, Severity
from nodegate.flannel.network import Action, ChangeClass, Facts, FlannelNetwork, Plan
from nodegate.flannel.nodes import Row, Tally
from nodegate.text import listed

LOW = 10
"""Percent of the subnets that must be free; below it nodes may soon find none."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One condition without its times."""

    type: str
    status: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EtcdSeen:
    """The etcd that answered."""

    cluster_id: str
    version: str
    endpoint: str
    endpoints: tuple[tuple[str, bool, str, str], ...]
    """Of each its URL, whether it answered, why not, and its version."""

    cert_not_after: str = ""
    """RFC 3339; empty without a client certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """How things stand, once nothing was left to write."""

    network: FlannelNetwork
    plan: Plan
    live: Config | None
    """None when the key is absent, or flannel does not accept it."""

    live_sha256: str
    live_revision: int | None
    rows: tuple[Row, ...]
    tally: Tally
    room: tuple[int, int] | None
    drifted: bool
    """The live config is not the one that was applied last, and the way back was not gone."""

    in_sync: bool
    """The live config is what the resource asks for."""

    contended: bool
    etcd: EtcdSeen
    facts: Facts = field(default_factory=Facts)


def verdicts(seen: Observation) -> tuple[Verdict, ...]:
    """Return every condition of a network whose etcd answers."""
    reached = f"{seen.etcd.endpoint} answers, cluster {seen.etcd.cluster_id}"
    found = [
        Verdict("EtcdReachable", "True", "Reachable", reached),
        Verdict("CredentialsValid", "True", "Accepted", "etcd accepts what the Secret holds"),
        _valid(seen),
        _applied(seen),
        _blocked(seen),
        _restart(seen),
        _leases(seen.tally),
        _capacity(seen.room),
        _drift(seen),
    ]
    return (*found, *_summary(seen, found))


def phase(seen: Observation) -> str:
    """Return the one word for people."""
    if seen.network.deleting:
        return "Deleting"
    if seen.plan.action is Action.BLOCK:
        return "Blocked"
    sound = seen.in_sync and not _is_sick(seen.tally)
    return "Ready" if sound and seen.plan.action in (Action.NONE, Action.WRITE) else "Degraded"


def _valid(seen: Observation) -> Verdict:
    errors = [each for each in seen.plan.problems if each.severity is Severity.ERROR]
    if errors:
        message = listed(f"{each.field}: {each.message}" for each in errors)
        return Verdict("ConfigValid", "False", "Invalid", message)
    warnings = [each for each in seen.plan.problems if each.severity is Severity.WARNING]
    said = [f"{each.field}: {each.message}" for each in warnings]
    if seen.network.lease_gc.enabled:
        said.append("spec.leaseGC is not acted on by this version: leases of nodes that are gone end by themselves")
    message = listed(said) if said else f"flannel {seen.network.version} accepts what the resource asks for"
    return Verdict("ConfigValid", "True", "Warnings" if said else "Valid", message)


def _applied(seen: Observation) -> Verdict:
    kind, plan = "ConfigApplied", seen.plan
    if seen.in_sync and plan.action not in (Action.REFUSE, Action.BLOCK):
        return Verdict(kind, "True", "InSync", "the config in etcd is what the resource asks for")
    if seen.contended:
        message = "somebody else wrote to etcd at every try; it is tried again"
        return Verdict(kind, "False", "Contended", message)
    if plan.action is Action.WRITE and plan.value is None:
        message = "expected the backend's Secret, found none that can be read; nothing is written without it"
        return Verdict(kind, "False", "SecretUnknown", message)
    reasons = {Action.BLOCK: "Blocked", Action.REFUSE: "Refused", Action.REPORT: "Reported", Action.WRITE: "Pending"}
    reason = "Paused" if seen.network.paused and plan.action is Action.REPORT else reasons.get(plan.action, "Unknown")
    return Verdict(kind, "False", reason, plan.message)


def _blocked(seen: Observation) -> Verdict:
    plan = seen.plan
    if plan.action is not Action.BLOCK:
        return Verdict("ChangeBlocked", "False", "NothingWaits", "no change waits")
    reason = "LeasesInTheWay" if any(each.subnet for each in plan.blocked_by) else "AdoptionDiffers"
    who = listed(" ".join(filter(None, (each.subnet, each.node or each.public_ip))) for each in plan.blocked_by)
    held = f": {who}" if reason == "LeasesInTheWay" else ""
    advice = ""
    if plan.change_class in (ChangeClass.NARROWING, ChangeClass.RENUMBERING, ChangeClass.DATAPATH) and held:
        advice = f"; set spec.approvedChange to {plan.id} to make it all the same"
    return Verdict("ChangeBlocked", "True", reason, f"{plan.message}{held}{advice}")


def _restart(seen: Observation) -> Verdict:
    names = sorted({row.node or row.lease.public_ip for row in seen.rows if row.restart} - {""})
    if not names:
        return Verdict("RestartRequired", "False", "AllCurrent", "no node is known to run an older config")
    message = f"{len(names)} nodes run an older config: {listed(names)}; on each run: systemctl restart flanneld"
    return Verdict("RestartRequired", "True", "OldConfigRuns", message)


def _is_sick(tally: Tally) -> bool:
    return bool(tally.duplicate or tally.foreign or tally.malformed or tally.incompatible or tally.expiring)


def _leases(tally: Tally) -> Verdict:
    counts = {
        "share a public address with another": tally.duplicate,
        "are of another backend": tally.foreign,
        "cannot be read": tally.malformed,
        "do not fit the config": tally.incompatible,
        "were not renewed in time": tally.expiring,
    }
    odd = [f"{count} {what}" for what, count in counts.items() if count]
    gone = f"; {tally.orphaned} are of no Node and end by themselves" if tally.orphaned else ""
    if odd:
        return Verdict("LeasesHealthy", "False", "OddLeases", f"of {tally.total} leases " + ", ".join(odd) + gone)
    return Verdict("LeasesHealthy", "True", "Healthy", f"{tally.total} leases{gone}")


def _capacity(room: tuple[int, int] | None) -> Verdict:
    if room is None:
        return Verdict("CapacityOK", "Unknown", "NoConfig", "there is no config that flannel accepts")
    total, used = room
    free = max(0, total - used)
    message = f"{free} of {total} subnets are free"
    if not free:
        return Verdict("CapacityOK", "False", "OutOfSubnets", f"{message}: the next node gets none; widen the network")
    if free * 100 < total * LOW:
        return Verdict("CapacityOK", "False", "LowCapacity", f"{message}; widen the network")
    return Verdict("CapacityOK", "True", "Enough", message)


def _drift(seen: Observation) -> Verdict:
    if seen.drifted:
        message = f"somebody else changed the config in etcd: {seen.plan.message}"
        return Verdict("DriftDetected", "True", "ChangedBySomebodyElse", message)
    return Verdict("DriftDetected", "False", "AsApplied", "the config in etcd is the one that was applied")


def _summary(seen: Observation, found: list[Verdict]) -> Iterator[Verdict]:
    refused = seen.plan.action is Action.REFUSE
    stalled = "True" if refused else "False"
    yield Verdict("Stalled", stalled, "Refused" if refused else "NotStalled", seen.plan.message if refused else "")
    applied = next(each for each in found if each.type == "ConfigApplied")
    yield Verdict("Ready", applied.status, applied.reason, applied.message)
