"""Starting, stopping and restarting the node's units in the order they depend on each other.

Names the units of the generation that holds; the runtime is not ours and is never stopped, only started or restarted
when it is named.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from nodegate_host.engine.health import Health
from nodegate_host.engine.records import Manifest
from nodegate_host.engine.sites import Site
from nodegate_host.engine.systemd import Systemctl
from nodegate_host.errors import Stop, Usage
from nodegate_host.exits import Exit


def chosen(manifest: Manifest | None, named: Sequence[str]) -> list[str]:
    """Return the units to act on, in the order they start: the named ones, or all that are ours."""
    if manifest is None:
        raise Usage("nothing was applied on this host, so it has no units of ours; run apply first")
    known = [each.name for each in manifest.units]
    names = [name if "." in name else f"{name}.service" for name in named]
    strange = [name for name in names if name not in known]
    if strange:
        raise Usage(f"expected one of {', '.join(known)}, found {', '.join(strange)}")
    ours = [each.name for each in manifest.units if each.ours]
    return [name for name in known if name in (names or ours)]


def systemd_of(site: Site) -> Systemctl:
    """Return the host's systemd; raises `Usage` for a directory that stands for a host."""
    if site.systemd is None:
        raise Usage("units run on the running host only; leave --root out")
    return site.systemd


def start(site: Site, units: Sequence[str], *, again: bool) -> list[Health]:
    """Start `units`, or restart them; return those that are not well in time."""
    systemd, patience = systemd_of(site), site.patience
    manifest = site.generations.current()
    probes = [each for each in (manifest.probes if manifest else ()) if each.unit in units]
    watch = site.watch(systemd)
    deadline = time.monotonic() + patience.wait_s
    for unit in units:
        site.say(f"{'restart' if again else 'start'} {unit}")
        if again or not systemd.show([unit])[unit].is_running:
            systemd.restart(unit)
        fault = watch.wait_up(unit, patience, deadline)
        if fault and not any(each.unit == unit and each.needs_join for each in probes):
            return [Health(unit, fault)]
    return watch.wait_well(units, probes, patience, deadline)


def stop(site: Site, units: Sequence[str]) -> Sequence[Health]:
    """Stop `units`, last first; none is unwell of it."""
    systemd = systemd_of(site)
    for unit in reversed(units):
        site.say(f"stop {unit}")
        systemd.stop(unit)
    return ()


def unhealthy(faults: Sequence[Health]) -> Stop:
    """Return what ends a run whose units are not well."""
    return Stop("; ".join(f"{each.unit}: {each.fault}" for each in faults), Exit.UNHEALTHY)
