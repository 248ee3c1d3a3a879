"""What the tests of the monitoring component share: its dashboard's panels and questions, and `promtool`."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.manifests.shipped import BASE

COMPONENT = BASE.parent / "components" / "monitoring"
DASHBOARD = COMPONENT / "dashboard.json"

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None,
    reason="nobody has checked the PromQL of alerts and dashboard: promtool is not on PATH (Debian package prometheus)",
)


def panels() -> list[dict[str, Any]]:
    """Return the dashboard's panels."""
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def targets() -> Iterator[tuple[str, str]]:
    """Yield title and expression of everything that the dashboard asks."""
    for panel in panels():
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def promtool(*arguments: str, folder: Path) -> tuple[int, str]:
    """Run promtool in a folder; return its exit status and what it said."""
    run = subprocess.run(["promtool", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    return run.returncode, run.stdout + run.stderr
