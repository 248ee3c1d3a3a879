"""FlannelNetworks on a real API server and three real TLS members of etcd, with the operator under its shipped rights.

Rules: what stands in etcd is asked of etcdctl, never of our own client; leases are written as flannel writes them;
each test has a network and a prefix of its own.
"""

import json
from collections.abc import Iterator
from http import HTTPStatus

import pytest

from hack.cluster import Cluster
from hack.cluster.etcd_members import EtcdMembers
from hack.impersonation import Connection, Identity
from tests.integration.flannel_lab import NETWORKS, SECRETS, TLS, Network, granted, put_secret
from tests.integration.lab import MERGE, Lab

pytestmark = pytest.mark.integration

OPERATOR_FLAGS = ("--flannel",)
ACCOUNT = Identity("system:serviceaccount:nodegate-system:nodegate", ("system:serviceaccounts", "system:authenticated"))
GUIDE = '{"Network":"172.30.0.0/16","SubnetLen":24,"Backend":{"Type":"vxlan"}}'
WRITTEN = (
    '{"Network":"172.30.0.0/16","SubnetLen":24,"SubnetMin":"172.30.1.0","SubnetMax":"172.30.255.0",'
    '"Backend":{"Type":"vxlan","VNI":1,"Port":8472}}'
)


@pytest.fixture(scope="module", name="etcd")
def _etcd() -> Iterator[EtcdMembers]:
    """Yield three members with TLS for clients and peers."""
    with EtcdMembers() as started:
        yield started


@pytest.fixture(scope="module", autouse=True)
def _component(cluster: Cluster, account: object, etcd: EtcdMembers) -> Iterator[None]:
    """Apply the component before the module's operator starts; the base must be there."""
    assert account
    with granted(cluster, etcd):
        yield


@pytest.fixture(name="network")
def _network(lab: Lab, etcd: EtcdMembers) -> Iterator[Network]:
    """Yield a network that is not applied yet, and clean up after it."""
    etcd.recover()
    put_secret(lab.cluster, etcd)
    made = Network(lab, etcd, lab.name("net"))
    try:
        yield made
    finally:
        etcd.recover()
        made.remove()


def test_the_first_config_is_written_and_told(network: Network) -> None:
    """The guide's network: etcdctl reads the canonical JSON byte for byte, and the status says everything about it."""
    network.apply()
    network.wait_for("Ready", "True", "InSync")

    assert network.config() == WRITTEN
    status = network.status()
    assert status["phase"] == "Ready"
    assert status["applied"]["value"] == WRITTEN
    assert status["applied"]["prefix"] == network.prefix
    assert status["capacity"] == {"total": 255, "used": 0, "free": 255}
    assert status["etcd"]["version"].startswith("3.7.")
    assert [each["ok"] for each in status["etcd"]["endpoints"]] == [True] * 3
    assert {c["type"]: c["status"] for c in status["conditions"]} == {
        "EtcdReachable": "True",
        "CredentialsValid": "True",
        "ConfigValid": "True",
        "ConfigApplied": "True",
        "ChangeBlocked": "False",
        "RestartRequired": "False",
        "LeasesHealthy": "True",
        "CapacityOK": "True",
        "DriftDetected": "False",
        "Stalled": "False",
        "Ready": "True",
    }
    (line,) = [line for line in network.lab.said("was written at revision") if line["network"] == network.name]
    assert (line["type"], line["class"]) == ("flannel", "FirstWrite")
    network.wait(lambda: _has_event(network, "ConfigWritten"), "the event")


def _has_event(network: Network, reason: str) -> bool:
    return reason in {event["reason"] for event in network.lab.events(network.name)}


def test_an_equal_config_is_adopted_and_left_alone(network: Network) -> None:
    """What says the same in other words is taken over: the bytes stay as they were."""
    network.put_config(GUIDE)
    network.apply()
    network.wait_for("Ready", "True", "InSync")
    assert network.config() == GUIDE
    assert network.status()["applied"]["value"] == WRITTEN


