"""The changing verbs from the command line, on a directory that stands for a host."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from nodegate_host.engine.atomic import Disk
from nodegate_host.engine.keys import fingerprint_of_key
from nodegate_host.engine.lock import held
from nodegate_host.exits import Exit
from tests.unit.host import sample

_MARK = "c2VjcmV0IHNlY3JldA"
_NAME = "/etc/kubernetes/kubelet-config.yaml"


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """Return the command's first words: a root and a node.yaml with all that it names."""
    root, home = tmp_path / "root", tmp_path / "home"
    root.mkdir(mode=0o755)
    home.mkdir()
    return ["--root", str(root), "-c", str(sample.place(home))]


def _call(words: list[str], *more: str) -> tuple[int, str, str]:
    return sample.call([*words, *more])


def _at(words: list[str], path: str) -> Path:
    return Path(words[1]) / path.lstrip("/")


def test_plan_diff_apply_and_again(words: list[str]) -> None:
    """Plan and diff tell of differences and change nothing; after apply there are none."""
    assert _call(words, "plan")[0] == Exit.OK
    assert _call(words, "plan", "--exit-code")[0] == Exit.DIFFERENT
    assert _call(words, "diff")[0] == Exit.DIFFERENT
    assert list(Path(words[1]).iterdir()) == []

    assert _call(words, "apply", "--yes")[0] == Exit.OK

    assert _call(words, "plan", "--exit-code")[0] == Exit.OK
    assert _call(words, "diff")[:2] == (Exit.OK, "")
    assert "nothing to do" in _call(words, "apply")[1]


def test_a_dry_run_changes_nothing(words: list[str]) -> None:
    """`apply --dry-run` is `plan`."""
    assert _call(words, "apply", "--dry-run")[1] == _call(words, "plan")[1]
    assert list(Path(words[1]).iterdir()) == []


def test_json_is_one_object_with_stable_ids(words: list[str]) -> None:
    """`-o json` prints one object of the documented form, without colour, whatever --color says."""
    for verb, kind in (("plan", "Plan"), ("diff", "Diff"), ("apply", "Apply"), ("status", "Status")):
        _, out, _ = _call(["-o", "json", "--color", "always", *words], verb)
        body = json.loads(out)
        assert (body["apiVersion"], body["kind"]) == ("cli.nodegate.dev/v1", kind)
        ids = [each["id"] for each in body["items"]]
        assert len(ids) == len(set(ids))
        assert "\033" not in out


def test_no_verb_shows_a_secret(words: list[str]) -> None:
    """What is in keys and kubeconfigs is in no output, before and after apply, nor when it changes."""
    inputs = [each for each in Path(words[3]).parent.iterdir() if b"PRIVATE KEY" in each.read_bytes()]
    inputs += [each for each in Path(words[3]).parent.iterdir() if b"clusters" in each.read_bytes()]
    assert len(inputs) > 1
    for number, verb in enumerate(("plan", "diff", "apply", "status", "diff", "diff")):
        for place in inputs:
            marked = place.read_text().replace("-----\n-----END", f"-----\n{_MARK}\n-----END")
            place.write_text(f"{marked}# {_MARK}{number // 3}\n")
        for form in ("text", "json"):
            _, out, err = _call(["-o", form, *words], verb)
            assert _MARK not in out + err
    assert any(_MARK in each.read_text() for each in Path(words[1]).rglob("*") if each.is_file())


def test_a_foreign_file_is_9_and_adopt_takes_it(words: list[str]) -> None:
    """Exit 9 names the file and --adopt; with it the file is ours, and rollback --to 0 gives it back."""
    place = _at(words, _NAME)
    place.parent.mkdir(parents=True)
    place.write_text("theirs\n")

    code, _, err = _call(words, "apply", "--yes")
    assert code == Exit.REFUSED
    assert _NAME in err
    assert "--adopt" in err
    assert place.read_text() == "theirs\n"

    assert _call(words, "apply", "--yes", "--adopt")[0] == Exit.OK
    assert _call(words, "rollback", "--to", "0")[0] == Exit.OK
    assert place.read_text() == "theirs\n"


