"""The golden renders of nodegate-host: every Kubernetes minor, runtime and kube-proxy mode, and some special nodes.

``python -m hack.host_golden`` says which differ, ``--update`` writes them. One file per runtime and mode holds every
minor: the first in full, then only the files that differ from the minor before. A special node is shown by what differs
from the node with containerd, iptables and 1.36.
"""

import argparse
import base64
import dataclasses
import difflib
import sys
from collections.abc import Iterator
from pathlib import Path

from nodegate_host.inputs import wanted
from nodegate_host.model import NodeConfig, Rendering
from nodegate_host.output_formats import listing
from nodegate_host.parse import parse
from nodegate_host.render import render
from nodegate_host.versions import NEWEST, OLDEST

FOLDER = Path(__file__).resolve().parent.parent / "tests" / "golden" / "host"

CA = "-----BEGIN CERTIFICATE-----\nZ29sZGVu\n-----END CERTIFICATE-----\n"
"""Has the form of a certificate; rendering only copies it."""

INPUTS = {
    "certificate": CA.encode(),
    "key": b"-----BEGIN PRIVATE KEY-----\nZ29sZGVu\n-----END PRIVATE KEY-----\n",
    "kubeconfig": b"apiVersion: v1\nkind: Config\nclusters: []\n",
}
"""What stands for the files that a node.yaml names, by their form."""

_BASE = """\
apiVersion: node.nodegate.dev/v1alpha1
kind: NodeConfig
node: {{name: node-a, ip: 10.80.0.11, labels: {{topology.kubernetes.io/zone: a}}, taints: ["dedicated=db:NoSchedule"]}}
cluster:
  apiServer: https://10.80.0.1:6443
  caFile: ca.crt
  serviceCIDR: 10.254.0.0/16
  podCIDR: 172.30.0.0/16
  clusterDNS: 10.254.0.2
kubernetes: {{version: {version}}}
bootstrap: {{kubeconfigFile: bootstrap.kubeconfig}}
kubeProxy: {{mode: {mode}, kubeconfigFile: kube-proxy.kubeconfig}}
runtime: {{type: {runtime}}}
flannel:
  etcd:
    endpoints: ["https://10.80.0.1:2379", "https://10.80.0.2:2379"]
    prefix: /kube-centos/network
    caFile: etcd-ca.crt
    certFile: flannel.crt
    keyFile: flannel.key
"""

RUNTIMES = ("containerd", "cri-dockerd", "docker")
MODES = ("iptables", "ipvs", "nftables")
_DOCKERSHIM_LAST = 23
_NFTABLES_FIRST = 29


def minors(runtime: str, mode: str) -> range:
    """Return the minors of Kubernetes 1 that have this runtime and this mode."""
    first = _NFTABLES_FIRST if mode == "nftables" else OLDEST
    last = _DOCKERSHIM_LAST if runtime == "docker" else NEWEST
    return range(first, last + 1)


def node_yaml(minor: int, runtime: str, mode: str) -> str:
    """Return the node.yaml of one case."""
    return _BASE.format(version=f"1.{minor}.2", runtime=runtime, mode=mode)


def rendered(text: str) -> Rendering:
    """Return what a node.yaml comes to."""
    config: NodeConfig = parse(text)
    return render(config, {each.field: INPUTS[each.form] for each in wanted(config)})


def changes(before: Rendering | None, after: Rendering) -> str:
    """Return the files of `after` that `before` does not have like this, and the names of those that are gone."""
    old = {file.path: file for file in before.files} if before else {}
    changed = tuple(file for file in after.files if old.get(file.path) != file)
    gone = sorted(set(old) - {file.path for file in after.files})
    text = listing(dataclasses.replace(after, files=changed))
    return text + "".join(f"==> {path} is not there\n" for path in gone)


