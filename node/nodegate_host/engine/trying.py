"""A generation on trial: a transient timer goes back to the one before unless somebody confirms in time.

The timer is systemd's, so it fires when the connection, the shell or this program is gone. It is armed twice: before
the first file changes (`CHANGING`, for an apply that never ends) and anew at the commit (`DECIDING`).
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from nodegate_host.engine.records import Manifest, Trying
from nodegate_host.engine.sites import Site
from nodegate_host.engine.systemd import Systemctl, SystemdFailed
from nodegate_host.errors import Usage

CHANGING = "changing"
DECIDING = "deciding"

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?\Z")


@dataclass(frozen=True)
class Command:
    """How this program is started again: words and the environment that it needs."""

    words: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


def own_command() -> Command:
    """Return how this process was started: as a zipapp, or as a package on ``sys.path``."""
    program = Path(sys.argv[0]).resolve()
    if program.is_file() and zipfile.is_zipfile(program):
        return Command((sys.executable, str(program)))
    home = Path(__file__).resolve().parents[2]
    return Command((sys.executable, "-m", "nodegate_host"), {"PYTHONPATH": str(home)})


def seconds_of(text: str) -> int:
    """Return the seconds that ``90``, ``90s``, ``5m`` or ``1h30m`` says; raises `Usage` otherwise."""
    found = _DURATION.match(text)
    if not text or found is None:
        raise Usage(f"expected a duration such as 90s, 5m or 1h30m, found {text!r}")
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds


def timer_name(number: int, stage: str) -> str:
    """Return the transient unit's name, without its suffix."""
    return f"nodegate-host-try-{number}-{stage}"


def trial(manifest: Manifest, try_s: int, now: float) -> Trying:
    """Return the trial that begins `now`."""
    timer = timer_name(manifest.number, DECIDING)
    return Trying(manifest.number, manifest.previous, f"{timer}.timer", now + try_s)


def arm(systemd: Systemctl, number: int, try_s: int, command: Command, stage: str) -> None:
    """Have generation `number` taken back in `try_s` seconds."""
    words = [*command.words, "rollback", "--if-trying", str(number)]
    name = timer_name(number, stage)
    # A run that was cut short may have left one: its number is given again.
    disarm(systemd, number, stage)
    systemd.reset_failed(f"{name}.service")
    systemd.arm(name, try_s, words, {**command.environment, "PATH": os.environ.get("PATH", "")})


def disarm(systemd: Systemctl, number: int, stage: str) -> None:
    """Stop the timer, if it still runs; its service, which may be this very process, is left alone."""
    with contextlib.suppress(SystemdFailed):
        systemd.stop(f"{timer_name(number, stage)}.timer")


def confirm(site: Site) -> Trying | None:
    """Keep the generation on trial; return the trial that ended, or None when there was none."""
    state = site.generations.state()
    if state.trying is None:
        return None
    # The decision first: should this end here, the timer finds nothing on trial.
    site.generations.commit(replace(state, trying=None))
    if site.systemd is not None:
        for stage in (CHANGING, DECIDING):
            disarm(site.systemd, state.trying.generation, stage)
    return state.trying
