"""The fence on a real API server: what it refuses that RBAC grants, what it lets pass, and the operator behind it.

The session's control plane comes in; the base with the component is applied as people apply it, and the policies
are gone before the next module. Rules: whoever is refused holds cluster-admin, so nothing but the fence can have
refused; every refused approval is one that an administrator could write; the operator has the shipped rights only.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hack.cluster import ApiRefused, Cluster, make_csr
from hack.cluster.process import wait_until
from hack.cluster.requests import CSRS
from hack.impersonation import Identity
from tests.integration.fence import (
    APPROVING,
    BINDINGS,
    DRY,
    FENCE,
    POLICIES,
    RBAC,
    TESTER,
    TOKEN,
    applied,
    ask,
    bound,
    condition,
    decide,
    enforced,
    refusal,
    send,
    tried,
)
from tests.integration.lab import ENROLLMENTS, MERGE, Lab
from tests.integration.operator_fixtures import new_lab

pytestmark = pytest.mark.integration

STRICT = FENCE / "strict"
ADMISSION = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
ADMISSION_BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
SERVING = {"signer": "serving", "dns": ["fence"]}
YEAR = 31_536_000
APPROVED = condition("Approved", "BootstrapApproved")


@pytest.fixture(scope="module")
def fenced(cluster: Cluster, account: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Yield a lab behind the fence, its operator not started."""
    folder = tmp_path_factory.mktemp("fence")
    lab = new_lab(cluster, account, folder)
    lab.clean()
    tester = bound("fence-tester", "cluster-admin") | {
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": "fence-tester"}]
    }
    cluster.api("POST", BINDINGS, tester)
    lab.enroll("fence", settled=False)
    applied(cluster, folder / "overlay", FENCE)
    try:
        wait_until(
            lambda: enforced(lab, account, ask(lab)) == POLICIES, 60, lambda: f"all of {POLICIES} to be enforced"
        )
        yield lab
    finally:
        kinds = "validatingadmissionpolicybinding,validatingadmissionpolicy"
        cluster.kubectl("delete", kinds, "-l", "app.kubernetes.io/component=fence")
        wait_until(lambda: not enforced(lab, account, ask(lab)), 60, lambda: "the fence to be gone")
        cluster.api("DELETE", f"{BINDINGS}/fence-tester")
        lab.clean()


@pytest.fixture
def stolen(fenced: Lab, account: Path) -> Iterator[Path]:
    """Yield the operator's own token, with every right that RBAC can give."""
    subject = {"kind": "ServiceAccount", "name": "nodegate", "namespace": "nodegate-system"}
    body = bound("fence-stolen", "cluster-admin") | {"subjects": [subject]}
    fenced.cluster.api("POST", BINDINGS, body)
    question = ("auth", "can-i", "patch", "certificatesigningrequests/approval")

    def widened() -> bool:
        return fenced.cluster.kubectl(*question, check=False, kubeconfig=account).returncode == 0

    wait_until(widened, 30, lambda: "the ServiceAccount to be cluster-admin")
    yield account
    fenced.cluster.api("DELETE", f"{BINDINGS}/fence-stolen")
    fenced.cluster.api("DELETE", CSRS)


