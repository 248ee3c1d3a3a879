"""What kubemark leaves behind: it puts a folder and a socket into /tmp, whatever TMPDIR says, and removes neither.

A process that ends comes in; its folder, and every kubemark socket at which nobody listens, are gone after it.
"""

import re
import shutil
import socket
from pathlib import Path

from hack.cluster.process import Component

_FOLDER = re.compile(r"(/tmp/hollow-kubelet\.\d+)")


class Kubemark(Component):
    """A kubemark process that takes its folder and socket in /tmp with it."""

    def stop(self, timeout: float = 10) -> None:
        """End it and remove what it left."""
        paths = self._traces()
        super().stop(timeout)
        _remove(paths)

    def kill(self) -> None:
        """End it with SIGKILL and remove what it left."""
        paths = self._traces()
        super().kill()
        _remove(paths)

    def _traces(self) -> set[Path]:
        """Return the folder that its log names."""
        if not self.running:
            return set()
        log = self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""
        return {Path(found) for found in _FOLDER.findall(log)}


def _dead_sockets() -> set[Path]:
    """Return kubemark's sockets at which nobody listens any more, whoever left them."""
    return {path for path in Path("/tmp").glob("kubelet_remote_*.sock") if not _answers(path)}  # noqa: S108 - kubemark's own choice


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
        except OSError:
            return True  # Somebody else's, or gone: not ours to judge.
    return True


def _remove(paths: set[Path]) -> None:
    for path in paths | _dead_sockets():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
