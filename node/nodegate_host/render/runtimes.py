"""The runtime's own configuration, when ``runtime.manage`` is set: containerd's format 2, 3 or 4, docker's daemon.json.

The cgroup driver is the kubelet's. docker's address range never stands here: it is a flag from flannel's lease, and
docker refuses to start when both say it.
"""

from __future__ import annotations

import json

from nodegate_host import paths, versions
from nodegate_host.model import CgroupDriver, File, NodeConfig, RuntimeKind
from nodegate_host.parse import ENDPOINTS
from nodegate_host.render.headers import with_header


def files(config: NodeConfig) -> list[File]:
    """Return the configuration of a managed runtime."""
    if not config.runtime.manage:
        return []
    if config.runtime.kind is RuntimeKind.CONTAINERD:
        content = with_header(_containerd(config), advice="change runtime in node.yaml")
        return [File(paths.CONTAINERD_CONFIG, content, units=("containerd.service",))]
    driver = config.runtime.cgroup_driver.value
    body = json.dumps({"exec-opts": [f"native.cgroupdriver={driver}"]}, indent=2) + "\n"
    return [File(paths.DOCKER_CONFIG, body.encode(), units=("docker.service",))]


def _containerd(config: NodeConfig) -> str:
    form = versions.containerd_config_version(config.runtime.version)
    return _format_2(config) if form == 2 else _format_3(config, form)  # noqa: PLR2004 - the format's number


def _systemd(config: NodeConfig) -> str:
    return str(config.runtime.cgroup_driver is CgroupDriver.SYSTEMD).lower()


def _address(config: NodeConfig, table: str) -> list[str]:
    """Return the table that moves the socket, when it is not where containerd has it anyway."""
    if config.runtime.endpoint == ENDPOINTS[RuntimeKind.CONTAINERD]:
        return []
    return ["", f"[{table}]", f'  address = "{config.runtime.socket}"']


def _format_2(config: NodeConfig) -> str:
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    image = config.runtime.sandbox_image
    lines = [
        "version = 2",
        *_address(config, "grpc"),
        "",
        f"[{cri}]",
        *([f'  sandbox_image = "{image}"'] if image else []),
        f"  [{cri}.cni]",
        f'    bin_dir = "{config.cni.bin_dir}"',
        f'    conf_dir = "{config.cni.conf_dir}"',
        f"  [{cri}.containerd.runtimes.runc]",
        '    runtime_type = "io.containerd.runc.v2"',
        f"    [{cri}.containerd.runtimes.runc.options]",
        f"      SystemdCgroup = {_systemd(config)}",
    ]
    return "\n".join(lines) + "\n"


def _format_3(config: NodeConfig, form: int) -> str:
    """Return format 3, or 4, which differs in where the server's address stands."""
    runtime = "plugins.'io.containerd.cri.v1.runtime'"
    image = config.runtime.sandbox_image
    lines = [
        f"version = {form}",
        *_address(config, "grpc" if form == 3 else "plugins.'io.containerd.server.v1.grpc'"),  # noqa: PLR2004 - the format
        *(["", "[plugins.'io.containerd.cri.v1.images'.pinned_images]", f'  sandbox = "{image}"'] if image else []),
        "",
        f"[{runtime}.cni]",
        f'  bin_dirs = ["{config.cni.bin_dir}"]',
        f'  conf_dir = "{config.cni.conf_dir}"',
        "",
        f"[{runtime}.containerd.runtimes.runc]",
        '  runtime_type = "io.containerd.runc.v2"',
        f"  [{runtime}.containerd.runtimes.runc.options]",
        f"    SystemdCgroup = {_systemd(config)}",
    ]
    return "\n".join(lines) + "\n"
