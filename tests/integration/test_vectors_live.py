"""Every vector on the real API server, judged by the real operator.

The vectors come in; one test a vector leaves. Rules: requests are created as the vector's own requester, by
impersonation; moments are moved by what lies between the vector's moment and now; vectors around the same
manifests are created together, and what changes an enrollment (an approved first request) stands alone. What
cannot be had live is skipped, and says why.
"""

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus
from typing import Any, NamedTuple

import pytest

from hack.cluster import ApiRefused, Cluster
from hack.cluster.requests import CSRS
from hack.impersonation import Connection, Identity
from hack.vectors_live import ask, everybody_may_ask, request, vectors
from nodegate.clock import now
from nodegate.names import MANAGED_SIGNERS
from tests.integration.lab import ENROLLMENTS, MERGE, NODES, Document, Lab

pytestmark = pytest.mark.integration

OPERATOR_FLAGS = ("--rate-limits", "false")
"""One node asks for hundreds of certificates here."""

VECTORS = vectors()
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
USUAL_NAME = "csr-7x2kq"
CLOSE = dt.timedelta(seconds=120)
"""A bound of a window this near to a vector's moment cannot be met live."""

API_SERVERS: Document = {
    "apiVersion": "discovery.k8s.io/v1",
    "kind": "EndpointSlice",
    "metadata": {"name": "kubernetes", "labels": {"kubernetes.io/service-name": "kubernetes"}},
    "addressType": "IPv4",
    "endpoints": [{"addresses": ["10.0.0.1"]}],
}
NETWORKS = {
    "Service": ("clusterIPs", ["10.96.0.1"]),
    "ServiceCIDR": ("cidrs", ["10.96.0.0/12"]),
}
"""What the session's control plane really has, as the vectors' usual cluster."""


class Outcome(NamedTuple):
    """What became of a vector's request: the verdict, all its reasons, and the conditions' types and reasons."""

    verdict: str
    reasons: list[str]
    conditions: list[tuple[str, str]]


def moment(text: str) -> dt.datetime:
    """Return an RFC 3339 moment in UTC."""
    return dt.datetime.fromisoformat(text)


def bounds(vector: Document) -> Iterator[dt.datetime]:
    """Yield the bounds of the windows around a vector."""
    for manifest in vector["with"]:
        window = (manifest.get("spec") or {}).get("bootstrap") or {}
        yield from (moment(window[key]) for key in ("notBefore", "notAfter") if window.get(key))


def is_usual(manifest: Document) -> bool:
    """Tell whether a manifest about the cluster's own networks says what is so here."""
    if manifest["kind"] in NETWORKS:
        field, value = NETWORKS[manifest["kind"]]
        return bool(manifest["metadata"]["name"] == "kubernetes" and manifest["spec"].get(field) == value)
    if manifest["kind"] == "EndpointSlice":
        return bool(manifest["endpoints"] == API_SERVERS["endpoints"])
    return True


def names_node_uid(vector: Document) -> bool:
    """Tell whether the verdict may rest on the UID that a Node has in the vector: live it has another."""
    return any("uid" in m.get("status", {}).get("node", {}) for m in vector["with"] if m["kind"] == "NodeEnrollment")


def obstacle(vector: Document) -> str | None:
    """Return why a vector cannot be had live, or None."""
    enrollments = [m for m in vector["with"] if m["kind"] == "NodeEnrollment"]
    seen = [(m.get("status", {}).get("observedGeneration"), m["metadata"].get("generation")) for m in enrollments]
    obstacles = {
        "the API server refuses it": vector["api"] == "refuses",
        "it needs facts that are missing": "missing" in vector,
        "it needs another setting of the operator": "policy" in vector,
        "it is decided, issued or being deleted from the beginning": bool(vector["csr"].get("status"))
        or "deletionTimestamp" in vector["csr"]["metadata"],
        "it needs one special moment": any(abs(bound - moment(vector["at"])) < CLOSE for bound in bounds(vector)),
        "it needs other networks than the control plane has": not all(map(is_usual, vector["with"])),
        "it needs the FlannelNetwork": "flannel" in vector["why"],
        "the API server chooses a Node's UID": names_node_uid(vector) and vector["expect"]["verdict"] == "Approve",
        "the operator processes every enrollment": any(observed != generation for observed, generation in seen),
    }
    return next((why for why, holds in obstacles.items() if holds), None)


