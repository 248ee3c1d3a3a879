"""Facts from manifests: every kind, what no manifest means, and what is refused."""

from datetime import datetime
from ipaddress import ip_address
from typing import Any

import pytest

from nodegate.cli.facts import KINDS, Facts, Manifest, case_for, gather
from nodegate.csr.decide import judge
from nodegate.csr.model import Approve, Deny, Fact, Hold, Policy, Reason
from nodegate.enrollment.model import NodeName
from nodegate.errors import Malformed
from tests.unit.cli import samples

NOW = datetime.fromisoformat(samples.AT)
POLICY = Policy()


def gathered(*bodies: dict[str, Any], live: bool = False, missing: tuple[Fact, ...] = ()) -> Facts:
    """Return the facts in some objects."""
    manifests = [Manifest(body, f"file-{index}.yaml") for index, body in enumerate(bodies)]
    return gather(manifests, live=live, missing=missing)


def test_case_holds_the_enrollment_and_node_that_the_subject_names() -> None:
    """The case carries what has the subject's name, and nothing of another name."""
    manifests = [samples.enrollment(), samples.enrollment("node-b"), samples.node(), samples.node("node-b")]

    case = case_for(samples.bootstrap(), manifests, policy=POLICY, now=NOW)

    assert case.enrollment is not None
    assert case.enrollment.name == samples.NODE
    assert case.node is not None
    assert case.node.name == samples.NODE
    assert case.now == NOW
    assert not case.missing


def test_no_manifests_mean_that_nothing_exists() -> None:
    """Without any manifest the request is held because it is not enrolled, not because facts are missing."""
    case = case_for(samples.bootstrap(), [], policy=POLICY, now=NOW)

    assert judge(case).verdict == Hold((Reason.NOT_ENROLLED,))


def test_policy_reaches_the_verdict() -> None:
    """The settings that are given are those that are judged by."""
    revoked = [samples.enrollment(state="Revoked")]

    denied = case_for(samples.bootstrap(), revoked, policy=Policy(), now=NOW)
    held = case_for(samples.bootstrap(), revoked, policy=Policy(never_deny=True), now=NOW)

    assert isinstance(judge(denied).verdict, Deny)
    assert isinstance(judge(held).verdict, Hold)


def test_manifest_without_status_counts_as_processed_offline_only() -> None:
    """Offline a bare manifest authorises; from the API server it waits for the operator."""
    body = samples.enrollment()
    body["metadata"]["generation"] = 2

    offline = gathered(body).case(samples.bootstrap(), policy=POLICY, now=NOW)
    live = gathered(body, live=True).case(samples.bootstrap(), policy=POLICY, now=NOW)

    assert judge(offline).verdict == Approve(Reason.BOOTSTRAP_APPROVED)
    assert judge(live).verdict == Hold((Reason.ENROLLMENT_NOT_READY,))


def test_every_enrollment_claims() -> None:
    """Another enrollment's address is known to be its."""
    facts = gathered(samples.enrollment(), samples.enrollment("node-b", addresses=["10.0.0.9"]))

    assert facts.claims.address_owners(ip_address("10.0.0.9")) == {NodeName("node-b")}


