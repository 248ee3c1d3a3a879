"""``import``: what is taken over from Nodes, what is left out, and that the result approves just that."""

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from nodegate.cli.facts import case_for
from nodegate.csr.decide import judge
from nodegate.csr.model import Approve, Policy
from tests.unit.cli import samples
from tests.unit.cli.command import run, write

GOLDEN = Path(__file__).with_name("golden")
NOW = datetime(2030, 1, 31, 12, tzinfo=UTC)
CONTROL_PLANE = {"node-role.kubernetes.io/control-plane": ""}
CLUSTER = (
    samples.service_cidr("10.96.0.0/12"),
    samples.service(),
    samples.endpoint_slice("kubernetes", "10.0.0.1", of="kubernetes"),
)

Body = dict[str, Any]


def node(name: str, *addresses: str, labels: Mapping[str, str] | None = None, pod_cidr: str = "10.244.0.0/24") -> Body:
    """Return a Node that reports these addresses besides its own name."""
    body = samples.node(name, pod_cidr=pod_cidr)
    entries = [{"type": "Hostname", "address": name}, *({"type": "InternalIP", "address": a} for a in addresses)]
    return {
        **body,
        "metadata": {**body["metadata"], "labels": dict(labels or {})},
        "status": {**body["status"], "addresses": entries},
    }


NODES = (
    node("cp-1", "10.0.0.1", "fd00::1", labels=CONTROL_PLANE),
    node("node-a", "10.0.0.5", "fd00::5", "node-a.example.com", pod_cidr="10.244.1.0/24"),
    node("node-b", "10.0.0.6", "::ffff:10.0.0.7", "NODE-B.example.com", "fd00:0::6", labels={"rack": "r1"}),
)
ODD = (
    node("odd-1", "10.0.0.1", "10.96.0.9", "127.0.0.1", "fe80::1", "kubernetes.default.svc", "a_b", "", "10.0.0.010"),
    node("odd-2", "10.0.0.99", "odd-3", "shared.example.com", "taken.example.com", "10.0.0.50", labels={"rack": "r2"}),
    node("odd-3", "10.0.0.99", "10.0.0.33", "shared.example.com", "\u202e\n# not: a comment"),
    node("many", *(f"10.1.0.{number}" for number in range(1, 19))),
)
ENROLLED = samples.enrollment("taken", addresses=["10.0.0.50"], dnsNames=["taken.example.com"])


def imported(folder: Path, *bodies: Body, words: Sequence[str] = ()) -> list[Body]:
    """Import Nodes from a file and return the manifests."""
    done = run("import", "-f", write(folder, "cluster.json", *bodies), *words)
    assert done.returncode == 0, done.stderr
    return [body for body in yaml.safe_load_all(done.stdout) if body is not None]


def serving(of: str, dns: Sequence[str], ips: Sequence[str]) -> Body:
    """Return a serving request of a node."""
    request = samples.serving(dns=dns, ips=ips)
    request["spec"] |= {"username": f"system:node:{of}"}
    request["spec"] |= {"request": samples.bootstrap(request=samples.pem(of, dns=dns, ips=ips))["spec"]["request"]}
    return request


def reported(body: Body) -> tuple[list[str], list[str]]:
    """Return the DNS names and addresses that a kubelet would ask for: those in its Node's status."""
    texts = [entry["address"] for entry in body["status"]["addresses"]]
    ips = [text.removeprefix("::ffff:") for text in texts if ":" in text or (text[-1].isdigit() and "." in text)]
    names = [text for text in texts if "example.com" in text or text == body["metadata"]["name"]]
    return names, ips


@pytest.mark.parametrize("body", NODES, ids=lambda body: body["metadata"]["name"])
def test_what_a_node_uses_is_approved_and_nothing_more(tmp_path: Path, body: Body) -> None:
    """A serving request with exactly the reported addresses is approved; with one more name or address it is not."""
    name = body["metadata"]["name"]
    enrollments = imported(tmp_path, *NODES, *CLUSTER)
    facts = (*enrollments, *NODES, *CLUSTER)
    dns, ips = reported(body)

    def verdict(dns: Sequence[str], ips: Sequence[str]) -> Any:
        return judge(case_for(serving(name, dns, ips), facts, policy=Policy(), now=NOW)).verdict

    assert len(dns) + len(ips) == len(body["status"]["addresses"])
    assert isinstance(verdict(dns, ips), Approve)
    assert not isinstance(verdict([*dns, "more.example.com"], ips), Approve)
    assert not isinstance(verdict(dns, [*ips, "10.0.0.200"]), Approve)


