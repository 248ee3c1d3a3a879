"""What a node's files hold: golden for every case, and what a golden file cannot say."""

import json
import tomllib

import pytest
import yaml

from hack.host_golden import FOLDER, golden, minors, node_yaml, rendered, special
from nodegate_host.model import File, Rendering, Version
from nodegate_host.render.headers import is_intact, is_ours
from nodegate_host.render.kubelet import merge
from nodegate_host.versions import flag_problem, kubelet_field_problem, proxy_field_problem
from tests.unit.host.sample import GOOD, spoiled

KUBELET = "/etc/systemd/system/kubelet.service"
WITHOUT_HEADER = (".conflist", ".json", ".crt", ".key", ".kubeconfig")


def content(rendering: Rendering, path: str) -> str:
    """Return a rendered file's text."""
    file = rendering.file(path)
    assert file is not None, path
    return file.content.decode()


@pytest.mark.parametrize(("name", "text"), golden().items(), ids=golden())
def test_every_case_renders_as_its_golden_file(name: str, text: str) -> None:
    """Each minor, runtime and mode, and each special node; `python -m hack.host_golden --update` accepts a change."""
    assert text == (FOLDER / name).read_text()


def test_every_golden_file_has_its_case() -> None:
    """No golden file is left over."""
    assert {path.name for path in FOLDER.iterdir()} == set(golden())


def test_every_file_of_ours_can_be_told() -> None:
    """Whatever can carry a comment begins with our header, and a change below it shows."""
    for file in rendered(GOOD).files:
        assert is_ours(file.content) is not file.path.endswith(WITHOUT_HEADER), file.path
        if is_ours(file.content):
            assert is_intact(file.content)
            assert not is_intact(file.content + b"# by hand\n")


def test_secrets_are_closed_and_everything_else_is_readable() -> None:
    """Keys and kubeconfigs are 0600 and marked; programs are 0755; the rest is 0644; all belong to root."""
    modes = {file.path: (file.mode, file.secret, file.owner) for file in rendered(GOOD).files}

    secret = {path for path, (_, is_secret, _) in modes.items() if is_secret}
    assert secret == {
        "/etc/kubernetes/bootstrap.kubeconfig",
        "/etc/kubernetes/kube-proxy.kubeconfig",
        "/etc/nodegate/flannel/client.key",
    }
    assert all(mode == 0o600 for path, (mode, _, _) in modes.items() if path in secret)
    assert modes["/etc/nodegate/hand-over-lease.sh"][0] == 0o755
    assert {owner for _, _, owner in modes.values()} == {"root:root"}


def test_the_token_becomes_a_kubeconfig() -> None:
    """A token gives a kubeconfig with the CA by its path and one context."""
    body = yaml.safe_load(content(rendered(special()["token"]), "/etc/kubernetes/bootstrap.kubeconfig"))

    assert body["clusters"][0]["cluster"] == {
        "certificate-authority": "/etc/kubernetes/pki/ca.crt",
        "server": "https://10.80.0.1:6443",
    }
    assert body["users"][0]["user"] == {"token": "abcdef.0123456789abcdef"}
    assert (body["current-context"], len(body["contexts"])) == ("bootstrap", 1)


@pytest.mark.parametrize("minor", minors("containerd", "iptables"))
def test_no_rendered_flag_was_removed(minor: int) -> None:
    """The kubelet's command line holds nothing that its version lacks."""
    unit = content(rendered(node_yaml(minor, "containerd", "iptables")), KUBELET)
    flags = [word for word in unit.split() if word.startswith("--")]

    assert len(flags) > 7
    assert [flag_problem("kubelet", flag, Version(1, minor, 2)) for flag in flags] == [None] * len(flags)


@pytest.mark.parametrize("minor", minors("containerd", "iptables"))
def test_every_rendered_field_exists(minor: int) -> None:
    """KubeletConfiguration and KubeProxyConfiguration hold only fields of their version."""
    found = rendered(node_yaml(minor, "containerd", "iptables"))
    kubelet = yaml.safe_load(content(found, "/etc/kubernetes/kubelet-config.yaml"))
    proxy = yaml.safe_load(content(found, "/etc/kubernetes/kube-proxy-config.yaml"))
    version = Version(1, minor, 2)

    known = {"apiVersion", "kind"}
    assert [field for field in kubelet if field not in known and kubelet_field_problem(field, version)] == []
    assert [field for field in proxy if field not in known and proxy_field_problem(field, version)] == []


def test_name_address_and_ranges_are_said_alike_everywhere() -> None:
    """One name, flannel on the node's address, clusterCIDR flannel's own range (S36, S42, S64, E1, E7)."""
    found = rendered(GOOD)
    proxy = yaml.safe_load(content(found, "/etc/kubernetes/kube-proxy-config.yaml"))

    assert "--hostname-override=node-a " in content(found, KUBELET)
    assert "--hostname-override=node-a " in content(found, "/etc/systemd/system/kube-proxy.service")
    assert (proxy["hostnameOverride"], proxy["clusterCIDR"]) == ("node-a", "172.30.0.0/16")
    assert "-iface=10.80.0.11 " in content(found, "/etc/default/flanneld")


