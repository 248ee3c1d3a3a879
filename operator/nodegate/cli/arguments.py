"""The flags that several verbs share, and what their values may be.

Rules: names and meanings are kubectl's. A value that cannot be used ends the program with 2 before
anything is read.
"""

import argparse
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from nodegate.cli import terminal

PROG = "kubectl nodegate"
"""What help and messages call the program: krew wants the words that people type."""

FORMATS = ("table", "wide", "json", "yaml")
"""Output formats."""

_VERB_WIDTH = 14

DEFAULT_TIMEOUT_S = 30
"""Seconds for one request: kubectl waits for ever, but a person at night should not."""

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Help as kubectl words it: one value name a flag, verbs without a heading of their own."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32, width=terminal.width())

    def _format_action(self, action: argparse.Action) -> str:
        text = super()._format_action(action)
        return text.partition("\n")[2] if isinstance(action, argparse._SubParsersAction) else text  # noqa: SLF001 - argparse has no public name for it

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - as above
            return " " * _VERB_WIDTH  # Not shown; it makes room for the verbs, which argparse forgets to count.
        if not action.option_strings:
            return super()._format_action_invocation(action)
        names = ", ".join(action.option_strings)
        value = action.metavar or ("|".join(action.choices) if action.choices else action.dest.upper())
        return names if action.nargs == 0 else f"{names} {value}"


def add_verb(
    verbs: Any, name: str, summary: str, *, usage: str, description: str, epilog: str = "", parent: str = ""
) -> argparse.ArgumentParser:
    """Add a verb and return its parser; `parent` is the verb that it belongs to, if any."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=summary,
        usage=f"{PROG} {parent} {name} {usage}".rstrip() if parent else f"{PROG} {name} {usage}".rstrip(),
        description=description,
        epilog=epilog,
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    return parser


def add_output(parser: argparse.ArgumentParser, formats: Sequence[str] = FORMATS) -> None:
    """Add ``-o``."""
    parser.add_argument(
        "-o",
        "--output",
        choices=formats,
        default=formats[0],
        metavar="FORMAT",
        help="output format: %(choices)s (%(default)s)",
    )


def add_files(parser: argparse.ArgumentParser, text: str) -> None:
    """Add ``-f``."""
    parser.add_argument("-f", "--filename", nargs="+", action="extend", metavar="FILE", help=text)


def add_connection(parser: argparse.ArgumentParser) -> None:
    """Add the flags that choose a cluster and a user, as kubectl names them."""
    group = parser.add_argument_group("cluster flags, as with kubectl")
    group.add_argument("--kubeconfig", metavar="FILE", help="path to the kubeconfig file")
    group.add_argument("--context", metavar="NAME", help="the kubeconfig context to use")
    group.add_argument("-s", "--server", metavar="URL", help="address of the API server, instead of the kubeconfig's")
    group.add_argument("--token", help="bearer token, instead of the kubeconfig's credentials")
    group.add_argument("--as", dest="as_user", metavar="USER", help="user to impersonate")
    group.add_argument(
        "--as-group", action="append", metavar="GROUP", help="group to impersonate; can be given several times"
    )
    group.add_argument(
        "--insecure-skip-tls-verify", action="store_true", help="do not verify the API server's certificate"
    )
    group.add_argument(
        "--request-timeout",
        type=duration_s,
        default=DEFAULT_TIMEOUT_S,
        metavar="TIME",
        help=f"how long to wait for one answer, such as 1m30s; 0 is for ever ({DEFAULT_TIMEOUT_S}s)",
    )


def duration_s(text: str) -> int:
    """Return the seconds of a duration such as ``10``, ``30s`` or ``1h5m``.

    Raises:
        argparse.ArgumentTypeError: It is no duration.
    """
    if text.isdecimal() and text.isascii():
        return int(text)
    match = _DURATION.fullmatch(text)
    if match is None or not text.isascii() or not any(match.groups()):
        raise argparse.ArgumentTypeError(f"expected a duration such as 30s or 1m30s, found {text!r}")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


def moment(text: str) -> datetime:
    """Return an aware moment written in RFC 3339.

    Raises:
        argparse.ArgumentTypeError: It is no such moment.
    """
    try:
        found = datetime.fromisoformat(text.upper()) if _MOMENT.fullmatch(text) else None
    except ValueError:
        found = None
    if found is None:
        raise argparse.ArgumentTypeError(f"expected a moment in RFC 3339 such as 2030-01-31T12:00:00Z, found {text!r}")
    return found
