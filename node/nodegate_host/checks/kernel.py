"""host.swap, host.cgroup*, host.modules, host.sysctl, host.reservedports (checks 9-14).

Pure. What `apply` sets itself (modules that can be loaded, sysctls that no later file overrides) is a warning.
"""

from __future__ import annotations

from collections.abc import Iterator

from nodegate_host import paths
from nodegate_host.checks.model import ERROR, WARNING, Check, Found, NotKnown, evidence, known
from nodegate_host.facts.model import Facts, Sysctl
from nodegate_host.model import NodeConfig, Swap

NODE_PORTS = (30000, 32767)
"""The API server's default range of NodePorts."""

_CGROUP_V1_ENDS = (1, 35)
_CONTROLLERS = ("cpu", "cpuset", "memory", "pids")


def _swap(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    if facts.host.swaps is None:
        raise NotKnown("/proc/swaps is not readable")
    allowed = config.host.swap is Swap.ALLOW or config.kubelet.config.get("failSwapOn") is False
    if facts.host.swaps and not allowed:
        yield Found(
            f"expected no swap, found {', '.join(facts.host.swaps)}; the kubelet does not start",
            evidence=evidence("/proc/swaps"),
        )


def _cgroup(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    known(facts.host.cgroup, "the version of cgroups")
    if facts.host.cgroup != 1:
        return
    if config.kubernetes.version.release < _CGROUP_V1_ENDS:
        yield Found("the host uses cgroup v1, which the kubelet refuses from 1.35 on", severity=WARNING)
    elif config.kubelet.config.get("failCgroupV1", True):
        version = config.kubernetes.version.text
        yield Found(
            f"expected cgroup v2, found v1; the kubelet {version} does not start with failCgroupV1 (the default)"
        )


def _controllers(facts: Facts, _config: NodeConfig) -> Iterator[Found]:
    if facts.host.controllers is None:
        raise NotKnown("the cgroup controllers are not known here")
    missing = [name for name in _CONTROLLERS if name not in facts.host.controllers]
    if missing:
        message = f"expected the cgroup controllers {', '.join(_CONTROLLERS)}, found no {', '.join(missing)}"
        yield Found(
            message,
            evidence=evidence("/proc/cgroups" if facts.host.cgroup == 1 else "/sys/fs/cgroup/cgroup.controllers"),
        )


def _modules(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    if not facts.host.modules:
        raise NotKnown("the kernel's modules are not known here")
    needed = ["overlay", "br_netfilter", *(["vxlan"] if config.flannel.enabled else [])]
    for name in needed:
        state = facts.host.modules.get(name)
        if state == "missing":
            consequence = "; flanneld exits without it" if name == "br_netfilter" else ""
            yield Found(
                f"expected the kernel module {name}, this kernel does not have it{consequence}", _package(facts)
            )
        elif state == "available":
            yield Found(f"the kernel module {name} is not loaded; apply loads it", f"modprobe {name}", WARNING)
    unknown = [name for name in needed if name not in facts.host.modules]
    if unknown:
        raise NotKnown(f"this kernel does not tell whether it has {', '.join(unknown)}")


def _package(facts: Facts) -> str:
    return f"install the kernel's extra modules for {facts.host.kernel_release}"


def _wanted(config: NodeConfig) -> dict[str, str]:
    wanted = {"net.ipv4.ip_forward": "1", "net.bridge.bridge-nf-call-iptables": "1", **config.host.sysctls}
    if any(":" in each for each in config.node.ips):
        wanted.update({"net.ipv6.conf.all.forwarding": "1", "net.bridge.bridge-nf-call-ip6tables": "1"})
    return wanted


def _is_later(file: str) -> bool:
    """Whether a sysctl.d file is read after ours; the last one wins."""
    return bool(file) and file.rsplit("/", 1)[-1] > paths.SYSCTL.rsplit("/", 1)[-1]


def _sysctl(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    for name, wanted in _wanted(config).items():
        found = facts.host.sysctls.get(name)
        if found is not None:
            yield from _one_sysctl(found, wanted)


def _one_sysctl(found: Sysctl, wanted: str) -> Iterator[Found]:
    if found.persisted not in (None, wanted) and _is_later(found.file):
        yield Found(
            f"expected {found.name}={wanted}, found {found.persisted}, set by {found.file}, which is read after ours",
            f"remove {found.name} from {found.file}",
            evidence=evidence(f"{found.file}:{found.line}"),
        )
    elif found.live is None and found.name.startswith("net.bridge."):
        yield Found(
            f"expected {found.name}={wanted}, found no such setting: br_netfilter is not loaded; apply loads it",
            "modprobe br_netfilter",
            WARNING,
        )
    elif found.live is not None and _normal(found.live) != _normal(wanted):
        ours = found.file == paths.SYSCTL
        message = f"expected {found.name}={wanted}, found {found.live}"
        text = (
            f"{message} although {found.file} sets it; something changed it since"
            if ours
            else f"{message}; apply sets it"
        )
        places = evidence(f"{found.file}:{found.line}") if found.file else evidence(f"sysctl {found.name}")
        yield Found(text, f"sysctl -w {found.name}={wanted}", ERROR if ours else WARNING, places)


def _normal(value: str) -> str:
    return " ".join(value.split())


def _ranges(text: str) -> list[tuple[int, int]]:
    found = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first.strip().isdigit():
            found.append((int(first), int(last) if last.strip().isdigit() else int(first)))
    return found


def _reserved_ports(facts: Facts, _config: NodeConfig) -> Iterator[Found]:
    found = facts.host.sysctls.get("net.ipv4.ip_local_reserved_ports")
    if found is None or found.live is None:
        raise NotKnown("ip_local_reserved_ports is not readable")
    low, high = NODE_PORTS
    if not any(first <= low and high <= last for first, last in _ranges(found.live)):
        yield Found(
            f"expected the NodePorts {low}-{high} to be reserved, found {found.live or 'nothing'}; programs of this "
            "host "
            "may take one as their local port",
            evidence=evidence("sysctl net.ipv4.ip_local_reserved_ports"),
        )


CHECKS: tuple[Check, ...] = (
    Check(
        9,
        "host.swap",
        ERROR,
        "swap is off, or allowed",
        _swap,
        "swapoff -a and remove it from /etc/fstab (and zram), or host.swap: allow",
        "The kubelet refuses to start with swap on unless failSwapOn is false. The guide has no step for it.",
        "host",
        "E20",
    ),
    Check(
        10,
        "host.cgroup",
        ERROR,
        "cgroup v2 where the kubelet wants it",
        _cgroup,
        "boot with systemd.unified_cgroup_hierarchy=1, or kubelet.config: {failCgroupV1: false}",
        "failCgroupV1 exists since 1.31 and is true by default from 1.35.",
        "host",
    ),
    Check(
        11,
        "host.cgroupctl",
        ERROR,
        "cgroup controllers",
        _controllers,
        "boot with cgroup_enable=memory (Raspberry Pi: cmdline.txt)",
        "Without the memory controller the kubelet cannot limit Pods and does not start.",
        "host",
    ),
    Check(
        12,
        "host.modules",
        ERROR,
        "kernel modules",
        _modules,
        "modprobe overlay br_netfilter vxlan",
        "overlay holds images, br_netfilter lets bridged traffic pass the Service rules, vxlan is the overlay network.",
        "host",
        "E21",
    ),
    Check(
        13,
        "host.sysctl",
        ERROR,
        "forwarding and bridge sysctls, and that they stay",
        _sysctl,
        "nodegate-host apply sets them",
        "A value set by hand is lost at the next boot, and one in a file that sorts later is lost at once.",
        "host",
        "E21",
    ),
    Check(
        14,
        "host.reservedports",
        WARNING,
        "NodePorts are reserved",
        _reserved_ports,
        'host.sysctls: {net.ipv4.ip_local_reserved_ports: "30000-32767"}',
        "kube-proxy and the kernel both hand out ports of this range; a clash drops a Service's connections.",
        "host",
    ),
)
"""Checks 9-14."""
