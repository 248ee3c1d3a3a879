"""A process that applies a wish to a scene and kills itself at one point, as a power cut would.

The process is a fork of the test, so that a crash costs milliseconds; the hook that kills is given to the engine from
outside and exists nowhere else.
"""

from __future__ import annotations

import os
import signal
from dataclasses import replace

from nodegate_host.engine.states import Wish
from tests.unit.host.engine.scene import KUBELET, Scene, run_apply, second, unit_text


def failing() -> Wish:
    """Return the second wish with a kubelet that fails."""
    text = unit_text("kubelet", "CRASH\n").encode()
    files = tuple(replace(each, content=text) if each.path == KUBELET else each for each in second().files)
    return replace(second(), files=files)


def apply_and_die(scene: Scene, wish: Wish, wanted: str) -> tuple[int, list[str]]:
    """Apply `wish` in a process of its own that dies at `wanted` (nowhere, if there is no such point).

    Returns:
        The process's exit code, negative for a signal, and the points that it passed.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _child(scene, wish, wanted, writer)
    os.close(writer)
    with os.fdopen(reader) as lines:
        points = lines.read().splitlines()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), points


def _child(scene: Scene, wish: Wish, wanted: str, writer: int) -> None:
    def at(point: str) -> None:
        os.write(writer, f"{point}\n".encode())
        if point == wanted:
            os.kill(os.getpid(), signal.SIGKILL)

    code = 1
    try:
        run_apply(scene.site(at), wish)
        code = 0
    finally:
        # Never back into the test runner, whatever happened.
        os._exit(code)
