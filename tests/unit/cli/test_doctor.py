"""``doctor``: every check on a cluster where all is well, and each of them with the one thing that it is for.

The cluster is a server on loopback that answers as the API server does; what only a real one can tell is
in the integration tests.
"""

import contextlib
import io
import json
import os
from collections.abc import Mapping
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from nodegate.cli.__main__ import main
from nodegate.cli.checks.rights import needed
from nodegate.clock import now
from tests.manifests.test_rbac import ALLOWED
from tests.unit.cli import cluster_stub as stub
from tests.unit.cli import samples
from tests.unit.cli.command import run

IDS = (
    "api-server",
    "clock",
    "crd",
    "crd-schema",
    "operator",
    "operator-account",
    "operator-lease",
    "service-cidr",
    "operator-rights",
    "operator-excess",
    "bootstrap-rights",
    "node-rights",
    "enrollment-rights",
    "approver-bootstrap",
    "approver-renewal",
    "approver-rights",
    "approver-programs",
    "approver-traces",
    "node-restriction",
    "signer",
    "signer-failures",
    "requests-pending",
    "nodes-enrolled",
    "enrollments-stalled",
    "enrollments-processed",
    "tokens",
    "tokens-group",
)
OLD = "2020-01-01T00:00:00Z"
REQUESTS = "certificatesigningrequests"
CLIENT = f"{REQUESTS}/nodeclient"


