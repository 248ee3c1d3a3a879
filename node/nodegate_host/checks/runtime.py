"""rt.*: container runtime, docker's options, CNI (checks 35-40).

Pure. Versions: containerd's own table of supported Kubernetes releases; docker without cri-dockerd ended with 1.23.
"""

from __future__ import annotations

from collections.abc import Iterator

from nodegate_host import paths
from nodegate_host.checks.model import ERROR, WARNING, Check, Found, NotKnown, evidence, known
from nodegate_host.facts.model import Facts
from nodegate_host.model import CniPlugin, NodeConfig, RuntimeKind, Version

_LEAST = (((1, 36), Version(2, 2)), ((1, 35), Version(1, 7, 28)), ((1, 26), Version(1, 6)))
"""Kubernetes from → the oldest containerd that goes with it."""
_DOCKERSHIM_ENDS = (1, 24)
_VARIABLE = "DOCKER_NETWORK_OPTIONS"
_CLASHES = ("bip", "mtu", "ip-masq")


def _socket(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    runtime = facts.runtime
    known(runtime.exists, "the runtime's socket")
    if config.runtime.kind is RuntimeKind.DOCKER:
        return
    if not runtime.exists:
        message = f"expected the runtime's socket {runtime.socket}, found none"
        yield Found(message, f"systemctl start {config.runtime.unit}", evidence=evidence(runtime.socket))
    elif not runtime.answers:
        message = f"{runtime.socket} does not answer: {runtime.problem}"
        yield Found(message, f"systemctl restart {config.runtime.unit}", evidence=evidence(runtime.socket))
    elif runtime.cri is False:
        where = runtime.cri_disabled or runtime.config_file
        yield Found(
            "unknown service runtime.v1.RuntimeService: the socket answers, but not for CRI v1",
            evidence=evidence(where),
        )


def _version(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    wanted = config.kubernetes.version
    if config.runtime.kind is RuntimeKind.DOCKER:
        if wanted.release >= _DOCKERSHIM_ENDS:
            message = f"Kubernetes {wanted.text} has no dockershim (removed in 1.24)"
            yield Found(message, "runtime.type: cri-dockerd or containerd")
        return
    version = facts.runtime.version or config.runtime.version
    if version is None:
        raise NotKnown("the runtime's version is not known here")
    if config.runtime.kind is not RuntimeKind.CONTAINERD:
        return
    least = next((oldest for release, oldest in _LEAST if wanted.release >= release), None)
    if least and version < least:
        yield Found(f"Kubernetes {wanted.text} wants containerd {least.text} or newer, found {version.text}")


def _cgroup(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    if facts.runtime.cgroups is None:
        raise NotKnown("the runtime's configuration is not readable")
    wanted = config.runtime.cgroup_driver.value
    for each in facts.runtime.cgroups:
        if each.driver != wanted:
            place = f"{each.file}:{each.line}" if each.line else each.file
            managed = config.runtime.manage
            yield Found(
                f"cgroup driver: the kubelet gets {wanted}, {each.runtime} has {each.driver}"
                + ("" if each.line else ", by default or by its file")
                + ("; apply writes the runtime's configuration" if managed else ""),
                _cgroup_remedy(config, each.file),
                WARNING if managed else ERROR,
                evidence(place),
            )


def _cgroup_remedy(config: NodeConfig, file: str) -> str:
    if config.runtime.kind is RuntimeKind.CONTAINERD:
        value = "true" if config.runtime.cgroup_driver.value == "systemd" else "false"
        return f"SystemdCgroup = {value} in {file}, or runtime.manage: true"
    return f'"exec-opts": ["native.cgroupdriver={config.runtime.cgroup_driver.value}"] in {file}'


def _sandbox(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    image = config.runtime.sandbox_image or facts.runtime.sandbox
    if facts.runtime.images is None or not image:
        raise NotKnown("the runtime's images, or which of them is the sandbox, are not known here")
    if image not in facts.runtime.images and f"docker.io/{image}" not in facts.runtime.images:
        yield Found(
            f"the sandbox image {image} is not on this host and must be pulled before the first Pod",
            f"ctr -n k8s.io images pull {image}, or runtime.sandboxImage of a registry that this host reaches",
        )


def _docker_flags(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    if config.runtime.kind is RuntimeKind.CONTAINERD or not config.flannel.enabled:
        return
    runtime = facts.runtime
    if not runtime.docker_command:
        raise NotKnown("docker.service is not on this host")
    place = evidence(runtime.docker_fragment)
    if _VARIABLE not in runtime.docker_command:
        message = "docker.service ignores /run/flannel/docker: its ExecStart has no $DOCKER_NETWORK_OPTIONS"
        yield Found(f"{message}; apply writes the drop-in", "nodegate-host apply", WARNING, place)
    for key in _CLASHES:
        if key in runtime.docker_daemon:
            message = f"{key} is in daemon.json and comes from flannel as a flag; dockerd refuses to start"
            yield Found(message, f'remove "{key}" from its file', evidence=evidence(paths.DOCKER_CONFIG))
    if "hosts" in runtime.docker_daemon and ({"H", "host"} & set(runtime.docker_options)):
        message = "hosts is in daemon.json, and docker.service has -H; dockerd refuses to start"
        yield Found(message, 'remove "hosts" from its file', evidence=evidence(paths.DOCKER_CONFIG))


def _cni(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    if config.cni.plugin is CniPlugin.NONE:
        return
    missing = [name for name, works in facts.runtime.cni_plugins.items() if not works]
    if missing:
        message = (
            f"expected the CNI plugins {', '.join(missing)} in {config.cni.bin_dir}, found none that can be executed"
        )
        yield Found(message, evidence=evidence(*(f"{config.cni.bin_dir}/{name}" for name in missing)))
    earlier = [name for name in facts.runtime.cni_configs or () if name < paths.CNI_CONFLIST]
    if earlier:
        place = f"{config.cni.conf_dir}/{earlier[0]}"
        message = f"{earlier[0]} sorts before {paths.CNI_CONFLIST}, so the runtime takes that network"
        yield Found(message, f"mv {place} {place}.disabled", evidence=evidence(place))


CHECKS: tuple[Check, ...] = (
    Check(
        35,
        "rt.socket",
        ERROR,
        "the runtime speaks CRI v1",
        _socket,
        'remove "cri" from disabled_plugins, restart containerd',
        "Packages that come for docker switch containerd's CRI plugin off.",
        "runtime",
    ),
    Check(
        36,
        "rt.version",
        ERROR,
        "the runtime goes with this Kubernetes",
        _version,
        "update the runtime",
        "containerd 2.2 for 1.36, 1.7.28 for 1.35, 1.6 for 1.26; docker alone up to 1.23.",
        "runtime",
        "S27",
    ),
    Check(
        37,
        "rt.cgroup",
        ERROR,
        "kubelet and runtime use one cgroup driver",
        _cgroup,
        "runtime.cgroupDriver, or the runtime's file",
        "dockershim refused to start (the guide's FAQ 3); over CRI nothing complains, and Pods restart hours later.",
        "runtime",
        "S43, E15",
    ),
    Check(
        38,
        "rt.sandbox",
        WARNING,
        "the sandbox image",
        _sandbox,
        "pull it, or name another one",
        "Every Pod needs it; without it no Pod starts, and the message names the Pod.",
        "runtime",
        "S38, S52",
    ),
    Check(
        39,
        "rt.dockerflags",
        ERROR,
        "docker takes flannel's options",
        _docker_flags,
        "nodegate-host apply",
        "docker's own unit is `dockerd -H fd://` and never looks at DOCKER_NETWORK_OPTIONS, so the guide's "
        "EnvironmentFile "
        "alone changes nothing and Pods get addresses outside the overlay.",
        "runtime",
        "S25, S26, E2",
    ),
    Check(
        40,
        "rt.cni",
        ERROR,
        "CNI plugins, and ours is the first network",
        _cni,
        "install the plugins into cni.binDir",
        "The runtime takes the first configuration by name. podman and cri-o bring their own.",
        "runtime",
    ),
)
"""Checks 35-40."""