def test_the_kubelet_is_closed() -> None:
    """No anonymous access, webhook authorization, no read-only port (E22)."""
    body = yaml.safe_load(content(rendered(GOOD), "/etc/kubernetes/kubelet-config.yaml"))

    assert body["authentication"]["anonymous"] == {"enabled": False}
    assert body["authentication"]["webhook"] == {"enabled": True}
    assert (body["authorization"], body["readOnlyPort"]) == ({"mode": "Webhook"}, 0)


def test_units_start_in_order_and_restart_what_they_must() -> None:
    """flanneld, runtime, kubelet, kube-proxy; each file names who reads it."""
    found = rendered(GOOD)
    readers = {file.path: file.units for file in found.files}

    assert [(unit.name, unit.ours) for unit in found.units] == [
        ("flanneld.service", True),
        ("containerd.service", False),
        ("kubelet.service", True),
        ("kube-proxy.service", True),
    ]
    assert readers["/etc/kubernetes/kube-proxy-config.yaml"] == ("kube-proxy.service",)
    assert readers["/etc/default/flanneld"] == ("flanneld.service",)
    assert readers["/etc/systemd/system/containerd.service.d/10-nodegate-flannel.conf"] == ()


def test_a_failure_of_flannel_pulls_nothing_down() -> None:
    """No unit requires another one (headline 5 of the reference)."""
    for text in (GOOD, *special().values()):
        for file in rendered(text).files:
            if file.path.startswith("/etc/systemd/system/"):
                assert "Requires=" not in file.content.decode()
                assert "RequiredBy=" not in file.content.decode()


@pytest.mark.parametrize(("name", "version"), [("containerd-1.7", 2), ("containerd-2.2", 3), ("containerd-2.3", 4)])
def test_containerd_gets_its_format(name: str, version: int) -> None:
    """The managed configuration is TOML of the format that the version has, with the kubelet's cgroup driver."""
    body = tomllib.loads(content(rendered(special()[name]), "/etc/containerd/config.toml"))
    plugins = body["plugins"]

    assert body["version"] == version
    if version == 2:
        cri = plugins["io.containerd.grpc.v1.cri"]
        assert cri["sandbox_image"] == "registry.k8s.io/pause:3.10"
    else:
        cri = plugins["io.containerd.cri.v1.runtime"]
        assert plugins["io.containerd.cri.v1.images"]["pinned_images"] == {"sandbox": "registry.k8s.io/pause:3.10"}
    assert cri["containerd"]["runtimes"]["runc"]["options"] == {"SystemdCgroup": True}


def test_conflist_and_docker_configuration_are_json() -> None:
    """What must be JSON is JSON, and docker's range is never in it."""
    conflist = json.loads(content(rendered(special()["flannel-plugin"]), "/etc/cni/net.d/10-flannel.conflist"))
    docker = json.loads(content(rendered(special()["docker-managed"]), "/etc/docker/daemon.json"))

    assert [plugin["type"] for plugin in conflist["plugins"]] == ["flannel", "portmap"]
    assert docker == {"exec-opts": ["native.cgroupdriver=systemd"]}


def test_a_moved_socket_is_said_to_both_sides() -> None:
    """Another endpoint reaches the kubelet and containerd's own configuration, in each format."""
    for version in ("2.2.0", "2.4.2"):
        wanted = f"type: containerd, manage: true, version: {version}, endpoint: unix:///run/c.sock"
        found = rendered(spoiled(("type: containerd", wanted)))
        body = tomllib.loads(content(found, "/etc/containerd/config.toml"))
        server = body["grpc"] if version == "2.2.0" else body["plugins"]["io.containerd.server.v1.grpc"]

        assert server == {"address": "/run/c.sock"}
        assert "containerRuntimeEndpoint: unix:///run/c.sock" in content(found, "/etc/kubernetes/kubelet-config.yaml")


def test_protected_kernel_defaults_are_provided() -> None:
    """A kubelet that wants the kernel's settings to be right finds them right."""
    found = rendered(spoiled(("flannel:\n", "kubelet: {config: {protectKernelDefaults: true}}\nflannel:\n")))

    assert "kernel.panic = 10\n" in content(found, "/etc/sysctl.d/90-nodegate.conf")
    assert "kernel.panic" not in content(rendered(GOOD), "/etc/sysctl.d/90-nodegate.conf")


def test_overrides_are_merged_and_null_takes_away() -> None:
    """Mappings are merged, lists and scalars replaced, null removes; the result is sorted at every level."""
    base = {"b": {"y": 1, "x": 2}, "a": [1], "c": 3}

    merged = merge(base, {"b": {"z": 0}, "a": [2], "c": None})

    assert list(merged.items()) == [("a", [2]), ("b", {"x": 2, "y": 1, "z": 0})]
    assert base == {"b": {"y": 1, "x": 2}, "a": [1], "c": 3}


def test_a_secret_is_not_in_the_representation() -> None:
    """A file's content does not show when it is printed."""
    assert "clusters" not in repr(File("/x", b"clusters", 0o600, secret=True))
