"""``nodegate-host plan``: what `apply` would do, in order, and why; touches nothing.

On the running host the checks that would stop an apply are told as well, unless ``--no-preflight``.
"""

from __future__ import annotations

import argparse

from nodegate_host.engine import telling
from nodegate_host.engine.desk import add_wish_flags, site_of, work_of
from nodegate_host.engine.preflighting import checked
from nodegate_host.exits import Exit
from nodegate_host.surroundings import Surroundings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument("--exit-code", action="store_true", help="end with 1 when there is something to do")
    parser.add_argument("--no-preflight", action="store_true", help="leave the checks out")
    add_wish_flags(parser)


def run(args: argparse.Namespace, surroundings: Surroundings) -> Exit:
    """Print the plan."""
    output = surroundings.output
    work = work_of(surroundings, args, site_of(surroundings))
    plan = work.plan
    if surroundings.is_live and not args.no_preflight:
        for error in checked(surroundings, work.config, [each.path for each in work.wish.files]):
            output.error(error)
    output.result(telling.plan_text(plan, output), "Plan", telling.summary(plan), telling.action_items(plan))
    if plan.refused:
        return Exit.REFUSED
    return Exit.DIFFERENT if args.exit_code and not plan.is_empty else Exit.OK