@pytest.fixture(autouse=True)
def _no_kubeconfig(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", os.devnull + "/none")
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


def within(*words: str) -> tuple[int, str]:
    """Run the plugin in this process, for there are many runs; return the exit code and what it printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = main(words)
    return code, printed.getvalue()


def examined(answers: Mapping[str, Any], **more: Any) -> dict[str, dict[str, str]]:
    """Return the items of the report on a cluster, by id."""
    with stub.served(answers, **({"date": format_datetime(now(), usegmt=True)} | more)) as server:
        code, printed = within("doctor", "-o", "json", *server.words)
    body = json.loads(printed)
    results = [item["result"] for item in body["items"]]
    assert code == (1 if "fail" in results else 0)
    assert body["summary"] == {grade: results.count(grade) for grade in ("ok", "warn", "fail", "skip")}
    return {item["id"]: item for item in body["items"]}


def with_request(kind: str = "", reason: str = "", *, certificate: bool = False, **conditions: Any) -> stub.Body:
    """Return an old request, decided when a condition is given."""
    request = samples.bootstrap("csr-x", request=samples.pem("node-z"))
    request["metadata"]["creationTimestamp"] = OLD
    condition = {"type": kind, "reason": reason, "status": "True", "lastUpdateTime": OLD, **conditions}
    request["status"] = {"conditions": [condition] if kind else [], **({"certificate": "eA=="} if certificate else {})}
    return stub.items(request)


def test_all_is_well() -> None:
    """On a healthy cluster every check is ok, save the one that nobody can look at, and the exit code is 0."""
    found = examined(stub.healthy())

    assert tuple(found) == IDS
    assert {item["id"] for item in found.values() if item["result"] != "ok"} == {"node-restriction"}, found


ENROLLED = stub.enrolled(bootstrap={"tokenID": "abcdef"})
STALLED = {
    **ENROLLED,
    "status": {**ENROLLED["status"], "conditions": [{"type": "Stalled", "status": "True", "reason": "R"}]},
}
LAPSED = {"spec": {"holderIdentity": "pod-1", "renewTime": OLD, "leaseDurationSeconds": 15}}
NO_FIELD = json.loads(json.dumps(stub.crd()))
del NO_FIELD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["serving"]
GROUP = stub.deployment(NODEGATE_BOOTSTRAP_GROUP="system:bootstrappers:mine")


@pytest.mark.parametrize(
    ("check", "result", "words", "deviation"),
    [
        ("api-server", "fail", "v1.29.0", {"/version": {"gitVersion": "v1.29.0", "major": "1", "minor": "29+"}}),
        ("crd", "fail", "does not know the kind NodeEnrollment", {stub.CRD: None}),
        ("crd", "fail", "not established", {stub.CRD: {**stub.crd(), "status": {}}}),
        ("crd-schema", "fail", "lacks spec.serving", {stub.CRD: NO_FIELD}),
        ("operator", "fail", "no operator in namespace", {stub.DEPLOYMENTS: stub.items()}),
        ("operator", "fail", "0 of 1 replica ready", {stub.DEPLOYMENTS: stub.items(stub.deployment(ready=0))}),
        ("operator-account", "fail", "no ServiceAccount nodegate", {stub.ACCOUNT: None}),
        ("operator-lease", "fail", "it has lapsed", {stub.LEASE: LAPSED}),
        ("operator-lease", "fail", "there is no Lease", {stub.LEASE: None}),
        ("operator-lease", "warn", "nobody holds", {stub.LEASE: {"spec": {}}}),
        ("service-cidr", "fail", "does not know the kind ServiceCIDR", {stub.SERVICE_CIDRS: None}),
        (
            "approver-bootstrap",
            "fail",
            "auto binds group system:bootstrappers",
            {
                stub.ROLES: stub.items(stub.role("any-name", CLIENT, "create")),
                stub.BINDINGS: stub.items(stub.binding("auto", "any-name", "Group", "system:bootstrappers")),
            },
        ),
        (
            "approver-renewal",
            "warn",
            "renew binds group system:nodes",
            {
                stub.ROLES: stub.items(stub.role("r", "certificatesigningrequests/selfnodeclient", "create")),
                stub.BINDINGS: stub.items(stub.binding("renew", "r", "Group", "system:nodes")),
            },
        ),
        (
            "approver-rights",
            "warn",
            "other binds system:serviceaccount:kube-system:other",
            {
                stub.ROLES: stub.items(stub.role("r", "signers", "approve", "kubernetes.io/*")),
                stub.BINDINGS: stub.items(stub.binding("other", "r", "ServiceAccount", "other", "kube-system")),
            },
        ),
        (
            "approver-programs",
            "warn",
            "Deployment x/kubelet-csr-approver",
            {"/apis/apps/v1/deployments": stub.items({"metadata": {"name": "kubelet-csr-approver", "namespace": "x"}})},
        ),
        (
            "approver-programs",
            "warn",
            "DaemonSet x/y",
            {
                "/apis/apps/v1/daemonsets": stub.items(
                    {"metadata": {"name": "y", "namespace": "x", "labels": {"app": "kubelet-serving-cert-approver"}}}
                )
            },
        ),
        (
            "approver-traces",
            "warn",
            "csr-x by the controller manager's own approver",
            {stub.REQUESTS: with_request("Approved", "AutoApproved", certificate=True)},
        ),
        ("signer", "fail", "not signed: csr-x", {stub.REQUESTS: with_request("Approved", "BootstrapApproved")}),
        (
            "signer-failures",
            "warn",
            "csr-x: SignerValidationFailure: bad",
            {stub.REQUESTS: with_request("Failed", "SignerValidationFailure", message="bad")},
        ),
        ("requests-pending", "warn", "1 request; 1 Hold NotEnrolled", {stub.REQUESTS: with_request()}),
        (
            "nodes-enrolled",
            "warn",
            "not enrolled: node-b, of 2 nodes",
            {"/api/v1/nodes": stub.items(samples.node(), samples.node("node-b"))},
        ),
        ("enrollments-stalled", "fail", "node-a: R", {stub.ENROLLMENTS: stub.items(STALLED)}),
        ("enrollments-processed", "fail", "node-a", {stub.ENROLLMENTS: stub.items(stub.enrolled(behind=True))}),
        ("tokens", "warn", "node-a: token abcdef does not exist", {stub.ENROLLMENTS: stub.items(ENROLLED)}),
        (
            "tokens",
            "warn",
            "it expired at 2020-01-01",
            {stub.ENROLLMENTS: stub.items(ENROLLED), stub.SECRETS: stub.items(stub.secret(expiration=OLD))},
        ),
        (
            "tokens",
            "warn",
            "usage-bootstrap-authentication is not true",
            {
                stub.ENROLLMENTS: stub.items(ENROLLED),
                stub.SECRETS: stub.items(stub.secret(usage_bootstrap_authentication="false")),
            },
        ),
        (
            "tokens-group",
            "warn",
            "not in system:bootstrappers:mine: token abcdef",
            {
                stub.ENROLLMENTS: stub.items(ENROLLED),
                stub.SECRETS: stub.items(stub.secret()),
                stub.DEPLOYMENTS: stub.items(GROUP),
            },
        ),
    ],
)
def test_each_check_finds_what_it_is_for(check: str, result: str, words: str, deviation: Mapping[str, Any]) -> None:
    """One deviation from the healthy cluster is found by its check, with evidence and a remedy."""
    found = examined({key: body for key, body in (stub.healthy() | dict(deviation)).items() if body is not None})

    assert found[check]["result"] == result, found[check]
    assert words in found[check]["found"]
    assert found[check]["remedy"].endswith(".")


def test_tokens_that_are_there_are_ok() -> None:
    """A token that exists, works and is in the group is no finding, and its secret is not shown."""
    token = stub.secret(auth_extra_groups="system:bootstrappers:mine")
    answers = stub.healthy() | {
        stub.ENROLLMENTS: stub.items(ENROLLED),
        stub.SECRETS: stub.items(token),
        stub.DEPLOYMENTS: stub.items(GROUP),
    }
    found = examined(answers)

    assert (found["tokens"]["result"], found["tokens-group"]["result"]) == ("ok", "ok")
    assert "0123456789abcdef" not in json.dumps(found)


def test_secrets_are_read_by_name_when_they_may_not_be_listed() -> None:
    """Without the right to list, each is read by name; without that right either, the checks are skipped."""
    answers = stub.healthy() | {stub.ENROLLMENTS: stub.items(ENROLLED), stub.SECRETS: 403}
    named = f"{stub.SECRETS}/bootstrap-token-abcdef"

    assert examined(answers | {named: stub.secret()})["tokens"]["result"] == "ok"
    assert examined(answers)["tokens"]["result"] == "warn"
    assert examined(answers | {named: 403})["tokens"]["result"] == "skip"


@pytest.mark.parametrize(("actions", "result"), [(["Deny", "Audit"], "ok"), (["Warn"], "warn"), (None, "warn")])
def test_what_a_component_grants_is_fine_under_its_policy(actions: list[str] | None, result: str) -> None:
    """The right to make Secrets in kube-system is no finding while the component's policy refuses all but tokens."""

    def allows(review: stub.Review) -> bool:
        asked = review["spec"]["resourceAttributes"]
        made = (asked["verb"], asked["resource"], asked["namespace"]) == ("create", "secrets", "kube-system")
        return made or stub.allowed(review)

    path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/tokens.nodegate.dev"
    bound = {path: {"spec": {"validationActions": actions}}} if actions else {}
    found = examined(stub.healthy() | bound, allows=allows)["operator-excess"]

    assert found["result"] == result, found
    assert ("tokens.nodegate.dev" in found["remedy"]) == (result == "warn")


@pytest.mark.parametrize(
    ("check", "result", "words", "user", "resource", "answer"),
    [
        ("operator-rights", "fail", "get/list/watch nodes", stub.OPERATOR, "nodes", False),
        ("operator-rights", "fail", "approve signers.certificates.k8s.io", stub.OPERATOR, "signers", False),
        ("operator-excess", "warn", "get secrets", stub.OPERATOR, "secrets", True),
        (
            "bootstrap-rights",
            "fail",
            "may not: get/list/watch/create",
            "system:bootstrap:",
            "certificatesigningrequests",
            False,
        ),
        ("node-rights", "fail", "a node may not create", "system:node:", "certificatesigningrequests", False),
        ("enrollment-rights", "fail", "a node may create nodeenrollments", "system:node:", "nodeenrollments", True),
    ],
)
def test_rights_are_asked_of_the_api_server(
    check: str,
    result: str,
    words: str,
    user: str,
    resource: str,
    answer: bool,  # noqa: FBT001 - a table's column
) -> None:
    """A right too few or too many is found, whatever gives it."""

    def allows(review: stub.Review) -> bool:
        spec = review["spec"]
        deviates = spec["user"].startswith(user) and spec["resourceAttributes"]["resource"] == resource
        return answer if deviates else stub.allowed(review)

    found = examined(stub.healthy(), allows=allows)[check]

    assert (found["result"], words in found["found"]) == (result, True), found


def test_the_rights_are_those_of_the_manifests() -> None:
    """What doctor asks for is what the shipped roles give, neither more nor less."""
    ours = {(r.namespace or None, r.group, r.resource, r.name, r.verb) for r in needed("nodegate-system")}
    shipped = {
        (grant.namespace, grant.group, grant.resource, name, verb)
        for grant in ALLOWED
        for name in grant.names or ("",)
        for verb in grant.verbs
    }

    assert ours == shipped


def test_no_right_to_look_is_a_skip() -> None:
    """Who may read nothing gets skips that say which right is missing, and no verdict on the cluster."""
    answers = {path: body if path == "/version" else 403 for path, body in stub.healthy().items()}
    found = examined(answers, allows=None)
    skipped = [item["id"] for item in found.values() if item["result"] == "skip"]

    assert sorted(set(IDS) - set(skipped)) == ["api-server", "clock", "tokens", "tokens-group"]
    assert "no right to look" in found["signer"]["found"]


@pytest.mark.parametrize(("seconds", "result"), [(0, "ok"), (3, "ok"), (-3, "ok"), (30, "warn"), (-30, "warn")])
def test_clocks_are_compared(seconds: int, result: str) -> None:
    """The stamp on an answer tells how far the clocks are apart."""
    date = format_datetime(now() + timedelta(seconds=seconds), usegmt=True)

    assert examined(stub.healthy(), date=date)["clock"]["result"] == result


def test_without_a_stamp_the_clock_is_skipped() -> None:
    """An answer without Date says nothing about the clock."""
    assert examined(stub.healthy(), date="")["clock"]["result"] == "skip"


def test_the_table_wraps_and_counts() -> None:
    """Each check is a row, a remedy stands below its finding, and the last line counts."""
    answers = stub.healthy() | {stub.DEPLOYMENTS: stub.items()}
    with stub.served(answers, date=format_datetime(now(), usegmt=True)) as server:
        whole, quiet = run("doctor", *server.words), run("doctor", "-q", *server.words)
    lines = whole.stdout.splitlines()

    assert whole.returncode == quiet.returncode == 1
    assert max(map(len, lines)) <= 100
    assert any(line.startswith("fail     operator ") for line in lines)
    assert any(line.lstrip().startswith("Do: Apply nodegate's manifests") for line in lines)
    assert lines[-1].startswith("27 checks: ")
    assert [line.split()[0] for line in quiet.stdout.splitlines() if line and not line.startswith(" ")] == [
        "fail",
        "27",
    ]


def test_an_api_server_that_does_not_answer_is_exit_5() -> None:
    """Without an API server nothing is examined."""
    done = run("doctor", "-s", "http://127.0.0.1:1")

    assert (done.returncode, done.stdout) == (5, "")
    assert len(done.stderr.splitlines()) == 1
