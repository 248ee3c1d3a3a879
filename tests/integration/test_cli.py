"""The plugin against a real API server: requests by name, missing rights, and what cannot be reached.

A running control plane comes in (the session fixture ``cluster``). Rules: every object has a name of its
own and is deleted again; users with few rights are impersonated, so no credentials are made.
"""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, NamedTuple, Protocol

import pytest

from tests.unit.cli import samples

pytestmark = pytest.mark.integration

CRD = Path(__file__).parents[2] / "crds" / "nodeenrollments.nodegate.dev.yaml"
TOKEN_USER = ("--as=system:bootstrap:abcdef", "--as-group=system:bootstrappers", "--as-group=system:authenticated")


class Cluster(Protocol):
    """The part of the session's control plane that these tests use."""

    kubeconfig: Path

    def kubectl(self, *args: str, input: str | None = None, check: bool = True) -> CompletedProcess[str]:  # noqa: A002 - the fixture's own name
        """Run kubectl as the administrator."""


class Asked(NamedTuple):
    """A pending request in the cluster."""

    cluster: Cluster
    node: str
    name: str

    def plugin(self, *words: str) -> CompletedProcess[str]:
        """Run the plugin against the cluster."""
        return plugin(self.cluster, *words)


def plugin(cluster: Cluster, *words: str) -> CompletedProcess[str]:
    """Run the plugin with the cluster's kubeconfig."""
    env = {"PATH": os.environ["PATH"], "HOME": os.devnull, "COLUMNS": "100", "KUBECONFIG": str(cluster.kubeconfig)}
    command = [sys.executable, "-W", "error", "-m", "nodegate.cli", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=env)


@pytest.fixture(scope="module", name="prepared")
def _prepared(cluster: Cluster) -> Iterator[Cluster]:
    """Yield the control plane with the CRD, where bootstrap tokens may ask and one user may read requests."""
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(CRD))
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd/nodeenrollments.nodegate.dev")
    cluster.kubectl("apply", "-f", "-", input=json.dumps(RIGHTS))
    yield cluster
    cluster.kubectl("delete", "-f", "-", "--ignore-not-found", input=json.dumps(RIGHTS))


def _binding(name: str, role: str, kind: str, subject: str) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": subject}],
    }


_READER = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": "nodegate-cli-test-reader"},
    "rules": [
        {"apiGroups": ["certificates.k8s.io"], "resources": ["certificatesigningrequests"], "verbs": ["get", "list"]}
    ],
}
RIGHTS = {
    "apiVersion": "v1",
    "kind": "List",
    "items": [
        _READER,
        _binding("nodegate-cli-test-reader", "nodegate-cli-test-reader", "User", "cli-test-reader"),
        _binding("nodegate-cli-test-bootstrap", "system:node-bootstrapper", "Group", "system:bootstrappers"),
    ],
}


@pytest.fixture(name="asked")
def _asked(prepared: Cluster) -> Iterator[Asked]:
    """Yield a first client request that a bootstrap token sent, for a node of its own."""
    node = f"cli-{uuid.uuid4().hex[:10]}"
    name = f"node-csr-{node}"
    body = samples.bootstrap(name, request=samples.pem(node))
    body["metadata"] = {"name": name}
    prepared.kubectl("create", "-f", "-", *TOKEN_USER, input=json.dumps(body))
    yield Asked(prepared, node, name)
    prepared.kubectl("delete", "csr", name, "--ignore-not-found")
    prepared.kubectl("delete", "nodeenrollment", node, "--ignore-not-found")


def enroll(asked: Asked, *, processed: bool = True, **spec: Any) -> None:
    """Enroll the node, and say in its status that the operator has processed that."""
    asked.cluster.kubectl("apply", "-f", "-", input=json.dumps(samples.enrollment(asked.node, **spec)))
    if processed:
        status = json.dumps({"status": {"observedGeneration": 1, "phase": "Ready"}})
        asked.cluster.kubectl("patch", "ne", asked.node, "--subresource=status", "--type=merge", "-p", status)


def explained(asked: Asked, *words: str) -> dict[str, Any]:
    """Return the explanation of the request."""
    done = asked.plugin("explain", asked.name, "-o", "json", *words)
    assert done.returncode == 0, done.stderr
    body: dict[str, Any] = json.loads(done.stdout)
    return body


