"""``flannel plan``: what the operator would do with a FlannelNetwork, judged offline.

The resource, the live config and the leases come from files, ``--with`` files are the cluster around it.
Rules: the judgement is ``flannel.decide.plan``, the operator's own; nothing is written, and no secret is
asked for or shown; an input that cannot be used means that nothing is judged (exit 2).
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nodegate.cli import terminal
from nodegate.cli.arguments import PROG, add_files, add_output, add_verb
from nodegate.cli.exits import Exit
from nodegate.cli.facts import Manifest, kind_of
from nodegate.cli.flannel_schema import faults
from nodegate.cli.layout import Line, Span, Style
from nodegate.cli.manifests import STDIN, read_files
from nodegate.cli.objects import print_object
from nodegate.cli.places import shown
from nodegate.csr.parse import parse_node, parse_service, parse_service_cidr
from nodegate.errors import Malformed
from nodegate.fields import Fields
from nodegate.flannel.decide import plan, plan_deletion
from nodegate.flannel.network import Action, Facts, FlannelNetwork, Lease, Plan
from nodegate.flannel.parse import KIND, parse_lease, parse_network
from nodegate.flannel.ranges import Network, interface_of
from nodegate.flannel.render import plan_object
from nodegate.text import visible

_DESCRIPTION = """\
Say what the operator would do with a FlannelNetwork: the class of the change, what blocks it, what
changes, and which nodes need flanneld restarted. No cluster and no etcd is asked.

--live is the value of <prefix>/config; without it there is none. --leases is a list of objects with
key, value, modRevision and ttl (null without an end), as read from etcd below <prefix>/subnets.
--with takes Node, Service, ServiceCIDR and other FlannelNetworks, as YAML or JSON."""

_EPILOG = f"""\
examples:
  # May this edit be applied?
  {PROG} flannel plan -f network.yaml --live config.json --leases leases.json

  # In a pipeline: stop unless it would be written
  {PROG} flannel plan -f network.yaml --live config.json --leases leases.json --exit-code

exit codes:
  0 it could be judged; with --exit-code 0 none or write, 10 block, 11 refuse, 12 report;
  2 usage, a file that cannot be used, or a manifest that the schema refuses"""

_CODES = {Action.BLOCK: Exit.HOLD, Action.REFUSE: Exit.DENY, Action.REPORT: Exit.IGNORE}
_LEASE_FIELDS = ("key", "value", "modRevision", "ttl")
_STYLES = {Action.BLOCK: Style.CARE, Action.REFUSE: Style.BAD, Action.REPORT: Style.CARE}


def add_parser(verbs: Any) -> None:
    """Add the verb below ``flannel``."""
    parser = add_verb(
        verbs,
        "plan",
        "Say what a FlannelNetwork would change",
        usage="-f FILE [--live FILE] [--leases FILE] [flags]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        parent="flannel",
    )
    add_files(parser, "the FlannelNetwork; - is stdin")
    parser.add_argument("--live", metavar="FILE", help="the value of <prefix>/config (none: the key is absent)")
    parser.add_argument("--leases", metavar="FILE", help="the keys below <prefix>/subnets (none: there are none)")
    parser.add_argument(
        "--live-revision", type=int, metavar="N", help="the revision of the last write of <prefix>/config"
    )
    parser.add_argument(
        "--with", dest="facts", nargs="+", action="extend", metavar="FILE", help="files with the cluster around it"
    )
    parser.add_argument("--exit-code", action="store_true", help="tell the action by the exit code")
    add_output(parser, ("text", "json", "yaml"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    """Judge, print, and return what to end with."""
    if [*(args.filename or ()), args.live, args.leases, *(args.facts or ())].count(STDIN) > 1:
        raise Malformed("expected - for one of -f, --live, --leases and --with, found it twice; stdin can be read once")
    network = _network(args.filename or [])
    live = None if args.live is None else _text(args.live)
    leases = [] if args.leases is None else read_leases(_text(args.leases), visible(args.leases))
    facts = gather(network, [each for found in read_files(args.facts or ()).values() for each in found])
    judged = _judge(network, live, args.live_revision, leases, facts)
    if args.output == "text":
        terminal.show(list(_lines(network, judged)), sys.stdout)
    else:
        print_object(plan_object(judged), args.output)
    return _CODES.get(judged.action, Exit.OK) if args.exit_code else Exit.OK


def _judge(
    network: FlannelNetwork, live: str | None, live_revision: int | None, leases: Sequence[Lease], facts: Facts
) -> Plan:
    if network.deleting:
        return plan_deletion(network, live, leases, facts)
    return plan(network, live, live_revision, leases, network.applied, facts)


def _network(files: Sequence[str]) -> FlannelNetwork:
    """Read the one FlannelNetwork of the files."""
    found = [manifest for manifests in read_files(files).values() for manifest in manifests]
    if len(found) != 1:
        raise Malformed(f"-f: expected one {KIND}, found {len(found)} objects; give the cluster around it by --with")
    return _read(found[0])


def _read(manifest: Manifest) -> FlannelNetwork:
    kind = manifest.body.get("kind")
    if kind != KIND:
        raise Malformed(f"{manifest.origin}: expected a {KIND}, found {visible(str(kind or 'no kind'))}")
    for problem in faults(manifest.body):
        raise Malformed(f"{manifest.origin}: {shown(problem.path)}: {problem.message}")
    try:
        return parse_network(manifest.body)
    except Malformed as error:
        raise Malformed(f"{manifest.origin}: {error}") from error


def _text(name: str) -> str:
    """Return a file's text; what is no UTF-8 is kept as something that no JSON is."""
    try:
        data = sys.stdin.buffer.read() if name == STDIN else Path(name).read_bytes()
    except OSError as error:
        raise Malformed(f"{visible(name)}: expected a file that can be read, found: {error.strerror}") from error
    return data.decode(errors="surrogateescape")


