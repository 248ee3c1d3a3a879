"""``nodegate-host confirm``: keeps the generation that `apply --try` put on trial, and stops its timer."""

from __future__ import annotations

import argparse

from nodegate_host.engine import trying
from nodegate_host.engine.desk import ready, site_of
from nodegate_host.exits import Exit
from nodegate_host.surroundings import Surroundings


def configure(_parser: argparse.ArgumentParser) -> None:
    """Add no flags: the verb has none."""


def run(_args: argparse.Namespace, surroundings: Surroundings) -> Exit:
    """Keep it; that there is nothing on trial is no error, but said."""
    site = site_of(surroundings)
    with ready(surroundings, site, "confirm"):
        trial = trying.confirm(site)
    held = site.generations.state().generation
    text = f"generation {held} is kept" if trial else f"nothing is on trial; generation {held} holds"
    surroundings.output.result(text, "Confirm", {"generation": held, "wasOnTrial": trial is not None})
    return Exit.OK