def test_another_config_is_not_overwritten(network: Network) -> None:
    """Adopt blocks where the configs differ, Refuse refuses; AdoptAndChange writes where no node is stranded."""
    other = GUIDE.replace("172.30", "172.31")
    network.put_config(other)
    network.apply()
    network.wait_for("ChangeBlocked", "True", "AdoptionDiffers")
    network.apply(adoption="Refuse")
    network.wait_for("Stalled", "True", "Refused")
    assert network.config() == other
    network.apply(adoption="AdoptAndChange")
    network.wait_for("Ready", "True", "InSync")
    assert network.config() == WRITTEN


def test_a_widening_is_written_and_old_nodes_are_named(network: Network) -> None:
    """A range that grows is written at once; whoever holds a lease from before has to restart, by the node's name."""
    node = network.lab.name()
    network.lab.make_node(node, addresses=[{"type": "InternalIP", "address": "10.77.0.1"}])
    network.apply(subnetMax="172.30.100.0")
    network.wait_for("Ready", "True")
    network.put_lease("172.30.19.0/24", "10.77.0.1")
    network.wait(lambda: network.status()["leases"]["total"] == 1, "the lease")
    assert network.is_now("RestartRequired", "False")
    network.apply(subnetMax="172.30.200.0")
    condition = network.wait_for("RestartRequired", "True", "OldConfigRuns")

    assert node in condition["message"]
    assert "systemctl restart flanneld" in condition["message"]
    assert json.loads(network.config())["SubnetMax"] == "172.30.200.0"
    (row,) = network.status()["nodes"]
    assert (row["node"], row["subnet"], row["fits"], row["restartNeeded"]) == (node, "172.30.19.0/24", True, True)
    network.put_lease("172.30.19.0/24", "10.77.0.1")
    network.wait_for("RestartRequired", "False", "AllCurrent")


def test_a_renumbering_waits_for_leases_and_one_approval_lets_it_pass(network: Network) -> None:
    """It is blocked and named; a wrong id does nothing; the right one writes exactly that change."""
    network.apply()
    network.wait_for("Ready", "True")
    network.put_lease("172.30.19.0/24", "10.77.0.2")
    network.wait(lambda: network.status()["leases"]["total"] == 1, "the lease")
    network.apply(network="172.31.0.0/16")
    network.wait_for("ChangeBlocked", "True", "LeasesInTheWay")
    pending = network.status()["pendingChange"]
    assert network.status()["phase"] == "Blocked"
    assert pending["class"] == "Renumbering"
    assert [each["subnet"] for each in pending["blockedBy"]] == ["172.30.19.0/24"]

    network.apply(network="172.31.0.0/16", approvedChange="0" * 64)
    assert network.is_now("ChangeBlocked", "True")
    network.apply(network="172.29.0.0/16", approvedChange=pending["id"])
    network.wait(lambda: network.status()["pendingChange"]["id"] != pending["id"], "another change")
    assert network.config() == WRITTEN
    network.apply(network="172.31.0.0/16", approvedChange=pending["id"])
    network.wait_for("Ready", "True", "InSync")
    assert json.loads(network.config())["Network"] == "172.31.0.0/16"
    assert "pendingChange" not in network.status()
    network.wait_for("LeasesHealthy", "False", "OddLeases")


def test_a_blocked_change_is_made_once_the_leases_are_gone(network: Network) -> None:
    """Nobody has to do anything: the watch sees the last lease go."""
    network.apply()
    network.wait_for("Ready", "True")
    key = network.put_lease("172.30.19.0/24", "10.77.0.3")
    network.wait(lambda: network.status()["leases"]["total"] == 1, "the lease")
    network.apply(backend={"type": "host-gw"})
    network.wait_for("ChangeBlocked", "True")
    network.etcd.etcdctl("del", key)
    network.wait_for("Ready", "True", "InSync")
    assert json.loads(network.config())["Backend"] == {"Type": "host-gw"}


@pytest.mark.parametrize("text", [GUIDE.replace(":24", ":25"), "{broken", ""], ids=["other", "broken", "deleted"])
def test_a_drift_is_corrected(network: Network, text: str) -> None:
    """What somebody else wrote over the config, or its deletion, is undone where no node is stranded."""
    network.apply(reservedCIDRs=["10.254.0.0/16"])
    network.wait_for("Ready", "True")
    if text == GUIDE.replace(":24", ":25"):  # Another length renumbers: that way back is only reported.
        network.put_config(text)
        network.wait_for("DriftDetected", "True", "ChangedBySomebodyElse")
        assert network.config() == text
        text = WRITTEN.replace("172.30.255.0", "172.30.100.0")
    if text:
        network.put_config(text)
    else:
        network.etcd.etcdctl("del", f"{network.prefix}/config")
    network.wait(lambda: network.config() == WRITTEN, "the correction")
    network.wait_for("DriftDetected", "False")
    network.wait(lambda: _has_event(network, "DriftCorrected"), "the event")


