"""kill -9 at every point of an apply, and of its way back: the next run ends where an uninterrupted one does."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from nodegate_host.engine import journal
from nodegate_host.engine.recovery import recover
from nodegate_host.engine.states import Wish
from tests.unit.host.engine.crashing import apply_and_die, failing
from tests.unit.host.engine.scene import Scene, first, link_scripts, make_scene, plan_of, run_apply, second


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a host that the first wish was applied to, and somebody else's file."""
    folder = tmp_path_factory.mktemp("applied")
    scene = make_scene(folder)
    scene.put("/etc/other/theirs.conf", "theirs\n", 0o640)
    with pytest.MonkeyPatch.context() as patch:
        _on_path(folder, patch)
        run_apply(scene.site(), first())
    return folder


_PATH = os.environ["PATH"]

# Each point is two runs of the engine with a dozen calls of the scripts; a busy machine needs minutes for all.
pytestmark = pytest.mark.timeout(300)


def _copy(applied: Path, folder: Path) -> Scene:
    """Return a copy of the host, so that each crash has its own."""
    shutil.copytree(applied, folder, symlinks=True, dirs_exist_ok=True)
    scene = Scene(folder / "root", folder / "home")
    link_scripts(scene, folder / "bin")
    return scene


def _on_path(folder: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("PATH", f"{folder / 'bin'}:{_PATH}")


def _points(applied: Path, folder: Path, wish: Wish) -> list[str]:
    scene = _copy(applied, folder)
    with pytest.MonkeyPatch.context() as patch:
        _on_path(folder, patch)
        code, points = apply_and_die(scene, wish, "nowhere")
    assert code == 0
    return list(dict.fromkeys(points))


@pytest.fixture(scope="module")
def points(applied: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return every point that an apply of the second wish passes."""
    return _points(applied, tmp_path_factory.mktemp("points"), second())


@pytest.fixture(scope="module")
def points_back(applied: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return every point of an apply that fails and goes back."""
    return _points(applied, tmp_path_factory.mktemp("points-back"), failing())


def test_there_are_points_everywhere(points: list[str], points_back: list[str]) -> None:
    """Every phase has a point, so that the tests below do kill in each."""
    assert {each.partition(":")[0] for each in points} >= {
        "recorded", "journal", "staged", "published", "stop", "disable", "reloaded", "restart", "healthy", "committed",
        "cleared",
    }  # fmt: skip
    assert {each for each in points_back if each.startswith("undone")} >= {"undone", "undone:kubelet.service"}


def _assert_is_second(scene: Scene) -> None:
    assert {path: text for path, (text, _) in scene.files().items()} == {
        each.path: each.content.decode() for each in second().files
    }
    assert scene.active() == {"kube-proxy.service": "inactive", "kubelet.service": "active"}
    assert scene.enabled() == ["kubelet.service"]
    assert scene.runs_what_is_on_disk("kubelet.service")
    assert plan_of(scene.site(), second()).is_empty
    assert journal.read(scene.site().disk) is None


def _assert_is_first(scene: Scene) -> None:
    files = {each.path: (each.content.decode(), each.mode) for each in first().files}
    assert scene.files() == {**files, "/etc/other/theirs.conf": ("theirs\n", 0o640)}
    assert scene.active() == {"kube-proxy.service": "active", "kubelet.service": "active"}
    assert scene.enabled() == ["kube-proxy.service", "kubelet.service"]
    assert scene.runs_what_is_on_disk("kubelet.service")
    assert journal.read(scene.site().disk) is None


def _killed_at(applied: Path, folder: Path, point: str, wish: Wish, patch: pytest.MonkeyPatch) -> Scene:
    scene = _copy(applied, folder)
    _on_path(folder, patch)
    assert apply_and_die(scene, wish, point)[0] == -signal.SIGKILL
    return scene


def test_apply_after_a_crash_converges(
    applied: Path, points: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the point, applying again gives the second wish, running, with nothing left over."""
    for number, point in enumerate(points):
        scene = _killed_at(applied, tmp_path / str(number), point, second(), monkeypatch)

        run_apply(scene.site(), second())

        _assert_is_second(scene)


def test_recovery_after_a_crash_gives_one_or_the_other(
    applied: Path, points: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the commit recovery gives the first wish, after it the second; never something between."""
    for number, point in enumerate(points):
        scene = _killed_at(applied, tmp_path / str(number), point, second(), monkeypatch)

        recover(scene.site())

        is_committed = points.index(point) >= points.index("committed")
        (_assert_is_second if is_committed else _assert_is_first)(scene)


def test_a_crash_on_the_way_back_is_undone_too(
    applied: Path, points_back: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at any point of the way back, the next recovery still gives the first wish."""
    for number, point in enumerate(each for each in points_back if each.startswith("undone")):
        scene = _killed_at(applied, tmp_path / str(number), point, failing(), monkeypatch)

        recover(scene.site())

        _assert_is_first(scene)
