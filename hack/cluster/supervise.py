"""A control plane that stays in the background, for people.

A name comes in; a detached supervisor process that holds a `Cluster`, and a record of it, leave. Everything is
in `${XDG_STATE_HOME:-~/.local/state}/nodegate/cluster/<name>/`. Rules: the supervisor holds a file lock as long
as it lives, so that a process id is never believed without it; the record appears when the cluster is ready;
the programs die with the supervisor, however that ends.
"""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from hack.cluster.cluster import Cluster
from hack.cluster.errors import ClusterError
from hack.cluster.process import LOOPBACK, process_state, wait_until

Log = Callable[[str], None]

_START_S = 180
_STOP_S = 30
_LOCK_S = 2
_REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Place:
    """Where one named cluster keeps its things.

    Attributes:
        folder: The folder of this name.
    """

    folder: Path

    @classmethod
    def named(cls, name: str) -> "Place":
        """Return the place of a name."""
        root = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
        if not name or name.startswith(".") or Path(name).name != name:
            raise ClusterError(f"--name: expected a plain word, found {name!r}")
        return cls(root / "nodegate" / "cluster" / name)

    @property
    def log(self) -> Path:
        """What the supervisor says."""
        return self.folder / "supervisor.log"

    def record(self) -> dict[str, Any] | None:
        """Return what is known of the running cluster: engine, kubeconfig, server, parts; None when it is down."""
        with suppress(FileNotFoundError, ValueError):
            found: dict[str, Any] = json.loads((self.folder / "record.json").read_text(encoding="utf-8"))
            if found["engine"] != "local" or self.supervisor():
                return found
        return None

    def write_record(self, record: dict[str, Any]) -> None:
        """Write it, at once or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = self.folder / "record.new"
        fresh.write_text(json.dumps(record, indent=2), encoding="utf-8")
        fresh.replace(self.folder / "record.json")

    def supervisor(self) -> int | None:
        """Return the process id of the supervisor that holds the lock, or None."""
        with suppress(FileNotFoundError), (self.folder / "lock").open("r", encoding="ascii") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(lock.read() or 0) or None
        return None

    def take_lock(self) -> IO[str]:
        """Become the supervisor.

        Raises:
            ClusterError: There is one.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (self.folder / "lock").open("a+", encoding="ascii")
        try:
            # `supervisor` holds it for a moment when it looks.
            wait_until(lambda: _locked(lock), _LOCK_S, lambda: "the lock is held")
        except TimeoutError:
            lock.close()
            raise ClusterError(
                f"{self.folder}: expected no supervisor, found one; use it, or end it with down"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        return lock

    def forget(self, *, keep_log: bool = False) -> None:
        """Remove everything but the lock, whose file two supervisors must agree on; call it with the lock held."""
        kept = {"lock", self.log.name} if keep_log else {"lock"}
        for entry in self.folder.iterdir():
            if entry.name not in kept:
                shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink()


def _locked(lock: IO[str]) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def serve(place: Place, address: str = LOOPBACK) -> None:
    """Be the supervisor: hold a cluster until SIGTERM or SIGINT."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with place.take_lock():
        place.forget(keep_log=True)
        try:
            with Cluster(place.folder / "state", address=address, log=lambda line: print(line, flush=True)) as cluster:
                cluster.kubectl("apply", "-k", str(_REPOSITORY / "crds"))
                parts = [{"name": part.name, "pid": part.pid, "ports": part.ports} for part in cluster.parts]
                place.write_record(
                    {"engine": "local", "kubeconfig": str(cluster.kubeconfig), "server": cluster.server, "parts": parts}
                )
                while True:
                    signal.pause()
        finally:
            (place.folder / "record.json").unlink(missing_ok=True)


def up(place: Place, name: str, log: Log, address: str = LOOPBACK) -> dict[str, Any]:
    """Start a supervisor and wait until its cluster is ready; return the record.

    Raises:
        ClusterError: It ended or was not ready in time, with its log.
    """
    place.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with place.log.open("ab") as output:
        said = output.tell()
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "hack.cluster", "supervise", "--name", name, "--address", address],
            cwd=_REPOSITORY, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    try:
        return _follow(place, supervisor, said, log)
    except BaseException:
        supervisor.terminate()
        supervisor.wait(_STOP_S)
        raise


def _follow(place: Place, supervisor: subprocess.Popen[bytes], said: int, log: Log) -> dict[str, Any]:
    """Repeat the supervisor's lines until it is ready, or another one that was there first."""
    deadline = time.monotonic() + _START_S
    with place.log.open(encoding="utf-8") as lines:
        lines.seek(said)
        while True:
            record, ended = place.record(), supervisor.poll() is not None and place.supervisor() is None
            for line in lines:
                log(line.rstrip("\n"))
            if record:
                return record
            if ended or time.monotonic() > deadline:
                state = "ended" if ended else f"still starting after {_START_S} s"
                raise ClusterError(f"expected a ready control plane, found its supervisor {state}; see {place.log}")
            time.sleep(0.1)


def down(place: Place) -> bool:
    """End the supervisor and with it everything; tell whether there was one."""
    supervisor = place.supervisor()
    if supervisor is not None:
        with suppress(ProcessLookupError):
            os.kill(supervisor, signal.SIGTERM)
        try:
            wait_until(lambda: place.supervisor() is None, _STOP_S, lambda: "the supervisor does not end")
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.kill(supervisor, signal.SIGKILL)
    if place.folder.exists():
        with place.take_lock():
            place.forget()
    return supervisor is not None


def status_table(record: dict[str, Any], supervisor: int | None) -> list[str]:
    """Return the lines of a table: part, process id, state and ports."""
    parts = [{"name": "supervisor", "pid": supervisor, "ports": []}] if supervisor else []
    rows = [("PART", "PID", "STATE", "PORT")]
    for part in [*parts, *record.get("parts", [])]:
        ports = ",".join(map(str, part["ports"])) or "-"
        rows.append((part["name"], str(part["pid"]), process_state(part["pid"]), ports))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return ["  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[3]]) for row in rows]
