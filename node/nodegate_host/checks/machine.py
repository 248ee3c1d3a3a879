"""host.*: the machine and its kernel (checks 1-8, 15-17).

Pure. Limits and their sources: 500 MiB, 1.3 GiB and 15 % are k0s' worker requirements and the kubelet's default
eviction threshold; 5.13 is what kube-proxy's nftables mode needs; 239 is the oldest systemd of a supported system.
"""

from __future__ import annotations

from collections.abc import Iterator

from nodegate_host.checks.model import ERROR, WARNING, Check, Found, NotKnown, evidence, known
from nodegate_host.facts.model import Facts
from nodegate_host.model import NodeConfig, ProxyMode

_SYSTEMD = 239
_KERNEL = (4, 19)
_KERNEL_NFTABLES = (5, 13)
_MEMORY = 500 * 1024**2
_DISK = 1300 * 1024**2
_DISK_SHARE = 0.15
_NOFILE = 65536
_INOTIFY = {"fs.inotify.max_user_instances": 8192, "fs.inotify.max_user_watches": 65536}
_TESTED = {
    "debian": (11,), "ubuntu": (22, 4), "rhel": (9,), "centos": (9,), "rocky": (9,), "almalinux": (9,),
    "fedora": (38,), "amzn": (2023,), "sles": (15, 4), "opensuse-leap": (15, 4), "flatcar": (0,),
}  # fmt: skip
_SELINUX = {
    "kubelet": "kubelet_exec_t",
    "containerd": "container_runtime_exec_t",
    "dockerd": "container_runtime_exec_t",
}
_MIB = 1024**2


def _root(facts: Facts, _config: NodeConfig) -> Iterator[Found]:
    known(facts.host.euid, "the user")
    if facts.host.euid != 0:
        yield Found(f"expected to run as root, runs as uid {facts.host.euid}")


def _systemd(facts: Facts, _config: NodeConfig) -> Iterator[Found]:
    known(facts.host.booted_with_systemd, "how the host was booted")
    if not facts.host.booted_with_systemd:
        yield Found(
            "expected a host that was booted with systemd, found no /run/systemd/system",
            evidence=evidence("/run/systemd/system"),
        )
    elif facts.host.systemd is not None and facts.host.systemd < _SYSTEMD:
        yield Found(f"expected systemd {_SYSTEMD} or newer, found {facts.host.systemd}")


def _os(facts: Facts, _config: NodeConfig) -> Iterator[Found]:
    host = facts.host
    if not host.os_id:
        raise NotKnown("os-release is not readable")
    oldest = _TESTED.get(host.os_id)
    version = tuple(int(part) for part in host.os_version.split(".") if part.isdigit())
    if oldest is None or (version and version < oldest):
        yield Found(f"{host.os_name or host.os_id} is not tested", evidence=evidence("/etc/os-release"))


def _arch(facts: Facts, _config: NodeConfig) -> Iterator[Found]:
    if not facts.host.machine:
        raise NotKnown("the processor is not known here")
    for program in facts.programs.values():
        if program.machine and program.machine != facts.host.machine:
            message = f"{program.name} is for {program.machine}, the host is {facts.host.machine}"
            yield Found(message, evidence=evidence(program.path))