def read_leases(text: str, name: str) -> list[Lease]:
    """Read what etcd holds below ``<prefix>/subnets``.

    Args:
        text: A JSON list of objects with key, value, modRevision and ttl.
        name: What messages call it.

    Raises:
        Malformed: It is no such list.
    """
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"{name}: expected a list in JSON, found {visible(str(error))}") from error
    if not isinstance(body, list):
        raise Malformed(f"{name}: expected a list of objects with {', '.join(_LEASE_FIELDS)}, found another value")
    return [_lease(Fields(item, f"{name}[{index}]")) for index, item in enumerate(body)]


def _lease(fields: Fields) -> Lease:
    for field in ("key", "value"):
        if field not in fields:
            raise Malformed(f"{fields.path}.{field}: expected the text that etcd holds, found nothing")
    return parse_lease(
        fields.text("key"),
        fields.text("value"),
        mod_revision=_whole(fields, "modRevision") or 0,
        ttl=_whole(fields, "ttl"),
    )


def _whole(fields: Fields, key: str) -> int | None:
    """Return a whole number; etcd's gateway writes those of 64 bits as strings, and -1 where there is no end."""
    try:
        value = fields.integer(key)
    except Malformed:
        text = fields.text(key)
        if not (text.isascii() and text.isdecimal()):
            raise
        value = int(text)
    return None if value is None or value < 0 else value


def gather(network: FlannelNetwork, manifests: Sequence[Manifest]) -> Facts:
    """Return the facts that manifests make up around a network.

    Raises:
        Malformed: A manifest is of a kind that is no fact, or cannot be read.
    """
    nodes: dict[str, str] = {}
    taken: list[tuple[str, Network]] = []
    others: list[FlannelNetwork] = []
    count = 0
    for manifest in manifests:
        kind = kind_of(manifest)
        if kind == KIND:
            other = _read(manifest)
            others += [other] if other.name != network.name else []
            continue
        try:
            addresses = _internal(manifest.body) if kind == "Node" else {}
            nodes |= addresses
            count += kind == "Node"
            taken += _taken(kind, manifest.body, addresses)
        except Malformed as error:
            raise Malformed(f"{manifest.origin}: {kind}: {error}") from error
    return Facts(nodes=nodes, node_count=count, taken=tuple(taken), others=tuple(others))


def _internal(body: Mapping[str, Any]) -> dict[str, str]:
    """Return a Node's name by each of its internal addresses."""
    name = str(parse_node(body).name)
    entries = Fields(body).child("status").children("addresses")
    return {str(_alone(entry.text("address"))[0]): name for entry in entries if entry.text("type") == "InternalIP"}


def _taken(kind: str, body: Mapping[str, Any], addresses: Mapping[str, str]) -> Iterator[tuple[str, Network]]:
    """Yield the ranges that an object takes, each with what it is."""
    if kind == "ServiceCIDR":
        yield from (("the service network", each) for each in parse_service_cidr(body))
    if kind == "Service":
        name = Fields(body).child("metadata").text("name")
        yield from ((f"Service {name}", _alone(str(each))) for each in parse_service(body))
    yield from ((f"Node {name}", _alone(address)) for address, name in addresses.items())


def _alone(address: str) -> Network:
    """Return the network of one address.

    Raises:
        Malformed: It is no address.
    """
    try:
        return interface_of(f"{address}/{128 if ':' in address else 32}").network
    except ValueError as error:
        raise Malformed(f"expected an IP address, found {visible(address)}") from error


def _lines(network: FlannelNetwork, judged: Plan) -> Iterator[Line]:
    """Yield the plan for people."""
    head = Span(f"{judged.action}", _STYLES.get(judged.action, Style.GOOD))
    yield (Span(f"FlannelNetwork {visible(network.name)}: {judged.change_class}, "), head, Span(f": {judged.message}"))
    for change in judged.changes:
        yield (Span(f"  {change.field}: {_value(change.old)} -> {_value(change.new)} ({change.change_class})"),)
    for each in judged.blocked_by:
        who = " ".join(filter(None, (each.subnet, each.public_ip, each.node)))
        yield (Span(f"  blocked by {who}: {each.reason}" if who else f"  blocked: {each.reason}"),)
    if judged.restart_needed:
        yield (Span(f"  restart flanneld on: {', '.join(judged.restart_needed)}"),)
    for problem in judged.problems:
        yield (Span(f"  {problem.severity}: {problem.field}: {problem.message}"),)
    if judged.action is Action.BLOCK and judged.id:
        yield (Span(f"  id: {judged.id}"),)


def _value(value: object) -> str:
    return "nothing" if value is None else visible(str(value).lower() if isinstance(value, bool) else str(value))
