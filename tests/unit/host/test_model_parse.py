"""From a node.yaml to a NodeConfig: what is read, and every way in which it is refused."""

import base64

import pytest

from hack.host_golden import CA, special
from nodegate_host.errors import ConfigInvalid
from nodegate_host.model import (
    CniPlugin,
    EtcdApi,
    NetworkManager,
    ProxyMode,
    Role,
    RuntimeKind,
    Swap,
    Taint,
    Version,
)
from nodegate_host.parse import parse
from tests.unit.host.sample import GOOD, mistakes, spoiled


def test_a_good_file_has_what_it_says() -> None:
    """Every field that is said arrives, everything else has its default."""
    config = parse(GOOD)

    assert (config.node.name, config.node.ips, config.node.role) == ("node-a", ("10.80.0.11",), Role.WORKER)
    assert config.node.labels == {"topology.kubernetes.io/zone": "a"}
    assert config.node.taints == (Taint("dedicated", "db", "NoSchedule"),)
    assert (config.cluster.pod_cidr, config.cluster.cluster_dns) == (("172.30.0.0/16",), ("10.254.0.2",))
    assert config.kubernetes.version == Version(1, 36, 2)
    assert (config.runtime.kind, config.runtime.endpoint) == (
        RuntimeKind.CONTAINERD,
        "unix:///run/containerd/containerd.sock",
    )
    assert config.kube_proxy.mode is ProxyMode.IPTABLES
    assert config.flannel.etcd_api is EtcdApi.V3
    assert config.cni.plugin is CniPlugin.BRIDGE
    assert (config.host.swap, config.host.network_manager) == (Swap.REQUIRE_OFF, NetworkManager.CONFIGURE)


def test_special_nodes_are_valid() -> None:
    """Every special node of the golden files passes the rules."""
    assert [name for name, text in special().items() if mistakes(text)] == []


def test_an_old_flannel_speaks_the_old_api() -> None:
    """Before 0.18.0 flannel reads etcd's v2 API, unless the file says otherwise."""
    old = parse(spoiled(("flannel:\n", "flannel:\n  version: 0.17.0\n")))
    said = parse(spoiled(("  etcd:\n", "  version: 0.17.0\n  etcd:\n    api: v3\n")))

    assert (old.flannel.etcd_api, said.flannel.etcd_api) == (EtcdApi.V2, EtcdApi.V3)


def test_json_is_read_too() -> None:
    """A node.yaml may be JSON, which is YAML."""
    assert "n:1: node.name: expected the Node's name, found nothing" in mistakes('{"apiVersion": "x"}')


def test_a_secret_is_not_in_the_representation() -> None:
    """The token does not show when a config is printed."""
    token = "abcdef.0123456789abcdef"  # noqa: S105 - made up
    config = parse(spoiled(("kubeconfigFile: bootstrap.kubeconfig", f"token: {token}")))

    assert config.bootstrap.token == token
    assert token not in repr(config)


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file() -> None:
    """A file with four mistakes gives four sentences, each with its line."""
    text = spoiled(
        ("name: node-a", "name: Node_A"), ("podCIDR", "podCdir"), ("1.36.2", "1.36"), ("type: containerd", "type: rkt")
    )

    found = mistakes(text)

    assert [sentence.split(": ")[1] for sentence in found] == [
        "node.name",
        "cluster.podCIDR",
        "cluster.podCdir",
        "kubernetes.version",
        "runtime.type",
    ]
    assert found[2] == "n:8: cluster.podCdir: unknown key; did you mean podCIDR?"


BASE64_KEY = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\nPRIVATE KEY").decode()