def test_imported_manifests_have_no_fault(tmp_path: Path) -> None:
    """Lint finds neither error nor warning in what import prints."""
    done = run("import", "-f", write(tmp_path, "cluster.json", *NODES, *ODD, *CLUSTER, ENROLLED))
    (tmp_path / "out.yaml").write_text(done.stdout, encoding="utf-8")
    facts = write(tmp_path, "facts.json", *NODES, *ODD, *CLUSTER, ENROLLED)

    checked = run("lint", str(tmp_path / "out.yaml"), facts, "--strict")

    assert (checked.returncode, ": error: " in checked.stdout) == (0, False), checked.stdout


def test_output_is_as_agreed(tmp_path: Path) -> None:
    """What is printed is the golden file: what was left out stands above each manifest."""
    printed = run("import", "-f", write(tmp_path, "cluster.json", *NODES, *ODD, *CLUSTER, ENROLLED)).stdout

    if os.environ.get("NODEGATE_GOLDEN") == "write":
        (GOLDEN / "import.yaml.txt").write_text(printed, encoding="utf-8")
    assert printed == (GOLDEN / "import.yaml.txt").read_text(encoding="utf-8")
    assert printed.isascii()


def test_json_holds_the_same_manifests(tmp_path: Path) -> None:
    """As JSON it is a List of the same objects, and what was left out is told on stderr."""
    file = write(tmp_path, "cluster.json", *NODES, *ODD, *CLUSTER, ENROLLED)
    done = run("import", "-f", file, "-o", "json")

    assert json.loads(done.stdout)["items"] == imported(tmp_path, *NODES, *ODD, *CLUSTER, ENROLLED)
    assert "warning: odd-1: left out: 127.0.0.1: loopback" in done.stderr


def test_mode_and_rejoin_are_as_asked(tmp_path: Path) -> None:
    """The flags stand in every manifest; without them it is enforced and WhenNotReady."""
    (asked,) = imported(tmp_path, NODES[1], *CLUSTER, words=("--mode", "Audit", "--rejoin", "Never"))
    (plain,) = imported(tmp_path, NODES[1], *CLUSTER)

    assert (asked["spec"]["mode"], asked["spec"]["rejoin"]) == ("Audit", "Never")
    assert ("mode" in plain["spec"], plain["spec"]["rejoin"]) == (False, "WhenNotReady")


def test_a_selector_chooses_nodes(tmp_path: Path) -> None:
    """Only the chosen Nodes are printed, but what the others report still counts."""
    found = imported(tmp_path, *NODES, *ODD, *CLUSTER, words=("-l", "rack=r2"))

    assert [each["metadata"]["name"] for each in found] == ["odd-2"]
    assert "10.0.0.99" not in found[0]["spec"]["addresses"]


def test_enrolled_nodes_are_passed_over(tmp_path: Path) -> None:
    """A Node with an enrollment is named on stderr; when none is left nothing is printed."""
    file = write(tmp_path, "cluster.json", NODES[1], samples.enrollment("node-a"), *CLUSTER)
    done = run("import", "-f", file)

    assert (done.returncode, done.stdout) == (0, "")
    assert "passed over: node-a" in done.stderr
    assert "No node to import found." in done.stderr


def test_an_api_servers_address_needs_the_label(tmp_path: Path) -> None:
    """Without the label that kubelets may not set, a node does not get an API server's address by reporting it."""
    (labelled,) = imported(tmp_path, node("x", "10.0.0.1", labels=CONTROL_PLANE), *CLUSTER)
    (plain,) = imported(tmp_path, node("x", "10.0.0.1"), *CLUSTER)

    assert labelled["spec"]["addresses"] == ["10.0.0.1"]
    assert "addresses" not in plain["spec"]


def test_files_without_a_service_network_are_warned_about(tmp_path: Path) -> None:
    """Without ServiceCIDR or Service nobody can tell which addresses are the service network's."""
    assert "service network are not noticed" in run("import", "-f", write(tmp_path, "n.json", NODES[1])).stderr
    assert run("import", "-f", write(tmp_path, "c.json", NODES[1], *CLUSTER)).stderr == ""
