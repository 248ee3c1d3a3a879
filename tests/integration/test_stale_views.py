"""What authorises is never memory alone: an operator whose view is cut approves nothing that was revoked.

Rules: the operator talks to the real API server through a proxy, which keeps its watches of enrollments open and
silent while the administrator changes them directly; whatever the operator remembers, verdicts must follow the
API server.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.cluster import Cluster
from tests.integration.api_proxy import ApiProxy
from tests.integration.lab import ENROLLMENTS, MERGE, Lab
from tests.integration.operator_fixtures import finish, new_lab

pytestmark = pytest.mark.integration


@pytest.fixture(name="proxy")
def _proxy(cluster: Cluster) -> Iterator[ApiProxy]:
    """Yield a proxy in front of the API server."""
    with ApiProxy(cluster) as proxy:
        yield proxy


@pytest.fixture(name="behind")
def _behind(cluster: Cluster, account: Path, proxy: ApiProxy, tmp_path: Path) -> Iterator[Lab]:
    """Yield a lab whose operator talks through the proxy and hardly ever lists again."""
    kubeconfig = proxy.kubeconfig(account, tmp_path / "kubeconfig")
    lab = new_lab(cluster, kubeconfig, tmp_path, ("--relist-seconds", "600"))
    lab.clean()
    lab.operator.start()
    lab.operator.wait_ready()
    try:
        yield lab
    finally:
        proxy.release()
        finish(lab, kubeconfig)


def is_enrollment_watch(_method: str, path: str) -> bool:
    """Tell whether a request watches enrollments, for either plane."""
    return "nodeenrollments" in path and "watch=true" in path


def cut_off(proxy: ApiProxy, lab: Lab) -> None:
    """Hold the enrollment watches once the operator's own store, not only its writes, knows the ready enrollment."""
    lab.wait(lambda: lab.operator.metric("nodegate_enrollments", phase="Ready") >= 1, "the store to know it")
    proxy.hold(is_enrollment_watch)


def change(lab: Lab, node: str, **spec: object) -> None:
    """Change an enrollment's spec behind the operator's back."""
    lab.cluster.api("PATCH", f"{ENROLLMENTS}/{node}", {"spec": spec}, content_type=MERGE)


def test_a_revocation_that_was_not_seen_counts(proxy: ApiProxy, behind: Lab) -> None:
    """First request, renewal and serving request are denied though the operator still remembers `Active`."""
    lab = behind
    joined, waiting, token = lab.join(lab.name(), addresses=["10.30.0.1"]), lab.name(), lab.token()
    lab.enroll(waiting, bootstrap={"tokenID": token.token_id})
    cut_off(proxy, lab)
    change(lab, joined.name, state="Revoked")
    change(lab, waiting, state="Revoked")

    first = lab.ask(waiting, token)
    renewal = lab.cluster.request_renewal(joined.kubeconfig)
    serving = lab.cluster.request_serving(joined.kubeconfig, dns=[joined.name], ips=["10.30.0.1"])

    for name in (first, renewal, serving):
        lab.denied(name, "EnrollmentRevoked")
    assert "joins" not in lab.status(waiting)
    assert lab.status(waiting)["phase"] == "Ready", "the status is old: nobody has told the operator"
    # Its memory said yes: the record that goes before an approval was tried, and refused as out of date.
    assert lab.operator.metric("nodegate_api_requests_total", verb="patch", code="409") >= 1


def test_a_deletion_that_was_not_seen_counts(proxy: ApiProxy, behind: Lab) -> None:
    """Requests for an enrollment that is gone are held."""
    lab = behind
    joined, waiting, token = lab.join(lab.name()), lab.name(), lab.token()
    lab.enroll(waiting, bootstrap={"tokenID": token.token_id})
    cut_off(proxy, lab)
    for node in (joined.name, waiting):
        lab.cluster.api("DELETE", f"{ENROLLMENTS}/{node}")
    lab.held(lab.ask(waiting, token), "NotEnrolled")
    lab.held(lab.cluster.request_renewal(joined.kubeconfig), "NotEnrolled")


def test_another_token_that_was_not_seen_counts(proxy: ApiProxy, behind: Lab) -> None:
    """After the pinned token was replaced, the operator holds the request until it has processed the change."""
    lab = behind
    node, old, new = lab.name(), lab.token(), lab.token()
    lab.enroll(node, bootstrap={"tokenID": old.token_id})
    cut_off(proxy, lab)
    change(lab, node, bootstrap={"tokenID": new.token_id})
    lab.denied(lab.ask(node, old), "TokenMismatch")
    name = lab.ask(node, new)
    lab.wait(lambda: lab.audit(name) != [], "a verdict", csr=name)
    assert lab.conditions(name) == []

    proxy.release()

    lab.approved(name)


def test_an_approval_whose_answer_was_lost_is_approved_once(proxy: ApiProxy, behind: Lab) -> None:
    """The operator reads the request again, finds its own condition and counts one decision."""
    lab = behind
    node, token = lab.name(), lab.token()
    lab.enroll(node, bootstrap={"tokenID": token.token_id})
    proxy.lose_answers(lambda method, path: method == "PUT" and path.endswith("/approval"))
    name = lab.ask(node, token)
    lab.approved(name)
    lab.wait(lambda: lab.last_verdict(name).get("verdict") == "Approve", "the audit line", csr=name)
    assert len(lab.audit(name)) == 1
    assert lab.operator.metric("nodegate_csr_decisions_total", verdict="approve") == 1
    assert [line for line in proxy.requests if line[0] == "PUT"] == [
        ("PUT", f"/apis/certificates.k8s.io/v1/certificatesigningrequests/{name}/approval")
    ]


def test_a_join_whose_answer_was_lost_is_recorded_once(proxy: ApiProxy, behind: Lab) -> None:
    """The write-ahead record that succeeded unheard leads to one join and one approval."""
    lab = behind
    node, token = lab.name(), lab.token()
    lab.enroll(node, bootstrap={"tokenID": token.token_id})
    lost = iter((True,))
    proxy.lose_answers(lambda method, path: method == "PATCH" and f"{node}/status" in path and next(lost, False))
    name = lab.ask(node, token)
    lab.approved(name)
    status = lab.status(node)
    assert status["joinCount"] == 1
    assert len(status["joins"]) == 1
