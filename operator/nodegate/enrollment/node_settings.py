"""Which labels, annotations and taints of ``spec.node`` a Node lacks, and the patch that mends it. Pure.

What enters are the enrollment, the Node as it is, and the entries that we have set before
(``status.node.settings``); what leaves are what differs, a JSON merge patch, and the condition
``NodeSettingsApplied``. Rules: what the enrollment lists wins over whoever set it otherwise; only what
we have set ourselves is ever taken away; everything else on the Node stays as it is. The record stands
in the enrollment and not on the Node, where the node itself could write it (ADR 0011).
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from nodegate.enrollment.model import Condition, Enrollment, Mode, NodeRef, NodeTemplate, Phase, State, Taint
from nodegate.text import counted, listed

APPLIED: Final = "NodeSettingsApplied"
"""The condition's type."""

RESERVED_LABELS: Final = frozenset({"kubernetes.io/hostname", "kubernetes.io/os", "kubernetes.io/arch"})
"""Labels that the kubelet sets and the scheduler trusts (Kubernetes, "Well-Known Labels")."""

RESERVED_TAINTS: Final = frozenset(
    f"node.kubernetes.io/{name}"
    for name in (
        "not-ready",
        "unreachable",
        "memory-pressure",
        "disk-pressure",
        "pid-pressure",
        "network-unavailable",
        "unschedulable",
    )
)
"""Taints that the node lifecycle controller sets and takes away (Kubernetes, "Taints and Tolerations")."""


class Scene(NamedTuple):
    """What the settings of one Node are judged by."""

    phase: Phase
    node: NodeRef | None
    """The Node as it is now; its ``settings`` say nothing."""

    replaced: bool
    """It is another than the one that joined, and nobody has said that it may be."""

    present: NodeTemplate | None
    """What stands on it; None when Nodes are not managed."""

    manages_nodes: bool
    problem: str = ""
    """Why the last try to write the Node failed."""


class Settling(NamedTuple):
    """How the settings of one Node stand."""

    condition: Condition | None
    """None when nothing is listed, and nothing was."""

    record: tuple[str, ...]
    """What ``status.node.settings`` is to say before anything is written to the Node."""

    differs: bool
    """The Node is to be written."""


def settle(enrollment: Enrollment, scene: Scene) -> Settling:
    """Judge whether the Node carries what the enrollment lists."""
    record = recorded(enrollment, scene.node)
    if not (entries(enrollment.node) or record or enrollment.condition(APPLIED)):
        return Settling(None, (), differs=False)
    waiting = _waiting(enrollment, scene)
    if waiting or scene.present is None:
        reason, message = waiting or ("Pending", "The Node is not known yet.")
        return Settling(_condition(reason, message), record, differs=False)
    wanted = allowed(enrollment.node)
    missing = differences(wanted, record, scene.present)
    if missing:
        message = scene.problem or f"To be set or taken away on the Node: {listed(missing)}."
        reason = "Refused" if scene.problem else "Pending"
        return Settling(_condition(reason, message), _joined(record, entries(wanted)), differs=True)
    return Settling(_outcome(enrollment.node), tuple(sorted(entries(wanted))), differs=False)


def recorded(enrollment: Enrollment, node: NodeRef | None) -> tuple[str, ...]:
    """Return what we have set on this very Node; a Node of another UID carries nothing of ours."""
    known = enrollment.status.node
    return known.settings if node is not None and node.uid == known.uid else ()


def _waiting(enrollment: Enrollment, scene: Scene) -> tuple[str, str] | None:
    """Return reason and message of why nothing is written to the Node, or None."""
    if not scene.manages_nodes:
        return "NotEnabled", "spec.node is not acted on; run the operator with --manage-nodes and the right to do so."
    if enrollment.state is not State.ACTIVE or enrollment.mode is Mode.AUDIT:
        return "Pending", f"Nothing is set on the Node in state {enrollment.state} and mode {enrollment.mode}."
    if scene.phase is not Phase.JOINED or scene.node is None:
        return "Pending", f"Nothing is set on the Node before the phase is Joined, found {scene.phase}."
    if scene.replaced:
        return "Pending", "Nothing is set on a Node that is another than the one that joined; accept it first."
    return None


