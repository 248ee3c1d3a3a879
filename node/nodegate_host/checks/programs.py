"""bin.*: the programs and their flags (checks 41-44).

Pure. Skew: a kubelet may be as new as its API server and three minors older (Kubernetes' version skew policy, 1.28+).
"""

from __future__ import annotations

from collections.abc import Iterator

from nodegate_host import flags
from nodegate_host.checks.machine import mount_options
from nodegate_host.checks.model import ERROR, WARNING, Check, Found, NotKnown, evidence
from nodegate_host.facts.model import Facts
from nodegate_host.model import NodeConfig

_OLDER = 3
_CONNTRACK_ENDS = (1, 32)
_NODE_PROGRAMS = ("kubelet", "kube-proxy", "flanneld")


def _present(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    for name in _NODE_PROGRAMS:
        program = facts.programs.get(name)
        if program is None:
            continue
        place = evidence(program.path)
        if not program.exists:
            yield Found(f"expected {program.path}, found no such file", evidence=place)
            continue
        if not program.executable:
            yield Found(f"{program.path} may not be executed", f"chmod 0755 {program.path}", evidence=place)
        wanted = config.kubernetes.sha256.get(name)
        if wanted and program.sha256 and program.sha256 != wanted:
            message = f"{program.path}: expected sha256 {wanted[:12]}…, found {program.sha256[:12]}…"
            yield Found(message, "install the file that kubernetes.sha256 names", evidence=place)
        expected = config.flannel.version if name == "flanneld" else config.kubernetes.version
        if program.version and program.version.release != expected.release:
            message = f"{name}: node.yaml says {expected.text}, the program says {program.version.text}"
            yield Found(message, "install the version of node.yaml, or name the one that is there", evidence=place)


def _skew(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    server = facts.api.version if facts.api else None
    if server is None:
        raise NotKnown("the API server's version is not known here")
    kubelet = config.kubernetes.version
    if kubelet.release > server.release:
        yield Found(
            f"the kubelet {kubelet.text} is newer than the API server {server.text}", "update the API server first"
        )
    elif (server.major, server.minor - _OLDER) > kubelet.release:
        yield Found(f"the kubelet {kubelet.text} is more than {_OLDER} minors older than the API server {server.text}")


def _flags(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    program = facts.programs.get("kubelet")
    for argument in config.kubelet.extra_args:
        name = argument.split("=", 1)[0]
        gone = flags.removal("kubelet", name)
        if gone and config.kubernetes.version.release >= gone.since:
            yield Found(
                f"kubelet.extraArgs: {name} was removed in {gone.release}", f"delete it; instead: {gone.instead}"
            )
        elif program and program.flags and name.startswith("--") and name not in program.flags:
            message = f"kubelet.extraArgs: {program.path} does not know {name}"
            yield Found(message, "delete it", evidence=evidence(f"{program.path} --help"))
    flanneld = facts.programs.get("flanneld")
    for argument in config.flannel.options:
        name = argument.split("=", 1)[0]
        if (
            flanneld
            and flanneld.flags
            and f"-{name.lstrip('-')}" not in {f"-{each.lstrip('-')}" for each in flanneld.flags}
        ):
            yield Found(f"flannel.options: {flanneld.path} does not know {name}", "delete it")


def _conntrack(facts: Facts, config: NodeConfig) -> Iterator[Found]:
    if not config.kube_proxy.enabled:
        return
    program = facts.programs.get("conntrack")
    if program and not program.exists and config.kubernetes.version.release < _CONNTRACK_ENDS and facts.live:
        version = config.kubernetes.version.text
        yield Found(f"expected the program conntrack, which kube-proxy {version} needs, found none")
    settings = config.kube_proxy.config.get("conntrack")
    relaxed = isinstance(settings, dict) and settings.get("maxPerCore") == 0
    if "ro" in mount_options(facts, "/proc/sys/net/netfilter") and not relaxed:
        yield Found(
            "/proc/sys/net is read-only, so kube-proxy cannot set conntrack limits and stops",
            "kubeProxy.config: {conntrack: {maxPerCore: 0, min: 0}}",
            ERROR,
        )


CHECKS: tuple[Check, ...] = (
    Check(
        41,
        "bin.present",
        ERROR,
        "programs are installed",
        _present,
        "install it, mode 0755, by rename (install -m 0755)",
        "kubelet, kube-proxy and flanneld, with the digests of node.yaml. A copy over a running program fails with "
        "'text file busy'; install renames.",
        "host",
        "S1, S29",
    ),
    Check(
        42,
        "bin.skew",
        ERROR,
        "kubelet and API server go together",
        _skew,
        "a kubelet within three minors of the API server",
        "A kubelet must not be newer than its API server.",
        "api",
    ),
    Check(
        43,
        "bin.flags",
        ERROR,
        "flags exist in this version",
        _flags,
        "delete the flag",
        "A kubelet with an unknown flag prints its usage and exits: the guide's FAQ 1.",
        "host",
        "E13, E18",
    ),
    Check(
        44,
        "bin.conntrack",
        WARNING,
        "conntrack",
        _conntrack,
        "apt install conntrack, or dnf install conntrack-tools",
        "kube-proxy runs the program up to 1.31; in a container the kernel's limits cannot be set.",
        "host",
        "S61, E12",
    ),
)
"""Checks 41-44."""
