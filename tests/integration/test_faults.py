"""Crashes, outages and competing writers: every approvable request is approved once, and nothing else.

Rules: what is killed is the real API server or the real operator; bursts mix requests that must be approved with
requests that must not; afterwards every request is looked at, not a sample.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from hack.cluster import ApiRefused
from hack.cluster.requests import CSRS, outcomes
from hack.impersonation import Identity
from tests.integration.lab import ENROLLMENTS, MERGE, Document, Lab, first_request, serving_request

pytestmark = pytest.mark.integration

BURST = 200
TOKEN = "abcdef"  # noqa: S105  # the public half of a token, spoken for by impersonation

Request = tuple[Identity, Document]


def enroll_all(lab: Lab, names: list[str], **spec: Any) -> None:
    """Enroll many nodes with one token, and wait for the last."""
    for name in names:
        lab.enroll(name, settled=False, bootstrap={"tokenID": TOKEN}, **spec)
    lab.wait(lambda: all(lab.is_settled(name) for name in names[-3:]), "the operator to see the enrollments")


def mixed(lab: Lab, count: int = BURST) -> tuple[list[Request], set[str], set[str]]:
    """Return requests in a mixed order, the names that must be approved, and those that must be denied.

    A half are first requests of enrolled nodes, a quarter use a foreign token, a quarter are of unknown nodes.
    """
    nodes = [lab.name("burst") for _ in range(count // 2)]
    enroll_all(lab, nodes)
    right = [(Identity.token(TOKEN), first_request(node)) for node in nodes]
    foreign = [(Identity.token("zzzzzz"), first_request(node, f"foreign-{node}")) for node in nodes[::2]]
    unknown = [(Identity.token(TOKEN), first_request(lab.name("unknown"))) for _ in range(count // 4)]
    mixture = [request for four in zip(right[::2], right[1::2], foreign, unknown, strict=True) for request in four]
    return mixture, names(right), names(foreign)


def names(requests: list[Request]) -> set[str]:
    """Return the names of requests."""
    return {manifest["metadata"]["name"] for _, manifest in requests}


def verdicts(lab: Lab) -> dict[str, list[str]]:
    """Return the condition types of every request there is."""
    return {
        csr["metadata"]["name"]: [c["type"] for c in csr.get("status", {}).get("conditions", ())]
        for csr in lab.cluster.csrs()
    }


def expect_outcome(lab: Lab, requests: list[Request], approvable: set[str], deniable: set[str]) -> None:
    """Wait until everything is decided, then check every request: each as it must be, with one condition at most."""
    wanted = {name: ["Approved"] for name in approvable} | {name: ["Denied"] for name in deniable}
    expected = {name: wanted.get(name, []) for name in names(requests)}

    def settled() -> bool:
        return sum(bool(types) for types in verdicts(lab).values()) >= len(wanted)

    lab.wait(settled, f"{len(wanted)} decisions", timeout=60)
    assert verdicts(lab) == expected


def expect_joins(lab: Lab, *, final: bool) -> None:
    """Check that every approved first request has its join recorded, and, when `final`, that no other has."""
    joins = {e["metadata"]["name"]: e.get("status", {}) for e in lab.cluster.api("GET", ENROLLMENTS)["items"]}
    recorded = {join["csrUID"] for status in joins.values() for join in status.get("joins", ())}
    approved = {
        csr["metadata"]["uid"]
        for csr in lab.cluster.csrs()
        if "Approved" in outcomes(csr) and csr["spec"]["username"].startswith("system:bootstrap:")
    }
    assert approved <= recorded
    if final:
        assert approved == recorded
        assert {status["joinCount"] for status in joins.values() if "joins" in status} <= {1}


@contextmanager
def meanwhile(work: Callable[[], None]) -> Iterator[None]:
    """Repeat some work in a thread for as long as the block lasts; its errors are the test's."""
    stop, errors = threading.Event(), list[BaseException]()

    def repeat() -> None:
        try:
            while not stop.is_set():
                work()
        except BaseException as error:  # noqa: BLE001  # raised again below
            errors.append(error)

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert errors == []


