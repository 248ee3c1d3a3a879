"""``import``: enrollments for the Nodes that a cluster has already.

Nodes come from the API server or from files, manifests go to stdout. Rules: nothing is written to the
cluster; Nodes that are enrolled are passed over; without knowing which identities are reserved and
which are taken nothing is made, for an enrollment that lists one would stop its node's renewals.
"""

import argparse
import sys
from collections.abc import Mapping
from contextlib import closing
from typing import Any, NamedTuple

from nodegate.cli.arguments import PROG, add_connection, add_files, add_output, add_verb
from nodegate.cli.exits import Exit, Stopped
from nodegate.cli.facts import Facts, Manifest, gather
from nodegate.cli.imported import Imported, Importer, as_object, as_yaml
from nodegate.cli.labels import Test, parse_selector
from nodegate.cli.manifests import read_files, uncollected
from nodegate.cli.objects import print_object, warn
from nodegate.enrollment.model import Mode, Rejoin
from nodegate.fields import Fields
from nodegate.text import listed

_DESCRIPTION = """\
Print a NodeEnrollment for every Node that has none, such that exactly what the node uses today would be
approved: the addresses and names that it reports. What is left out stands in a comment, with the
reason: reserved identities, those of other nodes, and what is no address and no DNS name.

Nothing is written to the cluster: read the manifests, then apply them yourself. With --mode Audit the
operator only reports what it would decide."""

_EPILOG = f"""\
examples:
  # Begin carefully: only report what would be decided
  {PROG} import --mode Audit > enrollments.yaml
  {PROG} lint enrollments.yaml
  kubectl apply -f enrollments.yaml

  # One rack
  {PROG} import -l rack=r1 | kubectl apply -f -

  # Offline
  kubectl get nodes,servicecidrs -o json > cluster.json
  {PROG} import -f cluster.json

exit codes:
  0 printed, also when every node is enrolled; 2 usage, or a file that cannot be used; 4 the API server
  refuses, or a right is missing; 5 the API server cannot be reached; 130 interrupted"""


def add_parser(verbs: Any) -> None:
    """Add the verb to the command line."""
    parser = add_verb(
        verbs,
        "import",
        "Print enrollments for nodes that have joined already",
        usage="[-f FILE...] [flags]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    add_files(parser, "files with Nodes, and with what tells of reserved identities, instead of a cluster; - is stdin")
    parser.add_argument("-l", "--selector", default="", metavar="SELECTOR", help="label selector, such as rack=r1")
    modes, rejoins = [mode.value for mode in Mode], [rejoin.value for rejoin in Rejoin]
    parser.add_argument(
        "--mode", choices=modes, default=Mode.ENFORCE.value, metavar="MODE", help="spec.mode: %(choices)s (%(default)s)"
    )
    parser.add_argument(
        "--rejoin",
        choices=rejoins,
        default=Rejoin.WHEN_NOT_READY.value,
        metavar="WHEN",
        help="spec.rejoin: %(choices)s (%(default)s)",
    )
    add_output(parser, ("yaml", "json"))
    add_connection(parser)
    parser.set_defaults(run=run)


class _Found(NamedTuple):
    """The Nodes' objects and everything that is known."""

    nodes: list[Mapping[str, Any]]
    facts: Facts


def run(args: argparse.Namespace) -> Exit:
    """Print the manifests, and return what to end with."""
    selects = parse_selector(args.selector)
    with uncollected():
        found = _from_files(args) if args.filename else _from_cluster(args)
        importer = Importer(found.facts)
        selected = sorted((node for node in found.nodes if _selected(node, selects)), key=_name)
        every = [importer.take(node) for node in selected if _name(node) not in found.facts.enrollments]
    enrolled = [_name(node) for node in selected if _name(node) in found.facts.enrollments]
    if enrolled:
        warn(f"{len(enrolled)} nodes are enrolled already and passed over: {listed(enrolled)}")
    if not every:
        print("No node to import found.", file=sys.stderr)
    else:
        _print(args, every)
    return Exit.OK


def _print(args: argparse.Namespace, every: list[Imported]) -> None:
    mode, rejoin = Mode(args.mode), Rejoin(args.rejoin)
    if args.output == "yaml":
        sys.stdout.writelines(as_yaml(every, mode, rejoin))
        return
    items = [as_object(imported, mode, rejoin) for imported in every]
    print_object({"apiVersion": "v1", "kind": "List", "items": items}, args.output)
    for imported in every:
        for note in imported.notes:
            warn(f"{imported.name}: {note}")


def _name(body: Mapping[str, Any]) -> str:
    return Fields(body).child("metadata").text("name")


def _selected(body: Mapping[str, Any], selects: Test) -> bool:
    labels = Fields(body).child("metadata").child("labels")
    return selects({key: labels.text(key) for key in labels.keys()})  # noqa: SIM118 - Fields is no mapping


def _from_files(args: argparse.Namespace) -> _Found:
    manifests = [manifest for found in read_files(args.filename).values() for manifest in found]
    facts = gather(manifests)
    if not any(manifest.body["kind"] in {"ServiceCIDR", "Service"} for manifest in manifests):
        warn("no ServiceCIDR and no Service in the files, so addresses of the service network are not noticed")
    return _Found(_nodes(manifests), facts)


def _nodes(manifests: list[Manifest]) -> list[Mapping[str, Any]]:
    return [manifest.body for manifest in manifests if manifest.body.get("kind") == "Node"]


def _from_cluster(args: argparse.Namespace) -> _Found:
    from nodegate.cli.cluster_facts import read_objects
    from nodegate.cli.connection import connect

    with closing(connect(args)) as connection:
        read = read_objects(connection)
    facts = gather(read.manifests, live=True, missing=read.missing)
    if facts.missing:
        why = "; ".join((*read.notes, *facts.faults))
        raise Stopped(Exit.REFUSED, f"expected to know every identity that is reserved or taken, found: {why}")
    return _Found(_nodes(read.manifests), facts)
