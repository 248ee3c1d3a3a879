"""``nodegate-host verify``: is the node well and as applied? Touches nothing; ends with 6 if something is not.

Looks at units and their health, files, identity, flannel's lease and config. With ``--timeout`` it looks again until
all is well or the time is up. What only the cluster can show (workloads, the other nodes) is not asked here.
"""

from __future__ import annotations

import argparse
import time

from nodegate_host import loading
from nodegate_host.engine.desk import site_of
from nodegate_host.engine.sites import Site
from nodegate_host.engine.survey import survey
from nodegate_host.engine.trying import seconds_of
from nodegate_host.engine.verifying import Answer, flannel, identity, units_and_files
from nodegate_host.exits import Exit
from nodegate_host.facts.gather import ETCD, gather
from nodegate_host.model import NodeConfig
from nodegate_host.surroundings import Surroundings

_EVERY_S = 1.0
_WORDS = {"pass": ("PASS", "green"), "fail": ("FAIL", "red"), "skipped": ("SKIP", "yellow")}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument("--timeout", metavar="DUR", default="0", help="look again until all is well (default: once)")


def run(args: argparse.Namespace, surroundings: Surroundings) -> Exit:
    """Verify."""
    surroundings.require_root("verify")
    config, site = loading.load_config(surroundings), site_of(surroundings)
    deadline = time.monotonic() + seconds_of(args.timeout)
    answers = _look(config, site)
    while any(each.result == "fail" for each in answers) and time.monotonic() < deadline:
        time.sleep(_EVERY_S)
        answers = _look(config, site)
    return _show(surroundings, answers)


def _look(config: NodeConfig, site: Site) -> list[Answer]:
    found = survey(site)
    facts = gather(site.disk.root, config, wanted={ETCD})
    return [
        *units_and_files(site, found),
        *identity(config, facts, found, site.now()),
        *flannel(config, facts, found),
    ]


def _show(surroundings: Surroundings, answers: list[Answer]) -> Exit:
    output = surroundings.output
    counts = {result: sum(each.result == result for each in answers) for result in _WORDS}
    lines = [f"{output.paint(*_WORDS[each.result])}  {each.id}: {each.message}" for each in answers]
    lines.append(f"\n{counts['pass']} passed, {counts['fail']} failed, {counts['skipped']} skipped.")
    items = [
        {"id": each.id, "result": each.result, "message": each.message, "covers": each.covers.split()}
        for each in answers
    ]
    output.result("\n".join(lines), "Verification", counts, items)
    return Exit.UNHEALTHY if counts["fail"] else Exit.OK
