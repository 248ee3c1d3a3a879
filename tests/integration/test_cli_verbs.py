"""The plugin's further verbs against a real API server: lint, import, doctor, watch and token.

A running control plane comes in (the session fixture ``cluster``). Rules: every object has a name of its
own and is deleted again; what the plugin says of the API server is held against the API server itself.
"""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.test_cli import Cluster, plugin
from tests.manifests.shipped import BASE, CRDS, cases, enrollment
from tests.unit.cli import samples

pytestmark = pytest.mark.integration

Body = dict[str, Any]

APPLY = ("apply", "--server-side", "--force-conflicts", "--field-manager=nodegate-tests")
CRD = "crd/nodeenrollments.nodegate.dev"
TOKEN_SECRET = "0123456789012e12"  # noqa: S105 - of a cluster that lives for one test session
CONTROLLERS = "system:certificates.k8s.io:certificatesigningrequests"


@pytest.fixture(scope="module", name="installed")
def _installed(cluster: Cluster) -> Cluster:
    """Return the control plane with the CRD and the base, where bootstrap tokens may ask."""
    cluster.kubectl(*APPLY, "-k", str(CRDS))
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", CRD)
    cluster.kubectl(*APPLY, "-k", str(BASE))
    return cluster


@pytest.fixture(name="name")
def _name(installed: Cluster) -> Iterator[str]:
    """Yield a node's name of its own; what is called so is deleted afterwards."""
    name = f"verbs-{uuid.uuid4().hex[:10]}"
    yield name
    for kind in ("nodeenrollment", "node", "csr", "clusterrolebinding"):
        installed.kubectl("delete", kind, name, "--ignore-not-found")
    installed.kubectl("delete", "secret", f"bootstrap-token-{name[-6:]}", "-n", "kube-system", "--ignore-not-found")


def create(cluster: Cluster, body: Body, *words: str) -> None:
    """Create an object."""
    cluster.kubectl("create", "-f", "-", *words, input=json.dumps(body))


JUDGED = {"reserved", "conflict", "operator"}
"""Rules of lint that ask for more than the schema does."""

ODD: Sequence[Body] = (
    {"bootstrap": None, "serving": None, "addresses": None},
    {"bootstrap": {"tokenID": None, "maxJoins": None}},
    {"maxExpirationSeconds": 600.0},
    {"bootstrap": {"maxJoins": 2.5}},
    {"bootstrap": {"maxJoins": "2"}},
    {"bootstrap": {"maxJoins": True}},
    {"serving": {"approve": 1}},
    {"node": {"labels": {"a": None}}},
    {"node": {"labels": {"a": 1}}},
    {"addresses": [None]},
    {"addresses": {}},
    {"dnsNames": "a"},
    {"addresses": ["::1.2.3.4"]},
    {"addresses": ["::102:304"]},
    {"addresses": ["2001:db8:0:1:1:1:1:1"]},
    {"addresses": ["2001:db8::1:1:1:1:1"]},
    {"addresses": ["1:0:0:2:0:0:0:3"]},
    {"addresses": ["1:0:0:2::3"]},
    {"addresses": ["1::2:0:0:0:3"]},
    {"addresses": ["255.255.255.255", "::"]},
    {"addresses": [" 10.0.0.5"]},
    {"addresses": ["10.0.0.5\n"]},
    {"addresses": ["١٠.0.0.5"]},  # noqa: RUF001 - digits that are not ASCII
    {"addresses": ["0x0a.0.0.5"]},
    {"dnsNames": ["a\n"]},
    {"dnsNames": ["a.0x"]},
    {"dnsNames": ["a.0xg"]},
    {"dnsNames": ["K.example"]},
    {"dnsNames": ["a" * 253]},
    {"dnsNames": ["a" * 254]},
    {"bootstrap": {"tokenID": "abcdef\n"}},
    {"bootstrap": {"tokenID": "äbcdef"}},
    {"bootstrap": {"token": {"ttl": "1m1m1m"}}},
    {"bootstrap": {"token": {"ttl": "99999s"}}},
    {"bootstrap": {"token": {"ttl": "1h2h3h4h"}}},
    {"bootstrap": {"notBefore": "2030-01-01T24:00:00Z"}},
    {"bootstrap": {"notBefore": "2030-01-01T23:59:60Z"}},
    {"bootstrap": {"notBefore": "2028-02-29T00:00:00Z"}},
    {"bootstrap": {"notBefore": "2030-02-29T00:00:00Z"}},
    {"bootstrap": {"notBefore": "2030-01-01t00:00:00z"}},
    {"bootstrap": {"notBefore": "2030-01-01T00:00:00.000000001Z", "notAfter": "2030-01-01T00:00:00.000000002Z"}},
    {"bootstrap": {"notBefore": "2030-01-01T00:00:00.000000002Z", "notAfter": "2030-01-01T00:00:00.000000001Z"}},
    {"bootstrap": {"users": ["system:node:"]}},
    {"bootstrap": {"users": ["system:nodes"]}},
    {"node": {"labels": {"a.-b/c": ""}}},
    {"node": {"labels": {"a/b": "\n"}}},
    {"node": {"labels": {f"{'a' * 253}/b": ""}}},
    {"node": {"labels": {f"{'a' * 254}/b": ""}}},
    {"node": {"annotations": {"a": "ä" * 4096}}},
    {"node": {"annotations": {"a": "ä" * 4097}}},
    {"node": {"taints": [{"key": "a", "effect": "NoExecute", "value": None}, {"key": "a", "effect": "NoSchedule"}]}},
    {"node": {"taints": [{"key": "a", "effect": ""}]}},
)
"""Specs in which two readers of one schema could part."""


