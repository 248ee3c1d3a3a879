"""API objects with every field set, read whole; and every refusal, to the letter.

Rules: no two fields have the same value, so that one read in another's place shows; a broken request's fault is
the one that is told, and no other.
"""

import base64
import copy
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from hack.vectors import manifests as m
from hack.vectors.request import Request, pem
from nodegate.csr.model import CsrFacts, NodeFacts
from nodegate.csr.parse import (
    parse_csr,
    parse_endpoint_slice,
    parse_flannel_network,
    parse_node,
    parse_service,
    parse_service_cidr,
    read_credential_id,
)
from nodegate.enrollment.model import NodeName, NodeTemplate, Taint
from nodegate.errors import Malformed
from tests.builders import read

WHOLE: dict[str, Any] = {
    "kind": "CertificateSigningRequest",
    "metadata": {
        "name": "csr-name",
        "uid": "csr-uid",
        "resourceVersion": "4711",
        "creationTimestamp": "2030-01-31T01:00:00Z",
        "deletionTimestamp": "2030-01-31T02:00:00Z",
    },
    "spec": {
        "request": base64.b64encode(Request().pem).decode(),
        "signerName": "example.com/signer",
        "username": "system:node:node-a",
        "groups": ["system:nodes", "more"],
        "usages": ["digital signature", "client auth"],
        "expirationSeconds": 3600,
        "extra": {m.CREDENTIAL: ["X509SHA256=" + "AB" * 32]},
    },
    "status": {"conditions": [{"type": "Denied"}, {"type": "Failed"}], "certificate": "eA=="},
}

READ = CsrFacts(
    name="csr-name",
    uid="csr-uid",
    resource_version="4711",
    signer="example.com/signer",
    username="system:node:node-a",
    groups=frozenset({"system:nodes", "more"}),
    credential_id="ab" * 32,
    usages=("digital signature", "client auth"),
    expiration_seconds=3600,
    conditions=("Denied", "Failed"),
    issued=True,
    deleting=True,
    created=datetime(2030, 1, 31, 1, tzinfo=UTC),
    encoding_fault=None,
    der_fault=None,
    pkcs10=read(Request()),
    node_name=NodeName("node-a"),
)


def _with(path: str, value: Any) -> dict[str, Any]:
    """Return the whole request with one field changed, or taken away when the value is None."""
    body = copy.deepcopy(WHOLE)
    *above, last = path.split(".")
    place: Any = body
    for key in above:
        place = place[key]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return body


def test_the_whole_is_read() -> None:
    """Every field, each into its own place."""
    assert parse_csr(WHOLE) == READ


@pytest.mark.parametrize("breaks", ["\n", "\r\n", "\r"])
def test_line_breaks_in_a_manifest_are_no_fault(breaks: str) -> None:
    """What a person writes into a manifest in several lines is the same request."""
    text = WHOLE["spec"]["request"]

    assert parse_csr(_with("spec.request", text[:40] + breaks + text[40:] + breaks)) == READ


@pytest.mark.parametrize(
    ("path", "where", "expected"),
    [
        ("kind", "signer", "example.com/signer"),
        ("metadata.creationTimestamp", "created", None),
        ("metadata.deletionTimestamp", "deleting", False),
        ("spec.expirationSeconds", "expiration_seconds", None),
        ("spec.extra", "credential_id", None),
        ("status.certificate", "issued", False),
        ("status.conditions", "conditions", ()),
        ("spec.groups", "groups", frozenset()),
    ],
)
def test_what_is_absent_is_not_made_up(path: str, where: str, expected: object) -> None:
    """A field that is not there has no value but the one that says so."""
    assert getattr(parse_csr(_with(path, None)), where) == expected


@pytest.mark.parametrize(
    ("request_text", "encoding_fault", "der_fault"),
    [
        ("%", "spec.request is not base64", False),
        ("é", "spec.request is not base64", False),
        ("eA", "spec.request is not base64", False),
        ("eA==", "something else before or instead of the BEGIN line", False),
        ("", "something else before or instead of the BEGIN line", False),
        (base64.b64encode(pem(b"\x30\x00")).decode(), None, True),
    ],
)
def test_one_fault_is_told_and_nothing_is_read(
    request_text: str, encoding_fault: str | None, *, der_fault: bool
) -> None:
    """Either the encoding's fault or the DER's, never both, and no facts and no node beside it."""
    facts = parse_csr(_with("spec.request", request_text))

    assert (facts.encoding_fault, bool(facts.der_fault)) == (encoding_fault, der_fault)
    assert (facts.pkcs10, facts.node_name) == (None, None)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("kind", "Node", "kind: expected CertificateSigningRequest, found Node"),
        ("metadata", [], "metadata: expected an object, found a list"),
        ("spec", [], "spec: expected an object, found a list"),
        ("spec.extra", [], "spec.extra: expected an object, found a list"),
        ("status", [], "status: expected an object, found a list"),
        ("spec.groups", ["a", 1], "spec.groups[1]: expected a string, found the value 1"),
    ],
)
def test_a_refusal_says_where_what_and_what_instead(path: str, value: Any, message: str) -> None:
    """The field, what was expected there, and what was found."""
    with pytest.raises(Malformed) as caught:
        parse_csr(_with(path, value))

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((), None),
        (("x",), None),
        (("SHA256=ab",), None),
        (("X509SHA256=",), ""),
        (("x", "X509SHA256=AbC", "X509SHA256=d"), "abc"),
        (("xX509SHA256=ab",), None),
    ],
)
def test_the_credential_is_the_first_certificate(values: tuple[str, ...], expected: str | None) -> None:
    """Other kinds of credential are passed over."""
    assert read_credential_id(values) == expected


