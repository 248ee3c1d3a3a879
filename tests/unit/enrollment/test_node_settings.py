"""What of `spec.node` differs on a Node, the patch that mends it, the condition that tells, and the pace of writing."""

from typing import Any

import pytest

from nodegate.enrollment.model import Mode, NodeRef, NodeTemplate, Phase, State, Status, Taint
from nodegate.enrollment.node_settings import Scene, Settling, allowed, entries, node_patch, settle
from nodegate.fields import Fields
from nodegate.node_template import read_node_template
from tests.builders import make_enrollment

_WANTED = NodeTemplate(
    labels=(("example.com/rack", "r1"),),
    annotations=(("example.com/owner", "a"),),
    taints=(Taint("dedicated", "gpu", "NoSchedule"),),
)
_NODE = NodeRef(uid="u", ready="True")
_OTHERS = {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "timeAdded": "2030-01-31T12:00:00Z"}


def _body(**parts: Any) -> Any:
    metadata = {"uid": "u", "resourceVersion": "7", "labels": parts.get("labels"), "annotations": parts.get("notes")}
    return {"metadata": metadata, "spec": {"taints": parts.get("taints")}}


def _patch(wanted: NodeTemplate, body: Any, record: tuple[str, ...] = ()) -> Any:
    root = Fields(body)
    return node_patch(wanted, record, read_node_template(root.child("metadata"), root.child("spec")), body)


def _reason(settling: Settling) -> tuple[str, str]:
    assert settling.condition is not None
    return settling.condition.status, settling.condition.reason


def test_a_bare_node_gets_everything_at_its_version() -> None:
    """The patch names uid and resourceVersion, adds what is listed, and keeps others' taints as they are."""
    patch = _patch(_WANTED, _body(labels={"others": "x"}, taints=[_OTHERS]))
    assert patch == {
        "metadata": {
            "uid": "u",
            "resourceVersion": "7",
            "labels": {"example.com/rack": "r1"},
            "annotations": {"example.com/owner": "a"},
        },
        "spec": {"taints": [_OTHERS, {"key": "dedicated", "effect": "NoSchedule", "value": "gpu"}]},
    }


def test_a_node_that_carries_it_needs_no_patch() -> None:
    """Equal means no write, whatever else stands on the Node."""
    taints = [_OTHERS, {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}]
    body = _body(labels={"example.com/rack": "r1", "o": ""}, notes={"example.com/owner": "a"}, taints=taints)
    assert _patch(_WANTED, body) is None


def test_only_what_we_have_set_is_taken_away() -> None:
    """What is on record and no longer listed goes, with nulls; a key that was never ours stays."""
    taints = [_OTHERS, {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}]
    body = _body(labels={"example.com/rack": "r1", "others": "x"}, taints=taints)
    record = ("label:example.com/rack", "label:gone", "taint:dedicated:NoSchedule")
    patch = _patch(NodeTemplate(), body, record)
    assert patch["metadata"]["labels"] == {"example.com/rack": None}
    assert patch["spec"] == {"taints": [_OTHERS]}
    assert _patch(NodeTemplate(), body) is None


def test_a_changed_value_is_set_back() -> None:
    """Somebody's other value of a listed key is drift, of labels and taints alike."""
    taints = [{"key": "dedicated", "value": "cpu", "effect": "NoSchedule"}]
    body = _body(labels={"example.com/rack": "r9"}, notes={"example.com/owner": "a"}, taints=taints)
    patch = _patch(_WANTED, body)
    assert patch["metadata"]["labels"] == {"example.com/rack": "r1"}
    assert patch["spec"]["taints"] == [{"key": "dedicated", "effect": "NoSchedule", "value": "gpu"}]


def test_what_kubernetes_sets_is_never_ours() -> None:
    """Reserved labels and taints are left out of what is set, and named in the condition."""
    reserved = NodeTemplate(
        labels=(("kubernetes.io/hostname", "liar"), ("rack", "r1")),
        taints=(Taint("node.kubernetes.io/not-ready", "", "NoExecute"),),
    )
    assert entries(allowed(reserved)) == {"label:rack"}
    settling = settle(
        make_enrollment(node=reserved, status=Status(node=NodeRef(uid="u"))),
        Scene(Phase.JOINED, _NODE, replaced=False, present=NodeTemplate(labels=(("rack", "r1"),)), manages_nodes=True),
    )
    assert _reason(settling) == ("False", "Refused")
    assert settling.condition is not None
    assert "label kubernetes.io/hostname" in settling.condition.message
    assert "taint node.kubernetes.io/not-ready" in settling.condition.message
    assert not settling.differs


def test_what_is_to_be_set_is_recorded_before() -> None:
    """While the Node differs the record holds old and new entries, so that a crash forgets nothing."""
    enrollment = make_enrollment(node=_WANTED, status=Status(node=NodeRef(uid="u", settings=("label:old",))))
    scene = Scene(Phase.JOINED, _NODE, replaced=False, present=NodeTemplate(), manages_nodes=True)
    settling = settle(enrollment, scene)
    assert settling.differs
    assert set(settling.record) == {"label:old", *entries(_WANTED)}
    assert _reason(settling) == ("False", "Pending")

    settling = settle(enrollment, scene._replace(present=_WANTED))
    assert set(settling.record) == entries(_WANTED)
    assert _reason(settling) == ("True", "Applied")


@pytest.mark.parametrize(
    ("fields", "scene", "reason"),
    [
        ({}, {"manages_nodes": False}, "NotEnabled"),
        ({"state": State.SUSPENDED}, {"phase": Phase.SUSPENDED}, "Pending"),
        ({"mode": Mode.AUDIT}, {}, "Pending"),
        ({}, {"phase": Phase.READY, "node": None, "present": None}, "Pending"),
        ({}, {"replaced": True}, "Pending"),
        ({}, {"phase": Phase.CONFLICT}, "Pending"),
    ],
)
def test_nothing_is_written_until_it_may_be(fields: Any, scene: Any, reason: str) -> None:
    """Without the flag, the state, the phase or the right Node nothing is written, and the condition says why."""
    enrollment = make_enrollment(node=_WANTED, status=Status(node=NodeRef(uid="u")), **fields)
    whole = {"phase": Phase.JOINED, "node": _NODE, "replaced": False, "present": NodeTemplate(), "manages_nodes": True}
    settling = settle(enrollment, Scene(**(whole | scene)))
    assert (_reason(settling), settling.differs) == (("False", reason), False)


def test_another_node_carries_nothing_of_ours() -> None:
    """What was set on a Node of another UID is not taken away from this one."""
    enrollment = make_enrollment(status=Status(node=NodeRef(uid="before", settings=("label:x",))))
    present = NodeTemplate(labels=(("x", "somebody's"),))
    settling = settle(enrollment, Scene(Phase.JOINED, _NODE, replaced=False, present=present, manages_nodes=True))
    assert settling == Settling(None, (), differs=False)
