"""A host as the guide builds it: its errors are found where they are, and it becomes a node.yaml without them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from nodegate_host.errors import Usage
from nodegate_host.facts.host import Host
from nodegate_host.guide.convert import Answers, Draft, convert
from nodegate_host.guide.errata import BY_ID
from nodegate_host.guide.errors import GuideFinding, find
from nodegate_host.guide.read import read
from nodegate_host.model import CgroupDriver, NodeConfig, RuntimeKind
from nodegate_host.parse import parse
from tests.builders import ROOT
from tests.unit.host.sample import call

GUIDE = ROOT / "tests" / "fixtures" / "host" / "guide"
_UNITS = "usr/lib/systemd/system"
_KUBELET, _PROXY, _FLANNELD = "etc/kubernetes/kubelet", "etc/kubernetes/proxy", "etc/sysconfig/flanneld"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Give a copy of the guide's host that a test may change."""
    return Path(shutil.copytree(GUIDE, tmp_path / "host"))


def _edit(tree: Path, file: str, old: str, new: str) -> None:
    path = tree / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def _write(file: str, text: str) -> Callable[[Path], None]:
    def change(tree: Path) -> None:
        (tree / file).parent.mkdir(parents=True, exist_ok=True)
        (tree / file).write_text(text)

    return change


def _replace(file: str, old: str, new: str) -> Callable[[Path], None]:
    return lambda tree: _edit(tree, file, old, new)


def _remove(file: str) -> Callable[[Path], None]:
    return lambda tree: (tree / file).unlink()


def _errors(tree: Path) -> tuple[GuideFinding, ...]:
    return find(read(Host(tree)))


def _ids(tree: Path) -> set[str]:
    return {each.id for each in _errors(tree)}


def _draft(tree: Path, **answers: str) -> Draft:
    return convert(read(Host(tree)), Answers(**answers))


def _config(tree: Path, **answers: str) -> NodeConfig:
    return parse(_draft(tree, **answers).text())


_AS_WRITTEN = [
    ("E1", "/etc/kubernetes/proxy", 7),
    ("E2", f"/{_UNITS}/docker.service", 13),
    ("E3", f"/{_UNITS}/docker.service", 12),
    ("E3", f"/{_UNITS}/kubelet.service", 0),
    ("E5", "/etc/kubernetes/kubelet.kubeconfig", 0),
    ("E7", "/etc/sysconfig/flanneld", 11),
    ("E9", "/etc/sysconfig/flanneld", 11),
    ("E13", "/etc/kubernetes/kubelet", 3),
    ("E13", f"/{_UNITS}/kubelet.service", 10),
    ("E15", "/etc/kubernetes/kubelet", 4),
    ("E16", "/etc/kubernetes/kubelet", 4),
    ("E20", "/etc/fstab", 2),
    ("E20", "/proc/swaps", 0),
    ("E21", "/etc/modules-load.d", 0),
    ("E22", f"/{_UNITS}/kubelet.service", 10),
    ("E23", "/etc/kubernetes/kubelet", 1),
    ("E24", f"/{_UNITS}/flanneld.service", 17),
    ("E26", f"/{_UNITS}/kubelet.service", 10),
    ("E27", "/etc/kubernetes/proxy", 7),
    ("E28", "/etc/kubernetes/kubelet", 2),
]

_ADDED = [
    (
        "E14",
        _replace(_KUBELET, "--cgroup-driver", "--runtime-cgroups=/systemd/system.slice --cgroup-driver"),
        _KUBELET,
        4,
    ),
    ("E15", _replace(_KUBELET, "=cgroupfs", "=\\\"'systemd'\\\""), _KUBELET, 4),
    ("E13", _replace(_KUBELET, "--bootstrap-kubeconfig", "--experimental-bootstrap-kubeconfig"), _KUBELET, 4),
    ("E18", _replace(_PROXY, '10.254.0.0/16"', '10.254.0.0/16" # the range'), _PROXY, 7),
    ("E18", _replace(_KUBELET, '"--address=10.80.230.57"', "\u201c--address=10.80.230.57\u201d"), _KUBELET, 1),
    ("E18", _replace(f"{_UNITS}/kubelet.service", "$KUBELET_ARGS", "${KUBELET_ARGS}"), f"{_UNITS}/kubelet.service", 10),
    ("E19", _write("etc/kubernetes/bootstrap.kubeconfig", ""), "etc/kubernetes/bootstrap.kubeconfig", 0),
    ("E30", _replace(_FLANNELD, " -etcd-keyfile=/etc/etcd/ssl/etcd-key.pem", ""), _FLANNELD, 11),
]

