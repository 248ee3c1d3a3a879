"""What `hack.cluster` builds: each program once, from pinned modules, kept under a key that its sources decide.

Module folders come in; cache keys and sets of programs leave. Nothing is built here.
"""

import re
import shutil
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest

from hack.cluster import ClusterError
from hack.cluster.binaries import MODULES, NODE_PROGRAMS, PROGRAMS, SETS, Module, find

BY_FOLDER = {module.folder.name: module for module in MODULES}


def _copy(module: Module, folder: Path) -> Module:
    """Return the same module in a folder of its own."""
    shutil.copytree(module.folder, folder / module.folder.name)
    return replace(module, folder=folder / module.folder.name)


def test_every_program_is_built_by_one_module() -> None:
    """The two sets together are what the modules build, each once and with the time that it takes."""
    built = list(chain.from_iterable(module.packages for module in MODULES))

    assert sorted(built) == sorted((*PROGRAMS, *NODE_PROGRAMS)) == sorted(SETS["all"])
    assert len(set(built)) == len(built)
    for module in MODULES:
        assert set(module.minutes) == set(module.packages)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.folder.name)
def test_modules_pin_everything_and_name_no_address(module: Module) -> None:
    """The main packages are pinned by go.mod, whose sums are there, and neither file holds an address."""
    texts = {name: (module.folder / name).read_text(encoding="utf-8") for name in ("go.mod", "go.sum")}

    assert not re.search(r"https?:|proxy\.", "".join(texts.values()))
    for package in module.packages.values():
        assert any(line.split()[0] in package for line in texts["go.sum"].splitlines())


@pytest.mark.parametrize("name", ["go.mod", "go.sum"])
def test_a_changed_pin_is_another_key(name: str, tmp_path: Path) -> None:
    """What is pinned decides where a program is kept, so that an old one is never taken for a new one."""
    module = _copy(BY_FOLDER["etcd"], tmp_path)
    before = module.cache()

    (module.folder / name).write_text("changed", encoding="utf-8")

    assert module.cache() != before


def test_a_changed_stand_in_is_another_key(tmp_path: Path) -> None:
    """Our own Go code that goes into flanneld decides too, other files beside it do not."""
    module = _copy(BY_FOLDER["flannel"], tmp_path)
    before = module.cache()
    (module.folder / "README").write_text("words", encoding="utf-8")
    assert module.cache() == before == BY_FOLDER["flannel"].cache()

    client = module.folder / "tencentcloud" / "vpc" / "v20170312" / "client.go"
    client.write_text(client.read_text(encoding="utf-8") + "\n", encoding="utf-8")

    assert module.cache() != before


def test_a_given_folder_must_hold_what_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With NODEGATE_BIN_DIR nothing is built: a program that is missing there is named."""
    monkeypatch.setenv("NODEGATE_BIN_DIR", str(tmp_path))
    (tmp_path / "flanneld").write_text("#!/bin/sh\n", encoding="utf-8")
    (tmp_path / "flanneld").chmod(0o755)

    assert find(programs=("flanneld",))["flanneld"] == str(tmp_path.resolve() / "flanneld")
    with pytest.raises(ClusterError, match="found no kubelet"):
        find(programs=("flanneld", "kubelet"))