def matrix() -> Iterator[tuple[str, str]]:
    """Yield the golden files of the matrix: name and text."""
    for runtime in RUNTIMES:
        for mode in MODES:
            parts: list[str] = []
            before: Rendering | None = None
            for minor in minors(runtime, mode):
                after = rendered(node_yaml(minor, runtime, mode))
                text = changes(before, after)
                parts.append(f"##### 1.{minor}\n{text}" if text else f"##### 1.{minor}: as 1.{minor - 1}\n")
                before = after
            if parts:
                yield f"{runtime}-{mode}.txt", "".join(parts)


def _with(*more: str, runtime: str = "containerd", minor: int = 36) -> str:
    return node_yaml(minor, runtime, "iptables") + "".join(f"{line}\n" for line in more)


def special() -> dict[str, str]:
    """Return the special nodes: name to node.yaml."""
    managed = "runtime: {{type: containerd, manage: true, version: {}, sandboxImage: registry.k8s.io/pause:3.10}}"
    plain = "runtime: {type: containerd}"
    base = _with()
    token = f"{base.replace('kubeconfigFile: bootstrap.kubeconfig', 'token: abcdef.0123456789abcdef')}"
    data = base64.b64encode(CA.encode()).decode()
    two = base.replace("ip: 10.80.0.11", 'ip: [10.80.0.11, "fd00::11"]').replace(
        "podCIDR: 172.30.0.0/16", 'podCIDR: ["172.30.0.0/16", "fd01::/48"]'
    )
    return {
        "containerd-1.7": base.replace(plain, managed.format("1.7.28")).replace("1.36.2", "1.35.2"),
        "containerd-2.2": base.replace(plain, managed.format("2.2.0")),
        "containerd-2.3": base.replace(plain, managed.format("2.3.1")),
        "control-plane": base.replace("name: node-a,", "name: node-a, role: control-plane,"),
        "docker-managed": _with(runtime="docker", minor=23).replace("type: docker", "type: docker, manage: true"),
        "dual-stack": two + "cni: flannel\n",
        "flannel-plugin": base + "cni: flannel\n",
        "no-flannel": base.split("flannel:\n")[0] + "flannel: {enabled: false}\n",
        "old-flannel": base.replace("flannel:\n", "flannel:\n  version: 0.17.0\n  iface: eth1\n"),
        "overrides": base
        + "kubelet: {config: {maxPods: 60, failCgroupV1: false, authentication: {webhook: {cacheTTL: 1m}}}, "
        + "extraArgs: [--v=4]}\nhost: {sysctls: {vm.swappiness: 1}, modules: [ip6_tables], swap: allow, "
        + "networkManager: ignore, envDir: /etc/sysconfig}\n",
        "token": token.replace("caFile: ca.crt", f"caData: {data}"),
    }


def golden() -> dict[str, str]:
    """Return every golden file: name to text."""
    found = dict(matrix())
    base = rendered(_with())
    found.update({f"special-{name}.txt": changes(base, rendered(text)) for name, text in special().items()})
    return found


def main() -> int:
    """Compare or update; 1 when something differs."""
    parser = argparse.ArgumentParser(description="the golden renders of nodegate-host")
    parser.add_argument("--update", action="store_true", help="write them")
    update = parser.parse_args().update
    FOLDER.mkdir(parents=True, exist_ok=True)
    wanted_files = golden()
    for stale in {path.name for path in FOLDER.glob("*.txt")} - set(wanted_files):
        print(f"{stale}: no case of this name{'; removed' if update else ''}")
        if update:
            (FOLDER / stale).unlink()
    differing = 0
    for name, text in wanted_files.items():
        path = FOLDER / name
        old = path.read_text() if path.exists() else ""
        if old != text:
            differing += 1
            lines = difflib.unified_diff(old.splitlines(), text.splitlines(), name, name, n=1, lineterm="")
            print("\n".join(lines))
            if update:
                path.write_text(text)
    return 1 if differing and not update else 0


if __name__ == "__main__":
    sys.exit(main())
