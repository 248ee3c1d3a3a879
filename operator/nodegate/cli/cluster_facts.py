"""An API server goes in, the facts that requests are judged on come out.

Rules: what may not be read is a missing fact and a warning, never a guess and never the end: the rules
that need it are then skipped and the verdict is a Hold at least. A kind that the API server does not
know has no objects, save NodeEnrollment, without which nothing can be judged.
"""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from nodegate.cli.connection import Connection
from nodegate.cli.exits import Exit, Stopped
from nodegate.cli.facts import API_SERVICE, SERVICE_NAME_LABEL, Facts, Manifest, gather
from nodegate.csr.model import Fact
from nodegate.csr.parse import parse_csr
from nodegate.errors import ApiError, Forbidden, Malformed, NotFound
from nodegate.names import API_VERSION, NODE_USER_PREFIX
from nodegate.text import listed, visible

REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
"""The path of signing requests."""

ENROLLMENTS = f"/apis/{API_VERSION}/nodeenrollments"
"""The path of enrollments."""

REQUEST_VERSION = "certificates.k8s.io/v1"
"""The API version of signing requests."""

NO_KIND = "expected the cluster to know the kind NodeEnrollment, found that it does not; install nodegate's CRDs"
"""What to say when the kind is not there."""

_SUGGESTIONS = 5


class _Source(NamedTuple):
    """One list of objects that are facts."""

    kind: str
    api_version: str
    path: str
    right: str
    """What a user must be allowed to list, in the words of ``kubectl auth can-i list``."""

    facts: frozenset[Fact]
    query: Mapping[str, str] = {}


_RESERVED = frozenset({Fact.RESERVED})
_DEFAULT = "namespaces/default"

_SOURCES = (
    _Source(
        "NodeEnrollment",
        API_VERSION,
        ENROLLMENTS,
        "nodeenrollments.nodegate.dev",
        frozenset({Fact.ENROLLMENT, Fact.CLAIMS}),
    ),
    _Source("Node", "v1", "/api/v1/nodes", "nodes", frozenset({Fact.NODE, Fact.RESERVED})),
    _Source(
        "ServiceCIDR",
        "networking.k8s.io/v1",
        "/apis/networking.k8s.io/v1/servicecidrs",
        "servicecidrs.networking.k8s.io",
        _RESERVED,
    ),
    _Source(
        "Service",
        "v1",
        f"/api/v1/{_DEFAULT}/services",
        "services -n default",
        _RESERVED,
        {"fieldSelector": f"metadata.name={API_SERVICE}"},
    ),
    _Source(
        "EndpointSlice",
        "discovery.k8s.io/v1",
        f"/apis/discovery.k8s.io/v1/{_DEFAULT}/endpointslices",
        "endpointslices.discovery.k8s.io -n default",
        _RESERVED,
        {"labelSelector": f"{SERVICE_NAME_LABEL}={API_SERVICE}"},
    ),
)


class Read(NamedTuple):
    """The objects that are facts, as the API server has them."""

    manifests: list[Manifest]
    missing: frozenset[Fact]
    """Facts that could not be had."""

    notes: tuple[str, ...]
    """A warning for each of them."""


def read_facts(connection: Connection) -> tuple[Facts, tuple[str, ...]]:
    """Return the facts, and a warning for each that could not be had.

    Raises:
        ApiError: The API server cannot be reached, or refuses the credentials.
    """
    read = read_objects(connection)
    facts = gather(read.manifests, live=True, missing=read.missing)
    return facts, (*read.notes, *facts.faults)


def read_objects(connection: Connection) -> Read:
    """Return the objects that are facts.

    Raises:
        ApiError: The API server cannot be reached, or refuses the credentials.
    """
    manifests: list[Manifest] = []
    missing: set[Fact] = set()
    notes: list[str] = []
    for source in _SOURCES:
        try:
            manifests += _read(connection, source)
        except Forbidden:
            missing |= source.facts
            notes.append(_no_right(source))
        except NotFound:
            if Fact.ENROLLMENT in source.facts:
                missing |= source.facts
                notes.append(NO_KIND)
    return Read(manifests, frozenset(missing), tuple(notes))


def _read(connection: Connection, source: _Source) -> list[Manifest]:
    found = connection.objects(source.path, source.kind, source.api_version, **source.query)
    return [Manifest(body, f"{source.kind} {visible(name_of(body), 253)}") for body in found]


def _no_right(source: _Source) -> str:
    skipped = " and ".join(sorted(source.facts))
    return f"no right to list {source.right}, so rules about {skipped} are skipped; ask for that right"


def name_of(body: Mapping[str, Any]) -> str:
    """Return an object's name, or nothing when it has none."""
    return str((body.get("metadata") or {}).get("name") or "")


def read_request(connection: Connection, name: str) -> Mapping[str, Any]:
    """Return a signing request by name.

    Raises:
        Stopped: There is none; the message names those that come near.
        ApiError: It may not be read, or there was no usable answer.
    """
    try:
        return connection.object(REQUESTS, name, "CertificateSigningRequest", REQUEST_VERSION)
    except NotFound as error:
        near = listed(_near(connection, name))
        hint = f"did you mean: {near}?" if near != "none" else "list them with: kubectl get csr"
        message = f"expected a CertificateSigningRequest called {visible(name, 253)}, found none; {hint}"
        raise Stopped(Exit.NOT_FOUND, message) from error


def _near(connection: Connection, name: str) -> list[str]:
    """Return the names of requests that come near: those of the node called so, then those spelled alike."""
    try:
        bodies = list(read_requests(connection))
    except ApiError:
        return []
    of_node = [name_of(body) for body in bodies if _asks_for(body, name)]
    alike = difflib.get_close_matches(name, [name_of(body) for body in bodies], n=_SUGGESTIONS)
    return list(dict.fromkeys([*of_node, *alike]))[:_SUGGESTIONS]


def _asks_for(body: Mapping[str, Any], node: str) -> bool:
    try:
        csr = parse_csr(body)
    except Malformed:
        return False
    return node in {csr.node_name, csr.username.removeprefix(NODE_USER_PREFIX)}


def read_requests(connection: Connection) -> Iterator[Mapping[str, Any]]:
    """Yield every signing request.

    Raises:
        ApiError: They may not be listed, or there was no usable answer.
    """
    yield from connection.objects(REQUESTS, "CertificateSigningRequest", REQUEST_VERSION)


def read_enrollments(connection: Connection) -> Iterator[Mapping[str, Any]]:
    """Yield every enrollment.

    Raises:
        Stopped: The API server does not know the kind.
        ApiError: They may not be listed, or there was no usable answer.
    """
    try:
        yield from connection.objects(ENROLLMENTS, "NodeEnrollment", API_VERSION)
    except NotFound as error:
        raise Stopped(Exit.NOT_FOUND, NO_KIND) from error
