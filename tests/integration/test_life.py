"""The conditions of an enrollment's life as people's tools read them, and re-joins, on a real control plane.

Rules: what other files of this tier show already (suspension and revocation, windows, a deleted Node) is not
repeated here.
"""

import pytest

from tests.integration.lab import Lab

pytestmark = pytest.mark.integration


def test_kubectl_waits_for_ready(lab: Lab) -> None:
    """`kubectl wait` ends for an enrollment that is ready, and does not for one that is suspended."""
    name = lab.name()
    lab.enroll(name, settled=False, bootstrap={"tokenID": lab.token().token_id})
    lab.cluster.kubectl("wait", "--for=condition=Ready", "--timeout=20s", f"ne/{name}")
    lab.enroll(name, settled=False, state="Suspended")
    lab.cluster.kubectl("wait", "--for=condition=Ready=false", "--timeout=20s", f"ne/{name}")
    body = lab.enrollment(name)
    found = {c["type"]: c["status"] for c in body["status"]["conditions"]}
    assert (found["Reconciling"], found["Stalled"]) == ("False", "False")
    generations = {c["observedGeneration"] for c in body["status"]["conditions"]}
    assert generations == {body["status"]["observedGeneration"]} == {body["metadata"]["generation"]}


def test_a_conflict_is_named_on_both(lab: Lab) -> None:
    """Two enrollments of one address are both in Conflict, each names the other, and mending one frees both."""
    first, second = lab.name(), lab.name()
    lab.enroll(first, addresses=["10.20.9.9"])
    lab.enroll(second, addresses=["10.20.9.9"])
    for one, other in ((first, second), (second, first)):
        lab.wait(lambda one=one: lab.status(one)["phase"] == "Conflict", "phase Conflict", node=one)  # type: ignore[misc]  # bound
        stalled = lab.condition(one, "Stalled")
        assert stalled["status"] == "True"
        assert other in stalled["message"]
    lab.enroll(second, addresses=["10.20.9.10"])
    for one in (first, second):
        lab.wait(lambda one=one: lab.status(one)["phase"] == "Ready", "phase Ready", node=one)  # type: ignore[misc]  # bound


def test_another_key_joins_only_while_the_node_is_not_ready(lab: Lab) -> None:
    """With WhenNotReady another key is held while the Node is Ready, and approved as soon as it is not."""
    joined = lab.join(lab.name())
    again = lab.ask(joined.name, joined.token)
    lab.held(again, "NodeAlreadyJoined")
    lab.make_node(joined.name, ready="False")
    assert lab.approved(again)["reason"] == "BootstrapApproved"


def test_never_holds_another_key_even_when_the_node_is_gone(lab: Lab) -> None:
    """With Never another key is held with and without a Node, until somebody says otherwise."""
    joined = lab.join(lab.name(), rejoin="Never")
    lab.cluster.api("DELETE", f"/api/v1/nodes/{joined.name}")
    lab.wait(lambda: lab.status(joined.name)["phase"] == "Ready", "phase Ready", node=joined.name)
    again = lab.ask(joined.name, joined.token)
    lab.held(again, "NodeAlreadyJoined")
    lab.enroll(joined.name, settled=False, rejoin="WhenGone", bootstrap={"tokenID": joined.token.token_id})
    lab.approved(again)
