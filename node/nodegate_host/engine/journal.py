"""What is under way, on disk, so that the run after a crash knows what to undo.

There is a journal from before the first file is replaced until after the state names the new generation. Who finds
one undoes its generation (`undo`), which may be done any number of times.
"""

from __future__ import annotations

import json

from nodegate_host.engine.atomic import Disk
from nodegate_host.engine.records import Journal, journal_from, to_json
from nodegate_host.errors import Refused

PATH = "/var/lib/nodegate/journal"


def read(disk: Disk) -> Journal | None:
    """Return the change that was under way, or None."""
    live = disk.look(PATH)
    if live.kind == "absent":
        return None
    try:
        return journal_from(json.loads(live.content))
    except (ValueError, TypeError) as error:
        raise Refused(
            f"{PATH}: expected nodegate-host's journal, found something else ({error}); see `status`"
        ) from error


def write(disk: Disk, journal: Journal) -> None:
    """Write `journal`, replacing the one before; it is on disk when this returns."""
    disk.write(PATH, json.dumps(to_json(journal)).encode(), 0o600)


def clear(disk: Disk) -> None:
    """Say that nothing is under way."""
    disk.remove(PATH)