@pytest.mark.parametrize(
    ("body", "address", "expected"),
    [
        (samples.service_cidr("10.96.0.0/12", "fd96::/108"), "10.97.1.1", "service network 10.96.0.0/12"),
        (samples.service_cidr("10.96.0.0/12", "fd96::/108"), "fd96::1", "service network fd96::/108"),
        (samples.service(), "10.96.0.1", "kubernetes Service 10.96.0.1/32"),
        (samples.service("dns", "kube-system", "10.96.0.10"), "10.96.0.10", "Service kube-system/dns 10.96.0.10/32"),
        (samples.node("node-b", pod_cidr="10.244.3.0/24"), "10.244.3.7", "pod network 10.244.3.0/24"),
        (samples.flannel_network("10.240.0.0/16"), "10.240.9.9", "flannel network 10.240.0.0/16"),
    ],
)
def test_networks_of_the_cluster_are_reserved(body: dict[str, Any], address: str, expected: str) -> None:
    """Each kind of object reserves its networks, in the words that messages use."""
    assert gathered(body).reserved.covering(ip_address(address)) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (samples.endpoint_slice("kubernetes", "192.0.2.1"), True),
        (samples.endpoint_slice("kubernetes-x7", "192.0.2.1", of="kubernetes"), True),
        (samples.endpoint_slice("web-1", "192.0.2.1", of="web"), False),
        (samples.endpoint_slice("kubernetes", "192.0.2.1", namespace="other"), False),
        (samples.endpoint_slice("x", "192.0.2.1", namespace="other", of="kubernetes"), False),
    ],
)
def test_only_the_api_servers_slice_names_api_servers(body: dict[str, Any], *, expected: bool) -> None:
    """The slice of default/kubernetes is taken, by name or label; any other says nothing."""
    assert gathered(body).reserved.is_api_server(ip_address("192.0.2.1")) is expected


def test_the_same_object_twice_is_refused_with_both_places() -> None:
    """Two manifests of one kind and name contradict each other; the message says where both stand."""
    with pytest.raises(Malformed, match=r"file-1\.yaml: .*one NodeEnrollment node-a, .* in file-0\.yaml"):
        gathered(samples.enrollment(), samples.enrollment())


def test_services_of_one_name_in_two_namespaces_are_two() -> None:
    """A namespaced object is told from its namesake in another namespace."""
    facts = gathered(samples.service(), samples.service(namespace="other", ip="10.96.0.2"))

    assert facts.reserved.covering(ip_address("10.96.0.2")) is not None


@pytest.mark.parametrize(
    ("kind", "version"),
    [("Secret", "v1"), ("Service", "serving.knative.dev/v1"), ("Node", "metrics.k8s.io/v1beta1"), ("", "v1")],
)
def test_unknown_kinds_are_refused_with_the_known_ones(kind: str, version: str) -> None:
    """A kind that is no fact is refused, by kind and group, and the known kinds are named."""
    with pytest.raises(Malformed) as raised:
        gathered({"apiVersion": version, "kind": kind, "metadata": {"name": "x"}})

    assert all(known in str(raised.value) for known in KINDS)
    assert "file-0.yaml" in str(raised.value)


def test_an_object_without_a_name_is_refused() -> None:
    """A manifest that names nothing cannot be a fact."""
    with pytest.raises(Malformed, match=r"metadata\.name: expected a name"):
        gathered({"kind": "Node", "metadata": {}})


def test_a_bad_field_is_refused_with_file_and_path_offline() -> None:
    """Offline a manifest that the schema would refuse stops everything, with its place."""
    with pytest.raises(Malformed, match=r"file-0\.yaml: NodeEnrollment: spec\.state"):
        gathered(samples.enrollment(state="Activ"))


def test_a_bad_object_of_the_api_server_makes_its_facts_missing() -> None:
    """Live, one unreadable object leaves the rest readable and is told as a fault."""
    facts = gathered(samples.enrollment(state="Activ"), samples.node(), live=True)

    assert facts.missing == {Fact.ENROLLMENT, Fact.CLAIMS}
    assert len(facts.faults) == 1
    assert facts.nodes.keys() == {samples.NODE}


def test_missing_facts_reach_the_case() -> None:
    """What the caller could not read is missing in every case."""
    facts = gathered(samples.enrollment(), missing=(Fact.RESERVED,))

    case = facts.case(samples.serving(), policy=POLICY, now=NOW)

    assert case.missing == {Fact.RESERVED}
    assert Reason.FACTS_UNAVAILABLE in judge(case).reasons


def test_other_requests_are_taken_and_say_nothing() -> None:
    """A signing request among the facts changes no verdict."""
    case = case_for(samples.bootstrap(), [samples.enrollment(), samples.bootstrap("other")], policy=POLICY, now=NOW)

    assert judge(case).verdict == Approve(Reason.BOOTSTRAP_APPROVED)
