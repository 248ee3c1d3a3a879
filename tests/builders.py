"""Everything that tests build: vectors read from disk, and values that are valid by default.

What enters are files or the parts that differ, what leaves are the program's own values. Rules: builders
take keywords only; a `Case` from a vector is made as `kubectl nodegate explain --with` makes it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import yaml

from hack.vectors.request import Request
from nodegate.cli.facts import case_for
from nodegate.csr.model import Case, CsrFacts, Fact, NodeFacts, Pkcs10, Policy
from nodegate.csr.parse import exact_node_name
from nodegate.csr.pkcs10 import read_der
from nodegate.enrollment.claims import ClaimIndex
from nodegate.enrollment.decide import Surroundings
from nodegate.enrollment.model import Claims, Enrollment, NodeName
from nodegate.identity import Reserved, ReservedIndex
from nodegate.names import BOOTSTRAP_GROUP, CLIENT_SIGNER, NODES_GROUP, SERVING_SIGNER

ROOT = Path(__file__).resolve().parents[1]
VECTORS = ROOT / "tests" / "vectors" / "csr"
NOW = datetime(2030, 1, 31, 12, tzinfo=UTC)
"""The moment at which built cases are judged."""

NODE = NodeName("node-a")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """One file of `tests/vectors/csr`."""

    name: str
    """``<Reason>/<case>``."""

    body: Mapping[str, Any]
    """The file as read."""

    @property
    def folder(self) -> str:
        """The reason that the vector stands for."""
        return self.name.partition("/")[0]

    @property
    def csr(self) -> Mapping[str, Any]:
        """The CertificateSigningRequest."""
        body: Mapping[str, Any] = self.body["csr"]
        return body

    @property
    def manifests(self) -> Sequence[Mapping[str, Any]]:
        """The objects around it."""
        manifests: Sequence[Mapping[str, Any]] = self.body["with"]
        return manifests

    @property
    def verdict(self) -> str:
        """The expected verdict's name."""
        return str(self.body["expect"]["verdict"])

    @property
    def reasons(self) -> tuple[str, ...]:
        """The expected reasons, in order."""
        return tuple(self.body["expect"]["reasons"])

    @property
    def found(self) -> str:
        """A part of what a failed rule says it found; empty when nothing is expected of it."""
        return str(self.body["expect"].get("found", ""))


@cache
def load_vectors() -> tuple[Vector, ...]:
    """Read every vector, in the order of their names."""
    paths = sorted(VECTORS.rglob("*.yaml"))
    return tuple(
        Vector(name=str(path.relative_to(VECTORS).with_suffix("")), body=yaml.load(path.read_text(), yaml.CSafeLoader))
        for path in paths
    )


def case_from_vector(vector: Vector) -> Case:
    """Return what the decision about a vector rests on."""
    settings = vector.body.get("policy", {})
    policy = Policy(
        bootstrap_group=settings.get("bootstrapGroup", BOOTSTRAP_GROUP),
        never_deny=settings.get("neverDeny", False),
        require_known_credential=settings.get("requireKnownCredential", False),
    )
    now = datetime.fromisoformat(vector.body["at"])
    case = case_for(vector.csr, vector.manifests, policy=policy, now=now)
    return replace(case, missing=frozenset(Fact[name.upper()] for name in vector.body.get("missing", ())))


@cache
def read(request: Request) -> Pkcs10:
    """Return what the program reads in a request that is well formed."""
    pkcs10, fault = read_der(request.der)
    if pkcs10 is None:
        raise ValueError(f"expected a request that can be read, found {fault}")
    return pkcs10


def make_csr(*, request: Request | None = None, **fields: Any) -> CsrFacts:
    """Return the facts of node-a's first request, made by token abcdef, with these fields instead."""
    pkcs10 = read(request or Request())
    defaults: dict[str, Any] = {
        "name": "csr-7x2kq",
        "uid": "5f0c3a52-0a51-4d1c-9f0e-3c3f8f6f2b10",
        "resource_version": "4711",
        "signer": CLIENT_SIGNER,
        "username": "system:bootstrap:abcdef",
        "groups": frozenset({BOOTSTRAP_GROUP}),
        "credential_id": None,
        "usages": ("digital signature", "client auth"),
        "expiration_seconds": None,
        "conditions": (),
        "issued": False,
        "deleting": False,
        "created": NOW,
        "encoding_fault": None,
        "der_fault": None,
        "pkcs10": pkcs10,
        "node_name": exact_node_name(pkcs10.subject),
    }
    return CsrFacts(**(defaults | fields))


def make_renewal(**fields: Any) -> CsrFacts:
    """Return the facts of node-a's renewal, with these fields instead."""
    node = {"username": "system:node:node-a", "groups": frozenset({NODES_GROUP})}
    return make_csr(**(node | fields))


def make_serving(*alt_names: bytes, **fields: Any) -> CsrFacts:
    """Return the facts of node-a's serving request for these names, with these fields instead."""
    serving = {"signer": SERVING_SIGNER, "usages": ("digital signature", "server auth")}
    return make_renewal(**({"request": Request(alt_names=alt_names)} | serving | fields))


def make_enrollment(**fields: Any) -> Enrollment:
    """Return node-a's enrollment, Active, with these fields instead; addresses may be texts."""
    addresses = fields.pop("addresses", ("10.0.0.5", "fd00::5"))
    defaults: dict[str, Any] = {
        "name": NODE,
        "uid": "e0000000-0000-4000-8000-000000000007",
        "resource_version": "100",
        "generation": 1,
        "addresses": frozenset(ip_address(address) for address in addresses),
    }
    return Enrollment(**(defaults | fields))


def make_surroundings(enrollment: Enrollment, *others: Enrollment, **fields: Any) -> Surroundings:
    """Return what an enrollment is judged beside: itself and the others, no Node, nothing reserved, at `NOW`."""
    usual: dict[str, Any] = {
        "claims": ClaimIndex([enrollment, *others]),
        "reserved": ReservedIndex(),
        "node": None,
        "now": NOW,
    }
    return Surroundings(**(usual | fields))


def make_node(**fields: Any) -> NodeFacts:
    """Return Node node-a, Ready, with these fields instead."""
    defaults: dict[str, Any] = {
        "name": NODE,
        "uid": "d0000000-0000-4000-8000-000000000007",
        "ready": "True",
        "addresses": frozenset({ip_address("10.0.0.5"), ip_address("fd00::5")}),
        "dns_names": frozenset({"node-a"}),
    }
    return NodeFacts(**(defaults | fields))


def make_case(**fields: Any) -> Case:
    """Return a case that is approved, with these fields instead; no Node exists, nothing is reserved."""
    enrollment: Enrollment | None = fields.get("enrollment", make_enrollment())
    claims: Claims = ClaimIndex([enrollment] if enrollment else [])
    reserved: Reserved = ReservedIndex()
    defaults: dict[str, Any] = {
        "csr": fields.get("csr") or make_csr(),
        "enrollment": enrollment,
        "node": None,
        "claims": claims,
        "reserved": reserved,
        "policy": Policy(),
        "now": NOW,
    }
    return Case(**(defaults | fields))
