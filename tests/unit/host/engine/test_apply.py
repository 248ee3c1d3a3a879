"""Applying: what is written, started and remembered, and what is left when something fails."""

from __future__ import annotations

import os
import signal
import stat
from dataclasses import replace

import pytest

from nodegate_host.engine import journal
from nodegate_host.engine.states import Kind
from nodegate_host.errors import Stop
from nodegate_host.exits import Exit
from nodegate_host.model import File, Unit
from tests.unit.host.engine.scene import (
    BOOTSTRAP,
    CONFIG,
    KUBELET,
    PROXY_CONFIG,
    Scene,
    first,
    plan_of,
    run_apply,
    second,
    unit_text,
)


def _with(text: str, path: str = KUBELET) -> File:
    return File(path, text.encode(), units=("kubelet.service",))


def _changed(file: File) -> tuple[File, ...]:
    return tuple(file if each.path == file.path else each for each in first().files)


def test_a_fresh_host_gets_files_and_running_units(scene: Scene) -> None:
    """The first apply writes every file with its mode, enables and starts the units, and is generation 1."""
    outcome = run_apply(scene.site(), first())

    assert outcome is not None
    assert (outcome.code, outcome.generation) == (Exit.OK, 1)
    assert scene.read(CONFIG) == "maxPods: 110\n"
    assert stat.S_IMODE((scene.root / BOOTSTRAP.lstrip("/")).stat().st_mode) == 0o600
    assert scene.active() == {"kube-proxy.service": "active", "kubelet.service": "active"}
    assert scene.enabled() == ["kube-proxy.service", "kubelet.service"]
    assert journal.read(scene.site().disk) is None


def test_the_second_apply_changes_nothing(scene: Scene) -> None:
    """The same wish again plans no action, and systemd is only asked."""
    run_apply(scene.site(), first())
    before = len(scene.calls("systemctl"))

    assert run_apply(scene.site(), first()) is None
    assert all("show" in call for call in scene.calls("systemctl")[before:])
    assert scene.site().generations.state().generation == 1


def test_only_what_changed_restarts(scene: Scene) -> None:
    """A new kubelet configuration restarts the kubelet and leaves kube-proxy's process alone."""
    run_apply(scene.site(), first())
    proxy = (scene.home / "pid" / "kube-proxy.service").read_text()

    run_apply(scene.site(), replace(first(), files=_changed(_with("maxPods: 50\n", CONFIG))))

    assert (scene.home / "pid" / "kube-proxy.service").read_text() == proxy
    assert scene.calls("restart --no-block")[-1].endswith("kubelet.service")
    assert scene.runs_what_is_on_disk("kubelet.service")


def test_a_replaced_program_restarts_its_unit(scene: Scene) -> None:
    """A kubelet binary with other bytes is a reason to restart the kubelet, and only it."""
    scene.put("/usr/local/bin/kubelet", "one", 0o755)
    run_apply(scene.site(), first())
    scene.put("/usr/local/bin/kubelet", "two", 0o755)

    restarts = plan_of(scene.site(), first()).restarts

    assert [each.target for each in restarts] == ["kubelet.service"]
    assert "/usr/local/bin/kubelet" in restarts[0].why[0]


def test_a_failing_unit_takes_everything_back(scene: Scene) -> None:
    """A kubelet that fails with its new unit ends in exit 4, the old files and the old kubelet running."""
    run_apply(scene.site(), first())
    files = scene.files()

    outcome = run_apply(scene.site(), replace(first(), files=_changed(_with(unit_text("kubelet", "CRASH\n")))))

    assert outcome is not None
    assert (outcome.code, outcome.generation) == (Exit.ROLLED_BACK, 1)
    assert "kubelet.service" in outcome.message
    assert scene.files() == files
    assert scene.active()["kubelet.service"] == "active"
    assert scene.runs_what_is_on_disk("kubelet.service")
    assert scene.site().generations.numbers() == [1]


