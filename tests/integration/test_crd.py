"""NodeEnrollment and the base manifests against a real API server.

A running control plane comes in (the session fixture ``cluster``). Rules: a vector is only tried out
(`--dry-run=server`), so the cases never meet each other; what is stored has a name of its own and is
deleted again; the CRD and the base stay for the other tests of the session.
"""

import json
from collections.abc import Iterator
from subprocess import CompletedProcess
from typing import Any, Protocol

import pytest

from tests.manifests.shipped import BASE, CRDS, SAMPLES, Document, base_objects, cases, enrollment

pytestmark = pytest.mark.integration

OPERATOR = "system:serviceaccount:nodegate-system:nodegate"
APPLY = ("apply", "--server-side", "--force-conflicts", "--field-manager=nodegate-tests")
COLUMNS = ["NAME", "STATE", "PHASE", "NODE-READY", "CLIENT-EXPIRES", "AGE"]
WIDE_COLUMNS = [*COLUMNS, "TOKEN", "LAST-VERDICT", "REASON", "SERVING-EXPIRES"]
DIGEST = "0123456789abcdef" * 4


class Cluster(Protocol):
    """The part of the session's control plane that these tests use."""

    def kubectl(self, *args: str, input: str | None = None, check: bool = True) -> CompletedProcess[str]:  # noqa: A002  # the fixture's own name
        """Run kubectl as the administrator."""


@pytest.fixture(scope="module")
def installed(cluster: Cluster) -> Cluster:
    """Return the control plane with the CRD established."""
    cluster.kubectl(*APPLY, "-k", str(CRDS))
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd/nodeenrollments.nodegate.dev")
    return cluster


@pytest.fixture(scope="module")
def base(installed: Cluster) -> Cluster:
    """Return the control plane with the whole base applied."""
    installed.kubectl(*APPLY, "-k", str(BASE))
    return installed


@pytest.fixture
def node(installed: Cluster) -> Iterator[str]:
    """Yield the name of a stored enrollment with an empty spec, deleted afterwards."""
    name = "crd-test-node"
    installed.kubectl("create", "-f", "-", input=json.dumps(enrollment({"node": name, "spec": {}})))
    yield name
    installed.kubectl("delete", "ne", name)


def _try(cluster: Cluster, case: Document) -> CompletedProcess[str]:
    return cluster.kubectl("create", "--dry-run=server", "-f", "-", input=json.dumps(enrollment(case)), check=False)


def _get(cluster: Cluster, name: str) -> Document:
    body: Document = json.loads(cluster.kubectl("get", "ne", name, "-o", "json").stdout)
    return body


def _patch(cluster: Cluster, name: str, patch: Any, *, status: bool = True) -> CompletedProcess[str]:
    subresource = ("--subresource=status",) if status else ()
    return cluster.kubectl("patch", "ne", name, *subresource, "--type=merge", "-p", json.dumps(patch), check=False)


@pytest.mark.parametrize("case", cases("refused*.yaml"), ids=lambda case: case["name"])
def test_malformed_enrollments_are_refused(installed: Cluster, case: Document) -> None:
    """The API server refuses the case and names the field and what is wrong with it."""
    result = _try(installed, case)
    assert result.returncode != 0, case["why"]
    assert case["field"] in result.stderr
    assert case["message"] in result.stderr


@pytest.mark.parametrize("case", cases("accepted*.yaml"), ids=lambda case: case["name"])
def test_sound_enrollments_are_accepted(installed: Cluster, case: Document) -> None:
    """The API server accepts the case without a warning."""
    result = _try(installed, case)
    assert (result.returncode, result.stderr) == (0, ""), case["why"]


def test_samples_are_accepted(installed: Cluster) -> None:
    """Every sample can be applied as it is."""
    result = installed.kubectl("apply", "--dry-run=server", "-f", str(SAMPLES))
    assert len(result.stdout.splitlines()) == len(list(SAMPLES.glob("*.yaml")))
    assert "Warning" not in result.stderr


