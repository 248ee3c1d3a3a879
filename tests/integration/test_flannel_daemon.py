"""The real flanneld on a config that the operator wrote: leases in the status, restarts, and packets across vxlan.

Rules: flanneld runs in network namespaces of its own and nowhere else; skipped, and said so, where the machine cannot
make them. Its leases are its own: no test writes one for it.
"""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.cluster import Cluster
from hack.cluster.errors import ClusterError
from hack.cluster.etcd_members import EtcdMembers
from tests.integration.flannel_lab import Network, granted
from tests.integration.flannel_nodes import WIRE_MTU, FlannelNode, flannel_nodes, missing
from tests.integration.lab import Lab

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

OPERATOR_FLAGS = ("--flannel",)
VXLAN_BYTES = 50


@pytest.fixture(scope="module", name="etcd")
def _etcd() -> Iterator[EtcdMembers]:
    """Yield three members with TLS, where flanneld can be run."""
    lacks = missing()
    if lacks:
        pytest.skip(f"THE REAL flanneld WAS NOT RUN: {lacks}")
    with EtcdMembers() as started:
        yield started


@pytest.fixture(scope="module", autouse=True)
def _component(cluster: Cluster, account: object, etcd: EtcdMembers) -> Iterator[None]:
    """Apply the component before the module's operator starts; the base must be there."""
    assert account
    with granted(cluster, etcd):
        yield


@pytest.fixture(name="network")
def _network(lab: Lab, etcd: EtcdMembers) -> Iterator[Network]:
    """Yield a network that was applied and written, and clean up after it."""
    made = Network(lab, etcd, lab.name("net"))
    made.apply(subnetMax="172.30.100.0")
    made.wait_for("Ready", "True", "InSync")
    try:
        yield made
    finally:
        made.remove()


@pytest.fixture(name="nodes")
def _nodes(network: Network, tmp_path: Path) -> Iterator[list[FlannelNode]]:
    """Yield two nodes with flanneld running, and their Node objects."""
    with flannel_nodes(network.etcd, network.prefix, tmp_path / "nodes") as nodes:
        for node in nodes:
            network.lab.make_node(node.name, addresses=[{"type": "InternalIP", "address": node.address}])
            try:
                node.start()
            except ClusterError as error:
                raise AssertionError(f"flanneld did not start: {error}") from error
        yield nodes


def _rows(network: Network) -> dict[str, dict[str, object]]:
    return {row.get("node", row["publicIP"]): row for row in network.status().get("nodes", ())}


def test_its_leases_show_and_a_widening_asks_for_restarts(network: Network, nodes: list[FlannelNode]) -> None:
    """Subnets by node, MTU less vxlan's bytes; after a widening each node is named until its flanneld restarts."""
    network.wait(lambda: set(_rows(network)) == {node.name for node in nodes}, "both leases")
    for node in nodes:
        row = _rows(network)[node.name]
        base = node.environment["FLANNEL_SUBNET"].replace(".1/24", ".0/24")
        assert (row["subnet"], row["publicIP"], row["backendType"]) == (base, node.address, "vxlan")
        assert (row["fits"], row["restartNeeded"], row["reservation"]) == (True, False, False)
        assert int(node.environment["FLANNEL_MTU"]) == WIRE_MTU - VXLAN_BYTES
        assert node.environment["FLANNEL_NETWORK"] == "172.30.0.0/16"
    assert network.is_now("LeasesHealthy", "True", "Healthy")

    network.apply(subnetMax="172.30.200.0")
    first, second = nodes
    network.wait(lambda: all(row["restartNeeded"] for row in _rows(network).values()), "both to be named")
    assert json.loads(network.config())["SubnetMax"] == "172.30.200.0"
    first.restart()
    network.wait(lambda: not _rows(network)[first.name]["restartNeeded"], "the restart to be seen")
    assert _rows(network)[second.name]["restartNeeded"]
    assert second.name in network.condition("RestartRequired")["message"]
    assert first.name not in network.condition("RestartRequired")["message"]
    second.restart()
    network.wait_for("RestartRequired", "False", "AllCurrent")


def test_pods_reach_each_other_across_vxlan(network: Network, nodes: list[FlannelNode]) -> None:
    """A connection from one node's subnet to the other's arrives, from the address that it came from."""
    network.wait(lambda: len(_rows(network)) == len(nodes), "both leases")
    first, second = nodes
    for node in nodes:
        node.take_pod_address()
    listener = second.listen()
    seen: list[str] = []

    def answer() -> None:
        connection, peer = listener.accept()
        seen.append(peer[0])
        with connection:
            connection.sendall(b"from a pod")

    thread = threading.Thread(target=answer)
    thread.start()
    with listener:
        assert first.fetch(listener.getsockname()) == b"from a pod"
        thread.join(10)
    assert seen == [first.pod_address]


def test_a_renumbering_is_blocked_by_its_leases_until_it_is_approved(
    network: Network, nodes: list[FlannelNode]
) -> None:
    """The pending change names both nodes; approved it is written, and whoever restarts takes the new range."""
    network.wait(lambda: len(_rows(network)) == len(nodes), "both leases")
    before = network.config()
    network.apply(network="172.31.0.0/16")
    network.wait_for("ChangeBlocked", "True", "LeasesInTheWay")
    pending = network.status()["pendingChange"]
    assert {each["node"] for each in pending["blockedBy"]} == {node.name for node in nodes}
    assert network.config() == before

    network.apply(network="172.31.0.0/16", approvedChange=pending["id"])
    network.wait_for("Ready", "True", "InSync")
    assert network.is_now("LeasesHealthy", "False", "OddLeases")
    for node in nodes:
        node.restart()
        assert node.environment["FLANNEL_NETWORK"] == "172.31.0.0/16"
    network.wait_for("LeasesHealthy", "True")
    network.wait_for("RestartRequired", "False")