def test_a_unit_that_never_comes_up_takes_everything_back(scene: Scene) -> None:
    """A unit that stays activating is given up after the wait; on a fresh host nothing stays behind."""
    outcome = run_apply(scene.site(), replace(first(), files=_changed(_with(unit_text("kubelet", "HANG\n")))))

    assert outcome is not None
    assert outcome.code is Exit.ROLLED_BACK
    assert scene.files() == {}
    assert scene.enabled() == []
    assert set(scene.active().values()) == {"inactive"}


def test_a_failing_daemon_reload_takes_everything_back(scene: Scene) -> None:
    """When systemd refuses a command that the way back needs too, the outcome says so: exit 5, and a journal stays."""
    run_apply(scene.site(), first())
    files = scene.files()
    scene.fail_on("daemon-reload")

    outcome = run_apply(scene.site(), replace(first(), files=_changed(_with(unit_text("kubelet", "Nice=1\n")))))

    assert outcome is not None
    assert outcome.code is Exit.ROLLBACK_INCOMPLETE
    assert scene.files() == files
    assert journal.read(scene.site().disk) is not None
    scene.fail_on("")
    assert run_apply(scene.site(), first()) is None
    assert journal.read(scene.site().disk) is None


def test_a_file_that_somebody_else_changed_meanwhile_is_left(scene: Scene) -> None:
    """What was written by somebody between publishing and the way back stays, is told, and bars no later apply."""
    run_apply(scene.site(), first())

    def meddle(point: str) -> None:
        if point == "restart:kubelet.service":
            scene.put(CONFIG, "meddled\n")

    files = _changed(_with("maxPods: 1\n", CONFIG))
    broken = tuple(_with(unit_text("kubelet", "CRASH\n")) if each.path == KUBELET else each for each in files)
    outcome = run_apply(scene.site(meddle), replace(first(), files=broken))

    assert outcome is not None
    assert outcome.code is Exit.ROLLBACK_INCOMPLETE
    assert CONFIG in outcome.message
    assert scene.read(CONFIG) == "meddled\n"
    assert journal.read(scene.site().disk) is None
    run_apply(scene.site(), first())
    assert scene.read(CONFIG) == "maxPods: 110\n"


def test_a_unit_that_does_not_come_back_is_told_and_bars_nothing(scene: Scene) -> None:
    """When the old kubelet does not start either the exit is 5, with the old files, and the next apply is possible."""
    run_apply(scene.site(), first())
    files = scene.files()
    scene.fail_on("restart --no-block -- kubelet.service")

    outcome = run_apply(scene.site(), replace(first(), files=_changed(_with("maxPods: 1\n", CONFIG))))

    assert outcome is not None
    assert outcome.code is Exit.ROLLBACK_INCOMPLETE
    assert scene.files() == files
    scene.fail_on("")
    run_apply(scene.site(), replace(first(), files=_changed(_with("maxPods: 2\n", CONFIG))))
    assert scene.runs_what_is_on_disk("kubelet.service")


def test_units_that_systemd_does_not_accept_change_nothing(scene: Scene) -> None:
    """A misspelt key is found before anything is touched: exit 3, with systemd's own words."""
    run_apply(scene.site(), first())
    files = scene.files()

    with pytest.raises(Stop, match="Unknown key name 'Typo'") as caught:
        run_apply(scene.site(), replace(first(), files=_changed(_with(unit_text("kubelet", "Typo=1\n")))))

    assert caught.value.code is Exit.PREFLIGHT
    assert scene.files() == files


def test_ctrl_c_takes_everything_back(scene: Scene) -> None:
    """SIGINT in the middle of publishing is 130, with the files as before."""
    run_apply(scene.site(), first())
    files = scene.files()

    def interrupt(point: str) -> None:
        if point == f"published:{CONFIG}":
            os.kill(os.getpid(), signal.SIGINT)

    outcome = run_apply(scene.site(interrupt), replace(first(), files=_changed(_with("maxPods: 1\n", CONFIG))))

    assert outcome is not None
    assert outcome.code is Exit.INTERRUPTED
    assert scene.files() == files
    assert journal.read(scene.site().disk) is None