def test_an_empty_spec_is_filled_with_the_defaults(installed: Cluster, node: str) -> None:
    """What nobody said is written out, so that `kubectl get -o yaml` shows what holds."""
    assert _get(installed, node)["spec"] == {
        "state": "Active",
        "mode": "Enforce",
        "bootstrap": {"token": {"issue": False, "ttl": "1h"}, "maxJoins": 3},
        "rejoin": "WhenNotReady",
        "serving": {"approve": True, "requireNodeAddresses": False, "allowDNSOnly": False},
    }


def test_columns(installed: Cluster, node: str) -> None:
    """`kubectl get ne` shows the columns of the design, and `-o wide` four more."""
    assert installed.kubectl("get", "ne", node).stdout.splitlines()[0].split() == COLUMNS
    assert installed.kubectl("get", "ne", node, "-o", "wide").stdout.splitlines()[0].split() == WIDE_COLUMNS


def test_columns_show_what_the_status_says(installed: Cluster, node: str) -> None:
    """Moments to come are printed as moments: a column of type date would print `<invalid>`."""
    status = {
        "phase": "Joined",
        "node": {"ready": "True"},
        "bootstrap": {"tokenID": "abcdef"},
        "certificates": {
            "client": {"notAfter": "2099-01-01T00:00:00Z"},
            "serving": {"notAfter": "2098-01-01T00:00:00Z"},
        },
        "lastDecision": {"verdict": "Hold", "reason": "AddressMissing"},
    }
    assert _patch(installed, node, {"status": status}).returncode == 0
    (row,) = installed.kubectl("get", "ne", node, "-o", "wide", "--no-headers").stdout.splitlines()
    cells = row.split()
    assert cells[:5] == [node, "Active", "Joined", "True", "2099-01-01T00:00:00Z"]
    assert cells[6:] == ["abcdef", "Hold", "AddressMissing", "2098-01-01T00:00:00Z"]


def test_the_token_column_shows_a_pinned_token_too(installed: Cluster, node: str) -> None:
    """Whether a token was minted or pinned, its id stands in one column."""
    assert _patch(installed, node, {"spec": {"bootstrap": {"tokenID": "123abc"}}}, status=False).returncode == 0
    assert "123abc" in installed.kubectl("get", "ne", node, "-o", "wide", "--no-headers").stdout.split()


def test_enrollments_can_be_selected_by_state(installed: Cluster, node: str) -> None:
    """An on-call engineer lists what is suspended without a pipe."""
    select = ("get", "ne", "-o", "name", "--field-selector")
    assert node in installed.kubectl(*select, "spec.state=Active").stdout
    assert node not in installed.kubectl(*select, "spec.state=Suspended").stdout


def test_explain_describes_a_field(installed: Cluster) -> None:
    """`kubectl explain` tells what a field means, its default and an example."""
    text = " ".join(installed.kubectl("explain", "ne.spec.bootstrap.maxJoins").stdout.split())
    assert "FIELD: maxJoins <integer>" in text
    assert "How many distinct keys may ever be approved" in text
    assert "Default: 3. Example: 1." in text


def test_status_is_written_through_the_subresource_only(installed: Cluster, node: str) -> None:
    """Who may write enrollments cannot forge what the operator recorded, and a status write changes no spec."""
    assert _patch(installed, node, {"status": {"joinCount": 7}}, status=False).returncode == 0
    assert "status" not in _get(installed, node)
    both = {"status": {"joinCount": 1}, "spec": {"state": "Revoked"}}
    assert _patch(installed, node, both).returncode == 0
    body = _get(installed, node)
    assert (body["status"]["joinCount"], body["spec"]["state"]) == (1, "Active")
    assert body["metadata"]["generation"] == 1
    assert _patch(installed, node, {"spec": {"state": "Suspended"}}, status=False).returncode == 0
    assert _get(installed, node)["metadata"]["generation"] == 2


