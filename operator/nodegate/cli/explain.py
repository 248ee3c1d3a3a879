"""``explain``: judge signing requests by the operator's own rules and show each of them.

Requests come from files, with ``--with`` files as the whole cluster, or by name from the API server.
Rules: the judgement is ``csr.decide.judge``, the same function as in the operator; nothing is written;
one unreadable input means that nothing is judged.
"""

import argparse
import sys
from collections.abc import Iterable, Mapping
from contextlib import closing
from datetime import datetime
from typing import Any, NamedTuple

from nodegate.cli import terminal
from nodegate.cli.arguments import PROG, add_connection, add_files, add_output, add_verb, moment
from nodegate.cli.decisions import decisions, undecided
from nodegate.cli.exits import Exit, Stopped, exit_of_verdicts
from nodegate.cli.explain_text import Explained, explain_lines, summary_line
from nodegate.cli.facts import Facts, Manifest, gather
from nodegate.cli.layout import EMPTY, Line
from nodegate.cli.manifests import STDIN, read_files
from nodegate.cli.objects import print_object, warn
from nodegate.clock import now
from nodegate.csr.decide import judge
from nodegate.csr.model import Policy
from nodegate.csr.render import explanation
from nodegate.errors import Malformed
from nodegate.names import BOOTSTRAP_GROUP, CLI_API_VERSION
from nodegate.text import visible

_KIND = "CertificateSigningRequest"

_DESCRIPTION = """\
Explain what the operator decides about certificate signing requests, and why: every rule, what it
expected and what it found. The rules are the operator's own; nothing is written to the cluster.

Requests are named (then the cluster is asked for them and for the facts) or given as files with -f
(then nothing but the files counts: a kind that --with does not bring means that none exist).
--with takes NodeEnrollment, Node, CertificateSigningRequest, FlannelNetwork, Service, ServiceCIDR and
EndpointSlice, as YAML or JSON, single, in lists or many documents a file."""

_EPILOG = f"""\
examples:
  # Why did this request not get its certificate?
  {PROG} explain node-csr-8kX2

  # Every rule, also those that hold
  {PROG} explain node-csr-8kX2 -o wide

  # It was denied yesterday: which rules would fail today?
  {PROG} explain node-csr-8kX2 --as-if-undecided

  # Offline: would this request be approved with this enrollment?
  {PROG} explain -f csr.yaml --with enrollment.yaml node.yaml

  # In a pipeline: stop unless every request would be approved
  kubectl get csr -o json | {PROG} explain -f - --with enrollments.yaml --exit-code

exit codes:
  0 it could be explained; with --exit-code 0 Approve, 10 Hold, 11 Deny, 12 Ignore (the most severe of
  several, in the order Deny, Hold, Ignore, Approve); 2 usage, or a file that cannot be used; 3 no such
  request; 4 the API server refuses; 5 the API server cannot be reached; 130 interrupted"""


