"""From a host that the guide built to the node.yaml that means the same, without the guide's errors.

Pure. A `GuideHost` goes in, a `Draft` comes out: plain data in the order of the file, what could not be found out, and
what was changed on the way. Rules: nothing is invented; a field that the host does not tell is left out and named; the
Service range and the Pod range are told apart even where the guide mixed them up (E1).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nodegate_host import versions, yaml_writer
from nodegate_host.facts.model import UnitFact
from nodegate_host.guide.errors import FLANNELD, KUBELET, PROXY, address, is_service_range, network
from nodegate_host.guide.read import GuideHost
from nodegate_host.labels import is_own
from nodegate_host.model import API_VERSION, KIND, Version

_DOCKERSHIM_ENDS = (1, 24)
_UNRENDERED_SWITCHES = {"true": True, "false": False}
_FIELDS = {
    "serialize-image-pulls": "serializeImagePulls",
    "max-pods": "maxPods",
    "resolv-conf": "resolvConf",
    "fail-swap-on": "failSwapOn",
    "image-gc-high-threshold": "imageGCHighThresholdPercent",
    "image-gc-low-threshold": "imageGCLowThresholdPercent",
    "registry-qps": "registryPullQPS",
    "registry-burst": "registryBurst",
    "event-qps": "eventRecordQPS",
    "max-open-files": "maxOpenFiles",
    "pod-max-pids": "podPidsLimit",
}
"""Flags of the kubelet that are kept as fields of its configuration."""

_FLANNEL_KNOWN = frozenset(
    {"etcd-endpoints", "etcd-prefix", "etcd-cafile", "etcd-certfile", "etcd-keyfile", "iface", "iface-can-reach"}
)


@dataclass(frozen=True)
class Draft:
    """`document`: the node.yaml as data; `unknown`: field → what belongs there; `notes`: what was changed, and why."""

    document: Mapping[str, Any]
    unknown: Mapping[str, str]
    notes: tuple[str, ...]

    def text(self) -> str:
        """Return the file's text, with what is missing named at its top."""
        head = ["# Made from this host's units and environment files. Check it: nodegate-host validate -c FILE"]
        head += [f"# MISSING {field}: {what}" for field, what in self.unknown.items()]
        head += [f"# note: {each}" for each in self.notes]
        return "\n".join(head) + "\n" + yaml_writer.dump(self.document)


@dataclass(frozen=True)
class Answers:
    """What a person says beside the host; an empty string is not said."""

    version: str = ""
    service_cidr: str = ""
    pod_cidr: str = ""
    api_server: str = ""
    name: str = ""
    ip: str = ""


def _compact(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value not in (None, "", {}, [])}


def _node(host: GuideHost, answers: Answers) -> dict[str, Any]:
    override = host.value(KUBELET, "hostname-override")
    listening = host.value(KUBELET, "address")
    usable = address(listening)
    own = listening if usable and not usable.is_unspecified and not usable.is_loopback else ""
    ip = answers.ip or host.value(KUBELET, "node-ip") or own or (override if address(override) else "")
    pairs = (each.partition("=") for each in host.value(KUBELET, "node-labels").split(",") if each)
    found = {key: value for key, _, value in pairs if is_own(key)}
    name = (answers.name or override or host.machine.hostname).lower()
    return _compact({"name": name, "ip": ip, "labels": found})


def _service_cidr(host: GuideHost, answers: Answers) -> str:
    return answers.service_cidr or (host.value(PROXY, "cluster-cidr") if is_service_range(host) else "")


def _pod_cidr(host: GuideHost, answers: Answers) -> str:
    given = host.value(PROXY, "cluster-cidr")
    # Without the DNS Service's address nobody can tell whether it is the guide's mistake (E1).
    told = bool(host.value(KUBELET, "cluster-dns")) and not is_service_range(host)
    plain = given if network(given) and told else ""
    return answers.pod_cidr or host.lease.get("FLANNEL_NETWORK", "") or plain


def _server(host: GuideHost, answers: Answers) -> str:
    found = (each.fact.server for each in (host.kubelet, host.bootstrap, host.kube_proxy))
    return answers.api_server or next((each for each in found if each), "")


def _cluster(host: GuideHost, answers: Answers) -> dict[str, Any]:
    authority = next((each.authority for each in (host.kubelet, host.bootstrap, host.kube_proxy) if each.authority), "")
    data = "" if host.ca_file else base64.b64encode(authority.encode()).decode()
    dns = host.value(KUBELET, "cluster-dns")
    return _compact(
        {
            "apiServer": _server(host, answers),
            "caFile": host.ca_file,
            "caData": data,
            "serviceCIDR": _service_cidr(host, answers),
            "podCIDR": _pod_cidr(host, answers),
            "clusterDNS": dns.split(",") if dns else None,
            "clusterDomain": host.value(KUBELET, "cluster-domain").rstrip(".") if dns else None,
        }
    )


def _version(host: GuideHost, answers: Answers) -> str:
    found = host.versions.get("kubelet")
    usable = found is not None and versions.OLDEST <= found.minor <= versions.NEWEST
    return answers.version or (found.text if found and usable else "")


def _release(text: str) -> tuple[int, int]:
    parts = text.lstrip("v").split(".")
    return (
        (int(parts[0]), int(parts[1]))
        if len(parts) > 1 and all(each.isdigit() for each in parts[:2])
        else (1, versions.NEWEST)
    )


