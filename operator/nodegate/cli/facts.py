"""Manifests go in, the facts that a request is judged on come out.

Rules: pure. A kind that is not given means that none exist (design §4); what could not be read is
said to be missing by the caller, and the verdict is then a Hold at least. Objects of a kind that is
no fact are refused, so that a typing mistake never looks like an approval.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_network
from typing import Any, NamedTuple

from nodegate.cli.places import Place
from nodegate.csr.model import Case, Fact, NodeFacts, Policy
from nodegate.csr.parse import (
    parse_csr,
    parse_endpoint_slice,
    parse_flannel_network,
    parse_node,
    parse_service,
    parse_service_cidr,
)
from nodegate.enrollment.claims import ClaimIndex
from nodegate.enrollment.model import Claims, Enrollment, NodeName
from nodegate.enrollment.parse import parse_enrollment
from nodegate.errors import Malformed
from nodegate.fields import Fields
from nodegate.identity import Reserved, ReservedIndex
from nodegate.names import API_GROUP
from nodegate.text import visible

KINDS: Mapping[str, str] = {
    "NodeEnrollment": API_GROUP,
    "Node": "",
    "CertificateSigningRequest": "certificates.k8s.io",
    "FlannelNetwork": API_GROUP,
    "Service": "",
    "ServiceCIDR": "networking.k8s.io",
    "EndpointSlice": "discovery.k8s.io",
}
"""The kinds that can be facts, each with its API group."""

NAMESPACED = frozenset({"Service", "EndpointSlice"})
"""The kinds of `KINDS` that live in a namespace; one without counts as in ``default``, as kubectl has it."""

API_SERVICE = "kubernetes"
"""The Service of the API servers, in namespace ``default`` (kubernetes, controlplane/reconcilers)."""

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
"""The label by which an EndpointSlice names its Service (Kubernetes, EndpointSlices: ownership)."""


class Manifest(NamedTuple):
    """One object, and where it was found: a file and its place in it, or the API server."""

    body: Mapping[str, Any]
    origin: str
    place: Place | None = None
    """Where it stands in a file; None when it comes from the API server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a cluster; built once, asked for any number of requests."""

    enrollments: Mapping[NodeName, Enrollment]
    nodes: Mapping[NodeName, NodeFacts]
    claims: Claims
    reserved: Reserved
    missing: frozenset[Fact] = frozenset()
    """Facts that could not be had, whatever the request."""

    faults: tuple[str, ...] = ()
    """Objects of the API server that could not be read, one sentence each."""

    def case(self, csr_body: Mapping[str, Any], *, policy: Policy, now: datetime) -> Case:
        """Return everything that the decision about one request rests on.

        Raises:
            Malformed: The object is no CertificateSigningRequest, or a field has the wrong type.
        """
        csr = parse_csr(csr_body)
        name = csr.node_name
        return Case(
            csr=csr,
            enrollment=self.enrollments.get(name) if name is not None else None,
            node=self.nodes.get(name) if name is not None else None,
            claims=self.claims,
            reserved=self.reserved,
            policy=policy,
            now=now,
            missing=self.missing,
        )


def case_for(
    csr_body: Mapping[str, Any], manifests: Sequence[Mapping[str, Any]], *, policy: Policy, now: datetime
) -> Case:
    """Return the case of one request and the manifests around it, all of them offline.

    Raises:
        Malformed: A manifest is of a kind that is no fact, or twice there, or a field cannot be used.
    """
    numbered = (Manifest(body, f"manifest {number}") for number, body in enumerate(manifests, start=1))
    return gather(numbered).case(csr_body, policy=policy, now=now)


def gather(manifests: Iterable[Manifest], *, live: bool = False, missing: Iterable[Fact] = ()) -> Facts:
    """Sort objects by kind and build the facts.

    Args:
        manifests: The objects, each with its kind and origin.
        live: They come from the API server: an enrollment that the operator has not processed counts
            as such, and an object that cannot be read makes its facts missing instead of failing.
        missing: Facts that could not be had.

    Raises:
        Malformed: As `case_for` says; with `live` only for a kind that is no fact.
    """
    gathering = _Gathering(live=live, missing=set(missing))
    for manifest in manifests:
        gathering.add(manifest)
    return Facts(
        enrollments=gathering.enrollments,
        nodes=gathering.nodes,
        claims=ClaimIndex(gathering.enrollments.values()),
        reserved=gathering.reserved,
        missing=frozenset(gathering.missing),
        faults=tuple(gathering.faults),
    )


def kind_of(manifest: Manifest) -> str:
    """Return the kind of an object that can be a fact.

    Raises:
        Malformed: It is of another kind, or of that name in another API group.
    """
    fields = Fields(manifest.body)
    kind, group = fields.text("kind"), fields.text("apiVersion").rpartition("/")[0]
    if kind in KINDS and ("apiVersion" not in fields or group == KINDS[kind]):
        return kind
    what = f"{visible(kind)} of {visible(fields.text('apiVersion')) or 'no apiVersion'}" if kind else "no kind"
    raise Malformed(f"{manifest.origin}: expected one of {', '.join(KINDS)}; found {what}")


_FACTS_OF: Mapping[str, frozenset[Fact]] = {
    "NodeEnrollment": frozenset({Fact.ENROLLMENT, Fact.CLAIMS}),
    "Node": frozenset({Fact.NODE, Fact.RESERVED}),
    "CertificateSigningRequest": frozenset(),
}


@dataclass(slots=True, kw_only=True)
class _Gathering:
    """Facts while they are being gathered."""

    live: bool
    missing: set[Fact]
    enrollments: dict[NodeName, Enrollment] = field(default_factory=dict)
    nodes: dict[NodeName, NodeFacts] = field(default_factory=dict)
    reserved: ReservedIndex = field(default_factory=ReservedIndex)
    faults: list[str] = field(default_factory=list)
    origins: dict[str, str] = field(default_factory=dict)

    def add(self, manifest: Manifest) -> None:
        """Take one object in."""
        kind = kind_of(manifest)
        try:
            self._read(kind, manifest)
        except Malformed as error:
            fault = f"{manifest.origin}: {kind}: {error}"
            if not self.live:
                raise Malformed(fault) from error
            self.missing |= _FACTS_OF.get(kind, {Fact.RESERVED})
            self.faults.append(fault)

    def _read(self, kind: str, manifest: Manifest) -> None:
        source = _source(kind, manifest.body)
        if source in self.origins:
            raise Malformed(f"expected one {source}, found another in {self.origins[source]}; give it once")
        self.origins[source] = manifest.origin
        _READERS[kind](self, manifest.body, source)

    def put_enrollment(self, body: Mapping[str, Any], _: str) -> None:
        """Take in a NodeEnrollment."""
        enrollment = parse_enrollment(body, offline=not self.live)
        self.enrollments[enrollment.name] = enrollment

    def put_node(self, body: Mapping[str, Any], source: str) -> None:
        """Take in a Node and the pod network that it was given."""
        node = parse_node(body)
        self.nodes[node.name] = node
        self.reserved.put(source, node.pod_cidrs, "pod network", claimed=True)
        self.reserved.put_hosts(source, node.addresses)

    def put_service(self, body: Mapping[str, Any], source: str) -> None:
        """Take in a Service: its cluster addresses are the cluster's own."""
        networks = [ip_network(address) for address in parse_service(body)]
        api = source == f"Service default/{API_SERVICE}"
        self.reserved.put(source, networks, f"{API_SERVICE} Service" if api else source)

    def put_service_cidr(self, body: Mapping[str, Any], source: str) -> None:
        """Take in a ServiceCIDR."""
        self.reserved.put(source, parse_service_cidr(body), "service network")

    def put_flannel_network(self, body: Mapping[str, Any], source: str) -> None:
        """Take in a FlannelNetwork."""
        self.reserved.put(source, parse_flannel_network(body), "flannel network")

    def put_endpoint_slice(self, body: Mapping[str, Any], source: str) -> None:
        """Take in an EndpointSlice; only the API servers' own says something that is needed."""
        addresses = parse_endpoint_slice(body)
        service = Fields(body).child("metadata").child("labels").text(SERVICE_NAME_LABEL)
        ours = source.startswith("EndpointSlice default/") and service == API_SERVICE
        if ours or source == f"EndpointSlice default/{API_SERVICE}":
            self.reserved.put_api_servers(source, addresses)

    def put_request(self, body: Mapping[str, Any], _: str) -> None:
        """Take in another request: read, so that a mistake in it shows; no rule asks for it yet."""
        parse_csr(body)


_READERS: Mapping[str, Callable[[_Gathering, Mapping[str, Any], str], None]] = {
    "NodeEnrollment": _Gathering.put_enrollment,
    "Node": _Gathering.put_node,
    "CertificateSigningRequest": _Gathering.put_request,
    "FlannelNetwork": _Gathering.put_flannel_network,
    "Service": _Gathering.put_service,
    "ServiceCIDR": _Gathering.put_service_cidr,
    "EndpointSlice": _Gathering.put_endpoint_slice,
}


def _source(kind: str, body: Mapping[str, Any]) -> str:
    """Return an object's kind and name, which no two manifests may share."""
    meta = Fields(body).child("metadata")
    name = meta.text("name")
    if not name:
        raise Malformed("metadata.name: expected a name, found nothing")
    return f"{kind} {meta.text('namespace', 'default')}/{name}" if kind in NAMESPACED else f"{kind} {name}"
