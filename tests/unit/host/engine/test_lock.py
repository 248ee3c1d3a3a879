"""Only one process changes a host at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nodegate_host.engine.atomic import Disk
from nodegate_host.engine.lock import held
from nodegate_host.errors import Stop
from nodegate_host.exits import Exit
from tests.builders import ROOT


def test_a_second_holder_is_told_who_holds_it(tmp_path: Path) -> None:
    """While one process holds the lock, another ends with 7 and the holder's process id and verb."""
    disk = Disk(tmp_path)
    script = (
        "import sys; from pathlib import Path; from nodegate_host.engine.atomic import Disk\n"
        "from nodegate_host.engine.lock import held\n"
        "with held(Disk(Path(sys.argv[1])), 'apply'): print('held', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        env={"PYTHONPATH": str(ROOT / "node")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"

        with pytest.raises(Stop, match=rf"process {holder.pid} \(apply\)") as caught, held(disk, "reset"):
            pytest.fail("the lock was given twice")

        holder.communicate("")
    assert caught.value.code is Exit.LOCKED
    with held(disk, "reset"):
        assert (tmp_path / "run/lock/nodegate-host.lock").read_text() == f"{os.getpid()} reset\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_lock_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """In a directory that is open to all another user may have made the file first, to hold it for ever."""
    place = tmp_path / "run/lock/nodegate-host.lock"
    place.parent.mkdir(parents=True)
    place.touch()
    os.chown(place, 12345, 12345)

    with pytest.raises(Stop, match="expected a lock file of our own") as caught, held(Disk(tmp_path), "apply"):
        pytest.fail("somebody else's file was locked")

    assert caught.value.code is Exit.REFUSED
