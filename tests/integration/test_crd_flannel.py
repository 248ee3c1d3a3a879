"""FlannelNetwork against a real API server: what it refuses, what it accepts, what it keeps for ever.

A running control plane comes in (the session fixture ``cluster``). Rules: vectors are only tried out
(`--dry-run=server`); what is stored is deleted again. That the CRD is established shows that its rules
stay within the API server's cost budget.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.test_crd import APPLY, Cluster
from tests.manifests.shipped import CRDS
from tests.unit.flannel.network_vectors import accepted, bare, refused

pytestmark = pytest.mark.integration

CRD = "crd/flannelnetworks.nodegate.dev"
NAME = "crd-test-network"


@pytest.fixture(scope="module")
def installed(cluster: Cluster) -> Cluster:
    """Return the control plane with the CRDs established."""
    cluster.kubectl(*APPLY, "-k", str(CRDS))
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", CRD)
    return cluster


@pytest.fixture
def network(installed: Cluster) -> Iterator[dict[str, Any]]:
    """Yield a stored network, deleted afterwards."""
    body = bare({"spec": {"prefix": "/kube-centos/network"}}) | {"metadata": {"name": NAME}}
    installed.kubectl("create", "-f", "-", input=json.dumps(body))
    yield body
    installed.kubectl("delete", "fn", NAME)


@pytest.mark.parametrize("case", refused(), ids=lambda case: case["name"])
def test_malformed_networks_are_refused(installed: Cluster, case: dict[str, Any]) -> None:
    """The API server refuses the case and names the field and what is wrong with it."""
    done = installed.kubectl("create", "--dry-run=server", "-f", "-", input=json.dumps(bare(case)), check=False)

    assert done.returncode != 0, case["why"]
    assert case["field"] in done.stderr
    assert case["message"] in done.stderr


@pytest.mark.parametrize("case", accepted(), ids=lambda case: case["name"])
def test_sound_networks_are_accepted(installed: Cluster, case: dict[str, Any]) -> None:
    """The API server accepts the case without a warning."""
    done = installed.kubectl("create", "--dry-run=server", "-f", "-", input=json.dumps(bare(case)), check=False)

    assert (done.returncode, done.stderr) == (0, ""), case["why"]


def test_the_prefix_is_for_ever(installed: Cluster, network: dict[str, Any]) -> None:
    """A prefix that changed would leave the nodes on the old one."""
    patch = json.dumps({"spec": {"prefix": "/coreos.com/network"}})
    done = installed.kubectl("patch", "fn", network["metadata"]["name"], "--type=merge", "-p", patch, check=False)

    assert done.returncode != 0
    assert "spec.prefix" in done.stderr
    assert "cannot be changed" in done.stderr


def test_the_largest_network_is_accepted(installed: Cluster) -> None:
    """Every list at its bound is within the cost that the API server allows at run time."""
    spec = {
        "etcd": {"endpoints": [f"https://10.0.0.{n}:2379" for n in range(1, 10)], "api": "V3"},
        "reservations": [{"publicIP": f"10.1.0.{n}", "subnet": f"172.30.{n}.0/24"} for n in range(256)],
        "reservedCIDRs": [f"10.{n}.0.0/16" for n in range(64)],
    }
    body = json.dumps(bare({"spec": spec}))
    done = installed.kubectl("create", "--dry-run=server", "-f", "-", input=body, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_columns_show_what_the_status_says(installed: Cluster, network: dict[str, Any]) -> None:
    """`kubectl get fn` tells the state in one line."""
    moment = "2030-01-01T00:00:00Z"
    applied = {
        "type": "ConfigApplied",
        "status": "True",
        "reason": "InSync",
        "message": "",
        "lastTransitionTime": moment,
    }
    status = {"phase": "Ready", "leases": {"total": 2}, "capacity": {"free": 253}, "conditions": [applied]}
    name = network["metadata"]["name"]
    patch = json.dumps({"status": status})
    installed.kubectl("patch", "fn", name, "--subresource=status", "--type=merge", "-p", patch)

    head, row = installed.kubectl("get", "fn", name).stdout.splitlines()

    assert head.split() == ["NAME", "NETWORK", "BACKEND", "PHASE", "LEASES", "FREE", "IN-SYNC", "AGE"]
    assert row.split()[:7] == [name, "172.30.0.0/16", "vxlan", "Ready", "2", "253", "True"]


def test_a_pending_change_is_stored_as_written(installed: Cluster, network: dict[str, Any]) -> None:
    """What a person has to read before approving is kept whole."""
    pending = {
        "id": "0123456789abcdef" * 4,
        "class": "Datapath",
        "action": "block",
        "message": "Datapath: waits for 1 leases",
        "changes": [{"field": "Backend.Type", "from": "vxlan", "to": "host-gw", "class": "Datapath"}],
        "blockedBy": [{"subnet": "172.30.19.0/24", "publicIP": "10.0.0.19", "node": "node-a", "reason": "in use"}],
        "blockedByCount": 1,
    }
    name = network["metadata"]["name"]
    patch = json.dumps({"status": {"pendingChange": pending}})
    installed.kubectl("patch", "fn", name, "--subresource=status", "--type=merge", "-p", patch)

    assert json.loads(installed.kubectl("get", "fn", name, "-o", "json").stdout)["status"]["pendingChange"] == pending
