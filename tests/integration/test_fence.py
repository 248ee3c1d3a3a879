"""The fence on a real API server: what it refuses that RBAC grants, what it lets pass, and the operator behind it.

The session's control plane comes in; the base with the component is applied as people apply it, and the policies
are gone before the next module. Rules: whoever is refused holds cluster-admin, so nothing but the fence can have
refused; every refused approval is one that an administrator could write; the operator has the shipped rights only.
"""

import json
import os
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.cluster import ApiRefused, Cluster, make_csr
from hack.cluster.process import wait_until
from hack.cluster.requests import CSRS, SIGNERS
from hack.impersonation import Connection, Identity
from nodegate.csr.apply import approval_body
from tests.integration.lab import ENROLLMENTS, MERGE, Document, Lab
from tests.integration.operator_fixtures import APPLY, BASE, new_lab
from tests.manifests.shipped import documents

pytestmark = pytest.mark.integration

FENCE = BASE.parent / "components" / "fence"
STRICT = FENCE / "strict"
POLICIES = {document["metadata"]["name"] for path in FENCE.glob("[0-9]*.yaml") for document in documents(path)}
RBAC = "rbac.authorization.k8s.io"
BINDINGS = f"/apis/{RBAC}/v1/clusterrolebindings"
APPROVING = "system:certificates.k8s.io:certificatesigningrequests:"
TESTER = Identity("fence-tester")
TOKEN = Identity.token("abcdef")
SERVING = {"signer": "serving", "dns": ["fence"]}
YEAR = 31_536_000
DRY = "?dryRun=All"


# What is written


def bound(name: str, role: str, *groups: str) -> Document:
    """Return a ClusterRoleBinding to groups."""
    subjects = [{"apiGroup": RBAC, "kind": "Group", "name": group} for group in groups]
    reference = {"apiGroup": RBAC, "kind": "ClusterRole", "name": role}
    head = {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name}}
    return {**head, "roleRef": reference, "subjects": subjects}


def condition(kind: str, reason: str) -> dict[str, str]:
    """Return a condition as the operator writes it."""
    return {"type": kind, "status": "True", "reason": reason, "message": "written by a test"}


APPROVED = condition("Approved", "BootstrapApproved")


def send(lab: Lab, who: Identity, method: str, path: str, body: Document) -> Document:
    """Send one request as somebody; return the answer, which is a Status where it was refused."""
    content_type = MERGE if method == "PATCH" else "application/json"
    with Connection(lab.cluster.credentials) as connection:
        return connection.call(method, path, body, who=who, content_type=content_type)[1]


def refusal(answer: Document) -> str:
    """Return why the fence refused, empty where it did not; any other refusal fails the test."""
    if answer["kind"] != "Status":
        return ""
    assert answer["code"] == HTTPStatus.FORBIDDEN, answer
    assert "fence.nodegate.dev" in answer["message"], answer
    return str(answer["message"])


def ask(lab: Lab, who: Identity = TOKEN, **changes: Any) -> Document:
    """Create a request as somebody; return it. A signer that is not a kubelet's is named in full."""
    signer = changes.pop("signer", "client")
    known = {"signer": signer} if signer in SIGNERS else {"signer": "client"}
    manifest, _ = make_csr(**{"node_name": "fence", **known, **changes})
    if signer not in SIGNERS:
        manifest["spec"]["signerName"] = signer
    answer = send(lab, who, "POST", CSRS, manifest)
    assert answer["kind"] == "CertificateSigningRequest", answer
    return answer


def decide(
    lab: Lab, request: Document, *wanted: Mapping[str, str], by: Path | None = None, **metadata: Any
) -> Document:
    """Write conditions as the operator does; return the answer.

    Args:
        lab: Where.
        request: As read.
        wanted: The conditions.
        by: Whose kubeconfig; None tries the write as the administrator, without an effect.
        metadata: Fields of the request's metadata, changed on the way.
    """
    body = json.loads(approval_body(request, {}))
    body["metadata"] |= metadata
    standing = request.get("status", {}).get("conditions", [])
    body["status"]["conditions"] = [*standing, *wanted]
    path = f"{CSRS}/{request['metadata']['name']}/approval{'' if by else DRY}"
    try:
        return lab.cluster.api("PUT", path, body, credentials=by)
    except ApiRefused as error:
        refused: Document = error.body
        return refused


