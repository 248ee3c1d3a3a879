"""The container runtime: its socket, its cgroup driver, its configuration, docker's options, CNI.

A `Host` and a node's configuration go in, `RuntimeFacts` come out. Rules: containerd's files are read line by line, in
the order of its imports, so each value keeps its file and line; what no file says has containerd's own default.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nodegate_host import paths
from nodegate_host.facts import cri
from nodegate_host.facts.host import Host
from nodegate_host.facts.model import CgroupSetting, HostFacts, RuntimeFacts, UnitFact
from nodegate_host.model import CniPlugin, NodeConfig, RuntimeKind

_SECTION = re.compile(r"^\s*\[+\s*(.+?)\s*\]+\s*(?:#.*)?$")
_PAIR = re.compile(r"^\s*([\w-]+)\s*=\s*(.+?)\s*(?:#.*)?$")
_RUNTIME = re.compile(r"\.runtimes\.[\"']?([\w.-]+?)[\"']?(\.options)?$")
_CRI = re.compile(r"[\"'](?:cri|io\.containerd\.grpc\.v1\.cri|io\.containerd\.cri\.v1\.(?:runtime|images))[\"']")
"""The CRI plugin's names in containerd 1.x and 2.x."""
_PLUGINS = {
    CniPlugin.BRIDGE: ("bridge", "host-local", "portmap", "loopback"),
    CniPlugin.FLANNEL: ("flannel", "bridge", "host-local", "portmap", "loopback"),
    CniPlugin.NONE: (),
}


