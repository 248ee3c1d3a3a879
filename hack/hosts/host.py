"""`Host`: one machine, from power-on to power-off.

A root file system below a folder comes in; a booted Debian leaves, with hands to put files into it and run
commands. Rules: every wait has a deadline; a power cut leaves on disk what was on disk; what a command gets from the
outer environment is nothing. Commands enter from outside: they keep all rights, which a unit in there has not.
"""

import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import IPv4Interface
from pathlib import Path

from hack.cluster.process import process_state, wait_until
from hack.hosts import guest, leader
from hack.hosts.cgroups import Cgroup
from hack.hosts.errors import CommandFailed, HostFailed
from hack.hosts.mounts import overlay, unmount

_UP = ("running", "degraded")
_POLL_S = 10
_ENTERING = 'while [ "$1" != -- ]; do echo $$ > "$1" || exit 1; shift; done; shift; exec "$@"'
"""A shell that joins the cgroups named before `--`, then becomes the command after it."""

_WRITE = 'mkdir -p "$(dirname "$1")"; umask 077; cat > "$1.new"; chmod "$2" "$1.new"; mv -f "$1.new" "$1"'
_NAMESPACES = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup")
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}


class Host:
    """One machine, not booted yet; made by `Hosts.host`.

    Attributes:
        name: Its host name.
        address: Its address, with the network's length.
        folder: Everything of it on the outer machine.
        console: The log of its console, all boots together.
    """

    def __init__(  # noqa: PLR0913  # each is one fact that Hosts settles, by keyword
        self,
        name: str,
        *,
        machine: str,
        address: IPv4Interface,
        folder: Path,
        lower: Path,
        bridge: str,
        gateway: str,
        cgroup: Cgroup,
        binds: Mapping[Path, str],
        read_only: Mapping[Path, str],
    ) -> None:
        self.name, self.address, self.folder = name, address, folder
        self.console = folder / "console.log"
        self._cgroup = cgroup
        self._root = folder / "root"
        self._process: subprocess.Popen[bytes] | None = None
        self._leader = 0
        self._command = (
            "systemd-nspawn", "--quiet", "--boot", f"--directory={self._root}", f"--machine={machine}",
            f"--hostname={name}", "--register=no", "--keep-unit", "--console=pipe", "--link-journal=no",
            "--resolv-conf=off", "--timezone=off", f"--network-bridge={bridge}",
            # Container runtimes make a session keyring for each container.
            "--system-call-filter=keyctl",
            *(f"--bind={outer}:{inner}" for outer, inner in binds.items()),
            *(f"--bind-ro={outer}:{inner}" for outer, inner in read_only.items()),
        )  # fmt: skip
        overlay(lower, folder / "upper", folder / "work", self._root)
        for path, (content, mode) in guest.files(name, address, gateway).items():
            _write(self._root / path, content, mode)
        for path, target in guest.LINKS.items():
            _link(self._root / path, target)

    @property
    def ip(self) -> str:
        """Its address, as text."""
        return str(self.address.ip)

    @property
    def running(self) -> bool:
        """Whether the machine is on."""
        return self._process is not None and self._process.poll() is None

    def boot(self, timeout: float = 60) -> "Host":
        """Switch it on and wait until its systemd says that it is up; nothing when it is on. Returns itself.

        Args:
            timeout: In seconds.

        Raises:
            HostFailed: It ended, or is not up in time; with the end of its console.
        """
        if self.running:
            return self
        self._forget()  # It may have ended by itself.
        self._cgroup.create()
        join = [str(path) for path in self._cgroup.entrances]
        with self.console.open("ab") as console:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _ENTERING, "sh", *join, "--", *self._command],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
            )  # fmt: skip
        try:
            wait_until(self._is_up, timeout, lambda: f"its systemd says {self.state() or 'nothing'}")
        except TimeoutError as error:
            raise HostFailed(f"{self.name}: expected it up, found: {error}\n{self._tail()}") from None
        return self

    def _is_up(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise HostFailed(f"{self.name}: expected it to boot, found it ended\n{self._tail()}")
        self._leader = self._leader or leader.find(self._process.pid if self._process else 0)
        return self.state() in _UP

    def state(self) -> str:
        """Return what its systemd says of it: `running`, `degraded`, `starting`, ...; empty when nobody answers."""
        if not (self.running and self._leader):
            return ""
        with suppress(subprocess.TimeoutExpired):
            return self.run("systemctl", "is-system-running", check=False, timeout=_POLL_S).stdout.strip()
        return ""

    def failed_units(self) -> list[str]:
        """Return the units that systemd calls failed."""
        listed = self.run("systemctl", "list-units", "--failed", "--plain", "--no-legend").stdout
        return [line.split()[0] for line in listed.splitlines()]

    def run(
        self,
        *command: str,
        input: str | bytes | None = None,  # noqa: A002  # the name that subprocess.run gave it
        check: bool = True,
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root; in the machine when it is on, else on its disk alone.

        Args:
            command: The program and its arguments; no shell.
            input: Its standard input.
            check: Whether another exit status than 0 raises `CommandFailed`.
            timeout: Seconds until it is killed and `subprocess.TimeoutExpired` raised.
        """
        sent = input.encode() if isinstance(input, str) else input or b""
        done = subprocess.run(
            [*self.entering(), *command],
            input=sent,
            capture_output=True,
            check=False,
            timeout=timeout,
            env=_ENVIRONMENT,
        )
        texts = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        if check and done.returncode:
            raise CommandFailed(self.name, command, done.returncode, "".join(texts))
        return subprocess.CompletedProcess(done.args, done.returncode, *texts)

    def entering(self) -> list[str]:
        """Return the start of a command line that runs the rest of it in the machine."""
        if not self.running:
            return ["chroot", str(self._root)]
        if not self._leader:
            raise HostFailed(f"{self.name}: expected a booted machine, found none yet; call boot() first")
        return ["nsenter", f"--target={self._leader}", *_NAMESPACES, "--"]

    def put(self, path: str, content: str | bytes, mode: int = 0o644) -> None:
        """Write a file, at once or not at all; missing folders are made.

        Args:
            path: In the machine, absolute.
            content: Text becomes UTF-8.
            mode: Its permissions, from its first moment on at most these.
        """
        self.run("/bin/sh", "-euc", _WRITE, "sh", path, f"{mode:o}", input=content)

    def read(self, path: str) -> str:
        """Return a file's text.

        Raises:
            CommandFailed: There is none.
        """
        return self.run("cat", path).stdout

    def journal(self, unit: str = "", lines: int = 1000) -> str:
        """Return the end of the journal, of one unit or of all."""
        which = [f"--unit={unit}"] if unit else []
        return self.run("journalctl", "--no-pager", "--output=short-iso", f"--lines={lines}", *which).stdout

    def reboot(self, timeout: float = 60) -> None:
        """Reboot it in order, as a person does, and wait until it is up again."""
        self._go_down("reboot", timeout)
        self.boot(timeout)

    def off(self, timeout: float = 60) -> None:
        """Switch it off in order; nothing when it is off."""
        if self.running:
            self._go_down("poweroff", timeout)

    def _go_down(self, verb: str, timeout: float) -> None:
        # The answer can be cut off by what it asks for.
        self.run("systemctl", "--no-block", verb, check=False)
        self._wait_ended(timeout)

    def power_cut(self, timeout: float = 20) -> None:
        """Cut its power: everything in it is gone at once, its disk stays; nothing when it is off."""
        if self.running:
            leader.kill(self._leader, self._process.pid if self._process else 0, signal.SIGKILL)
            self._wait_ended(timeout)

    def _wait_ended(self, timeout: float) -> None:
        process = self._process
        if process is None:
            return
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            found = f"found it {process_state(process.pid)}\n{self._tail()}"
            raise HostFailed(f"{self.name}: expected it down after {timeout:g} s, {found}") from None
        finally:
            if process.returncode is not None:
                self._forget()

    def _forget(self) -> None:
        self._process, self._leader = None, 0
        self._cgroup.end()

    def discard(self) -> None:
        """End it without ceremony and give its disk back to the outer machine."""
        self._cgroup.end()
        self._wait_ended(_POLL_S)
        unmount(self._root)

    def _tail(self) -> str:
        text = self.console.read_text(encoding="utf-8", errors="replace") if self.console.exists() else ""
        return text[-3000:].strip()


def _write(file: Path, content: str, mode: int) -> None:
    """Write a file below a root that no machine uses yet."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    file.write_text(content, encoding="utf-8")
    file.chmod(mode)


def _link(link: Path, target: str) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(target)
