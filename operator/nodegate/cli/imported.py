"""Nodes go in, the enrollments that approve what they use today come out, with what was left out and why.

Rules: pure. A Node's addresses are its kubelet's own word, so nothing is taken over that is the
cluster's own, another node's or another enrollment's. An API server's address is taken over only for a
node with the label of the control plane, which kubelets may not give themselves.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nodegate.cli.facts import Facts
from nodegate.csr.model import NodeFacts
from nodegate.enrollment.model import IPAddress, Mode, NodeName, Rejoin
from nodegate.fields import Fields, parse_address
from nodegate.identity import is_dns_name, reserved_name, special_address
from nodegate.names import API_VERSION
from nodegate.text import listed, visible

CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"
"""Set by kubeadm and administrators; NodeRestriction keeps kubelets from setting it themselves."""

_LIST_LIMIT = 16
"""Items that spec.addresses and spec.dnsNames may have (crds/nodeenrollments)."""

_HEADER = """\
# NodeEnrollments for nodes that have joined already, made from what their Nodes report.
# A kubelet reports its own addresses: compare them with your inventory before you apply this.
# A first certificate is not pinned to a token: set spec.bootstrap, or rejoin: Never, where that matters.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """The enrollment for one Node."""

    name: str
    addresses: tuple[str, ...]
    dns_names: tuple[str, ...]
    notes: tuple[str, ...]
    """What the Node reports and the enrollment does not list, each with why, and what follows from that."""


class Importer:
    """Makes enrollments for Nodes, seen beside all Nodes and enrollments there are."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._reporters: defaultdict[IPAddress | str, set[NodeName]] = defaultdict(set)
        for node in facts.nodes.values():
            for identity in (*node.addresses, *node.dns_names):
                self._reporters[identity].add(node.name)

    def take(self, body: Mapping[str, Any]) -> Imported:
        """Return the enrollment for one Node.

        Raises:
            Malformed: A field has the wrong type.
        """
        root = Fields(body)
        node = self._facts.nodes[NodeName(root.child("metadata").text("name"))]
        controls = CONTROL_PLANE_LABEL in root.child("metadata").child("labels").keys()  # noqa: SIM118 - Fields is no mapping
        addresses: list[str] = []
        names: list[str] = []
        notes: list[str] = []
        for text in dict.fromkeys(entry.text("address") for entry in root.child("status").children("addresses")):
            identity, why = self._judge(text, node, controls=controls)
            kept = addresses if isinstance(identity, IPAddress) else names
            if identity == node.name or str(identity) in kept:
                continue
            why = why or (f"more than {_LIST_LIMIT}" if len(kept) == _LIST_LIMIT else None)
            if why is None:
                kept.append(str(identity))
            else:
                notes.append(f"left out: {visible(text, 253) or '(nothing)'}: {why}")
        if not addresses:
            notes.append("no address is left, so serving requests are held (AddressMissing) until one is listed")
        return Imported(name=node.name, addresses=tuple(addresses), dns_names=tuple(names), notes=tuple(notes))

    def _judge(self, text: str, node: NodeFacts, *, controls: bool) -> tuple[IPAddress | str, str | None]:
        """Return an identity as an enrollment lists it, and why this one may not."""
        try:
            address = parse_address(text)
        except ValueError:
            return text.lower(), self._name_fault(text.lower(), node)
        return address, self._address_fault(address, node, controls=controls)

    def _address_fault(self, address: IPAddress, node: NodeFacts, *, controls: bool) -> str | None:
        reserved, owners = self._facts.reserved, self._facts.claims.address_owners(address) - {node.name}
        why = special_address(address) or reserved.covering(address)
        if why is not None or not reserved.is_api_server(address):
            return why or self._owned(address, owners, node)
        if controls:  # Others may report it, but it is theirs no more than by their own word.
            return f"also of {listed(sorted(owners))}" if owners else None
        return f"an API server's address; list it if the host runs one ({CONTROL_PLANE_LABEL} is not set)"

    def _name_fault(self, name: str, node: NodeFacts) -> str | None:
        if not is_dns_name(name):
            return "no DNS-1123 name and no address"
        owners = self._facts.claims.name_owners(name) | ({NodeName(name)} & self._facts.nodes.keys())
        return reserved_name(name) or self._owned(name, owners - {node.name}, node)

    def _owned(self, identity: IPAddress | str, owners: frozenset[NodeName], node: NodeFacts) -> str | None:
        if owners:
            return f"also of {listed(sorted(owners))}"
        others = self._reporters[identity] - {node.name}
        return f"also reported by {listed(sorted(others))}" if others else None


def as_object(imported: Imported, mode: Mode, rejoin: Rejoin) -> dict[str, Any]:
    """Return the manifest of an enrollment."""
    spec: dict[str, Any] = {"mode": mode.value} if mode is not Mode.ENFORCE else {}
    spec |= {"addresses": list(imported.addresses)} if imported.addresses else {}
    spec |= {"dnsNames": list(imported.dns_names)} if imported.dns_names else {}
    spec["rejoin"] = rejoin.value
    return {"apiVersion": API_VERSION, "kind": "NodeEnrollment", "metadata": {"name": imported.name}, "spec": spec}


def as_yaml(every: Sequence[Imported], mode: Mode, rejoin: Rejoin) -> Iterator[str]:
    """Yield the lines of the manifests, with comments; every value is quoted, so that none is taken for a number."""
    yield _HEADER
    for imported in every:
        yield "---\n"
        for note in imported.notes:
            yield f"# {_ascii(note)}\n"
        yield from _lines(as_object(imported, mode, rejoin), "")


def _lines(body: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in body.items():
        if isinstance(value, Mapping):
            yield f"{indent}{key}:\n"
            yield from _lines(value, f"{indent}  ")
        elif isinstance(value, list):
            yield f"{indent}{key}:\n"
            yield from (f"{indent}  - {json.dumps(item)}\n" for item in value)
        else:
            yield f"{indent}{key}: {value if key in _PLAIN else json.dumps(value)}\n"


_PLAIN = frozenset({"apiVersion", "kind", "mode", "rejoin"})
"""Fields whose values are ours and need no quotes."""


def _ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode()
