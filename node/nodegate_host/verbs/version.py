"""``nodegate-host version``: the tool's version and the Python that runs it; touches nothing."""

from __future__ import annotations

import argparse
import sys

from nodegate_host import __version__
from nodegate_host.exits import Exit
from nodegate_host.surroundings import Surroundings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add no flags: the verb has none."""
    parser.set_defaults(verb="version")


def run(_args: argparse.Namespace, surroundings: Surroundings) -> Exit:
    """Print the versions."""
    python = ".".join(map(str, sys.version_info[:3]))
    surroundings.output.result(
        f"nodegate-host {__version__} (Python {python})", "Version", {"version": __version__, "python": python}
    )
    return Exit.OK
