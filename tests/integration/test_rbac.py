"""The shipped rights: exactly these, enough for everything, and said aloud when one is missing.

Rules: what the operator may do is asked of the real API server; rights that a test takes away are given back by
applying the base again, as a person would.
"""

from collections.abc import Iterator

import pytest

from hack.cluster import Cluster
from tests.integration.lab import ENROLLMENTS, Lab
from tests.integration.operator_fixtures import APPLY, BASE, Start

pytestmark = pytest.mark.integration

OPERATOR = "system:serviceaccount:nodegate-system:nodegate"
ROLE = "/apis/rbac.authorization.k8s.io/v1/clusterroles/nodegate"
BINDING = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/nodegate"
APPROVAL = "certificatesigningrequests/approval"

CLUSTER_WIDE = """
    certificatesigningrequests.certificates.k8s.io get list watch
    certificatesigningrequests.certificates.k8s.io/approval update
    events.events.k8s.io create patch
    nodeenrollments.nodegate.dev get list watch
    nodeenrollments.nodegate.dev/status get patch
    nodes get list watch
    servicecidrs.networking.k8s.io get list watch
    subjectaccessreviews.authorization.k8s.io create
    tokenreviews.authentication.k8s.io create
    signers.certificates.k8s.io kubernetes.io/kube-apiserver-client-kubelet approve
    signers.certificates.k8s.io kubernetes.io/kubelet-serving approve
"""
EVERYBODYS = """
    clustertrustbundles.certificates.k8s.io get list watch
    selfsubjectaccessreviews.authorization.k8s.io create
    selfsubjectreviews.authentication.k8s.io create
    selfsubjectrulesreviews.authorization.k8s.io create
"""
"""What Kubernetes grants to every ServiceAccount (system:basic-user, system:service-account-…)."""

IN_DEFAULT = """
    endpointslices.discovery.k8s.io kubernetes get list watch
    services kubernetes get list watch
"""
IN_OWN_NAMESPACE = """
    leases.coordination.k8s.io get create update
"""


@pytest.fixture(name="base")
def _base(cluster: Cluster) -> Iterator[None]:
    """Give every right back afterwards."""
    yield
    cluster.kubectl(*APPLY, "-k", str(BASE))


def rights(table: str) -> list[str]:
    """Return the lines of a table, sorted."""
    return sorted(" ".join(line.split()) for line in table.splitlines() if line.strip())


def listed_rights(cluster: Cluster, namespace: str) -> list[str]:
    """Return what `kubectl auth can-i --list` says, without URLs, in the form of the tables above."""
    text = cluster.kubectl("auth", "can-i", "--list", "-n", namespace, f"--as={OPERATOR}", "--no-headers").stdout
    rows = [line.split("[") for line in text.splitlines() if not line.startswith(" ")]
    cells = [[cell.strip().rstrip("]").strip() for cell in row] for row in rows]
    return sorted(" ".join(cell for cell in row if cell) for row in cells)


@pytest.mark.parametrize(
    ("namespace", "more"), [("kube-system", ""), ("default", IN_DEFAULT), ("nodegate-system", IN_OWN_NAMESPACE)]
)
def test_the_rights_are_exactly_these(lab: Lab, namespace: str, more: str) -> None:
    """`kubectl auth can-i --list` names the shipped rights and those that everybody has, nothing else."""
    assert listed_rights(lab.cluster, namespace) == rights(CLUSTER_WIDE + EVERYBODYS + more)


@pytest.mark.parametrize(
    "question",
    [
        "get secrets",
        "list secrets -n kube-system",
        "create certificatesigningrequests",
        "delete certificatesigningrequests",
        "patch certificatesigningrequests",
        "update certificatesigningrequests --subresource=status",
        "patch certificatesigningrequests --subresource=approval",
        "sign signers.certificates.k8s.io/kubernetes.io/kubelet-serving",
        "approve signers.certificates.k8s.io/kubernetes.io/kube-apiserver-client",
        "create nodeenrollments",
        "patch nodeenrollments",
        "update nodeenrollments",
        "delete nodeenrollments",
        "patch nodes",
        "update nodes --subresource=status",
        "create pods -n nodegate-system",
        "get configmaps -n nodegate-system",
        "impersonate users",
        "create serviceaccounts --subresource=token -n nodegate-system",
        "bind clusterroles",
    ],
)
def test_what_would_be_too_much_is_refused(lab: Lab, question: str) -> None:
    """Secrets, other people's requests, signing, enrolling and whatever leads to more rights: no."""
    answer = lab.cluster.kubectl("auth", "can-i", *question.split(), f"--as={OPERATOR}", check=False)
    assert answer.stdout.strip() == "no"


def test_the_operator_needs_no_more(lab: Lab) -> None:
    """Join, renewal, serving, hold, denial, events and statuses: not one request of the operator is refused."""
    joined = lab.join(lab.name(), addresses=["10.50.0.1"])
    lab.approved(lab.cluster.request_renewal(joined.kubeconfig))
    lab.approved(lab.cluster.request_serving(joined.kubeconfig, dns=[joined.name], ips=["10.50.0.1"]))
    held = lab.cluster.request_serving(joined.kubeconfig, dns=[joined.name], ips=["10.50.0.2"])
    lab.held(held, "SubjectAltNameNotEnrolled")
    lab.denied(lab.ask(joined.name, lab.token()), "TokenMismatch")
    lab.wait(lambda: bool(lab.events(held)), "an event", csr=held)
    for code in ("401", "403", "404", "422", "error"):
        assert lab.operator.metric("nodegate_api_requests_total", code=code) == 0, code


