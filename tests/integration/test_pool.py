"""Pools on the real API server: a fleet joins without an enrollment by hand, and nobody else does.

Rules: the operator runs with the base's rights and the component's, under the component's policy; each test has
pools and names of its own.
"""

from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from hack.cluster import ApiRefused, Cluster
from hack.impersonation import Connection, Identity
from tests.integration.fence import applied
from tests.integration.lab import ENROLLMENTS, MERGE, Document, Lab
from tests.integration.operator_fixtures import APPLY, BASE, Start

pytestmark = pytest.mark.integration

COMPONENT = BASE.parent / "components" / "pools"
POOLS = "/apis/nodegate.dev/v1alpha1/nodeenrollmentpools"
ACCOUNT = Identity("system:serviceaccount:nodegate-system:nodegate", ("system:serviceaccounts", "system:authenticated"))
LABEL, UID = "nodegate.dev/pool", "nodegate.dev/pool-uid"


@pytest.fixture(name="component", scope="module")
def _component(cluster: Cluster, account: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Apply the base with the component, as an overlay does, and take the component away afterwards."""
    applied(cluster, tmp_path_factory.mktemp("overlay") / "pools", COMPONENT)
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd/nodeenrollmentpools.nodegate.dev")
    try:
        yield account
    finally:
        for file in sorted(COMPONENT.glob("[0-9]*.yaml")):
            cluster.kubectl("delete", "-f", str(file))
        cluster.kubectl("delete", "-k", str(BASE.parents[1] / "crds" / "pools"))
        cluster.kubectl(*APPLY, "-k", str(BASE))


@pytest.fixture(name="fleet")
def _fleet(component: Path, start: Start) -> Iterator[Lab]:
    """Yield a lab whose operator works with pools; the pools are deleted afterwards."""
    lab = start("--pools", kubeconfig=component)
    try:
        yield lab
    finally:
        with suppress(ApiRefused):
            lab.cluster.api("DELETE", POOLS)


def _pool(lab: Lab, name: str, **spec: Any) -> None:
    """Apply a pool, and wait until its status is of this generation."""
    body = {"apiVersion": "nodegate.dev/v1alpha1", "kind": "NodeEnrollmentPool", "metadata": {"name": name}}
    spec = {"namePattern": f"{name}-[a-z0-9-]+", "maxNodes": 5, **spec}
    path = f"{POOLS}/{name}?fieldManager=tests&force=true"
    lab.cluster.api("PATCH", path, {**body, "spec": spec}, content_type="application/apply-patch+yaml")

    def settled() -> bool:
        found = lab.cluster.api("GET", f"{POOLS}/{name}")
        return bool(found.get("status", {}).get("observedGeneration") == found["metadata"]["generation"])

    lab.wait(settled, f"the operator to see pool {name}")


def _condition(lab: Lab, pool: str, kind: str) -> Document:
    conditions = lab.cluster.api("GET", f"{POOLS}/{pool}").get("status", {}).get("conditions", ())
    return next((c for c in conditions if c["type"] == kind), {})


def _enrolled(lab: Lab, node: str) -> bool:
    return any(item["metadata"]["name"] == node for item in lab.cluster.api("GET", ENROLLMENTS)["items"])


def _held_with(lab: Lab, csr: str, *words: str) -> None:
    """Wait until a request is held as not enrolled, with words about its pool."""
    line = lab.held(csr, "NotEnrolled")
    assert [word for word in words if word not in line["message"]] == [], line["message"]


def test_without_the_component_the_flag_is_told(start: Start, account: Path, request: pytest.FixtureRequest) -> None:
    """An operator with the flag alone says what it cannot follow, and is ready as soon as the component is applied."""
    lab = start("--pools", kubeconfig=account, ready=False)

    def tells() -> bool:
        status, text = lab.operator.get("/readyz")
        return status == HTTPStatus.SERVICE_UNAVAILABLE and "nodeenrollmentpools: 403" in text

    lab.wait(tells, "/readyz to name the pools")
    request.getfixturevalue("component")
    lab.operator.wait_ready(60)
    assert lab.said("", "error") == []


def test_a_node_joins_through_its_pool(fleet: Lab) -> None:
    """A hollow node that nobody enrolled becomes Ready; its enrollment carries the pool, the token and the template."""
    lab, pool, token = fleet, fleet.name("pool"), fleet.token()
    _pool(lab, pool, tokenIDs=[token.token_id], template={"rejoin": "WhenGone", "bootstrap": {"maxJoins": 1}})
    node = f"{pool}-a"

    lab.hollow(node, token).wait_joined()

    lab.wait(lambda: lab.status(node).get("phase") == "Joined", "phase Joined", node=node)
    body = lab.enrollment(node)
    assert body["metadata"]["labels"] == {LABEL: pool}
    assert body["metadata"]["annotations"][UID] == lab.cluster.api("GET", f"{POOLS}/{pool}")["metadata"]["uid"]
    assert "ownerReferences" not in body["metadata"]
    assert (body["spec"]["rejoin"], body["spec"]["bootstrap"]["maxJoins"]) == ("WhenGone", 1)
    assert body["spec"]["bootstrap"]["tokenID"] == token.token_id
    assert "addresses" not in body["spec"]
    lab.wait(lambda: lab.cluster.api("GET", f"{POOLS}/{pool}")["status"]["nodes"] == 1, "one node")
    assert [event["reason"] for event in lab.events(pool)] == ["NodeEnrolled"]
    (join,) = body["status"]["joins"]
    assert {line["verdict"] for line in lab.audit(join["csrName"])} == {"Approve"}, "no hold is told on the way"
    assert _condition(lab, pool, "Ready")["status"] == "True"


def test_a_deleted_pool_leaves_its_nodes(fleet: Lab) -> None:
    """When the pool is deleted its enrollment stays and goes on to approve; no further node joins."""
    lab, pool, token = fleet, fleet.name("pool"), fleet.token()
    _pool(lab, pool, tokenIDs=[token.token_id])
    lab.approved(lab.ask(f"{pool}-a", token), issued=True)
    lab.make_node(f"{pool}-a")

    lab.cluster.api("DELETE", f"{POOLS}/{pool}")

    lab.approved(lab.ask_as(Identity.node(f"{pool}-a"), f"{pool}-a"), issued=True)
    lab.held(lab.ask(f"{pool}-b", token), "NotEnrolled")
    assert not _enrolled(lab, f"{pool}-b")


def test_a_full_pool_holds_and_a_freed_place_is_taken(fleet: Lab) -> None:
    """Above maxNodes the request is held and told why; with an enrollment deleted it is approved by itself."""
    lab, pool, token = fleet, fleet.name("pool"), fleet.token()
    _pool(lab, pool, tokenIDs=[token.token_id], maxNodes=2)
    for suffix in "ab":
        lab.approved(lab.ask(f"{pool}-{suffix}", token))
    third = lab.ask(f"{pool}-c", token)
    _held_with(lab, third, pool, "maxNodes 2")
    lab.wait(lambda: _condition(lab, pool, "Full").get("status") == "True", "Full")

    lab.cluster.api("DELETE", f"{ENROLLMENTS}/{pool}-a")

    lab.approved(third)


def test_many_at_once_never_exceed_the_limit(fleet: Lab) -> None:
    """Of twelve requests that come together exactly maxNodes are approved."""
    lab, pool, token = fleet, fleet.name("pool"), fleet.token()
    _pool(lab, pool, tokenIDs=[token.token_id], maxNodes=5)
    names = [lab.ask(f"{pool}-{number}", token) for number in range(12)]

    def decided() -> bool:
        return all(lab.last_verdict(name) for name in names)

    lab.wait(decided, "a verdict on each")
    assert sorted(lab.last_verdict(name)["verdict"] for name in names) == ["Approve"] * 5 + ["Hold"] * 7
    members = lab.cluster.api("GET", f"{ENROLLMENTS}?labelSelector=nodegate.dev%2Fpool%3D{pool}")["items"]
    assert len(members) == 5


def test_another_token_is_refused(fleet: Lab) -> None:
    """A valid token that the pool does not list enrolls nobody."""
    lab, pool = fleet, fleet.name("pool")
    _pool(lab, pool, tokenIDs=[lab.token().token_id])

    _held_with(lab, lab.ask(f"{pool}-a", lab.token()), pool, "does not list user")

    assert not _enrolled(lab, f"{pool}-a")


def test_the_name_of_an_existing_node_is_refused(fleet: Lab) -> None:
    """A Node that joined some other way is never taken over, Ready or not."""
    lab, pool, token = fleet, fleet.name("pool"), fleet.token()
    _pool(lab, pool, tokenIDs=[token.token_id], template={"rejoin": "Always"})
    lab.make_node(f"{pool}-a", ready="False")

    _held_with(lab, lab.ask(f"{pool}-a", token), pool, "never takes over")

    assert not _enrolled(lab, f"{pool}-a")


def test_two_pools_of_one_name_enroll_nobody(fleet: Lab) -> None:
    """A name of two active pools is held and both tell each other; with one suspended the request is approved."""
    lab, pool, token = fleet, fleet.name("pool"), fleet.token()
    other, pattern = f"{pool}-other", f"{pool}-[a-z]"
    _pool(lab, pool, tokenIDs=[token.token_id])
    _pool(lab, other, tokenIDs=[token.token_id], namePattern=pattern)
    csr = lab.ask(f"{pool}-a", token)

    _held_with(lab, csr, pool, other, "PoolConflict")
    lab.wait(lambda: _condition(lab, pool, "PoolConflict").get("status") == "True", "PoolConflict on the first")
    assert other in _condition(lab, pool, "PoolConflict")["message"]
    assert pool in _condition(lab, other, "PoolConflict")["message"]
    assert not _enrolled(lab, f"{pool}-a")

    _pool(lab, other, tokenIDs=[token.token_id], namePattern=pattern, state="Suspended")
    lab.approved(csr)


def _address(text: str) -> Document:
    return {"type": "InternalIP", "address": text}


def test_addresses_are_recorded_once_and_inside_the_ranges(fleet: Lab) -> None:
    """An address inside the ranges and on the Node is recorded and approved; others are held, and none replaces it."""
    lab, pool, token = fleet, fleet.name("pool"), fleet.token()
    _pool(lab, pool, tokenIDs=[token.token_id], addressRanges=["10.77.0.0/24"])
    one, two = f"{pool}-a", f"{pool}-b"
    for node in (one, two):
        lab.approved(lab.ask(node, token))
    lab.make_node(one, addresses=[_address("10.77.0.5"), _address("10.77.0.6")])

    lab.approved(lab.ask_as(Identity.node(one), one, "serving", dns=[one], ips=["10.77.0.5"]))
    assert lab.enrollment(one)["spec"]["addresses"] == ["10.77.0.5"]

    lab.make_node(two, addresses=[_address("10.50.0.5"), _address("10.77.0.5"), _address("10.77.0.6")])
    outside = lab.ask_as(Identity.node(two), two, "serving", dns=[two], ips=["10.50.0.5"])
    line = lab.held(outside, "SubjectAltNameNotEnrolled")
    assert "outside addressRanges" in line["message"]
    lab.denied(lab.ask_as(Identity.node(two), two, "serving", dns=[two], ips=["10.77.0.5"]), "SubjectAltNameForeign")
    shared = lab.ask_as(Identity.node(two), two, "serving", dns=[two], ips=["10.77.0.6"])
    assert f"also of {one}" in lab.held(shared, "SubjectAltNameNotEnrolled")["message"]
    unreported = lab.ask_as(Identity.node(two), two, "serving", dns=[two], ips=["10.77.0.7"])
    assert "not in Node.status.addresses" in lab.held(unreported, "SubjectAltNameNotEnrolled")["message"]
    another = lab.ask_as(Identity.node(one), one, "serving", dns=[one], ips=["10.77.0.6"])
    lab.held(another, "SubjectAltNameNotEnrolled")
    assert lab.enrollment(one)["spec"]["addresses"] == ["10.77.0.5"]
    assert "addresses" not in lab.enrollment(two)["spec"]


def test_a_listed_user_outside_the_bootstrap_group_joins(fleet: Lab) -> None:
    """A user of the pool's group who is no bootstrapper is enrolled by name; a stranger is left alone."""
    lab, pool = fleet, fleet.name("pool")
    _pool(lab, pool, groups=["fleet:builders"])
    roles = f"{pool}-askers"
    lab.cluster.kubectl(
        "create", "clusterrolebinding", roles, "--clusterrole=system:node-bootstrapper", "--group=fleet:askers"
    )
    builder, stranger = (
        Identity("builder-7", ("fleet:builders", "fleet:askers")),
        Identity("builder-8", ("fleet:askers",)),
    )

    lab.approved(lab.ask_as(builder, f"{pool}-a"))
    csr = lab.ask_as(stranger, f"{pool}-b")

    assert lab.enrollment(f"{pool}-a")["spec"]["bootstrap"]["users"] == ["builder-7"]
    lab.wait(lambda: lab.last_verdict(csr).get("verdict") == "Ignore", "Ignore", csr=csr)
    lab.cluster.kubectl("delete", "clusterrolebinding", roles)
    assert not _enrolled(lab, f"{pool}-b")


def test_an_unreadable_pattern_stalls(fleet: Lab) -> None:
    """A pattern that this language does not have is told in Stalled, with its place, and matches nothing."""
    lab, pool, token = fleet, fleet.name("pool"), fleet.token()
    _pool(lab, pool, tokenIDs=[token.token_id], namePattern=f"{pool}-.*")

    assert _condition(lab, pool, "Stalled")["status"] == "True"
    assert "character" in _condition(lab, pool, "Stalled")["message"]
    assert _condition(lab, pool, "Ready")["status"] == "False"
    lab.held(lab.ask(f"{pool}-a", token), "NotEnrolled")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tokenIDs", []),
        ("groups", ["system:authenticated"]),
        ("users", ["system:node:a"]),
        ("addressRanges", ["10.0.8.1/22"]),
        ("addressRanges", ["10.0.8.1"]),
        ("namePattern", "^a$"),
        ("maxNodes", 0),
        ("template", {"addresses": ["10.0.0.1"]}),
        ("template", {"bootstrap": {"tokenID": "abcdef"}}),
    ],
)
def test_the_schema_refuses(fleet: Lab, field: str, value: Any) -> None:
    """What would let in anybody, or means nothing, is refused when it is applied."""
    spec = {"namePattern": "a", "maxNodes": 1, "tokenIDs": ["abcdef"], field: value}
    body = {"apiVersion": "nodegate.dev/v1alpha1", "kind": "NodeEnrollmentPool", "metadata": {"name": "a"}}
    with pytest.raises(ApiRefused) as refused:
        fleet.cluster.api("POST", f"{POOLS}?dryRun=All&fieldValidation=Strict", {**body, "spec": spec})
    assert refused.value.body["code"] in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)