def test_paused_and_report_write_nothing(network: Network) -> None:
    """Both say what they would do; taking the pause away does it."""
    network.apply(paused=True)
    network.wait_for("ConfigApplied", "False", "Paused")
    assert network.config() == ""
    network.apply(driftPolicy="Report")
    network.wait_for("Ready", "True")
    narrower = WRITTEN.replace("172.30.255.0", "172.30.100.0")
    network.put_config(narrower)
    network.wait_for("DriftDetected", "True")
    assert network.config() == narrower


def test_reservations_are_written_and_taken_back(network: Network) -> None:
    """A reservation has no end; when flannel turns it into a lease with one, it is turned back with the same value."""
    reservation = {"publicIP": "10.77.0.9", "subnet": "172.30.77.0/24"}
    network.apply(reservations=[reservation])
    network.wait_for("Ready", "True")
    key = f"{network.prefix}/subnets/172.30.77.0-24"
    assert network.etcd.etcdctl("get", key, "--print-value-only").strip() == '{"PublicIP":"10.77.0.9"}'
    network.wait(lambda: network.status()["leases"]["reservations"] == 1, "the count")
    network.put_lease("172.30.77.0/24", "10.77.0.9")
    network.wait(lambda: _lease_of(network, key) == 0, "the end to be taken away")
    value = network.etcd.etcdctl("get", key, "--print-value-only")
    assert json.loads(value)["BackendType"] == "vxlan"


def _lease_of(network: Network, key: str) -> int:
    (found,) = json.loads(network.etcd.etcdctl("get", key, "-w", "json"))["kvs"]
    return int(found.get("lease", 0))


@pytest.mark.parametrize(
    ("client", "ca", "reason", "reachable"),
    [
        ("expired", "ca", "ClientCertificateExpired", "Unknown"),  # Seen before anybody is asked.
        ("foreign", "ca", "ClientCertificateForeign", "False"),
        ("client", "foreign_ca", "UnknownCA", "False"),
    ],
)
def test_bad_credentials_are_named_and_the_last_status_stays(
    network: Network, client: str, ca: str, reason: str, reachable: str
) -> None:
    """The Secret is read again when it changes: the exact reason is told, nothing known is lost, good ones heal it."""
    network.apply()
    network.wait_for("Ready", "True")
    before = network.status()
    put_secret(network.lab.cluster, network.etcd, client, ca)
    condition = network.wait_for("CredentialsValid", "False", reason)

    assert "expected" in condition["message"]
    status = network.status()
    assert status["phase"] == "Degraded"
    assert network.is_now("EtcdReachable", reachable, reason)
    assert status["applied"] == before["applied"]
    assert status["capacity"] == before["capacity"]
    assert network.is_now("ConfigApplied", "True")
    put_secret(network.lab.cluster, network.etcd)
    network.wait_for("Ready", "True", "InSync")


def test_a_secret_that_may_not_be_read_is_told(network: Network) -> None:
    """The Role names one Secret: another one is SecretForbidden, with what to do."""
    tls = {"secretRef": {"namespace": "nodegate-system", "name": "another"}}
    network.apply(etcd={"endpoints": network.etcd.endpoints, "api": "V3", "tls": tls})
    condition = network.wait_for("CredentialsValid", "False", "SecretForbidden")
    assert "Role nodegate-flannel" in condition["message"]


def test_members_that_fail_are_told_and_the_others_serve(network: Network) -> None:
    """With one member gone the network stays Ready and the status names it; with two gone etcd is not reachable."""
    network.apply()
    network.wait_for("Ready", "True")
    network.etcd.members[0].kill()
    network.wait(
        lambda: [each["ok"] for each in network.status()["etcd"]["endpoints"]] == [False, True, True], "the member"
    )
    assert network.is_now("Ready", "True")
    network.etcd.members[1].kill()
    network.wait_for("EtcdReachable", "False", timeout=60)
    network.etcd.recover()
    network.wait_for("EtcdReachable", "True", timeout=60)