def without(lab: Lab, resource: str) -> None:
    """Take the rule about one resource out of the operator's ClusterRole."""
    role = lab.cluster.api("GET", ROLE)
    role["rules"] = [rule for rule in role["rules"] if resource not in rule["resources"]]
    lab.cluster.api("PUT", ROLE, role)


def may(lab: Lab, *question: str) -> bool:
    """Tell whether the operator has a right now."""
    return lab.cluster.kubectl("auth", "can-i", *question, f"--as={OPERATOR}", check=False).stdout.strip() == "yes"


def may_approve(lab: Lab) -> bool:
    """Tell whether the operator may write approvals."""
    return may(lab, "update", "certificatesigningrequests", "--subresource=approval")


@pytest.mark.usefixtures("base")
def test_a_missing_right_to_approve_is_said_once(own_lab: Lab) -> None:
    """Thirty requests without the right: one warning, not ready, nothing decided; all approved once it is back."""
    lab = own_lab
    joined = lab.join(lab.name())
    without(lab, APPROVAL)
    lab.wait(lambda: not may_approve(lab), "the right to be gone")
    asked = [lab.cluster.request_renewal(joined.kubeconfig) for _ in range(30)]

    def tells() -> bool:
        status, text = lab.operator.get("/readyz")
        return status == 503 and APPROVAL in text

    lab.wait(tells, "/readyz to name the missing right")
    assert [lab.conditions(name) for name in asked] == [[]] * 30
    assert len(lab.said("cannot read or write what a decision needs")) == 1
    assert lab.operator.get("/healthz")[0] == 200

    lab.cluster.kubectl(*APPLY, "-k", str(BASE))

    for name in asked:
        lab.approved(name, timeout=60)
    lab.wait(lab.operator.is_ready, "the operator to be ready")
    assert len(lab.said("cannot read or write what a decision needs")) == 1
    assert len(lab.said("decisions can be written again")) == 1
    assert lab.said("", "error") == []


@pytest.mark.usefixtures("base")
def test_all_rights_gone_and_back(own_lab: Lab) -> None:
    """Without its ClusterRoleBinding the operator names what it cannot follow, and recovers by itself."""
    lab = own_lab
    nodes, token = [lab.name() for _ in range(10)], lab.token()
    lab.cluster.api("DELETE", BINDING)
    lab.wait(lambda: not may(lab, "list", "nodeenrollments"), "the rights to be gone")
    for node in nodes:
        lab.enroll(node, settled=False, bootstrap={"tokenID": token.token_id})
    asked = [lab.ask(node, token) for node in nodes]

    def tells() -> bool:
        status, text = lab.operator.get("/readyz")
        return status == 503 and "nodeenrollments: 403" in text

    lab.wait(tells, "/readyz to name what cannot be followed")
    before_recovery = [line for line in lab.said("") if line["level"] in ("warning", "error")]
    lab.cluster.kubectl(*APPLY, "-k", str(BASE))
    for name in asked:
        lab.approved(name, timeout=80)
    lab.wait(lab.operator.is_ready, "the operator to be ready", timeout=60)
    # Five collections can each fail at LIST and at WATCH, two of them for two signers; statuses are one line more.
    assert len(before_recovery) <= 2 * 6 + 1, [line["msg"] for line in before_recovery]
    assert lab.said("", "error") == []


@pytest.mark.usefixtures("base")
def test_a_start_without_rights_is_no_flood(cluster: Cluster, start: Start) -> None:
    """However often it tries, each collection is complained of once; with the rights it is ready."""
    cluster.api("DELETE", BINDING)
    lab = start(ready=False)
    lab.wait(lambda: lab.operator.get("/readyz")[0] == 503, "the operator to be not ready")
    lab.wait(lambda: lab.operator.metric("nodegate_relists_total", reason="error") >= 20, "twenty tries")
    complaints = [line["msg"] for line in lab.said("") if line["level"] in ("warning", "error")]
    assert len(complaints) <= 5, complaints
    assert all("forbidden" in complaint for complaint in complaints)
    cluster.kubectl(*APPLY, "-k", str(BASE))
    lab.operator.wait_ready(60)


@pytest.mark.usefixtures("base")
def test_a_crash_between_record_and_approval_is_repaired(own_lab: Lab) -> None:
    """Recorded but not approved when the operator was killed: the next start approves, with one join."""
    lab = own_lab
    node, token = lab.name(), lab.token()
    lab.enroll(node, bootstrap={"tokenID": token.token_id})
    without(lab, APPROVAL)
    lab.wait(lambda: not may_approve(lab), "the right to be gone")
    name = lab.ask(node, token)
    lab.wait(lambda: bool(lab.status(node).get("joins")), "the record", csr=name, node=node)
    (recorded,) = lab.status(node)["joins"]
    lab.wait(lambda: lab.operator.metric("nodegate_api_requests_total", verb="update", code="403") > 0, "a refusal")
    lab.operator.kill()
    assert lab.conditions(name) == []

    lab.cluster.kubectl(*APPLY, "-k", str(BASE))
    lab.wait(lambda: may_approve(lab), "the right to be back")
    lab.operator.start()

    lab.approved(name)
    status = lab.cluster.api("GET", f"{ENROLLMENTS}/{node}")["status"]
    assert status["joinCount"] == 1
    (join,) = status["joins"]
    assert join["publicKeySHA256"] == recorded["publicKeySHA256"]
    assert join["csrUID"] == lab.cluster.csr(name)["metadata"]["uid"]
