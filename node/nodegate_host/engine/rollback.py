"""Back to an earlier generation: its files and units become the wish, and the engine applies them as a new one.

Generation 0 is the host before us: every file of ours goes, and what was adopted comes back. Never touched: the
kubelet's certificate and key, its kubeconfig, leases and images, because no generation holds them.
"""

from __future__ import annotations

from dataclasses import dataclass

from nodegate_host.engine.apply import Apply, Order, Outcome
from nodegate_host.engine.generations import Generations
from nodegate_host.engine.live import gather
from nodegate_host.engine.plan import make_plan
from nodegate_host.engine.records import Entry, Manifest
from nodegate_host.engine.sites import Site
from nodegate_host.engine.states import Facts, Plan, Wish
from nodegate_host.errors import Refused, Usage
from nodegate_host.model import File, Unit

EMPTY = Manifest(0, 0, 0.0, "before nodegate-host")


@dataclass(frozen=True)
class Return:
    """The way to generation `target`."""

    target: Manifest
    wish: Wish
    facts: Facts
    plan: Plan


def target_of(generations: Generations, wanted: int | None) -> Manifest:
    """Return the generation to go to: `wanted`, or the one before the one that holds; raises `Usage` without any."""
    current = generations.current()
    if current is None:
        raise Usage("nothing was ever applied on this host, so there is nothing to go back to")
    number = current.previous if wanted is None else wanted
    if number == current.number:
        raise Usage(f"generation {number} already holds; see `nodegate-host rollback --list`")
    # Generation 0 stands for the files of others; of ours it has none.
    return EMPTY if number == 0 else generations.load(number)


def way_to(site: Site, target: Manifest) -> Return:
    """Return what leads to `target`."""
    files = tuple(_file(site.generations, target.number, each) for each in target.files)
    # A file that stayed because somebody changed it is in the way now; a copy of it is kept.
    wish = Wish(files, tuple(Unit(each.name, each.ours) for each in target.units), adopt=True)
    facts = gather(site.disk, site.generations, site.systemd, wish)
    return Return(target, wish, facts, make_plan(wish, facts))


def _file(generations: Generations, number: int, entry: Entry) -> File:
    content = generations.object(number, entry.sha256)
    return File(entry.path, content, entry.mode, entry.owner, secret=entry.secret, units=entry.units)


def go(site: Site, way: Return) -> Outcome:
    """Go there. Units that are not well then are reported and left, since going forward again would not help."""
    if way.plan.refused:
        raise Refused("\n".join(way.plan.refused))
    order = Order(f"rollback to {way.target.number}", way.target.previous, way.target.probes, insist=False)
    return Apply(site, way.wish, way.facts, way.plan, order).run()