def test_retain_leaves_the_config_and_delete_when_unused_waits(network: Network) -> None:
    """Retain goes at once and leaves everything; DeleteWhenUnused waits for the last lease and takes the key along."""
    network.apply()
    network.wait_for("Ready", "True")
    assert "finalizers" not in network.body()["metadata"]
    network.lab.cluster.api("DELETE", f"{NETWORKS}/{network.name}")
    network.wait(lambda: not network.exists(), "the deletion")
    assert network.config() == WRITTEN

    network.apply(deletionPolicy="DeleteWhenUnused")
    network.wait_for("Ready", "True")
    key = network.put_lease("172.30.19.0/24", "10.77.0.4")
    network.wait(lambda: network.status()["leases"]["total"] == 1, "the lease")
    network.lab.cluster.api("DELETE", f"{NETWORKS}/{network.name}")
    network.wait(lambda: network.status()["phase"] == "Deleting", "the phase")
    assert network.config() == WRITTEN
    network.etcd.etcdctl("del", key)
    network.wait(lambda: not network.exists(), "the deletion")
    assert network.config() == ""


def test_the_store_that_was_written_is_never_left_for_the_older_one(network: Network) -> None:
    """From V3 back to V2 is refused, again and again; before anything was written a wrong api can be corrected."""
    where = {"endpoints": network.etcd.endpoints, "tls": TLS}
    network.apply(flannelVersion="0.7.1")
    network.wait_for("ConfigValid", "False", "Invalid")
    assert network.config() == ""
    network.apply()
    network.wait_for("Ready", "True", "InSync")
    network.apply(flannelVersion="0.7.1", etcd={**where, "api": "V2"})
    network.wait_for("EtcdReachable", "False", "V2Off")
    assert network.status()["etcd"]["api"] == "V3"


def test_a_stolen_token_of_the_operator_approves_nothing(network: Network) -> None:
    """The operator's account may patch statuses and its own finalizer, and no word of a spec."""
    network.apply()
    network.wait_for("Ready", "True")
    path = f"{NETWORKS}/{network.name}"
    with Connection(network.lab.cluster.credentials) as connection:
        for change in (
            {"spec": {"approvedChange": "0" * 64}},
            {"metadata": {"annotations": {"nodegate.dev/allow-public-range": "true"}}},
            {"metadata": {"finalizers": ["example.com/another"]}},
        ):
            status, answer = connection.call("PATCH", path, change, who=ACCOUNT, content_type=MERGE)
            assert status == HTTPStatus.FORBIDDEN, answer
            assert "expected the operator to leave" in answer["message"], answer
        status, answer = connection.call("GET", SECRETS, who=ACCOUNT)
        assert status == HTTPStatus.FORBIDDEN, answer


def test_a_network_reserves_its_addresses(network: Network) -> None:
    """An enrollment that lists an address of the pods is not ready, as soon as the network exists."""
    network.apply()
    node = network.lab.name()
    network.lab.enroll(node, addresses=["172.30.7.7"])
    network.lab.wait(lambda: network.lab.condition(node, "Stalled").get("status") == "True", "Stalled", node=node)
    assert "flannel network 172.30.0.0/16" in network.lab.condition(node, "Stalled")["message"]


def test_the_metrics_follow_the_statuses(network: Network) -> None:
    """In sync, leases by state and the fewest free subnets, summed over all networks."""
    network.apply()
    network.wait_for("Ready", "True")
    network.put_lease("172.30.19.0/24", "10.77.0.5")
    network.put_lease("172.30.20.0/24", "10.77.0.5")
    metric = network.lab.operator.metric
    network.wait(lambda: metric("nodegate_flannel_leases", state="duplicate_public_ip") == 2, "the leases")
    assert metric("nodegate_flannel_leases", state="total") == 2
    assert metric("nodegate_flannel_subnets_free") == 253
    assert metric("nodegate_flannel_config_in_sync") == 1
    network.lab.cluster.api(
        "PATCH", f"{NETWORKS}/{network.name}", {"spec": {"paused": True, "subnetLen": 25}}, content_type=MERGE
    )
    network.wait(lambda: metric("nodegate_flannel_config_in_sync") == 0, "the metric")