WRONG = [
    (("kind: NodeConfig", "kind: Node"), "n:2: kind: expected NodeConfig, found 'Node'"),
    (("v1alpha1", "v1"), "n:1: apiVersion: expected node.nodegate.dev/v1alpha1, found 'node.nodegate.dev/v1'"),
    (("kubeProxy:", "kubeproxy:"), "n:12: kubeproxy: unknown key; did you mean kubeProxy?"),
    (("ip: 10.80.0.11", "ip: 127.0.0.1"), "node.ip[0]: expected an address that other nodes reach"),
    (("ip: 10.80.0.11", "ip: eth0"), "node.ip[0]: expected an IP address, found 'eth0'"),
    (("ip: 10.80.0.11", "ip: [10.80.0.11, 10.80.0.12]"), "node.ip: expected at most one of each family"),
    (("ip: 10.80.0.11", "ip: 172.30.1.1"), "node.ip: expected an address outside podCIDR"),
    (("topology.kubernetes.io/zone: a", "node-role.kubernetes.io/worker: x"), "(NodeRestriction)"),
    (("topology.kubernetes.io/zone: a", "zone: a b"), "node.labels.zone: expected at most 63 letters"),
    (("dedicated=db:NoSchedule", "dedicated=db"), "node.taints[0]: expected KEY[=VALUE]:EFFECT"),
    (("dedicated=db:NoSchedule", "dedicated:Never"), "expected the effect NoSchedule, PreferNoSchedule, NoExecute"),
    (("apiServer: https:", "apiServer: http:"), "cluster.apiServer: expected https://HOST[:PORT]"),
    (("apiServer: https://", "apiServer: https://u:p@"), "without user and password"),
    (("caFile: ca.crt", "caData: AAAA"), "cluster.caData: expected the base64 of PEM certificates"),
    (("caFile: ca.crt", f"caData: {BASE64_KEY}"), "cluster.caData: expected certificates only, found a private key"),
    (("  caFile: ca.crt\n", ""), "cluster.caFile: expected exactly one of caFile and caData, found neither"),
    (("serviceCIDR: 10.254.0.0/16", "serviceCIDR: 10.254.1.0/16"), "expected 10.254.0.0/16, found 10.254.1.0/16"),
    (("podCIDR: 172.30.0.0/16", "podCIDR: 10.254.0.0/16"), "cluster.podCIDR: expected a range apart from serviceCIDR"),
    (("clusterDNS: 10.254.0.2", "clusterDNS: 10.96.0.10"), "cluster.clusterDNS: expected an address of a Service"),
    (("clusterDNS: 10.254.0.2", "clusterDomain: cluster.local."), "a domain without a dot at its end"),
    (("clusterDNS: 10.254.0.2", "clusterDNS: []\n  clusterDomain: a.b"), "they only work together"),
    (("1.36.2", "1.19.4"), "kubernetes.version: expected Kubernetes 1.20 to 1.37, found 1.19.4"),
    (("version: 1.36.2", "version: 1.36"), "kubernetes.version: expected a string, found the number 1.36"),
    (("version: 1.36.2", "version: 1.36.2, sha256: {kubelet: abc}"), "expected 64 lower-case hex digits"),
    (("kubeconfigFile: bootstrap.kubeconfig", "token: secret-token"), "bootstrap.token: expected a bootstrap token"),
    (("mode: iptables", "mode: userspace"), "kubeProxy.mode: expected one of iptables, ipvs, nftables"),
    ((", kubeconfigFile: kube-proxy.kubeconfig", ""), "kubeProxy.kubeconfigFile: expected kube-proxy's kubeconfig"),
    (("type: containerd", "type: docker"), "runtime.type: the kubelet serves docker itself up to 1.23"),
    (("type: containerd", "endpoint: /run/x.sock"), "runtime.endpoint: expected unix:///PATH"),
    (("type: containerd", "version: 1.7.28"), "runtime.version: Kubernetes 1.36.2 wants containerd 2.2.0 or 2.3.0"),
    (("type: containerd", "manage: yes"), "runtime.manage: expected true or false, found 'yes'"),
    (("    keyFile: flannel.key\n", ""), "flannel.etcd: expected caFile, certFile and keyFile, or none"),
    (("https://10.80.0.2:2379", "http://10.80.0.2:2379"), "expected one scheme, found http and https"),
    (("flannel:\n", "flannel:\n  iface: eth1\n  ifaceCanReach: 10.1.1.1\n"), "found both; remove one"),
    (("flannel:\n", "flannel:\n  options: [-etcd-prefix=/x]\n"), "-etcd-prefix is written by this file already"),
    (
        ("flannel:\n", "flannel:\n  options: ['-log=$HOME']\n"),
        "flannel.options[0]: expected -name=value without quotes",
    ),
    (("flannel:\n", "kubelet: {config: {clusterDns: [a]}}\nflannel:\n"), "did you mean clusterDNS?"),
    (("flannel:\n", "kubelet: {config: {cgroupDriver: systemd}}\nflannel:\n"), "say runtime.cgroupDriver"),
    (("flannel:\n", "kubelet: {config: {address: 127.0.0.1}}\nflannel:\n"), "an address that the API server reaches"),
    (("flannel:\n", "kubelet: {extraArgs: [--allow-privileged]}\nflannel:\n"), "was removed from kubelet 1.15"),
    (("flannel:\n", "kubelet: {extraArgs: [--node-ip=1.2.3.4]}\nflannel:\n"), "use node.ip"),
    (("flannel:\n", "kubelet: {extraArgs: ['--v 2']}\nflannel:\n"), "expected --name=value without blanks"),
    (("flannel:\n", "cni: none\nflannel:\n"), "cni.plugin: expected bridge or flannel with the runtime containerd"),
    (("flannel:\n", "cni: {binDir: opt}\nflannel:\n"), "cni.binDir: expected an absolute path"),
    (("flannel:\n", "host: {sysctls: {swappiness: 1}}\nflannel:\n"), "expected a name such as vm.swappiness"),
    (("flannel:\n", "policy: {restart: never}\nflannel:\n"), "policy.restart: expected one of auto, manual"),
    (("flannel:\n", "policy: []\nflannel:\n"), "policy: expected a mapping, found a list"),
]


