"""``bundle``: which node.yaml comes out of which cluster, what is left to fill in, and that nothing is replaced.

The cluster is a server on loopback, as for ``token``; the file is judged by nodegate-host's own parser. The whole
way, on a real control plane and onto a real host, is the end-to-end tier's.
"""

import argparse
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from nodegate.cli.arguments import add_connection
from nodegate.cli.bundle_facts import DNS_SERVICES, NETWORKS, SERVICE_CIDRS, ClusterFacts, read_cluster
from nodegate.cli.connection import connect
from nodegate.cli.exits import Stopped
from nodegate.cli.node_file import Answers, NodeFile, node_file
from nodegate.enrollment.parse import parse_enrollment
from nodegate.flannel.model import Api
from nodegate_host.errors import ConfigInvalid
from nodegate_host.model import NodeConfig
from nodegate_host.parse import parse
from tests.unit.cli import cluster_stub as stub
from tests.unit.cli import samples
from tests.unit.cli.command import run

FILES = frozenset({"kube-proxy.kubeconfig", "etcd-ca.crt", "etcd-client.crt", "etcd-client.key"})
DNS = {"metadata": {"name": "kube-dns"}, "spec": {"clusterIPs": ["10.96.0.10"]}}


def network(name: str = "main", **spec: Any) -> dict[str, Any]:
    """Return a FlannelNetwork."""
    etcd = {"endpoints": ["https://10.0.0.2:2379"], "api": "V3"}
    return {
        "metadata": {"name": name},
        "spec": {
            "etcd": etcd,
            "flannelVersion": "0.28.10",
            "network": "10.244.0.0/16",
            "backend": {"type": "vxlan"},
        }
        | spec,
    }


