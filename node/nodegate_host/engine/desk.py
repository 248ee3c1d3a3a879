"""What the changing verbs share: from surroundings and flags to a `Site`, a `Wish` and a plan.

Nothing is changed here, but for `ready`, which finishes what a crash left half done.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from nodegate_host import loading, paths
from nodegate_host.engine import order
from nodegate_host.engine.atomic import Disk
from nodegate_host.engine.health import Health, Patience
from nodegate_host.engine.live import gather
from nodegate_host.engine.lock import held
from nodegate_host.engine.plan import make_plan
from nodegate_host.engine.recovery import recover
from nodegate_host.engine.sites import Site
from nodegate_host.engine.states import Facts, Plan, Wish
from nodegate_host.engine.systemd import Systemctl
from nodegate_host.errors import Refused, Stop, Usage
from nodegate_host.exits import Exit
from nodegate_host.model import ForeignFiles, NodeConfig, Restart
from nodegate_host.output import Output
from nodegate_host.surroundings import Surroundings

HEALTH_WAIT_S = 60.0
"""How long units may take by default; a kubelet is well within seconds, flanneld waits for etcd."""


@dataclass(frozen=True)
class Work:
    """A wish, what there is, and what that comes to."""

    config: NodeConfig
    wish: Wish
    facts: Facts
    plan: Plan


def site_of(place: Surroundings, wait_s: float = HEALTH_WAIT_S) -> Site:
    """Return the host that `place` is; a directory that stands for one has no systemd.

    Raises:
        Stop: It is a running host without systemd.
    """
    if place.is_live and not place.host("/run/systemd/system").is_dir():
        raise Stop("this host was not booted with systemd, which all this is for; use --root DIR", Exit.PREFLIGHT)
    systemd = Systemctl() if place.is_live else None
    return Site(Disk(place.root), systemd, say=_Say(place.output), patience=Patience(wait_s=wait_s))


class _Say:
    """Tells progress; a terminal that went away (a lost connection) must not end an apply."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def __call__(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._output.note(text)


def add_wish_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that shape a plan."""
    parser.add_argument("--adopt", action="store_true", help="take over files of others; copies are kept")
    parser.add_argument("--no-start", action="store_true", help="write and enable, start and restart nothing")
    parser.add_argument("--only", metavar="UNIT", action="append", default=[], help="this unit and its files only")
    parser.add_argument("--force-restart", action="store_true", help="restart running units without need")


def work_of(place: Surroundings, args: argparse.Namespace, site: Site) -> Work:
    """Return the work that node.yaml and the flags ask for."""
    loaded = loading.load(place)
    config, rendering = loaded.config, loaded.rendering
    units = {each.name for each in rendering.units}
    only = frozenset(name if "." in name else f"{name}.service" for name in args.only)
    if only - units:
        raise Usage(f"--only: expected one of {', '.join(sorted(units))}, found {', '.join(sorted(only - units))}")
    drops_token = config.bootstrap.remove_after_join and site.is_joined()
    wish = Wish(
        files=tuple(each for each in rendering.files if not (drops_token and each.path == paths.BOOTSTRAP_KUBECONFIG)),
        units=rendering.units,
        directories=rendering.directories,
        generated=rendering.generated,
        adopt=args.adopt or config.policy.foreign_files is ForeignFiles.ADOPT,
        start=not args.no_start,
        restart=config.policy.restart is Restart.AUTO,
        force=args.force_restart,
        only=only,
    )
    try:
        facts = gather(site.disk, site.generations, site.systemd, wish)
    except PermissionError as error:
        raise Stop(f"{error.filename}: may not be read; run this as root", Exit.NOT_ROOT) from error
    return Work(config, wish, facts, make_plan(wish, facts))


@contextlib.contextmanager
def ready(place: Surroundings, site: Site, verb: str, patience_s: float = 0.0) -> Iterator[None]:
    """Hold the lock as root, with whatever a crash left half done undone."""
    place.require_root(verb)
    with held(site.disk, verb, patience_s):
        done = recover(site)
        if done:
            place.output.warn(done)
        yield


def ask(place: Surroundings, question: str, wanted: str, *, yes: bool) -> None:
    """Ask, unless `yes`; raises `Usage` under ``--no-input`` and `Refused` for any other answer than `wanted`."""
    if yes:
        return
    if place.no_input:
        raise Usage(f"{question} With --no-input nothing is asked; add --yes to mean it")
    place.output.stderr.write(f"{question} Type {wanted} to go on: ")
    place.output.stderr.flush()
    if place.stdin.readline().strip() != wanted:
        raise Refused("not confirmed, so nothing was changed")


def add_unit_flag(parser: argparse.ArgumentParser) -> None:
    """Add the flag of the verbs that act on units."""
    parser.add_argument("--unit", metavar="UNIT", action="append", default=[], help="only this unit")


def act_on_units(
    surroundings: Surroundings,
    args: argparse.Namespace,
    verb: str,
    work: Callable[[Site, Sequence[str]], Sequence[Health]],
) -> Exit:
    """Do `work` to the units that were asked for, and tell which; raises `Stop` for those that are not well."""
    site = site_of(surroundings)
    order.systemd_of(site)
    with ready(surroundings, site, verb):
        units = order.chosen(site.generations.current(), args.unit)
        faults = work(site, units)
    if faults:
        raise order.unhealthy(faults)
    surroundings.output.result("", verb.capitalize(), {"units": len(units)}, [{"id": each} for each in units])
    return Exit.OK
