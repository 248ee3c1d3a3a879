"""What the fence's tests write, and as whom: approvals, statuses, bindings and requests.

A lab and an identity come in; the API server's answer leaves. Rules: an approval is written as the operator
writes it; a refusal that is not the fence's fails the test.
"""

import json
import os
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import yaml

from hack.cluster import ApiRefused, Cluster, make_csr
from hack.cluster.requests import CSRS, SIGNERS
from hack.impersonation import Connection, Identity
from nodegate.csr.apply import approval_body
from tests.integration.lab import ENROLLMENTS, MERGE, Document, Lab
from tests.integration.operator_fixtures import APPLY, BASE
from tests.manifests.shipped import documents

FENCE = BASE.parent / "components" / "fence"
POLICIES = {document["metadata"]["name"] for path in FENCE.glob("[0-9]*.yaml") for document in documents(path)}
RBAC = "rbac.authorization.k8s.io"
BINDINGS = f"/apis/{RBAC}/v1/clusterrolebindings"
APPROVING = "system:certificates.k8s.io:certificatesigningrequests:"
"""The two roles by which the controller manager approves begin so."""

DRY = "?dryRun=All"
TESTER = Identity("fence-tester")
"""Cluster-admin by RBAC, and in none of the administrators' groups."""

TOKEN = Identity.token("abcdef")


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