@pytest.mark.parametrize(("change", "told"), WRONG, ids=[told for _, told in WRONG])
def test_one_mistake_is_one_sentence(change: tuple[str, str], told: str) -> None:
    """One thing is wrong: one sentence says what, with the field and its line, and never two."""
    found = mistakes(spoiled(change))

    related = [sentence for sentence in found if told in sentence]
    assert len(related) == 1, found
    assert related[0].startswith("n:")
    # A required field whose key is misspelt is missing as well; nothing else may follow from a mistake.
    assert all("found nothing" in sentence or sentence in related for sentence in found)


def test_a_bad_token_is_never_shown() -> None:
    """What stands where a token belongs may be one, so the message leaves it out."""
    text = spoiled(("kubeconfigFile: bootstrap.kubeconfig", "token: half-a-secret"))

    assert "half-a-secret" not in "\n".join(mistakes(text))


def test_the_ca_may_stand_in_the_file() -> None:
    """The CA's base64 of PEM is read as a kubeconfig's is."""
    text = spoiled(("caFile: ca.crt", f"caData: {base64.b64encode(CA.encode()).decode()}"))

    assert parse(text).cluster.ca_data == CA


def test_another_kubernetes_judges_anew() -> None:
    """With the version given from outside, what that version lacks is refused."""
    text = spoiled(("flannel:\n", "kubelet: {config: {failCgroupV1: false}}\nflannel:\n"))

    parse(text, kubernetes=Version(1, 31, 0))
    with pytest.raises(ConfigInvalid, match=r"KubeletConfiguration has failCgroupV1 since 1\.31"):
        parse(text, kubernetes=Version(1, 30, 9))


def test_nothing_but_a_mapping_is_a_config() -> None:
    """A list at the top is one mistake about the top, and the fields are missing."""
    assert mistakes("- a")[0] == "n:1: expected a mapping, found a list"
