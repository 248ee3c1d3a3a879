"""Statuses of FlannelNetworks: what is said, what stays when etcd fails, and what the stores make of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, ip_interface, ip_network
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from nodegate.flannel.canonical import canonical_text
from nodegate.flannel.check import parse_version, read_config
from nodegate.flannel.etcd.errors import EtcdError, Failure, Reason, error_of
from nodegate.flannel.index import LEASE_STATES, RESTART, read_known, totals
from nodegate.flannel.model import Api, Problem, Severity
from nodegate.flannel.network import (
    Action,
    Blocker,
    Change,
    ChangeClass,
    Etcd,
    FlannelNetwork,
    Lease,
    LeaseGc,
    Plan,
    WantedBackend,
)
from nodegate.flannel.nodes import Row, Tally
from nodegate.flannel.report import (
    BLOCKERS_KEPT,
    NODES_KEPT,
    TTL_STEP_S,
    flips,
    patch_of,
    pending,
    recorded_restarts,
    status_of,
    trouble_status,
)
from nodegate.flannel.trouble import CREDENTIALS, ETCD, of_etcd
from nodegate.flannel.verdicts import EtcdSeen, Observation
from nodegate.metrics import FlannelState, Metrics, Snapshot, StateCollector
from tests.manifests.shipped import crd_schema

NOW = datetime(2030, 1, 1, tzinfo=UTC)
VERSION = parse_version("0.28.10")
TEXT = '{"Network":"172.30.0.0/16","SubnetLen":24,"Backend":{"Type":"wireguard","PSK":"c2VjcmV0"}}'
LIVE = read_config(TEXT.replace(',"PSK":"c2VjcmV0"', ""), VERSION).config
NOBODY = Tally(
    total=1,
    reservations=0,
    converted=0,
    incompatible=0,
    expiring=0,
    duplicate=0,
    foreign=0,
    malformed=0,
    orphaned=0,
)
NOTHING = Plan(change_class=ChangeClass.NONE, action=Action.NONE, message="the config in etcd is what is asked for")
NETWORK = FlannelNetwork(
    name="pods",
    generation=3,
    etcd=Etcd(endpoints=("https://10.0.0.1:2379",), api=Api.V3),
    version=VERSION,
    network=ip_interface("172.30.0.0/16"),
    backend=WantedBackend(type="wireguard"),
)


def _row(number: int = 19, **changes: Any) -> Row:
    subnet = IPv4Network(f"172.30.{number % 256}.0/24")
    lease = Lease(key=f"/n/{number}", subnet=subnet, public_ip="10.0.0.1", ttl=changes.pop("ttl", 80_000))
    return Row(
        **{"lease": lease, "node": f"node-{number}", "reservation": False, "fits": True, "restart": False, **changes}
    )


def _seen(**changes: Any) -> Observation:
    etcd = EtcdSeen(
        cluster_id="c1",
        version="3.7.3",
        endpoint="https://10.0.0.1:2379",
        endpoints=(("https://10.0.0.1:2379", True, "", "3.7.3"),),
        cert_not_after="2031-01-01T00:00:00Z",
    )
    defaults: dict[str, Any] = {
        "network": NETWORK,
        "plan": NOTHING,
        "live": LIVE,
        "live_sha256": "0" * 64,
        "live_revision": 7,
        "rows": (_row(),),
        "tally": NOBODY,
        "room": (255, 1),
        "drifted": False,
        "in_sync": True,
        "contended": False,
        "etcd": etcd,
    }
    return Observation(**{**defaults, **changes})


def _status(**changes: Any) -> dict[str, Any]:
    return status_of(_seen(**changes), {}, NOW)


def _condition(status: dict[str, Any], kind: str) -> tuple[str, str]:
    return next((each["status"], each["reason"]) for each in status["conditions"] if each["type"] == kind)


def _acting(action: Action, **changes: Any) -> dict[str, Any]:
    """Return the changes of an observation whose config is not what is asked for."""
    return {"in_sync": False, "plan": replace(NOTHING, action=action, value=changes.pop("value", None)), **changes}


def _problem(severity: Severity) -> dict[str, Any]:
    return {"plan": replace(NOTHING, problems=(Problem("Network", "expected another", severity),))}


def _blocked(count: int = 1, **changes: Any) -> Plan:
    blockers = tuple(Blocker("it does not fit", subnet=f"172.30.{n}.0/24", node=f"node-{n}") for n in range(count))
    return replace(
        NOTHING, action=Action.BLOCK, change_class=ChangeClass.RENUMBERING, id="ab" * 32, blocked_by=blockers, **changes
    )


def test_all_is_well() -> None:
    """Every condition has the status of a sound network, and what was applied is on record with its time."""
    status = _status()
    assert status["phase"] == "Ready"
    assert _condition(status, "Ready") == ("True", "InSync")
    assert status["observedGeneration"] == 3
    assert status["applied"]["value"] == canonical_text(LIVE, redacted=True) if LIVE else ""
    assert status["applied"]["time"] == "2030-01-01T00:00:00Z"
    assert "pendingChange" not in status
    known = set(crd_schema("flannelnetworks")["properties"]["status"]["properties"])
    assert set(status) <= known


def test_nothing_new_is_no_patch() -> None:
    """A second look at the same writes nothing, although time has passed and leases have less of it left."""
    first = _status()
    later = _seen(rows=(_row(ttl=80_000 - TTL_STEP_S + 1),))
    assert patch_of(first, status_of(later, first, NOW + timedelta(hours=1))) is None
    much = _seen(rows=(_row(ttl=80_000 - TTL_STEP_S),))
    assert set(patch_of(first, status_of(much, first, NOW)) or ()) == {"nodes"}


def test_a_blocked_change_is_told_and_taken_away_again() -> None:
    """The change stands there with its id; a patch removes it whole once it is made."""
    status = _status(plan=_blocked(), in_sync=False)
    assert status["phase"] == "Blocked"
    assert _condition(status, "ChangeBlocked") == ("True", "LeasesInTheWay")
    assert status["pendingChange"]["blockedByCount"] == 1
    message = next(each["message"] for each in status["conditions"] if each["type"] == "ChangeBlocked")
    assert "node-0" in message
    assert f"approvedChange to {'ab' * 32}" in message
    patch = patch_of(status, status_of(_seen(), status, NOW))
    assert patch is not None
    assert patch["pendingChange"] is None


def test_lists_are_cut_where_the_schema_ends() -> None:
    """Two hundred nodes and twenty blockers are listed, and it is said that there are more."""
    rows = tuple(_row(number) for number in range(NODES_KEPT + 1))
    status = _status(rows=rows, plan=_blocked(BLOCKERS_KEPT + 5), in_sync=False)
    assert (len(status["nodes"]), status["truncated"]) == (NODES_KEPT, True)
    assert len(status["pendingChange"]["blockedBy"]) == BLOCKERS_KEPT
    assert status["pendingChange"]["blockedByCount"] == BLOCKERS_KEPT + 5


def test_only_a_store_that_was_written_is_pinned() -> None:
    """A wrong spec.etcd.api can be corrected while nothing was written; a refused way back keeps the old store."""
    refused = _acting(Action.REFUSE)
    assert "api" not in _status(**refused)["etcd"]
    written = _status()
    assert written["etcd"]["api"] == "V3"
    back = replace(NETWORK, etcd=replace(NETWORK.etcd, api=Api.V2))
    again = status_of(_seen(**_acting(Action.REFUSE, network=back)), written, NOW)
    assert again["etcd"]["api"] == "V3"
    assert again["applied"] == written["applied"]


def test_absent_values_of_a_change_are_left_out() -> None:
    """The schema allows no null: what there was not is not named."""
    change = Change("EnableNFTables", None, new=True, change_class=ChangeClass.RESTART)
    (told,) = pending(replace(NOTHING, changes=(change,)))["changes"]
    assert told == {"field": "EnableNFTables", "class": "Restart", "to": "true"}


@pytest.mark.parametrize(
    ("changes", "kind", "expected"),
    [
        (_acting(Action.WRITE, value="{}", contended=True), "ConfigApplied", ("False", "Contended")),
        (_acting(Action.WRITE), "ConfigApplied", ("False", "SecretUnknown")),
        (_acting(Action.REPORT, drifted=True), "DriftDetected", ("True", "ChangedBySomebodyElse")),
        (_acting(Action.REFUSE), "Stalled", ("True", "Refused")),
        (_problem(Severity.ERROR), "ConfigValid", ("False", "Invalid")),
        (_problem(Severity.WARNING), "ConfigValid", ("True", "Warnings")),
        ({"network": replace(NETWORK, lease_gc=LeaseGc(enabled=True))}, "ConfigValid", ("True", "Warnings")),
        (_acting(Action.REPORT, network=replace(NETWORK, paused=True)), "ConfigApplied", ("False", "Paused")),
        ({"rows": (_row(restart=True),)}, "RestartRequired", ("True", "OldConfigRuns")),
        ({"tally": replace(NOBODY, duplicate=2)}, "LeasesHealthy", ("False", "OddLeases")),
        ({"tally": replace(NOBODY, orphaned=1)}, "LeasesHealthy", ("True", "Healthy")),
        ({"room": (255, 230)}, "CapacityOK", ("False", "LowCapacity")),
        ({"room": (3, 3)}, "CapacityOK", ("False", "OutOfSubnets")),
        ({"room": None, "live": None}, "CapacityOK", ("Unknown", "NoConfig")),
        (
            {"plan": replace(_blocked(), blocked_by=(Blocker("adoption"),))},
            "ChangeBlocked",
            ("True", "AdoptionDiffers"),
        ),
    ],
)
def test_each_state_has_its_condition(changes: dict[str, Any], kind: str, expected: tuple[str, str]) -> None:
    """One thing that is not as it should be, and the reason that programs read."""
    assert _condition(_status(**changes), kind) == expected


def test_trouble_leaves_what_was_known() -> None:
    """Only Ready, the condition at fault, the phase and the members' answers change; back and forth moves times."""
    before = _status(rows=(_row(restart=True),))
    error = error_of({"https://10.0.0.1:2379": Failure(Reason.CLIENT_FOREIGN, "TLS: unknown ca")})
    after = trouble_status(NETWORK, of_etcd(error), before, NOW + timedelta(hours=1))
    assert after["phase"] == "Degraded"
    assert _condition(after, "CredentialsValid") == ("False", "ClientCertificateForeign")
    assert _condition(after, "EtcdReachable") == ("False", "ClientCertificateForeign")
    assert _condition(after, "ConfigApplied") == ("True", "InSync")
    for kept in ("applied", "leases", "nodes", "capacity"):
        assert after[kept] == before[kept]
    assert after["etcd"]["clusterID"] == "c1"
    assert [each["ok"] for each in after["etcd"]["endpoints"]] == [False]
    assert {each["type"] for each in flips(before, after)} == {"Ready", "CredentialsValid", "EtcdReachable"}
    assert recorded_restarts(after) == {"172.30.19.0/24": True}
    assert patch_of(after, trouble_status(NETWORK, of_etcd(error), after, NOW + timedelta(hours=2))) is None


