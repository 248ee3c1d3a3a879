"""``nodegate-host apply``: makes the host what node.yaml says, as a new generation, or leaves it as it was.

Order: finish what a crash left, preflight, plan, ask when a running kubelet or runtime restarts, apply, wait for the
node's certificate. ``--try`` arms a timer that takes it all back unless ``nodegate-host confirm`` comes in time.
"""

from __future__ import annotations

import argparse
import time

from nodegate_host.engine import telling, trying
from nodegate_host.engine.apply import Apply, Order, Outcome
from nodegate_host.engine.desk import HEALTH_WAIT_S, Work, add_wish_flags, ask, ready, site_of, work_of
from nodegate_host.engine.health import probes_of
from nodegate_host.engine.preflighting import preflight
from nodegate_host.engine.sites import Site
from nodegate_host.errors import Refused, Usage
from nodegate_host.exits import Exit
from nodegate_host.surroundings import Surroundings
from nodegate_host.verbs import plan as plan_verb

_DISTURBING = {"kubelet.service", "containerd.service", "docker.service", "cri-docker.service"}
_POLL_S = 1.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument("--yes", action="store_true", help="do not ask before running units restart")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and change nothing")
    parser.add_argument("--try", dest="trial", metavar="DUR", help="take it back after DUR unless confirmed")
    parser.add_argument("--wait", metavar="DUR", help="for healthy units and the certificate (default 60s)")
    parser.add_argument("--ignore", metavar="ID", action="append", default=[], help="go on though this check fails")
    add_wish_flags(parser)


def run(args: argparse.Namespace, surroundings: Surroundings) -> Exit:
    """Converge."""
    wait_s = HEALTH_WAIT_S if args.wait is None else trying.seconds_of(args.wait)
    site = site_of(surroundings, wait_s or HEALTH_WAIT_S)
    if args.dry_run:
        args.exit_code = args.no_preflight = False
        return plan_verb.run(args, surroundings)
    try_s = _try_seconds(args, site)
    with ready(surroundings, site, "apply"):
        _refuse_on_trial(site)
        work = work_of(surroundings, args, site)
        preflight(surroundings, work.config, [each.path for each in work.wish.files], args.ignore)
        deadline = time.monotonic() + wait_s
        outcome = _converge(args, surroundings, site, work, try_s)
    if outcome.code is Exit.OK and work.wish.start and not _joins(site, surroundings, deadline):
        return Exit.WAITING
    return outcome.code


def _try_seconds(args: argparse.Namespace, site: Site) -> int | None:
    if args.trial is None:
        return None
    seconds = trying.seconds_of(args.trial)
    if site.systemd is None or not seconds:
        raise Usage("--try needs a duration above 0 and the running host's systemd; leave it out with --root")
    return seconds


def _refuse_on_trial(site: Site) -> None:
    trial = site.generations.state().trying
    if trial is not None:
        raise Refused(
            f"generation {trial.generation} is on trial; keep it with `nodegate-host confirm` "
            "or take it back with `nodegate-host rollback` first"
        )


def _converge(
    args: argparse.Namespace, surroundings: Surroundings, site: Site, work: Work, try_s: int | None
) -> Outcome:
    output, plan = surroundings.output, work.plan
    held = site.generations.state().generation
    if plan.refused:
        raise Refused("\n".join(plan.refused))
    for note in plan.notes:
        output.warn(note)
    if plan.is_empty:
        output.result(telling.headline(plan), "Apply", {**telling.summary(plan), "generation": held})
        return Outcome(Exit.OK, held, "")
    _ask_before(args, surroundings, work)
    order = Order("apply", held, probes_of(work.config), try_s=try_s, command=trying.own_command())
    outcome = Apply(site, work.wish, work.facts, plan, order).run()
    _report(surroundings, work, outcome)
    if outcome.code is Exit.OK and try_s is not None:
        output.note(f"on trial: taken back in {try_s} s unless you run nodegate-host confirm")
    return outcome


def _ask_before(args: argparse.Namespace, surroundings: Surroundings, work: Work) -> None:
    restarts = [each for each in work.plan.restarts if each.verb == "restart" and each.target in _DISTURBING]
    if restarts:
        text = "; ".join(f"{each.target} restarts ({each.effect})" for each in restarts)
        ask(surroundings, f"{text}.", "yes", yes=args.yes)


def _report(surroundings: Surroundings, work: Work, outcome: Outcome) -> None:
    summary = {
        **telling.summary(work.plan),
        "generation": outcome.generation,
        "exitCode": int(outcome.code),
        "message": outcome.message,
    }
    text = f"{telling.headline(work.plan)}\n{outcome.message}" if outcome.code is Exit.OK else ""
    surroundings.output.result(text, "Apply", summary, telling.action_items(work.plan))
    if outcome.code is not Exit.OK:
        surroundings.output.error(outcome.message)


def _joins(site: Site, surroundings: Surroundings, deadline: float) -> bool:
    """Wait until the kubelet has its certificate; return whether it has."""
    if site.systemd is None or site.is_joined():
        return True
    surroundings.output.note("the kubelet has no certificate yet; waiting for its request to be approved")
    while time.monotonic() < deadline:
        if site.is_joined():
            return True
        time.sleep(_POLL_S)
    surroundings.output.warn(
        "the node has not joined: its certificate request waits for approval; "
        "see `kubectl get csr`, or `nodegate-host enroll --wait 10m` here"
    )
    return False