def test_drift_is_shown_put_back_and_restarts(scene: Scene) -> None:
    """A hand-edited file is told as drifted, comes back, and its unit restarts, for it may run with the edit."""
    run_apply(scene.site(), first())
    scene.put(CONFIG, "maxPods: 7\n")

    plan = plan_of(scene.site(), first())
    run_apply(scene.site(), first())

    assert [(each.path, each.kind) for each in plan.changes if each.writes] == [(CONFIG, Kind.DRIFTED)]
    assert [each.target for each in plan.restarts] == ["kubelet.service"]
    assert scene.read(CONFIG) == "maxPods: 110\n"


def test_a_wrong_mode_is_drift(scene: Scene) -> None:
    """A secret that was opened to others is put back to 0600."""
    run_apply(scene.site(), first())
    (scene.root / BOOTSTRAP.lstrip("/")).chmod(0o644)

    run_apply(scene.site(), first())

    assert scene.files()[BOOTSTRAP][1] == 0o600


def test_a_foreign_file_is_refused(scene: Scene) -> None:
    """Somebody else's file stops the plan with a sentence that names --adopt."""
    scene.put(CONFIG, "theirs\n")

    refused = plan_of(scene.site(), first()).refused

    assert len(refused) == 1
    assert CONFIG in refused[0]
    assert "--adopt" in refused[0]


def test_an_adopted_file_is_kept_and_comes_back(scene: Scene) -> None:
    """An adopted file is overwritten, copied into generation 0, and restored when it is no longer wanted."""
    scene.put(CONFIG, "theirs\n", 0o640)

    run_apply(scene.site(), replace(first(), adopt=True))
    assert scene.read(CONFIG) == "maxPods: 110\n"

    run_apply(scene.site(), replace(first(), files=tuple(each for each in first().files if each.path != CONFIG)))
    assert scene.files()[CONFIG] == ("theirs\n", 0o640)


def test_a_file_that_is_no_longer_wanted_but_edited_stays(scene: Scene) -> None:
    """What somebody changed is not deleted; the plan says so."""
    run_apply(scene.site(), first())
    scene.put(CONFIG, "mine now\n")
    wish = replace(first(), files=tuple(each for each in first().files if each.path != CONFIG))

    plan = plan_of(scene.site(), wish)
    run_apply(scene.site(), wish)

    assert any(CONFIG in note for note in plan.notes)
    assert scene.read(CONFIG) == "mine now\n"


def test_a_unit_that_is_no_longer_wanted_stops(scene: Scene) -> None:
    """Taking kube-proxy out stops it, disables it and removes its files."""
    run_apply(scene.site(), first())

    run_apply(scene.site(), second())

    assert scene.active()["kube-proxy.service"] == "inactive"
    assert scene.enabled() == ["kubelet.service"]
    assert "/etc/systemd/system/kube-proxy.service" not in scene.files()


@pytest.mark.parametrize("path", ["/etc/systemd/system/kubelet.service"])
def test_a_masked_unit_is_refused(scene: Scene, path: str) -> None:
    """A mask is an administrator's no; the plan names unmask and writes nothing over the link."""
    place = scene.root / path.lstrip("/")
    place.parent.mkdir(parents=True)
    place.symlink_to("/dev/null")

    refused = plan_of(scene.site(), first()).refused

    assert refused == ("kubelet.service is masked; if it is to run, systemctl unmask it",)