def test_lint_and_the_api_server_agree(installed: Cluster, tmp_path: Path) -> None:
    """What the API server refuses lint refuses, what it accepts lint accepts, for every vector and every odd spec."""
    bodies = [enrollment(case) for case in cases("*.yaml")] + [samples.enrollment("odd", **spec) for spec in ODD]
    parted = []
    for number, body in enumerate(bodies):
        text = json.dumps(body)
        (tmp_path / f"{number}.json").write_text(text, encoding="utf-8")
        theirs = installed.kubectl("create", "--dry-run=server", "-f", "-", input=text, check=False)
        found = json.loads(plugin(installed, "lint", str(tmp_path / f"{number}.json"), "-o", "json").stdout)["items"]
        ours = [each for each in found if each["severity"] == "error" and each["rule"] not in JUDGED]
        if (theirs.returncode != 0) != bool(ours):
            parted.append((body, theirs.stderr, ours))

    assert parted == []


def node_with(cluster: Cluster, name: str, *addresses: str) -> None:
    """Create a Node that reports these addresses."""
    create(cluster, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"verbs": name}}})
    entries = [{"type": "Hostname", "address": name}, *({"type": "InternalIP", "address": a} for a in addresses)]
    patch = json.dumps({"status": {"addresses": entries}})
    cluster.kubectl("patch", "node", name, "--subresource=status", "--type=merge", "-p", patch)


def verdict(cluster: Cluster, node: str, *ips: str) -> str:
    """Have a node ask for a serving certificate, and return the verdict on it."""
    body = samples.serving(dns=[node], ips=ips)
    request = samples.bootstrap(request=samples.pem(node, dns=[node], ips=ips))["spec"]["request"]
    spec = {key: body["spec"][key] for key in ("signerName", "usages")} | {"request": request}
    create(
        cluster,
        {**body, "metadata": {"name": node}, "spec": spec},
        f"--as=system:node:{node}",
        "--as-group=system:nodes",
        "--as-group=system:authenticated",
    )
    done = plugin(cluster, "explain", node, "-o", "json")
    cluster.kubectl("delete", "csr", node)
    found: str = json.loads(done.stdout)["verdict"]
    return found


def test_imported_nodes_are_approved_for_what_they_use(installed: Cluster, name: str) -> None:
    """What import prints can be applied as it is, and approves the Node's own addresses and not one more."""
    node_with(installed, name, "10.200.0.5", "fd00:200::5", "10.96.0.77", "127.0.0.1")

    done = plugin(installed, "import", "-l", f"verbs={name}")
    installed.kubectl("apply", "-f", "-", input=done.stdout)
    installed.kubectl(
        "patch", "ne", name, "--subresource=status", "--type=merge", "-p", '{"status":{"observedGeneration":1}}'
    )

    assert "# left out: 10.96.0.77: service network 10.96.0.0/12" in done.stdout
    assert yaml.safe_load(done.stdout)["spec"]["addresses"] == ["10.200.0.5", "fd00:200::5"]
    assert verdict(installed, name, "10.200.0.5", "fd00:200::5") == "Approve"
    assert verdict(installed, name, "10.200.0.5", "fd00:200::5", "10.200.0.6") != "Approve"
    again = plugin(installed, "import", "-l", f"verbs={name}")
    assert (again.stdout, f"passed over: {name}" in again.stderr) == ("", True)


