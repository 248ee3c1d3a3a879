"""A real API server with kubeadm's binding: the running operator sees that the controller manager would approve.

Rules: the binding is made before the operator starts, whose first check comes with its first decisions; what the
binding is named and whom it binds is what kubeadm does.
"""

import pytest

from hack.cluster import Cluster
from tests.integration.operator_fixtures import Start

pytestmark = pytest.mark.integration

GAUGE = "nodegate_competing_approver"
ROLE = "system:certificates.k8s.io:certificatesigningrequests:nodeclient"
KUBEADM = ("kubeadm:node-autoapprove-bootstrap", "system:bootstrappers:kubeadm:default-node-token")


def test_kubeadms_binding_is_seen_at_start_and_its_end_after(cluster: Cluster, start: Start) -> None:
    """Bound: 1, a log line and an event on the role; the binding deleted and the operator started again: 0."""
    name, group = KUBEADM
    cluster.kubectl("create", "clusterrolebinding", name, f"--clusterrole={ROLE}", f"--group={group}")
    try:
        lab = start()
        lab.wait(lambda: lab.operator.metric(GAUGE, kind="bootstrap") == 1, "the gauge to be 1")
        lab.wait(lambda: "ApprovalBypassed" in _events(cluster), "the event")
        assert ROLE in _events(cluster)
        assert name in lab.operator.log_text()
        assert lab.operator.metric(GAUGE, kind="renewal") == 0
        lab.operator.stop()
    finally:
        cluster.kubectl("delete", "clusterrolebinding", name)
    again = start()
    again.wait(lambda: f'{GAUGE}{{kind="bootstrap"}} 0.0' in again.operator.get("/metrics")[1], "the gauge to be 0")


def _events(cluster: Cluster) -> str:
    """Return reason and object of the events about ClusterRoles, as text."""
    columns = "custom-columns=R:.reason,K:.involvedObject.kind,N:.involvedObject.name"
    return cluster.kubectl("get", "events", "-n", "default", "-o", columns).stdout
