"""Renewals and serving requests of joined nodes: what is approved, denied, held, and held until when.

Rules: requests are made with the certificate that the node really got, as its kubelet would; each test judges
by the request's own conditions, the event on it, or the operator's audit line.
"""

from collections.abc import Sequence
from typing import Any

import pytest
from cryptography import x509

from hack.impersonation import Identity
from tests.integration.lab import ENROLLMENTS, MERGE, Joined, Lab

pytestmark = pytest.mark.integration

ADDRESS = "10.20.0.5"


def serve(lab: Lab, node: Joined, dns: Sequence[str] = (), ips: Sequence[str] = (ADDRESS,), **changes: Any) -> str:
    """Ask for a serving certificate as the node itself, for its own name and more."""
    return lab.cluster.request_serving(node.kubeconfig, dns=(node.name, *dns), ips=ips, **changes)


def patch(lab: Lab, node: str, **spec: Any) -> None:
    """Change fields of an enrollment's spec."""
    lab.cluster.api("PATCH", f"{ENROLLMENTS}/{node}", {"spec": spec}, content_type=MERGE)


@pytest.fixture(name="joined")
def _joined(lab: Lab) -> Joined:
    """Return a node that has joined and whose enrollment lists an address."""
    return lab.join(lab.name(), addresses=[ADDRESS], dnsNames=["rack-7.corp"])


def test_a_renewal_is_approved_and_issued(lab: Lab, joined: Joined) -> None:
    """The node's own request for a new client certificate is approved and the signer issues it."""
    name = lab.cluster.request_renewal(joined.kubeconfig)
    assert lab.approved(name, issued=True)["reason"] == "RenewalApproved"
    assert lab.status(joined.name)["joinCount"] == 1
    assert lab.last_verdict(name)["credentialID"] is not None