def test_a_status_in_a_new_object_is_dropped(installed: Cluster) -> None:
    """A backup that is restored does not bring old joins with it."""
    body = enrollment({"node": "crd-test-restored", "spec": {}}) | {"status": {"joinCount": 7}}
    created = installed.kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", input=json.dumps(body))
    assert "status" not in json.loads(created.stdout)


def _condition(**changes: str) -> Document:
    return {
        "type": "Ready",
        "status": "True",
        "reason": "AwaitingJoin",
        "message": "",
        "lastTransitionTime": "2030-01-01T00:00:00Z",
    } | changes


def _join(**changes: str) -> Document:
    return {
        "publicKeySHA256": DIGEST,
        "csrUID": "0b3c",
        "csrName": "node-csr-a",
        "requester": "system:bootstrap:abcdef",
        "time": "2030-01-01T00:00:00Z",
    } | changes


@pytest.mark.parametrize(
    ("status", "field"),
    [
        ({"conditions": [_condition(reason="")]}, "status.conditions[0].reason"),
        ({"conditions": [_condition(status="Yes")]}, "status.conditions[0].status"),
        ({"conditions": [_condition(), _condition(status="False")]}, "status.conditions[1]"),
        ({"joins": [_join()] * 11}, "status.joins"),
        ({"joins": [_join(publicKeySHA256="0123")]}, "status.joins[0].publicKeySHA256"),
        ({"joins": [{"publicKeySHA256": DIGEST}]}, "status.joins[0].csrUID"),
        ({"joinCount": -1}, "status.joinCount"),
        ({"phase": "Done"}, "status.phase"),
        ({"node": {"ready": "yes"}}, "status.node.ready"),
        ({"lastDecision": {"verdict": "Approved"}}, "status.lastDecision.verdict"),
        ({"lastDecision": {"csrName": "a" * 254}}, "status.lastDecision.csrName"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_malformed_status_is_refused(installed: Cluster, node: str, status: Document, field: str) -> None:
    """Even the operator cannot write a status that the next reader would stumble over."""
    result = _patch(installed, node, {"status": status})
    assert result.returncode != 0
    assert field in result.stderr


def test_a_whole_status_is_accepted(installed: Cluster, node: str) -> None:
    """Every field of the status, at its bounds where it has any, is stored as written."""
    certificate = {
        "serial": "5f" * 20,
        "notAfter": "2031-01-01T00:00:00Z",
        "sha256": DIGEST,
        "seen": False,
        "previousSHA256": "",
        "csrName": "a" * 253,
    }
    status: Document = {
        "observedGeneration": 1,
        "phase": "Joined",
        "conditions": [_condition(), _condition(type="Stalled", status="False", reason="Consistent")],
        "bootstrap": {
            "tokenID": "abcdef",
            "secretRef": {"namespace": "kube-system", "name": "bootstrap-token-abcdef"},
            "expiresAt": "2030-01-01T01:00:00Z",
        },
        "joins": [_join()] * 10,
        "joinCount": 12,
        "node": {"uid": "0b3c", "joinedAt": "2030-01-01T00:01:00Z", "ready": "Unknown"},
        "certificates": {"client": certificate, "serving": certificate},
        "lastDecision": {
            "csrName": "node-csr-a",
            "verdict": "Approve",
            "reason": "BootstrapApproved",
            "message": "Every rule passed.",
            "time": "2030-01-01T00:00:00Z",
        },
    }
    result = _patch(installed, node, {"status": status})
    assert (result.returncode, result.stderr) == (0, "")
    assert _get(installed, node)["status"] == status


def test_the_base_is_accepted_without_a_warning_and_again_changes_nothing(base: Cluster) -> None:
    """Applying twice is applying once, and Pod Security has nothing to say."""
    again = base.kubectl(*APPLY, "-k", str(BASE))
    assert "Warning" not in again.stderr
    diff = base.kubectl(
        "diff", "--server-side", "--force-conflicts", "--field-manager=nodegate-tests", "-k", str(BASE), check=False
    )
    assert (diff.returncode, diff.stdout) == (0, "")


def _try_pod(cluster: Cluster, spec: Document) -> CompletedProcess[str]:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "crd-test", "namespace": "nodegate-system"},
        "spec": spec,
    }
    return cluster.kubectl("create", "--dry-run=server", "-f", "-", input=json.dumps(pod), check=False)


def test_the_namespace_admits_the_operators_pod_and_no_ordinary_one(base: Cluster) -> None:
    """The absence of a warning above means something: Pod Security is at work in the namespace."""
    (deployment,) = base_objects("Deployment")
    spec = deployment["spec"]["template"]["spec"]
    admitted = _try_pod(base, spec)
    assert (admitted.returncode, admitted.stderr) == (0, "")
    refused = _try_pod(base, {"serviceAccountName": "nodegate", "containers": [{"name": "c", "image": "c"}]})
    assert refused.returncode != 0
    assert 'violates PodSecurity "restricted' in refused.stderr


@pytest.mark.parametrize(
    "read",
    [
        ("get", "csr"),
        ("get", "ne"),
        ("get", "nodes"),
        ("get", "servicecidrs"),
        ("get", "services", "-n", "default", "--field-selector=metadata.name=kubernetes"),
        ("get", "endpointslices", "-n", "default", "--field-selector=metadata.name=kubernetes"),
    ],
    ids=lambda read: read[1],
)
def test_the_operator_can_read_its_facts(base: Cluster, read: tuple[str, ...]) -> None:
    """Every LIST that the operator judges by works with the rights that it has."""
    base.kubectl(*read, f"--as={OPERATOR}")


def _may(cluster: Cluster, right: str) -> bool:
    """Ask whether the operator has a right: ``verb group resource[/sub] [namespace] [name]``, ``-`` for none."""
    verb, group, resource, namespace, name = ["" if word == "-" else word for word in (right + " - -").split()[:5]]
    kind, _, subresource = resource.partition("/")
    attributes = {"verb": verb, "group": group, "resource": kind, "subresource": subresource}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": OPERATOR,
            "groups": ["system:serviceaccounts", "system:serviceaccounts:nodegate-system", "system:authenticated"],
            "resourceAttributes": attributes | {"namespace": namespace, "name": name},
        },
    }
    answer = cluster.kubectl("create", "-o", "json", "-f", "-", input=json.dumps(review)).stdout
    return bool(json.loads(answer)["status"]["allowed"])