def test_whose_fault_it_is_is_told() -> None:
    """What a Secret can mend is a matter of credentials, what it cannot is etcd's; nobody asked is not known."""
    refused = error_of({"https://10.0.0.1:2379": Failure(Reason.REFUSED, "a port that nothing listens on")})
    assert of_etcd(refused).condition == ETCD
    own = EtcdError(Reason.CLIENT_EXPIRED, "", "expected one that is valid, found none: renew it")
    assert of_etcd(own).condition == CREDENTIALS
    status = trouble_status(NETWORK, of_etcd(own), {}, NOW)
    assert _condition(status, "EtcdReachable") == ("Unknown", "ClientCertificateExpired")
    assert "etcd" not in status


def _body(name: str = "pods", network: str = "172.30.0.0/16", **status: Any) -> dict[str, Any]:
    spec = {
        "etcd": {"endpoints": ["https://10.0.0.1:2379"], "api": "V3"},
        "flannelVersion": "0.28.10",
        "network": network,
        "backend": {"type": "vxlan"},
    }
    return {"kind": "FlannelNetwork", "metadata": {"name": name, "generation": 3}, "spec": spec, "status": status}


def test_ranges_are_known_of_what_cannot_be_read() -> None:
    """What is asked for and what is in use are reserved; a spec from the future is reserved as far as it is read."""
    applied = {"value": '{"Network":"172.31.0.0/16","IPv6Network":"fc00::/48"}'}
    known = read_known(_body(applied=applied))
    assert set(known.ranges) == {ip_network(text) for text in ("172.30.0.0/16", "172.31.0.0/16", "fc00::/48")}
    odd = _body()
    odd["spec"]["backend"]["type"] = "carrier-pigeon"
    assert (read_known(odd).network, read_known(odd).ranges) == (None, (ip_network("172.30.0.0/16"),))


