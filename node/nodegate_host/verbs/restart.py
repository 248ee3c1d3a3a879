"""``nodegate-host restart``: restarts the units of this node in their order and waits until they are well."""

from __future__ import annotations

import argparse
from functools import partial

from nodegate_host.engine import order
from nodegate_host.engine.desk import act_on_units, add_unit_flag
from nodegate_host.exits import Exit
from nodegate_host.surroundings import Surroundings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    add_unit_flag(parser)


def run(args: argparse.Namespace, surroundings: Surroundings) -> Exit:
    """Act on the units."""
    return act_on_units(surroundings, args, "restart", partial(order.start, again=True))