def _outcome(template: NodeTemplate) -> Condition:
    refused = tuple(_reserved(template))
    if refused:
        message = f"Set on the Node, but for what Kubernetes itself sets; take out of spec.node: {listed(refused)}."
        return _condition("Refused", message)
    count = len(entries(template))
    what = (
        f"The Node carries {counted(count, 'setting')} of spec.node."
        if count
        else "Nothing of spec.node is on the Node."
    )
    return Condition(type=APPLIED, status="True", reason="Applied", message=what)


def _condition(reason: str, message: str) -> Condition:
    return Condition(type=APPLIED, status="False", reason=reason, message=message)


def _reserved(template: NodeTemplate) -> Iterator[str]:
    yield from (f"label {key}" for key, _ in template.labels if key in RESERVED_LABELS)
    yield from (f"taint {taint.key}" for taint in template.taints if taint.key in RESERVED_TAINTS)


def allowed(template: NodeTemplate) -> NodeTemplate:
    """Return what is set of a template: all but what Kubernetes' own parts set."""
    return NodeTemplate(
        labels=tuple((key, value) for key, value in template.labels if key not in RESERVED_LABELS),
        annotations=template.annotations,
        taints=tuple(taint for taint in template.taints if taint.key not in RESERVED_TAINTS),
    )


def entries(template: NodeTemplate) -> frozenset[str]:
    """Return the entries of a template as ``status.node.settings`` names them, without values."""
    return frozenset(_values(template))


def _values(template: NodeTemplate) -> dict[str, str]:
    return {
        **{f"label:{key}": value for key, value in template.labels},
        **{f"annotation:{key}": value for key, value in template.annotations},
        **{_entry(taint.key, taint.effect): taint.value for taint in template.taints},
    }


def _entry(key: str, effect: str) -> str:
    return f"taint:{key}:{effect}"


def _joined(record: Iterable[str], wanted: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({*record, *wanted}))


def differences(wanted: NodeTemplate, record: Iterable[str], present: NodeTemplate) -> tuple[str, ...]:
    """Return the entries that the Node lacks, has with another value, or still has though no longer listed, sorted."""
    asked, found = _values(wanted), _values(present)
    wrong = {entry for entry, value in asked.items() if found.get(entry) != value}
    left = {entry for entry in record if entry not in asked and entry in found}
    return tuple(sorted(wrong | left))


def node_patch(wanted: NodeTemplate, record: Iterable[str], present: NodeTemplate, body: Any) -> Any | None:
    """Return the merge patch that makes a Node carry what is wanted, or None when it does.

    Args:
        wanted: What is to stand on it.
        record: What we have set on it before.
        present: What `body` carries.
        body: The Node as just read; the patch holds for its uid and resourceVersion only.
    """
    wrong = differences(wanted, record, present)
    if not wrong:
        return None
    asked, metadata = _values(wanted), body["metadata"]
    patch: dict[str, Any] = {"metadata": {key: metadata[key] for key in ("uid", "resourceVersion")}}
    for field, kind in (("labels", "label:"), ("annotations", "annotation:")):
        changed = {entry.removeprefix(kind): asked.get(entry) for entry in wrong if entry.startswith(kind)}
        if changed:
            patch["metadata"][field] = changed
    taints = {entry for entry in wrong if entry.startswith("taint:")}
    if taints:
        patch["spec"] = {"taints": _taints(wanted.taints, taints, body["spec"].get("taints") or ()) or None}
    return patch


def _taints(wanted: Iterable[Taint], changed: set[str], present: Iterable[Any]) -> list[Any]:
    """Return the whole list as it is to be: the API server replaces it in one piece."""
    kept = [taint for taint in present if _entry(taint["key"], taint["effect"]) not in changed]
    new = (taint for taint in wanted if _entry(taint.key, taint.effect) in changed)
    return kept + [{"key": t.key, "effect": t.effect, **({"value": t.value} if t.value else {})} for t in new]
