"""Whether the units are well: systemd says they run, they answer, and both for a moment on end.

Probes are data (`Probe`): ``http`` asks URLs on this host (any one answering 200 will do), ``file`` looks for a file
that is not empty. A unit that keeps ending is told from one that is slow by its restart counter. A probe that
`needs_join` asks nothing before the node has its certificate: until then no daemon can do better.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from nodegate_host.engine.atomic import Disk
from nodegate_host.engine.records import Probe
from nodegate_host.engine.systemd import Systemctl, UnitFacts
from nodegate_host.model import NodeConfig

PROBE_TIMEOUT_S = 2.0
_OK = 200
_LOOPS = 3
"""Restarts after which a unit is said to end again and again."""

KUBELET_PORT = 10248
PROXY_PORT = 10256


@dataclass(frozen=True)
class Patience:
    """How long to wait: `wait_s` in all, looking every `poll_s`, well for `settle_s` on end."""

    wait_s: float = 60.0
    poll_s: float = 0.5
    settle_s: float = 3.0


@dataclass(frozen=True)
class Health:
    """One unit's health. `fault` is empty when it is well; `hopeless`: waiting longer will not help."""

    unit: str
    fault: str = ""
    hopeless: bool = False
    incarnation: tuple[int, int] = (0, 0)
    """Process and restart counter; another one means it ended meanwhile."""


def probes_of(config: NodeConfig) -> tuple[Probe, ...]:
    """Return the questions to this node's units, with the ports that its configuration says."""
    probes = []
    if config.flannel.enabled:
        probes.append(Probe("flanneld.service", "file", ("/run/flannel/subnet.env",)))
    port = config.kubelet.config.get("healthzPort", KUBELET_PORT)
    if port:
        probes.append(Probe("kubelet.service", "http", (f"http://127.0.0.1:{port}/healthz",)))
    if config.kube_proxy.enabled:
        address = str(config.kube_proxy.config.get("healthzBindAddress", ""))
        port = address.rpartition(":")[2] or PROXY_PORT
        # /livez came with 1.28; before there is only /healthz.
        base = f"http://127.0.0.1:{port}"
        probes.append(Probe("kube-proxy.service", "http", (f"{base}/livez", f"{base}/healthz"), needs_join=True))
    return tuple(probes)


def fault_of(probe: Probe, disk: Disk) -> str:
    """Return why `probe` is not answered well; empty when it is."""
    if probe.kind == "file":
        live = disk.look(probe.target[0])
        return "" if live.content else f"{probe.target[0]} is {'empty' if live.kind == 'file' else 'not there'}"
    faults = [_ask(url) for url in probe.target]
    return "" if "" in faults else faults[0]


def _ask(url: str) -> str:
    """Ask straight, past any proxy in the environment."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PROBE_TIMEOUT_S)
    try:
        connection.request("GET", parts.path)
        answer = connection.getresponse()
        text = answer.read(200).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return f"{url} does not answer ({error})"
    finally:
        connection.close()
    return "" if answer.status == _OK else f"{url} answers {answer.status} {text}".strip()


class Watch:
    """Looks at units again and again; `is_joined` says whether the node has its certificate."""

    def __init__(self, systemd: Systemctl, disk: Disk, is_joined: Callable[[], bool]) -> None:
        self._systemd = systemd
        self._disk = disk
        self._is_joined = is_joined

    def check(
        self, units: Sequence[str], probes: Iterable[Probe] = (), base: dict[str, int] | None = None
    ) -> list[Health]:
        """Return the health of `units` now; `base`: their restart counters when the wait began."""
        seen = self._systemd.show(units)
        questions = {each.unit: each for each in probes}
        return [self._health(seen[unit], questions.get(unit), (base or {}).get(unit, 0)) for unit in units]

    def _health(self, seen: UnitFacts, probe: Probe | None, base: int) -> Health:
        incarnation = (seen.pid, seen.restarts)
        waits = probe is not None and probe.needs_join and not self._is_joined()
        looping = seen.restarts - base >= _LOOPS
        if seen.active == "failed" or (looping and not waits):
            return Health(seen.name, f"it ends again and again ({seen.result})", hopeless=True, incarnation=incarnation)
        if waits:
            return Health(seen.name, "" if seen.is_running else f"it is {seen.active}")
        if not seen.is_up:
            return Health(seen.name, f"it is {seen.active} ({seen.sub}, {seen.result})", incarnation=incarnation)
        return Health(seen.name, fault_of(probe, self._disk) if probe else "", incarnation=incarnation)

    def wait_up(self, unit: str, patience: Patience, deadline: float) -> str:
        """Wait until `unit` runs; return why it does not, or nothing."""
        base = {unit: 0}
        while True:
            (health,) = self.check([unit], (), base)
            if not health.fault or health.hopeless or time.monotonic() >= deadline:
                return health.fault
            time.sleep(patience.poll_s)

    def wait_well(
        self, units: Sequence[str], probes: Sequence[Probe], patience: Patience, deadline: float
    ) -> list[Health]:
        """Wait until all `units` are well and stay so for a moment; return those that are not."""
        base = {name: seen.restarts for name, seen in self._systemd.show(units).items()}
        first: list[Health] = []
        since = 0.0
        while True:
            now = time.monotonic()
            healths = self.check(units, probes, base)
            bad = [each for each in healths if each.fault]
            if bad or healths != first:
                first, since = ([] if bad else healths), now
            elif now - since >= patience.settle_s:
                return []
            if any(each.hopeless for each in bad) or (bad and now >= deadline):
                return bad
            if now >= deadline + patience.settle_s:
                return [_flapping(each) for each in healths if each.incarnation[1] != base[each.unit]]
            time.sleep(patience.poll_s)


def _flapping(health: Health) -> Health:
    return Health(health.unit, "it ended and was started again while it was watched", incarnation=health.incarnation)
