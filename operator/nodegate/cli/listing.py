"""``list``: the enrollments, and below them who asks for a certificate without one.

Enrollments and requests come from the API server or from files. Rules: filters are applied here, so
that files and cluster are filtered alike; who asks without an enrollment is shown only when nothing is
filtered, for it belongs to no phase and no label.
"""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from typing import Any, NamedTuple

from nodegate.cli import terminal
from nodegate.cli.arguments import PROG, add_connection, add_files, add_output, add_verb
from nodegate.cli.decisions import decisions
from nodegate.cli.exits import Exit
from nodegate.cli.facts import kind_of
from nodegate.cli.labels import Test, parse_selector
from nodegate.cli.layout import EMPTY, Line, Span, Style, ago, span_of_time, table
from nodegate.cli.manifests import read_files, uncollected
from nodegate.cli.objects import print_object, warn
from nodegate.clock import now
from nodegate.csr.model import CsrFacts, Kind
from nodegate.csr.parse import parse_csr
from nodegate.enrollment.model import Phase
from nodegate.errors import Forbidden, Malformed
from nodegate.fields import Fields
from nodegate.names import CLI_API_VERSION, MANAGED_SIGNERS
from nodegate.text import visible

_DESCRIPTION = """\
List the NodeEnrollments: what is wanted of each node, how far it has come, and when its certificates
end. Below them stand the pending requests of nodes that have no enrollment. Nothing is written."""

_EPILOG = f"""\
examples:
  # Every enrollment, and who asks without one
  {PROG} list

  # Those that wait for their node, with token and last verdict
  {PROG} list --phase Ready -o wide

  # One rack, as objects
  {PROG} list -l rack=r1 -o json

  # From files
  {PROG} list -f enrollments.yaml requests.yaml

exit codes:
  0 listed; 2 usage, or a file that cannot be used; 4 the API server refuses; 5 the API server cannot
  be reached; 130 interrupted"""

_NONE = "-"
_HEADER = ("NAME", "STATE", "PHASE", "NODE-READY", "CLIENT-EXPIRES", "AGE")
_WIDE = ("TOKEN", "LAST-VERDICT", "REASON", "SERVING-EXPIRES")
_ASKING = ("NODE", "REQUEST", "FOR", "REQUESTER", "AGE")


