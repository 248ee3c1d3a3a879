"""nodegate-host.pyz: the same bytes each time, and one file that every Python from 3.9 on runs alike."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hack.build_host_pyz import build, members
from nodegate_host import __version__
from tests.unit.host.sample import place


def pythons() -> list[str]:
    """Return this Python and every other one from 3.9 on that is found by name."""
    found = [sys.executable]
    for minor in range(9, 16):
        path = shutil.which(f"python3.{minor}")
        if path and _answers(path):
            found.append(path)
    return found


def _answers(path: str) -> bool:
    return subprocess.run([path, "-c", "pass"], capture_output=True, check=False, timeout=30).returncode == 0


def execute(python: str, pyz: Path, *words: str, cwd: Path) -> "subprocess.CompletedProcess[bytes]":
    """Run the archive with nothing but itself to import from."""
    environ = {"PATH": os.defpath}
    return subprocess.run(
        [python, "-E", "-s", str(pyz), *words], capture_output=True, check=False, timeout=60, cwd=cwd, env=environ
    )


@pytest.fixture(scope="module")
def pyz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the archive once."""
    target = tmp_path_factory.mktemp("pyz") / "nodegate-host.pyz"
    build(target)
    return target


def test_building_twice_gives_the_same_bytes(tmp_path: Path, pyz: Path) -> None:
    """Whatever the time and the order of the file system."""
    digest = build(tmp_path / "again.pyz")

    assert len(digest) == 64
    assert (tmp_path / "again.pyz").read_bytes() == pyz.read_bytes()


def test_the_archive_holds_the_tool_and_pure_yaml() -> None:
    """Our modules, PyYAML's Python modules with their licence, and nothing compiled."""
    names = set(members())

    assert {"__main__.py", "nodegate_host/cli.py", "yaml/__init__.py", "yaml/LICENSE"} <= names
    assert "yaml/cyaml.py" not in names
    assert {Path(name).suffix for name in names} == {".py", ""}
    assert {name.split("/")[0] for name in names} == {"__main__.py", "nodegate_host", "yaml"}


def test_nothing_in_the_archive_tells_where_it_was_built(pyz: Path) -> None:
    """Times and modes are fixed, so only the content counts."""
    with zipfile.ZipFile(pyz) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o100644}
        assert archive.namelist() == sorted(archive.namelist())


def test_it_runs_as_a_program(pyz: Path, tmp_path: Path) -> None:
    """The file itself is executable and starts with python3."""
    assert os.access(pyz, os.X_OK)
    assert pyz.read_bytes().startswith(b"#!/usr/bin/env python3\n")
    done = execute(sys.executable, pyz, "version", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(f"nodegate-host {__version__} (Python 3.".encode())


def test_every_python_renders_the_same_bytes(pyz: Path, tmp_path: Path) -> None:
    """The tar of a node is byte-identical under each Python that is here."""
    place(tmp_path)
    found = {}
    for python in pythons():
        done = execute(python, pyz, "-c", "node.yaml", "-q", "render", "--output", "tar", cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, b""), python
        found[python] = done.stdout

    assert len(next(iter(found.values()))) > 10_000
    assert len(set(found.values())) == 1


def test_every_python_imports_every_module(pyz: Path, tmp_path: Path) -> None:
    """No module needs anything that a Python from 3.9 on lacks; warnings are errors."""
    names = [name[: -len(".py")].replace("/", ".") for name in members() if name.startswith("nodegate_host/")]
    code = f"import sys; sys.path.insert(0, {str(pyz)!r})\n" + "".join(
        f"import {name.removesuffix('.__init__')}\n" for name in sorted(names) if not name.endswith("__main__")
    )
    for python in pythons():
        command = [python, "-E", "-s", "-W", "error", "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, ""), python


def test_a_python_that_is_too_old_is_told_so() -> None:
    """The start is written in words that old Pythons read, and says what is needed before anything else."""
    first = members()["__main__.py"].decode()

    assert (
        first.index("expected Python 3.9 or newer")
        < first.index("import dataclasses")
        < first.index("from nodegate_host")
    )
    assert 'f"' not in first
