"""The metrics: every name that monitoring may rely on, closed label sets, gauges that follow the stores."""

import base64
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from hack.bench.load import request_pem
from nodegate import __version__
from nodegate.csr.model import Reason
from nodegate.enrollment.apply import ENROLLMENT_PATH
from nodegate.enrollment.model import Phase
from nodegate.metrics import Metrics, Snapshot, StateCollector
from tests.unit.fake_cluster import World, run_world

COUNTERS = {
    "nodegate_csr_decisions_total": {"signer", "kind", "verdict", "reason"},
    "nodegate_enrollment_joins_total": set(),
    "nodegate_tokens_issued_total": set(),
    "nodegate_rate_limited_total": set(),
    "nodegate_foreign_approvals_total": set(),
    "nodegate_issued_mismatch_total": set(),
    "nodegate_signer_failures_total": set(),
    "nodegate_api_requests_total": {"verb", "resource", "code"},
    "nodegate_relists_total": {"reason"},
    "nodegate_objects_skipped_total": {"resource"},
    "nodegate_events_dropped_total": set(),
    "nodegate_work_failures_total": {"queue"},
    "nodegate_kopf_restarts_total": set(),
}
HISTOGRAMS = {
    "nodegate_csr_decision_seconds": set(),
    "nodegate_csr_time_to_decision_seconds": set(),
    "nodegate_api_request_seconds": {"verb", "resource"},
}
GAUGES = {
    "nodegate_csr_pending": {"signer"},
    "nodegate_csr_held": {"reason"},
    "nodegate_csr_oldest_pending_age_seconds": set(),
    "nodegate_csr_queue_depth": set(),
    "nodegate_enrollments": {"phase"},
    "nodegate_watch_last_event_timestamp_seconds": {"resource"},
    "nodegate_leader": set(),
    "nodegate_certificate_earliest_expiry_timestamp_seconds": {"kind"},
    "nodegate_build_info": {"version"},
    "nodegate_competing_approver": {"kind"},
}
"""Names and labels, as the design and the dashboards have them."""

_STATE = Snapshot(
    pending={"kubernetes.io/kubelet-serving": 2},
    held={"not_enrolled": 1},
    oldest_pending_age_s=7.5,
    queue_depth=3,
    enrollments={phase: number for number, phase in enumerate(Phase)},
    last_event={"nodes": 1234.5},
    leader=True,
    earliest_expiry={"client": 4321.5},
)


@pytest.fixture(name="metrics")
def _metrics() -> Metrics:
    """Metrics with a state to show."""
    metrics = Metrics(CollectorRegistry())
    metrics.registry.register(StateCollector(lambda: _STATE))
    return metrics


def _fill(metrics: Metrics) -> None:
    """Give every labelled metric a series."""
    metrics.decisions.labels("s", "bootstrap", "hold", "not_enrolled").inc()
    metrics.observe("get", "nodes", "200", 0.1)
    metrics.relist("nodes", "start")
    metrics.event("nodes")
    metrics.skipped("nodes")
    metrics.failures.labels("requests").inc()
    metrics.competing_approver.labels("renewal").set(1)


def _families(metrics: Metrics) -> dict[str, Any]:
    text = generate_latest(metrics.registry).decode()
    return {family.name: family for family in text_string_to_metric_families(text) if family.name[:8] == "nodegate"}


def test_every_name_is_exported(metrics: Metrics) -> None:
    """Exactly these, under exactly these names: a dashboard breaks on any other."""
    _fill(metrics)
    samples = {sample.name: sample for family in _families(metrics).values() for sample in family.samples}
    plain = {*COUNTERS, *GAUGES}
    histograms = {f"{name}_{part}" for name in HISTOGRAMS for part in ("bucket", "count", "sum")}

    assert set(samples) == plain | histograms
    for name, labels in (COUNTERS | GAUGES).items():
        assert set(samples[name].labels) == labels, name
    for name, labels in HISTOGRAMS.items():
        assert set(samples[f"{name}_count"].labels) == labels, name


def test_every_metric_says_what_it_is(metrics: Metrics) -> None:
    """Each has a type and a sentence; no second series tells when a counter was made."""
    _fill(metrics)
    families = _families(metrics)

    assert all(family.documentation.endswith(".") for family in families.values())
    kinds = {name: family.type for name, family in families.items()}
    assert kinds == {
        **{name.removesuffix("_total"): "counter" for name in COUNTERS},
        **dict.fromkeys(HISTOGRAMS, "histogram"),
        **dict.fromkeys(GAUGES, "gauge"),
    }
    assert b"_created" not in generate_latest(metrics.registry)


def test_state_is_computed_when_asked() -> None:
    """The gauges say what the state is at the moment of the scrape, not what it was before."""
    states = [_STATE, _STATE._replace(queue_depth=0, leader=False, held={})]
    metrics = Metrics(CollectorRegistry())
    metrics.registry.register(StateCollector(lambda: states.pop(0)))

    before = {(s.name, *s.labels.values()): s.value for family in _families(metrics).values() for s in family.samples}
    after = {(s.name, *s.labels.values()): s.value for family in _families(metrics).values() for s in family.samples}

    assert before["nodegate_csr_pending", "kubernetes.io/kubelet-serving"] == 2
    assert before["nodegate_csr_held", "not_enrolled"] == 1
    assert before["nodegate_csr_oldest_pending_age_seconds",] == 7.5
    assert (before["nodegate_csr_queue_depth",], after["nodegate_csr_queue_depth",]) == (3, 0)
    assert before["nodegate_enrollments", "Conflict"] == list(Phase).index(Phase.CONFLICT)
    assert before["nodegate_watch_last_event_timestamp_seconds", "nodes"] == 1234.5
    assert (before["nodegate_leader",], after["nodegate_leader",]) == (1, 0)
    assert ("nodegate_csr_held", "not_enrolled") not in after


def test_build_info_names_the_version(metrics: Metrics) -> None:
    """The version is a label of a series that is always 1."""
    assert metrics.registry.get_sample_value("nodegate_build_info", {"version": __version__}) == 1


def test_reason_labels_are_snake_case() -> None:
    """A label is the reason's own words, so that searching for one finds the other."""
    assert Reason.SUBJECT_ALT_NAME_NOT_ON_NODE.label == "subject_alt_name_not_on_node"
    assert len({reason.label for reason in Reason}) == len(Reason)


async def _join(world: World, number: int) -> None:
    """Have a node of its own name join by a request of its own name, with a key of its own."""
    token_id = f"t{number:05}"  # Its own: one that all share would be over its rate.
    world.cluster.enroll(f"node-{number}", bootstrap={"tokenID": token_id})
    metadata, username = {"name": f"csr-{number}", "uid": f"u-{number}"}, f"system:bootstrap:{token_id}"
    request = base64.b64encode(request_pem(f"node-{number}")).decode()
    world.cluster.ask(metadata=metadata, username=username, request=request)


def _series(world: World) -> int:
    return sum(len(family.samples) for family in world.metrics.registry.collect())


async def test_names_never_become_labels() -> None:
    """Three hundred nodes and requests make as many series as one: no name of theirs is a label."""
    async with run_world() as world:
        await _join(world, 0)
        await world.sync()
        await world.judge("csr-0")
        before = _series(world)
        for number in range(1, 301):
            await _join(world, number)
        await world.sync()
        for number in range(1, 301):
            await world.judge(f"csr-{number}")

        assert world.told("approve", "bootstrap_approved") == 301
        assert len(world.cluster.objects[ENROLLMENT_PATH]) == 301
        assert _series(world) == before
