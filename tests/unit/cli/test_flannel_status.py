"""``flannel status`` from files: the table, everything about one, and what to run for a change that waits."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.command import run, write

ID = "6b" * 32


def _network(name: str = "pods", **status: Any) -> dict[str, Any]:
    return {
        "apiVersion": "nodegate.dev/v1alpha1",
        "kind": "FlannelNetwork",
        "metadata": {"name": name, "managedFields": [{"manager": "kubectl"}]},
        "spec": {"network": "172.30.0.0/16"},
        "status": status,
    }


BLOCKED = _network(
    phase="Blocked",
    conditions=[
        {"type": "ConfigApplied", "status": "False", "reason": "Blocked", "message": "it waits for 1 leases"},
        {"type": "EtcdReachable", "status": "True", "reason": "Reachable", "message": "all is well"},
        {"type": "RestartRequired", "status": "False", "reason": "AllCurrent", "message": "nobody"},
    ],
    leases={"total": 1},
    capacity={"free": 254},
    pendingChange={
        "id": ID,
        "class": "Renumbering",
        "action": "block",
        "changes": [{"field": "SubnetLen", "from": "24", "to": "25", "class": "Renumbering"}],
        "blockedBy": [{"subnet": "172.30.19.0/24", "publicIP": "10.0.0.1", "node": "node-a", "reason": "no fit"}],
    },
    nodes=[{"node": "node-a", "publicIP": "10.0.0.1", "subnet": "172.30.19.0/24", "fits": True, "restartNeeded": True}],
)


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> str:
    return write(tmp_path, "networks.json", BLOCKED, _network("new"))


def test_all_networks_are_listed(file: str) -> None:
    """One row each; a network that nobody has looked at yet is Pending."""
    done = run("flannel", "status", "-f", file)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows == [
        ["NAME", "PHASE", "IN-SYNC", "LEASES", "FREE", "RESTART", "PENDING"],
        ["pods", "Blocked", "False", "1", "254", "1", "Renumbering"],
        ["new", "Pending", "-", "-", "-", "0", "-"],
    ]


def test_one_network_is_told_with_what_to_run(file: str) -> None:
    """What is not as it should be has its message, the change its blockers, and the approval its command."""
    text = run("flannel", "status", "pods", "-f", file).stdout
    assert "ConfigApplied: False Blocked\n  it waits for 1 leases" in text
    assert "all is well" not in text
    assert "SubnetLen: 24 -> 25 (Renumbering)" in text
    assert "blocked by 172.30.19.0/24 10.0.0.1 node-a: no fit" in text
    command = f"""kubectl patch flannelnetwork pods --type=merge -p '{{"spec":{{"approvedChange":"{ID}"}}}}'"""
    assert command in text


def test_nothing_is_offered_that_no_approval_opens(tmp_path: Path) -> None:
    """A first contact that differs is opened by spec.adoption, and by no id."""
    change = {"id": ID, "class": "Widening", "action": "block", "changes": [], "blockedBy": []}
    file = write(tmp_path, "one.json", _network(pendingChange=change))
    assert "kubectl patch" not in run("flannel", "status", "pods", "-f", file).stdout


def test_objects_come_without_who_manages_them(file: str) -> None:
    """`-o json` is a list with the objects as kubectl shows them."""
    body = json.loads(run("flannel", "status", "-f", file, "-o", "json").stdout)
    assert body["kind"] == "FlannelNetworkList"
    assert [item["metadata"] for item in body["items"]] == [{"name": "pods"}, {"name": "new"}]


def test_mistakes_are_told(file: str, tmp_path: Path) -> None:
    """A network that is not there is exit 3, another kind exit 2."""
    assert run("flannel", "status", "other", "-f", file).returncode == 3
    another = write(tmp_path, "other.json", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}})
    done = run("flannel", "status", "-f", another)
    assert done.returncode == 2
    assert "expected a FlannelNetwork, found a Node" in done.stderr
