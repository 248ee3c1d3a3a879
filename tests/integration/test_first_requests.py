"""First requests, made with bootstrap tokens: who may join, when, how often, and with which key.

Rules: tokens are real ones of the cluster; what is held must be approved by itself as soon as what it waited
for is there.
"""

import datetime as dt

import pytest

from hack.cluster.pki import new_key
from hack.impersonation import Identity
from nodegate.clock import now
from tests.integration.lab import ENROLLMENTS, MERGE, Lab, key_digest

pytestmark = pytest.mark.integration


def test_an_unknown_node_waits_until_it_is_enrolled(lab: Lab) -> None:
    """A request for a node that nobody enrolled is held and approved once somebody does."""
    node, token = lab.name(), lab.token()
    name = lab.ask(node, token)
    lab.held(name, "NotEnrolled")
    lab.enroll(node, settled=False, bootstrap={"tokenID": token.token_id})
    assert lab.approved(name, issued=True)["reason"] == "BootstrapApproved"
    assert lab.last_verdict(name)["verdict"] == "Approve"


def test_a_window_opens_by_itself(lab: Lab) -> None:
    """A request before notBefore is held and approved when the moment comes, with no other change."""
    node, token = lab.name(), lab.token()
    opens = (now() + dt.timedelta(seconds=3)).strftime("%Y-%m-%dT%H:%M:%SZ")
    lab.enroll(node, bootstrap={"tokenID": token.token_id, "notBefore": opens})
    name = lab.ask(node, token)
    lab.held(name, "OutsideWindow")
    assert lab.status(node)["phase"] == "Pending"
    lab.approved(name)
    lab.wait(lambda: lab.status(node)["phase"] == "Ready", "phase Ready", node=node)


