"""The node.yaml that ``init --minimal`` writes: what must be said, with a line on each, and nothing else.

What is not known stays empty, and `validate` then says what belongs there. What the host shows (its name, where its
environment files and its real resolv.conf are) is filled in.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from nodegate_host.model import API_VERSION, KIND

_TEMPLATE = """\
# One node. Check it with `nodegate-host validate -c FILE`, see what it comes to with `nodegate-host render -c FILE`.
apiVersion: @api
kind: @kind
node:
  name:@name # the Node's name, lower case
  ip:@ip # the address that other nodes reach; a second of the other family may follow
cluster:
  apiServer:@server # https://HOST:6443
  caFile: ca.crt # beside this file
  serviceCIDR:@services # the range of Services
  podCIDR:@pods # flannel's Network, the range of all Pods
  clusterDNS:@dns # the address of the DNS Service; [] when there is none
kubernetes:
  version:@version # of kubelet and kube-proxy
bootstrap:
  kubeconfigFile: bootstrap.kubeconfig # beside this file, 0600
kubeProxy:
  mode: iptables # iptables, nftables (1.29 and newer) or ipvs
  kubeconfigFile: kube-proxy.kubeconfig # beside this file, 0600
runtime:
  type: containerd # or cri-dockerd; docker up to Kubernetes 1.23
  cgroupDriver: systemd
flannel:
  etcd:
    endpoints: @endpoints
    prefix: /coreos.com/network
    caFile: etcd-ca.crt
    certFile: etcd-client.crt
    keyFile: etcd-client.key
cni: bridge # from flannel's lease, with the stock plugins; flannel uses flannel's own plugin
"""


@dataclass(frozen=True)
class Answers:
    """What is known for a start; an empty string is unknown."""

    name: str = ""
    ip: str = ""
    api_server: str = ""
    service_cidr: str = ""
    pod_cidr: str = ""
    cluster_dns: str = ""
    version: str = ""
    etcd: tuple[str, ...] = ()
    env_dir: str = "/etc/default"
    resolv_conf: str | None = None


def minimal(answers: Answers) -> str:
    """Return the file's text."""
    values = {
        "@name": answers.name,
        "@ip": answers.ip,
        "@server": answers.api_server,
        "@services": answers.service_cidr,
        "@pods": answers.pod_cidr,
        "@dns": answers.cluster_dns,
        "@version": answers.version,
    }
    text = _TEMPLATE.replace("@api", API_VERSION).replace("@kind", KIND)
    text = text.replace("@endpoints", json.dumps(list(answers.etcd)))
    for mark, value in values.items():
        text = text.replace(mark, f" {json.dumps(value)}" if value else "")
    if answers.env_dir != "/etc/default":
        text += f"host:\n  envDir: {answers.env_dir}\n"
    if answers.resolv_conf is not None:
        text += (
            f"kubelet:\n  config:\n    resolvConf: {answers.resolv_conf} # not systemd-resolved's stub, which loops\n"
        )
    return text