_REPAIRED = [
    ("E1", _replace(_PROXY, "--cluster-cidr=10.254.0.0/16", "--cluster-cidr=172.30.0.0/16")),
    ("E2", _replace(f"{_UNITS}/docker.service", "dockerd\n", "dockerd $DOCKER_NETWORK_OPTIONS\n")),
    ("E5", _remove("etc/kubernetes/kubelet.kubeconfig")),
    ("E7", _replace(_FLANNELD, 'OPTIONS="', 'OPTIONS="-iface=eth1 ')),
    ("E9", _replace(_FLANNELD, "/etc/etcd/ssl/etcd", "/etc/nodegate/flannel/client")),
    ("E15", _replace(_KUBELET, "--cgroup-driver=cgroupfs", "--cgroup-driver=systemd")),
    ("E16", _replace(_KUBELET, "--hairpin-mode promiscuous-bridge", "--hairpin-mode hairpin-veth")),
    ("E23", _replace(_KUBELET, "--address=10.80.230.57", "--address=0.0.0.0")),
    ("E27", _replace(_PROXY, "--bind-address=10.80.230.57 ", "")),
    ("E28", _replace(_KUBELET, "--hostname-override=10.80.230.57", "--hostname-override=hz-n02")),
    (
        "E22",
        _replace(
            _KUBELET,
            "--cgroup-driver",
            "--anonymous-auth=false --authorization-mode=Webhook --client-ca-file=/c --cgroup-driver",
        ),
    ),
]


@pytest.mark.parametrize(("identifier", "file", "line"), _AS_WRITTEN)
def test_finds_what_the_guide_itself_writes(identifier: str, file: str, line: int) -> None:
    """Each error is told with its file and line, its cause and a remedy."""
    found = [each for each in _errors(GUIDE) if (each.id, each.file, each.line) == (identifier, file, line)]

    assert found
    assert all(each.message and each.cause and each.remedy for each in found)


@pytest.mark.parametrize(("identifier", "change", "file", "line"), _ADDED)
def test_finds_what_readers_add(
    tree: Path, identifier: str, change: Callable[[Path], None], file: str, line: int
) -> None:
    """The variants of the guide's text and the slips of its readers are found where they are."""
    change(tree)

    assert (identifier, f"/{file}", line) in {(each.id, each.file, each.line) for each in _errors(tree)}


@pytest.mark.parametrize(("identifier", "change"), _REPAIRED)
def test_finds_nothing_where_it_was_put_right(tree: Path, identifier: str, change: Callable[[Path], None]) -> None:
    """An error that was put right by hand is not told again."""
    assert identifier in _ids(tree)

    change(tree)

    assert identifier not in _ids(tree)


def test_a_host_put_right_everywhere_else_has_units_and_modules_right_too(tree: Path) -> None:
    """Restart delays, persisted modules and sysctls, and no swap take away E20, E21 and E24."""
    for name in ("flanneld", "kubelet", "kube-proxy"):
        _edit(tree, f"{_UNITS}/{name}.service", "Restart=on-failure", "Restart=always\nRestartSec=5")
    _write("etc/modules-load.d/k.conf", "br_netfilter\n")(tree)
    _write("etc/sysctl.d/k.conf", "net.ipv4.ip_forward = 1\nnet.bridge.bridge-nf-call-iptables=1\n")(tree)
    _write("etc/fstab", "/dev/sda1 / xfs defaults 0 0\n# /dev/sda2 swap swap defaults 0 0\n")(tree)
    _write("proc/swaps", "Filename Type Size Used Priority\n")(tree)

    assert not {"E20", "E21", "E24"} & _ids(tree)


def test_errata_are_complete() -> None:
    """All thirty can be explained; those that a host can show are looked for."""
    assert list(BY_ID) == [f"E{number}" for number in range(1, 31)]
    shown = {each.id for each in BY_ID.values() if each.on_host}
    assert {each for each, *_ in _AS_WRITTEN} | {each for each, *_ in _ADDED} == shown


