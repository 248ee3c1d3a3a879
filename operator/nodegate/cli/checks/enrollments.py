"""Are nodes enrolled, and are the enrollments processed and free of faults?"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from nodegate.cli.checks.outcome import Check, Outcome, fail, ok, skip, some, warn
from nodegate.cli.checks.probe import Body, Probe
from nodegate.fields import Fields
from nodegate.text import counted, visible

_PROCESSED_WITHIN = timedelta(seconds=30)
"""The operator processes a change within a second; this leaves room for a restart."""


def _name(body: Body) -> str:
    return visible(Fields(body).child("metadata").text("name"), 253)


def _unread(probe: Probe, kind: str) -> Outcome | None:
    """Return a skip when a kind could not be read."""
    notes = [note for note in probe.unread() if kind in note]
    return skip(notes[0]) if notes else None


def _nodes(probe: Probe) -> Outcome:
    unread = _unread(probe, "nodes") or _unread(probe, "nodeenrollments") or _unread(probe, "NodeEnrollment")
    if unread is not None:
        return unread
    nodes = [_name(body) for body in probe.objects("Node")]
    enrolled = {_name(body) for body in probe.objects("NodeEnrollment")}
    without = [name for name in nodes if name not in enrolled]
    if without:
        remedy = "Their renewals are held. Enroll them: kubectl nodegate import --mode Audit shows how."
        return warn(f"not enrolled: {some(without)}, of {counted(len(nodes), 'node')}", remedy)
    return ok(f"{counted(len(nodes), 'node')}, each enrolled")


def _stalled(probe: Probe) -> Outcome:
    unread = _unread(probe, "nodeenrollments") or _unread(probe, "NodeEnrollment")
    if unread is not None:
        return unread
    every = probe.objects("NodeEnrollment")
    found = [f"{_name(body)}: {why}" for body in every for why in _stall(body)]
    if found:
        return fail(
            some(found), "Nothing is approved by these. Take out what the message names; lint shows it offline."
        )
    return ok(f"{counted(len(every), 'enrollment')}, none stalled or in conflict")


def _stall(body: Body) -> Iterator[str]:
    for condition in Fields(body).child("status").children("conditions"):
        if condition.text("type") == "Stalled" and condition.text("status") == "True":
            yield f"{visible(condition.text('reason'))}: {visible(condition.text('message'), 300)}"


def _processed(probe: Probe) -> Outcome:
    unread = _unread(probe, "nodeenrollments") or _unread(probe, "NodeEnrollment")
    if unread is not None:
        return unread
    every = probe.objects("NodeEnrollment")
    behind = [_name(body) for body in every if _behind(body, probe.at)]
    if behind:
        remedy = "The operator does not run or cannot write: look at the checks of the operator above and at its log."
        return fail(f"not processed at their generation: {some(behind)}", remedy)
    return ok(f"{counted(len(every), 'enrollment')}, each processed")


def _behind(body: Body, at: datetime) -> bool:
    """Tell whether an enrollment should have been processed and was not."""
    meta, status = Fields(body).child("metadata"), Fields(body).child("status")
    written = [meta.moment("creationTimestamp"), *(entry.moment("time") for entry in meta.children("managedFields"))]
    last = max((moment for moment in written if moment is not None), default=at)
    return status.integer("observedGeneration") != meta.integer("generation") and last < at - _PROCESSED_WITHIN


CHECKS = (
    Check("nodes-enrolled", _nodes),
    Check("enrollments-stalled", _stalled),
    Check("enrollments-processed", _processed),
)
"""How the enrollments stand."""
