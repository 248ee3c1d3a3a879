"""A node.yaml's text in, a `NodeConfig` out, or every mistake in it at once.

Strict: unknown keys, keys given twice, values of the wrong kind and fields that contradict each other are refused,
each with its line, what was expected and what was found. Pure: no file is read; ``caFile`` and the like are names here.
What single values look like is in `scalars.py`, what must fit together in `consistency.py`.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from nodegate_host import consistency, labels, scalars, yaml_reader
from nodegate_host.errors import ConfigInvalid, Problem
from nodegate_host.model import (
    API_VERSION,
    FLANNEL_DEFAULT,
    KIND,
    Bootstrap,
    CgroupDriver,
    Cluster,
    Cni,
    CniPlugin,
    Etcd,
    EtcdApi,
    Flannel,
    ForeignFiles,
    Host,
    Kubelet,
    KubeProxy,
    Kubernetes,
    NetworkManager,
    Node,
    NodeConfig,
    Policy,
    ProxyMode,
    Restart,
    Role,
    Runtime,
    RuntimeKind,
    Swap,
    Taint,
    Version,
)
from nodegate_host.sections import Problems, Section

ENDPOINTS = {
    RuntimeKind.CONTAINERD: "unix:///run/containerd/containerd.sock",
    RuntimeKind.DOCKER: "unix:///var/run/dockershim.sock",
    RuntimeKind.CRI_DOCKERD: "unix:///run/cri-dockerd.sock",
}
"""Where each runtime listens unless the file says otherwise (the packages' own defaults)."""

_TAINT = re.compile(r"(?P<key>[^=:]+)(?:=(?P<value>[^=:]*))?:(?P<effect>[A-Za-z]+)")
_SYSCTL = re.compile(r"[a-z0-9_-]+(?:[./][A-Za-z0-9_-]+)+")


def parse(text: str, source: str = "node.yaml", *, kubernetes: Version | None = None) -> NodeConfig:
    """Return the config in `text`.

    Args:
        text: YAML or JSON.
        source: The file's name, for messages.
        kubernetes: Judge by this version in place of the file's (``validate --k8s``).

    Raises:
        ConfigInvalid: With every mistake found, in the order of the file.
    """
    document = yaml_reader.read(text, source)
    problems = Problems(document.lines)
    config = _read(Section(problems, (), document.value))
    if kubernetes is not None:
        config = dataclasses.replace(config, kubernetes=dataclasses.replace(config.kubernetes, version=kubernetes))
    broken = tuple(problem.path for problem in problems.found)
    for place, message in consistency.contradictions(config, broken):
        problems.add(place, message)
    if problems.found:
        raise ConfigInvalid(source, tuple(sorted(problems.found, key=_order)))
    return config


def _order(problem: Problem) -> tuple[int, str]:
    return (problem.line or 0, problem.path)


def _read(top: Section) -> NodeConfig:
    _expect(top, "apiVersion", API_VERSION)
    _expect(top, "kind", KIND)
    runtime = _runtime(top.section("runtime"))
    config = NodeConfig(
        node=_node(top.section("node")),
        cluster=_cluster(top.section("cluster")),
        kubernetes=_kubernetes(top.section("kubernetes")),
        bootstrap=_bootstrap(top.section("bootstrap")),
        kubelet=_kubelet(top.section("kubelet")),
        kube_proxy=_kube_proxy(top.section("kubeProxy")),
        runtime=runtime,
        flannel=_flannel(top.section("flannel")),
        cni=_cni(top, runtime.kind),
        host=_host(top.section("host")),
        policy=_policy(top.section("policy")),
    )
    top.close()
    return config


def _expect(top: Section, key: str, wanted: str) -> None:
    found = top.required(key, wanted)
    if found and found != wanted:
        top.problem(key, f"expected {wanted}, found {found!r}")


def _node(section: Section) -> Node:
    node = Node(
        name=section.required("name", "the Node's name", scalars.dns_name),
        ips=section.texts("ip", scalars.address, split=True),
        labels=_labels(section),
        taints=_taints(section),
        role=section.choice("role", Role.WORKER),
    )
    if not section.has("ip"):
        section.problem("ip", "expected the node's address, found nothing")
    section.close()
    return node


def _labels(section: Section) -> dict[str, str]:
    found = section.strings("labels", labels.value_problem)
    for key in found:
        wrong = labels.key_problem(key) or labels.restriction_problem(key)
        if wrong:
            section.problems.add((*section.place, "labels", key), wrong)
    return found


def _taints(section: Section) -> tuple[Taint, ...]:
    value = section.raw("taints") or []
    if not isinstance(value, list):
        section.problem("taints", "expected a list of taints such as 'dedicated=db:NoSchedule', found something else")
        return ()
    return tuple(_taint(section.problems, (*section.place, "taints", index), each) for index, each in enumerate(value))


def _taint(problems: Problems, place: tuple[Any, ...], value: Any) -> Taint:
    if isinstance(value, str):
        match = _TAINT.fullmatch(value)
        if match is None:
            problems.add(place, f"expected KEY[=VALUE]:EFFECT such as 'dedicated=db:NoSchedule', found {value!r}")
            return Taint("", "", "")
        taint = Taint(match["key"], match["value"] or "", match["effect"])
    else:
        section = Section(problems, place, value)
        taint = Taint(
            section.required("key", "a key"), section.text("value", ""), section.required("effect", "an effect")
        )
        section.close()
    wrong = labels.key_problem(taint.key) or labels.value_problem(taint.value)
    if wrong is None and taint.effect not in labels.EFFECTS:
        wrong = f"expected the effect {', '.join(labels.EFFECTS)}, found {taint.effect!r}"
    if wrong:
        problems.add(place, wrong)
    return taint


def _cluster(section: Section) -> Cluster:
    data = section.optional("caData", scalars.pem_data)
    cluster = Cluster(
        api_server=section.required("apiServer", "https://HOST:6443", scalars.api_url).rstrip("/"),
        service_cidr=section.texts("serviceCIDR", scalars.network, split=True),
        pod_cidr=section.texts("podCIDR", scalars.network, split=True),
        cluster_dns=section.texts("clusterDNS", scalars.address, split=True),
        cluster_domain=section.text("clusterDomain", "cluster.local", scalars.domain),
        ca_file=section.optional("caFile", scalars.source),
        ca_data=scalars.pem_of(data) if data else None,
    )
    for key, what in (("serviceCIDR", "the range of Services"), ("podCIDR", "flannel's Network, the range of Pods")):
        if not section.has(key):
            section.problem(key, f"expected {what}, found nothing")
    if section.data.get("clusterDNS") is None:
        section.problem("clusterDNS", "expected the address of the DNS Service, found nothing; [] says there is none")
    if section.has("clusterDomain") and section.data.get("clusterDNS") == []:
        section.problem("clusterDomain", "expected clusterDNS beside it, found none: they only work together")
    section.close()
    return cluster


def _kubernetes(section: Section) -> Kubernetes:
    found = Kubernetes(
        version=scalars.version_of(section.required("version", "a full version such as 1.36.2", scalars.version)),
        bin_dir=section.text("binDir", "/usr/local/bin", scalars.absolute),
        sha256=section.strings("sha256", scalars.digest),
    )
    for program in found.sha256:
        if program not in {"kubelet", "kube-proxy", "flanneld"}:
            section.problem("sha256", f"expected kubelet, kube-proxy or flanneld, found {program}")
    section.close()
    return found


def _bootstrap(section: Section) -> Bootstrap:
    found = Bootstrap(
        kubeconfig_file=section.optional("kubeconfigFile", scalars.source),
        token=section.optional("token", scalars.token),
        remove_after_join=section.flag("removeAfterJoin", default=False),
        enrollment_name=section.optional("enrollmentName", scalars.dns_name),
    )
    section.close()
    return found


def _kubelet(section: Section) -> Kubelet:
    found = Kubelet(config=section.data_of("config"), extra_args=section.texts("extraArgs", scalars.argument))
    section.close()
    return found


def _kube_proxy(section: Section) -> KubeProxy:
    found = KubeProxy(
        enabled=section.flag("enabled", default=True),
        mode=section.choice("mode", ProxyMode.IPTABLES),
        kubeconfig_file=section.optional("kubeconfigFile", scalars.source),
        config=section.data_of("config"),
    )
    section.close()
    return found


def _runtime(section: Section) -> Runtime:
    kind = section.choice("type", RuntimeKind.CONTAINERD)
    version = section.optional("version", scalars.version)
    found = Runtime(
        kind=kind,
        manage=section.flag("manage", default=False),
        cgroup_driver=section.choice("cgroupDriver", CgroupDriver.SYSTEMD),
        sandbox_image=section.optional("sandboxImage", scalars.image),
        endpoint=section.text("endpoint", ENDPOINTS[kind], scalars.unix_url),
        version=None if version is None else scalars.version_of(version),
    )
    section.close()
    return found


def _flannel(section: Section) -> Flannel:
    version = section.optional("version", scalars.version)
    found = Flannel(
        enabled=section.flag("enabled", default=True),
        version=FLANNEL_DEFAULT if version is None else scalars.version_of(version),
        etcd=_etcd(section.section("etcd")),
        iface=section.optional("iface", scalars.iface),
        iface_can_reach=section.optional("ifaceCanReach", scalars.address),
        options=section.texts("options", scalars.option),
    )
    section.close()
    return found


def _etcd(section: Section) -> Etcd:
    found = Etcd(
        endpoints=section.texts("endpoints", scalars.etcd_url, split=True),
        prefix=section.text("prefix", "/coreos.com/network", scalars.absolute).rstrip("/"),
        api=section.choice("api", EtcdApi.AUTO),
        ca_file=section.optional("caFile", scalars.source),
        cert_file=section.optional("certFile", scalars.source),
        key_file=section.optional("keyFile", scalars.source),
    )
    section.close()
    return found


def _cni(top: Section, kind: RuntimeKind) -> Cni:
    usual = CniPlugin.NONE if kind is RuntimeKind.DOCKER else CniPlugin.BRIDGE
    if isinstance(top.data.get("cni"), str):
        return Cni(plugin=top.choice("cni", usual))
    section = top.section("cni")
    found = Cni(
        plugin=section.choice("plugin", usual),
        bin_dir=section.text("binDir", "/opt/cni/bin", scalars.absolute),
        conf_dir=section.text("confDir", "/etc/cni/net.d", scalars.absolute),
    )
    section.close()
    return found


def _host(section: Section) -> Host:
    found = Host(
        sysctls=section.strings("sysctls", scalars.sysctl_value),
        modules=section.texts("modules", scalars.word),
        swap=section.choice("swap", Swap.REQUIRE_OFF),
        network_manager=section.choice("networkManager", NetworkManager.CONFIGURE),
        env_dir=section.text("envDir", "/etc/default", scalars.absolute),
    )
    for name in found.sysctls:
        if not _SYSCTL.fullmatch(name):
            section.problems.add(
                (*section.place, "sysctls", name), f"expected a name such as vm.swappiness, found {name!r}"
            )
    section.close()
    return found


def _policy(section: Section) -> Policy:
    found = Policy(
        foreign_files=section.choice("foreignFiles", ForeignFiles.REFUSE),
        restart=section.choice("restart", Restart.AUTO),
    )
    section.close()
    return found