def test_a_held_lock_is_7(words: list[str]) -> None:
    """Every changing verb ends with 7 while another process changes the host; looking is still possible."""
    with held(Disk(Path(words[1])), "apply"):
        for verb in ("apply", "rollback", "confirm", "reset"):
            more = ["--yes"] if verb in {"apply", "reset"} else []
            code, _, err = _call(words, verb, *more)
            assert code == Exit.LOCKED
            assert f"process {os.getpid()}" in err
        assert _call(words, "plan")[0] == Exit.OK


def test_generations_are_listed(words: list[str]) -> None:
    """The list marks the generation that holds."""
    _call(words, "apply", "--yes")
    _call(words, "rollback", "--to", "0")

    body = json.loads(_call(["-o", "json", *words], "rollback", "--list")[1])

    assert [(each["id"], each["holds"]) for each in body["items"]] == [(1, False), (2, True)]


def test_reset_asks_for_the_nodes_name(words: list[str]) -> None:
    """With --no-input reset refuses, and nothing is gone; with --yes it goes."""
    _call(words, "apply", "--yes")

    assert _call(words, "--no-input", "reset")[0] == Exit.USAGE
    assert _at(words, _NAME).exists()

    assert _call(words, "reset", "--yes")[0] == Exit.OK
    assert not _at(words, _NAME).exists()


def test_units_need_a_running_host(words: list[str]) -> None:
    """start, stop, restart, rejoin and --try say that they need the host's own systemd."""
    for more in (["start"], ["stop"], ["restart"], ["apply", "--try", "5m"], ["rejoin", "--bootstrap-kubeconfig", "x"]):
        code, _, err = _call(words, *more)
        assert code == Exit.USAGE
        assert "--root" in err


def test_an_unknown_unit_or_check_is_told(words: list[str]) -> None:
    """--only and --ignore name what is known."""
    assert "expected one of" in _call(words, "plan", "--only", "nginx")[2]
    assert "expected ids of checks" in _call(words, "apply", "--ignore", "no.such-check")[2]


def test_enroll_prints_what_enrollment_needs(words: list[str]) -> None:
    """Name and addresses are printed; without a key that could be pinned the reason stands in its place."""
    body = json.loads(_call(["-o", "json", *words], "enroll", "--print")[1])

    assert body["summary"]["name"]
    assert body["summary"]["addresses"]
    assert body["summary"]["publicKeySHA256"] is None
    assert "rotateCertificates" in body["summary"]["reason"]


def test_a_key_that_may_be_chosen_is_made_and_pinned(words: list[str]) -> None:
    """Without rotation the kubelet uses the key that it finds, so enroll makes it and prints its fingerprint."""
    config = Path(words[3])
    config.write_text(config.read_text() + "kubelet: {config: {rotateCertificates: false}}\n")

    first = json.loads(_call(["-o", "json", *words], "enroll", "--print")[1])["summary"]["publicKeySHA256"]
    second = json.loads(_call(["-o", "json", *words], "enroll", "--print")[1])["summary"]["publicKeySHA256"]

    key = _at(words, "/var/lib/kubelet/pki/kubelet-client.key.tmp")
    assert first == second == fingerprint_of_key(key.read_bytes())
    assert key.stat().st_mode & 0o777 == 0o600


def test_verify_judges_and_status_does_not(words: list[str]) -> None:
    """A node without a certificate is 6 for verify, with the answer by its id, and 0 for status."""
    _call(words, "apply", "--yes")

    code, out, _ = _call(["-o", "json", *words], "verify")
    results = {each["id"]: each["result"] for each in json.loads(out)["items"]}

    assert code == Exit.UNHEALTHY
    assert results["identity.certificate"] == "fail"
    assert results["files.applied"] == "pass"
    assert _call(words, "status")[0] == Exit.OK