def around(vector: Document) -> str:
    """Return the enrollments and Nodes around a vector, moments as they are relative to it, as one text."""
    kept = [m for m in vector["with"] if m["kind"] in ("NodeEnrollment", "Node")]
    return json.dumps([vector["at"], kept], sort_keys=True)


def changes_enrollment(vector: Document) -> bool:
    """Tell whether judging the vector, or one beside it, changes what is recorded: a join or an issued certificate."""
    recorded = any("certificates" in m.get("status", {}) for m in vector["with"] if m["kind"] == "NodeEnrollment")
    return recorded or bool(vector["expect"]["reasons"] == ["BootstrapApproved"])


def is_audited(vector: Document) -> bool:
    """Tell whether the verdict is only told, because the enrollment's mode is Audit."""
    return any(manifest.get("spec", {}).get("mode") == "Audit" for manifest in vector["with"])


def rounds() -> Iterator[list[str]]:
    """Yield the vectors that can be judged together: by their surroundings, joins alone."""
    groups: dict[str, list[str]] = {}
    for path, vector in VECTORS.items():
        if obstacle(vector) is None:
            alone = path if changes_enrollment(vector) else ""
            groups.setdefault(around(vector) + alone, []).append(path)
    yield from groups.values()


class Stage:
    """Sets up the surroundings of vectors and creates their requests."""

    def __init__(self, lab: Lab, connection: Connection) -> None:
        self._lab = lab
        self._connection = connection

    def judge(self, paths: list[str]) -> dict[str, Outcome | str]:
        """Judge vectors with the same surroundings; an obstacle that only shows here stands in an outcome's place."""
        self._lab.clean()
        try:
            self._surround(VECTORS[paths[0]])
        except ApiRefused as error:
            return dict.fromkeys(paths, f"the schema refuses what is around it: {error.status}")
        created = {path: self._create(path, number) for number, path in enumerate(paths)}
        with suppress(AssertionError):  # What is missing shows in the vector's own test.
            self._lab.wait(lambda: all(self._is_there(path, csr) for path, csr in created.items()), "verdicts")
        return {path: self._outcome(path, csr) for path, csr in created.items()}

    def _surround(self, vector: Document) -> None:
        shift = now().replace(microsecond=0) - moment(vector["at"])
        enrollments = [m for m in vector["with"] if m["kind"] == "NodeEnrollment"]
        for manifest in enrollments:
            self._lab.cluster.api("POST", ENROLLMENTS, _moved(manifest, shift))
        for manifest in enrollments:
            name = manifest["metadata"]["name"]
            self._lab.wait(lambda name=name: self._lab.is_settled(name), f"{name} to be seen", node=name)  # type: ignore[misc]
            if recorded := manifest.get("status"):
                path = f"{ENROLLMENTS}/{name}/status"
                self._lab.cluster.api("PATCH", path, {"status": recorded}, content_type=MERGE)
        for manifest in vector["with"]:
            if manifest["kind"] == "Node":
                self._make_node(manifest, {m["metadata"]["name"] for m in enrollments})

    def _make_node(self, manifest: Document, enrolled: set[str]) -> None:
        name = manifest["metadata"]["name"]
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": manifest.get("spec", {})}
        self._lab.cluster.api("POST", NODES, node)
        status = manifest.get("status", {})
        self._lab.cluster.api("PATCH", f"{NODES}/{name}/status", {"status": status}, content_type=MERGE)
        ready = {c["type"]: c["status"] for c in status.get("conditions", ())}.get("Ready", "Unknown")

        def seen() -> bool:
            return bool(self._lab.status(name).get("node", {}).get("ready") == ready)

        if name in enrolled:
            self._lab.wait(seen, f"Node {name} to be seen", node=name)

    def _create(self, path: str, number: int) -> Document:
        vector = VECTORS[path]
        usual = vector["csr"]["metadata"]["name"] == USUAL_NAME
        body = request(vector, name=f"vector-{number}" if usual else "")
        who = Identity.of(vector["csr"]["spec"])
        status, answer = self._connection.call("POST", CSRS, body, who=who)
        assert status == HTTPStatus.CREATED, (path, answer)
        return answer

    def _last(self, csr: Document) -> Document:
        uid = csr["metadata"]["uid"]
        return next((line for line in reversed(self._lab.audit()) if line["csrUID"] == uid), {})

    def _is_there(self, path: str, csr: Document) -> bool:
        if csr["spec"]["signerName"] not in MANAGED_SIGNERS:
            return True
        expect = VECTORS[path]["expect"]
        last = self._last(csr)
        return bool(last.get("verdict") == expect["verdict"] and last["reasons"] == expect["reasons"])

    def _outcome(self, path: str, csr: Document) -> Outcome:
        found = self._lab.conditions(csr["metadata"]["name"])
        conditions = [(c["type"], c["reason"]) for c in found]
        last = self._last(csr)
        if not last and VECTORS[path]["csr"]["spec"]["signerName"] not in MANAGED_SIGNERS:
            return Outcome("Ignore", ["SignerNotManaged"], conditions)
        return Outcome(last.get("verdict", "nothing"), last.get("reasons", []), conditions)