def _kernel(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    kernel = facts.host.kernel
    if kernel is None:
        raise NotKnown("the kernel's version is not known here")
    if kernel < _KERNEL:
        yield Found(f"expected kernel 4.19 or newer, found {facts.host.kernel_release}", severity=WARNING)
    if config.kube_proxy.enabled and config.kube_proxy.mode is ProxyMode.NFTABLES and kernel < _KERNEL_NFTABLES:
        message = f"kube-proxy's nftables mode needs kernel 5.13 or newer, found {facts.host.kernel_release}"
        yield Found(message, "kubeProxy.mode: iptables")


def _mem(facts: Facts, _config: NodeConfig) -> Iterator[Found]:
    memory = facts.host.memory
    if memory is None:
        raise NotKnown("the size of the memory is not known here")
    if memory < _MEMORY:
        yield Found(f"expected at least 500 MiB of memory, found {memory // _MIB} MiB")


def _disk(facts: Facts, _config: NodeConfig) -> Iterator[Found]:
    disk = facts.host.disk
    if disk is None:
        raise NotKnown("the kubelet's file system is not known here")
    share = disk.free / disk.total if disk.total else 0.0
    if disk.free < _DISK or share < _DISK_SHARE:
        yield Found(
            f"expected 1300 MiB and 15 % free for /var/lib/kubelet, found {disk.free // _MIB} MiB ({share:.0%}); "
            "the kubelet would evict Pods",
            evidence=evidence(disk.path),
        )


def _time(facts: Facts, _config: NodeConfig) -> Iterator[Found]:
    now = facts.host.now
    if now is None:
        raise NotKnown("the time is not known here")
    for certificate in facts.identity.ca or ():
        place = evidence(certificate.file)
        if now < certificate.not_before:
            yield Found(
                f"the CA {certificate.common_name!r} is not valid yet: this host's clock is behind", evidence=place
            )
        elif now > certificate.not_after:
            message = f"the CA {certificate.common_name!r} has expired, or this host's clock is ahead"
            yield Found(message, "look at the clock, then renew the cluster's CA", evidence=place)
    if facts.host.ntp_synchronized is False:
        yield Found("expected a clock that is synchronised, timedatectl says it is not", severity=WARNING)


def _machine_id(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    host, node = facts.host, facts.api.node if facts.api else None
    if host.machine_id in (None, "", "uninitialized"):
        yield Found("expected a machine id, found none", evidence=evidence("/etc/machine-id"))
    elif node and node.machine_id == host.machine_id and not set(node.addresses) & set(config.node.ips) and node.ready:
        message = (
            f"a cloned machine? the Node {config.node.name} at {', '.join(node.addresses)} has the same machine id"
        )
        yield Found(message, evidence=evidence("/etc/machine-id"))


def _selinux(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    if facts.host.selinux is None:
        return
    for name, wanted in _SELINUX.items():
        place = facts.places.get(f"{config.kubernetes.bin_dir}/{name}")
        if place and place.exists and place.selinux not in (None, wanted, "bin_t"):
            yield Found(
                f"{name}: expected SELinux type {wanted}, found {place.selinux}; it was moved here from elsewhere",
                f"restorecon -v {place.path}",
                ERROR if facts.host.selinux == "enforcing" else WARNING,
                evidence(place.path),
            )


def _nofile(facts: Facts, _config: NodeConfig) -> Iterator[Found]:
    if facts.host.nofile is None:
        raise NotKnown("the limit of open files is not known here")
    if facts.host.nofile < _NOFILE:
        message = f"expected a limit of {_NOFILE} open files or more, found {facts.host.nofile}"
        yield Found(message, evidence=evidence("/proc/1/limits"))


def _inotify(facts: Facts, _config: NodeConfig) -> Iterator[Found]:
    for name, least in _INOTIFY.items():
        sysctl = facts.host.sysctls.get(name)
        if sysctl and sysctl.live and sysctl.live.isdigit() and int(sysctl.live) < least:
            message = f"expected {name} of at least {least}, found {sysctl.live}"
            yield Found(
                message, f'host.sysctls: {{{name}: "{least}"}} in node.yaml', evidence=evidence(f"sysctl {name}")
            )


def mount_options(facts: Facts, path: str) -> tuple[str, ...]:
    """Return the options of the mount that a path is on."""
    best = ""
    options: tuple[str, ...] = ()
    for mount in facts.host.mounts:
        inside = f"{path}/".startswith(mount.path.rstrip("/") + "/")
        if inside and len(mount.path) >= len(best):
            best, options = mount.path, mount.options
    return options


def _readonly(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    directories = (config.kubernetes.bin_dir, "/etc/systemd/system", "/etc/kubernetes", "/var/lib/kubelet")
    for path in directories:
        options = mount_options(facts, path)
        if "ro" in options:
            yield Found(f"{path} is on a read-only file system", "kubernetes.binDir: /opt/bin", evidence=evidence(path))
    if "noexec" in mount_options(facts, config.kubernetes.bin_dir):
        message = f"{config.kubernetes.bin_dir} is mounted noexec, so nothing in it can be started"
        yield Found(
            message,
            "kubernetes.binDir: a directory that may hold programs",
            evidence=evidence(config.kubernetes.bin_dir),
        )


CHECKS: tuple[Check, ...] = (
    Check(
        1,
        "host.root",
        ERROR,
        "runs as root",
        _root,
        "sudo nodegate-host …",
        "Units, modules and sysctls belong to root. `render`, `validate` and `plan --root` need none.",
        "host",
    ),
    Check(
        2,
        "host.systemd",
        ERROR,
        "systemd runs the host",
        _systemd,
        "use a host that systemd boots, of version 239 or newer",
        "All daemons run as systemd units; a container or a host with another init cannot be managed.",
        "host",
        "S20",
    ),
    Check(
        3,
        "host.os",
        WARNING,
        "a tested operating system",
        _os,
        "--ignore host.os, and tell us how it went",
        "Debian 11, Ubuntu 22.04, RHEL 9 and their like, Fedora, SLES 15.4, Amazon Linux 2023 and Flatcar are known.",
        "host",
    ),
    Check(
        4,
        "host.arch",
        ERROR,
        "programs are for this processor",
        _arch,
        "install the archive for this processor",
        "The architecture is read from the program's ELF header, so it is found before anything is started.",
        "host",
        "S29",
    ),
    Check(
        5,
        "host.kernel",
        ERROR,
        "the kernel is new enough",
        _kernel,
        "update the kernel",
        "4.19 is the oldest kernel that Kubernetes is tested with; kube-proxy's nftables mode needs 5.13.",
        "host",
    ),
    Check(
        6,
        "host.mem",
        WARNING,
        "enough memory",
        _mem,
        "give the machine more memory",
        "kubelet, kube-proxy, containerd and flanneld take about 200 MiB before the first Pod.",
        "host",
    ),
    Check(
        6,
        "host.disk",
        WARNING,
        "enough free disk",
        _disk,
        "free space, or mount a larger disk on /var/lib/kubelet",
        "Below 15 % free the kubelet reports DiskPressure and evicts Pods.",
        "host",
    ),
    Check(
        7,
        "host.time",
        ERROR,
        "the clock is right",
        _time,
        "chronyc makestep, or systemctl restart systemd-timesyncd",
        "Certificates are valid between two moments; with a wrong clock every connection fails with x509 errors.",
        "host",
    ),
    Check(
        8,
        "host.machineid",
        WARNING,
        "a machine id of its own",
        _machine_id,
        "rm /etc/machine-id && systemd-machine-id-setup, then reboot",
        "Machines that were cloned share ids; leases, DHCP and volume plugins then take them for one machine.",
        "host",
    ),
    Check(
        15,
        "host.selinux",
        WARNING,
        "SELinux types of programs",
        _selinux,
        "restorecon -Rv /usr/local/bin",
        "A file that is moved (not copied) from /root or /tmp keeps its old type, and systemd may not start it.",
        "host",
    ),
    Check(
        16,
        "host.nofile",
        WARNING,
        "limit of open files",
        _nofile,
        "DefaultLimitNOFILE=1048576 in /etc/systemd/system.conf",
        "The kubelet and the runtime hold several files a container.",
        "host",
        "S62",
    ),
    Check(
        16,
        "host.inotify",
        WARNING,
        "inotify limits",
        _inotify,
        "host.sysctls in node.yaml",
        "Each Pod's logs and volumes take watches; 'too many open files' in the kubelet mostly means inotify.",
        "host",
    ),
    Check(
        17,
        "host.readonly",
        ERROR,
        "target directories can be written",
        _readonly,
        "kubernetes.binDir: /opt/bin",
        "Flatcar and other image-based systems have a read-only /usr; programs go to /opt/bin there.",
        "host",
    ),
)
"""Checks 1-8 and 15-17."""
