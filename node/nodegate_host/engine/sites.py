"""What the engine works with, in one value, so that a test can put its own in place of each part.

`at` is called with the name of each point of an apply that a crash could fall into; it does nothing, except in tests.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from nodegate_host.engine.atomic import Disk
from nodegate_host.engine.generations import Generations
from nodegate_host.engine.health import Patience, Watch
from nodegate_host.engine.systemd import Systemctl
from nodegate_host.engine.undo import Undo

CLIENT_CERTIFICATES = (
    "/var/lib/kubelet/pki/kubelet-client-current.pem",
    "/etc/kubernetes/ssl/kubelet-client-current.pem",
)
"""Where a kubelet keeps its certificate: its default, and the guide's directory."""


def _nothing(_text: str) -> None:
    return


@dataclass(frozen=True)
class Site:
    """One host.

    Attributes:
        disk: Its files.
        systemd: Its systemd; None where there is none (``--root``).
        say: Told of each step.
        at: Told of each point of an apply.
        now: The time, in seconds since the epoch.
        patience: How long units may take.
    """

    disk: Disk
    systemd: Systemctl | None
    say: Callable[[str], None] = _nothing
    at: Callable[[str], None] = _nothing
    now: Callable[[], float] = time.time
    patience: Patience = field(default_factory=Patience)

    @property
    def generations(self) -> Generations:
        """Its generations."""
        return Generations(self.disk)

    @property
    def undo(self) -> Undo:
        """Its way back."""
        return Undo(self.disk, self.generations, self.systemd, self.patience, self.at)

    def is_joined(self) -> bool:
        """Whether the kubelet has a client certificate; a kubeconfig alone proves nothing."""
        return any(self.disk.at(path).exists() for path in CLIENT_CERTIFICATES)

    def watch(self, systemd: Systemctl) -> Watch:
        """Return what looks at units."""
        return Watch(systemd, self.disk, self.is_joined)
