"""Files are replaced whole or not at all, and never through a link or into a directory that others can write to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nodegate_host.engine.atomic import Disk
from nodegate_host.errors import Refused
from tests.builders import ROOT

_NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    """Return a host with an empty /etc."""
    (tmp_path / "etc").mkdir(mode=0o755)
    return Disk(tmp_path)


def test_a_file_gets_content_and_mode(disk: Disk) -> None:
    """What is written is what is found, with its mode, and nothing stays beside it."""
    disk.write("/etc/secret", b"x", 0o600)

    live = disk.look("/etc/secret")

    assert (live.kind, live.content, live.mode) == ("file", b"x", 0o600)
    assert [each.name for each in disk.at("/etc").iterdir()] == ["secret"]


def test_staging_leaves_the_target_alone(disk: Disk) -> None:
    """Until it is published, a reader finds the old content."""
    disk.write("/etc/file", b"old")

    disk.stage("/etc/file", b"new", 0o644, "root:root")
    assert disk.look("/etc/file").content == b"old"

    disk.publish("/etc/file")
    assert disk.look("/etc/file").content == b"new"


def test_a_link_is_refused(disk: Disk) -> None:
    """A target that is a link is an error, and what it points to stays."""
    disk.write("/etc/real", b"real")
    disk.at("/etc/link").symlink_to("real")

    with pytest.raises(Refused, match="symbolic link"):
        disk.write("/etc/link", b"new")

    assert disk.look("/etc/real").content == b"real"


def test_a_link_in_place_of_the_temporary_name_is_not_followed(disk: Disk) -> None:
    """Somebody who guesses the temporary name cannot have another file overwritten."""
    disk.write("/etc/victim", b"victim")
    disk.at("/etc/.file.nodegate-new").symlink_to("victim")

    disk.write("/etc/file", b"new")

    assert disk.look("/etc/victim").content == b"victim"
    assert disk.look("/etc/file").kind == "file"


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o1777])
def test_an_open_parent_is_refused(disk: Disk, mode: int) -> None:
    """A directory that others can write to takes no file of ours."""
    disk.at("/etc").chmod(mode)

    with pytest.raises(Refused, match="others can write"):
        disk.write("/etc/file", b"new")


def test_an_open_grandparent_is_refused(disk: Disk) -> None:
    """Who can rename the parent can redirect the write as well."""
    disk.make_directory("/etc/below")
    disk.at("/etc").chmod(0o777)

    with pytest.raises(Refused, match="others can write"):
        disk.write("/etc/below/file", b"new")


def test_a_parent_outside_the_root_is_refused(disk: Disk, tmp_path_factory: pytest.TempPathFactory) -> None:
    """With --root nothing is ever written outside of it."""
    outside = tmp_path_factory.mktemp("outside")
    disk.at("/etc/away").symlink_to(outside)

    with pytest.raises(Refused, match="expected a directory under"):
        disk.write("/etc/away/file", b"new")

    assert list(outside.iterdir()) == []


def test_directories_are_made_and_what_exists_stays(disk: Disk) -> None:
    """Missing parents are made 0755, the last with its mode; an existing directory keeps its own."""
    made = disk.make_directory("/etc/a/b", 0o700)
    again = disk.make_directory("/etc/a/b", 0o755)

    assert (made, again) == (["/etc/a", "/etc/a/b"], [])
    assert disk.at("/etc/a/b").stat().st_mode & 0o777 == 0o700
    assert disk.at("/etc/a").stat().st_mode & 0o777 == 0o755


def test_a_full_disk_leaves_the_old_file(disk: Disk) -> None:
    """When the data does not fit, the error is the caller's, the old file is whole and nothing is left beside it."""
    disk.write("/etc/file", b"old")
    script = (
        "import resource, signal, sys; from pathlib import Path; from nodegate_host.engine.atomic import Disk\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))\n"
        "try: Disk(Path(sys.argv[1])).write('/etc/file', b'x' * 4096)\n"
        "except OSError as error: print(error.errno)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", script, str(disk.root)],
        env={"PYTHONPATH": str(ROOT / "node")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stdout == "27\n"
    assert disk.look("/etc/file").content == b"old"
    assert [each.name for each in disk.at("/etc").iterdir()] == ["file"]


@_NEEDS_ROOT
def test_a_mounted_file_is_refused(disk: Disk) -> None:
    """A file with something mounted over it cannot be replaced, and is not written in place."""
    disk.write("/etc/file", b"below")
    disk.write("/etc/other", b"mounted")
    subprocess.run(["mount", "--bind", disk.at("/etc/other"), disk.at("/etc/file")], check=True)
    try:
        with pytest.raises(Refused, match="mount point"):
            disk.write("/etc/file", b"new")
        assert disk.look("/etc/other").content == b"mounted"
    finally:
        subprocess.run(["umount", disk.at("/etc/file")], check=True)


@_NEEDS_ROOT
def test_somebody_elses_directory_is_refused(disk: Disk) -> None:
    """A directory of another user takes no file of ours."""
    os.chown(disk.at("/etc"), 12345, 12345)

    with pytest.raises(Refused, match="expected root"):
        disk.write("/etc/file", b"new")


@_NEEDS_ROOT
def test_an_unknown_owner_is_refused(disk: Disk) -> None:
    """An owner that the host does not have is told, not guessed."""
    with pytest.raises(Refused, match="exists on this host"):
        disk.write("/etc/file", b"new", 0o644, "nobody-by-this-name:root")
