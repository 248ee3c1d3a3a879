"""The command line: global flags, the verbs of `verbs.VERBS`, and what becomes of errors.

Words go in, one verb runs, an exit code comes out (`exits.Exit`). `Stop` is a sentence on stderr and its code; Ctrl-C
is 130; anything else that escapes is an internal error: 70, the traceback saved in a file whose path is printed.
Global flags may stand before or after the verb.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
import traceback
from collections.abc import Collection, Sequence
from typing import Any

from nodegate_host.errors import Stop
from nodegate_host.exits import Exit
from nodegate_host.output import Output
from nodegate_host.surroundings import DEFAULT_CONFIG, surroundings_of
from nodegate_host.verbs import VERBS

PROG = "nodegate-host"
_ABSENT: Any = argparse.SUPPRESS

_DESCRIPTION = "One file in, a healthy Kubernetes node out, and a way back."
_EPILOG = f"""\
exit codes: 0 ok, 1 differences, 2 usage or invalid file, 3 preflight failed, 4 failed and rolled back,
5 rollback incomplete, 6 unhealthy, 7 locked, 8 waiting for approval, 9 refused, 70 internal error,
77 not root, 130 interrupted

Use "{PROG} VERB --help" for the flags of a verb."""


def _module(verb: str) -> Any:
    return importlib.import_module(f"nodegate_host.verbs.{verb.replace('-', '_')}")


def _add_global(parser: argparse.ArgumentParser, *, top: bool) -> None:
    """Add the flags that every verb has; below the top they must not overwrite what stood before the verb."""
    group = parser.add_argument_group("global flags")

    def default(value: Any) -> Any:
        return value if top else _ABSENT

    def switch(*names: str, text: str) -> None:
        group.add_argument(*names, action="store_true", default=False if top else _ABSENT, help=text)

    group.add_argument(
        "-c", "--config", metavar="FILE", default=default(None), help=f"the node's file (default {DEFAULT_CONFIG})"
    )
    group.add_argument("--root", metavar="DIR", default=default("/"), help="a directory that stands for the host")
    group.add_argument(
        "-o", dest="form", choices=("text", "json", "yaml"), default=default("text"), help="form of the result"
    )
    switch("-v", "--verbose", text="tell more")
    switch("-q", "--quiet", text="tell only results and errors")
    group.add_argument("--color", choices=("auto", "always", "never"), default=default("auto"), help="colour")
    switch("--no-input", text="never ask, fail instead")


def build_parser(wanted: Collection[str] = tuple(VERBS)) -> argparse.ArgumentParser:
    """Return the parser; only the `wanted` verbs are given their own flags, because modules load slowly."""
    parser = argparse.ArgumentParser(
        prog=PROG,
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_global(parser, top=True)
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", dest="verb")
    for name, purpose in VERBS.items():
        sub = verbs.add_parser(
            name,
            help=purpose,
            description=purpose[:1].upper() + purpose[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if name in wanted:
            _module(name).configure(sub)
        _add_global(sub, top=False)
    return parser


def _output_of(args: argparse.Namespace) -> Output:
    return Output(
        stdout=sys.stdout,
        stderr=sys.stderr,
        form=args.form,
        colour=args.color,
        environ=os.environ,
        verbosity=-1 if args.quiet else int(args.verbose),
    )


def _run(args: argparse.Namespace, output: Output) -> Exit:
    place = surroundings_of(args.root, args.config, output, no_input=args.no_input)
    return Exit(_module(args.verb).run(args, place))


def _internal(output: Output) -> Exit:
    """Save the traceback where only the caller can read it, and say where."""
    handle, path = tempfile.mkstemp(prefix="nodegate-host-", suffix=".traceback")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(traceback.format_exc())
    output.error(f"internal error, which is a defect of {PROG}; the traceback is in {path}")
    return Exit.INTERNAL


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    output = Output(sys.stdout, sys.stderr)
    try:
        parser = build_parser(frozenset(words))
        args = parser.parse_args(words)
        if args.verb is None:
            parser.print_help(sys.stderr)
            return Exit.USAGE
        output = _output_of(args)
        code = _run(args, output)
        sys.stdout.flush()
    except SystemExit as end:
        # argparse ends this way: 0 after --help, 2 after a wrong flag.
        return int(end.code or 0)
    except Stop as stop:
        output.error(str(stop))
        return stop.code
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # The reader left early (`| head`). The interpreter flushes stdout once more at its end; that must not fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    except Exception:  # noqa: BLE001 - the last line of defence: a person gets a sentence, not a traceback
        return _internal(output)
    return code