def test_only_limits_an_apply_to_a_unit(scene: Scene) -> None:
    """With --only kube-proxy the kubelet's files stay as applied, and the new generation still has them."""
    run_apply(scene.site(), first())
    files = [replace(each, content=b"maxPods: 1\n") if each.path == CONFIG else each for each in first().files]
    files = [replace(each, content=b"mode: nftables\n") if each.path == PROXY_CONFIG else each for each in files]
    wish = replace(first(), files=tuple(files), only=frozenset({"kube-proxy.service"}))

    run_apply(scene.site(), wish)

    assert scene.read(CONFIG) == "maxPods: 110\n"
    assert scene.read(PROXY_CONFIG) == "mode: nftables\n"
    manifest = scene.site().generations.load(2)
    assert {each.path for each in manifest.files} == {each.path for each in first().files}
    assert scene.site().generations.object(2, first().files[1].sha256) == b"maxPods: 110\n"


def test_files_of_the_host_take_effect_at_once(scene: Scene) -> None:
    """Modules are loaded before sysctls are set, and a running NetworkManager is told to read again, not restarted."""
    paths = ("/etc/sysctl.d/90-x.conf", "/etc/modules-load.d/x.conf", "/etc/NetworkManager/conf.d/90-x.conf")
    (scene.home / "stranger/NetworkManager.service").touch()
    (scene.home / "active/NetworkManager.service").write_text("active\n")
    (scene.home / "pid/NetworkManager.service").write_text("7\n")

    run_apply(scene.site(), replace(first(), files=(*first().files, *(File(path, b"x\n") for path in paths))))

    calls = [call for call in scene.calls("systemctl re") if "systemd-" in call or "NetworkManager" in call]
    assert calls == [
        "systemctl reload -- NetworkManager.service",
        "systemctl restart -- systemd-modules-load.service",
        "systemctl restart -- systemd-sysctl.service",
    ]


def test_without_start_nothing_starts(scene: Scene) -> None:
    """--no-start writes and enables, and the next apply starts what does not run."""
    run_apply(scene.site(), replace(first(), start=False))
    assert scene.active() == {}

    run_apply(scene.site(), first())
    assert set(scene.active().values()) == {"active"}


def test_by_hand_leaves_units_running(scene: Scene) -> None:
    """With `restart: manual` a changed unit is named, with its reason, and not restarted."""
    run_apply(scene.site(), first())
    wish = replace(first(), files=_changed(_with("maxPods: 50\n", CONFIG)), restart=False)

    plan = plan_of(scene.site(), wish)

    assert plan.restarts == ()
    assert any("kubelet.service needs a restart" in note for note in plan.notes)


def test_a_new_lease_restarts_docker(scene: Scene) -> None:
    """Docker restarts when flannel's options file is not the one that it was started with, and the plan says why."""
    (scene.home / "stranger" / "docker.service").touch()
    drop_in = File(
        "/etc/systemd/system/docker.service.d/10-nodegate-flannel.conf", b"[Service]\n", units=("docker.service",)
    )
    wish = replace(first(), files=(*first().files, drop_in), units=(Unit("docker.service", ours=False), *first().units))
    scene.put("/run/flannel/docker", "--bip=10.244.1.1/24")
    run_apply(scene.site(), wish)
    scene.put("/run/flannel/docker", "--bip=10.244.9.1/24")

    restarts = plan_of(scene.site(), wish).restarts

    assert [each.target for each in restarts] == ["docker.service"]
    assert "/run/flannel/docker" in restarts[0].why[0]
    assert "container" in restarts[0].effect


def test_generations_are_pruned(scene: Scene) -> None:
    """The last five generations stay."""
    for pods in range(1, 9):
        run_apply(scene.site(), replace(first(), files=_changed(_with(f"maxPods: {pods}\n", CONFIG))))

    assert scene.site().generations.numbers() == [4, 5, 6, 7, 8]


def test_state_is_private(scene: Scene) -> None:
    """Everything that the tool remembers is root's alone."""
    run_apply(scene.site(), first())

    modes = {stat.S_IMODE(each.stat().st_mode) for each in (scene.root / "var/lib/nodegate").rglob("*")}

    assert modes == {0o700, 0o600}
