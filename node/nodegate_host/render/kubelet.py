"""The kubelet's flags, its KubeletConfiguration and its bootstrap kubeconfig, for Kubernetes 1.20 to 1.37.

What a version has no field for becomes a flag and the other way round. Security is said, not left to defaults: no
anonymous access, webhook authorization, no read-only port, certificates rotated and asked for by request. The file's
own ``kubelet.config`` is laid over it: mappings are merged, everything else is replaced, null takes a field out.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from nodegate_host import paths, yaml_writer
from nodegate_host.model import File, NodeConfig, Role, RuntimeKind, Swap, Taint
from nodegate_host.render.headers import with_header

_DOCKERSHIM_GONE = 24
_TAINTS_FIELD = 23
_ENDPOINT_FIELD = 27
_STREAMING_GATE = 36
"""Minors of Kubernetes 1 in which something moved (see `versions`)."""


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `over` laid on it, keys sorted at every level; null in `over` takes the key out."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping):
            merged[key] = merge(below if isinstance(below, Mapping) else {}, value)
        else:
            merged[key] = value
    return dict(sorted(merged.items()))


def taint_text(taint: Taint) -> str:
    """Return a taint as flags have it."""
    value = f"={taint.value}" if taint.value else ""
    return f"{taint.key}{value}:{taint.effect}"


def flags(config: NodeConfig) -> list[str]:
    """Return the kubelet's command line, without the program."""
    found = [
        f"--config={paths.KUBELET_CONFIG}",
        f"--kubeconfig={paths.KUBELET_KUBECONFIG}",
        f"--bootstrap-kubeconfig={paths.BOOTSTRAP_KUBECONFIG}",
        f"--cert-dir={paths.KUBELET_PKI}",
        f"--root-dir={paths.KUBELET_ROOT}",
        f"--hostname-override={config.node.name}",
        f"--node-ip={','.join(config.node.ips)}",
    ]
    if config.node.labels:
        pairs = sorted(f"{key}={value}" for key, value in config.node.labels.items())
        found.append(f"--node-labels={','.join(pairs)}")
    found += _runtime_flags(config)
    if config.node.taints and config.kubernetes.version.minor < _TAINTS_FIELD:
        found.append(f"--register-with-taints={','.join(map(taint_text, config.node.taints))}")
    if not any(each.startswith(("--v=", "-v=")) for each in config.kubelet.extra_args):
        found.append("--v=2")
    return [*found, *config.kubelet.extra_args]


def _runtime_flags(config: NodeConfig) -> list[str]:
    runtime, minor = config.runtime, config.kubernetes.version.minor
    found = [] if _has(config, "--runtime-cgroups") else [f"--runtime-cgroups=/system.slice/{runtime.unit}"]
    if runtime.kind is RuntimeKind.DOCKER:
        image = runtime.sandbox_image
        return [*found, *([f"--pod-infra-container-image={image}"] if image else [])]
    if minor < _DOCKERSHIM_GONE:
        found.append("--container-runtime=remote")
    if minor < _ENDPOINT_FIELD:
        found.append(f"--container-runtime-endpoint={runtime.endpoint}")
    return found


def _has(config: NodeConfig, flag: str) -> bool:
    return any(each.split("=", 1)[0] == flag for each in config.kubelet.extra_args)


def configuration(config: NodeConfig) -> dict[str, Any]:
    """Return the KubeletConfiguration."""
    six = ipaddress.ip_address(config.node.ips[0]).version == 6  # noqa: PLR2004 - the family
    base: dict[str, Any] = {
        "address": "::" if six else "0.0.0.0",  # noqa: S104 - the API server comes in here; the kubelet authorizes it
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": paths.CA},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": config.runtime.cgroup_driver.value,
        "failSwapOn": config.host.swap is Swap.REQUIRE_OFF,
        "hairpinMode": "hairpin-veth",
        "kubeletCgroups": "/system.slice/kubelet.service",
        "readOnlyPort": 0,
        "rotateCertificates": True,
        "serializeImagePulls": False,
        "serverTLSBootstrap": True,
    }
    if config.cluster.cluster_dns:
        base["clusterDNS"] = list(config.cluster.cluster_dns)
        base["clusterDomain"] = config.cluster.cluster_domain
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        **merge({**base, **_gated(config)}, config.kubelet.config),
    }


def _gated(config: NodeConfig) -> dict[str, Any]:
    """Return the fields that not every version, role or runtime has."""
    found: dict[str, Any] = {}
    minor, kind = config.kubernetes.version.minor, config.runtime.kind
    if minor >= _ENDPOINT_FIELD:
        found["containerRuntimeEndpoint"] = config.runtime.endpoint
    if config.node.taints and minor >= _TAINTS_FIELD:
        found["registerWithTaints"] = [_taint(each) for each in config.node.taints]
    if config.node.role is Role.CONTROL_PLANE:
        found["staticPodPath"] = paths.STATIC_PODS
    if kind is RuntimeKind.CRI_DOCKERD and minor >= _STREAMING_GATE:
        # cri-dockerd serves exec and logs in the old way only.
        found["featureGates"] = {"ExtendWebSocketsToKubelet": False}
    return found


def _taint(taint: Taint) -> dict[str, str]:
    pairs = {"effect": taint.effect, "key": taint.key, "value": taint.value}
    return {key: value for key, value in pairs.items() if value}


def config_file(config: NodeConfig) -> File:
    """Return the KubeletConfiguration's file."""
    body = yaml_writer.dump(configuration(config))
    content = with_header(body, advice="change kubelet.config in node.yaml")
    return File(paths.KUBELET_CONFIG, content, units=("kubelet.service",))


def bootstrap_kubeconfig(config: NodeConfig) -> File | None:
    """Return the kubeconfig with the token, or None when the file brings a kubeconfig or none at all."""
    token = config.bootstrap.token
    if token is None:
        return None
    cluster = {"certificate-authority": paths.CA, "server": config.cluster.api_server}
    body = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "cluster", "cluster": cluster}],
        "users": [{"name": "bootstrap", "user": {"token": token}}],
        "contexts": [{"name": "bootstrap", "context": {"cluster": "cluster", "user": "bootstrap"}}],
        "current-context": "bootstrap",
    }
    content = with_header(yaml_writer.dump(body), advice="change bootstrap in node.yaml")
    return File(paths.BOOTSTRAP_KUBECONFIG, content, 0o600, secret=True, units=("kubelet.service",))