@dataclass(frozen=True)
class _Pair:
    """A key of a TOML file with its section, file and line."""

    section: str
    key: str
    value: str
    file: str
    line: int


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines with their numbers, an array that spans several joined to one."""
    pending, start = "", 0
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.partition(" #")[0] if pending else raw
        start = start or number
        if pending or re.match(r"^\s*[\w-]+\s*=\s*\[[^\]]*$", line):
            pending += line.strip()
            if "]" not in line:
                continue
        yield start, pending or raw
        pending, start = "", 0
    if pending:
        yield start, pending


def _pairs(host: Host, path: str) -> Iterator[_Pair]:
    section = ""
    for number, raw in _joined(host.text(path) or ""):
        header = _SECTION.match(raw)
        if header and "=" not in header.group(1):
            section = header.group(1)
            yield _Pair(section, "", "", path, number)
            continue
        pair = _PAIR.match(raw)
        if pair:
            yield _Pair(section, pair.group(1), pair.group(2).strip(), path, number)


def _containerd_files(host: Host, path: str) -> list[str]:
    files = [path]
    imports = next((each.value for each in _pairs(host, path) if not each.section and each.key == "imports"), "")
    for pattern in re.findall(r"[\"']([^\"']+)[\"']", imports):
        base, name = os.path.split(pattern if pattern.startswith("/") else f"{path.rpartition('/')[0]}/{pattern}")
        files += [f"{base}/{each}" for each in host.names(base) if fnmatch.fnmatchcase(each, name)]
    return files


def containerd_cgroups(host: Host, path: str = paths.CONTAINERD_CONFIG) -> tuple[CgroupSetting, ...]:
    """Return the cgroup driver of every runc-like runtime; without a word about any, the default is cgroupfs."""
    found: dict[str, CgroupSetting] = {}
    foreign: set[str] = set()
    for file in _containerd_files(host, path):
        for pair in _pairs(host, file):
            runtime = _RUNTIME.search(pair.section)
            if not runtime:
                continue
            name = runtime.group(1)
            found.setdefault(name, CgroupSetting("cgroupfs", file, pair.line, name))
            if pair.key == "SystemdCgroup":
                driver = "systemd" if pair.value == "true" else "cgroupfs"
                found[name] = CgroupSetting(driver, file, pair.line, name)
            elif pair.key == "runtime_type" and ".runc." not in pair.value:
                foreign.add(name)
    kept = tuple(each for name, each in found.items() if name not in foreign)
    return kept or (CgroupSetting("cgroupfs", path, 0, "runc"),)


def cri_disabled(host: Host, path: str = paths.CONTAINERD_CONFIG) -> str:
    """Return ``file:line`` of the disabled_plugins that name the CRI plugin, empty when none does."""
    for file in _containerd_files(host, path):
        for pair in _pairs(host, file):
            if pair.key == "disabled_plugins" and _CRI.search(pair.value):
                return f"{pair.file}:{pair.line}"
    return ""


def _sandbox(host: Host, path: str) -> str:
    for file in _containerd_files(host, path):
        for pair in _pairs(host, file):
            if pair.key == "sandbox_image" or (pair.key == "sandbox" and "pinned_images" in pair.section):
                return pair.value.strip("\"'")
    return ""


def daemon_json(host: Host) -> dict[str, Any]:
    """Return docker's daemon.json; an unreadable one is empty."""
    try:
        found = json.loads(host.text(paths.DOCKER_CONFIG) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def docker_options(unit: UnitFact | None) -> dict[str, str]:
    """Return dockerd's flags as they reach it, names without dashes."""
    found: dict[str, str] = {}
    for each in unit.command[1:] if unit else ():
        name, _, value = each.text.partition("=")
        if name.startswith("-"):
            found[name.lstrip("-")] = value or "true"
    return found


def docker_cgroups(unit: UnitFact | None, daemon: Mapping[str, Any], cgroup: int | None) -> tuple[CgroupSetting, ...]:
    """Return docker's cgroup driver; unset it is systemd on cgroup v2 and cgroupfs on v1."""
    for each in unit.command if unit else ():
        flagged = re.search(r"native\.cgroupdriver=(\w+)", each.text)
        if flagged:
            return (CgroupSetting(flagged.group(1), each.source.file, each.source.line, "docker"),)
    for option in daemon.get("exec-opts", ()):
        listed = re.match(r"native\.cgroupdriver=(\w+)", str(option))
        if listed:
            return (CgroupSetting(listed.group(1), paths.DOCKER_CONFIG, 0, "docker"),)
    if cgroup is None:
        return ()
    return (CgroupSetting("systemd" if cgroup > 1 else "cgroupfs", "docker's default", 0, "docker"),)


def _cni_configs(host: Host, directory: str) -> tuple[str, ...] | None:
    if not host.is_dir(directory):
        return None
    return tuple(each for each in host.names(directory) if each.endswith((".conf", ".conflist", ".json")))


def _cni_plugins(host: Host, directory: str, plugin: CniPlugin) -> dict[str, bool]:
    return {name: os.access(host.where(f"{directory}/{name}"), os.X_OK) for name in _PLUGINS[plugin]}


def _socket(host: Host, path: str) -> tuple[cri.Answer | None, cri.Runtime | None]:
    return cri.version(str(host.where(path))) if host.live and host.exists(path) else (None, None)


def gather(host: Host, config: NodeConfig | None, system: HostFacts, units: Mapping[str, UnitFact]) -> RuntimeFacts:
    """Return the runtime's facts; without a configuration those of containerd at its usual place."""
    endpoint = config.runtime.socket if config else "/run/containerd/containerd.sock"
    kind = config.runtime.kind if config else RuntimeKind.CONTAINERD
    docker, daemon = units.get("docker.service"), daemon_json(host)
    is_containerd = kind is RuntimeKind.CONTAINERD
    answer, runtime = _socket(host, endpoint)
    cgroups = containerd_cgroups(host) if is_containerd else docker_cgroups(docker, daemon, system.cgroup)
    return RuntimeFacts(
        socket=endpoint,
        exists=host.exists(endpoint) if host.live else None,
        answers=answer.connected if answer else None,
        cri=runtime is not None if answer else None,
        name=runtime.name if runtime else "",
        version=runtime.version if runtime else None,
        problem=answer.problem if answer else "",
        config_file=paths.CONTAINERD_CONFIG if is_containerd else paths.DOCKER_CONFIG,
        cri_disabled=cri_disabled(host) if is_containerd else "",
        cgroups=cgroups,
        sandbox=_sandbox(host, paths.CONTAINERD_CONFIG) if is_containerd else "",
        images=cri.images(str(host.where(endpoint))) if runtime else None,
        docker_command=docker.raw_command if docker else "",
        docker_fragment=docker.fragment if docker else "",
        docker_options=docker_options(docker),
        docker_daemon={key: str(value) for key, value in daemon.items()},
        cni_configs=_cni_configs(host, config.cni.conf_dir if config else "/etc/cni/net.d"),
        cni_plugins=_cni_plugins(host, config.cni.bin_dir, config.cni.plugin) if config else {},
    )
