"""The command line itself: help, exit codes, late imports, terminals, completion."""

import errno
import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nodegate import __version__
from nodegate.cli.__main__ import parser
from nodegate.cli.completion import complete
from tests.unit.cli import samples
from tests.unit.cli.command import PROGRAM, environment, run, write

SLOW = ("kubernetes", "aiohttp", "kopf", "prometheus_client", "rich", "urllib3")
VERBS = ("explain", "list", "watch", "doctor", "lint", "flannel", "import", "token", "bundle", "version", "completion")


@pytest.mark.parametrize("words", [(), ("--help",)])
def test_help_shows_the_verbs(words: tuple[str, ...]) -> None:
    """Without words, as with --help, the verbs are shown, and the program is called as people call it."""
    done = run(*words)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: kubectl nodegate VERB [flags]")
    assert all(f"    {verb} " in done.stdout for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_ends_with_examples(verb: str) -> None:
    """Every verb says how it is called and gives examples to copy."""
    done = run(verb, "--help")

    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: kubectl nodegate {verb} ")
    assert f"\n  kubectl nodegate {verb}" in done.stdout


@pytest.mark.parametrize("words", [("nonsense",), ("explain", "--nonsense"), ("--nonsense",)])
def test_unknown_words_end_with_usage(words: tuple[str, ...]) -> None:
    """An unknown verb or flag is exit 2 with the usage."""
    done = run(*words)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: kubectl nodegate")


def test_version_tells_the_rule_set() -> None:
    """The version names the rules, for people and as an object."""
    assert run("version").stdout.startswith(f"nodegate {__version__}, rule set ")
    assert json.loads(run("version", "-o", "json").stdout)["version"] == __version__


def test_offline_work_imports_nothing_slow(tmp_path: Path) -> None:
    """Neither help nor offline verbs import what only the cluster or a terminal needs."""
    csr, enrollment = (
        write(tmp_path, "csr.json", samples.bootstrap()),
        write(tmp_path, "e.json", samples.enrollment()),
    )
    nodes = write(tmp_path, "n.json", samples.node())
    program = (
        "import sys\n"
        "from nodegate.cli.__main__ import main\n"
        f"main(['explain', '-f', {csr!r}, '--with', {enrollment!r}]); main(['list', '-f', {enrollment!r}])\n"
        "main(['version'])\n"
        f"main(['lint', {enrollment!r}]); main(['import', '-f', {nodes!r}])\n"
        f"found = sorted(set({SLOW!r}) & set(sys.modules))\n"
        "sys.exit(f'imported: {found}' if found else 0)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment()
    )

    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("package", ["kubernetes", "urllib3"])
def test_the_optional_package_is_named_when_it_is_needed(package: str) -> None:
    """Without the package that asks the cluster, a verb that needs it says what to install."""
    program = (
        "import sys\n"
        f"sys.modules[{package!r}] = None\n"
        "from nodegate.cli.__main__ import main\n"
        "sys.exit(main(['list']))\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment()
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert f"expected the package {package}" in done.stderr
    assert "nodegate[plugin]" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def on_terminal(*words: str, **env: str) -> str:
    """Run the plugin with a terminal as stdout, and return everything that it wrote there."""
    leader, follower = pty.openpty()
    with subprocess.Popen([*PROGRAM, *words], stdout=follower, env=environment(**env)) as process:
        os.close(follower)
        written = b""
        while part := _read(leader):
            written += part
        os.close(leader)
        assert process.wait(60) == 0
    return written.decode().replace("\r\n", "\n")


def _read(leader: int) -> bytes:
    try:
        return os.read(leader, 65536)
    except OSError as error:
        if error.errno != errno.EIO:  # Linux' way of saying that the terminal was closed.
            raise
        return b""


def test_colour_only_on_a_terminal_that_wants_it(tmp_path: Path) -> None:
    """On a terminal there is colour, without it or with NO_COLOR there is none, and the words are the same."""
    words = ("explain", "-f", write(tmp_path, "csr.json", samples.bootstrap()), "--at", samples.AT)
    piped = run(*words).stdout

    coloured = on_terminal(*words, TERM="xterm-256color")
    uncoloured = on_terminal(*words, TERM="xterm-256color", NO_COLOR="1")

    assert "\x1b[" in coloured
    assert "\x1b[" not in piped
    assert uncoloured == piped
    assert on_terminal(*words, TERM="dumb") == piped
    assert _without_colour(coloured) == piped


def _without_colour(text: str) -> str:
    parts = text.split("\x1b[")
    return parts[0] + "".join(part.partition("m")[2] for part in parts[1:])


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    """When the reader of a long output leaves, the plugin ends quietly."""
    file = write(tmp_path, "many.json", *(samples.bootstrap(f"csr-{number}") for number in range(200)))
    with subprocess.Popen(
        [*PROGRAM, "explain", "-f", file, "-o", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        complaint = process.stderr.read()

    assert (process.returncode, complaint) == (141, b"")


def test_interruption_ends_with_130(tmp_path: Path) -> None:
    """Ctrl-C while it waits for input ends it with 130 and without a traceback."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen([*PROGRAM, "explain", "-f", str(pipe)], stderr=subprocess.PIPE, env=environment()) as process:
        assert process.stderr is not None
        writer = os.open(pipe, os.O_WRONLY)  # Returns once the plugin opens it.
        time.sleep(0.3)  # Long enough for it to be reading, so that nothing is left half open.
        process.send_signal(signal.SIGINT)
        complaint = process.stderr.read()
        os.close(writer)

    assert (process.returncode, complaint) == (130, b"")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "kubectl"])
def test_completion_scripts_ask_the_plugin(shell: str) -> None:
    """Every script calls the hidden verb of the installed program."""
    done = run("completion", shell)

    assert done.returncode == 0
    assert "kubectl-nodegate __complete" in done.stdout


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_completion_scripts_are_well_formed(shell: str) -> None:
    """The shells themselves accept the scripts."""
    script = run("completion", "bash" if shell == "bash" else "kubectl").stdout

    assert subprocess.run([shell, "-n"], input=script, text=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], [*VERBS, ":4"]),
        (["e"], ["explain", ":4"]),
        (["l"], ["list", "lint", ":4"]),
        (["lint", ""], [":0"]),
        (["lint", "a.yaml", "--str"], ["--strict", ":4"]),
        (["import", "-f", ""], [":0"]),
        (["import", "--mode", ""], ["Enforce", "Audit", ":4"]),
        (["token", "node-a", "--output-file", ""], [":0"]),
        (["watch", "-o", ""], ["table", "json", ":4"]),
        (["doctor", "--bo"], ["--bootstrap-group", ":4"]),
        (["list", "--ph"], ["--phase", ":4"]),
        (["list", "--phase", "J"], ["Joined", ":4"]),
        (["explain", "-f", ""], [":0"]),
        (["explain", "-f", "a.yaml", "--with", "b.yaml", ""], [":0"]),
        (["explain", "--context", ""], [":4"]),
        (["version", "-o", ""], ["table", "json", "yaml", ":4"]),
        (["completion", "z"], ["zsh", ":4"]),
        (["flannel", "c"], ["check", ":4"]),
        (["flannel", "check", ""], [":0"]),
        (["flannel", "check", "a.json", "-o", ""], ["text", "json", "yaml", ":4"]),
        (["flannel", "check", "a.json", "--fl"], ["--flannel-version", ":4"]),
        (["nonsense", ""], [":4"]),
    ],
)
def test_words_are_completed(words: list[str], expected: list[str]) -> None:
    """Verbs, flags and their values are offered; files only where a file may stand."""
    assert complete(parser(), words).splitlines() == expected


def test_completion_of_names_never_fails_aloud() -> None:
    """Without a cluster no names are offered, and nothing is said."""
    for verb in ("explain", "token", "bundle"):
        done = run("__complete", verb, "")

        assert (done.returncode, done.stdout, done.stderr) == (0, ":4\n", "")
