"""A real node for tests: containerd and kubelet as units of a test host, set up as people set them up by hand.

A host, a cluster and a bootstrap token come in; a host on which both run leaves. Rules: nothing is approved here;
the kubelet asks for both certificates itself and renews them itself; the settings are those that a kubelet on
cgroup v1 in a machine needs, each with its reason.
"""

import json
from pathlib import Path

import yaml

from hack.cluster import Cluster
from hack.cluster.api import call, exchange
from hack.cluster.kubeconfig import Credentials
from hack.hosts import Host
from hack.hosts.hosts import PROGRAMS as FOLDER

PROGRAMS = ("kubelet", "containerd", "containerd-shim-runc-v2", "ctr")
"""What `hack.cluster.binaries` must find."""

POD_NETWORK = "10.244.7.0/24"
KUBELET_PORT = 10250

_CERTIFICATES = "/var/lib/kubelet/pki"
_CONTAINERD = f"""version = 3
[plugins.'io.containerd.cri.v1.runtime']
# The outer machine may not grant lower scores than its own.
restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ['/usr/lib/cni']
conf_dir = '/etc/cni/net.d'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = 'io.containerd.runc.v2'
runtime_path = '{FOLDER}/containerd-shim-runc-v2'
"""

_CONTAINERD_UNIT = f"""[Unit]
After=network.target
[Service]
Type=notify
ExecStart={FOLDER}/containerd --config /etc/containerd/config.toml
Environment=PATH={FOLDER}:/usr/sbin:/usr/bin:/sbin:/bin
KillMode=process
Delegate=yes
Restart=always
[Install]
WantedBy=multi-user.target
"""

_KUBELET_UNIT = f"""[Unit]
After=containerd.service
Requires=containerd.service
[Service]
ExecStart={FOLDER}/kubelet --config=/etc/kubernetes/kubelet.yaml --node-ip=ADDRESS \\
  --bootstrap-kubeconfig=/etc/kubernetes/bootstrap.kubeconfig --kubeconfig=/var/lib/kubelet/kubeconfig \\
  --cert-dir={_CERTIFICATES}
Restart=always
RestartSec=1
[Install]
WantedBy=multi-user.target
"""

_KUBELET = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1",
    "kind": "KubeletConfiguration",
    "authentication": {
        "anonymous": {"enabled": False},
        "webhook": {"enabled": True},
        "x509": {"clientCAFile": "/etc/kubernetes/ca.crt"},
    },
    "authorization": {"mode": "Webhook"},
    "cgroupDriver": "cgroupfs",
    "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
    "failCgroupV1": False,
    "failSwapOn": False,
    "resolvConf": "/etc/resolv.conf",
    "rotateCertificates": True,
    "serverTLSBootstrap": True,
}

_NETWORK = {
    "cniVersion": "1.0.0",
    "name": "pods",
    "plugins": [
        {
            "type": "bridge",
            "bridge": "cni0",
            "isDefaultGateway": True,
            "ipam": {"type": "host-local", "ranges": [[{"subnet": POD_NETWORK}]]},
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ],
}


def install(host: Host, cluster: Cluster, bootstrap: Path) -> None:
    """Put containerd and a kubelet with a bootstrap kubeconfig onto a host, on or off, to be started at its boot."""
    files = {
        "/etc/cni/net.d/10-pods.conflist": json.dumps(_NETWORK),
        "/etc/containerd/config.toml": _CONTAINERD,
        "/etc/kubernetes/bootstrap.kubeconfig": bootstrap.read_text(encoding="utf-8"),
        "/etc/kubernetes/ca.crt": cluster.ca_file.read_text(encoding="utf-8"),
        "/etc/kubernetes/kubelet.yaml": yaml.safe_dump(_KUBELET),
        "/etc/systemd/system/containerd.service": _CONTAINERD_UNIT,
        "/etc/systemd/system/kubelet.service": _KUBELET_UNIT.replace("ADDRESS", host.ip),
    }
    for path, content in files.items():
        host.put(path, content, 0o600 if path.endswith("kubeconfig") else 0o644)
    host.run("systemctl", "enable", "containerd", "kubelet")


def ask_for_serving_anew(host: Host) -> None:
    """Take the kubelet's serving certificate away and restart it, so that it asks for one."""
    host.run(
        "/bin/sh", "-euc", f"systemctl stop kubelet; rm -f {_CERTIFICATES}/kubelet-server-*; systemctl start kubelet"
    )


def kubelet_answers(host: Host, cluster: Cluster) -> bool:
    """Tell whether the kubelet serves with a certificate of the cluster's authority for its address.

    Raises:
        OSError: Nobody listens, or with another certificate.
    """
    pki = cluster.pki
    who = Credentials(
        f"https://{host.ip}:{KUBELET_PORT}",
        pki.ca.certificate.read_bytes(),
        pki.kubelet_client.certificate.read_bytes(),
        pki.kubelet_client.key.read_bytes(),
    )
    return exchange(who, "GET", "/healthz", timeout=5) == (200, b"ok")


def reached_by_api_server(host: Host, cluster: Cluster) -> bool:
    """Tell whether the API server, which verifies kubelets, gets an answer from this one."""
    return call(cluster.credentials, "GET", f"/api/v1/nodes/{host.name}/proxy/healthz") == {"text": "ok"}
