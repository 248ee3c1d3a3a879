"""The runtime's files: cgroup drivers, imports, what switches the CRI off, docker's options."""

from pathlib import Path

import pytest

from nodegate_host.facts import runtime
from nodegate_host.facts.host import Host
from tests.unit.host import healthy

_RUNTIMES = "plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes"
_VERSION_2 = """version = 2
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  SystemdCgroup = true
"""
_VERSION_3 = f"""version = 3
[{_RUNTIMES}.runc]
runtime_type = 'io.containerd.runc.v2'
[{_RUNTIMES}.crun.options]
SystemdCgroup = true # yes
[{_RUNTIMES}.kata]
runtime_type = 'io.containerd.kata.v2'
"""


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """Give an empty host."""
    return Host(tmp_path)


def _write(host: Host, path: str, content: str | bytes, mode: int = 0o644) -> None:
    place = host.root / path.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content if isinstance(content, bytes) else content.encode())
    place.chmod(mode)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", [("runc", "cgroupfs", 0)]),
        (
            _VERSION_2,
            [("runc", "systemd", 3)],
        ),
        (
            _VERSION_3,
            [("runc", "cgroupfs", 2), ("crun", "systemd", 5)],
        ),
    ],
)
def test_reads_containerd_cgroup_drivers(host: Host, text: str, found: list[tuple[str, str, int]]) -> None:
    """Versions 2 and 3, several runtimes, those that are no runc left out, the default without a word."""
    _write(host, "/etc/containerd/config.toml", text)

    assert [(each.runtime, each.driver, each.line) for each in runtime.containerd_cgroups(host)] == found


def test_an_imported_file_has_the_last_word(host: Host) -> None:
    """Imports of containerd are read after the file that names them."""
    section = "[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]\nSystemdCgroup = "
    _write(host, "/etc/containerd/config.toml", f'imports = ["/etc/containerd/conf.d/*.toml"]\n{section}false\n')
    _write(host, "/etc/containerd/conf.d/a.toml", f"{section}true\n")

    assert [(each.driver, each.file) for each in runtime.containerd_cgroups(host)] == [
        ("systemd", "/etc/containerd/conf.d/a.toml")
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('disabled_plugins = ["cri"]\n', 1),
        ('version = 2\ndisabled_plugins = [\n  "aufs", # old\n  "cri",\n]\nroot = "/x"\n', 2),
        ("version = 3\ndisabled_plugins = ['io.containerd.cri.v1.runtime']\n", 2),
        ('disabled_plugins = ["io.containerd.grpc.v1.cri"]\n', 1),
        ("disabled_plugins = []\n", 0),
        ('disabled_plugins = ["aufs"]\n[plugins."io.containerd.grpc.v1.cri"]\n', 0),
        ('disabled_plugins = [\n  "aufs"\n]\nx = "cri"\n', 0),
    ],
)
def test_finds_where_the_cri_is_switched_off(host: Host, text: str, line: int) -> None:
    """Old and new names, arrays over several lines; other plugins are no matter."""
    _write(host, "/etc/containerd/config.toml", text)

    assert runtime.cri_disabled(host) == (f"/etc/containerd/config.toml:{line}" if line else "")


def test_reads_docker_cgroup_driver(host: Host) -> None:
    """The flag wins over daemon.json, which wins over the default of the hierarchy."""
    assert runtime.docker_cgroups(None, {"exec-opts": ["native.cgroupdriver=systemd"]}, 1)[0].driver == "systemd"
    assert runtime.docker_cgroups(None, {}, 1)[0].driver == "cgroupfs"
    assert runtime.docker_cgroups(None, {}, 2)[0].driver == "systemd"
    unit = healthy.unit("docker.service", "--exec-opt", "native.cgroupdriver=cgroupfs")
    assert runtime.docker_cgroups(unit, {"exec-opts": ["native.cgroupdriver=systemd"]}, 2)[0].driver == "cgroupfs"
    _write(host, "/etc/docker/daemon.json", "{broken")
    assert runtime.daemon_json(host) == {}
