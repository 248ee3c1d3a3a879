"""One-node tokens on the real control plane: made, used once, refused otherwise, rotated, and never seen in clear.

Rules: the operator runs with the base's rights and the component's, no others. What the test itself does with
Secrets is what `kubectl nodegate token` does for people, and what a thief of a token would do.
"""

import base64
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from hack.cluster import ApiRefused, Cluster, make_csr
from hack.cluster.requests import CSRS
from hack.impersonation import Connection, Identity
from tests.integration.lab import ENROLLMENTS, MERGE, NODES, Lab, Token
from tests.integration.operator_fixtures import Start, component

pytestmark = pytest.mark.integration

SECRETS = "/api/v1/namespaces/kube-system/secrets"
ACCOUNT = Identity("system:serviceaccount:nodegate-system:nodegate", ("system:serviceaccounts", "system:authenticated"))
ISSUE: dict[str, Any] = {"token": {"issue": True}}
OWNER = {"apiVersion": "nodegate.dev/v1alpha1", "kind": "NodeEnrollment", "name": "node-x", "uid": "u-1"}
DATA = {
    "token-id": "canary",
    "token-secret": "0123456789abcdef",
    "expiration": "2099-01-01T00:00:00Z",
    "usage-bootstrap-authentication": "true",
    "auth-extra-groups": "system:bootstrappers:nodegate",
}


@pytest.fixture(name="granted", scope="module")
def _granted(cluster: Cluster, account: Path) -> Iterator[Path]:
    """Apply the component's objects beside the base, and take them away afterwards."""
    with component(cluster, "tokens"):
        yield account


@pytest.fixture(name="minting")
def _minting(granted: Path, start: Start) -> Lab:
    """Return a lab whose operator makes tokens."""
    return start("--issue-tokens", kubeconfig=granted)


def _token_id(lab: Lab, node: str) -> str:
    """Wait until an enrollment's token works; return its id."""
    lab.wait(lambda: lab.condition(node, "TokenIssued").get("status") == "True", "TokenIssued", node=node)
    token_id: str = lab.status(node)["bootstrap"]["tokenID"]
    return token_id


def _secret(lab: Lab, token_id: str) -> dict[str, Any]:
    return lab.cluster.api("GET", f"{SECRETS}/bootstrap-token-{token_id}")


def _is_gone(lab: Lab, token_id: str) -> bool:
    try:
        _secret(lab, token_id)
    except ApiRefused as refused:
        return refused.status == HTTPStatus.NOT_FOUND
    return False


def _minted(lab: Lab, node: str) -> Token:
    """Enroll a node with a token of its own and return that, as `kubectl nodegate token` hands it out."""
    lab.enroll(node, bootstrap=ISSUE)
    token_id = _token_id(lab, node)
    data = {key: base64.b64decode(text).decode() for key, text in _secret(lab, token_id)["data"].items()}
    lab.secrets.append(data["token-secret"])
    return Token(token_id, lab.cluster.bootstrap_kubeconfig(f"{data['token-id']}.{data['token-secret']}"))


def _answer(lab: Lab, node: str, token: Token) -> int:
    """Return the HTTP status that asking with a token gets."""
    manifest, _ = make_csr(node_name=node, signer="client")
    try:
        lab.cluster.api("POST", CSRS, manifest, credentials=token.kubeconfig)
    except ApiRefused as refused:
        return refused.status
    return HTTPStatus.CREATED


def test_a_node_joins_with_its_token_and_nobody_else_does(minting: Lab) -> None:
    """The real kubelet code joins; under another name the token is denied; once the Node is there it is gone."""
    lab, name, open_name = minting, minting.name(), minting.name("open")
    lab.enroll(open_name)
    token = _minted(lab, name)
    assert lab.condition(name, "Ready")["status"] == "True"
    assert _secret(lab, token.token_id)["metadata"]["ownerReferences"][0]["name"] == name
    lab.denied(lab.ask(open_name, token), "TokenMismatch")
    lab.held(lab.ask(lab.name("unknown"), token), "NotEnrolled")

    lab.hollow(name, token)
    lab.wait(lambda: lab.status(name).get("phase") == "Joined", f"{name} to join", node=name)
    lab.wait(lambda: _is_gone(lab, token.token_id), "the token to be removed", node=name)
    lab.wait(lambda: "bootstrap" not in lab.status(name), "its record to be removed", node=name)
    assert lab.condition(name, "TokenIssued")["reason"] == "NotNeeded"
    lab.wait(lambda: _answer(lab, name, token) == HTTPStatus.UNAUTHORIZED, "401 after use")


