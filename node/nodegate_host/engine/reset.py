"""Everything that was applied, taken away again; what others own stays.

Order: stop our units, take mounts below the kubelet's directory off (and stop there if one stays), disable our units,
remove our files by recorded digest (changed ones stay and are named), then what was asked for explicitly: identity,
network devices, data. iptables is never flushed and networking never restarted. Errors are collected; a second run
finds less to do and does no harm; a half-made installation is taken as far as it was recorded.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from nodegate_host.engine import journal
from nodegate_host.engine.generations import FOLDER, STATE, Generations
from nodegate_host.engine.live import UNIT_FOLDER
from nodegate_host.engine.mounts import mounted_below, remove_tree, unmount
from nodegate_host.engine.records import Entry, Manifest, UnitRecord
from nodegate_host.engine.rollback import EMPTY
from nodegate_host.engine.sites import Site
from nodegate_host.engine.systemd import Systemctl
from nodegate_host.errors import Refused, Stop

KUBELET = "/var/lib/kubelet"
DATA = ("/var/lib/cni", KUBELET)
IDENTITY_FILES = ("/etc/kubernetes/kubelet.kubeconfig",)
IDENTITY_FOLDERS = ("/var/lib/kubelet/pki",)
LINKS = ("flannel.1", "flannel-v6.1", "cni0")
_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Wanted:
    """What is to go beyond our units and files, each by its own flag."""

    keep_binaries: bool = False
    purge_identity: bool = False
    purge_data: bool = False
    purge_network: bool = False


@dataclass
class Report:
    """What was done, what stayed, what went wrong; filled as the reset goes."""

    done: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


class Reset:
    """One reset."""

    def __init__(self, site: Site, wanted: Wanted) -> None:
        self._site = site
        self._wanted = wanted
        self._disk = site.disk
        self._generations: Generations = site.generations
        self._manifest: Manifest = self._generations.current() or EMPTY
        self._proxy = ""
        self.report = Report()

    def plan(self) -> list[str]:
        """Return what `run` would do, in order."""
        units = [f"stop, disable and remove {each.name}" for each in reversed(self._ours())]
        mounts = [f"unmount {each}" for each in mounted_below(self._disk.at(KUBELET))]
        originals = self._generations.originals()
        files = [f"{'restore' if each.path in originals else 'remove'} {each.path}" for each in self._manifest.files]
        more = [f"remove {each}" for each in self._manifest.generated if self._disk.look(each).kind == "file"]
        return [*units, *mounts, *files, *more, *self._purges(), "remove the generations and the state"]

    def _purges(self) -> list[str]:
        found = []
        if self._wanted.purge_identity:
            found += [f"remove {each}" for each in (*IDENTITY_FILES, *IDENTITY_FOLDERS)]
        if self._wanted.purge_network:
            found += ["kube-proxy --cleanup", *(f"delete the link {each}" for each in LINKS)]
        if self._wanted.purge_data:
            found += [f"remove {each}" for each in DATA]
        return found

    def run(self) -> Report:
        """Reset; raises `Refused` when a mount stays, with everything below it untouched."""
        self._proxy = self._proxy_program()
        for unit in reversed(self._ours()):
            self._on_unit(unit, "stop", lambda systemd, name: systemd.stop(name))
        self._unmount()
        for unit in reversed(self._ours()):
            self._on_unit(unit, "disable", _disable)
        for entry in self._manifest.files:
            self._attempt(entry.path, partial(self._file, entry))
        self._reload()
        for path in self._manifest.generated:
            self._remove(path)
        if self._wanted.purge_identity:
            self._purge_identity()
        if self._wanted.purge_network:
            self._purge_network()
        if self._wanted.purge_data:
            self._purge_data()
        self._forget()
        self._leftovers()
        return self.report

    def _ours(self) -> list[UnitRecord]:
        return [each for each in self._manifest.units if each.ours]

    def _attempt(self, what: str, step: Callable[[], None]) -> None:
        try:
            step()
        except (OSError, Stop, subprocess.TimeoutExpired) as error:
            self.report.failed.append(f"{what}: {error}")

    def _on_unit(self, unit: UnitRecord, verb: str, step: Callable[[Systemctl, str], None]) -> None:
        systemd = self._site.systemd
        if systemd is None:
            return

        def attempt() -> None:
            if systemd.show([unit.name])[unit.name].load != "not-found":
                step(systemd, unit.name)
                self.report.done.append(f"{verb} {unit.name}")

        self._attempt(unit.name, attempt)

    def _unmount(self) -> None:
        folder = self._disk.at(KUBELET)
        for point in mounted_below(folder):
            problem = unmount(point)
            self.report.done.append(f"unmount {point}")
            if problem:
                self.report.failed.append(problem)
        left = mounted_below(folder)
        if left:
            names = ", ".join(map(str, left))
            raise Refused(
                f"still mounted: {names}; nothing was removed; find who holds it (fuser -vm), then reset again"
            )

    def _file(self, entry: Entry) -> None:
        if self._wanted.keep_binaries and entry.mode & 0o111:
            self.report.kept.append(f"{entry.path} (--keep-binaries)")
            return
        live = self._disk.look(entry.path)
        if live.kind == "absent":
            return
        if live.kind != "file" or live.sha256 != entry.sha256:
            self.report.kept.append(f"{entry.path} (somebody changed it)")
            return
        original = self._generations.originals().get(entry.path)
        if original is None:
            self._disk.remove(entry.path)
            self.report.done.append(f"remove {entry.path}")
        else:
            content = self._generations.object(0, original.sha256)
            self._disk.write(entry.path, content, original.mode, original.owner)
            self.report.done.append(f"restore {entry.path}")

    def _reload(self) -> None:
        systemd = self._site.systemd
        if systemd is None:
            return
        self._attempt("systemd", systemd.daemon_reload)
        for unit in self._ours():
            self._attempt(unit.name, partial(systemd.reset_failed, unit.name))

    def _remove(self, path: str) -> None:
        def attempt() -> None:
            if self._disk.look(path).kind in {"file", "symlink"}:
                self._disk.remove(path)
                self.report.done.append(f"remove {path}")

        self._attempt(path, attempt)

    def _purge_identity(self) -> None:
        for path in IDENTITY_FILES:
            self._remove(path)
        for path in IDENTITY_FOLDERS:
            self._tree(path)

    def _purge_data(self) -> None:
        for path in DATA:
            if path == KUBELET and not self._wanted.purge_identity and self._disk.at(IDENTITY_FOLDERS[0]).exists():
                self.report.kept.append(f"{IDENTITY_FOLDERS[0]} (the node's identity; --purge-identity removes it)")
                self._all_but_identity()
            else:
                self._tree(path)

    def _all_but_identity(self) -> None:
        for place in self._disk.at(KUBELET).iterdir():
            name = f"{KUBELET}/{place.name}"
            if name in IDENTITY_FOLDERS:
                continue
            if place.is_dir() and not place.is_symlink():
                self._tree(name)
            else:
                self._remove(name)

    def _tree(self, path: str) -> None:
        place = self._disk.at(path)
        if place.is_symlink() or not place.is_dir():
            return
        if mounted_below(place):
            self.report.kept.append(f"{path} (something is mounted there)")
            return
        is_mount = os.path.ismount(place)
        self.report.failed.extend(remove_tree(place, itself=not is_mount))
        self.report.done.append(f"{'empty' if is_mount else 'remove'} {path}")

    def _purge_network(self) -> None:
        if self._site.systemd is None:
            return
        if self._proxy:
            # It removes the rules of its own chains and no others.
            self._attempt(self._proxy, self._clean_proxy)
        for link in LINKS:
            done = _run("ip", "link", "delete", "dev", link)
            if done.returncode == 0:
                self.report.done.append(f"delete the link {link}")
            elif "Cannot find device" not in done.stderr:
                self.report.failed.append(f"{link}: {done.stderr.strip()}")

    def _proxy_program(self) -> str:
        """Return the path of kube-proxy, from its unit while that is still there."""
        text = self._disk.look(f"{UNIT_FOLDER}kube-proxy.service").content.decode(errors="replace")
        line = next((each for each in text.splitlines() if each.startswith("ExecStart=/")), "")
        program = line[len("ExecStart=") :].split(" ", 1)[0]
        return program if program and self._disk.at(program).is_file() else ""

    def _clean_proxy(self) -> None:
        done = _run(self._proxy, "--cleanup")
        if done.returncode:
            raise Stop(f"--cleanup ended with {done.returncode}: {done.stderr.strip()[-300:]}")
        self.report.done.append(f"{self._proxy} --cleanup")

    def _forget(self) -> None:
        for path in sorted(self._manifest.directories, reverse=True):
            if self._disk.remove_directory(path):
                self.report.done.append(f"remove {path}")
        if self.report.failed:
            # What failed must be found by the next run.
            return
        self._attempt(journal.PATH, lambda: journal.clear(self._disk))
        self._attempt(STATE, lambda: self._disk.remove(STATE))
        self._attempt(FOLDER, lambda: self.report.failed.extend(remove_tree(self._disk.at(FOLDER))))

    def _leftovers(self) -> None:
        for path in (*IDENTITY_FILES, *IDENTITY_FOLDERS, *DATA):
            if self._disk.at(path).exists():
                self.report.kept.append(path)
        self.report.kept = list(dict.fromkeys(self.report.kept))


def _disable(systemd: Systemctl, unit: str) -> None:
    if systemd.show([unit])[unit].is_enabled:
        systemd.disable(unit)


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)