def test_becomes_a_configuration_that_means_the_same(tree: Path) -> None:
    """The facts are carried over, each said once; the two ranges are told apart."""
    config = _config(tree, version="1.23.17")

    assert (config.node.name, config.node.ips) == ("10.80.230.57", ("10.80.230.57",))
    assert config.cluster.service_cidr == ("10.254.0.0/16",)
    assert config.cluster.pod_cidr == ("172.30.0.0/16",)
    assert config.cluster.cluster_dns == ("10.254.0.2",)
    assert config.cluster.api_server == "https://10.80.231.151:6443"
    assert config.runtime.kind is RuntimeKind.DOCKER
    assert config.runtime.cgroup_driver is CgroupDriver.CGROUPFS
    assert config.flannel.etcd.prefix == "/kube-centos/network"
    assert len(config.flannel.etcd.endpoints) == 3
    assert config.kubelet.config == {"serializeImagePulls": False}
    assert config.host.env_dir == "/etc/sysconfig"


def test_a_later_kubernetes_gets_cri_dockerd(tree: Path) -> None:
    """Docker alone ended with 1.23."""
    assert _config(tree, version="1.34.2").runtime.kind is RuntimeKind.CRI_DOCKERD


def test_says_what_the_host_does_not_tell(tree: Path) -> None:
    """No lease, no kubeconfig, no version: each is named as missing, and nothing is invented."""
    for file in ("run/flannel/subnet.env", "etc/kubernetes/kubelet.kubeconfig", "etc/kubernetes/bootstrap.kubeconfig"):
        (tree / file).unlink()
    (tree / "etc/kubernetes/kube-proxy.kubeconfig").unlink()
    _edit(tree, _KUBELET, "--cluster-dns=10.254.0.2 ", "")

    draft = _draft(tree)

    assert set(draft.unknown) == {
        "cluster.apiServer",
        "cluster.podCIDR",
        "cluster.serviceCIDR",
        "cluster.clusterDNS",
        "kubernetes.version",
    }
    assert "# MISSING cluster.apiServer" in draft.text()


def test_takes_the_dot_off_the_domain_and_says_so(tree: Path) -> None:
    """cluster.local. breaks the names of headless Pods (S49)."""
    _edit(tree, _KUBELET, "--cluster-domain=cluster.local", "--cluster-domain=cluster.local.")

    assert _config(tree, version="1.34.2").cluster.cluster_domain == "cluster.local"
    assert any("dot at the end" in each for each in _draft(tree).notes)


def test_labels_that_a_kubelet_may_not_set_are_left_out(tree: Path) -> None:
    """The operator sets them; the note names them."""
    _edit(tree, _KUBELET, "--cgroup-driver", "--node-labels=node-role.kubernetes.io/worker=,disk=ssd --cgroup-driver")

    assert _config(tree, version="1.34.2").node.labels == {"disk": "ssd"}
    assert any("node-role.kubernetes.io/worker" in each for each in _draft(tree).notes)


def test_the_verb_writes_the_file_and_tells_the_errors(tree: Path, tmp_path: Path) -> None:
    """Init --from-guide writes node.yaml once, 0600, and prints errors with file and line."""
    path = tmp_path / "node.yaml"

    code, out, _ = call(["init", "--from-guide", "--root", str(tree), "-c", str(path), "--kubernetes", "1.34.2"])

    assert code == 0
    assert "E1: --cluster-cidr=10.254.0.0/16" in out
    assert "at  /etc/kubernetes/proxy:7" in out
    assert path.stat().st_mode & 0o777 == 0o600
    assert call(["init", "--from-guide", "--root", str(tree), "-c", str(path)])[0] == 9


def test_no_secret_of_the_host_is_shown(tree: Path) -> None:
    """The bootstrap token is neither in the draft nor in any finding."""
    token = "0123456789abcdef" * 2

    assert token in (tree / "etc/kubernetes/bootstrap.kubeconfig").read_text()
    assert token not in _draft(tree).text()
    assert token not in repr(_errors(tree))
    assert token not in repr(read(Host(tree)))


def test_a_host_without_a_kubelet_is_no_guide_host(tmp_path: Path) -> None:
    """There is nothing to import, and the message says what to do instead."""
    code, _, err = call(["init", "--from-guide", "--root", str(tmp_path), "-c", str(tmp_path / "n.yaml")])

    assert code == Usage.code
    assert "init --minimal" in err