@pytest.mark.timeout(240)
def test_a_burst_survives_the_api_server(own_lab: Lab) -> None:
    """The API server is killed and started again in the middle of 200 requests."""
    lab = own_lab
    requests, approvable, deniable = mixed(lab)
    sender = threading.Thread(target=lab.burst, args=(requests,))
    sender.start()
    lab.wait(lambda: "Approved" in str(verdicts(lab)), "the first approval")
    lab.cluster.apiserver.kill()
    lab.cluster.apiserver.start()
    lab.cluster.apiserver.wait_ready()
    sender.join()

    expect_outcome(lab, requests, approvable, deniable)
    expect_joins(lab, final=True)
    # A 403 while its authorizer warms up puts a watch on the slow path, at most 30 s long.
    lab.wait(lab.operator.is_ready, "the operator to be ready again", timeout=45)
    complaints = [line["msg"] for line in lab.said("") if line["level"] in ("warning", "error")]
    assert len(complaints) <= BURST // 4, "an outage is no reason to complain of every request"


@pytest.mark.timeout(240)
def test_sigterm_in_a_burst_leaves_nothing_half_written(own_lab: Lab) -> None:
    """Exit 0 within 15 seconds; whatever was decided is whole, and the next start finishes the rest."""
    lab = own_lab
    requests, approvable, deniable = mixed(lab)
    sender = threading.Thread(target=lab.burst, args=(requests,))
    sender.start()
    lab.wait(lambda: str(verdicts(lab)).count("Approved") >= BURST // 20, "some approvals")
    os.kill(lab.operator.pid, signal.SIGTERM)
    lab.operator.wait(15)
    sender.join()

    assert lab.exit_status() == 0
    found = verdicts(lab)
    assert all(len(types) <= 1 for types in found.values())
    assert any(not found[name] for name in approvable), "the burst was over before the signal"
    expect_joins(lab, final=False)

    lab.operator.start()
    expect_outcome(lab, requests, approvable, deniable)
    expect_joins(lab, final=True)


@pytest.mark.timeout(240)
def test_sigkill_in_a_burst_loses_nothing(own_lab: Lab) -> None:
    """The operator is killed three times in a burst; the last start approves all, one join each."""
    lab = own_lab
    requests, approvable, deniable = mixed(lab)
    sender = threading.Thread(target=lab.burst, args=(requests,))
    sender.start()
    for enough in (5, 30, 60):
        lab.wait(lambda enough=enough: str(verdicts(lab)).count("Approved") >= enough, f"{enough} approvals")  # type: ignore[misc]
        lab.operator.kill()
        lab.operator.start()
    sender.join()
    expect_outcome(lab, requests, approvable, deniable)
    expect_joins(lab, final=True)


def test_a_revocation_while_the_operator_sleeps_counts(own_lab: Lab) -> None:
    """Revoked and asked for while the operator is stopped: the request is denied when it goes on."""
    lab = own_lab
    joined, waiting, token = lab.join(lab.name()), lab.name(), lab.token()
    lab.enroll(waiting, bootstrap={"tokenID": token.token_id})
    lab.operator.pause()
    for node in (joined.name, waiting):
        lab.cluster.api("PATCH", f"{ENROLLMENTS}/{node}", {"spec": {"state": "Revoked"}}, content_type=MERGE)
    asked = [lab.ask(waiting, token), lab.cluster.request_renewal(joined.kubeconfig)]
    lab.operator.resume()
    for name in asked:
        lab.denied(name, "EnrollmentRevoked")
    assert "joins" not in lab.status(waiting)


@pytest.mark.timeout(240)
def test_competing_writers_cost_conflicts_and_nothing_else(own_lab: Lab) -> None:
    """Labels of requests, and labels and conditions of enrollments change all the time: everything is approved."""
    lab = own_lab
    nodes = [lab.name("busy") for _ in range(25)]
    enroll_all(lab, nodes, addresses=[])
    for node in nodes:
        lab.make_node(node, ready="False")
    requests = [(Identity.token(TOKEN), first_request(node)) for node in nodes]
    requests += [(Identity.node(node), first_request(node, f"renewal-{node}")) for node in nodes]
    wanted = names(requests)
    ticks = iter(range(10**9))

    def touch() -> None:
        for name in wanted:
            with suppress(ApiRefused):
                mark = {"metadata": {"annotations": {"tests/tick": str(next(ticks))}}}
                lab.cluster.api("PATCH", f"{CSRS}/{name}", mark, content_type=MERGE)
        for node in nodes:
            mark = {"metadata": {"labels": {"tick": str(next(ticks))}}}
            lab.cluster.api("PATCH", f"{ENROLLMENTS}/{node}", mark, content_type=MERGE)

    lab.operator.pause()  # The requests wait for the operator, so that all of them meet the other writers.
    lab.burst(requests)
    with meanwhile(touch), meanwhile(touch):
        lab.operator.resume()
        expect_outcome(lab, requests, wanted, set())
    expect_joins(lab, final=False)
    assert {lab.status(node)["joinCount"] for node in nodes} == {1}
    assert lab.operator.metric("nodegate_api_requests_total", code="409") > 0
    kept = [csr["metadata"].get("annotations", {}) for csr in lab.cluster.csrs()]
    assert sum("tests/tick" in annotations for annotations in kept) == len(wanted)


def test_a_foreign_approver_may_be_faster(own_lab: Lab) -> None:
    """Somebody else decides while the operator sleeps and while it looks: no error, no second condition."""
    lab = own_lab
    nodes = [lab.name() for _ in range(20)]
    enroll_all(lab, nodes)
    requests = [(Identity.token(TOKEN), first_request(node)) for node in nodes]
    held = lab.ask_as(Identity.token(TOKEN), lab.name())
    lab.held(held, "NotEnrolled")
    lab.operator.pause()
    lab.burst(requests)
    for name in [*sorted(names(requests))[::2], held]:
        lab.cluster.kubectl("certificate", "deny", name)
    lab.operator.resume()
    lab.wait(lambda: all(verdicts(lab).values()), "all requests to be decided")
    found = [types for name, types in verdicts(lab).items() if name != held]
    assert (found.count(["Denied"]), found.count(["Approved"])) == (10, 10)
    lab.wait(lambda: lab.operator.metric("nodegate_csr_held") == 0, "nothing to be held")
    assert '"level": "error"' not in lab.operator.log_text()
    assert lab.operator.is_ready()


def test_kubectl_edits_survive_the_approval(own_lab: Lab) -> None:
    """Labels, annotations and finalizers of a request are there after it was approved."""
    lab = own_lab
    node = lab.name()
    enroll_all(lab, [node])
    manifest = serving_request(node, dns=[node], ips=["10.40.0.9"])
    manifest["metadata"] |= {"labels": {"team": "metal"}, "annotations": {"ticket": "4711"}}
    lab.burst([(Identity.node(node), manifest)])
    name = manifest["metadata"]["name"]
    lab.held(name, "SubjectAltNameNotEnrolled")
    lab.make_node(node)
    lab.enroll(node, addresses=["10.40.0.9"], bootstrap={"tokenID": TOKEN})
    lab.approved(name)
    metadata = lab.cluster.csr(name)["metadata"]
    assert metadata["labels"] == {"team": "metal"}
    assert metadata["annotations"] == {"ticket": "4711"}


@pytest.mark.timeout(240)
def test_a_silent_api_server_is_noticed(own_lab: Lab) -> None:
    """The API server is stopped with its connections open: not ready within 100 seconds, and back by itself."""
    lab = own_lab
    joined = lab.join(lab.name())
    lab.cluster.apiserver.pause()
    try:
        lab.wait(lambda: not lab.operator.is_ready(), "the operator to notice", timeout=100)
        assert lab.operator.get("/healthz")[0] == 200, "a restart would not help"
    finally:
        lab.cluster.apiserver.resume()
    lab.wait(lab.operator.is_ready, "the operator to be ready again", timeout=60)
    lab.approved(lab.cluster.request_renewal(joined.kubeconfig))
