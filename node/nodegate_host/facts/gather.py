"""Everything that checks need, gathered in one go and read-only.

A root directory and a node's configuration go in, `Facts` come out. Rules: programs are asked only when the root is
the running host; the network only for the probes that are wanted; nothing on the host changes.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from nodegate_host.facts import identity, network, probes, programs, runtime, system, units
from nodegate_host.facts.host import Host
from nodegate_host.facts.model import Facts, Place, Program
from nodegate_host.model import NodeConfig

API = "api"
ETCD = "etcd"
PROBES = frozenset({API, ETCD})
"""What is asked over the network."""

_DIRECTORIES = ("/etc/systemd/system", "/etc/kubernetes", "/var/lib/kubelet", "/var/lib/nodegate", "/run")
_LABELLED = ("kubelet", "kube-proxy", "flanneld", "containerd", "dockerd")
_PACKAGED = ("conntrack", "iptables", "nft", "mount", "ip")


def _programs(host: Host, config: NodeConfig) -> dict[str, Program]:
    names = ["kubelet", *(["kube-proxy"] if config.kube_proxy.enabled else [])]
    names += ["flanneld"] if config.flannel.enabled else []
    found = {}
    for name in names:
        path = f"{config.kubernetes.bin_dir}/{name}"
        found[name] = programs.program(host, name, path, digest=name in config.kubernetes.sha256)
    for name in _PACKAGED:
        path = programs.find(host, name)
        found[name] = programs.program(host, name, path) if path else Program(name, "")
    return found


def _places(host: Host, config: NodeConfig | None) -> dict[str, Place]:
    paths = list(_DIRECTORIES)
    if config:
        directory = config.kubernetes.bin_dir
        paths += [directory, config.cni.conf_dir, *(f"{directory}/{name}" for name in _LABELLED)]
    return {path: host.place(path) for path in paths}


def _targets(host: Host, targets: Collection[str], owned: Collection[str]) -> dict[str, Place]:
    found = {}
    for path in targets:
        place = host.place(path)
        found[path] = replace(place, managed=place.managed or path in owned)
    return found


def gather(
    root: str | Path,
    config: NodeConfig | None,
    *,
    targets: Collection[str] = (),
    owned: Collection[str] = (),
    wanted: Collection[str] = PROBES,
    live: bool | None = None,
    base: str | Path = ".",
) -> Facts:
    """Return the facts.

    Args:
        root: ``/``, or a directory that stands for the host.
        config: The node's configuration; without one only what needs none is gathered.
        targets: Paths that are to be written, for the check of foreign files.
        owned: Those of them that the engine recorded as its own; files with our header count as well.
        wanted: Which of `PROBES` may use the network.
        live: Whether programs may be asked; by default when root is ``/``.
        base: Where the node.yaml is, for the relative paths in it.
    """
    host = Host(root, live=live, base=base)
    sysctls = tuple(config.host.sysctls) if config else ()
    machine = system.gather(host, sysctls=sysctls)
    found = units.gather(host, (*units.UNITS, *([config.runtime.unit] if config else [])))
    resolvers = [str(config.kubelet.config["resolvConf"])] if config and config.kubelet.config.get("resolvConf") else []
    who, kubelet, bootstrap = identity.gather(host, config)
    return Facts(
        root=str(root),
        live=host.live,
        host=machine,
        network=network.gather(host, resolvers=resolvers),
        programs=_programs(host, config) if config else {},
        units=found,
        environment_files=units.environment_files(host),
        runtime=runtime.gather(host, config, machine, found),
        identity=who,
        api=probes.api(host, config, kubelet, bootstrap) if config and host.live and API in wanted else None,
        etcd=probes.etcd(host, config) if config and host.live and ETCD in wanted else None,
        places=_places(host, config),
        targets=_targets(host, targets, owned),
    )
