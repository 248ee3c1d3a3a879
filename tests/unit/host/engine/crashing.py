"""A process that applies the second wish to a scene and kills itself at one point: ``crashing.py FOLDER POINT``.

With POINT ``-`` it runs to its end and prints every point that it passes, one a line. With a third word, ``undo``, the
second wish is one whose kubelet fails, so that the way back is passed as well.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from nodegate_host.engine.states import Wish
from tests.unit.host.engine.scene import KUBELET, Scene, run_apply, second, unit_text


def failing() -> Wish:
    """Return the second wish with a kubelet that fails."""
    text = unit_text("kubelet", "CRASH\n").encode()
    return replace(
        second(), files=tuple(replace(each, content=text) if each.path == KUBELET else each for each in second().files)
    )


def main(folder: Path, wanted: str, wish: Wish) -> None:
    """Apply `wish`, and end at `wanted` as a power cut would."""

    def at(point: str) -> None:
        sys.stdout.write(f"{point}\n")
        sys.stdout.flush()
        if point == wanted:
            os.kill(os.getpid(), signal.SIGKILL)

    run_apply(Scene(folder / "root", folder / "home").site(at), wish)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], failing() if sys.argv[3:] == ["undo"] else second())
