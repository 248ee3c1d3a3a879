"""API objects in, facts out: CertificateSigningRequests, Nodes and the cluster's own identities.

Rules: what the API server stamped (username, groups, extra) is read from ``spec`` alone; names,
labels and annotations are the requester's and decide nothing. A field of the wrong type is
`Malformed`; what the request itself gets wrong is a fact for ``decide``, never an error.
"""

import base64
import binascii
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

from nodegate.csr.model import CsrFacts, NodeFacts, Pkcs10, SubjectAttribute
from nodegate.csr.pkcs10 import decode_pem, read_der
from nodegate.enrollment.model import IPAddress, NodeName
from nodegate.errors import Malformed
from nodegate.fields import Fields, parse_address
from nodegate.identity import IPNetwork, is_subdomain
from nodegate.names import CREDENTIAL_ID_EXTRA, NODE_USER_PREFIX, NODES_GROUP
from nodegate.node_template import read_node_template
from nodegate.text import visible

_ORGANIZATION = "2.5.4.10"
_COMMON_NAME = "2.5.4.3"
_STRING_TYPES = frozenset({"UTF8String", "PrintableString"})
_CREDENTIAL_PREFIX = "X509SHA256="


def parse_csr(body: Any) -> CsrFacts:
    """Read a CertificateSigningRequest object.

    Raises:
        Malformed: It is another kind of object, or a field has the wrong type.
    """
    root = Fields(body)
    if root.text("kind", "CertificateSigningRequest") != "CertificateSigningRequest":
        raise Malformed(f"kind: expected CertificateSigningRequest, found {visible(root.text('kind'))}")
    meta, spec, status = root.child("metadata"), root.child("spec"), root.child("status")
    encoding_fault, der_fault, pkcs10 = _read_request(spec.text("request"))
    return CsrFacts(
        name=meta.text("name"),
        uid=meta.text("uid"),
        resource_version=meta.text("resourceVersion"),
        signer=spec.text("signerName"),
        username=spec.text("username"),
        groups=frozenset(spec.texts("groups")),
        credential_id=read_credential_id(spec.child("extra").texts(CREDENTIAL_ID_EXTRA)),
        usages=spec.texts("usages"),
        expiration_seconds=spec.integer("expirationSeconds"),
        conditions=tuple(condition.text("type") for condition in status.children("conditions")),
        issued=bool(status.text("certificate")),
        deleting="deletionTimestamp" in meta,
        created=meta.moment("creationTimestamp"),
        encoding_fault=encoding_fault,
        der_fault=der_fault,
        pkcs10=pkcs10,
        node_name=exact_node_name(pkcs10.subject) if pkcs10 else None,
    )


def _read_request(encoded: str) -> tuple[str | None, str | None, Pkcs10 | None]:
    """Return the encoding's fault, the DER's fault, and what was read."""
    try:
        # The API server writes this field without line breaks; a hand-made manifest may have them.
        pem = base64.b64decode(encoded.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError):
        return "spec.request is not base64", None, None
    der, encoding_fault = decode_pem(pem)
    if der is None:
        return encoding_fault, None, None
    pkcs10, der_fault = read_der(der)
    return None, der_fault, pkcs10


def exact_node_name(subject: tuple[SubjectAttribute, ...]) -> NodeName | None:
    """Return the node that a subject names, when it is exactly a node's subject.

    That is one O ``system:nodes`` and one CN ``system:node:<name>``, each in an RDN of its own, as
    UTF8String or PrintableString, the name a DNS-1123 subdomain, and nothing else. The signer copies
    the subject as it is (kubernetes, certificates/authority), so nothing more may stand in it.
    """
    values = {attribute.oid: attribute.value for attribute in subject}
    if len(subject) != 2 or values.keys() != {_ORGANIZATION, _COMMON_NAME} or subject[0].rdn == subject[1].rdn:  # noqa: PLR2004 - O and CN
        return None
    if any(attribute.string_type not in _STRING_TYPES for attribute in subject):
        return None
    name = values[_COMMON_NAME].removeprefix(NODE_USER_PREFIX)
    named = name != values[_COMMON_NAME] and is_subdomain(name)
    return NodeName(name) if named and values[_ORGANIZATION] == NODES_GROUP else None


def read_credential_id(values: tuple[str, ...]) -> str | None:
    """Return the SHA-256, in hex, of the certificate that a credential-id names; None when it names none."""
    for value in values:
        if value.startswith(_CREDENTIAL_PREFIX):
            return value.removeprefix(_CREDENTIAL_PREFIX).lower()
    return None


def parse_node(body: Any, *, settings: bool = False) -> NodeFacts:
    """Read a Node object.

    Args:
        body: The object as JSON or YAML decodes it.
        settings: Keep labels, annotations and taints as well.

    Raises:
        Malformed: A field has the wrong type.
    """
    root = Fields(body)
    meta, spec, status = root.child("metadata"), root.child("spec"), root.child("status")
    addresses: set[IPAddress] = set()
    dns_names: set[str] = set()
    for entry in status.children("addresses"):
        try:
            addresses.add(parse_address(entry.text("address")))
        except ValueError:
            dns_names.add(entry.text("address").lower())
    ready = next((c.text("status") for c in status.children("conditions") if c.text("type") == "Ready"), "Unknown")
    return NodeFacts(
        name=NodeName(meta.text("name")),
        uid=meta.text("uid"),
        ready=ready,
        addresses=frozenset(addresses),
        dns_names=frozenset(dns_names),
        pod_cidrs=tuple(_networks(spec, "podCIDR", "podCIDRs")),
        settings=read_node_template(meta, spec) if settings else None,
    )


def parse_service_cidr(body: Any) -> tuple[IPNetwork, ...]:
    """Read a ServiceCIDR object: the ranges of its ``spec.cidrs``."""
    return tuple(_networks(Fields(body).child("spec"), "cidrs"))


def parse_service(body: Any) -> tuple[IPAddress, ...]:
    """Read a Service object: its cluster addresses, none when it is headless."""
    spec = Fields(body).child("spec")
    texts = (*spec.texts("clusterIPs"), spec.text("clusterIP"))
    return tuple(dict.fromkeys(_address(spec, text) for text in texts if text not in ("", "None")))


def parse_endpoint_slice(body: Any) -> tuple[IPAddress, ...]:
    """Read an EndpointSlice object: the addresses of its endpoints, none when it lists DNS names."""
    root = Fields(body)
    if root.text("addressType") == "FQDN":
        return ()
    return tuple(_address(e, text) for e in root.children("endpoints") for text in e.texts("addresses"))


def parse_flannel_network(body: Any) -> tuple[IPNetwork, ...]:
    """Read a FlannelNetwork object: the pod networks that it hands out."""
    spec = Fields(body).child("spec")
    return (*_networks(spec, "network"), *_networks(spec.child("ipv6"), "network"))


def _address(fields: Fields, text: str) -> IPAddress:
    try:
        return parse_address(text)
    except ValueError as error:
        raise Malformed(f"{fields.path}: expected an IP address, found {visible(text)}") from error


def _networks(fields: Fields, *keys: str) -> Iterator[IPNetwork]:
    """Yield the distinct networks in fields that hold one range or a list of them."""
    texts = [text for key in keys for text in (fields.texts(key) if key.endswith("s") else (fields.text(key),))]
    for text in dict.fromkeys(filter(None, texts)):
        try:
            yield ip_network(text, strict=False)
        except ValueError as error:
            raise Malformed(f"{fields.path}: expected a network such as 10.96.0.0/12, found {visible(text)}") from error