NODE: dict[str, Any] = {
    "metadata": {"name": "node-a", "uid": "node-uid", "labels": {"l": "1"}, "annotations": {"a": "2"}},
    "spec": {
        "podCIDR": "10.244.1.0/24",
        "podCIDRs": ["10.244.1.0/24", "fd00:1::/64"],
        "taints": [{"key": "t", "value": "3", "effect": "NoExecute"}],
    },
    "status": {
        "addresses": [
            {"type": "InternalIP", "address": "10.0.0.5"},
            {"type": "InternalIP", "address": "::ffff:10.0.0.6"},
            {"type": "Hostname", "address": "Node-A"},
        ],
        "conditions": [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": "True"}],
    },
}


@pytest.mark.parametrize("settings", [False, True])
def test_a_whole_node_is_read(settings: bool) -> None:  # noqa: FBT001 - a parameter
    """Addresses apart from names, the Ready condition alone, each range once; settings only when asked for."""
    template = NodeTemplate(labels=(("l", "1"),), annotations=(("a", "2"),), taints=(Taint("t", "3", "NoExecute"),))

    assert parse_node(NODE, settings=settings) == NodeFacts(
        name=NodeName("node-a"),
        uid="node-uid",
        ready="True",
        addresses=frozenset({ip_address("10.0.0.5"), ip_address("10.0.0.6")}),
        dns_names=frozenset({"node-a"}),
        pod_cidrs=(ip_network("10.244.1.0/24"), ip_network("fd00:1::/64")),
        settings=template if settings else None,
    )
    assert parse_node(NODE).settings is None


def test_a_bare_node_is_unknown() -> None:
    """A Node without a status is not said to be Ready, nor to be broken."""
    node = parse_node({"metadata": {"name": "node-a"}})

    assert (node.ready, node.uid, node.addresses, node.dns_names, node.pod_cidrs) == (
        "Unknown",
        "",
        frozenset(),
        frozenset(),
        (),
    )


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, ()),
        ({"clusterIP": "None", "clusterIPs": ["None"]}, ()),
        ({"clusterIP": ""}, ()),
        ({"clusterIP": "10.96.0.1"}, ("10.96.0.1",)),
        ({"clusterIPs": ["fd00::1", "10.96.0.1"]}, ("fd00::1", "10.96.0.1")),
        ({"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1", "fd00::1"]}, ("10.96.0.1", "fd00::1")),
    ],
)
def test_a_services_addresses_in_either_field(spec: Any, expected: tuple[str, ...]) -> None:
    """Old and new API servers fill one, the other or both; each address counts once, headless ones have none."""
    assert parse_service({"spec": spec}) == tuple(map(ip_address, expected))


def test_an_endpoint_slice_of_names_has_no_addresses() -> None:
    """All endpoints' addresses, except where they are DNS names."""
    endpoints = [{"addresses": ["10.0.0.1"]}, {"addresses": ["10.0.0.2", "10.0.0.3"]}, {}]
    addresses = tuple(map(ip_address, ("10.0.0.1", "10.0.0.2", "10.0.0.3")))

    assert parse_endpoint_slice({"addressType": "IPv4", "endpoints": endpoints}) == addresses
    assert parse_endpoint_slice({"endpoints": endpoints}) == addresses
    assert parse_endpoint_slice({"addressType": "FQDN", "endpoints": [{"addresses": ["a.example.com"]}]}) == ()
    assert parse_endpoint_slice({}) == ()


def test_networks_may_have_host_bits() -> None:
    """Flannel and hand-written objects name a range by an address in it; the range is meant."""
    network = {"spec": {"network": "10.244.3.7/16", "ipv6": {"network": "fd00:10:244::1/56"}}}

    assert parse_flannel_network(network) == (ip_network("10.244.0.0/16"), ip_network("fd00:10:244::/56"))
    assert parse_flannel_network({"spec": {"network": "10.244.0.0/16"}}) == (ip_network("10.244.0.0/16"),)
    assert parse_flannel_network({}) == ()
    assert parse_service_cidr({"spec": {"cidrs": ["10.96.0.1/12", "10.96.0.1/12"]}}) == (ip_network("10.96.0.0/12"),)
    assert parse_service_cidr({}) == ()


@pytest.mark.parametrize(
    ("parse", "body", "message"),
    [
        (parse_service, {"spec": {"clusterIP": "x"}}, "spec: expected an IP address, found x"),
        (
            parse_endpoint_slice,
            {"endpoints": [{}, {"addresses": ["fe80::1%eth0"]}]},
            "endpoints[1]: expected an IP address, found fe80::1%eth0",
        ),
        (
            parse_service_cidr,
            {"spec": {"cidrs": ["10.0.0.0/33"]}},
            "spec: expected a network such as 10.96.0.0/12, found 10.0.0.0/33",
        ),
        (
            parse_flannel_network,
            {"spec": {"ipv6": {"network": "x"}}},
            "spec.ipv6: expected a network such as 10.96.0.0/12, found x",
        ),
        (parse_node, {"spec": {"podCIDR": "x"}}, "spec: expected a network such as 10.96.0.0/12, found x"),
    ],
)
def test_what_is_no_address_is_refused_by_name(parse: Any, body: Any, message: str) -> None:
    """The field, what was expected there, and what was found."""
    with pytest.raises(Malformed) as caught:
        parse(body)

    assert str(caught.value) == message