def _enrollment(name: str, spec: Document, **metadata: Any) -> Document:
    head = {"apiVersion": "nodegate.dev/v1alpha1", "kind": "NodeEnrollment"}
    marks = {"labels": {LABEL: "fleet"}, "annotations": {UID: "some-uid"}}
    return {**head, "metadata": {"name": name, **marks, **metadata}, "spec": spec}


PINNED = {"bootstrap": {"tokenID": "abcdef"}}


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        (_enrollment("a", PINNED), False),
        (_enrollment("a", {"bootstrap": {"users": ["builder-7"]}}), False),
        (_enrollment("a", PINNED, labels={}), True),
        (_enrollment("a", PINNED, annotations={}), True),
        (_enrollment("a", {}), True),
        (_enrollment("a", {"bootstrap": {"users": ["a", "b"]}}), True),
        (_enrollment("a", {"bootstrap": {"tokenID": "abcdef", "users": ["a"]}}), True),
        (_enrollment("a", {"bootstrap": {"token": {"issue": True}}}), True),
        (_enrollment("a", {**PINNED, "addresses": ["10.0.0.5"]}), True),
        (_enrollment("a", {**PINNED, "dnsNames": ["a.corp"]}), True),
        (_enrollment("a", PINNED, finalizers=["example.com/stay"]), True),
    ],
)
def test_the_policy_lets_the_operator_make_pool_enrollments_only(fleet: Lab, body: Document, *, refused: bool) -> None:
    """With the operator's own identity an enrollment of a pool for one requester passes, and no other."""
    _answered(fleet, "POST", ENROLLMENTS, body, refused=refused)


