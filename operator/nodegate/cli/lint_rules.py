"""What is to be said of a NodeEnrollment that the schema accepts.

An enrollment and those beside it go in, remarks come out. Rules: pure; whether an identity is reserved
or another's is asked of ``identity`` and the claims, as the operator does, so that both say the same;
an error is what the operator calls Stalled, everything else is advice.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from nodegate.cli.facts import Facts
from nodegate.cli.findings import Severity
from nodegate.cli.places import FieldPath, Place
from nodegate.csr.model import NodeFacts
from nodegate.enrollment.model import Enrollment, NodeName, Rejoin, State
from nodegate.fields import parse_address, rfc3339
from nodegate.identity import reserved_address, reserved_name
from nodegate.text import listed

KEYS_KEPT = 10
"""Joins that an enrollment's status remembers (crds/nodeenrollments, status.joins)."""


class Remark(NamedTuple):
    """One thing to say of an enrollment."""

    severity: Severity
    path: FieldPath
    message: str
    rule: str


class Entry(NamedTuple):
    """An enrollment, the object that it was read from and where that stands."""

    enrollment: Enrollment
    body: Mapping[str, Any]
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What an enrollment is seen beside."""

    facts: Facts
    places: Mapping[NodeName, Place]
    """Where the enrollments of these names stand."""

    tokens: Mapping[str, Sequence[NodeName]]
    """The enrollments that pin each token."""

    now: datetime

    def where(self, names: Sequence[NodeName]) -> str:
        """Return other enrollments, each with its place."""
        return listed(
            f"{name} in {self.places[name].file}:{self.places[name].line_of()}" if name in self.places else name
            for name in names
        )


def remarks(entry: Entry, beside: Beside) -> Iterator[Remark]:
    """Yield everything that is to be said of one enrollment."""
    for rule in _RULES:
        yield from rule(entry, beside)


def _identities(entry: Entry) -> Iterator[tuple[FieldPath, str]]:
    """Yield the listed addresses and names, each with its field."""
    for key in ("addresses", "dnsNames"):
        for index, text in enumerate((entry.body.get("spec") or {}).get(key) or ()):
            yield ("spec", key, index), text


def _reserved(entry: Entry, beside: Beside) -> Iterator[Remark]:
    for path, text in _identities(entry):
        if path[1] == "addresses":
            why = reserved_address(parse_address(text), entry.enrollment, beside.facts.reserved)
        else:
            why = reserved_name(text)
        if why is not None:
            message = (
                f"expected an identity of the node, found {text} ({why}); nothing is approved until it is taken out"
            )
            yield Remark(Severity.ERROR, path, message, "reserved")
    if reserved_name(entry.enrollment.name) is not None:
        message = (
            f"expected a name of a node alone, found {entry.enrollment.name}, which no serving certificate may carry"
        )
        yield Remark(Severity.WARNING, ("metadata", "name"), message, "reserved")


def _shared(entry: Entry, beside: Beside) -> Iterator[Remark]:
    claims, me = beside.facts.claims, entry.enrollment.name
    if entry.enrollment.state is State.REVOKED:
        return
    for path, text in (*_identities(entry), (("metadata", "name"), str(me))):
        owners = claims.address_owners(parse_address(text)) if path[1] == "addresses" else claims.name_owners(text)
        others = sorted(owners - {me})
        if others:
            message = (
                f"expected an identity of one enrollment, found {text} also in {beside.where(others)}; leave it in one"
            )
            yield Remark(Severity.ERROR, path, message, "conflict")


def _shared_token(entry: Entry, beside: Beside) -> Iterator[Remark]:
    token = entry.enrollment.bootstrap.token_id
    others = [name for name in beside.tokens.get(token or "", ()) if name != entry.enrollment.name]
    if others:
        message = (
            f"expected a token of one node, found {token} also in {beside.where(others)}; whoever has it can join as "
            "any of them, so make one token a node"
        )
        yield Remark(Severity.WARNING, ("spec", "bootstrap", "tokenID"), message, "shared-token")


def _window(entry: Entry, beside: Beside) -> Iterator[Remark]:
    end = entry.enrollment.bootstrap.not_after
    if end is not None and end < beside.now and not _joined(entry):
        message = f"expected a window that is still open, found one that closed at {rfc3339(end)}; move notAfter"
        yield Remark(Severity.WARNING, ("spec", "bootstrap", "notAfter"), message, "window-past")


def _joined(entry: Entry) -> bool:
    return bool(entry.enrollment.status.joins) or entry.enrollment.status.node.uid is not None


def _many_joins(entry: Entry, _: Beside) -> Iterator[Remark]:
    limit = entry.enrollment.bootstrap.max_joins
    if limit > KEYS_KEPT:
        message = (
            f"only the {KEYS_KEPT} newest keys are remembered, so a retry with an older one counts as another of the "
            f"{limit}; a node that needs so many has lost its keys each time"
        )
        yield Remark(Severity.INFO, ("spec", "bootstrap", "maxJoins"), message, "many-joins")


def _unacted(entry: Entry, _: Beside) -> Iterator[Remark]:
    for name in entry.enrollment.unacted_fields:
        flag = "--issue-tokens" if name == "bootstrap.token.issue" else "--manage-nodes"
        message = f"only acted on by an operator that runs with {flag}; start it so, or take it out"
        yield Remark(Severity.WARNING, ("spec", *name.split(".")), message, "unacted")


def _open(entry: Entry, _: Beside) -> Iterator[Remark]:
    bootstrap = entry.enrollment.bootstrap
    pinned = bootstrap.token_id or bootstrap.issue_token or bootstrap.users or bootstrap.public_key_sha256
    if pinned or entry.enrollment.state is not State.ACTIVE:
        return
    path: FieldPath = ("spec", "bootstrap") if (entry.body.get("spec") or {}).get("bootstrap") else ("spec",)
    message = "any bootstrap token may join under this name; pin tokenID, users or publicKeySHA256 in spec.bootstrap"
    yield Remark(Severity.INFO, path, message, "open")
    if entry.enrollment.rejoin is Rejoin.ALWAYS:
        message = "any bootstrap token may take this node's place while it runs; pin one, or use WhenNotReady"
        yield Remark(Severity.WARNING, ("spec", "rejoin"), message, "open-rejoin")


def _own_name(entry: Entry, _: Beside) -> Iterator[Remark]:
    for path, text in _identities(entry):
        if path[1] == "dnsNames" and text == entry.enrollment.name:
            yield Remark(Severity.INFO, path, "a node may always carry its own name; take it out", "own-name")


def _not_on_node(entry: Entry, beside: Beside) -> Iterator[Remark]:
    node = beside.facts.nodes.get(entry.enrollment.name)
    if node is None or not entry.enrollment.serving.require_node_addresses:
        return
    for path, text in _identities(entry):
        if not _reports(node, text, path):
            message = f"with requireNodeAddresses it is held as long as the Node does not report it: {text}"
            yield Remark(Severity.INFO, path, message, "not-on-node")


def _reports(node: NodeFacts, text: str, path: FieldPath) -> bool:
    return parse_address(text) in node.addresses if path[1] == "addresses" else text in node.dns_names


_RULES: tuple[Callable[[Entry, Beside], Iterator[Remark]], ...] = (
    _reserved,
    _shared,
    _shared_token,
    _window,
    _many_joins,
    _unacted,
    _open,
    _own_name,
    _not_on_node,
)
