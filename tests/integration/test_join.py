"""Hollow nodes (the real kubelet code) join through the operator, alone and many at once.

Rules: every node has an enrollment and a pinned bootstrap token of its own; the operator runs with exactly the
shipped rights.
"""

import pytest

from tests.integration.lab import Lab, certificate_of, key_digest

pytestmark = pytest.mark.integration

STORM = 30
"""Nodes at once; a hollow node takes about 50 MB."""


def test_a_node_joins(lab: Lab) -> None:
    """A hollow node gets its certificate and is Ready, and its enrollment tells who joined with which key."""
    node, token = lab.name(), lab.token()
    lab.enroll(node, bootstrap={"tokenID": token.token_id})
    assert lab.status(node)["phase"] == "Ready"

    hollow = lab.hollow(node, token)
    hollow.wait_joined()
    lab.wait(lambda: lab.status(node).get("phase") == "Joined", "phase Joined", node=node)
    lab.wait(lambda: "lastDecision" in lab.status(node), "a last decision", node=node)

    assert hollow.client_certificate is not None
    status = lab.status(node)
    (join,) = status["joins"]
    assert join["publicKeySHA256"] == key_digest(certificate_of(hollow.client_certificate))
    assert join["requester"] == f"system:bootstrap:{token.token_id}"
    assert join["csrUID"] == lab.cluster.csr(join["csrName"])["metadata"]["uid"]
    assert status["joinCount"] == 1
    assert status["lastDecision"]["verdict"] == "Approve"
    assert status["lastDecision"]["csrName"] == join["csrName"]


def test_a_joined_node_is_described(lab: Lab) -> None:
    """The conditions follow the conventions and the Node's uid, readiness and moment stand in the status."""
    node, token = lab.name(), lab.token()
    lab.enroll(node, bootstrap={"tokenID": token.token_id})
    lab.hollow(node, token).wait_joined()
    lab.wait(lambda: lab.status(node).get("node", {}).get("ready") == "True", "a Ready node in the status", node=node)

    body = lab.enrollment(node)
    found = {c["type"]: (c["status"], c["reason"]) for c in body["status"]["conditions"]}
    quiet = {"Stalled": ("False", "Consistent"), "Reconciling": ("False", "Settled")}
    assert found.items() >= ({"Ready": ("True", "Joined"), "Joined": ("True", "NodeFound")} | quiet).items()
    generations = {c["observedGeneration"] for c in body["status"]["conditions"]}
    assert generations == {body["status"]["observedGeneration"]} == {body["metadata"]["generation"]}
    known = lab.cluster.node(node)
    assert known is not None
    assert body["status"]["node"]["uid"] == known["metadata"]["uid"]
    assert body["status"]["node"]["joinedAt"]


def test_the_approval_says_why(lab: Lab) -> None:
    """The condition names the enrollment, its generation and the rule set, and the join has an event."""
    joined = lab.join(lab.name())
    (join,) = lab.status(joined.name)["joins"]
    (condition,) = lab.conditions(join["csrName"])
    assert condition["reason"] == "BootstrapApproved"
    assert f"NodeEnrollment {joined.name} (generation 1)" in condition["message"]
    assert "rule set" in condition["message"]
    lab.wait(lambda: bool(lab.events(joined.name)), "an event on the enrollment", node=joined.name)
    assert [event["reason"] for event in lab.events(joined.name)] == ["JoinRecorded"]


def test_a_deleted_node_leaves_an_enrollment_that_waits_again(lab: Lab) -> None:
    """When its Node is deleted the enrollment is Ready for the next join, and the old join stays recorded."""
    joined = lab.join(lab.name())
    lab.cluster.api("DELETE", f"/api/v1/nodes/{joined.name}")
    lab.wait(lambda: lab.status(joined.name)["phase"] == "Ready", "phase Ready", node=joined.name)
    status = lab.status(joined.name)
    assert "uid" not in status["node"]
    assert status["joinCount"] == 1


@pytest.mark.timeout(240)
def test_many_nodes_join_at_once(lab: Lab) -> None:
    """Thirty hollow nodes that start together all become Ready, each with one recorded join."""
    before = lab.operator.metric("nodegate_enrollment_joins_total")
    tokens = {lab.name("storm"): lab.token() for _ in range(STORM)}
    for node, token in tokens.items():
        lab.enroll(node, settled=False, bootstrap={"tokenID": token.token_id})
    hollow = [lab.hollow(node, token) for node, token in tokens.items()]
    for each in hollow:
        each.wait_joined(timeout=150)
    for node in tokens:
        lab.wait(lambda node=node: lab.status(node).get("phase") == "Joined", "phase Joined", node=node)  # type: ignore[misc]
        assert lab.status(node)["joinCount"] == 1
    assert lab.operator.metric("nodegate_enrollment_joins_total") - before == STORM
    assert lab.operator.metric("nodegate_csr_pending") == 0
