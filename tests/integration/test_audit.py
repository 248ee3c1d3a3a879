"""Audit beside the controller manager's own approver: how people try nodegate before they trust it.

Rules: a control plane of its own, whose controller manager approves what kubeadm's bindings let it; the operator
judges everything, writes nothing to a request, and tells of every approval that it would not have made.
"""

from collections.abc import Iterator

import pytest

from hack.cluster import Cluster
from tests.integration.lab import Lab
from tests.integration.operator_fixtures import install, running

pytestmark = pytest.mark.integration

ROLE = "system:certificates.k8s.io:certificatesigningrequests"
BY_THE_CONTROLLER = "AutoApproved"
"""The reason that the controller manager's approver gives."""


@pytest.fixture(name="beside", scope="module")
def _beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Yield a lab whose controller manager approves by itself, as kubeadm sets it up."""
    with Cluster(kcm_approver=True) as cluster:
        account = install(cluster)
        for kind, group in (("nodeclient", "system:bootstrappers"), ("selfnodeclient", "system:nodes")):
            cluster.kubectl("create", "clusterrolebinding", kind, f"--clusterrole={ROLE}:{kind}", f"--group={group}")
        with running(cluster, account, tmp_path_factory.mktemp("operator")) as lab:
            yield lab


def test_the_verdict_is_told_and_the_other_approves(beside: Lab) -> None:
    """A node joins by the controller manager's word; the operator tells that it was not its own, and writes nothing."""
    name, token = beside.name(), beside.token()
    beside.enroll(name, mode="Audit", bootstrap={"tokenID": token.token_id})
    csr = beside.ask(name, token)
    condition = beside.approved(csr, issued=True)
    assert condition["reason"] == BY_THE_CONTROLLER
    beside.wait(lambda: bool(beside.condition(name, "ApprovalBypassed")), "ApprovalBypassed", node=name)


def test_what_would_have_been_refused_is_told(beside: Lab) -> None:
    """With another node's token the controller manager approves all the same, and the enrollment's status tells so."""
    name, token = beside.name(), beside.token()
    beside.enroll(name, mode="Audit", bootstrap={"tokenID": "zzzzzz"})
    csr = beside.ask(name, token)
    assert beside.approved(csr, issued=True)["reason"] == BY_THE_CONTROLLER
    beside.wait(lambda: csr in beside.condition(name, "ApprovalBypassed").get("message", ""), "the tale", node=name)
    assert beside.condition(name, "ApprovalBypassed")["status"] == "True"
    assert beside.operator.metric("nodegate_foreign_approvals_total") >= 1


def test_what_nobody_approves_waits_and_its_verdict_is_known(beside: Lab) -> None:
    """A serving request, which the controller manager never approves, is judged and left alone."""
    joined = beside.join(beside.name(), addresses=["10.20.30.41"], mode="Audit")
    csr = beside.cluster.request_serving(joined.kubeconfig, dns=[joined.name], ips=["10.20.30.41"])
    beside.wait(lambda: beside.last_verdict(csr).get("verdict") == "Approve", "the verdict", csr=csr)
    assert beside.conditions(csr) == []
    assert beside.operator.metric("nodegate_competing_approver", kind="bootstrap") == 1
