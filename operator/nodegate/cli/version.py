"""``version``: which plugin this is, and which rules it knows."""

import argparse
import platform
from typing import Any

from nodegate import __version__
from nodegate.cli.arguments import PROG, add_output, add_verb
from nodegate.cli.exits import Exit
from nodegate.cli.objects import print_object
from nodegate.csr.model import RULE_SET_VERSION
from nodegate.names import CLI_API_VERSION

_EPILOG = f"""\
examples:
  {PROG} version
  {PROG} version -o json"""


def add_parser(verbs: Any) -> None:
    """Add the verb to the command line."""
    parser = add_verb(
        verbs,
        "version",
        "Print the version of this plugin",
        usage="[flags]",
        description=(
            "Print the version of this plugin and of the rules it judges by. An operator with the same rule set\n"
            "decides alike; its approvals name the rule set in their message."
        ),
        epilog=_EPILOG,
    )
    add_output(parser, ("table", "json", "yaml"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    """Print the version."""
    if args.output == "table":
        print(f"nodegate {__version__}, rule set {RULE_SET_VERSION}, Python {platform.python_version()}")
    else:
        body = {
            "apiVersion": CLI_API_VERSION,
            "kind": "Version",
            "version": __version__,
            "ruleSet": RULE_SET_VERSION,
            "python": platform.python_version(),
        }
        print_object(body, args.output)
    return Exit.OK
