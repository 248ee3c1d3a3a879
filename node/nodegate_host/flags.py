"""Flags that the kubelet and kube-proxy once took, and when they stopped.

Data: program and flag give the first release that refuses it and what to write instead. Source: the release notes'
removals, as collected in the reference on the node's host side, section 3. A kubelet that meets one of these prints
its usage and exits, which is the guide's FAQ 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Removal:
    """`since`: the first (major, minor) without the flag; `instead`: what to do now, in a few words."""

    since: tuple[int, int]
    instead: str

    @property
    def release(self) -> str:
        """As people write it: ``1.24``."""
        return f"{self.since[0]}.{self.since[1]}"


_CRI = "the runtime's own CNI configuration"
_KLOG = "nothing: logs go to standard error and so to the journal"

KUBELET: Mapping[str, Removal] = {
    "--api-servers": Removal((1, 8), "the server in --kubeconfig"),
    "--network-plugin-dir": Removal((1, 9), _CRI),
    "--require-kubeconfig": Removal((1, 10), "nothing: --kubeconfig implies it"),
    "--allow-privileged": Removal((1, 15), "nothing"),
    "--experimental-bootstrap-kubeconfig": Removal((1, 23), "--bootstrap-kubeconfig"),
    "--network-plugin": Removal((1, 24), _CRI),
    "--cni-bin-dir": Removal((1, 24), _CRI),
    "--cni-conf-dir": Removal((1, 24), _CRI),
    "--cni-cache-dir": Removal((1, 24), _CRI),
    "--network-plugin-mtu": Removal((1, 24), _CRI),
    "--docker-endpoint": Removal((1, 24), "containerRuntimeEndpoint"),
    "--image-pull-progress-deadline": Removal((1, 24), "the runtime's own setting"),
    "--non-masquerade-cidr": Removal((1, 24), "ipMasq of the CNI plugin"),
    "--logtostderr": Removal((1, 26), _KLOG),
    "--alsologtostderr": Removal((1, 26), _KLOG),
    "--log-dir": Removal((1, 26), _KLOG),
    "--log-file": Removal((1, 26), _KLOG),
    "--stderrthreshold": Removal((1, 26), _KLOG),
    "--container-runtime": Removal((1, 27), "nothing: every runtime is remote"),
    "--master-service-namespace": Removal((1, 27), "nothing"),
    "--iptables-masquerade-bit": Removal((1, 31), "nothing"),
    "--iptables-drop-bit": Removal((1, 31), "nothing"),
    "--keep-terminated-pod-volumes": Removal((1, 31), "nothing"),
    "--pod-infra-container-image": Removal((1, 35), "the runtime's sandbox image (runtime.sandboxImage)"),
    "--containerd": Removal((1, 37), "nothing"),
    "--boot-id-file": Removal((1, 37), "nothing"),
}
"""Of the kubelet."""

KUBE_PROXY: Mapping[str, Removal] = {
    "--cleanup-iptables": Removal((1, 15), "kube-proxy --cleanup"),
    "--conntrack-max": Removal((1, 15), "conntrack.maxPerCore"),
    "--resource-container": Removal((1, 16), "the unit's own Slice="),
    "--cleanup-ipvs": Removal((1, 21), "kube-proxy --cleanup"),
    "--logtostderr": Removal((1, 26), _KLOG),
    "--proxy-port-range": Removal((1, 31), "nothing"),
}
"""Of kube-proxy."""

BY_PROGRAM: Mapping[str, Mapping[str, Removal]] = {"kubelet": KUBELET, "kube-proxy": KUBE_PROXY}


def removal(program: str, flag: str) -> Removal | None:
    """Return when `program` lost `flag` (``--name``, a value behind ``=`` does not matter), or nothing."""
    return BY_PROGRAM.get(program, {}).get(flag.split("=", 1)[0])
