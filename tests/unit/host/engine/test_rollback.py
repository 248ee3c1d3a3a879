"""Going back: to the generation before, to a named one, to the host before us; and generations on trial."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nodegate_host.engine import trying
from nodegate_host.engine.apply import Order
from nodegate_host.engine.records import Trying
from nodegate_host.engine.rollback import go, target_of, way_to
from nodegate_host.errors import Stop
from nodegate_host.exits import Exit
from nodegate_host.model import File
from tests.unit.host.engine.scene import CONFIG, KUBELET, Scene, first, run_apply, second, unit_text

_COMMAND = trying.Command(("nodegate-host",), {"PYTHONPATH": "somewhere"})


def _pods(count: int) -> tuple[File, ...]:
    text = f"maxPods: {count}\n".encode()
    return tuple(replace(each, content=text) if each.path == CONFIG else each for each in first().files)


def _back(scene: Scene, wanted: int | None = None) -> Exit:
    site = scene.site()
    return go(site, way_to(site, target_of(site.generations, wanted))).code


def _stopped_after_it_was_armed(scene: Scene, name: str) -> bool:
    calls = [call for call in scene.calls(name) if "systemd-run" in call or "stop --" in call]
    return any("systemd-run" in call for call in calls) and "stop --" in calls[-1]


def test_back_to_the_generation_before(scene: Scene) -> None:
    """Files, units and adopted content are as they were, and the kubelet runs with them."""
    scene.put("/etc/other/theirs.conf", "theirs\n", 0o640)
    run_apply(scene.site(), first())
    files = scene.files()
    run_apply(scene.site(), second())

    assert _back(scene) is Exit.OK

    assert scene.files() == files
    assert scene.active() == {"kube-proxy.service": "active", "kubelet.service": "active"}
    assert scene.enabled() == ["kube-proxy.service", "kubelet.service"]
    assert scene.runs_what_is_on_disk("kubelet.service")


def test_twice_back_goes_further_back(scene: Scene) -> None:
    """A second rollback does not return to what the first one left."""
    for count in (1, 2, 3):
        run_apply(scene.site(), replace(first(), files=_pods(count)))

    _back(scene)
    assert scene.read(CONFIG) == "maxPods: 2\n"
    _back(scene)
    assert scene.read(CONFIG) == "maxPods: 1\n"


def test_back_to_a_named_generation(scene: Scene) -> None:
    """--to takes any generation that is kept, and refuses one that is not."""
    for count in (1, 2, 3):
        run_apply(scene.site(), replace(first(), files=_pods(count)))

    _back(scene, 1)

    assert scene.read(CONFIG) == "maxPods: 1\n"
    with pytest.raises(Stop, match="generation 77 is not on this host"):
        _back(scene, 77)


def test_back_to_the_host_before_us(scene: Scene) -> None:
    """Generation 0: nothing of ours is left, and adopted files are as their owners had them."""
    scene.put(CONFIG, "theirs\n", 0o640)
    run_apply(scene.site(), replace(first(), adopt=True))

    assert _back(scene, 0) is Exit.OK

    assert scene.files() == {CONFIG: ("theirs\n", 0o640)}
    assert set(scene.active().values()) == {"inactive"}
    assert scene.enabled() == []


def test_nothing_to_go_back_to(scene: Scene) -> None:
    """Where nothing was applied, rollback says so."""
    with pytest.raises(Stop, match="nothing was ever applied"):
        _back(scene)


def test_a_rollback_to_unwell_units_stays_there(scene: Scene) -> None:
    """When the old generation's kubelet fails as well, the host stays there and the exit is 6."""
    run_apply(scene.site(), first())
    run_apply(scene.site(), replace(first(), files=_pods(2)))
    scene.fail_on("nothing-matches")
    site = scene.site()
    way = way_to(site, target_of(site.generations, 1))
    broken = tuple(
        replace(each, content=unit_text("kubelet", "CRASH\n").encode()) if each.path == KUBELET else each
        for each in way.wish.files
    )
    wish = replace(way.wish, files=broken)

    outcome = run_apply(site, wish, Order("rollback to 1", 0, insist=False))

    assert outcome is not None
    assert outcome.code is Exit.UNHEALTHY
    assert [each.unit for each in outcome.unwell] == ["kubelet.service"]
    assert site.generations.state().generation == outcome.generation


def test_a_trial_arms_a_timer_before_and_after(scene: Scene) -> None:
    """The timer is armed before the first file changes and anew at the end; it runs rollback for this generation."""
    run_apply(scene.site(), first())
    points: list[tuple[str, int]] = []

    def at(point: str) -> None:
        points.append((point, len(scene.calls("systemd-run"))))

    run_apply(scene.site(at), replace(first(), files=_pods(2)), Order("apply", 1, try_s=300, command=_COMMAND))

    assert dict(points)["staged:" + CONFIG] == 1
    calls = scene.calls("systemd-run")
    assert [
        f"--unit=nodegate-host-try-2-{stage}" in call
        for stage, call in zip(("changing", "deciding"), calls, strict=True)
    ] == [True, True]
    assert calls[1].endswith("-- nodegate-host rollback --if-trying 2")
    assert "--on-active=300s" in calls[1]
    assert _stopped_after_it_was_armed(scene, "nodegate-host-try-2-changing")
    assert not _stopped_after_it_was_armed(scene, "nodegate-host-try-2-deciding")
    assert scene.site().generations.state().trying == Trying(2, 1, "nodegate-host-try-2-deciding.timer", 1_300.0)


def test_confirm_keeps_it(scene: Scene) -> None:
    """After confirm nothing is on trial and the timer is stopped."""
    run_apply(scene.site(), first(), Order("apply", 0, try_s=300, command=_COMMAND))

    assert trying.confirm(scene.site()) is not None

    assert scene.site().generations.state().trying is None
    assert _stopped_after_it_was_armed(scene, "nodegate-host-try-1-deciding")
    assert trying.confirm(scene.site()) is None


def test_a_failed_trial_stops_its_timer(scene: Scene) -> None:
    """An apply on trial that takes itself back leaves no timer behind."""
    run_apply(scene.site(), first())
    broken = tuple(
        replace(each, content=unit_text("kubelet", "CRASH\n").encode()) if each.path == KUBELET else each
        for each in first().files
    )

    run_apply(scene.site(), replace(first(), files=broken), Order("apply", 1, try_s=300, command=_COMMAND))

    assert _stopped_after_it_was_armed(scene, "nodegate-host-try-2-changing")
    assert scene.site().generations.state().trying is None


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("5m", 300), ("1h30m", 5400), ("0", 0)])
def test_durations_are_read(text: str, seconds: int) -> None:
    """Durations are written as people do."""
    assert trying.seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1", "5 m", "1.5h"])
def test_odd_durations_are_refused(text: str) -> None:
    """Anything else is told, not guessed."""
    with pytest.raises(Stop, match="expected a duration"):
        trying.seconds_of(text)
