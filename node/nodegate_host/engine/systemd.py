"""systemd, by its own programs: argv lists in, facts or nothing out; no shell, no D-Bus.

`Systemctl` finds ``systemctl``, ``systemd-analyze`` and ``systemd-run`` on PATH. Starts never block here: a unit of
``Type=notify`` without a time limit would hold a run for ever; whoever starts one waits by looking (`health`).
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nodegate_host.errors import Stop
from nodegate_host.exits import Exit

CALL_TIMEOUT_S = 100.0
"""How long one call may take; above systemd's own limit of 90 s for stopping a unit."""

_PROPERTIES = (
    "Id", "LoadState", "ActiveState", "SubState", "UnitFileState", "NeedDaemonReload", "MainPID", "NRestarts", "Result",
    "FragmentPath", "DropInPaths",
)  # fmt: skip
_OLD_ANALYZE = ("unrecognized option", "invalid option")
_FINDINGS = ("Unknown key", "Unknown section", "Unknown lvalue", "Failed to parse", "Invalid", "not executable")


class SystemdFailed(Stop):
    """systemd refused or did not answer."""

    code = Exit.ROLLED_BACK


@dataclass(frozen=True)
class UnitFacts:
    """A unit as systemd has it; the words are systemd's own (``systemctl show``)."""

    name: str
    load: str = "not-found"
    active: str = "inactive"
    sub: str = "dead"
    file: str = ""
    needs_reload: bool = False
    pid: int = 0
    restarts: int = 0
    result: str = "success"
    fragment: str = ""
    drop_ins: tuple[str, ...] = ()
    is_program_gone: bool = False
    """Whether the running program's file was replaced or deleted."""

    @property
    def is_running(self) -> bool:
        """Whether systemd runs it or is trying to."""
        return self.active in {"active", "activating", "reloading"}

    @property
    def is_up(self) -> bool:
        """Whether it runs now."""
        return self.active in {"active", "reloading"}

    @property
    def is_enabled(self) -> bool:
        """Whether it starts at boot."""
        return self.file in {"enabled", "enabled-runtime"}

    @property
    def is_masked(self) -> bool:
        """Whether an administrator forbade it."""
        return self.load == "masked" or self.file.startswith("masked")


class Systemctl:
    """The running systemd."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc

    def show(self, units: Sequence[str]) -> dict[str, UnitFacts]:
        """Return the facts of each unit, by the name asked for; unknown ones have load ``not-found``."""
        if not units:
            return {}
        argv = ["systemctl", "show", "--no-pager", f"--property={','.join(_PROPERTIES)}", "--", *units]
        blocks = self._call(argv).strip("\n").split("\n\n")
        return {name: self._facts(name, block) for name, block in zip(units, blocks)}

    def _facts(self, name: str, block: str) -> UnitFacts:
        raw = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        pid = int(raw.get("MainPID") or 0)
        return UnitFacts(
            name=name,
            load=raw.get("LoadState", "not-found"),
            active=raw.get("ActiveState", "inactive"),
            sub=raw.get("SubState", "dead"),
            file=raw.get("UnitFileState", ""),
            needs_reload=raw.get("NeedDaemonReload") == "yes",
            pid=pid,
            restarts=int(raw.get("NRestarts") or 0),
            result=raw.get("Result", ""),
            fragment=raw.get("FragmentPath", ""),
            drop_ins=tuple(raw.get("DropInPaths", "").split()),
            is_program_gone=pid > 0 and self._is_gone(pid),
        )

    def _is_gone(self, pid: int) -> bool:
        try:
            return str((self._proc / str(pid) / "exe").readlink()).endswith(" (deleted)")
        except OSError:
            return False

    def daemon_reload(self) -> None:
        """Let systemd read its units anew."""
        self._call(["systemctl", "daemon-reload"])

    def enable(self, unit: str) -> None:
        """Have it start at boot."""
        self._call(["systemctl", "enable", "--quiet", "--", unit])

    def disable(self, unit: str) -> None:
        """Have it not start at boot."""
        self._call(["systemctl", "disable", "--quiet", "--", unit])

    def start(self, unit: str) -> None:
        """Begin to start it, and return."""
        self._call(["systemctl", "start", "--no-block", "--", unit])

    def restart(self, unit: str) -> None:
        """Begin to restart it, and return; a counter of failed starts is forgotten first."""
        self.reset_failed(unit)
        self._call(["systemctl", "restart", "--no-block", "--", unit])

    def run_once(self, unit: str) -> None:
        """Run a oneshot unit to its end."""
        self._call(["systemctl", "restart", "--", unit])

    def refresh(self, unit: str) -> None:
        """Have a running daemon read its files again; nothing when it does not run."""
        if self.show([unit])[unit].is_up:
            self._call(["systemctl", "reload", "--", unit])

    def stop(self, unit: str) -> None:
        """Stop it and wait for that."""
        self._call(["systemctl", "stop", "--", unit])

    def reset_failed(self, unit: str) -> None:
        """Forget failures; nothing when there are none, or no such unit."""
        self._run(["systemctl", "reset-failed", "--", unit])

    def arm(self, name: str, after_s: int, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Run `command` in `after_s` seconds, from a transient timer ``name.timer``."""
        settings = [f"--setenv={key}={value}" for key, value in sorted(environment.items())]
        argv = [
            "systemd-run",
            "--quiet",
            f"--unit={name}",
            f"--on-active={after_s}s",
            "--timer-property=AccuracySec=100ms",
        ]
        self._call([*argv, *settings, "--", *command])

    def verify(self, folder: Path, units: Sequence[str]) -> str:
        """Return what ``systemd-analyze`` says against the unit files in `folder`; empty when it accepts them."""
        # The trailing colon keeps systemd's own directories behind ours.
        environment = {**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:"}
        argv = ["systemd-analyze", "verify", "--man=no"]
        names = [str(folder / unit) for unit in units]
        try:
            done = self._run([*argv, "--recursive-errors=no", *names], environment)
            if done.returncode and any(word in done.stderr for word in _OLD_ANALYZE):
                done = self._run([*argv, *names], environment)
                return done.stderr if done.returncode or any(word in done.stderr for word in _FINDINGS) else ""
        except SystemdFailed:
            # Some distributions package it apart; without it there is one check fewer.
            return ""
        return done.stderr or done.stdout if done.returncode else ""

    def _call(self, argv: Sequence[str]) -> str:
        done = self._run(argv)
        if done.returncode:
            text = (done.stderr or done.stdout).strip() or "it said nothing"
            raise SystemdFailed(f"{' '.join(argv)} ended with {done.returncode}: {text}")
        return done.stdout

    def _run(
        self, argv: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                argv, capture_output=True, text=True, check=False, timeout=CALL_TIMEOUT_S,
                env=environment, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SystemdFailed(f"expected to run {argv[0]}, found: {error}") from error
