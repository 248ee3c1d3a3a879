"""flannel's own parser as a program: config texts go in, flannel's verdicts and filled-in values come out.

Rules: the program is built from the pinned module beside this file, once for each state of its sources, into
the cache of the other programs, or taken from `$NODEGATE_BIN_DIR`. It appears in the cache only complete.
"""

import base64
import json
import os
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hack.cluster.binaries import Log, Module, cache_root
from hack.cluster.toolchain import build_program, find_go

PROGRAM = "flannel-truth"
_HERE = Path(__file__).resolve().parent
_MODULE = Module(_HERE, {PROGRAM: "."}, {PROGRAM: 0.3}, sources=("go.mod", "go.sum", "main.go"))


def find_program(log: Log | None = None) -> Path:
    """Return the program, built when there is no other way.

    Args:
        log: Called with each line of progress.

    Raises:
        NotBuildable: There is no Go and no way to get one.
        BuildFailed: The Go compiler refused, or the module could not be had.
    """
    say = log or (lambda _: None)
    given = Path(os.environ.get("NODEGATE_BIN_DIR") or os.devnull) / PROGRAM
    found = given if os.access(given, os.X_OK) else _MODULE.cache() / PROGRAM
    if not os.access(found, os.X_OK):
        found.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="build-", dir=found.parent) as scratch:
            say(f"building {PROGRAM} (about {_MODULE.minutes[PROGRAM]:g} min on two cores)")
            built = Path(scratch) / PROGRAM
            build_program(find_go(cache_root(), say), _HERE, _MODULE.packages[PROGRAM], built, "-s -w", say)
            built.replace(found)
    return found


def ask(program: Path, texts: Iterable[bytes]) -> list[dict[str, Any]]:
    """Return flannel's verdict of each config text: ``ok``, ``error``, and ``ipv4`` and ``ipv6`` when enabled."""
    encoded = json.dumps([base64.b64encode(text).decode() for text in texts])
    done = subprocess.run([str(program)], input=encoded, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]
