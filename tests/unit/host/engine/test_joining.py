"""How far a join has come is told by the first stage that is not done."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nodegate_host.engine.joining import Request, is_for, requests_in, stage_of
from nodegate_host.facts.model import ApiFacts, NodeObject

_KEY = ec.generate_private_key(ec.SECP256R1())
_UP = ApiFacts("https://api:6443", tcp=True, tls=True)


def _csr(name: str) -> str:
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{name}", _validate=False),
        ]
    )
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(_KEY, hashes.SHA256())
    return base64.b64encode(request.public_bytes(serialization.Encoding.PEM)).decode()


@pytest.mark.filterwarnings("ignore:Attribute's length must be")
@pytest.mark.parametrize("name", ["a", "node-a", "n" * 117, "n" * 250])
def test_a_request_is_known_by_its_subject(name: str) -> None:
    """A request for exactly this name is ours, whatever DER needs for its length."""
    assert is_for(_csr(name), name)


@pytest.mark.parametrize("other", ["node-ab", "node", "xnode-a"])
def test_a_like_name_is_somebody_elses(other: str) -> None:
    """Names that begin or end alike are not ours."""
    assert not is_for(_csr(other), "node-a")


@pytest.mark.parametrize("text", ["", "not base64 at all!", base64.b64encode(b"no PEM").decode()])
def test_a_request_that_cannot_be_read_is_not_ours(text: str) -> None:
    """Broken requests are passed over, not fatal."""
    assert not is_for(text, "node-a")


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ({}, "pending"),
        ({"conditions": [{"type": "Approved"}]}, "approved"),
        ({"conditions": [{"type": "Approved"}], "certificate": "x"}, "issued"),
        ({"conditions": [{"type": "Denied", "message": "no"}]}, "denied"),
        ({"conditions": [{"type": "Approved"}, {"type": "Failed", "message": "no"}]}, "failed"),
    ],
)
def test_a_requests_state_is_read(status: dict[str, object], state: str) -> None:
    """The conditions and the certificate say how far a request is."""
    item = {"metadata": {"name": "csr-x", "creationTimestamp": "t"}, "spec": {"request": _csr("a")}, "status": status}

    assert [each.state for each in requests_in({"items": [item]}, "a")] == [state]


@pytest.mark.parametrize(
    ("api", "requests", "certificate", "expected"),
    [
        (ApiFacts("https://api:6443", problem="CA unusable"), [], False, ("tls", "stuck")),
        (ApiFacts("https://api:6443", tcp=False, problem="refused"), [], False, ("tcp", "stuck")),
        (ApiFacts("https://api:6443", tcp=True, tls=False), [], False, ("tls", "stuck")),
        (replace(_UP, credential="rejected"), [], False, ("token", "stuck")),
        (replace(_UP, credential="none"), [], False, ("token", "stuck")),
        (replace(_UP, credential="ok", may_request=False), [], False, ("token", "stuck")),
        (replace(_UP, credential="ok", may_request=True), [], False, ("request", "waiting")),
        (replace(_UP, credential="ok"), [Request("a", "1", "pending")], False, ("approval", "waiting")),
        (replace(_UP, credential="ok"), [Request("a", "1", "denied", "no")], False, ("approval", "stuck")),
        (replace(_UP, credential="ok"), [Request("a", "1", "approved")], False, ("issue", "waiting")),
        (_UP, [], True, ("node", "waiting")),
        (replace(_UP, node=NodeObject("u", ready=False)), [], True, ("node", "waiting")),
        (replace(_UP, node=NodeObject("u", ready=True)), [], True, ("node", "done")),
    ],
)
def test_the_first_stage_that_is_not_done(
    api: ApiFacts,
    requests: list[Request],
    certificate: bool,  # noqa: FBT001 - a table's cell
    expected: tuple[str, str],
) -> None:
    """Each obstacle is told as its own stage, stuck where somebody must act."""
    stage = stage_of(api, requests, has_certificate=certificate, name="node-a")

    assert (stage.name, stage.state) == expected
    assert stage.message


def test_the_newest_request_counts() -> None:
    """An old denial does not hide that a later request waits."""
    requests = [Request("new", "2026-01-02", "pending"), Request("old", "2026-01-01", "denied")]

    assert stage_of(replace(_UP, credential="ok"), requests, has_certificate=False, name="a").state == "waiting"