def test_the_same_key_may_ask_again_until_the_node_is_there(minting: Lab) -> None:
    """A kubelet whose answer was lost asks again with its key and the same token, and is approved again."""
    lab, name = minting, minting.name()
    token = _minted(lab, name)
    _, key = make_csr(node_name=name, signer="client")
    lab.approved(lab.ask(name, token, key=key), issued=True)
    lab.approved(lab.ask(name, token, key=key), issued=True)
    assert lab.status(name)["joinCount"] == 1


def _expire(lab: Lab, name: str, token: Token) -> None:
    """Set the end of a token into the past, in its Secret and on record, as if its time had passed meanwhile."""
    ended = "2020-01-01T00:00:00Z"
    secret = {"stringData": {"expiration": ended}}
    lab.cluster.api("PATCH", f"{SECRETS}/bootstrap-token-{token.token_id}", secret, content_type=MERGE)
    record = {"status": {"bootstrap": {"expiresAt": ended}}}
    lab.cluster.api("PATCH", f"{ENROLLMENTS}/{name}/status", record, content_type=MERGE)


def test_a_token_ends_and_a_new_one_follows(minting: Lab) -> None:
    """At its end the old token gets 401 and the enrollment has another; deleting the Node brings one as well."""
    lab, name = minting, minting.name()
    first = _minted(lab, name)
    lab.operator.stop()
    _expire(lab, name, first)
    lab.wait(lambda: _answer(lab, name, first) == HTTPStatus.UNAUTHORIZED, "401 after the end")
    lab.operator.start()
    lab.operator.wait_ready()
    lab.wait(lambda: _is_gone(lab, first.token_id), "the old token to be removed", node=name)
    lab.wait(
        lambda: lab.status(name).get("bootstrap", {}).get("tokenID") not in (None, first.token_id),
        "rotation",
        node=name,
    )
    second = _token_id(lab, name)

    lab.make_node(name)
    lab.wait(lambda: _is_gone(lab, second), "the token to be removed", node=name)
    lab.cluster.api("DELETE", f"{NODES}/{name}")
    third = _token_id(lab, name)
    assert third not in (first.token_id, second)
    lab.enroll(name, state="Revoked", bootstrap=ISSUE)
    lab.wait(lambda: _is_gone(lab, third), "the token of a revoked enrollment to be removed", node=name)


def test_a_deleted_enrollment_takes_its_token_with_it(minting: Lab) -> None:
    """The Secret is owned by the enrollment, so the garbage collector deletes it."""
    lab, name = minting, minting.name()
    token = _minted(lab, name)
    lab.cluster.api("DELETE", f"{ENROLLMENTS}/{name}")
    lab.wait(lambda: _is_gone(lab, token.token_id), "the garbage collector", timeout=60)


def test_the_secret_half_is_nowhere_but_in_its_secret(minting: Lab) -> None:
    """Not in statuses, events, the log, the metrics, command lines, environments, or a core of the operator."""
    lab, name = minting, minting.name()
    token = _minted(lab, name)
    half = lab.secrets[-1]
    lab.denied(lab.ask(_open(lab), token), "TokenMismatch")
    lab.approved(lab.ask(name, token), issued=True)
    seen = {
        "enrollments": str(lab.cluster.api("GET", ENROLLMENTS)),
        "events": str(lab.cluster.api("GET", "/apis/events.k8s.io/v1/events")),
        "requests": str(lab.cluster.api("GET", CSRS)),
        "log": lab.operator.log_text(),
        "metrics": lab.operator.get("/metrics")[1],
        **_processes(),
    }
    assert token.token_id in seen["enrollments"]
    assert not [where for where, text in seen.items() if half in text]


def _open(lab: Lab) -> str:
    name = lab.name("open")
    lab.enroll(name)
    return name