def faults(lab: Lab, name: str, *more: str) -> dict[str, Any]:
    """Return what the controller manager's type check says of a policy's copy with more expressions.

    It looks at no policy about a subresource, so the copy is about the resource itself, which has the same type; it is
    bound to nothing.
    """
    policy = lab.cluster.api("GET", f"{ADMISSION}/{name}")
    copy = {key: policy[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": {"name": f"copy.{name}"}}
    copy["spec"]["validations"] += [{"expression": expression} for expression in more]
    (rule,) = copy["spec"]["matchConstraints"]["resourceRules"]
    rule["resources"] = [resource.partition("/")[0] for resource in rule["resources"]]
    path, found = f"{ADMISSION}/copy.{name}", {}

    def checked() -> bool:
        found.update(lab.cluster.api("GET", path).get("status", {}))
        return "typeChecking" in found

    lab.cluster.api("POST", ADMISSION, copy)
    try:
        wait_until(checked, 30, lambda: f"{path} to be type-checked")
    finally:
        lab.cluster.api("DELETE", path)
    checking: dict[str, Any] = found["typeChecking"]
    return checking


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_the_type_check_finds_no_fault(fenced: Lab, name: str) -> None:
    """The controller manager warns of no expression of a policy, and does of a field that does not exist."""
    assert faults(fenced, name) == {}
    assert "nonsense" in str(faults(fenced, name, "object.metadata.nonsense == ''"))


REFUSED: list[tuple[str, Identity, dict[str, Any], list[dict[str, str]], str]] = [
    (
        "foreign-reason",
        TOKEN,
        {},
        [condition("Approved", "AutoApproved")],
        "found Approved=True with reason AutoApproved",
    ),
    ("reason-of-a-hold", TOKEN, {}, [condition("Denied", "NotEnrolled")], "found Denied=True with reason NotEnrolled"),
    ("denied-as-approved", TOKEN, {}, [condition("Denied", "BootstrapApproved")], "with reason BootstrapApproved"),
    (
        "reason-of-a-renewal",
        TOKEN,
        {},
        [condition("Approved", "RenewalApproved")],
        "Approved with reason BootstrapApproved",
    ),
    ("other-type", TOKEN, {}, [condition("ApprovalBypassed", "UsagesInvalid")], "found ApprovalBypassed=True"),
    ("no-condition", TOKEN, {}, [], "found 0 conditions before and 0 after"),
    ("two-conditions", TOKEN, {}, [APPROVED, condition("Odd", "BootstrapApproved")], "0 conditions before and 2 after"),
    ("other-signer", TESTER, {"signer": "example.com/any"}, [APPROVED], "found example.com/any"),
    (
        "client-signer-at-large",
        TESTER,
        {"signer": "kubernetes.io/kube-apiserver-client"},
        [APPROVED],
        "found kubernetes.io/kube-apiserver-client",
    ),
    ("stranger", TESTER, {}, [APPROVED], "found user fence-tester"),
    ("stranger-denied", TESTER, {}, [condition("Denied", "RequesterMismatch")], "found user fence-tester"),
    (
        "node-without-its-group",
        Identity("system:node:fence", ("system:masters",)),
        {},
        [condition("Approved", "RenewalApproved")],
        "found user system:node:fence in groups [system:masters, system:authenticated]",
    ),
    (
        "token-without-the-group",
        Identity("system:bootstrap:abcdef", ("system:masters",)),
        {},
        [APPROVED],
        "a bootstrapper in group system:bootstrappers, found user system:bootstrap:abcdef",
    ),
    (
        "too-many-usages",
        TOKEN,
        {"usages": ["digital signature", "client auth", "server auth"]},
        [APPROVED],
        "server auth]",
    ),
    ("usage-missing", TOKEN, {"usages": ["client auth"]}, [APPROVED], "found [client auth]"),
    (
        "usages-of-serving",
        TOKEN,
        {"usages": ["digital signature", "server auth"]},
        [APPROVED],
        "found [digital signature",
    ),
    ("usage-cert-sign", TOKEN, {"usages": ["client auth", "cert sign"]}, [APPROVED], "found [client auth, cert sign]"),
    ("long-life", TOKEN, {"expiration_seconds": YEAR + 1}, [APPROVED], "or at most 31536000, found 31536001"),
]


@pytest.mark.parametrize(
    ("who", "changes", "wanted", "found"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_approvals_that_are_refused(
    fenced: Lab, stolen: Path, who: Identity, changes: dict[str, Any], wanted: list[dict[str, str]], found: str
) -> None:
    """A stolen token of the operator, with every right, is refused what an administrator may write."""
    request = ask(fenced, who, **changes)
    said = refusal(decide(fenced, request, *wanted, by=stolen))
    assert "'approvals.fence.nodegate.dev'" in said
    assert found in said
    assert fenced.conditions(request["metadata"]["name"]) == []
    assert refusal(decide(fenced, request, *wanted)) == ""


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("labels", {"a": "b"}),
        ("annotations", {"a": "b"}),
        ("finalizers", ["example.com/keep"]),
        ("ownerReferences", [{"apiVersion": "v1", "kind": "Node", "name": "a", "uid": "a"}]),
    ],
)
def test_an_approval_changes_nothing_else(fenced: Lab, stolen: Path, field: str, value: Any) -> None:
    """The endpoint takes metadata from the body: a label, or an owner that has the request collected, is refused."""
    request = ask(fenced)
    said = refusal(decide(fenced, request, APPROVED, by=stolen, **{field: value}))
    assert f"found changed: {field};" in said
    assert refusal(decide(fenced, request, APPROVED, **{field: value})) == ""


def test_a_bootstrappers_serving_request_is_not_approved(
    fenced: Lab, stolen: Path, account: Path, tmp_path: Path
) -> None:
    """One that is older than the policy about bootstrappers' requests is refused by the policy about approvals."""
    name = "bootstrap-requests.fence.nodegate.dev"
    fenced.cluster.api("DELETE", f"{ADMISSION_BINDINGS}/{name}")
    try:
        wait_until(lambda: name not in enforced(fenced, account, ask(fenced)), 30, lambda: f"{name} to be gone")
        request = ask(fenced, TOKEN, **SERVING)
    finally:
        applied(fenced.cluster, tmp_path / "overlay", FENCE)
    said = refusal(decide(fenced, request, condition("Approved", "ServingApproved"), by=stolen))
    assert "found user system:bootstrap:abcdef in groups" in said
    assert "asking kubernetes.io/kubelet-serving" in said
    wait_until(lambda: name in enforced(fenced, account, ask(fenced)), 30, lambda: f"{name} to be back")


def test_a_decided_request_is_left_alone(fenced: Lab, stolen: Path) -> None:
    """Nothing is added to a request that somebody has denied, and no odd condition is replaced by an approval."""
    denied = decide(fenced, ask(fenced), condition("Denied", "TokenMismatch"), by=stolen)
    said = refusal(decide(fenced, denied, condition("Odd", "TokenMismatch"), by=stolen))
    assert "found 1 conditions before and 2 after" in said
    odd = decide(fenced, ask(fenced), condition("Odd", "Marked"), by=fenced.cluster.kubeconfig)
    said = refusal(decide(fenced, odd | {"status": {}}, APPROVED, by=stolen))
    assert "found 1 conditions before and 1 after" in said
    assert refusal(decide(fenced, odd | {"status": {}}, APPROVED)) == ""


def test_a_patch_is_fenced_like_a_put(fenced: Lab, stolen: Path) -> None:
    """A stolen token that patches instead meets the same policy."""
    name = ask(fenced)["metadata"]["name"]
    body = {"status": {"conditions": [condition("Approved", "KubectlApprove")]}}
    with pytest.raises(ApiRefused, match=r"approvals.fence.nodegate.dev.*KubectlApprove"):
        fenced.cluster.api("PATCH", f"{CSRS}/{name}/approval", body, credentials=stolen, content_type=MERGE)


NODE = Identity.node("fence")
ACCEPTED: list[tuple[str, Identity, dict[str, Any], dict[str, str]]] = [
    ("first-certificate", TOKEN, {}, APPROVED),
    ("group-member", Identity("kubelet-bootstrap", ("system:bootstrappers",)), {}, APPROVED),
    ("rsa-key", TOKEN, {"usages": ["key encipherment", "digital signature", "client auth"]}, APPROVED),
    ("life-at-the-bound", TOKEN, {"expiration_seconds": YEAR}, APPROVED),
    ("renewal", NODE, {}, condition("Approved", "RenewalApproved")),
    ("serving", NODE, SERVING, condition("Approved", "ServingApproved")),
    ("denied-usages", TOKEN, {"usages": ["client auth", "cert sign"]}, condition("Denied", "UsagesInvalid")),
    ("denied-life", TOKEN, {"expiration_seconds": 9 * YEAR}, condition("Denied", "ExpirationNotAllowed")),
    ("denied-node", NODE, SERVING, condition("Denied", "SubjectAltNameReserved")),
]


@pytest.mark.parametrize(("who", "changes", "wanted"), [row[1:] for row in ACCEPTED], ids=[row[0] for row in ACCEPTED])
def test_decisions_that_pass(
    fenced: Lab, account: Path, who: Identity, changes: dict[str, Any], wanted: dict[str, str]
) -> None:
    """With the shipped rights the operator writes each kind of approval, and denials of any fault."""
    request = ask(fenced, who, **changes)
    assert refusal(decide(fenced, request, wanted, by=account)) == ""
    (written,) = fenced.conditions(request["metadata"]["name"])
    assert wanted.items() <= written.items()


def test_a_status_is_written_by_the_operator_and_administrators_only(fenced: Lab, account: Path) -> None:
    """Somebody with every right of RBAC cannot erase recorded joins; the operator and administrators can write."""
    path, body = f"{ENROLLMENTS}/fence/status", {"status": {"joinCount": 0}}
    said = refusal(send(fenced, TESTER, "PATCH", path, body))
    assert "found user fence-tester" in said
    put = fenced.enrollment("fence") | body
    assert "'enrollment-status.fence.nodegate.dev'" in refusal(send(fenced, TESTER, "PUT", path, put))
    assert fenced.cluster.api("PATCH", path, body, credentials=account, content_type=MERGE)["status"] == body["status"]
    for administrators in ("system:masters", "kubeadm:cluster-admins"):
        who = Identity("fence-tester", (administrators,))
        assert refusal(send(fenced, who, "PATCH", path, body)) == ""
    assert refusal(send(fenced, TESTER, "PATCH", f"{ENROLLMENTS}/fence", {"spec": {"mode": "Audit"}})) == ""


@pytest.mark.parametrize("role", ["nodeclient", "selfnodeclient"])
def test_another_approver_is_warned_about(fenced: Lab, role: str) -> None:
    """Binding a role by which the controller manager approves is let pass with a warning; another role without."""
    said = tried(fenced, bound("fence-other", f"{APPROVING}{role}", "system:bootstrappers"))
    assert said.startswith(
        "Warning: Validation failed for ValidatingAdmissionPolicy 'other-approver.fence.nodegate.dev'"
    )
    assert "found Group system:bootstrappers" in said
    in_a_namespace = bound("fence-other", f"{APPROVING}{role}", "a") | {"kind": "RoleBinding"}
    assert "'other-approver.fence.nodegate.dev'" in tried(fenced, in_a_namespace)
    assert tried(fenced, bound("fence-other", "system:node-bootstrapper", "system:bootstrappers")) == ""


def test_another_approver_is_refused_when_the_fence_is_strict(fenced: Lab, account: Path, tmp_path: Path) -> None:
    """With the component strict/ the binding is refused; one that is there may lose subjects and gain none."""
    path, role = f"{BINDINGS}/fence-old", f"{APPROVING}nodeclient"
    fenced.cluster.api("POST", BINDINGS, bound("fence-old", role, "a", "b"))
    administrator = Identity("admin", ("system:masters",))
    try:
        applied(fenced.cluster, tmp_path / "overlay", FENCE, STRICT)

        def strict() -> bool:
            return bool(refusal(send(fenced, administrator, "POST", BINDINGS + DRY, bound("fence-new", role, "a"))))

        wait_until(strict, 30, lambda: "the binding to be refused")
        said = refusal(send(fenced, administrator, "PUT", path, bound("fence-old", role, "a", "c")))
        assert "found Group c" in said
        assert refusal(send(fenced, administrator, "PUT", path, bound("fence-old", role, "b"))) == ""
        assert enforced(fenced, account, ask(fenced)) == POLICIES
    finally:
        fenced.cluster.api("DELETE", path)
        applied(fenced.cluster, tmp_path / "lenient", FENCE)
        wait_until(
            lambda: not refusal(send(fenced, administrator, "POST", BINDINGS + DRY, bound("fence-new", role, "a"))),
            30,
            lambda: "the binding to be warned about only",
        )


def test_a_bootstrapper_asks_for_client_certificates_only(fenced: Lab) -> None:
    """A token is refused every other signer; nodes and people ask whom they like."""
    for signer in ("kubernetes.io/kubelet-serving", "kubernetes.io/kube-apiserver-client", "example.com/any"):
        manifest, _ = make_csr(node_name="fence", signer="serving", dns=["fence"])
        manifest["spec"]["signerName"] = signer
        said = refusal(send(fenced, TOKEN, "POST", CSRS, manifest))
        assert f"found {signer};" in said
    assert ask(fenced, TOKEN)["spec"]["username"] == TOKEN.username
    assert ask(fenced, NODE, **SERVING)["spec"]["username"] == NODE.username
    assert ask(fenced, TESTER, signer="example.com/any")["spec"]["username"] == TESTER.username


@pytest.mark.usefixtures("fenced")
def test_the_operator_works_unhindered(own_lab: Lab) -> None:
    """A join, a renewal, a serving certificate, denials and every status are written through the fence."""
    joined = own_lab.join(own_lab.name(), addresses=["10.20.0.9"])
    who = Identity.node(joined.name)
    assert own_lab.approved(own_lab.ask_as(who, joined.name), issued=True)["reason"] == "RenewalApproved"
    serving = own_lab.ask_as(who, joined.name, "serving", dns=[joined.name], ips=["10.20.0.9"])
    assert own_lab.approved(serving, issued=True)["reason"] == "ServingApproved"
    own_lab.denied(own_lab.ask_as(Identity.token("zzzzzz"), joined.name), "TokenMismatch")
    own_lab.denied(own_lab.ask_as(TOKEN, joined.name, usages=["client auth", "cert sign"]), "UsagesInvalid")
    assert own_lab.status(joined.name)["joinCount"] == 1
    assert own_lab.operator.is_ready()
    assert own_lab.said("fence.nodegate.dev") == []


@pytest.mark.usefixtures("fenced")
def test_the_operator_says_what_the_fence_refuses(own_lab: Lab) -> None:
    """What only the fence forbids stays undecided, is told, and stops nobody else; a limit has it denied."""
    node = own_lab.name()
    own_lab.enroll(node, bootstrap={"users": [TOKEN.username]})
    name = own_lab.ask_as(TOKEN, node, expiration_seconds=YEAR + 1)
    own_lab.wait(lambda: bool(own_lab.said("fence.nodegate.dev", "warning")), "the refusal in the log", csr=name)
    assert own_lab.conditions(name) == []
    assert not own_lab.operator.is_ready()
    own_lab.approved(own_lab.ask_as(TOKEN, node))
    own_lab.enroll(node, bootstrap={"users": [TOKEN.username]}, maxExpirationSeconds=YEAR)
    own_lab.denied(name, "ExpirationNotAllowed")
    own_lab.wait(own_lab.operator.is_ready, "the operator to be ready again", csr=name)
