"""The ``nodegate`` command: ``nodegate operator`` runs the operator, ``nodegate version`` says which.

Exit status: 0 after a clean stop, 1 when the lead was lost or a part died, 2 for mistakes in flags or
environment, 130 after Ctrl-C before the start.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Coroutine, Sequence
from typing import Any

from nodegate import __version__
from nodegate.errors import SettingsInvalid
from nodegate.settings import Settings, add_flags, read_settings

EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(prog="nodegate", description="Self-run nodes join a Kubernetes cluster safely.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    operator = verbs.add_parser(
        "operator",
        help="run the operator",
        description="Judge kubelet certificate requests against NodeEnrollments. Flags are also environment variables.",
    )
    add_flags(operator)
    verbs.add_parser("version", help="print the version")
    flags = parser.parse_args(arguments)
    if flags.verb == "version":
        print(__version__)
        return 0
    return _operator(flags)


def _operator(flags: argparse.Namespace) -> int:
    from nodegate.log import configure

    try:
        settings = read_settings(flags, os.environ)
        configure(settings.log_level, settings.log_format)
        return _run(_start(settings))
    except SettingsInvalid as error:
        for mistake in error.mistakes:
            print(f"nodegate: {mistake}", file=sys.stderr)
        print("nodegate: nothing was started; see `nodegate operator --help`", file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


async def _start(settings: Settings) -> int:
    # Imported here, so that mistakes in flags are told without the wait for kopf.
    from nodegate.startup import run_operator

    return await run_operator(settings)


def _run(work: Coroutine[Any, Any, int]) -> int:
    """Run on uvloop when it is installed: a quarter more decisions a second."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(work)


if __name__ == "__main__":
    sys.exit(main())