def test_a_request_is_explained_as_its_enrollment_changes(asked: Asked) -> None:
    """Not enrolled: Hold; enrolled but not processed: Hold; processed: Approve; another token: Deny."""
    assert explained(asked)["reasons"] == ["NotEnrolled"]

    enroll(asked, processed=False, bootstrap={"tokenID": "abcdef"})
    assert explained(asked)["reasons"] == ["EnrollmentNotReady"]

    enroll(asked, bootstrap={"tokenID": "abcdef"})
    approved = explained(asked)
    assert approved["verdict"] == "Approve"
    assert approved["enrollment"] == {"name": asked.node, "generation": 1}
    assert approved["csr"]["username"] == "system:bootstrap:abcdef"

    enroll(asked, bootstrap={"tokenID": "123456"})
    assert "TokenMismatch" in explained(asked)["reasons"]


def test_exit_code_tells_the_verdict(asked: Asked) -> None:
    """A pending request of a stranger is held, and --exit-code says so."""
    assert asked.plugin("explain", asked.name, "--exit-code").returncode == 10


def test_the_clusters_own_networks_are_known(asked: Asked) -> None:
    """An enrollment with an address of the service network is not ready: its ServiceCIDR was read."""
    enroll(asked, addresses=["10.96.0.200"])

    found = next(rule["found"] for rule in explained(asked)["rules"] if rule["reason"] == "EnrollmentNotReady")

    assert "10.96.0.200 (service network 10.96.0.0/12)" in found


def test_a_decided_request_says_who_and_what(asked: Asked) -> None:
    """After kubectl denied it the table says so; --as-if-undecided shows the rules as they hold now."""
    enroll(asked, bootstrap={"tokenID": "abcdef"})
    asked.cluster.kubectl("certificate", "deny", asked.name)

    table = asked.plugin("explain", asked.name).stdout

    assert "by kubectl certificate deny (as its reason says)" in table
    assert "Ignore: AlreadyDecided" in table
    assert explained(asked, "--as-if-undecided")["verdict"] == "Approve"


def test_a_request_that_is_not_there_is_exit_3_with_near_names(asked: Asked) -> None:
    """A misspelt name and the node's name both lead to the request."""
    for wrong in (asked.name[:-1], asked.node):
        done = asked.plugin("explain", wrong)

        assert (done.returncode, done.stdout) == (3, "")
        assert f"did you mean: {asked.name}" in done.stderr


def test_one_absent_name_leaves_the_others_explained(asked: Asked) -> None:
    """With several names those that are there are explained, and the exit code tells of the other."""
    done = asked.plugin("explain", asked.name, "absent-request")

    assert done.returncode == 3
    assert asked.name in done.stdout
    assert "found none" in done.stderr


def test_missing_rights_are_named_and_hold(asked: Asked) -> None:
    """Who may read requests only gets a Hold with FactsUnavailable, and a warning for each right."""
    done = asked.plugin("explain", asked.name, "--as=cli-test-reader", "-o", "json")

    assert done.returncode == 0
    assert json.loads(done.stdout)["reasons"] == ["FactsUnavailable"]
    for resource in ("nodeenrollments", "nodes", "servicecidrs", "services", "endpointslices"):
        assert f"warning: no right to list {resource}" in done.stderr


def test_no_right_at_all_is_exit_4(asked: Asked) -> None:
    """Who may not read the request is told so, in one line."""
    done = asked.plugin("explain", asked.name, "--as=cli-test-nobody")

    assert (done.returncode, done.stdout) == (4, "")
    assert "cli-test-nobody" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("-s", "https://127.0.0.1:1"), 5),
        (("--token", "not-a-token"), 4),
        (("--context", "absent"), 2),
        (("--kubeconfig", "absent"), 2),
    ],
)
def test_what_cannot_be_used_is_one_line(prepared: Cluster, words: tuple[str, ...], code: int) -> None:
    """An address, a token, a context or a kubeconfig that cannot be used: one line, the exit code, no traceback."""
    for verb in (("explain", "x"), ("list",)):
        done = plugin(prepared, *verb, *words)

        assert (done.returncode, done.stdout) == (code, "")
        assert done.stderr.startswith("error: ")
        assert len(done.stderr.splitlines()) == 1


def test_list_shows_enrollments_and_strangers(asked: Asked) -> None:
    """A pending request stands below the enrollments until its node is enrolled."""
    before = json.loads(asked.plugin("list", "-o", "json").stdout)
    enroll(asked)
    after = json.loads(asked.plugin("list", "-o", "json").stdout)

    assert asked.name in [each["name"] for each in before["asking"]]
    assert asked.name not in [each["name"] for each in after["asking"]]
    assert asked.node in [each["metadata"]["name"] for each in after["items"]]


def test_names_are_completed(asked: Asked) -> None:
    """Completion offers the requests of the cluster."""
    assert asked.name in asked.plugin("__complete", "explain", "node-csr-").stdout.splitlines()