def add_parser(verbs: Any) -> None:
    """Add the verb to the command line."""
    parser = add_verb(
        verbs,
        "explain",
        "Explain the verdict on signing requests",
        usage="(NAME... | -f FILE... [--with FILE...]) [flags]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("name", nargs="*", metavar="NAME", help="name of a signing request in the cluster")
    add_files(parser, "files with signing requests to judge offline; - is stdin")
    parser.add_argument(
        "--with", dest="facts", nargs="+", action="extend", metavar="FILE", help="files with the facts, for -f"
    )
    parser.add_argument("--at", type=moment, metavar="RFC3339", help="the moment to judge at (now)")
    parser.add_argument(
        "--bootstrap-group", default=BOOTSTRAP_GROUP, metavar="GROUP", help="as the operator's flag (%(default)s)"
    )
    parser.add_argument("--never-deny", action="store_true", help="as the operator's flag: hold instead of denying")
    parser.add_argument(
        "--require-known-credential",
        action="store_true",
        help="as the operator's flag: hold what no recorded certificate asks for",
    )
    parser.add_argument(
        "--as-if-undecided", action="store_true", help="judge as if nobody had approved or denied the request yet"
    )
    parser.add_argument("--exit-code", action="store_true", help="tell the verdict by the exit code")
    add_output(parser)
    add_connection(parser)
    parser.set_defaults(run=run)


class _Asked(NamedTuple):
    """The requests to judge and the facts to judge them on."""

    requests: list[Manifest]
    facts: Facts
    code: Exit = Exit.OK
    """What to end with when everything else is in order."""


def run(args: argparse.Namespace) -> Exit:
    """Judge, print, and return what to end with."""
    at = args.at or now()
    asked = _from_files(args) if args.filename else _from_cluster(args)
    explained = _judge_all(args, asked, at)
    _print(explained, args.output)
    verdicts = [each.judgement.verdict for each in explained]
    return asked.code or (exit_of_verdicts(verdicts) if args.exit_code else Exit.OK)


def _from_files(args: argparse.Namespace) -> _Asked:
    if args.name:
        raise Stopped(Exit.USAGE, "expected names or -f, found both; names are asked of the cluster, -f is offline")
    if STDIN in args.filename and STDIN in (args.facts or ()):
        raise Stopped(Exit.USAGE, "expected - for -f or for --with, found both; stdin can be read once")
    requests = [request for found in read_files(args.filename).items() for request in _requests_in(*found)]
    manifests = [manifest for found in read_files(args.facts or ()).values() for manifest in found]
    return _Asked(requests, gather(manifests))


def _requests_in(file: str, found: tuple[Manifest, ...]) -> tuple[Manifest, ...]:
    """Return the objects of a file, when they are signing requests and nothing else."""
    for manifest in found:
        kind = manifest.body.get("kind")
        if kind != _KIND:
            what = f"a {visible(kind)}" if isinstance(kind, str) else "an object without a kind"
            raise Malformed(f"{manifest.origin}: expected a {_KIND}, found {what}; give facts by --with")
    if not found:
        raise Malformed(f"{visible(file)}: expected a {_KIND}, found no object")
    return found


def _from_cluster(args: argparse.Namespace) -> _Asked:
    if not args.name:
        raise Stopped(
            Exit.USAGE, f"expected the name of a request or -f FILE, found neither; see {PROG} explain --help"
        )
    if args.facts:
        raise Stopped(Exit.USAGE, "expected --with together with -f, found it with a name; facts come from the cluster")
    from nodegate.cli.cluster_facts import read_facts, read_request
    from nodegate.cli.connection import connect

    with closing(connect(args)) as connection:
        requests, code = [], Exit.OK
        for name in dict.fromkeys(args.name):
            try:
                requests.append(Manifest(read_request(connection, name), f"{_KIND} {visible(name, 253)}"))
            except Stopped as error:
                if error.code is not Exit.NOT_FOUND or len(args.name) == 1:
                    raise
                warn(str(error))
                code = Exit.NOT_FOUND
        facts, notes = read_facts(connection)
    for note in notes:
        warn(note)
    return _Asked(requests, facts, code)


def _judge_all(args: argparse.Namespace, asked: _Asked, at: datetime) -> list[Explained]:
    policy = Policy(
        bootstrap_group=args.bootstrap_group,
        never_deny=args.never_deny,
        require_known_credential=args.require_known_credential,
    )
    explained = []
    for request in asked.requests:
        body: Mapping[str, Any] = undecided(request.body) if args.as_if_undecided else request.body
        try:
            case = asked.facts.case(body, policy=policy, now=at)
            made = decisions(request.body)
        except Malformed as error:
            raise Malformed(f"{request.origin}: {error}") from error
        explained.append(Explained(judge(case), made, at, as_if=args.as_if_undecided and bool(made)))
    return explained


def _print(explained: list[Explained], output: str) -> None:
    if output in {"json", "yaml"}:
        print_object(_object([explanation(each.judgement) for each in explained]), output)
    else:
        terminal.show(_lines(explained, terminal.width(), wide=output == "wide"), sys.stdout)


def _object(explanations: list[dict[str, Any]]) -> Mapping[str, Any]:
    if len(explanations) == 1:
        return explanations[0]
    return {"apiVersion": CLI_API_VERSION, "kind": "ExplanationList", "items": explanations}


def _lines(explained: list[Explained], width: int, *, wide: bool) -> Iterable[Line]:
    for number, each in enumerate(explained):
        yield from (EMPTY, EMPTY) if number else ()
        yield from explain_lines(each, width=width, wide=wide)
    if len(explained) > 1:
        yield from (EMPTY, EMPTY, summary_line([each.judgement for each in explained]))