def test_import_without_every_right_makes_nothing(installed: Cluster) -> None:
    """Who may not read what is reserved gets no manifests: they could stop a node's renewals."""
    done = plugin(installed, "import", "--as=cli-test-nobody")

    assert (done.returncode, done.stdout) == (4, "")
    assert "expected to know every identity that is reserved or taken" in done.stderr


def examined(cluster: Cluster, *words: str) -> dict[str, Body]:
    """Return what doctor finds, by check."""
    done = plugin(cluster, "doctor", "-o", "json", *words)
    items = json.loads(done.stdout)["items"]
    assert done.returncode == (1 if any(item["result"] == "fail" for item in items) else 0)
    return {item["id"]: item for item in items}


def test_doctor_finds_the_base_in_order(installed: Cluster) -> None:
    """With the base applied its rights are complete and no more; no kubelet runs its pod, and that is found."""
    found = examined(installed)
    results = {check: item["result"] for check, item in found.items()}

    for check in ("api-server", "clock", "crd", "crd-schema", "operator-account", "operator-rights", "operator-excess"):
        assert results[check] == "ok", found[check]
    for check in ("service-cidr", "node-rights", "enrollment-rights", "approver-programs", "approver-rights"):
        assert results[check] == "ok", found[check]
    assert results["operator"] == "fail"
    assert "0 of 1 replica ready" in found["operator"]["found"]
    assert results["node-restriction"] == "skip"


def test_doctor_finds_a_right_that_was_taken_away(installed: Cluster) -> None:
    """Without its ClusterRoleBinding the operator's rights are missing, one by one."""
    installed.kubectl("delete", "clusterrolebinding", "nodegate")
    try:
        found = examined(installed)["operator-rights"]
    finally:
        installed.kubectl(*APPLY, "-k", str(BASE))

    assert found["result"] == "fail"
    assert "approve signers.certificates.k8s.io kubernetes.io/kubelet-serving" in found["found"]
    assert "services" not in found["found"]


@pytest.mark.parametrize(
    ("role", "check", "result"),
    [("nodeclient", "approver-bootstrap", "fail"), ("selfnodeclient", "approver-renewal", "warn")],
)
def test_doctor_names_bindings_that_approve_past_us(
    installed: Cluster, name: str, role: str, check: str, result: str
) -> None:
    """The binding that kubeadm makes is found with its name, its subject and the command that deletes it."""
    installed.kubectl(
        "create", "clusterrolebinding", name, f"--clusterrole={CONTROLLERS}:{role}", "--group=system:bootstrappers:x"
    )
    found = examined(installed)[check]

    assert found["result"] == result
    assert f"{name} binds group system:bootstrappers:x" in found["found"]
    assert f"kubectl delete clusterrolebinding {name}" in found["remedy"] or "clusterrolebinding" in found["remedy"]


def test_doctor_finds_enrollments_and_tokens_that_need_attention(installed: Cluster, name: str) -> None:
    """A node without an enrollment, and an enrollment whose token is not there, are named."""
    node_with(installed, name, "10.200.1.5")
    assert name in examined(installed)["nodes-enrolled"]["found"]

    installed.kubectl("delete", "node", name)
    create(installed, samples.enrollment(name, bootstrap={"tokenID": name[-6:]}))

    assert f"{name}: token {name[-6:]} does not exist" in examined(installed)["tokens"]["found"]


def test_doctor_without_rights_skips(installed: Cluster) -> None:
    """Who may look at nothing gets skips with the right that is missing, and no failure."""
    found = examined(installed, "--as=cli-test-nobody")

    assert "fail" not in {item["result"] for item in found.values()}
    assert "no right to look" in found["signer"]["found"]


def make_token(cluster: Cluster, name: str, **more: str) -> None:
    """Create a bootstrap token and an enrollment that pins it."""
    token_id = name[-6:]
    data = {"token-id": token_id, "token-secret": TOKEN_SECRET, "usage-bootstrap-authentication": "true", **more}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"bootstrap-token-{token_id}", "namespace": "kube-system"},
        "type": "bootstrap.kubernetes.io/token",
        "stringData": data,
    }
    create(cluster, secret)
    create(cluster, samples.enrollment(name, bootstrap={"tokenID": token_id}))


