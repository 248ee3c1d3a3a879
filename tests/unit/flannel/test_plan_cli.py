"""``flannel plan`` as people run it: files in, a plan and an exit code out."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from nodegate.cli.flannel_plan import read_leases
from nodegate.errors import Malformed
from nodegate.flannel.decide import plan
from nodegate.flannel.network import Facts
from nodegate.flannel.parse import parse_network
from nodegate.flannel.render import plan_object
from tests.unit.cli.command import run
from tests.unit.flannel.plan_vectors import Case, cases, leases, manifest, records

CASES = {case["id"]: case for case in cases()}


def _files(folder: Path, case: Case) -> list[str]:
    """Write a case and return the words that name its files."""
    body = manifest(case)
    (folder / "network.yaml").write_text(yaml.safe_dump(body))
    (folder / "leases.json").write_text(json.dumps(records(case)))
    words = ["-f", str(folder / "network.yaml"), "--leases", str(folder / "leases.json")]
    if "live" in case:
        (folder / "live.json").write_text(case["live"])
        words += ["--live", str(folder / "live.json")]
    if case.get("liveRevision") is not None:
        words += ["--live-revision", str(case["liveRevision"])]
    if "with" in case:
        (folder / "with.yaml").write_text(yaml.safe_dump_all(case["with"]))
        words += ["--with", str(folder / "with.yaml")]
    return words


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("classes/nothing", 0),
        ("classes/nodes-go-by-their-names", 0),
        ("reference/t1-max-down-unused", 0),
        ("reference/t2-max-down-used", 10),
        ("forbidden/service-network", 11),
        ("drift/report-only", 12),
    ],
)
def test_the_exit_code_tells_the_action(tmp_path: Path, name: str, code: int) -> None:
    """The plan is the vector's, and the exit code tells the action only when it is asked to."""
    case = CASES[name]
    words = ["flannel", "plan", *_files(tmp_path, case), "-o", "json"]

    done, plain = run(*words, "--exit-code"), run(*words)

    assert (done.returncode, plain.returncode, done.stderr) == (code, 0, "")
    found = json.loads(done.stdout)
    assert (found["class"], found["action"]) == (case["expect"]["class"], case["expect"]["action"])
    assert found["restartNeeded"] == case["expect"].get("restartNeeded", found["restartNeeded"])


def test_the_object_is_the_designs(tmp_path: Path) -> None:
    """Scripts rely on these fields, and YAML says the same as JSON."""
    case = CASES["reference/t5-other-backend"]
    words = ["flannel", "plan", *_files(tmp_path, case), "-o"]

    found = json.loads(run(*words, "json").stdout)

    assert (found["apiVersion"], found["kind"]) == ("cli.nodegate.dev/v1", "FlannelPlan")
    assert found["changes"] == [{"field": "Backend.Type", "from": "vxlan", "to": "host-gw", "class": "Datapath"}]
    assert [each["publicIP"] for each in found["blockedBy"]] == ["10.0.0.19", "10.0.0.46"]
    assert len(found["id"]) == 64
    assert yaml.safe_load(run(*words, "yaml").stdout) == found


def test_people_read_what_blocks_and_what_to_do(tmp_path: Path) -> None:
    """The text names the field, the old and the new value, the lease and the id."""
    case = CASES["reference/t2-max-down-used"]

    shown = run("flannel", "plan", *_files(tmp_path, case)).stdout

    assert "Narrowing, block" in shown
    assert "SubnetMax: 172.30.255.0 -> 172.30.40.0" in shown
    assert "blocked by 172.30.46.0/24 10.0.0.46" in shown
    assert "  id: " in shown


def test_no_secret_is_shown(tmp_path: Path) -> None:
    """A pre-shared key that goes is a change whose value nobody sees."""
    case = CASES["classes/wireguard-key-dropped"]
    words = ["flannel", "plan", *_files(tmp_path, case)]

    shown = run(*words, "-o", "json").stdout + run(*words).stdout

    assert "Backend.PSK" in shown
    assert "MDEy" not in shown


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"ipv6": {"subnetLen": 64}}, "spec.ipv6.network: expected network, found nothing"),
        ({"subnetLen": "24"}, "spec.subnetLen: expected a whole number"),
        ({"changePolicy": "Force"}, "spec.changePolicy: expected a known field"),
    ],
)
def test_what_the_schema_refuses_is_not_judged(tmp_path: Path, change: dict[str, Any], found: str) -> None:
    """A manifest that the API server would refuse ends with 2 and the field."""
    case = {**CASES["classes/nothing"], "spec": change}

    done = run("flannel", "plan", *_files(tmp_path, case), "--exit-code")

    assert (done.returncode, done.stdout) == (2, "")
    assert found in done.stderr


def test_only_one_network_is_judged(tmp_path: Path) -> None:
    """Two resources, or another kind, are a mistake of the command line."""
    words = _files(tmp_path, CASES["classes/nothing"])
    (tmp_path / "node.yaml").write_text("{apiVersion: v1, kind: Node, metadata: {name: a}}")

    assert run("flannel", "plan", "-f", str(tmp_path / "node.yaml")).returncode == 2
    assert run("flannel", "plan", *words, "-f", str(tmp_path / "node.yaml")).returncode == 2
    assert run("flannel", "plan").returncode == 2


