"""``flannel check``: what flannel of a release makes of a config, and what we say of it.

A file comes in, one judgement goes out. Rules: the judgement is ``flannel.check.read_config``, the
operator's own, without its annotations and flags; the file is read as bytes, as flannel gets it from etcd;
secrets are not shown.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nodegate.cli import terminal
from nodegate.cli.arguments import PROG, add_output, add_verb
from nodegate.cli.exits import Exit
from nodegate.cli.layout import EMPTY, Line, Span, Style
from nodegate.cli.manifests import STDIN
from nodegate.cli.objects import print_object
from nodegate.errors import Malformed
from nodegate.flannel.check import effective, parse_version, read_config
from nodegate.flannel.model import Problem, Reading, Severity, Version
from nodegate.names import CLI_API_VERSION
from nodegate.text import visible

_LIMIT_BYTES = 1536 * 1024
"""The largest value that etcd takes by default (etcd, --max-request-bytes)."""

_DESCRIPTION = """\
Say what flannel of a release does with a network config, the value of <prefix>/config in etcd: whether
it starts with it and stays up, and which values it uses. The config is then judged by stricter rules,
which hold for every release. CONFIG is the JSON text; - is stdin. No cluster and no etcd is asked."""

_EPILOG = f"""\
examples:
  # Before it is written
  {PROG} flannel check config.json --flannel-version 0.28.10

  # What is in etcd now (v3)
  etcdctl get --print-value-only /coreos.com/network/config | {PROG} flannel check - --flannel-version 0.28.10

exit codes:
  0 valid (warnings are allowed); 1 invalid; 2 usage, an unknown release, or a file that cannot be read"""

_STYLES = {Severity.ERROR: Style.BAD, Severity.WARNING: Style.CARE}


def add_parser(verbs: Any) -> None:
    """Add the verb below ``flannel``."""
    parser = add_verb(
        verbs,
        "check",
        "Say what a flannel release makes of a config",
        usage="CONFIG --flannel-version VERSION [flags]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        parent="flannel",
    )
    parser.add_argument("config", metavar="FILE", help="the config's JSON text; - is stdin")
    parser.add_argument(
        "--flannel-version",
        required=True,
        type=_version,
        metavar="VERSION",
        help="the lowest flannel release among the nodes, such as 0.28.10",
    )
    add_output(parser, ("text", "json", "yaml"))
    parser.set_defaults(run=run)


def _version(text: str) -> Version:
    try:
        return parse_version(text)
    except Malformed as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def run(args: argparse.Namespace) -> Exit:
    """Judge one config."""
    version: Version = args.flannel_version
    reading = read_config(_bytes(args.config), version)
    if args.output == "text":
        terminal.show(_lines(reading, version), sys.stdout)
    else:
        print_object(report(reading, version), args.output)
    return Exit.OK if reading.valid else Exit.FINDING


def _bytes(name: str) -> bytes:
    """Return a file's content.

    Raises:
        Malformed: It cannot be read, or is larger than anything that etcd holds.
    """
    shown = "stdin" if name == STDIN else visible(name)
    try:
        if name == STDIN:
            data = sys.stdin.buffer.read(_LIMIT_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                data = file.read(_LIMIT_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise Malformed(f"{shown}: expected a file that can be read, found: {reason}") from error
    if len(data) > _LIMIT_BYTES:
        raise Malformed(f"{shown}: expected at most {_LIMIT_BYTES} bytes, which etcd can hold, found more")
    return data


def report(reading: Reading, version: Version) -> dict[str, Any]:
    """Return the judgement as an object (design §12)."""
    return {
        "apiVersion": CLI_API_VERSION,
        "kind": "FlannelConfigCheck",
        "flannelVersion": str(version),
        "valid": reading.valid,
        "flannelAccepts": reading.accepted,
        "refusal": reading.refusal,
        "effective": None if reading.config is None else effective(reading.config),
        "problems": [
            {"field": problem.field, "message": problem.message, "severity": str(problem.severity)}
            for problem in reading.problems
        ],
    }


def _lines(reading: Reading, version: Version) -> Iterator[Line]:
    yield (_verdict(reading),)
    if reading.config is None:
        yield (Span(f"flannel {version} does not run with it: "), Span(visible(reading.refusal or "", 400)))
    else:
        yield (Span(f"flannel {version} runs with it, and uses"),)
        for name, value in effective(reading.config).items():
            yield (Span(f"  {name}: ", Style.FAINT), Span(_value(value)))
    for index, problem in enumerate(reading.problems):
        if not index:
            yield EMPTY
        yield _line(problem)


def _verdict(reading: Reading) -> Span:
    if not reading.valid:
        return Span("invalid", Style.BAD)
    return Span("valid, with warnings", Style.CARE) if reading.problems else Span("valid", Style.GOOD)


def _line(problem: Problem) -> Line:
    head = Span(str(problem.severity), _STYLES[problem.severity])
    where = f"{problem.field}: " if problem.field else ""
    return (head, Span(f": {where}{problem.message}"))


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_value(inner)}" for name, inner in value.items())
    return str(value).lower() if isinstance(value, bool) else visible(str(value))
