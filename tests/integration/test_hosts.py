"""Test hosts keep their promises: a real systemd, a disk that survives, a network, and nothing left behind.

Root and systemd-nspawn come in; machines leave no trace. Rules: what a test kills is an owner of its own; traces are
looked for on the outer machine by the id that everything of one owner carries.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.cluster.process import wait_until
from hack.hosts import CommandFailed, Host, HostError, Hosts, guest
from hack.hosts.cgroups import Cgroup
from hack.hosts.hosts import sweep
from hack.hosts.mounts import below, overlay, remove_tree
from hack.hosts.network import Bridge
from tests.integration import hosts_at_hand

pytestmark = [pytest.mark.integration, pytest.mark.hosts]

ROOT = Path(__file__).resolve().parents[2]
GONE_S = 20

OWNER = """
import json, time
from hack.hosts import Hosts
hosts = Hosts()
hosts.start()
hosts.host("node-a").boot()
print(json.dumps([str(hosts.folder), hosts.guard.pid]), flush=True)
time.sleep(600)
"""


@pytest.fixture(name="hosts", scope="module")
def _hosts() -> Iterator[Hosts]:
    """Yield a bridge for the module."""
    with Hosts() as hosts:
        yield hosts


@pytest.fixture(name="host", scope="module")
def _host(hosts: Hosts) -> Host:
    """Return a booted host."""
    return hosts.host("node-a").boot()


def test_it_is_a_whole_debian_under_systemd(host: Host) -> None:
    """Its systemd is up with nothing failed, under its own name and address."""
    assert host.state() == "running", host.failed_units()
    assert host.run("hostname").stdout.strip() == "node-a"
    assert host.address.with_prefixlen in host.run("ip", "address", "show", "host0").stdout
    assert "VERSION_CODENAME=bookworm" in host.read("/etc/os-release")


def test_the_outer_kernel_keeps_its_settings(host: Host) -> None:
    """What a kubelet demands of the kernel is shown in the machine only."""
    for name, value in guest.SYSCTLS.items():
        assert host.read(f"/proc/sys/{name}").strip() == str(value)
    assert host.run("sysctl", "-w", "kernel.panic=77", check=False).returncode == 0
    assert Path("/proc/sys/kernel/panic").read_text(encoding="ascii").strip() != "77"


def test_files_and_commands(host: Host) -> None:
    """Files arrive whole, with their mode; a failing command raises with what it said."""
    host.put("/etc/new/folder/secret", "s3cret", 0o600)

    assert host.read("/etc/new/folder/secret") == "s3cret"
    assert host.run("stat", "-c", "%a %U", "/etc/new/folder/secret", "/etc/new").stdout.split() == [
        "600", "root", "755", "root",
    ]  # fmt: skip
    assert host.run("cat", input="through").stdout == "through"
    with pytest.raises(CommandFailed, match="No such file") as raised:
        host.run("ls", "/nowhere")
    assert raised.value.returncode == 2


def test_the_disk_survives_and_the_boot_does_not(host: Host) -> None:
    """After a reboot, a power cut and a power-off the files are there, each time under another boot."""
    host.put("/var/lib/kept", "kept")
    host.put("/var/lib/kubelet/kept", "kept")
    host.run("sync")
    boots = [host.read("/proc/sys/kernel/random/boot_id")]

    host.reboot()
    boots.append(host.read("/proc/sys/kernel/random/boot_id"))
    host.power_cut()
    assert not host.running
    assert host.read("/var/lib/kept") == "kept"
    host.boot()
    boots.append(host.read("/proc/sys/kernel/random/boot_id"))
    host.off()
    assert not host.running
    host.boot()
    boots.append(host.read("/proc/sys/kernel/random/boot_id"))

    assert len(set(boots)) == 4
    assert host.read("/var/lib/kept") == host.read("/var/lib/kubelet/kept") == "kept"


def test_hosts_reach_each_other(hosts: Hosts, host: Host) -> None:
    """A second host answers the first over the bridge; both have machine ids of their own."""
    other = hosts.host("node-b").boot()
    server = "import socket; s = socket.create_server(('', 8000)); c = s.accept()[0]; c.sendall(b'hello'); c.close()"
    other.run("systemd-run", "--quiet", "--unit=hello", "/usr/bin/python3", "-c", server)
    client = f"import socket; print(socket.create_connection(('{other.ip}', 8000), 5).recv(9).decode())"

    def answer() -> str:
        return host.run("/usr/bin/python3", "-c", client, check=False).stdout.strip()

    wait_until(lambda: answer() == "hello", 10, lambda: other.journal("hello"))
    assert host.read("/etc/machine-id") != other.read("/etc/machine-id")
    with pytest.raises(HostError, match="node-b: expected a new name"):
        hosts.host("node-b")


def _traces(folder: Path) -> list[str]:
    """Return what is left of an owner."""
    identity = folder.name
    found = [f"process {pid}" for pid in Cgroup(f"nodegate-{identity}").processes()]
    found += [str(path) for path in Cgroup(f"nodegate-{identity}").folders if path.exists()]
    found += [f"mount {path}" for path in below(folder)]
    return found + ([str(folder)] if folder.exists() else []) + (["bridge"] if Bridge(identity).exists else [])


def _owner() -> tuple[subprocess.Popen[str], Path, int]:
    """Start an owner of one booted host; return it, its folder and its guard."""
    owner = subprocess.Popen([sys.executable, "-c", OWNER], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    folder, guard = json.loads(owner.stdout.readline())
    owner.stdout.close()
    return owner, Path(folder), guard


def test_nothing_outlives_an_owner_that_is_killed() -> None:
    """When the owner gets SIGKILL its guard takes down the machine, the bridge, the cgroups and the disk."""
    owner, folder, _ = _owner()
    assert {"bridge", f"mount {folder / 'node-a' / 'root'}", str(folder)} <= set(_traces(folder))

    owner.kill()
    owner.wait()

    wait_until(lambda: not _traces(folder), GONE_S, lambda: str(_traces(folder)))


def test_the_next_start_takes_down_what_a_killed_guard_left() -> None:
    """When owner and guard are killed everything stays, until somebody starts or sweeps; the living keep theirs."""
    with Hosts() as living:
        owner, folder, guard = _owner()
        os.kill(guard, signal.SIGKILL)
        owner.kill()
        owner.wait()
        assert "bridge" in _traces(folder)

        assert folder.name in sweep()

        assert _traces(folder) == []
        assert "bridge" in _traces(living.folder)
    assert _traces(living.folder) == []


def test_removing_a_folder_never_reaches_through_a_mount(tmp_path: Path) -> None:
    """What is mounted below a folder is unmounted first, so that its files stay."""
    lower = tmp_path / "lower"
    lower.mkdir()
    (lower / "kept").write_text("kept", encoding="utf-8")
    gone = tmp_path / "gone"
    overlay(lower, gone / "upper", gone / "work", gone / "root with space")
    assert (gone / "root with space" / "kept").exists()

    remove_tree(gone)

    assert not gone.exists()
    assert (lower / "kept").read_text(encoding="utf-8") == "kept"


def test_the_reason_to_skip_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the programs the reason names them, their packages and the command that gets them."""
    monkeypatch.setenv("PATH", "")

    reason = hosts_at_hand.prepare(None)

    assert "systemd-nspawn (Debian: systemd-container)" in reason
    assert "python -m hack.hosts prepare" in reason
