"""Pure rendering: a `NodeConfig` and its inputs' bytes go in, a `Rendering` comes out, always the same for the same.

Nothing of the host is looked at, so a node can be rendered anywhere. Order of the units: flanneld, the runtime,
kubelet, kube-proxy.
"""

from __future__ import annotations

from collections.abc import Mapping

from nodegate_host import inputs, paths
from nodegate_host.model import CniPlugin, Directory, File, NodeConfig, Rendering, Role, RuntimeKind, Unit
from nodegate_host.render import flannel, host, kubelet, proxy, runtimes, units


def render(config: NodeConfig, given: Mapping[str, bytes]) -> Rendering:
    """Return everything that the node gets.

    Args:
        config: As `parse.parse` made it.
        given: The inputs' content by field, as `inputs.read_inputs` gives it.
    """
    files = [
        units.kubelet(config, kubelet.flags(config)),
        kubelet.config_file(config),
        *_identity(config, given),
        *(_flannel(config) if config.flannel.enabled else []),
        *([units.kube_proxy(config), proxy.config_file(config)] if config.kube_proxy.enabled else []),
        *units.drop_ins(config),
        *runtimes.files(config),
        *host.files(config),
    ]
    return Rendering(
        files=tuple(sorted(files, key=lambda each: each.path)),
        directories=_directories(config),
        units=_units(config),
        generated=flannel.generated(config),
    )


def _identity(config: NodeConfig, given: Mapping[str, bytes]) -> list[File]:
    found = [
        File(each.target, given[each.field], 0o600 if each.secret else 0o644, secret=each.secret, units=each.units)
        for each in inputs.wanted(config)
    ]
    if config.cluster.ca_data is not None:
        found.append(File(paths.CA, config.cluster.ca_data.encode(), units=(units.KUBELET,)))
    bootstrap = kubelet.bootstrap_kubeconfig(config)
    return [*found, *([bootstrap] if bootstrap else [])]


def _flannel(config: NodeConfig) -> list[File]:
    found = [units.flanneld(config), flannel.env_file(config), flannel.lease_script(config)]
    return [*found, *([flannel.static_conflist(config)] if config.cni.plugin is CniPlugin.FLANNEL else [])]


def _directories(config: NodeConfig) -> tuple[Directory, ...]:
    found = [
        Directory(config.cni.conf_dir),
        Directory(paths.KUBERNETES),
        Directory(paths.KUBELET_ROOT, 0o700),
        Directory(paths.KUBELET_PKI, 0o700),
    ]
    if config.flannel.enabled:
        found.append(Directory(paths.FLANNEL_DIR, 0o700))
    if config.node.role is Role.CONTROL_PLANE:
        found.append(Directory(paths.STATIC_PODS))
    return tuple(sorted(found, key=lambda each: each.path))


def _units(config: NodeConfig) -> tuple[Unit, ...]:
    # cri-dockerd is only the kubelet's way in: the engine is a unit of its own.
    engine = [Unit("docker.service", ours=False)] if config.runtime.kind is RuntimeKind.CRI_DOCKERD else []
    return (
        *([Unit(units.FLANNELD)] if config.flannel.enabled else []),
        *engine,
        Unit(config.runtime.unit, ours=False),
        Unit(units.KUBELET),
        *([Unit(units.KUBE_PROXY)] if config.kube_proxy.enabled else []),
    )