@pytest.mark.parametrize(
    ("patch", "refused"),
    [
        ({"spec": {"addresses": ["10.0.0.5"]}}, False),
        ({"spec": {"state": "Suspended"}}, True),
        ({"spec": {"bootstrap": {"tokenID": "bbbbbb"}}}, True),
        ({"spec": {"rejoin": "Always"}}, True),
        ({"spec": {"dnsNames": ["a.corp"]}}, True),
        ({"metadata": {"labels": {LABEL: "other"}}}, True),
        ({"metadata": {"annotations": {"nodegate.dev/accept-node-uid": "x"}}}, True),
    ],
)
def test_the_policy_lets_the_operator_record_addresses_only(fleet: Lab, patch: Document, *, refused: bool) -> None:
    """With the operator's own identity addresses of a pool's enrollment may be recorded, and nothing else changed."""
    name = fleet.name()
    fleet.cluster.api("POST", ENROLLMENTS, _enrollment(name, PINNED))

    _answered(fleet, "PATCH", f"{ENROLLMENTS}/{name}", patch, refused=refused)


@pytest.mark.parametrize("marked", [False, True])
def test_the_policy_keeps_recorded_addresses_and_other_enrollments(fleet: Lab, *, marked: bool) -> None:
    """Addresses that are recorded, and enrollments that people wrote, are not the operator's to change."""
    name = fleet.name()
    body = _enrollment(name, {**PINNED, **({"addresses": ["10.0.0.4"]} if marked else {})})
    if not marked:
        del body["metadata"]["labels"]
    fleet.cluster.api("POST", ENROLLMENTS, body)

    _answered(fleet, "PATCH", f"{ENROLLMENTS}/{name}", {"spec": {"addresses": ["10.0.0.5"]}}, refused=True)


def _answered(lab: Lab, method: str, path: str, body: Document, *, refused: bool) -> None:
    """Try a write as the operator, without an effect, until the policy has come into force."""
    said: list[tuple[int, str]] = []
    kind = MERGE if method == "PATCH" else "application/json"

    def answered() -> bool:
        with Connection(lab.cluster.credentials) as connection:
            status, answer = connection.call(method, f"{path}?dryRun=All", body, who=ACCOUNT, content_type=kind)
        said.append((status, str(answer)))
        by_policy = status == HTTPStatus.FORBIDDEN and "expected the operator" in str(answer)
        return by_policy if refused else status in (HTTPStatus.OK, HTTPStatus.CREATED)

    try:
        lab.wait(answered, f"refused={refused}", timeout=8)
    except AssertionError:
        pytest.fail(f"expected refused={refused}, found {said[-1]}")