def test_sums_go_over_all_networks() -> None:
    """In sync means every one; leases are added up; the fewest free subnets count; without networks nothing is said."""
    ready = [{"type": "Ready", "status": "True", "reason": "InSync", "message": ""}]
    first = read_known(
        _body(
            observedGeneration=3,
            conditions=ready,
            leases={"total": 2, "foreignBackend": 1},
            capacity={"free": 9},
            nodes=[{"restartNeeded": True}],
        )
    )
    second = read_known(_body("other", observedGeneration=2, conditions=ready, leases={"total": 1}))
    found = totals([first, second])
    assert found is not None
    synced, leases, free = found
    assert (synced, leases["total"], leases["foreign_backend"], leases[RESTART], free) == (False, 3, 1, 1, 9)
    assert set(leases) == {*LEASE_STATES.values(), RESTART}
    assert totals([first]) == (True, first.leases, 9)
    assert totals([]) is None


def test_the_gauges_are_there_only_with_networks() -> None:
    """Without a network no alert has anything to compare with; with one the label is its state."""
    empty = Snapshot({}, {}, 0, 0, {}, {}, leader=True, earliest_expiry={})
    some = empty._replace(flannel=FlannelState(in_sync=False, leases={"total": 2}, subnets_free=None))
    states = [empty, some]
    metrics = Metrics(CollectorRegistry())
    metrics.registry.register(StateCollector(lambda: states.pop(0)))
    assert not [family for family in metrics.registry.collect() if "flannel" in family.name]
    told = {
        (sample.name, *sample.labels.values()): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if "flannel" in sample.name
    }
    assert told == {("nodegate_flannel_config_in_sync",): 0, ("nodegate_flannel_leases", "total"): 2}