def tried(lab: Lab, body: Document) -> str:
    """Try to create an object, without an effect; return what kubectl prints to standard error."""
    return lab.cluster.kubectl("create", "--dry-run=server", "-f", "-", input=json.dumps(body), check=False).stderr


# The fence, and who stands before it


def applied(cluster: Cluster, folder: Path, *components: Path) -> None:
    """Apply the base with some components, as an overlay does."""
    folder.mkdir()
    parts = {"resources": [BASE], "components": components}
    body = {key: [os.path.relpath(path, folder) for path in paths] for key, paths in parts.items()}
    head = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(head | body))
    cluster.kubectl(*APPLY, "-k", str(folder))


def enforced(lab: Lab, account: Path, request: Document) -> set[str]:
    """Return the policies that refuse or warn now, each tried with a write that it must not let pass."""
    wrong = decide(lab, request, condition("Denied", "NoSuchReason"), by=account)
    manifest, _ = make_csr(node_name="fence", signer="serving", dns=["fence"])
    said = (
        json.dumps(wrong),
        json.dumps(send(lab, TESTER, "PATCH", f"{ENROLLMENTS}/fence/status{DRY}", {})),
        json.dumps(send(lab, TOKEN, "POST", CSRS + DRY, manifest)),
        tried(lab, bound("fence", f"{APPROVING}nodeclient", "system:fence")),
    )
    return {policy for policy in POLICIES if any(f"'{policy}'" in text for text in said)}


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


def test_the_api_server_finds_no_fault_with_the_expressions(fenced: Lab) -> None:
    """The type check of the controller manager has looked at every policy and warns of nothing."""
    for name in sorted(POLICIES):
        path = f"/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/{name}"

        def checked(path: str = path) -> bool:
            return "typeChecking" in fenced.cluster.api("GET", path).get("status", {})

        wait_until(checked, 30, lambda name=name: f"{name} to be type-checked")  # type: ignore[misc]  # mypy reads no defaults of lambdas
        assert fenced.cluster.api("GET", path)["status"]["typeChecking"] == {}, name


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
    ("other-type", TOKEN, {}, [condition("ApprovalBypassed", "BootstrapApproved")], "found ApprovalBypassed=True"),
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


def test_a_decided_request_is_left_alone(fenced: Lab, stolen: Path) -> None:
    """A further condition on a request that somebody has denied is refused."""
    request = ask(fenced)
    denied = decide(fenced, request, condition("Denied", "TokenMismatch"), by=stolen)
    said = refusal(decide(fenced, denied, condition("Odd", "TokenMismatch"), by=stolen))
    assert "found 1 conditions before and 2 after" in said


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
    """Somebody with every right of RBAC cannot erase recorded joins; the operator and kubeadm's administrators can write."""
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
    for signer in ("serving", "kubernetes.io/kube-apiserver-client", "example.com/any"):
        manifest, _ = make_csr(node_name="fence", signer="serving", dns=["fence"])
        manifest["spec"]["signerName"] = SIGNERS.get(signer, signer)  # type: ignore[call-overload]  # a text that may be no key
        said = refusal(send(fenced, TOKEN, "POST", CSRS, manifest))
        assert f"found {manifest['spec']['signerName']}" in said
    assert ask(fenced, TOKEN)["spec"]["username"] == TOKEN.username
    assert ask(fenced, NODE, **SERVING)["spec"]["username"] == NODE.username
    assert ask(fenced, TESTER, signer="example.com/any")["spec"]["username"] == TESTER.username


def test_the_operator_works_unhindered(fenced: Lab, own_lab: Lab) -> None:
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


def test_the_operator_says_what_the_fence_refuses(fenced: Lab, own_lab: Lab) -> None:
    """What only the fence forbids stays undecided and is told once; a limit in the enrollment has it denied."""
    node = own_lab.name()
    own_lab.enroll(node, bootstrap={"users": [TOKEN.username]})
    name = own_lab.ask_as(TOKEN, node, expiration_seconds=YEAR + 1)
    own_lab.wait(lambda: bool(own_lab.said("fence.nodegate.dev", "warning")), "the refusal in the log", csr=name)
    assert own_lab.conditions(name) == []
    assert not own_lab.operator.is_ready()
    own_lab.enroll(node, bootstrap={"users": [TOKEN.username]}, maxExpirationSeconds=YEAR)
    own_lab.denied(name, "ExpirationNotAllowed")
    own_lab.wait(own_lab.operator.is_ready, "the operator to be ready again", csr=name)
