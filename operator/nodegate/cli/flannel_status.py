"""``flannel status``: how the FlannelNetworks stand, by what the operator has written into their statuses.

Objects come from the API server or from files; a table of all, or everything about one, goes out. Rules: nothing is
asked of etcd and nothing is written; what a person has to run stands there word for word.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

from nodegate.cli import terminal
from nodegate.cli.arguments import PROG, add_connection, add_files, add_output, add_verb
from nodegate.cli.exits import Exit, Stopped
from nodegate.cli.facts import kind_of
from nodegate.cli.layout import Line, Span, Style, table
from nodegate.cli.manifests import read_files
from nodegate.cli.objects import print_object
from nodegate.errors import Malformed
from nodegate.fields import Fields
from nodegate.flannel.parse import KIND
from nodegate.names import API_VERSION, CLI_API_VERSION
from nodegate.text import visible

_PATH = f"/apis/{API_VERSION}/flannelnetworks"
_HEADER = ("NAME", "PHASE", "IN-SYNC", "LEASES", "FREE", "RESTART", "PENDING")
_NODES = ("NODE", "PUBLIC-IP", "SUBNET", "BACKEND", "FITS", "RESTART")
_NONE = "-"
_GOOD = {
    "ChangeBlocked": "False",
    "RestartRequired": "False",
    "DriftDetected": "False",
    "Stalled": "False",
}
"""The status that a condition should have, where it is not True."""

_DESCRIPTION = """\
Show how the FlannelNetworks stand: phase, leases, free subnets, nodes that have to restart flanneld,
and the change that waits. With a name everything about that one, and what to run. Nothing is written."""

_EPILOG = f"""\
examples:
  # All of them
  {PROG} flannel status

  # One: its conditions, the change that waits with its blockers, and its nodes
  {PROG} flannel status pods

exit codes:
  0 shown; 2 usage, or a file that cannot be used; 3 no such network; 4 the API server refuses; 5 the
  API server cannot be reached; 130 interrupted"""


def add_parser(verbs: Any) -> None:
    """Add the verb below ``flannel``."""
    parser = add_verb(
        verbs,
        "status",
        "Show how the FlannelNetworks stand",
        usage="[NAME] [-f FILE...] [flags]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        parent="flannel",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="the network; all of them without it")
    add_files(parser, "files with FlannelNetworks instead of a cluster; - is stdin")
    add_output(parser, ("table", "json", "yaml"))
    add_connection(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    """Show, and return what to end with."""
    bodies = _from_files(args) if args.filename else _from_cluster(args)
    if args.name and not bodies:
        raise Stopped(Exit.NOT_FOUND, f"expected a FlannelNetwork named {visible(args.name)}, found none")
    if args.output in {"json", "yaml"}:
        items = [_bare(body) for body in bodies]
        print_object({"apiVersion": CLI_API_VERSION, "kind": "FlannelNetworkList", "items": items}, args.output)
    elif args.name:
        terminal.show(list(_everything(Fields(bodies[0]))), sys.stdout)
    elif bodies:
        terminal.show(table(_HEADER, [_row(Fields(body)) for body in bodies]), sys.stdout)
    else:
        print("No FlannelNetwork found.", file=sys.stderr)
    return Exit.OK


def _from_files(args: argparse.Namespace) -> list[Mapping[str, Any]]:
    found = []
    for manifests in read_files(args.filename).values():
        for manifest in manifests:
            if kind_of(manifest) != KIND:
                raise Malformed(f"{manifest.origin}: expected a {KIND}, found a {kind_of(manifest)}")
            if args.name in (None, Fields(manifest.body).child("metadata").text("name")):
                found.append(manifest.body)
    return found


def _from_cluster(args: argparse.Namespace) -> list[Mapping[str, Any]]:
    from nodegate.cli.connection import connect

    with closing(connect(args)) as connection:
        if args.name:
            return [connection.object(_PATH, args.name, KIND, API_VERSION)]
        return list(connection.objects(_PATH, KIND, API_VERSION))


def _bare(body: Mapping[str, Any]) -> Mapping[str, Any]:
    meta = {key: value for key, value in (body.get("metadata") or {}).items() if key != "managedFields"}
    return {**body, "metadata": meta}


def _conditions(status: Fields) -> Mapping[str, Fields]:
    return {each.text("type"): each for each in status.children("conditions")}


def _number(fields: Fields, key: str) -> str:
    value = fields.integer(key)
    return _NONE if value is None else str(value)


def _row(root: Fields) -> Sequence[str]:
    status = root.child("status")
    applied = _conditions(status).get("ConfigApplied")
    return (
        visible(root.child("metadata").text("name"), 253),
        visible(status.text("phase")) or "Pending",
        visible(applied.text("status")) if applied is not None else _NONE,
        _number(status.child("leases"), "total"),
        _number(status.child("capacity"), "free"),
        str(sum(row.flag("restartNeeded") for row in status.children("nodes"))),
        visible(status.child("pendingChange").text("class")) or _NONE,
    )


def _everything(root: Fields) -> Iterator[Line]:
    status = root.child("status")
    yield from table(_HEADER, [_row(root)])
    yield (Span(""),)
    for kind, each in _conditions(status).items():
        good = each.text("status") == _GOOD.get(kind, "True")
        head = f"{visible(kind)}: {visible(each.text('status'))} {visible(each.text('reason'))}"
        yield (Span(head, Style.PLAIN if good else Style.CARE),)
        if not good:
            yield (Span(f"  {visible(each.text('message'), 1024)}"),)
    yield from _pending(root.child("metadata").text("name"), status.child("pendingChange"))
    nodes = list(status.children("nodes"))
    if nodes:
        yield (Span(""),)
        yield from table(_NODES, [_node(row) for row in nodes])


def _pending(name: str, change: Fields) -> Iterator[Line]:
    """Yield the change that waits, what it waits for, and how it is approved where that can be."""
    if not change.text("class"):
        return
    yield (Span(""),)
    yield (Span(f"{visible(change.text('class'))}, {visible(change.text('action'))}:", Style.STRONG),)
    for each in change.children("changes"):
        old, new = visible(each.text("from")) or "nothing", visible(each.text("to")) or "nothing"
        yield (Span(f"  {visible(each.text('field'))}: {old} -> {new} ({visible(each.text('class'))})"),)
    for each in change.children("blockedBy"):
        who = " ".join(filter(None, (visible(each.text(key)) for key in ("subnet", "publicIP", "node"))))
        yield (Span(f"  blocked by {who}: {visible(each.text('reason'))}"),)
    if change.text("action") == "block" and change.text("class") in {"Narrowing", "Renumbering", "Datapath"}:
        patch = f'{{"spec":{{"approvedChange":"{visible(change.text("id"))}"}}}}'
        yield (Span("  to make it although these nodes are cut off until their flanneld restarts:"),)
        yield (Span(f"    kubectl patch flannelnetwork {visible(name)} --type=merge -p '{patch}'"),)


def _node(row: Fields) -> Sequence[str]:
    texts = (visible(row.text(key)) or _NONE for key in ("node", "publicIP", "subnet", "backendType"))
    return (*texts, *("yes" if row.flag(key) else "no" for key in ("fits", "restartNeeded")))