def test_a_serving_request_is_approved_and_issued(lab: Lab, joined: Joined) -> None:
    """Name, enrolled address and enrolled DNS name stand in the certificate that is issued."""
    import base64

    name = serve(lab, joined, dns=["rack-7.corp"])
    assert lab.approved(name, issued=True)["reason"] == "ServingApproved"
    issued = x509.load_pem_x509_certificate(base64.b64decode(lab.cluster.csr(name)["status"]["certificate"]))
    names = issued.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [joined.name, "rack-7.corp"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == [ADDRESS]


def test_another_nodes_address_is_denied(lab: Lab, joined: Joined) -> None:
    """An address that another enrollment lists is denied, and the message names that enrollment."""
    other = lab.name("other")
    lab.enroll(other, addresses=["10.20.0.66"])
    condition = lab.denied(serve(lab, joined, ips=[ADDRESS, "10.20.0.66"]), "SubjectAltNameForeign")
    assert "10.20.0.66" in condition["message"]
    assert other in condition["message"]


@pytest.mark.parametrize(
    ("dns", "ips", "shown"),
    [
        ([], ["10.96.0.1"], "10.96.0.1 ("),
        ([], ["10.96.3.4"], "service network 10.96.0.0/12"),
        (["kubernetes.default.svc"], [ADDRESS], "kubernetes.default.svc"),
        ([], ["127.0.0.1"], "loopback"),
        (["localhost"], [ADDRESS], "localhost"),
    ],
    ids=["api-address", "service", "api-name", "loopback", "localhost"],
)
def test_the_clusters_own_identities_are_denied(
    lab: Lab, joined: Joined, dns: list[str], ips: list[str], shown: str
) -> None:
    """No node gets a certificate for the cluster's own names and addresses, and the message says whose they are."""
    condition = lab.denied(serve(lab, joined, dns=dns, ips=ips), "SubjectAltNameReserved")
    assert shown in condition["message"]


def test_an_api_servers_address_is_denied_but_to_the_node_that_lists_it(lab: Lab, joined: Joined) -> None:
    """An address in the EndpointSlice of default/kubernetes is reserved, except for the enrollment that lists it."""
    slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
    body = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "kubernetes", "labels": {"kubernetes.io/service-name": "kubernetes"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.20.0.200"]}],
    }
    lab.cluster.api("POST", slices, body)
    try:
        lab.denied(serve(lab, joined, ips=["10.20.0.200"]), "SubjectAltNameReserved")
        control = lab.join(lab.name("control"), addresses=["10.20.0.200"])
        assert lab.approved(serve(lab, control, ips=["10.20.0.200"]))["reason"] == "ServingApproved"
    finally:
        lab.cluster.api("DELETE", f"{slices}/kubernetes")


def test_an_unlisted_address_is_held_until_it_is_listed(lab: Lab, joined: Joined) -> None:
    """Held with one event on the request, nothing written to it; approved as soon as the enrollment lists it."""
    name = serve(lab, joined, ips=[ADDRESS, "10.20.0.77"])
    line = lab.held(name, "SubjectAltNameNotEnrolled")
    assert "10.20.0.77" in line["message"]
    lab.wait(lambda: bool(lab.events(name)), "an event on the request", csr=name)
    (event,) = lab.events(name)
    assert (event["reason"], event["type"]) == ("SubjectAltNameNotEnrolled", "Warning")
    assert "10.20.0.77" in event["message"]

    patch(lab, joined.name, addresses=[ADDRESS, "10.20.0.77"])

    assert lab.approved(name, issued=True)["reason"] == "ServingApproved"


def test_a_serving_request_without_a_node_is_held_until_it_appears(lab: Lab, joined: Joined) -> None:
    """The Node object has to exist first."""
    lab.cluster.api("DELETE", f"/api/v1/nodes/{joined.name}")
    lab.wait(lambda: lab.status(joined.name)["phase"] == "Ready", "the Node to be gone", node=joined.name)
    name = serve(lab, joined)
    lab.held(name, "NodeNotFound")
    lab.make_node(joined.name)
    lab.approved(name)


def test_addresses_must_be_on_the_node_when_that_is_asked_for(lab: Lab) -> None:
    """With requireNodeAddresses the Node's own addresses narrow what the enrollment allows."""
    serving = {"requireNodeAddresses": True}
    joined = lab.join(lab.name(), addresses=[ADDRESS], serving=serving)
    name = serve(lab, joined)
    lab.held(name, "NodeAddressesUnknown")
    lab.make_node(joined.name, addresses=[{"type": "InternalIP", "address": "10.20.0.6"}])
    lab.held(name, "SubjectAltNameNotOnNode")
    lab.make_node(joined.name, addresses=[{"type": "ExternalIP", "address": ADDRESS}])
    lab.approved(name)


def test_nobody_but_a_node_gets_a_serving_certificate(lab: Lab) -> None:
    """A bootstrapper who is in the nodes' group, too, asks in vain for another's serving certificate."""
    other = lab.join(lab.name("victim"), addresses=[ADDRESS])
    who = Identity("mallory", ("system:bootstrappers", "system:nodes"))
    name = lab.ask_as(who, other.name, "serving", dns=[other.name], ips=[ADDRESS])
    lab.denied(name, "RequesterMismatch")


def test_audit_mode_writes_nothing(lab: Lab) -> None:
    """The verdict is told in the log, the event and the status, and the request stays as it was."""
    node, token = lab.name(), lab.token()
    lab.enroll(node, mode="Audit", bootstrap={"tokenID": token.token_id})
    name = lab.ask(node, token)
    lab.wait(lambda: lab.last_verdict(name).get("verdict") == "Approve", "the audit line", csr=name)
    assert lab.last_verdict(name)["mode"] == "Audit"
    lab.wait(lambda: "lastDecision" in lab.status(node), "a last decision", node=node)
    assert lab.conditions(name) == []
    assert "joins" not in lab.status(node)
    stranger = lab.ask(node, lab.token())
    lab.wait(lambda: lab.last_verdict(stranger).get("verdict") == "Deny", "the audit line", csr=stranger)
    assert lab.conditions(stranger) == []

    patch(lab, node, mode="Enforce")

    lab.approved(name)
    lab.denied(stranger, "TokenMismatch")


def test_suspension_holds_and_revocation_denies_renewals(lab: Lab, joined: Joined) -> None:
    """A suspended node's renewal waits and is approved afterwards; a revoked node's is denied."""
    patch(lab, joined.name, state="Suspended")
    lab.wait(lambda: lab.status(joined.name)["phase"] == "Suspended", "phase Suspended", node=joined.name)
    name = lab.cluster.request_renewal(joined.kubeconfig)
    lab.held(name, "EnrollmentSuspended")
    patch(lab, joined.name, state="Active")
    lab.approved(name)

    patch(lab, joined.name, state="Revoked")
    lab.denied(lab.cluster.request_renewal(joined.kubeconfig), "EnrollmentRevoked")
    lab.denied(serve(lab, joined), "EnrollmentRevoked")
    lab.wait(lambda: lab.status(joined.name)["phase"] == "Revoked", "phase Revoked", node=joined.name)


def test_the_last_decision_is_in_the_status(lab: Lab, joined: Joined) -> None:
    """`kubectl get ne -o wide` shows the newest verdict with its reason."""
    name = serve(lab, joined, ips=["10.20.0.99"])
    lab.held(name, "SubjectAltNameNotEnrolled")

    def told() -> bool:
        return bool(lab.status(joined.name).get("lastDecision", {}).get("csrName") == name)

    lab.wait(told, "the last decision", node=joined.name)
    decision = lab.status(joined.name)["lastDecision"]
    assert (decision["verdict"], decision["reason"]) == ("Hold", "SubjectAltNameNotEnrolled")


def test_serving_can_be_switched_off(lab: Lab) -> None:
    """With serving.approve false requests wait, and are approved once it is switched on."""
    joined = lab.join(lab.name(), addresses=[ADDRESS], serving={"approve": False})
    name = serve(lab, joined)
    lab.held(name, "ServingNotApproved")
    patch(lab, joined.name, serving={"approve": True})
    lab.approved(name)


def test_a_longer_life_than_allowed_is_denied(lab: Lab) -> None:
    """A renewal that asks for more than maxExpirationSeconds is denied, one within it is approved."""
    joined = lab.join(lab.name(), maxExpirationSeconds=3600)
    lab.denied(lab.cluster.request_renewal(joined.kubeconfig, expiration_seconds=3601), "ExpirationNotAllowed")
    lab.approved(lab.cluster.request_renewal(joined.kubeconfig, expiration_seconds=3600), issued=True)