def _moved(manifest: Document, shift: dt.timedelta) -> Document:
    """Return an enrollment to create, its window moved."""
    spec: dict[str, Any] = json.loads(json.dumps(manifest.get("spec") or {}))
    window = spec.get("bootstrap") or {}
    for key in ("notBefore", "notAfter"):
        if window.get(key):
            window[key] = (moment(window[key]) + shift).strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata = {key: manifest["metadata"][key] for key in ("name", "annotations") if key in manifest["metadata"]}
    return {"apiVersion": manifest["apiVersion"], "kind": manifest["kind"], "metadata": metadata, "spec": spec}


@pytest.fixture(scope="module", name="connection")
def _connection(cluster: Cluster) -> Iterator[Connection]:
    """Yield an administrator's connection; everybody may create requests meanwhile."""
    with everybody_may_ask(cluster), Connection(cluster.credentials) as connection:
        yield connection


@pytest.fixture(scope="module", name="outcomes")
def _outcomes(shared_lab: Lab, connection: Connection) -> Iterator[dict[str, Outcome | str]]:
    """Judge every vector that can be had live, round by round."""
    shared_lab.cluster.api("POST", SLICES, API_SERVERS)
    stage = Stage(shared_lab, connection)
    try:
        yield {path: outcome for paths in rounds() for path, outcome in stage.judge(paths).items()}
    finally:
        shared_lab.cluster.api("DELETE", f"{SLICES}/kubernetes")


@pytest.mark.parametrize("path", VECTORS)
def test_the_api_server_answers_as_recorded(connection: Connection, path: str) -> None:
    """Whether a request can be created at all, and what is said when not, is what the vector says."""
    answer = ask(connection, VECTORS[path])
    if answer is None:
        pytest.skip("the requester's name cannot be sent in a header")
    assert answer.word == VECTORS[path]["api"], answer.message
    assert VECTORS[path].get("apiMessage", "") in answer.message


@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", VECTORS)
def test_the_operator_judges_as_expected(outcomes: dict[str, Outcome | str], path: str) -> None:
    """Verdict, reasons in their order, and the condition on the request are what the vector expects."""
    expect = VECTORS[path]["expect"]
    outcome = outcomes.get(path) or obstacle(VECTORS[path])
    if isinstance(outcome, str):
        pytest.skip(outcome)
    assert outcome is not None
    written = {"Approve": "Approved", "Deny": "Denied"}.get("" if is_audited(VECTORS[path]) else expect["verdict"])
    conditions = [(written, expect["reasons"][0])] if written else []
    assert outcome == Outcome(expect["verdict"], expect["reasons"], conditions)
