"""``nodegate-host rollback``: goes back to the generation before, or to ``--to N``; 0 is the host before us.

An apply that was cut short is undone first, and that is then all, unless ``--to`` says more. ``--if-trying N`` is
what the timer of ``apply --try`` runs: it does nothing unless generation N is still on trial and its time is up.
"""

from __future__ import annotations

import argparse
import time

from nodegate_host.engine import journal, telling, trying
from nodegate_host.engine.desk import ready, site_of
from nodegate_host.engine.generations import Generations
from nodegate_host.engine.rollback import Return, go, target_of, way_to
from nodegate_host.engine.sites import Site
from nodegate_host.exits import Exit
from nodegate_host.surroundings import Surroundings

_TIMER_PATIENCE_S = 600.0
_TIMER_SLACK_S = 1.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument("--to", type=int, metavar="N", help="this generation; 0 is the host before nodegate-host")
    parser.add_argument("--list", action="store_true", dest="listing", help="list the generations and change nothing")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and change nothing")
    parser.add_argument("--if-trying", type=int, metavar="N", help=argparse.SUPPRESS)


def run(args: argparse.Namespace, surroundings: Surroundings) -> Exit:
    """Go back."""
    surroundings.require_root("rollback")
    site = site_of(surroundings)
    if args.listing:
        return _list(surroundings, site.generations)
    if args.dry_run:
        plan = way_to(site, target_of(site.generations, args.to)).plan
        text = telling.plan_text(plan, surroundings.output)
        surroundings.output.result(text, "Plan", telling.summary(plan), telling.action_items(plan))
        return Exit.OK
    is_timer = args.if_trying is not None
    was_cut_short = journal.read(site.disk) is not None
    with ready(surroundings, site, "rollback", _TIMER_PATIENCE_S if is_timer else 0.0):
        if is_timer and not _is_due(site, args.if_trying):
            return _nothing(surroundings, site)
        if was_cut_short and args.to is None and not is_timer:
            return _nothing(surroundings, site)
        return _go(surroundings, site, way_to(site, target_of(site.generations, args.to)))


def _is_due(site: Site, number: int) -> bool:
    trial = site.generations.state().trying
    return trial is not None and trial.generation == number and site.now() >= trial.until - _TIMER_SLACK_S


def _nothing(surroundings: Surroundings, site: Site) -> Exit:
    held = site.generations.state().generation
    surroundings.output.result(f"generation {held} holds", "Rollback", {"generation": held, "changed": False})
    return Exit.OK


def _go(surroundings: Surroundings, site: Site, way: Return) -> Exit:
    trial = site.generations.state().trying
    outcome = go(site, way)
    if trial is not None and site.systemd is not None:
        for stage in (trying.CHANGING, trying.DECIDING):
            trying.disarm(site.systemd, trial.generation, stage)
    summary = {
        **telling.summary(way.plan),
        "generation": outcome.generation,
        "to": way.target.number,
        "exitCode": int(outcome.code),
        "message": outcome.message,
    }
    text = f"back to generation {way.target.number}; {outcome.message}"
    surroundings.output.result(text, "Rollback", summary, telling.action_items(way.plan))
    for each in outcome.unwell:
        surroundings.output.error(f"{each.unit}: {each.fault}")
    return outcome.code


def _list(surroundings: Surroundings, generations: Generations) -> Exit:
    held = generations.state().generation
    items = []
    for number in generations.numbers():
        manifest = generations.load(number)
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(manifest.created)) if number else ""
        items.append(
            {
                "id": number,
                "holds": number == held,
                "created": moment,
                "purpose": manifest.purpose,
                "files": len(manifest.files),
                "changed": [each.path for each in manifest.changes],
            }
        )
    lines = [
        f"{'*' if each['holds'] else ' '} {each['id']:>4}  {each['created']:<20}  {each['purpose']}" for each in items
    ]
    surroundings.output.result("\n".join(lines) or "no generations", "Generations", {"generation": held}, items)
    return Exit.OK
