"""What there is: every file that is wanted or was applied, the units, and what those start with.

A wish goes in, `Facts` come out; nothing is changed. Programs are found in the wanted unit files (the first word of
ExecStart) and digested, so that a replaced kubelet makes the kubelet restart.
"""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath

from nodegate_host.engine.atomic import Disk
from nodegate_host.engine.generations import Generations
from nodegate_host.engine.states import Facts, Wish
from nodegate_host.engine.systemd import Systemctl

GENERATED = {"docker.service": ("/run/flannel/docker",)}
"""Files that daemons make and that others read when they start."""

UNIT_FOLDER = "/etc/systemd/system/"
_PREFIXES = "-@:+!|"
_BLOCK_BYTES = 1 << 20


def gather(disk: Disk, generations: Generations, systemd: Systemctl | None, wish: Wish) -> Facts:
    """Return the facts for `wish`; without `systemd` nothing is known of units and nothing is planned for them.

    Raises:
        PermissionError: Something may not be read; this is not root.
    """
    last = generations.current()
    paths = [*(each.path for each in wish.files), *(each.path for each in (last.files if last else ()))]
    units = [*(each.name for each in wish.units), *(each.name for each in (last.units if last else ()))]
    return Facts(
        last=last,
        live={path: disk.look(path) for path in dict.fromkeys(paths)},
        units={} if systemd is None else systemd.show(list(dict.fromkeys(units))),
        started=generations.state().started,
        inputs={each.name: other_inputs(disk, wish, each.name) for each in wish.units},
        originals=generations.originals(),
        missing_directories=tuple(missing_directories(disk, wish)),
        has_systemd=systemd is not None,
        compares_owners=disk.keeps_owners,
    )


def other_inputs(disk: Disk, wish: Wish, unit: str) -> dict[str, str]:
    """Return what `unit` starts with besides its files: its program and generated files, name → digest."""
    found = {path: digest(disk, path) for path in GENERATED.get(unit, ())}
    program = program_of(wish, unit)
    if program:
        found[program] = digest(disk, program)
    return found


def program_of(wish: Wish, unit: str) -> str:
    """Return the path of the program that `unit`'s wanted file starts; empty when that is not ours to say."""
    text = next((each.content for each in wish.files if each.path == UNIT_FOLDER + unit), b"").decode(errors="replace")
    for line in text.splitlines():
        if line.startswith("ExecStart=") and line != "ExecStart=":
            return line[len("ExecStart=") :].lstrip(_PREFIXES).split(maxsplit=1)[0].strip('"')
    return ""


def digest(disk: Disk, path: str) -> str:
    """Return the digest of a file that may be large, or ``absent``."""
    total = hashlib.sha256()
    try:
        with disk.at(path).open("rb") as file:
            for block in iter(lambda: file.read(_BLOCK_BYTES), b""):
                total.update(block)
    except OSError:
        return "absent"
    return total.hexdigest()


def missing_directories(disk: Disk, wish: Wish) -> list[str]:
    """Return the directories to make, in order: those that are wanted and those that files go to."""
    parents = (str(PurePosixPath(each.path).parent) for each in wish.files)
    wanted = dict.fromkeys([*(each.path for each in wish.directories), *parents])
    return sorted(path for path in wanted if not disk.at(path).is_dir())
