"""What the tests of nodegate-host share: a node.yaml that is right, ways to spoil it, and the command itself."""

import io
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from hack.host_golden import INPUTS, node_yaml
from nodegate_host.cli import main
from nodegate_host.errors import ConfigInvalid, sentence
from nodegate_host.inputs import wanted
from nodegate_host.model import NodeConfig
from nodegate_host.parse import parse

GOOD = node_yaml(36, "containerd", "iptables")
"""Valid as it is."""


def spoiled(*pairs: tuple[str, str], text: str = GOOD) -> str:
    """Return the text with each first string replaced by the second; each must be there exactly once."""
    for old, new in pairs:
        assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
        text = text.replace(old, new)
    return text


def mistakes(text: str) -> list[str]:
    """Return every mistake of a node.yaml, as sentences; empty when it is valid."""
    try:
        parse(text, "n")
    except ConfigInvalid as invalid:
        return [sentence(invalid.source, problem) for problem in invalid.problems]
    return []


def place(folder: Path, text: str = GOOD) -> Path:
    """Write a node.yaml and everything that it names into `folder`, and return its path."""
    config: NodeConfig = parse(text)
    for each in wanted(config):
        (folder / each.source).write_bytes(INPUTS[each.form])
    path = folder / "node.yaml"
    path.write_text(text)
    return path


def run(*words: str, stdin: str | None = None) -> "subprocess.CompletedProcess[str]":
    """Run nodegate-host as a program of its own."""
    command = [sys.executable, "-m", "nodegate_host", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, input=stdin, timeout=60)


def call(words: Sequence[str]) -> tuple[int, str, str]:
    """Run nodegate-host in this process and return its code and what it said; for tests that run it often."""
    out, err = io.StringIO(), io.StringIO()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = out, err
    try:
        code = main(words)
    finally:
        sys.stdout, sys.stderr = before
    return int(code), out.getvalue(), err.getvalue()