@pytest.mark.parametrize(
    "right",
    [
        "create certificates.k8s.io certificatesigningrequests",
        "delete certificates.k8s.io certificatesigningrequests",
        "patch certificates.k8s.io certificatesigningrequests/approval",
        "update certificates.k8s.io certificatesigningrequests/status",
        "approve certificates.k8s.io signers - kubernetes.io/kube-apiserver-client",
        "approve certificates.k8s.io signers - kubernetes.io/*",
        "sign certificates.k8s.io signers - kubernetes.io/kubelet-serving",
        "create nodegate.dev nodeenrollments",
        "patch nodegate.dev nodeenrollments",
        "patch - nodes",
        "list - services default",
        "get - secrets kube-system",
        "get - secrets nodegate-system",
        "get coordination.k8s.io leases kube-system",
    ],
)
def test_the_operator_can_do_no_more(base: Cluster, right: str) -> None:
    """The rights that would turn an approver into an administrator are absent."""
    assert _may(base, right) is False


@pytest.mark.parametrize(
    "right",
    [
        "update certificates.k8s.io certificatesigningrequests/approval",
        "approve certificates.k8s.io signers - kubernetes.io/kubelet-serving",
        "approve certificates.k8s.io signers - kubernetes.io/kube-apiserver-client-kubelet",
        "patch nodegate.dev nodeenrollments/status",
        "create coordination.k8s.io leases nodegate-system",
        "create events.k8s.io events default",
        "list - services default kubernetes",
    ],
)
def test_the_operator_can_do_its_work(base: Cluster, right: str) -> None:
    """The rights that its work needs are there; the questions above are asked in the right form."""
    assert _may(base, right) is True
