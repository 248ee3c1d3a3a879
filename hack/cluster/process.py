"""Programs that are started, watched and ended: `Component`, and free ports for them.

A command and a readiness probe come in; a process with a log file leaves. Rules: every process has its own
process group (Ctrl-C reaches only the caller, which then ends the parts in order) and dies with the caller,
even when that is killed (`launch`). The kernel ties this to the thread that forked, therefore all processes
are started by one thread of this module that lives until the interpreter ends; callers may use any thread.
"""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from hack.cluster.errors import ClusterError, PartFailed

_LAUNCHER = Path(__file__).with_name("launch.py")
_SPAWNER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hack-cluster-spawner")
LOOPBACK = "127.0.0.1"
"""Where everything listens unless a caller names another address of this machine."""

_PORTS = range(20000, 32000)
"""Below Linux' range for outgoing connections (32768 on), which would otherwise take a chosen port now and then."""

_handed_out: set[int] = set()
"""Ports are not given twice by one process: dozens of programs may be picking before the first one listens."""

_POLL_S = 0.05
_PAUSE_S = 10
_TAIL_BYTES = 3000


def free_ports(count: int, address: str = LOOPBACK) -> list[int]:
    """Return `count` different ports of an address that were free a moment ago; start again when one is taken."""
    found: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        if len(found) == count:
            return found
        with socket.socket() as probe, suppress(OSError):
            if port not in _handed_out:
                probe.bind((address, port))
                _handed_out.add(port)
                found.append(port)
    raise ClusterError(
        f"expected {count} free ports in {_PORTS.start}-{_PORTS.stop}, found {len(found)}; end something"
    )


def wait_until(check: Callable[[], bool], timeout: float, what: Callable[[], str]) -> None:
    """Call `check` until it is true.

    Args:
        check: Asked every 50 ms.
        timeout: Seconds until `TimeoutError`.
        what: Makes the error's message.
    """
    deadline = time.monotonic() + timeout
    while not check():
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {timeout:g} s: {what()}")
        time.sleep(_POLL_S)


def process_state(pid: int) -> str:
    """Return `running`, `paused` or `ended`, from /proc."""
    try:
        letter = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return "ended"
    return {"T": "paused", "t": "paused", "Z": "ended", "X": "ended"}.get(letter, "running")


class Component:
    """One program of the cluster.

    Attributes:
        name: For people and for the log file.
        log_path: Standard output and error, appended at each start.
        ports: The TCP ports that it listens on, the main one first.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log_path: Path,
        *,
        ready: Callable[[], bool],
        ports: Sequence[int] = (),
        environment: Mapping[str, str] | None = None,
        graceful: bool = True,
    ) -> None:
        self.name = name
        self.log_path = log_path
        self.ports = tuple(ports)
        self._command = tuple(command)
        self._ready = ready
        self._environment = dict(environment or {})
        self._graceful = graceful
        self._process: subprocess.Popen[bytes] | None = None
        self._spawning: Future[None] | None = None
        self._log_start = 0

    @property
    def command(self) -> tuple[str, ...]:
        """The program and its arguments."""
        return self._command

    @property
    def pid(self) -> int:
        """The process id of the last start."""
        if self._process is None:
            raise ClusterError(f"{self.name}: expected a started program, found none; call start()")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is there, paused or not."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, without waiting until it is ready; nothing when it runs."""
        if self.running:
            return
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        self._spawning = _SPAWNER.submit(self._spawn)
        self._spawning.result()

    def _spawn(self) -> None:
        with self.log_path.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), *self._command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **self._environment}, process_group=0,
            )  # fmt: skip

    def wait_ready(self, timeout: float = 60) -> None:
        """Wait until the readiness probe says yes.

        Args:
            timeout: In seconds.

        Raises:
            PartFailed: It ended, or was not ready in time; with the end of its log.
        """
        try:
            wait_until(self._ready_or_ended, timeout, lambda: f"{self.name} is not ready")
        except TimeoutError as error:
            raise PartFailed(str(error), self.log_tail()) from None

    def _ready_or_ended(self) -> bool:
        if not self.running:
            status = self._process.returncode if self._process else "none"
            raise PartFailed(
                f"{self.name}: expected it to run, found exit status {status}; {self.log_path}", self.log_tail()
            )
        with suppress(OSError):
            return self._ready()
        return False

    def log_tail(self) -> str:
        """Return the last 3000 bytes that it logged since its last start."""
        with self.log_path.open("rb") as log:
            log.seek(max(self._log_start, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
            return log.read().decode(errors="replace")

    def stop(self, timeout: float = 10) -> None:
        """End it: SIGTERM, and SIGKILL after `timeout` seconds; at once SIGKILL where SIGTERM is known to hang."""
        if self._graceful and self.running:
            self._signal(signal.SIGTERM)
            self._signal(signal.SIGCONT)  # A paused process takes no SIGTERM.
            with suppress(subprocess.TimeoutExpired):
                self.wait(timeout)
        self.kill()

    def kill(self) -> None:
        """End it with SIGKILL, its whole process group, and wait until it is gone."""
        if self._spawning is not None:
            self._spawning.exception()  # Ctrl-C may have come while it was being started.
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self.wait(30)

    def pause(self) -> None:
        """Stop it with SIGSTOP and wait until it stands still: its connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)
        if self.running:
            # The signal is delivered later than it is sent; until then the program goes on working.
            wait_until(lambda: process_state(self.pid) != "running", _PAUSE_S, lambda: f"{self.name} is not paused")

    def resume(self) -> None:
        """Let a paused program go on."""
        self._signal(signal.SIGCONT)

    def restart(self, timeout: float = 60) -> None:
        """Stop it, start it, and wait until it is ready."""
        self.stop()
        self.start()
        self.wait_ready(timeout)

    def _signal(self, number: signal.Signals) -> None:
        if self.running:
            os.killpg(self.pid, number)

    def wait(self, timeout: float | None = None) -> None:
        """Wait until it has ended by itself.

        Args:
            timeout: In seconds, then `subprocess.TimeoutExpired`; None for ever.
        """
        if self._process is not None:
            self._process.wait(timeout)
