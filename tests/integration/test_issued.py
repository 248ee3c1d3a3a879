"""What follows an approval on a real control plane: what the signer issued, lineage, cloned keys, foreign approvals.

Rules: the certificates are the real signer's; whoever renews does so with a certificate that it issued.
"""

import hashlib

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.integration.lab import Document, Joined, Lab, certificate_of

pytestmark = pytest.mark.integration

ADDRESS = "10.20.30.40"
"""What the joined node's enrollment lists."""


@pytest.fixture
def joined(lab: Lab) -> Joined:
    """Bring in a node that may also serve from `ADDRESS`."""
    return lab.join(lab.name(), addresses=[ADDRESS])


def digest(node: Joined) -> str:
    """Return the SHA-256 of a node's client certificate."""
    certificate = certificate_of(node.kubeconfig.with_suffix(".crt"))
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def recorded(lab: Lab, node: str, kind: str, csr: str) -> Document:
    """Wait until the enrollment names the certificate that answers this request; return its record."""

    def found() -> bool:
        records: Document = lab.status(node).get("certificates", {})
        return bool(records.get(kind, {}).get("csrName") == csr)

    lab.wait(found, f"the {kind} certificate of {csr} in the status", node=node)
    record: Document = lab.status(node)["certificates"][kind]
    return record


def test_issued_certificates_are_on_record(lab: Lab, joined: Joined) -> None:
    """Serial, end and digest of both certificates stand in the status, the first is seen in use, no alarm."""
    (join,) = lab.status(joined.name)["joins"]
    record = recorded(lab, joined.name, "client", join["csrName"])
    issued = certificate_of(joined.kubeconfig.with_suffix(".crt"))
    assert record["sha256"] == digest(joined)
    assert int(record["serial"], 16) == issued.serial_number
    assert record["notAfter"] == issued.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ")

    serving = lab.cluster.request_serving(joined.kubeconfig, dns=[joined.name], ips=[ADDRESS])
    lab.approved(serving, issued=True)
    assert recorded(lab, joined.name, "serving", serving)["sha256"] != record["sha256"]
    lab.wait(lambda: bool(lab.status(joined.name)["certificates"]["client"].get("seen")), "seen", node=joined.name)
    assert lab.condition(joined.name, "ServingCertificateIssued")["status"] == "True"
    assert not lab.condition(joined.name, "IssuedMismatch")
    assert not lab.condition(joined.name, "ApprovalBypassed")


def test_a_superseded_certificate_renews_no_more(lab: Lab, joined: Joined) -> None:
    """The old certificate may ask until the new one is seen in use; after that whoever holds it waits."""
    renewed, csr = lab.renew(joined)
    record = recorded(lab, joined.name, "client", csr)
    assert record["previousSHA256"] == digest(joined)
    lost, csr = lab.renew(joined)  # The kubelet may have lost what it was given.
    assert recorded(lab, joined.name, "client", csr)["sha256"] == digest(lost)

    lab.approved(lab.cluster.request_serving(lost.kubeconfig, dns=[joined.name], ips=[ADDRESS]))
    lab.wait(lambda: bool(lab.status(joined.name)["certificates"]["client"].get("seen")), "seen", node=joined.name)
    previous = lab.status(joined.name)["certificates"]["client"]["previousSHA256"]
    superseded = {digest(joined): joined, digest(renewed): renewed}[previous]
    lab.held(lab.cluster.request_renewal(superseded.kubeconfig), "CredentialSuperseded")
    lab.renew(lost)


def test_a_cloned_key_is_held(lab: Lab, joined: Joined) -> None:
    """Another node's enrollment does not let in a key that joined before, and the first node goes on."""
    other, token = lab.name(), lab.token()
    lab.enroll(other, bootstrap={"tokenID": token.token_id})
    line = lab.held(lab.ask(other, token, key=joined.key), "KeyReused")
    assert joined.name in line["message"]
    assert lab.status(joined.name)["phase"] == "Joined"
    lab.approved(lab.ask(other, token), issued=True)


def test_an_approval_by_somebody_else_is_told(lab: Lab) -> None:
    """A person approves what was held: condition, event and counter say that nodegate was passed by."""
    node, token, before = lab.name(), lab.token(), lab.operator.metric("nodegate_foreign_approvals_total")
    lab.enroll(node, state="Suspended", bootstrap={"tokenID": token.token_id})
    csr = lab.ask(node, token)
    lab.held(csr, "EnrollmentSuspended")
    lab.cluster.kubectl("certificate", "approve", csr)

    lab.wait(lambda: lab.condition(node, "ApprovalBypassed").get("status") == "True", "ApprovalBypassed", node=node)
    lab.wait(lambda: bool(lab.events(node)), "an event on the enrollment", node=node)
    assert [event["reason"] for event in lab.events(node)] == ["ApprovalBypassed"]
    assert lab.operator.metric("nodegate_foreign_approvals_total") == before + 1
