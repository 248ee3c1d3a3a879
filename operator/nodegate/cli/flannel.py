"""``flannel``: what can be asked about flannel's network config, mostly without a cluster, always without an etcd.

Words go to one of the verbs below it. Rules: each of them is a module with ``add_parser``, named in the
table here, and nothing else is decided here.
"""

from typing import Any

from nodegate.cli import flannel_check, flannel_plan, flannel_status
from nodegate.cli.arguments import PROG, add_verb

_SUBVERBS = (flannel_check, flannel_plan, flannel_status)
"""The verbs below, in the order in which help shows them."""

_EPILOG = f"""\
examples:
  # Would flannel of this release start with this config, and is it a good one?
  {PROG} flannel check config.json --flannel-version 0.28.10

  # What would the operator do with this edit?
  {PROG} flannel plan -f network.yaml --live config.json --leases leases.json

  # How do the networks of the cluster stand?
  {PROG} flannel status

Use "{PROG} flannel VERB --help" for the flags and examples of a verb."""


def add_parser(verbs: Any) -> None:
    """Add the verb and those below it to the command line."""
    parser = add_verb(
        verbs,
        "flannel",
        "Judge flannel's network config, and show how it stands",
        usage="VERB [flags]",
        description="Judge flannel's network config as the operator would, or show how it stands. No etcd is asked.",
        epilog=_EPILOG,
    )
    below = parser.add_subparsers(title="verbs", metavar="VERB", required=True, prog=f"{PROG} flannel")
    for verb in _SUBVERBS:
        verb.add_parser(below)
