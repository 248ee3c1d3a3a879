"""The machine itself: kernel, memory, modules, sysctls, cgroups, swap, clock, names.

A `Host` goes in, `HostFacts` come out; nothing is changed, no module is loaded. Rules: a sysctl's persisted value is
the one of the file that systemd-sysctl reads last; a module counts as available when modules.dep knows it.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import time
from collections.abc import Iterable, Iterator

from nodegate_host.facts.host import Host
from nodegate_host.facts.model import Disk, HostFacts, Mount, Sysctl

MODULES = ("overlay", "br_netfilter", "vxlan", "nf_conntrack")
"""What the kubelet, kube-proxy and flannel need."""

_MODULE_SIGNS = {
    "overlay": ("/proc/filesystems", "overlay"),
    "br_netfilter": ("/proc/sys/net/bridge/bridge-nf-call-iptables", ""),
    "nf_conntrack": ("/proc/sys/net/netfilter/nf_conntrack_max", ""),
}
"""How a module that is built in, and then in no list on some kernels, shows."""

SYSCTLS = (
    "net.ipv4.ip_forward",
    "net.ipv6.conf.all.forwarding",
    "net.bridge.bridge-nf-call-iptables",
    "net.bridge.bridge-nf-call-ip6tables",
    "net.ipv4.ip_local_reserved_ports",
    "fs.inotify.max_user_instances",
    "fs.inotify.max_user_watches",
    "fs.file-max",
    "vm.overcommit_memory",
    "kernel.panic",
    "kernel.panic_on_oops",
)
"""Those that checks look at."""

SYSCTL_DIRECTORIES = ("/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d")
"""In the order in which a name in an earlier one hides the same name in a later one."""

_LOOKUP_S = 2.0
"""Seconds for a name; a good resolver takes milliseconds."""

_INSTALLERS = {
    "k3s": ("/etc/systemd/system/k3s.service", "/etc/systemd/system/k3s-agent.service", "/etc/rancher/k3s"),
    "rke2": ("/etc/rancher/rke2", "/usr/local/lib/systemd/system/rke2-agent.service"),
    "k0s": ("/etc/systemd/system/k0sworker.service", "/etc/k0s"),
    "microk8s": ("/var/snap/microk8s/current", "/snap/microk8s"),
    "kubeadm": ("/var/lib/kubelet/kubeadm-flags.env",),
}


def _os_release(host: Host) -> dict[str, str]:
    text = host.text("/etc/os-release") or host.text("/usr/lib/os-release") or ""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {key.strip(): value.strip().strip("\"'") for key, _, value in pairs}


def _kernel(release: str) -> tuple[int, int] | None:
    found = re.match(r"(\d+)\.(\d+)", release)
    return (int(found.group(1)), int(found.group(2))) if found else None


def _memory(host: Host) -> int | None:
    found = re.search(r"^MemTotal:\s+(\d+) kB", host.text("/proc/meminfo") or "", re.MULTILINE)
    return int(found.group(1)) * 1024 if found else None


def _disk(host: Host, path: str) -> Disk | None:
    if not host.live:
        return None
    place = host.where(path)
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        usage = shutil.disk_usage(place)
    except OSError:
        return None
    return Disk(str(place), usage.total, usage.free)


def _swaps(host: Host) -> tuple[str, ...] | None:
    text = host.text("/proc/swaps")
    return None if text is None else tuple(line.split()[0] for line in text.splitlines()[1:] if line.strip())


def mounts(host: Host) -> tuple[Mount, ...]:
    """Return what is mounted, in the kernel's order; spaces in paths come as the kernel writes them, decoded."""
    found = []
    for line in (host.text("/proc/mounts") or "").splitlines():
        parts = line.split()
        if len(parts) > 3:  # noqa: PLR2004 (device, path, type, options)
            path = re.sub(r"\\(\d{3})", lambda each: chr(int(each.group(1), 8)), parts[1])
            found.append(Mount(path, parts[2], tuple(parts[3].split(","))))
    return tuple(found)


def _cgroups(host: Host, mounted: Iterable[Mount]) -> tuple[int | None, tuple[str, ...] | None]:
    types = {each.path: each.type for each in mounted}
    if types.get("/sys/fs/cgroup") == "cgroup2":
        controllers = host.word("/sys/fs/cgroup/cgroup.controllers")
        return 2, None if controllers is None else tuple(controllers.split())
    if "cgroup" not in types.values():
        return None, None
    rows = [line.split() for line in (host.text("/proc/cgroups") or "").splitlines() if not line.startswith("#")]
    return 1, tuple(row[0] for row in rows if len(row) == 4 and row[3] == "1")  # noqa: PLR2004 (name id number enabled)


def _module_lists(host: Host, release: str) -> tuple[set[str], set[str], set[str]]:
    loaded = {line.split()[0] for line in (host.text("/proc/modules") or "").splitlines() if line.strip()}
    base = next((each for each in ("/lib/modules", "/usr/lib/modules") if host.is_dir(f"{each}/{release}")), "")
    stems = [
        {
            line.split(":")[0].rsplit("/", 1)[-1].split(".")[0].replace("-", "_")
            for line in (host.text(f"{base}/{release}/{name}") or "").splitlines()
        }
        for name in ("modules.builtin", "modules.dep")
    ]
    return loaded, stems[0], stems[1]


