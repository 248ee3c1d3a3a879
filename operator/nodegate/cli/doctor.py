"""``doctor``: look at everything that keeps nodes from joining, and say what to do.

A cluster comes in, a table of checks comes out. Rules: nothing is written (a SubjectAccessReview is a
question); a check that has no right to look is skipped and says so; the ids of checks never change.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from typing import Any

from nodegate.cli import terminal
from nodegate.cli.arguments import PROG, add_connection, add_output, add_verb
from nodegate.cli.exits import Exit
from nodegate.cli.layout import EMPTY, GAP, Cell, Line, Span, Style, row
from nodegate.cli.objects import print_object
from nodegate.clock import now
from nodegate.names import CLI_API_VERSION
from nodegate.text import visible

_DESCRIPTION = """\
Examine a cluster: whether nodegate is installed, runs and has its rights, whether somebody else
approves, whether certificates are signed, and which nodes, enrollments and tokens need attention.
Every warning and failure says what to do. Nothing is written."""

_EPILOG = f"""\
examples:
  # Why does no node join?
  {PROG} doctor

  # Only what needs attention
  {PROG} doctor -q

  # For a dashboard
  {PROG} doctor -o json

exit codes:
  0 nothing failed (warnings are allowed); 1 a check failed; 2 usage; 4 the API server refuses the
  credentials; 5 the API server cannot be reached; 130 interrupted"""

_STYLES = {"ok": Style.GOOD, "warn": Style.CARE, "fail": Style.BAD, "skip": Style.FAINT}
_RESULT_WIDTH, _ID_WIDTH, _PROSE = 6, 21, 130


def add_parser(verbs: Any) -> None:
    """Add the verb to the command line."""
    parser = add_verb(
        verbs,
        "doctor",
        "Examine a cluster and say what to do",
        usage="[flags]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument(
        "-n", "--namespace", default="nodegate-system", metavar="NAME", help="the operator's namespace (%(default)s)"
    )
    parser.add_argument("--bootstrap-group", metavar="GROUP", help="as the operator's flag (what its Deployment says)")
    parser.add_argument("-q", "--quiet", action="store_true", help="show warnings and failures only")
    add_output(parser, ("table", "json", "yaml"))
    add_connection(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    """Examine, print, and return what to end with."""
    checked = _examined(args)
    shown = [each for each in checked if not args.quiet or each[1] in {"warn", "fail"}]
    counts = Counter(result for _, result, *_ in checked)
    if args.output == "table":
        terminal.show(_lines(shown, counts, terminal.width()), sys.stdout)
    else:
        print_object(_object(shown, counts), args.output)
    return Exit.FINDING if counts["fail"] else Exit.OK


_Row = tuple[str, str, str, str]
"""A check's id, its result, what was found and what to do."""


def _examined(args: argparse.Namespace) -> list[_Row]:
    from nodegate.cli.checks import approvers, enrollments, install, requests, rights, tokens
    from nodegate.cli.checks.outcome import examine
    from nodegate.cli.checks.probe import Probe
    from nodegate.cli.connection import connect

    rooms = (install, rights, approvers, requests, enrollments, tokens)
    checks = [check for room in rooms for check in room.CHECKS]
    with closing(connect(args)) as connection:
        probe = Probe(connection, at=now(), namespace=args.namespace, group=args.bootstrap_group)
        probe.clock()  # Without an answer to this there is nothing to examine, and the error says why.
        return [
            (each.id, each.outcome.grade.value, visible(each.outcome.found, 2000), each.outcome.remedy)
            for each in examine(checks, probe)
        ]


def _object(rows: Sequence[_Row], counts: Mapping[str, int]) -> Mapping[str, Any]:
    return {
        "apiVersion": CLI_API_VERSION,
        "kind": "DoctorReport",
        "summary": {result: counts.get(result, 0) for result in _STYLES},
        "items": [
            {"id": check, "result": result, "found": found, "remedy": remedy} for check, result, found, remedy in rows
        ],
    }


def _lines(rows: Sequence[_Row], counts: Mapping[str, int], width: int) -> Iterable[Line]:
    room = min(width, _PROSE) - _RESULT_WIDTH - _ID_WIDTH - 2 * GAP
    for check, result, found, remedy in rows:
        yield from _columns((result, check, found), room, _STYLES[result])
        if remedy:
            yield from _columns(("", "", f"Do: {remedy}"), room, Style.PLAIN)
    if rows:
        yield EMPTY
    words = ", ".join(f"{counts.get(result, 0)} {result}" for result in _STYLES)
    yield (Span(f"{sum(counts.values())} checks: {words}", Style.STRONG),)


def _columns(texts: tuple[str, str, str], room: int, style: Style) -> list[Line]:
    result, check, words = texts
    return row([Cell(result, _RESULT_WIDTH, style), Cell(check, _ID_WIDTH), Cell(words, room)])
