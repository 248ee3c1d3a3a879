"""``nodegate-host restart``: restarts the units of this node in their order and waits until they are well."""

from __future__ import annotations

import argparse

from nodegate_host.engine import order
from nodegate_host.engine.desk import ready, site_of
from nodegate_host.exits import Exit
from nodegate_host.surroundings import Surroundings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument("--unit", metavar="UNIT", action="append", default=[], help="only this unit")


def run(args: argparse.Namespace, surroundings: Surroundings) -> Exit:
    """Act on the units."""
    site = site_of(surroundings)
    order.systemd_of(site)
    with ready(surroundings, site, "restart"):
        units = order.chosen(site.generations.current(), args.unit)
        faults = order.start(site, units, again=True)
    if faults:
        raise order.unhealthy(faults)
    items = [{"id": each} for each in units]
    surroundings.output.result("", "Restart", {"units": len(units)}, items)
    return Exit.OK