def _runtime(host: GuideHost, answers: Answers) -> dict[str, Any]:
    endpoint = host.value(KUBELET, "container-runtime-endpoint")
    docker = host.units.get("docker.service", UnitFact("")).fragment
    if endpoint or not docker:
        kind = "containerd" if "containerd" in endpoint or not endpoint else "cri-dockerd"
    else:
        kind = "docker" if _release(_version(host, answers)) < _DOCKERSHIM_ENDS else "cri-dockerd"
    return _compact(
        {
            "type": kind,
            "cgroupDriver": host.value(KUBELET, "cgroup-driver").strip("\"'"),
            "sandboxImage": host.value(KUBELET, "pod-infra-container-image"),
            "endpoint": endpoint,
        }
    )


def _kubelet_config(host: GuideHost) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for flag, field in _FIELDS.items():
        value = host.value(KUBELET, flag)
        if value:
            found[field] = int(value) if value.isdigit() else _UNRENDERED_SWITCHES.get(value, value)
    return found


def _flannel(host: GuideHost) -> dict[str, Any]:
    if not host.units.get(FLANNELD, UnitFact(FLANNELD)).fragment:
        return {"enabled": False}
    arguments = host.units[FLANNELD].command[1:]
    options = [each.text for each in arguments if each.text.lstrip("-").split("=")[0] not in _FLANNEL_KNOWN]
    endpoints = host.value(FLANNELD, "etcd-endpoints")
    version = host.versions.get("flanneld")
    etcd = {
        "endpoints": [each for each in endpoints.split(",") if each],
        "prefix": host.value(FLANNELD, "etcd-prefix"),
        "caFile": host.value(FLANNELD, "etcd-cafile"),
        "certFile": host.value(FLANNELD, "etcd-certfile"),
        "keyFile": host.value(FLANNELD, "etcd-keyfile"),
    }
    return _compact(
        {
            "version": version.text if version else None,
            "etcd": _compact(etcd),
            "iface": host.value(FLANNELD, "iface"),
            "ifaceCanReach": host.value(FLANNELD, "iface-can-reach"),
            "options": [each for each in options if each.startswith("-") and "=" in each],
        }
    )


def _proxy(host: GuideHost) -> dict[str, Any]:
    if not host.units.get(PROXY, UnitFact(PROXY)).fragment:
        return {"enabled": False}
    fact = host.kube_proxy.fact
    mode = host.value(PROXY, "proxy-mode")
    return _compact(
        {
            "mode": mode if mode in ("iptables", "ipvs", "nftables") else "iptables",
            "kubeconfigFile": fact.path if fact.state != "missing" else None,
        }
    )


def _unknown(document: Mapping[str, Any], host: GuideHost) -> dict[str, str]:
    wanted = {
        "node.ip": "the address that other nodes reach",
        "cluster.apiServer": "https://HOST:6443, which no kubeconfig of this host names",
        "cluster.serviceCIDR": "the range of Services, as the API server has it",
        "cluster.podCIDR": "flannel's Network, from etcd or a FlannelNetwork",
        "cluster.clusterDNS": "the address of the DNS Service, or []",
        "kubernetes.version": _version_wanted(host),
    }
    found = {}
    for path, what in wanted.items():
        section, _, key = path.partition(".")
        if document.get(section, {}).get(key) in (None, ""):
            found[path] = what
    if not document["cluster"].get("caFile") and not document["cluster"].get("caData"):
        found["cluster.caFile"] = "the cluster's CA, as PEM"
    return found


def _version_wanted(host: GuideHost) -> str:
    found = host.versions.get("kubelet")
    runs = f"; this host runs {found.text}" if isinstance(found, Version) else ""
    return f"the version to run, 1.{versions.OLDEST} to 1.{versions.NEWEST}{runs}"


def _notes(host: GuideHost, document: Mapping[str, Any]) -> tuple[str, ...]:
    found = []
    if is_service_range(host):
        given = host.value(PROXY, "cluster-cidr")
        found.append(f"kube-proxy's --cluster-cidr {given} is the Service range (E1); it became cluster.serviceCIDR")
    if host.value(KUBELET, "cluster-domain").endswith("."):
        found.append("the dot at the end of --cluster-domain was taken off (S49)")
    refused = [
        each for each in host.value(KUBELET, "node-labels").split(",") if each and not is_own(each.partition("=")[0])
    ]
    if refused:
        found.append(f"labels that a kubelet may not set were left out, the operator sets them: {', '.join(refused)}")
    if document["runtime"]["type"] == "cri-dockerd":
        found.append("docker alone ended with Kubernetes 1.23; cri-dockerd must be installed, or choose containerd")
    if host.value(KUBELET, "cert-dir"):
        found.append(
            f"--cert-dir {host.value(KUBELET, 'cert-dir')} becomes /var/lib/kubelet/pki; the old files stay where "
            "they are"
        )
    return tuple(found)


def convert(host: GuideHost, answers: Answers) -> Draft:
    """Return the draft of a node.yaml."""
    bootstrap = host.bootstrap.fact
    document = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "node": _node(host, answers),
        "cluster": _cluster(host, answers),
        "kubernetes": _compact({"version": _version(host, answers), "binDir": _bin_dir(host)}),
        "bootstrap": _compact({"kubeconfigFile": bootstrap.path if bootstrap.state == "usable" else None}),
        "kubelet": _compact({"config": _kubelet_config(host)}),
        "kubeProxy": _proxy(host),
        "runtime": _runtime(host, answers),
        "flannel": _flannel(host),
        "host": {"envDir": host.env_dir},
    }
    document = {key: value for key, value in document.items() if value != {}}
    return Draft(document, _unknown(document, host), _notes(host, document))


def _bin_dir(host: GuideHost) -> str:
    command = host.units.get(KUBELET, UnitFact(KUBELET)).command
    return command[0].text.rpartition("/")[0] if command and command[0].text.startswith("/") else ""
