"""``nodegate-host diff``: what would change in each file, live against wanted; touches nothing.

Ends with 1 when there are differences, as diff(1) and ``kubectl diff`` do. Secrets are shown as digests.
"""

from __future__ import annotations

import argparse

from nodegate_host.engine import telling
from nodegate_host.engine.desk import add_wish_flags, site_of, work_of
from nodegate_host.exits import Exit
from nodegate_host.surroundings import Surroundings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument("--exit-code", action="store_true", help="accepted for `plan`'s sake; diff always does")
    add_wish_flags(parser)


def run(args: argparse.Namespace, surroundings: Surroundings) -> Exit:
    """Print the differences."""
    output = surroundings.output
    work = work_of(surroundings, args, site_of(surroundings))
    owners = work.facts.compares_owners
    text = telling.diff_text(work.plan, output, owners=owners)
    output.result(text, "Diff", telling.summary(work.plan), telling.diff_items(work.plan, owners=owners))
    return Exit.OK if work.plan.is_empty else Exit.DIFFERENT