def test_a_window_closes_by_itself(lab: Lab) -> None:
    """After notAfter the enrollment is Expired and requests are held until somebody moves it."""
    node, token = lab.name(), lab.token()
    closes = (now() + dt.timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    lab.enroll(node, bootstrap={"tokenID": token.token_id, "notAfter": closes})
    lab.wait(lambda: lab.status(node)["phase"] == "Expired", "phase Expired", node=node)
    name = lab.ask(node, token)
    lab.held(name, "OutsideWindow")
    later = (now() + dt.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    lab.enroll(node, bootstrap={"tokenID": token.token_id, "notAfter": later})
    lab.approved(name)


def test_the_number_of_keys_is_limited(lab: Lab) -> None:
    """After maxJoins distinct keys the next one is held; the newest of them may ask again."""
    node, token, first, last = lab.name(), lab.token(), new_key(), new_key()
    lab.enroll(node, bootstrap={"tokenID": token.token_id, "maxJoins": 2})
    lab.approved(lab.ask(node, token, key=first))
    lab.approved(lab.ask(node, token, key=last))
    lab.approved(lab.ask(node, token, key=last))
    name = lab.ask(node, token)
    lab.held(name, "JoinLimitReached")
    status = lab.status(node)
    assert status["joinCount"] == 2
    assert [join["publicKeySHA256"] for join in status["joins"]] == [key_digest(last), key_digest(first)]
    lab.enroll(node, settled=False, bootstrap={"tokenID": token.token_id, "maxJoins": 3})
    lab.approved(name)


def test_a_pinned_key_is_the_only_one(lab: Lab) -> None:
    """With publicKeySHA256 another key is denied and the pinned one approved."""
    node, token, key = lab.name(), lab.token(), new_key()
    lab.enroll(node, bootstrap={"tokenID": token.token_id, "publicKeySHA256": key_digest(key)})
    lab.denied(lab.ask(node, token), "KeyPinMismatch")
    lab.approved(lab.ask(node, token, key=key))


def test_another_enrollments_token_is_denied(lab: Lab) -> None:
    """A token that works for one node asks in vain for another."""
    node, other, own, foreign = lab.name(), lab.name(), lab.token(), lab.token()
    lab.enroll(node, bootstrap={"tokenID": own.token_id})
    lab.enroll(other, bootstrap={"tokenID": foreign.token_id})
    condition = lab.denied(lab.ask(node, foreign), "TokenMismatch")
    assert own.token_id in condition["message"]
    lab.wait(lambda: lab.status(node).get("lastDecision", {}).get("verdict") == "Deny", "lastDecision", node=node)
    assert "joins" not in lab.status(node)


def test_an_empty_spec_takes_any_member_of_the_bootstrap_group(lab: Lab) -> None:
    """With `spec: {}` every bootstrapper may join under that name, and nobody else."""
    node = lab.name()
    lab.enroll(node)
    lab.approved(lab.ask_as(Identity("kubelet-bootstrap", ("system:bootstrappers",)), node))
    stranger = lab.ask_as(Identity("system:admin", ("system:masters",)), node)
    lab.wait(lambda: lab.last_verdict(stranger).get("verdict") == "Ignore", "Ignore", csr=stranger)
    assert lab.conditions(stranger) == []
    assert lab.events(stranger) == []


def test_a_listed_user_may_join(lab: Lab) -> None:
    """A user that the enrollment lists is approved; another member of the group is denied."""
    node = lab.name()
    lab.enroll(node, bootstrap={"users": ["installer"]})
    lab.approved(lab.ask_as(Identity("installer", ("system:masters",)), node))
    lab.denied(lab.ask_as(Identity("jane", ("system:bootstrappers",)), node), "RequesterNotAllowed")


def test_a_working_node_is_not_displaced(lab: Lab) -> None:
    """While the Node is Ready another key is held and the same key passes; the other follows when it is not."""
    joined = lab.join(lab.name())
    assert lab.approved(lab.ask(joined.name, joined.token, key=joined.key))
    other = lab.ask(joined.name, joined.token)
    line = lab.held(other, "NodeAlreadyJoined")
    assert "Ready True" in line["message"]
    lab.make_node(joined.name, ready="False")
    lab.approved(other)
    assert lab.status(joined.name)["joinCount"] == 2


def test_a_deleted_node_frees_its_name(lab: Lab) -> None:
    """With rejoin WhenGone another key waits, whatever the readiness, until the Node is deleted."""
    joined = lab.join(lab.name(), rejoin="WhenGone")
    lab.make_node(joined.name, ready="False")
    other = lab.ask(joined.name, joined.token)
    lab.held(other, "NodeAlreadyJoined")
    lab.cluster.api("DELETE", f"/api/v1/nodes/{joined.name}")
    lab.approved(other)


def test_a_conflict_holds_both_and_names_both(lab: Lab) -> None:
    """Two enrollments with one address: both are in conflict and name each other; mending one frees both."""
    first, second, tokens = lab.name(), lab.name(), (lab.token(), lab.token())
    lab.enroll(first, addresses=["10.20.1.1"], bootstrap={"tokenID": tokens[0].token_id})
    lab.enroll(second, addresses=["10.20.1.1"], bootstrap={"tokenID": tokens[1].token_id})
    for node, other in ((first, second), (second, first)):
        lab.wait(lambda node=node: lab.status(node)["phase"] == "Conflict", "phase Conflict", node=node)  # type: ignore[misc]
        stalled = lab.condition(node, "Stalled")
        assert (stalled["status"], stalled["reason"]) == ("True", "EnrollmentConflict")
        assert "10.20.1.1" in stalled["message"]
        assert other in stalled["message"]
    names = [lab.ask(first, tokens[0]), lab.ask(second, tokens[1])]
    for name in names:
        lab.held(name, "EnrollmentConflict")

    lab.enroll(second, addresses=["10.20.1.2"], bootstrap={"tokenID": tokens[1].token_id})

    for name in names:
        lab.approved(name)
    lab.wait(lambda: lab.status(first)["phase"] == "Ready", "phase Ready", node=first)
    assert lab.condition(first, "Stalled")["status"] == "False"


def test_a_revoked_enrollment_conflicts_with_nobody(lab: Lab) -> None:
    """An address moves to its successor once the old enrollment is revoked."""
    old, new, token = lab.name(), lab.name(), lab.token()
    lab.enroll(old, addresses=["10.20.1.9"])
    lab.enroll(new, addresses=["10.20.1.9"], bootstrap={"tokenID": token.token_id})
    name = lab.ask(new, token)
    lab.held(name, "EnrollmentConflict")
    lab.cluster.api("PATCH", f"{ENROLLMENTS}/{old}", {"spec": {"state": "Revoked"}}, content_type=MERGE)
    lab.approved(name)


def test_a_reserved_identity_stalls_the_enrollment(lab: Lab) -> None:
    """An enrollment that lists an address of the service network authorises nothing and says why."""
    node, token = lab.name(), lab.token()
    lab.enroll(node, addresses=["10.96.3.4"], bootstrap={"tokenID": token.token_id})
    stalled = lab.condition(node, "Stalled")
    assert (stalled["status"], stalled["reason"]) == ("True", "ReservedIdentity")
    assert "10.96.3.4 (service network 10.96.0.0/12)" in stalled["message"]
    assert lab.condition(node, "Ready")["status"] == "False"
    name = lab.ask(node, token)
    lab.held(name, "EnrollmentNotReady")
    lab.wait(lambda: [e["reason"] for e in lab.events(node)] == ["ReservedIdentity"], "the event", node=node)
    lab.enroll(node, bootstrap={"tokenID": token.token_id})
    lab.approved(name)


def test_a_deleted_enrollment_authorises_nothing(lab: Lab) -> None:
    """After the enrollment is deleted its token and its node's renewals are held."""
    joined = lab.join(lab.name())
    lab.cluster.api("DELETE", f"{ENROLLMENTS}/{joined.name}")
    lab.held(lab.cluster.request_renewal(joined.kubeconfig), "NotEnrolled")
    lab.held(lab.ask(joined.name, joined.token), "NotEnrolled")


def test_a_held_request_that_is_deleted_is_forgotten(lab: Lab) -> None:
    """The gauges of what is pending and held follow when somebody deletes a request."""
    name = lab.ask(lab.name(), lab.token())
    lab.held(name, "NotEnrolled")
    assert lab.operator.metric("nodegate_csr_held", reason="not_enrolled") == 1
    lab.cluster.api("DELETE", f"/apis/certificates.k8s.io/v1/certificatesigningrequests/{name}")
    lab.wait(lambda: lab.operator.metric("nodegate_csr_held") == 0, "no held request")
    assert lab.operator.metric("nodegate_csr_pending") == 0