def _modules(host: Host, release: str) -> dict[str, str]:
    loaded, builtin, available = _module_lists(host, release)
    found = {}
    for name in MODULES:
        sign, word = _MODULE_SIGNS.get(name, ("", ""))
        shows = bool(sign) and (word in (host.text(sign) or "").split() if word else host.exists(sign))
        if name in loaded:
            found[name] = "loaded"
        elif name in builtin or shows:
            found[name] = "builtin"
        elif name in available:
            found[name] = "available"
        elif host.exists(f"/sys/module/{name}"):
            found[name] = "builtin"
        elif builtin or available:
            found[name] = "missing"
    return found


def sysctl_files(host: Host) -> tuple[str, ...]:
    """Return the files that systemd-sysctl reads, in its order; /etc/sysctl.conf is read by procps alone."""
    chosen: dict[str, str] = {}
    for directory in SYSCTL_DIRECTORIES:
        for name in host.names(directory):
            if name.endswith(".conf"):
                chosen.setdefault(name, f"{directory}/{name}")
    return tuple(chosen[name] for name in sorted(chosen))


def _persisted(host: Host) -> dict[str, tuple[str, str, int]]:
    found: dict[str, tuple[str, str, int]] = {}
    for path in sysctl_files(host):
        for number, line in enumerate((host.text(path) or "").splitlines(), start=1):
            key, separator, value = line.strip().lstrip("-").partition("=")
            if separator and not line.lstrip().startswith(("#", ";")):
                found[key.strip().replace("/", ".")] = (value.strip(), path, number)
    return found


def _sysctls(host: Host, names: Iterable[str]) -> dict[str, Sysctl]:
    persisted = _persisted(host)
    found = {}
    for name in names:
        value, file, line = persisted.get(name, (None, "", 0))
        found[name] = Sysctl(name, host.word("/proc/sys/" + name.replace(".", "/")), value, file, line)
    return found


def _systemd(host: Host) -> int | None:
    ran = host.run("systemctl", "--version")
    found = re.match(r"systemd (\d+)", ran.out) if ran else None
    return int(found.group(1)) if found else None


def _synchronized(host: Host) -> bool | None:
    ran = host.run("timedatectl", "show", "-p", "NTPSynchronized", "--value")
    if ran is None or ran.code != 0:
        return None
    return {"yes": True, "no": False}.get(ran.out.strip())


def _selinux(host: Host) -> str | None:
    value = host.word("/sys/fs/selinux/enforce")
    return None if value is None else {"1": "enforcing", "0": "permissive"}.get(value)


def _nofile(host: Host) -> int | None:
    found = re.search(r"^Max open files\s+\S+\s+(\d+)", host.text("/proc/1/limits") or "", re.MULTILINE)
    return int(found.group(1)) if found else None


def _resolves(host: Host, names: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """Look names up; on a root directory only in its hosts file, where a missing name proves nothing."""
    known = {word for line in (host.text("/etc/hosts") or "").splitlines() for word in line.split("#")[0].split()[1:]}
    for name in names:
        if name in known:
            yield name, True
        elif host.live and any(host.exists(f"{each}/getent") for each in ("/usr/bin", "/bin")):
            yield name, _lookup(host, name)


def _lookup(host: Host, name: str) -> bool:
    """Ask the system's own resolver, with a limit; a resolver that does not answer is no answer."""
    ran = host.run("getent", "ahosts", name, timeout=_LOOKUP_S)
    return ran is not None and ran.code == 0


def _installers(host: Host) -> dict[str, str]:
    found = {}
    for name, paths in _INSTALLERS.items():
        path = next((each for each in paths if host.exists(each)), None)
        if path:
            found[name] = path
    return found


def gather(host: Host, *, kubelet_root: str = "/var/lib/kubelet", sysctls: Iterable[str] = ()) -> HostFacts:
    """Return the machine's facts; `sysctls` are looked at beside `SYSCTLS`."""
    release = host.word("/proc/sys/kernel/osrelease") or (os.uname().release if host.live else "")
    system = _os_release(host)
    mounted = mounts(host)
    cgroup, controllers = _cgroups(host, mounted)
    hostname = (socket.gethostname() if host.live else host.word("/etc/hostname")) or ""
    return HostFacts(
        euid=os.geteuid() if host.live else None,
        booted_with_systemd=host.is_dir("/run/systemd/system") if host.live else None,
        systemd=_systemd(host),
        os_id=system.get("ID", ""),
        os_like=tuple(system.get("ID_LIKE", "").split()),
        os_version=system.get("VERSION_ID", ""),
        os_name=system.get("PRETTY_NAME", ""),
        machine=os.uname().machine if host.live else "",
        kernel=_kernel(release),
        kernel_release=release,
        memory=_memory(host),
        disk=_disk(host, kubelet_root),
        now=time.time(),
        ntp_synchronized=_synchronized(host),
        machine_id=host.word("/etc/machine-id"),
        product_uuid=host.word("/sys/class/dmi/id/product_uuid"),
        hostname=hostname,
        swaps=_swaps(host),
        cgroup=cgroup,
        controllers=controllers,
        modules=_modules(host, release),
        sysctls=_sysctls(host, (*SYSCTLS, *sysctls)),
        selinux=_selinux(host),
        nofile=_nofile(host),
        mounts=mounted,
        resolves=dict(_resolves(host, [each for each in (hostname, "localhost") if each])),
        installers=_installers(host),
    )
