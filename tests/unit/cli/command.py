"""The plugin as people run it: a process of its own, with words in and words out.

Rules: the environment is bare, so that neither the tester's kubeconfig nor colours get in; the width is
100 columns unless a test says otherwise.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PROGRAM = (sys.executable, "-W", "error", "-m", "nodegate.cli")


def run(*words: str, text: str | None = None, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the plugin and return what it printed and its exit code."""
    return subprocess.run(
        [*PROGRAM, *words],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment(**(env or {})),
    )


def environment(**more: str) -> dict[str, str]:
    """Return the environment that the plugin runs in."""
    return {"PATH": os.environ["PATH"], "HOME": os.devnull, "COLUMNS": "100", **more}


def write(folder: Path, name: str, *bodies: Mapping[str, Any]) -> str:
    """Write objects to a JSON file, a List when they are not exactly one, and return its path."""
    path = folder / name
    body = bodies[0] if len(bodies) == 1 else {"apiVersion": "v1", "kind": "List", "items": list(bodies)}
    path.write_text(json.dumps(body), encoding="utf-8")
    return str(path)
