"""Daemons to be told what to do, and a node.yaml for them: a kubelet, kube-proxy and flanneld that take no cluster.

Each is a small Python program for a test host. The kubelet and kube-proxy answer their health questions as long as
their configuration does not say FAULT (``maxPods: 7``, ``conntrack.min: 7``), with which they end at once. flanneld
writes the lease that ``/etc/testbed/lease`` says, and tells systemd that it is ready.
"""

from __future__ import annotations

TOOL = "/usr/local/bin/nodegate-host.pyz"
CONFIG = "/etc/nodegate/node.yaml"
UNITS = ("flanneld.service", "containerd.service", "kubelet.service", "kube-proxy.service")

_SERVER = """#!/usr/bin/python3
import http.server, pathlib, re, sys
if "--version" in sys.argv or "--help" in sys.argv:
    sys.exit(print("Kubernetes v1.36.2"))
words = dict(word.split("=", 1) for word in sys.argv[1:] if "=" in word)
if re.search(r"@FAULT@", pathlib.Path(words["--config"]).read_text()):
    sys.exit("@NAME@: told to fail")
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"ok")
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", @PORT@), Answer).serve_forever()
"""

_FLANNELD = """#!/bin/sh
case "$*" in *version*|*help*) echo v0.28.9; exit;; esac
mkdir -p /run/flannel
subnet=$(cat /etc/testbed/lease)
printf 'FLANNEL_NETWORK=172.30.0.0/16\\nFLANNEL_SUBNET=%s\\nFLANNEL_MTU=1450\\nFLANNEL_IPMASQ=true\\n' "$subnet" \\
  > /run/flannel/subnet.env
systemd-notify --ready
exec sleep infinity
"""

_CONTAINERD = """[Unit]
Description=A runtime that runs nothing
[Service]
ExecStart=/bin/sleep infinity
[Install]
WantedBy=multi-user.target
"""


_KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:6443"}}]
users: [{name: u, user: {token: made-up}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
"""


def _server(name: str, port: int, fault: str) -> str:
    return _SERVER.replace("@NAME@", name).replace("@PORT@", str(port)).replace("@FAULT@", fault)


FILES: dict[str, tuple[str, int]] = {
    "/usr/local/bin/kubelet": (_server("kubelet", 10248, r"maxPods: 7\b"), 0o755),
    "/usr/local/bin/kube-proxy": (_server("kube-proxy", 10256, r"min: 7\b"), 0o755),
    "/usr/local/bin/flanneld": (_FLANNELD, 0o755),
    "/usr/lib/systemd/system/containerd.service": (_CONTAINERD, 0o644),
    "/etc/testbed/lease": ("172.30.7.1/24\n", 0o644),
    "/etc/nodegate/kube-proxy.kubeconfig": (_KUBECONFIG, 0o600),
}
"""Path → content and mode."""


def node_yaml(address: str, *, pods: int = 110, mode: str = "iptables", minimum: int = 1000) -> str:
    """Return a node.yaml for a host with `address`; the rest is what tests change."""
    return f"""\
apiVersion: node.nodegate.dev/v1alpha1
kind: NodeConfig
node: {{name: node-a, ip: [{address}]}}
cluster:
  apiServer: https://127.0.0.1:6443
  caFile: ca.crt
  serviceCIDR: 10.254.0.0/16
  podCIDR: 172.30.0.0/16
  clusterDNS: [10.254.0.2]
kubernetes: {{version: 1.36.2}}
bootstrap: {{token: abcdef.0123456789abcdef}}
kubelet: {{config: {{maxPods: {pods}, failCgroupV1: false}}}}
kubeProxy: {{mode: {mode}, kubeconfigFile: kube-proxy.kubeconfig, config: {{conntrack: {{min: {minimum}}}}}}}
runtime: {{type: containerd, version: 2.2.1}}
flannel: {{etcd: {{endpoints: ["http://127.0.0.1:2379"]}}}}
"""


def tool_command(*words: str) -> tuple[str, ...]:
    """Return the command line of the host tool in a test host."""
    return ("/usr/bin/python3", TOOL, *words)
