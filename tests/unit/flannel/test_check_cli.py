"""``kubectl nodegate flannel check`` as people and scripts call it."""

import json
from pathlib import Path

import pytest
import yaml

from tests.unit.cli.command import run

_GOOD = '{"Network":"172.30.0.0/16","Backend":{"Type":"vxlan"}}'
_VERSION = ("--flannel-version", "0.28.10")


def test_a_valid_config_is_an_object(tmp_path: Path) -> None:
    """The whole object, as scripts rely on it."""
    path = tmp_path / "config.json"
    path.write_text(_GOOD)

    done = run("flannel", "check", str(path), *_VERSION, "-o", "json")

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "apiVersion": "cli.nodegate.dev/v1",
        "kind": "FlannelConfigCheck",
        "flannelVersion": "0.28.10",
        "valid": True,
        "flannelAccepts": True,
        "refusal": None,
        "effective": {
            "EnableIPv4": True,
            "EnableIPv6": False,
            "EnableNFTables": False,
            "Network": "172.30.0.0/16",
            "SubnetLen": 24,
            "SubnetMin": "172.30.1.0",
            "SubnetMax": "172.30.255.0",
            "BackendType": "vxlan",
            "Backend": {
                "Type": "vxlan", "DirectRouting": False, "GBP": False, "Learning": False, "Port": 0, "VNI": 1,
            },
        },
        "problems": [],
    }  # fmt: skip


def test_a_config_comes_from_stdin_and_problems_are_listed() -> None:
    """An error and a warning, with field, message and severity; exit 1."""
    done = run("flannel", "check", "-", *_VERSION, "-o", "yaml", text='{"Network":"8.0.0.0/8","Comment":""}')
    found = yaml.safe_load(done.stdout)

    assert (done.returncode, done.stderr) == (1, "")
    assert (found["valid"], found["flannelAccepts"]) == (False, True)
    assert [(each["field"], each["severity"]) for each in found["problems"]] == [
        ("Network", "error"),
        ("Comment", "warning"),
    ]
    assert all(each["message"] for each in found["problems"])


def test_a_refused_config_has_no_values() -> None:
    """The words of flannel stand beside ours."""
    done = run("flannel", "check", "-", *_VERSION, "-o", "json", text="{}")
    found = json.loads(done.stdout)

    assert (done.returncode, found["flannelAccepts"], found["effective"]) == (1, False, None)
    assert found["refusal"] == "please define a correct Network parameter in the flannel config"


def test_text_is_for_people() -> None:
    """The verdict first, then what flannel does, then what is wrong."""
    done = run("flannel", "check", "-", "--flannel-version", "v0.7.1", text='{"Network":"172.30.0.0/24"}')

    assert done.returncode == 1
    assert done.stdout.startswith("invalid\nflannel 0.7.1 runs with it, and uses\n")
    assert "  SubnetLen: 25\n" in done.stdout
    assert "\n\nerror: SubnetLen: expected 26 to 30" in done.stdout


def test_warnings_leave_a_config_valid() -> None:
    """They are shown, and the exit code is 0."""
    done = run("flannel", "check", "-", *_VERSION, text='{"Network":"172.30.0.0/16","Comment":""}')

    assert done.returncode == 0
    assert done.stdout.startswith("valid, with warnings\n")
    assert "warning: Comment: " in done.stdout


def test_bytes_that_are_no_text_are_judged(tmp_path: Path) -> None:
    """A config is bytes in etcd; Go replaces what is no UTF-8."""
    path = tmp_path / "config.json"
    path.write_bytes(b'{"Network":"172.30.0.0/16","C":"\xff"}')

    assert run("flannel", "check", str(path), *_VERSION).returncode == 0


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("nonesuch.json", *_VERSION), "nonesuch.json: expected a file that can be read, found: No such file"),
        ((".", *_VERSION), "found: Is a directory"),
        (("-", "--flannel-version", "0.28"), "expected a flannel version such as 0.28.10, found 0.28"),
        (("-", "--flannel-version", "0.6.0"), "expected flannel 0.7.0 or newer"),
        (("-",), "the following arguments are required: --flannel-version"),
        ((), "the following arguments are required: FILE"),
        (("-", *_VERSION, "-o", "table"), "invalid choice"),
    ],
)
def test_what_cannot_be_used_ends_with_2(words: tuple[str, ...], found: str) -> None:
    """Nothing is judged and nothing is printed but one message."""
    done = run("flannel", "check", *words, text=_GOOD)

    assert (done.returncode, done.stdout) == (2, "")
    assert found in done.stderr


def test_more_than_etcd_can_hold_is_refused() -> None:
    """A file without end is not read to its end."""
    done = run("flannel", "check", "/dev/zero", *_VERSION)

    assert (done.returncode, done.stdout) == (2, "")
    assert "expected at most 1572864 bytes" in done.stderr


def test_flannel_alone_ends_with_usage() -> None:
    """The verb needs one of those below it."""
    done = run("flannel")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: kubectl nodegate flannel VERB")


def test_help_shows_examples() -> None:
    """Help says how it is called and what exit codes mean."""
    done = run("flannel", "check", "--help")

    assert done.stdout.startswith("usage: kubectl nodegate flannel check CONFIG --flannel-version VERSION [flags]")
    assert "\n  kubectl nodegate flannel check config.json" in done.stdout
