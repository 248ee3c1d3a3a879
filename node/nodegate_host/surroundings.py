"""What a verb may touch: the root, the config's path, the streams, the environment and who it runs as.

Made once by `cli.main`; verbs get it as a parameter, so a test can put a directory in place of the host.
Every absolute path on the host goes through `Surroundings.host`, which puts ``--root`` in front.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from nodegate_host.errors import Stop
from nodegate_host.exits import Exit
from nodegate_host.output import Output

DEFAULT_CONFIG = "/etc/nodegate/node.yaml"


@dataclass(frozen=True)
class Surroundings:
    """Where a run happens.

    Attributes:
        root: ``/``, or the directory that stands for the host (``--root``).
        config: The node.yaml (``-c``); its default is under `root`, a given path is taken as it is.
        output: How the run speaks.
        environ: The environment.
        stdin: Where answers to questions come from.
        no_input: Never ask (``--no-input``).
        euid: The effective user id.
    """

    root: Path
    config: Path
    output: Output
    environ: Mapping[str, str]
    stdin: TextIO
    no_input: bool
    euid: int

    @property
    def is_live(self) -> bool:
        """Whether `root` is the running host."""
        return self.root == Path("/")

    def host(self, path: str) -> Path:
        """Return where the host's absolute `path` is, under `root`."""
        return self.root / path.lstrip("/")

    def require_root(self, verb: str) -> None:
        """Stop with 77 when the running host is to be changed by somebody who is not root."""
        if self.is_live and self.euid != 0:
            raise Stop(f"{verb} must run as root (uid 0), runs as uid {self.euid}; use sudo", Exit.NOT_ROOT)


def surroundings_of(root: str, config: str | None, output: Output, *, no_input: bool) -> Surroundings:
    """Return the surroundings of this process."""
    place = Path(root).resolve()
    return Surroundings(
        root=place,
        config=place / DEFAULT_CONFIG.lstrip("/") if config is None else Path(config),
        output=output,
        environ=os.environ,
        stdin=sys.stdin,
        no_input=no_input,
        euid=os.geteuid(),
    )
