"""Reset takes away what was applied and nothing else."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from nodegate_host.engine.mounts import mount_points, remove_tree
from nodegate_host.engine.reset import Reset, Wanted
from tests.unit.host.engine.scene import CONFIG, Scene, first, run_apply, second

_NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")


def test_only_our_files_go(scene: Scene) -> None:
    """Our files and units go, changed and foreign files stay, the changed one is named."""
    scene.put("/etc/kubernetes/theirs", "theirs\n")
    run_apply(scene.site(), first())
    scene.put(CONFIG, "edited\n")

    report = Reset(scene.site(), Wanted()).run()

    assert scene.files() == {"/etc/kubernetes/theirs": ("theirs\n", 0o644), CONFIG: ("edited\n", 0o644)}
    assert f"{CONFIG} (somebody changed it)" in report.kept
    assert report.failed == []
    assert scene.enabled() == []
    assert set(scene.active().values()) == {"inactive"}
    assert scene.site().generations.numbers() == []


def test_what_our_units_wrote_goes(scene: Scene) -> None:
    """Files that our units wrote while they ran go, also those of an earlier generation; a like file stays."""
    run_apply(scene.site(), replace(first(), generated=("/etc/cni/net.d/10-flannel.conflist",)))
    run_apply(scene.site(), replace(second(), generated=("/run/flannel/docker",)))
    for path in ("/etc/cni/net.d/10-flannel.conflist", "/run/flannel/docker", "/etc/cni/net.d/20-theirs.conflist"):
        scene.put(path, "x")

    Reset(scene.site(), Wanted()).run()

    assert [each.name for each in (scene.root / "etc/cni/net.d").iterdir()] == ["20-theirs.conflist"]
    assert not (scene.root / "run/flannel/docker").exists()


def test_adopted_files_come_back(scene: Scene) -> None:
    """What was taken over is given back as it was."""
    scene.put(CONFIG, "theirs\n", 0o640)
    run_apply(scene.site(), replace(first(), adopt=True))

    Reset(scene.site(), Wanted()).run()

    assert scene.files() == {CONFIG: ("theirs\n", 0o640)}


def test_twice_is_harmless(scene: Scene) -> None:
    """A second reset, and one where nothing was ever applied, do nothing and fail nothing."""
    run_apply(scene.site(), first())
    Reset(scene.site(), Wanted()).run()
    files = scene.files()

    report = Reset(scene.site(), Wanted()).run()

    assert (report.done, report.failed) == ([], [])
    assert scene.files() == files


def test_a_failed_stop_is_collected_and_tried_again(scene: Scene) -> None:
    """A unit that does not stop is reported, the rest goes on, and the next reset knows what was left."""
    run_apply(scene.site(), first())
    scene.fail_on("disable --quiet -- kubelet.service")

    report = Reset(scene.site(), Wanted()).run()

    assert any("kubelet.service" in text for text in report.failed)
    assert scene.files() == {}
    assert scene.site().generations.numbers() == [1]
    scene.fail_on("")
    assert Reset(scene.site(), Wanted()).run().failed == []
    assert scene.site().generations.numbers() == []


def test_identity_and_data_stay_unless_asked_for(scene: Scene) -> None:
    """Certificate, key and data are kept and named; each purge takes its own only."""
    scene.put("/var/lib/kubelet/pki/kubelet-client-current.pem", "certificate\n")
    scene.put("/var/lib/kubelet/pods/one", "data\n")
    scene.put("/etc/kubernetes/kubelet.kubeconfig", "kubeconfig\n")
    run_apply(scene.site(), first())

    report = Reset(scene.site(), Wanted()).run()
    assert {"/etc/kubernetes/kubelet.kubeconfig", "/var/lib/kubelet/pki", "/var/lib/kubelet"} <= set(report.kept)
    assert (scene.root / "var/lib/kubelet/pods/one").exists()

    Reset(scene.site(), Wanted(purge_data=True)).run()
    assert [each.name for each in (scene.root / "var/lib/kubelet").iterdir()] == ["pki"]
    assert (scene.root / "etc/kubernetes/kubelet.kubeconfig").exists()

    Reset(scene.site(), Wanted(purge_identity=True, purge_data=True)).run()
    assert not (scene.root / "var/lib/kubelet").exists()
    assert not (scene.root / "etc/kubernetes/kubelet.kubeconfig").exists()


def test_the_plan_changes_nothing(scene: Scene) -> None:
    """--dry-run names every unit and file, and touches none."""
    run_apply(scene.site(), first())
    files, calls = scene.files(), len(scene.calls("systemctl"))

    steps = Reset(scene.site(), Wanted(purge_identity=True)).plan()

    assert scene.files() == files
    assert len(scene.calls("systemctl")) == calls
    assert {f"remove {each.path}" for each in first().files} <= set(steps)
    assert "stop, disable and remove kubelet.service" in steps


@_NEEDS_ROOT
def test_mounts_below_the_kubelet_are_taken_off_and_their_data_stays(scene: Scene, tmp_path: Path) -> None:
    """A volume below /var/lib/kubelet is unmounted, innermost first, and nothing in it is deleted."""
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "precious").write_text("data")
    point = scene.root / "var/lib/kubelet/pods/a/volume"
    point.mkdir(parents=True)
    run_apply(scene.site(), first())
    subprocess.run(["mount", "--bind", volume, point], check=True)

    report = Reset(scene.site(), Wanted(purge_identity=True, purge_data=True)).run()

    assert f"unmount {point}" in report.done
    assert not (scene.root / "var/lib/kubelet").exists()
    assert (volume / "precious").read_text() == "data"


@_NEEDS_ROOT
def test_deleting_never_crosses_a_mount(tmp_path: Path) -> None:
    """Even a bind mount of the same file system stops the walk."""
    volume, tree = tmp_path / "volume", tmp_path / "tree"
    volume.mkdir()
    (volume / "precious").write_text("data")
    (tree / "inside/point").mkdir(parents=True)
    (tree / "inside/file").write_text("ours")
    subprocess.run(["mount", "--bind", volume, tree / "inside/point"], check=True)
    try:
        left = remove_tree(tree)
    finally:
        subprocess.run(["umount", tree / "inside/point"], check=True)

    assert (volume / "precious").read_text() == "data"
    assert not (tree / "inside/file").exists()
    assert any("something is mounted there" in text for text in left)


def test_deleting_does_not_follow_links(tmp_path: Path) -> None:
    """A link in the tree goes, what it points to stays."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/precious").write_text("data")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/link").symlink_to("../outside")

    assert remove_tree(tmp_path / "tree") == []

    assert (tmp_path / "outside/precious").read_text() == "data"
    assert not (tmp_path / "tree").exists()


def test_mount_points_are_read_innermost_first() -> None:
    """Names with blanks are read as the kernel writes them; neighbours with a like beginning are left out."""
    table = (
        "1 0 0:1 / / rw - ext4 x rw\n2 1 0:2 / /var/lib/kubelet rw - ext4 x rw\n"
        "3 2 0:3 / /var/lib/kubelet/pods/a\\040b rw - tmpfs x rw\n"
        "4 2 0:4 / /var/lib/kubelet/pods/a\\040b/c rw - tmpfs x rw\n"
        "5 1 0:5 / /var/lib/kubelet-other rw - tmpfs x rw\n"
    )

    assert mount_points(table, Path("/var/lib/kubelet")) == [
        Path("/var/lib/kubelet/pods/a b/c"),
        Path("/var/lib/kubelet/pods/a b"),
    ]
