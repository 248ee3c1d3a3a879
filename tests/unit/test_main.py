"""The command as people start it: versions, mistakes, and what it says before anything runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nodegate import __version__
from nodegate.__main__ import main
from tests.builders import ROOT


def _nodegate(*arguments: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, in an environment without credentials."""
    clean = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "operator"), "HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-m", "nodegate", *arguments],
        env=clean | environment,
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_version(tmp_path: Path) -> None:
    """`nodegate version` prints the version and nothing else."""
    run = _nodegate("version", home=tmp_path)

    assert (run.returncode, run.stdout, run.stderr) == (0, f"{__version__}\n", "")


def test_version_in_process(capsys: pytest.CaptureFixture[str]) -> None:
    """The console script calls the same function."""
    assert main(["version"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"


def test_mistakes_stop_the_start(tmp_path: Path) -> None:
    """Every mistake is a line of its own, then what to do; nothing is started and nothing is a traceback."""
    run = _nodegate("operator", "--workers=0", "--listen=x", home=tmp_path, NODEGATE_TYPO="1")

    assert (run.returncode, run.stdout) == (2, "")
    lines = run.stderr.splitlines()
    assert [line.split(":")[1].strip() for line in lines[:3]] == ["NODEGATE_TYPO", "--listen", "--workers"]
    assert lines[3:] == ["nodegate: nothing was started; see `nodegate operator --help`"]


def test_mistakes_are_told_without_the_wait_for_kopf(capsys: pytest.CaptureFixture[str]) -> None:
    """The same in this process."""
    assert main(["operator", "--log-level=loud"]) == 2
    assert "--log-level: expected one of" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [(), ("--log-format=text",)])
def test_no_credentials(tmp_path: Path, flags: tuple[str, ...]) -> None:
    """Outside a pod and without a kubeconfig there is nobody to talk to: that is said, with what to do."""
    run = _nodegate("operator", *flags, home=tmp_path)

    assert run.returncode == 2
    assert run.stderr.startswith("nodegate: expected credentials for the API server, found none: give --kubeconfig")
    assert "Traceback" not in run.stderr


def _kubeconfig(folder: Path) -> Path:
    """Return a kubeconfig of an API server where nobody listens."""
    file = folder / "kubeconfig"
    file.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:9'}}]\n"
        "users: [{name: c, user: {token: t}}]\n"
        "contexts: [{name: c, context: {cluster: c, user: c}}]\n"
    )
    return file


def test_leading_needs_a_namespace(tmp_path: Path) -> None:
    """Outside a pod a Lease has no namespace by itself; that is a mistake, and nothing is left open."""
    flags = (f"--kubeconfig={_kubeconfig(tmp_path)}", "--leader-elect")

    run = _nodegate("operator", *flags, home=tmp_path)

    assert run.returncode == 2
    assert run.stderr.splitlines() == [
        "nodegate: --leader-elect: expected --lease-namespace outside a pod, found none",
        "nodegate: nothing was started; see `nodegate operator --help`",
    ]


@pytest.mark.parametrize("arguments", [(), ("operate",), ("operator", "extra"), ("version", "--workers=3")])
def test_other_words_are_usage_mistakes(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """What the command does not know is exit 2, with the usage."""
    run = _nodegate(*arguments, home=tmp_path)

    assert run.returncode == 2
    assert run.stderr.startswith("usage: nodegate")


def test_help_of_the_operator(tmp_path: Path) -> None:
    """`nodegate operator --help` lists flags with their variables."""
    run = _nodegate("operator", "--help", home=tmp_path)

    assert run.returncode == 0
    assert "[NODEGATE_BOOTSTRAP_GROUP]" in run.stdout
