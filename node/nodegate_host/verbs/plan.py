"""``nodegate-host plan``: what `apply` would do, in order, and why; touches nothing."""

from __future__ import annotations

import argparse

from nodegate_host.engine import telling
from nodegate_host.engine.desk import add_wish_flags, site_of, work_of
from nodegate_host.exits import Exit
from nodegate_host.surroundings import Surroundings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument("--exit-code", action="store_true", help="end with 1 when there is something to do")
    add_wish_flags(parser)


def run(args: argparse.Namespace, surroundings: Surroundings) -> Exit:
    """Print the plan."""
    output = surroundings.output
    plan = work_of(surroundings, args, site_of(surroundings)).plan
    output.result(telling.plan_text(plan, output), "Plan", telling.summary(plan), telling.action_items(plan))
    if plan.refused:
        return Exit.REFUSED
    return Exit.DIFFERENT if args.exit_code and not plan.is_empty else Exit.OK