def _processes() -> dict[str, str]:
    """Return the command line and the environment of every process that can be looked at."""
    found: dict[str, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        for file in ("cmdline", "environ"):
            with suppress(OSError):
                found[f"{folder.name}/{file}"] = (folder / file).read_bytes().decode(errors="replace")
    return found


def test_without_the_flag_nothing_is_made(lab: Lab) -> None:
    """An operator that makes no tokens says so."""
    name = lab.name()
    lab.enroll(name, bootstrap=ISSUE)
    assert lab.condition(name, "TokenIssued")["reason"] == "NotEnabled"
    assert "bootstrap" not in lab.status(name)


def test_a_killed_operator_leaves_no_token_that_nobody_knows(minting: Lab) -> None:
    """Killed while it makes tokens and started again, every Secret there is is the one of an enrollment's status."""
    lab = minting
    names = [lab.name("many") for _ in range(12)]
    for name in names:
        lab.enroll(name, settled=False, bootstrap=ISSUE)
    lab.wait(lambda: any("bootstrap" in lab.status(name) for name in names), "the first record")
    lab.operator.kill()
    lab.operator.start()
    lab.operator.wait_ready()
    ids = {_token_id(lab, name) for name in names}
    secrets = [
        body["metadata"]["name"]
        for body in lab.cluster.api("GET", SECRETS)["items"]
        if {owner["name"] for owner in body["metadata"].get("ownerReferences", ())} & set(names)
    ]
    assert sorted(secrets) == sorted(f"bootstrap-token-{token_id}" for token_id in ids)


@pytest.mark.parametrize(
    ("metadata", "changes", "refused"),
    [
        ({}, {}, False),
        ({"name": "other"}, {}, True),
        ({"ownerReferences": []}, {}, True),
        ({"ownerReferences": [{**OWNER, "kind": "Node", "apiVersion": "v1"}]}, {}, True),
        ({}, {"auth-extra-groups": "system:bootstrappers:kubeadm:default-node-token"}, True),
        ({}, {"auth-extra-groups": None}, False),
        ({}, {"expiration": None}, True),
        ({}, {"usage-bootstrap-signing": "true"}, True),
    ],
)
def test_the_policy_lets_through_one_node_tokens_only(
    minting: Lab, metadata: dict[str, Any], changes: dict[str, Any], *, refused: bool
) -> None:
    """With the operator's own identity a token of one enrollment passes, and no other Secret does."""
    data = {key: text for key, text in (DATA | changes).items() if text is not None}
    meta = {"name": "bootstrap-token-canary", "namespace": "kube-system", "ownerReferences": [OWNER]} | metadata
    body = {"apiVersion": "v1", "kind": "Secret", "type": "bootstrap.kubernetes.io/token", "metadata": meta}
    said: list[tuple[int, str]] = []

    def answered() -> bool:
        with Connection(minting.cluster.credentials) as connection:
            status, answer = connection.call("POST", f"{SECRETS}?dryRun=All", body | {"stringData": data}, who=ACCOUNT)
        said.append((status, str(answer)))
        fits = "ValidatingAdmissionPolicy" in str(answer)
        return (status, fits) == ((HTTPStatus.FORBIDDEN, True) if refused else (HTTPStatus.CREATED, False))

    try:
        minting.wait(answered, f"refused={refused}", timeout=8)
    except AssertionError:
        pytest.fail(f"expected refused={refused}, found {said[-1]}")


def test_the_policy_lets_no_other_secret_be_deleted(minting: Lab) -> None:
    """With the operator's own identity somebody else's token in kube-system stays."""
    token = minting.token()
    path = f"{SECRETS}/bootstrap-token-{token.token_id}?dryRun=All"
    with Connection(minting.cluster.credentials) as connection:
        status, answer = connection.call("DELETE", path, who=ACCOUNT)
    assert status == HTTPStatus.FORBIDDEN, answer
    assert "one NodeEnrollment owns" in str(answer)


def test_without_the_component_the_status_says_what_is_missing(start: Start, account: Path, cluster: Cluster) -> None:
    """An operator without the right to make Secrets says so in the condition, and goes on approving others."""
    with component(cluster, "tokens"):
        pass  # Whatever this module's fixture has applied is gone after it.
    lab = start("--issue-tokens", kubeconfig=account)
    name = lab.name()
    lab.enroll(name, bootstrap=ISSUE)
    lab.wait(lambda: lab.condition(name, "TokenIssued").get("reason") == "Refused", "Refused", node=name)
    assert "403" in lab.condition(name, "TokenIssued")["message"]
    lab.join(lab.name())
