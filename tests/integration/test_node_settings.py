"""What `spec.node` lists, on real Nodes: set, kept, taken away, and held to by the component's policy.

Rules: the operator runs with the base's rights and the component's, no others; what the test itself writes to
Nodes is what other controllers and people write there.
"""

from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from hack.cluster import Cluster
from hack.impersonation import Connection, Identity
from tests.integration.lab import MERGE, NODES, Joined, Lab
from tests.integration.operator_fixtures import Start, component

pytestmark = pytest.mark.integration

ACCOUNT = Identity("system:serviceaccount:nodegate-system:nodegate", ("system:serviceaccounts", "system:authenticated"))
SETTINGS: dict[str, Any] = {
    "labels": {"node-role.kubernetes.io/worker": "", "example.com/rack": "r12"},
    "annotations": {"example.com/owner": "team-a"},
    "taints": [{"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}],
}
FOREIGN = {"key": "example.com/other", "value": "x", "effect": "NoSchedule"}


@pytest.fixture(name="granted", scope="module")
def _granted(cluster: Cluster, account: Path) -> Iterator[Path]:
    """Apply the component's objects beside the base, and take them away afterwards."""
    with component(cluster, "node-settings"):
        yield account


@pytest.fixture(name="managing")
def _managing(granted: Path, start: Start) -> Lab:
    """Return a lab whose operator manages Nodes."""
    return start("--manage-nodes", kubeconfig=granted)


def _node(lab: Lab, name: str) -> dict[str, Any]:
    return lab.cluster.api("GET", f"{NODES}/{name}")


def _patch_node(lab: Lab, name: str, body: dict[str, Any]) -> None:
    lab.cluster.api("PATCH", f"{NODES}/{name}", body, content_type=MERGE)


def _join(lab: Lab, settings: dict[str, Any]) -> Joined:
    """Bring a node in whose enrollment lists settings."""
    joined = lab.join(lab.name())
    lab.enroll(joined.name, bootstrap={"tokenID": joined.token.token_id}, node=settings)
    return joined


def _settled(lab: Lab, name: str) -> None:
    """Wait until the condition says that everything is applied."""
    lab.wait(lambda: lab.condition(name, "NodeSettingsApplied").get("status") == "True", "applied", node=name)


def _labels(lab: Lab, name: str) -> dict[str, str]:
    labels: dict[str, str] = _node(lab, name)["metadata"].get("labels", {})
    return labels


def test_settings_are_set_kept_and_taken_away(managing: Lab) -> None:
    """What is listed is set and taken away again, what others set stays, and a recreated Node gets it anew."""
    lab, joined = managing, _join(managing, SETTINGS)
    name = joined.name
    _settled(lab, name)
    body = _node(lab, name)
    assert SETTINGS["labels"].items() <= body["metadata"]["labels"].items()
    assert body["metadata"]["annotations"]["example.com/owner"] == "team-a"
    assert SETTINGS["taints"][0] in body["spec"]["taints"]

    taints = [*body["spec"]["taints"], FOREIGN]
    _patch_node(lab, name, {"metadata": {"labels": {"others": "stay"}}, "spec": {"taints": taints}})
    lab.enroll(name, bootstrap={"tokenID": joined.token.token_id}, node={"labels": {"example.com/rack": "r13"}})
    lab.wait(lambda: _labels(lab, name).get("example.com/rack") == "r13", "the new label", node=name)
    _settled(lab, name)
    body = _node(lab, name)
    assert "node-role.kubernetes.io/worker" not in body["metadata"]["labels"]
    assert body["metadata"]["labels"]["others"] == "stay"
    keys = {taint["key"] for taint in body["spec"]["taints"]}
    assert FOREIGN["key"] in keys
    assert "dedicated" not in keys

    lab.cluster.api("DELETE", f"{NODES}/{name}")
    lab.wait(lambda: lab.status(name)["phase"] == "Ready", "phase Ready", node=name)
    assert lab.condition(name, "NodeSettingsApplied")["reason"] == "Pending"
    lab.make_node(name)
    lab.wait(lambda: _labels(lab, name).get("example.com/rack") == "r13", "the label on the new Node", node=name)


def test_what_kubernetes_sets_is_refused_and_the_rest_is_set(managing: Lab) -> None:
    """A listed hostname label is told in the condition and never written; other entries are set."""
    lab = managing
    name = _join(lab, {"labels": {"kubernetes.io/hostname": "liar", "example.com/rack": "r1"}}).name
    lab.wait(lambda: lab.condition(name, "NodeSettingsApplied").get("reason") == "Refused", "Refused", node=name)
    assert "kubernetes.io/hostname" in lab.condition(name, "NodeSettingsApplied")["message"]
    assert _labels(lab, name).get("kubernetes.io/hostname") != "liar"
    assert _labels(lab, name)["example.com/rack"] == "r1"


@pytest.mark.parametrize(
    ("patch", "refused"),
    [
        ({"metadata": {"labels": {"example.com/a": "b"}}}, False),
        ({"metadata": {"annotations": {"example.com/a": "b"}}}, False),
        ({"spec": {"taints": [FOREIGN]}}, False),
        ({"spec": {"unschedulable": True}}, True),
        ({"spec": {"podCIDR": "10.99.0.0/24", "podCIDRs": ["10.99.0.0/24"]}}, True),
        ({"metadata": {"finalizers": ["example.com/stay"]}}, True),
        ({"metadata": {"labels": {"kubernetes.io/hostname": "liar"}}}, True),
        ({"spec": {"taints": [{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}]}}, True),
    ],
)
def test_the_policy_lets_through_settings_only(managing: Lab, patch: dict[str, Any], *, refused: bool) -> None:
    """With the operator's own identity labels, annotations and taints pass, and nothing else does."""
    name = managing.name()
    managing.make_node(name)
    said: list[tuple[int, str]] = []

    def answered() -> bool:
        with Connection(managing.cluster.credentials) as connection:
            path = f"{NODES}/{name}?dryRun=All"
            status, answer = connection.call("PATCH", path, patch, who=ACCOUNT, content_type=MERGE)
        said.append((status, str(answer)))
        fits = "expected the operator" in str(answer)
        return (status, fits) == ((HTTPStatus.FORBIDDEN, True) if refused else (HTTPStatus.OK, False))

    try:
        managing.wait(answered, f"refused={refused}", timeout=8)
    except AssertionError:
        pytest.fail(f"expected refused={refused}, found {said[-1]}")


def test_without_the_flag_nothing_is_written(lab: Lab) -> None:
    """An operator that does not manage Nodes says so, and leaves the Node alone."""
    name = _join(lab, {"labels": {"example.com/rack": "r1"}}).name
    condition = lab.condition(name, "NodeSettingsApplied")
    assert (condition["status"], condition["reason"]) == ("False", "NotEnabled")
    assert "example.com/rack" not in _labels(lab, name)
