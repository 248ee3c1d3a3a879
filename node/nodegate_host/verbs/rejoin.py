"""``nodegate-host rejoin``: gives the node a new identity by a new bootstrap kubeconfig; the old one is moved aside.

It replaces the habit of copying an administrator's kubeconfig, which it refuses. If the kubelet does not come up, the
old identity is put back.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from nodegate_host import loading
from nodegate_host.engine import order, rejoining
from nodegate_host.engine.apply import Apply, Order, Outcome
from nodegate_host.engine.desk import ask, ready, site_of
from nodegate_host.engine.rollback import Return
from nodegate_host.engine.sites import Site
from nodegate_host.engine.trying import seconds_of
from nodegate_host.errors import Refused, Usage
from nodegate_host.exits import Exit
from nodegate_host.surroundings import Surroundings
from nodegate_host.verbs.enroll import follow


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument("--bootstrap-kubeconfig", metavar="FILE", required=True, help="the new bootstrap credential")
    parser.add_argument("--wait", metavar="DUR", default="60s", help="for the new certificate (default 60s)")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(args: argparse.Namespace, surroundings: Surroundings) -> Exit:
    """Join again."""
    site = site_of(surroundings)
    order.systemd_of(site)
    surroundings.require_root("rejoin")
    config, wait_s = loading.load_config(surroundings), seconds_of(args.wait)
    given = rejoining.read_bootstrap(_read(args.bootstrap_kubeconfig), args.bootstrap_kubeconfig)
    ask(surroundings, "The kubelet restarts and asks for a new certificate.", "yes", yes=args.yes)
    with ready(surroundings, site, "rejoin"):
        outcome = _again(surroundings, site, rejoining.with_bootstrap(site, given))
    if outcome.code is not Exit.OK:
        surroundings.output.error(outcome.message)
        return outcome.code
    surroundings.output.note("keep node.yaml's bootstrap in step, or the next apply puts the old credential back")
    return follow(surroundings, config, site, wait_s)


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise Usage(f"--bootstrap-kubeconfig: expected to read {path}, found: {error.strerror}") from error


def _again(surroundings: Surroundings, site: Site, way: Return) -> Outcome:
    if way.plan.refused:
        raise Refused("\n".join(way.plan.refused))
    systemd = order.systemd_of(site)
    systemd.stop(rejoining.KUBELET)
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(site.now()))
    moved = rejoining.move_aside(site.disk, rejoining.identity_files(site.disk), moment)
    for path, target in moved:
        surroundings.output.note(f"{path} is now {target}")
    outcome = Outcome(Exit.ROLLED_BACK, 0, "")
    try:
        outcome = _apply(site, way)
    finally:
        if outcome.code is not Exit.OK:
            rejoining.move_back(site.disk, moved)
            systemd.restart(rejoining.KUBELET)
    return outcome


def _apply(site: Site, way: Return) -> Outcome:
    held = site.generations.state().generation
    # The kubelet is stopped now, so there is always something to do.
    way = rejoining.again(site, way)
    return Apply(site, way.wish, way.facts, way.plan, Order("rejoin", held, way.target.probes)).run()