def test_token_makes_a_kubeconfig_that_works(installed: Cluster, name: str, tmp_path: Path) -> None:
    """With the kubeconfig that is written, the API server takes its holder for the token's user."""
    make_token(installed, name)
    path = tmp_path / "bootstrap.conf"

    done = plugin(installed, "token", name, "--output-file", str(path))
    who = installed.kubectl("--kubeconfig", str(path), "auth", "whoami", "-o", "json").stdout

    assert (done.returncode, done.stdout) == (0, "")
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(who)["status"]["userInfo"]["username"] == f"system:bootstrap:{name[-6:]}"
    assert TOKEN_SECRET not in done.stderr
    assert plugin(installed, "token", name).stdout == path.read_text(encoding="utf-8")
    assert plugin(installed, "token", name, "--output-file", str(path)).returncode == 2


def test_token_believes_cluster_info(installed: Cluster, name: str) -> None:
    """Where the cluster says itself how nodes reach it, that is what the node is told; --node-server still wins."""
    make_token(installed, name)
    own = yaml.safe_load(plugin(installed, "token", name).stdout)["clusters"][0]["cluster"]
    told = {"clusters": [{"name": "", "cluster": {**own, "server": "https://api.example.com:6443"}}]}
    installed.kubectl(
        "create", "configmap", "cluster-info", "-n", "kube-public", f"--from-literal=kubeconfig={json.dumps(told)}"
    )
    try:
        done, chosen = plugin(installed, "token", name), plugin(installed, "token", name, "--node-server", "https://x")
    finally:
        installed.kubectl("delete", "configmap", "cluster-info", "-n", "kube-public")

    assert yaml.safe_load(done.stdout)["clusters"][0]["cluster"] == told["clusters"][0]["cluster"]
    assert "an address of this host" not in done.stderr
    assert yaml.safe_load(chosen.stdout)["clusters"][0]["cluster"]["server"] == "https://x"


def test_an_expired_token_is_refused(installed: Cluster, name: str) -> None:
    """A token whose time is over makes no kubeconfig, whether or not the token cleaner was there first."""
    make_token(installed, name, expiration="2020-01-01T00:00:00Z")
    done = plugin(installed, "token", name)

    assert (done.returncode, done.stdout) == (4, "")
    assert "it expired at 2020" in done.stderr or "found none; make it" in done.stderr


def test_names_of_enrollments_are_completed(installed: Cluster, name: str) -> None:
    """Completion of token offers the enrollments of the cluster."""
    create(installed, samples.enrollment(name))

    assert name in plugin(installed, "__complete", "token", "verbs-").stdout.splitlines()


@pytest.fixture(name="following")
def _following(installed: Cluster) -> Iterator[Callable[[str, str], Body]]:
    """Yield a function that waits for a state of a node in the output of a running watch."""
    command = [sys.executable, "-W", "error", "-m", "nodegate.cli", "watch", "-o", "json", "--for", "60s"]
    env = {"PATH": os.environ["PATH"], "HOME": os.devnull, "KUBECONFIG": str(installed.kubeconfig)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env, text=True) as process:

        def wait(node: str, state: str) -> Body:
            assert process.stdout is not None
            for line in process.stdout:
                event: Body = json.loads(line)
                if (event["node"], event["state"]) == (node, state):
                    return event
            raise AssertionError(f"expected {state} of {node}, found the end of the watch")

        yield wait
        process.terminate()


def test_watch_follows_a_request_to_its_certificate(
    installed: Cluster, name: str, following: Callable[[str, str], Body]
) -> None:
    """An enrollment and a request are told as they come, and what becomes of them."""
    create(installed, samples.enrollment(name))
    body = samples.bootstrap(name, request=samples.pem(name))
    create(installed, {**body, "metadata": {"name": name}, "spec": {k: body["spec"][k] for k in KEPT}})
    assert following(name, "Pending")["for"] == "bootstrap"

    installed.kubectl("certificate", "approve", name)
    assert following(name, "Approved")["reason"] == "KubectlApprove"
    assert following(name, "Issued")["request"] == name

    status = json.dumps({"status": {"phase": "Joined", "observedGeneration": 1}})
    installed.kubectl("patch", "ne", name, "--subresource=status", "--type=merge", "-p", status)
    assert following(name, "Joined")["for"] == "enrollment"


KEPT = ("signerName", "usages", "request")
"""What a request may say of itself; the rest the API server stamps."""
