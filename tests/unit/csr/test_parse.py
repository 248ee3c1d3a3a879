"""API objects into facts: what is read, and what is refused as malformed."""

from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from hack.vectors import manifests as m
from hack.vectors.request import Request
from nodegate.csr.model import Kind
from nodegate.csr.parse import (
    exact_node_name,
    parse_csr,
    parse_endpoint_slice,
    parse_flannel_network,
    parse_node,
    parse_service,
    parse_service_cidr,
)
from nodegate.errors import Malformed
from nodegate.names import CLIENT_SIGNER, SERVING_SIGNER
from tests.builders import make_csr, read


def _body(**spec: Any) -> m.Manifest:
    return m.signing_request(Request().pem, {"username": "system:bootstrap:abcdef", **spec})


def test_reads_every_field_of_a_request() -> None:
    """Metadata, what the API server stamped, and status."""
    credential = {m.CREDENTIAL: ["other", "X509SHA256=" + "AB" * 32]}
    body = _body(signerName=CLIENT_SIGNER, groups=["g"], usages=["any"], expirationSeconds=600, extra=credential)
    body["status"] = {"conditions": [{"type": "Approved"}], "certificate": "eA=="}
    body["metadata"]["deletionTimestamp"] = m.AT

    facts = parse_csr(body)

    assert (facts.name, facts.uid, facts.resource_version) == ("csr-7x2kq", body["metadata"]["uid"], "4711")
    assert (facts.signer, facts.username, facts.groups) == (CLIENT_SIGNER, "system:bootstrap:abcdef", frozenset("g"))
    assert (facts.usages, facts.expiration_seconds) == (("any",), 600)
    assert facts.credential_id == "ab" * 32
    assert (facts.conditions, facts.issued, facts.deleting) == (("Approved",), True, True)
    assert facts.created is not None
    assert facts.created.isoformat() == "2030-01-31T11:59:58+00:00"
    assert (facts.node_name, facts.token_id, facts.kind) == ("node-a", "abcdef", Kind.BOOTSTRAP)


def test_an_empty_object_is_readable() -> None:
    """An object without any field is a request with faults, not an error."""
    facts = parse_csr({})

    assert facts.encoding_fault is not None
    assert (facts.node_name, facts.expiration_seconds, facts.created) == (None, None, None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("request", 7),
        ("usages", "any"),
        ("usages", [1]),
        ("groups", {"a": 1}),
        ("expirationSeconds", "600"),
        ("expirationSeconds", True),
        ("extra", []),
        ("username", None),
    ],
)
def test_a_field_of_the_wrong_type_is_malformed_and_named(field: str, value: Any) -> None:
    """The message names the field; null counts as absent."""
    if value is None:
        assert parse_csr(_body(**{field: value})).username == ""
        return
    with pytest.raises(Malformed, match=field):
        parse_csr(_body(**{field: value}))


def test_another_kind_is_malformed() -> None:
    """A Node is no request."""
    with pytest.raises(Malformed, match="CertificateSigningRequest"):
        parse_csr(m.node("node-a"))


@pytest.mark.parametrize(
    ("signer", "username", "kind"),
    [
        (CLIENT_SIGNER, "system:bootstrap:abcdef", Kind.BOOTSTRAP),
        (CLIENT_SIGNER, "jane", Kind.BOOTSTRAP),
        (CLIENT_SIGNER, "system:node:node-a", Kind.RENEWAL),
        (SERVING_SIGNER, "system:node:node-a", Kind.SERVING),
        (SERVING_SIGNER, "system:bootstrap:abcdef", Kind.SERVING),
    ],
)
def test_kind_is_by_signer_and_user(signer: str, username: str, kind: Kind) -> None:
    """The signer tells serving requests, the user name tells renewals."""
    assert make_csr(signer=signer, username=username).kind is kind


def test_only_a_tokens_user_has_a_token_id() -> None:
    """The id is what follows the prefix, and nothing for other users."""
    assert make_csr(username="system:bootstrap:abcdef").token_id == "abcdef"  # noqa: S105 - an id is no secret
    assert make_csr(username="system:bootstrap").token_id is None
    assert make_csr(username="jane").token_id is None


def test_node_name_of_an_exact_subject_only() -> None:
    """Whatever deviates names no node; the vectors hold the many ways."""
    assert exact_node_name(read(Request()).subject) == "node-a"
    assert exact_node_name(read(Request(organization="nodes")).subject) is None
    assert exact_node_name(()) is None


def test_reads_a_node() -> None:
    """Addresses by their form, names in lower case, mapped addresses unwrapped, readiness as it stands."""
    addresses = [
        {"type": "InternalIP", "address": "::ffff:10.0.0.5"},
        {"type": "Hostname", "address": "Node-A"},
        {"type": "Hostname", "address": "10.0.0.6"},
    ]
    spec = {"podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24", "fd00:10:244:1::/64"]}

    node = parse_node(m.node("node-a", ready="Unknown", addresses=addresses, spec=spec))

    assert node.addresses == {ip_address("10.0.0.5"), ip_address("10.0.0.6")}
    assert (node.dns_names, node.ready) == (frozenset({"node-a"}), "Unknown")
    assert node.pod_cidrs == (ip_network("10.244.1.0/24"), ip_network("fd00:10:244:1::/64"))


def test_a_node_without_conditions_is_unknown() -> None:
    """No Ready condition means that nobody knows."""
    assert parse_node({"metadata": {"name": "node-a"}}).ready == "Unknown"


def test_reads_the_clusters_own_identities() -> None:
    """Services, their networks, API servers and flannel's networks."""
    assert parse_service(m.service()) == (ip_address("10.96.0.1"),)
    assert parse_service({"spec": {"clusterIP": "None", "clusterIPs": ["None"]}}) == ()
    assert parse_service_cidr(m.service_cidr("10.96.0.0/12", "fd00::/112")) == (
        ip_network("10.96.0.0/12"),
        ip_network("fd00::/112"),
    )
    assert parse_endpoint_slice(m.api_servers("10.0.0.1", "10.0.0.2")) == (
        ip_address("10.0.0.1"),
        ip_address("10.0.0.2"),
    )
    assert parse_endpoint_slice({"addressType": "FQDN", "endpoints": [{"addresses": ["a.example"]}]}) == ()
    assert parse_flannel_network(m.flannel_network()) == (ip_network("10.244.0.0/16"), ip_network("fd00:10:244::/56"))


@pytest.mark.parametrize(
    ("parse", "body"),
    [
        (parse_service, {"spec": {"clusterIP": "ten"}}),
        (parse_service_cidr, {"spec": {"cidrs": ["10.96.0.0/99"]}}),
        (parse_endpoint_slice, {"endpoints": [{"addresses": ["10.0.0.1%eth0"]}]}),
        (parse_flannel_network, {"spec": {"network": "10.244"}}),
        (parse_node, {"spec": {"podCIDR": "no"}}),
    ],
)
def test_an_unreadable_network_or_address_is_malformed(parse: Any, body: m.Manifest) -> None:
    """What could be reserved is never skipped in silence."""
    with pytest.raises(Malformed, match="expected"):
        parse(body)
