"""Disks that are full or read-only: an apply that cannot write leaves everything as it was."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nodegate_host.engine import journal
from nodegate_host.errors import Stop
from nodegate_host.exits import Exit
from nodegate_host.model import File
from tests.unit.host.engine.scene import CONFIG, Scene, first, run_apply

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")


def _mounted(place: Path, *options: str) -> Iterator[Path]:
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(["mode=0755", *options]), "tmpfs", place], check=True)
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.fixture
def small_etc(scene: Scene) -> Iterator[Path]:
    """Return an /etc with room for the first wish and little more."""
    yield from _mounted(scene.root / "etc", "size=64k")


@pytest.fixture
def small_state(scene: Scene) -> Iterator[Path]:
    """Return a /var/lib/nodegate with room for one generation and little more."""
    yield from _mounted(scene.root / "var/lib/nodegate", "size=128k")


def _large() -> File:
    return File(CONFIG, b"# " + os.urandom(100_000).hex().encode(), units=("kubelet.service",))


def test_a_disk_that_fills_up_while_staging_changes_nothing(scene: Scene, small_etc: Path) -> None:
    """ENOSPC while staging is exit 4, with every file as before and none left beside them."""
    run_apply(scene.site(), first())
    files = scene.files()
    wish = replace(first(), files=(*(each for each in first().files if each.path != CONFIG), _large()))

    outcome = run_apply(scene.site(), wish)

    assert outcome is not None
    assert outcome.code is Exit.ROLLED_BACK
    assert "No space left" in outcome.message
    assert scene.files() == files
    assert list(small_etc.rglob("*.nodegate-new")) == []
    assert journal.read(scene.site().disk) is None


def test_no_room_to_record_changes_nothing(scene: Scene, small_state: Path) -> None:
    """Without room for the generation nothing is touched: exit 4, and no half generation stays."""
    run_apply(scene.site(), first())
    files = scene.files()
    wish = replace(first(), files=(*(each for each in first().files if each.path != CONFIG), _large()))

    with pytest.raises(Stop, match="could not be recorded, so nothing was changed") as caught:
        run_apply(scene.site(), wish)

    assert caught.value.code is Exit.ROLLED_BACK
    assert scene.files() == files
    assert [each.name for each in (small_state / "generations").iterdir()] == ["1"]


def test_a_read_only_directory_changes_nothing(scene: Scene, small_etc: Path) -> None:
    """EROFS in the middle is exit 4 with everything as before."""
    run_apply(scene.site(), first())
    files = scene.files()
    subprocess.run(["mount", "-o", "remount,ro", small_etc], check=True)

    wish = replace(first(), files=(*first().files, File("/etc/kubernetes/more", b"more\n")))
    outcome = run_apply(scene.site(), wish)

    assert outcome is not None
    assert outcome.code is Exit.ROLLED_BACK
    assert "Read-only file system" in outcome.message
    assert scene.files() == files