def test_stdin_is_read_once(tmp_path: Path) -> None:
    """A second reader of stdin would find nothing and take it for an empty value."""
    words = _files(tmp_path, CASES["classes/nothing"])
    text = (tmp_path / "live.json").read_text()

    once = run("flannel", "plan", *words, "--live", "-", "--exit-code", text=text)
    twice = run("flannel", "plan", *words, "--live", "-", "--leases", "-", text=text)

    assert (once.returncode, twice.returncode) == (0, 2)
    assert "class" not in twice.stdout
    assert "stdin can be read once" in twice.stderr


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{}", "expected a list of objects"),
        ("[", "expected a list in JSON"),
        ("[1]", r"leases\[0\]: expected an object"),
        ('[{"value": "{}"}]', r"leases\[0\].key: expected the text"),
        ('[{"key": "/a/subnets/172.30.1.0-24"}]', r"leases\[0\].value: expected the text"),
        ('[{"key": "k", "value": "{}", "modRevision": "x"}]', "modRevision: expected a whole number"),
    ],
)
def test_leases_that_cannot_be_used(text: str, found: str) -> None:
    """A file that holds no leases is refused, and nothing is taken for an empty list."""
    with pytest.raises(Malformed, match=found):
        read_leases(text, "leases")


def test_leases_as_the_gateway_writes_them() -> None:
    """Numbers of 64 bits are strings there, and -1 is no end."""
    record = {"key": "/a/subnets/172.30.1.0-24", "value": '{"PublicIP":"10.0.0.1"}', "modRevision": "7", "ttl": -1}

    (lease,) = read_leases(json.dumps([record]), "leases")

    assert (lease.mod_revision, lease.ttl, lease.public_ip, str(lease.subnet)) == (7, None, "10.0.0.1", "172.30.1.0/24")


def test_the_command_line_says_what_the_operator_says(tmp_path: Path) -> None:
    """One function judges both."""
    case = CASES["reference/t3-subnet-length"]
    network = parse_network(manifest(case))

    done = run("flannel", "plan", *_files(tmp_path, case), "-o", "json")

    expected = plan(network, case["live"], None, leases(case), network.applied, Facts())
    assert json.loads(done.stdout) == plan_object(expected)


def test_a_deletion_waits_for_leases(tmp_path: Path) -> None:
    """T12: DeleteWhenUnused waits until the last lease is gone; Retain does nothing."""
    case = CASES["reference/t1-max-down-unused"]
    words = _files(tmp_path, case)
    body = manifest(case, deletionPolicy="DeleteWhenUnused")
    body["metadata"]["deletionTimestamp"] = "2030-01-01T00:00:00Z"
    (tmp_path / "network.yaml").write_text(yaml.safe_dump(body))

    waiting = json.loads(run("flannel", "plan", *words, "-o", "json").stdout)
    (tmp_path / "leases.json").write_text("[]")
    unused = json.loads(run("flannel", "plan", *words, "-o", "json").stdout)
    body["spec"]["deletionPolicy"] = "Retain"
    (tmp_path / "network.yaml").write_text(yaml.safe_dump(body))
    kept = json.loads(run("flannel", "plan", *words, "-o", "json").stdout)

    assert (waiting["action"], [each["subnet"] for each in waiting["blockedBy"]]) == (
        "block",
        ["172.30.19.0/24", "172.30.46.0/24"],
    )
    assert (unused["action"], kept["action"]) == ("write", "none")


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"subnetMax": "172.30.255.255"}, "error: spec.subnetMax: expected the first address of a subnet"),
        ({"network": "8.8.0.0/16"}, "error: spec.network: "),
        ({"backend": {"type": "vxlan", "vxlan": {"vni": 0}}}, "error: spec.backend: "),
        ({"pollSeconds": 1}, "error: spec.pollSeconds: expected a whole number from 5 to 3600"),
        (
            {"reservations": [{"publicIP": "10.0.0.1", "subnet": "172.31.0.0/24"}]},
            "error: spec.reservations[0].subnet: ",
        ),
    ],
)
def test_lint_covers_the_kind(tmp_path: Path, change: dict[str, Any], shown: str) -> None:
    """Lint says what the API server and the operator would refuse, with the field of the manifest."""
    path = tmp_path / "network.yaml"
    path.write_text(yaml.safe_dump(manifest({"spec": change})))

    done = run("lint", str(path))

    assert done.returncode == 1
    assert shown in done.stdout


def test_lint_sees_networks_beside_each_other(tmp_path: Path) -> None:
    """A network and a range of Services that overlap are found in one run, and a sound network is not blamed."""
    path = tmp_path / "network.yaml"
    services = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": ["172.30.128.0/24"]},
    }
    path.write_text(yaml.safe_dump(manifest({})))
    assert run("lint", str(path)).returncode == 0

    path.write_text(yaml.safe_dump_all([manifest({}), services]))

    assert "overlapping 172.30.128.0/24 of the service network" in run("lint", str(path)).stdout
