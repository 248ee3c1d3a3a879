"""A host for each test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.host.engine.scene import Scene, make_scene


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Return a new host whose systemd is the scripts."""
    found = make_scene(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return found