def add_parser(verbs: Any) -> None:
    """Add the verb to the command line."""
    parser = add_verb(
        verbs,
        "list",
        "List enrollments and who asks without one",
        usage="[-f FILE...] [flags]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    add_files(parser, "files with enrollments and signing requests instead of a cluster; - is stdin")
    phases = [phase.value for phase in Phase]
    parser.add_argument(
        "--phase", action="append", choices=phases, metavar="PHASE", help=f"only these phases: {', '.join(phases)}"
    )
    parser.add_argument("-l", "--selector", default="", metavar="SELECTOR", help="label selector, such as rack=r1")
    parser.add_argument("--no-headers", action="store_true", help="print no column names")
    add_output(parser)
    add_connection(parser)
    parser.set_defaults(run=run)


class _Found(NamedTuple):
    """What there is to list, as bodies."""

    enrollments: list[Mapping[str, Any]]
    requests: list[Mapping[str, Any]]


def run(args: argparse.Namespace) -> Exit:
    """List, and return what to end with."""
    selects = parse_selector(args.selector)
    with uncollected():
        found = _from_files(args) if args.filename else _from_cluster(args)
    enrolled = {_name(body) for body in found.enrollments}
    filtered = bool(args.phase or args.selector)
    asking = [] if filtered else _asking(found.requests, enrolled)
    kept = sorted((body for body in found.enrollments if _keeps(body, args.phase, selects)), key=_name)
    if args.output in {"json", "yaml"}:
        print_object(_object(kept, asking), args.output)
    else:
        _print(args, kept, asking)
    return Exit.OK


def _name(body: Mapping[str, Any]) -> str:
    return Fields(body).child("metadata").text("name")


def _keeps(body: Mapping[str, Any], phases: Sequence[str] | None, selects: Test) -> bool:
    root = Fields(body)
    labels = root.child("metadata").child("labels")
    return (not phases or root.child("status").text("phase") in phases) and selects(
        {key: labels.text(key) for key in labels.keys()}  # noqa: SIM118 - Fields is no mapping
    )


def _from_files(args: argparse.Namespace) -> _Found:
    found = _Found([], [])
    for manifests in read_files(args.filename).values():
        for manifest in manifests:
            match kind_of(manifest):
                case "NodeEnrollment":
                    found.enrollments.append(manifest.body)
                case "CertificateSigningRequest":
                    found.requests.append(manifest.body)
                case kind:
                    raise Malformed(
                        f"{manifest.origin}: expected a NodeEnrollment or CertificateSigningRequest, found a {kind}"
                    )
    return found


def _from_cluster(args: argparse.Namespace) -> _Found:
    from nodegate.cli.cluster_facts import read_enrollments, read_requests
    from nodegate.cli.connection import connect

    with closing(connect(args)) as connection:
        enrollments = list(read_enrollments(connection))
        try:
            requests = list(read_requests(connection))
        except Forbidden:
            warn("no right to list certificatesigningrequests, so who asks without an enrollment is not shown")
            requests = []
    return _Found(enrollments, requests)


def _asking(requests: Iterable[Mapping[str, Any]], enrolled: set[str]) -> list[CsrFacts]:
    """Return the pending requests of nodes without an enrollment, the newest first."""
    parsed = []
    for body in requests:
        csr = parse_csr(body)
        pending = csr.signer in MANAGED_SIGNERS and not csr.conditions and not csr.issued and not decisions(body)
        if pending and csr.node_name is not None and csr.node_name not in enrolled:
            parsed.append(csr)
    return sorted(parsed, key=lambda csr: (csr.node_name or "", csr.name))


def _object(kept: Sequence[Mapping[str, Any]], asking: Sequence[CsrFacts]) -> Mapping[str, Any]:
    return {
        "apiVersion": CLI_API_VERSION,
        "kind": "EnrollmentList",
        "items": [_without_managed_fields(body) for body in kept],
        "asking": [
            {"name": csr.name, "nodeName": csr.node_name, "signerName": csr.signer, "username": csr.username}
            for csr in asking
        ],
    }


def _without_managed_fields(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the object as kubectl shows it: who manages which field is noise."""
    meta = {key: value for key, value in (body.get("metadata") or {}).items() if key != "managedFields"}
    return {**body, "metadata": meta}


def _print(args: argparse.Namespace, kept: Sequence[Mapping[str, Any]], asking: Sequence[CsrFacts]) -> None:
    at, wide, header = now(), args.output == "wide", not args.no_headers
    columns = _HEADER + _WIDE if wide else _HEADER
    rows = [_row(Fields(body), at)[: len(columns)] for body in kept]
    if rows:
        terminal.show(table(columns, rows, with_header=header), sys.stdout)
    elif args.phase or args.selector:
        print("No enrollment matches.", file=sys.stderr)
    else:
        print("No enrollment found.", file=sys.stderr)
    if asking:
        terminal.show(_asking_lines(asking, at, header=header, after_rows=bool(rows)), sys.stdout)


def _asking_lines(asking: Sequence[CsrFacts], at: datetime, *, header: bool, after_rows: bool) -> list[Line]:
    rows = [
        (
            visible(csr.node_name or ""),
            visible(csr.name, 253),
            _for(csr.kind),
            visible(csr.username),
            _age(csr.created, at),
        )
        for csr in asking
    ]
    lines: list[Line] = [EMPTY] if after_rows else []
    if header:
        lines.append((Span("Asking and not enrolled", Style.STRONG),))
    return lines + table(_ASKING, rows, with_header=header)


def _for(kind: Kind) -> str:
    return "serving" if kind is Kind.SERVING else "client"


def _age(moment: datetime | None, at: datetime) -> str:
    return span_of_time(at - moment) if moment is not None else "<unknown>"


def _row(root: Fields, at: datetime) -> tuple[str, ...]:
    meta, spec, status = root.child("metadata"), root.child("spec"), root.child("status")
    certificates, last = status.child("certificates"), status.child("lastDecision")
    token = spec.child("bootstrap").text("tokenID") or status.child("bootstrap").text("tokenID")
    return tuple(
        visible(text or _NONE, 253)
        for text in (
            meta.text("name"),
            spec.text("state", "Active"),
            status.text("phase"),
            status.child("node").text("ready"),
            _expiry(certificates.child("client"), at),
            _age(meta.moment("creationTimestamp"), at),
            token,
            last.text("verdict"),
            last.text("reason"),
            _expiry(certificates.child("serving"), at),
        )
    )


def _expiry(certificate: Fields, at: datetime) -> str:
    moment = certificate.moment("notAfter")
    if moment is None:
        return ""
    return ago(moment, at) if moment > at else f"expired {ago(moment, at)}"