def cluster(*networks: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answers of a cluster that tells everything."""
    return {
        "/version": {"gitVersion": "v1.36.4-distro.1"},
        SERVICE_CIDRS: stub.items(samples.service_cidr("10.96.0.0/12")),
        DNS_SERVICES: stub.items(DNS),
        NETWORKS: stub.items(*map(dict, networks or (network(),))),
    }


def facts(answers: Mapping[str, Any], name: str | None = None) -> ClusterFacts:
    """Return what is read of a cluster that answers so."""
    parser = argparse.ArgumentParser()
    add_connection(parser)
    refusal: Stopped | None = None
    with stub.served(answers) as server:
        arguments = parser.parse_args([*server.words, "--kubeconfig", "absent.kubeconfig"])
        with closing(connect(arguments)) as connection:
            try:
                found = read_cluster(connection, name)
            except Stopped as error:
                refusal = error  # Raised when the server is down, which an exception would leave running.
    if refusal is not None:
        raise refusal
    return found


def made(answers: Mapping[str, Any], files: frozenset[str] = FILES, **spec: Any) -> NodeFile:
    """Return the file for node-a of this cluster."""
    body = samples.enrollment(**({"addresses": ["10.0.0.5"]} | spec))
    return node_file(Answers(parse_enrollment(body), "https://10.0.0.1:6443", facts(answers), files))


def config(answers: Mapping[str, Any], **spec: Any) -> NodeConfig:
    """Return what nodegate-host reads in it."""
    return parse(made(answers, **spec).text)


def test_a_cluster_that_tells_everything_leaves_nothing_to_fill_in() -> None:
    """Name, addresses, ranges, DNS, versions, etcd and files stand in it, and nodegate-host accepts it."""
    file = made(cluster())
    found = parse(file.text)

    assert file.gaps == ()
    assert (found.node.name, found.node.ips) == ("node-a", ("10.0.0.5",))
    assert (found.cluster.api_server, found.cluster.ca_file) == ("https://10.0.0.1:6443", "ca.crt")
    assert (found.cluster.service_cidr, found.cluster.pod_cidr) == (("10.96.0.0/12",), ("10.244.0.0/16",))
    assert found.cluster.cluster_dns == ("10.96.0.10",)
    assert (found.kubernetes.version.text, found.flannel.version.text) == ("1.36.4", "0.28.10")
    assert found.bootstrap.kubeconfig_file == "bootstrap.kubeconfig"
    assert found.flannel.etcd.endpoints == ("https://10.0.0.2:2379",)
    assert found.flannel.etcd.key_file == "etcd-client.key"
    assert found.flannel.etcd.prefix == "/coreos.com/network"


def test_taints_and_one_address_a_family_are_taken_from_the_enrollment() -> None:
    """The kubelet registers with the enrollment's taints; of several addresses the file names one of each family."""
    taint = {"key": "dedicated", "value": "db", "effect": "NoSchedule"}
    found = config(cluster(), addresses=["10.0.0.6", "10.0.0.5", "fd00::5"], node={"taints": [taint]})

    assert found.node.ips == ("10.0.0.5", "fd00::5")
    assert [(each.key, each.value, each.effect) for each in found.node.taints] == [("dedicated", "db", "NoSchedule")]


def test_what_is_not_known_is_a_line_to_fill_in() -> None:
    """A cluster that tells nothing leaves commented lines, and nodegate-host names exactly those fields."""
    file = made({"/version": {}}, frozenset(), addresses=[])
    with pytest.raises(ConfigInvalid) as raised:
        parse(file.text)

    keys = [line.split(":")[0].strip(" #") for line in file.text.splitlines() if line.lstrip().startswith("#")]
    assert keys == [
        "ip", "serviceCIDR", "podCIDR", "clusterDNS", "version", "kubeconfigFile", "endpoints", "caFile", "certFile",
        "keyFile",
    ]  # fmt: skip
    assert len(file.gaps) == len(keys)
    assert {problem.path for problem in raised.value.problems} >= {
        "node.ip", "cluster.serviceCIDR", "cluster.podCIDR", "cluster.clusterDNS", "kubernetes.version",
    }  # fmt: skip


def test_a_line_filled_in_as_shown_is_accepted() -> None:
    """Taking the comment marks away makes the file a valid one: the examples and the indents are right."""
    text = made({"/version": {}}, frozenset(), addresses=[]).text.replace("# ", "", 1)
    while "  # " in text:
        text = text.replace("  # ", "  ", 1)

    assert parse(text).node.ips == ("10.0.0.11",)


def test_a_plain_etcd_needs_no_certificates() -> None:
    """Where FlannelNetwork names http endpoints no file of etcd's is asked for."""
    plain = network(etcd={"endpoints": ["http://10.0.0.2:2379"], "api": "V2"}, prefix="/kube/net")
    found = parse(made(cluster(plain), frozenset({"kube-proxy.kubeconfig"})).text)

    assert found.flannel.etcd.key_file is None
    assert (found.flannel.etcd.prefix, found.flannel.etcd_api.value) == ("/kube/net", Api.V2.value.lower())


def test_a_cluster_without_a_dns_service_gets_none() -> None:
    """Where the Services can be listed and none is DNS the file says so, and is valid."""
    assert config(cluster() | {DNS_SERVICES: stub.items()}).cluster.cluster_dns == ()


def test_missing_rights_and_a_choice_are_told() -> None:
    """What may not be listed is named; of several FlannelNetworks none is taken without --network."""
    shut = facts(cluster() | {SERVICE_CIDRS: 403})
    several = cluster(network("one"), network("two"))

    assert shut.service_cidrs == ()
    assert any("no right to list ServiceCIDRs" in note for note in shut.notes)
    assert facts(several).network is None
    assert any("give --network" in note for note in facts(several).notes)
    chosen = facts(several, "two").network
    assert chosen is not None
    assert chosen.name == "two"
    with pytest.raises(Stopped, match="expected a FlannelNetwork called three, found one, two"):
        facts(several, "three")


def test_nothing_is_replaced_and_nothing_is_asked_first(tmp_path: Path) -> None:
    """A file that is there, a file that cannot be read, or half of etcd's files end it with 2 before anything else."""
    there = tmp_path / "node-a"
    there.mkdir()
    (there / "ca.crt").write_text("precious", encoding="utf-8")
    (tmp_path / "file").write_text("x", encoding="utf-8")
    nowhere = ("-s", "http://127.0.0.1:1")

    for words, said in (
        (("--output-dir", str(there)), "give --force to replace them"),
        (("--output-dir", str(tmp_path / "file")), "expected a folder"),
        (("--etcd-ca", str(tmp_path / "file")), "expected --etcd-ca, --etcd-cert and --etcd-key together"),
        (("--kube-proxy-kubeconfig", str(tmp_path / "absent")), "--kube-proxy-kubeconfig: expected a readable file"),
    ):
        done = run("bundle", "node-a", *words, *nowhere)
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert (there / "ca.crt").read_text(encoding="utf-8") == "precious"


def test_without_a_token_nothing_is_written(tmp_path: Path) -> None:
    """The refusals of ``token`` are those of ``bundle``, and no folder is made."""
    folder = tmp_path / "new"
    with stub.served({f"{stub.ENROLLMENTS}/node-a": stub.enrolled()}) as server:
        done = run("bundle", "node-a", "--output-dir", str(folder), *server.words)

    assert (done.returncode, folder.exists()) == (4, False)
    assert "expected spec.bootstrap.tokenID" in done.stderr
