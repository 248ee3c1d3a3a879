"""What the operator counts and measures, for Prometheus.

Rules: every label comes from a closed set, never a node's or a request's name; gauges of the present
state are computed at scrape from the stores, so they cannot drift; names are an API and change only
with a changelog entry.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from nodegate import __version__

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
"""Bucket bounds of latencies, in seconds: from one decision to the kubelet's own patience."""

CALLS = (0.005, 0.01, 0.05, 0.25, 1, 5, 30)
"""Bucket bounds of calls to the API server, in seconds: few, because each verb and resource has a set of them."""

BRIEF = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.1, 1)
"""Bucket bounds of pure computing, in seconds."""


class FlannelState(NamedTuple):
    """How the FlannelNetworks stand, all of them together."""

    in_sync: bool
    """Whether every network's config is what its resource asks for."""

    leases: Mapping[str, int]
    """Leases, by what is odd about them; one lease may count twice, ``total`` counts each once."""

    subnets_free: int | None
    """Subnets that are left in the network that has fewest; None when no network has a config."""


class Snapshot(NamedTuple):
    """The present state, as the stores know it at one scrape."""

    pending: Mapping[str, int]
    """Undecided requests, by signer."""

    held: Mapping[str, int]
    """Held requests, by the label of the reason that counts most."""

    oldest_pending_age_s: float
    queue_depth: int
    enrollments: Mapping[str, int]
    """Enrollments, by phase."""

    last_event: Mapping[str, float]
    """Unix seconds of the last sign of life, by watched resource."""

    leader: bool
    earliest_expiry: Mapping[str, float]
    """Unix seconds at which the first certificate of a node in the cluster ends, by kind; only kinds that are known."""

    flannel: FlannelState | None = None
    """None without FlannelNetworks."""


class StateCollector(Collector):
    """Computes the gauges of the present state when somebody asks."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterable[Metric]:
        """Yield the gauges."""
        state = self._snapshot()
        yield _gauge("csr_pending", "Undecided requests of our signers.", "signer", state.pending)
        yield _gauge("csr_held", "Requests that are held, by reason.", "reason", state.held)
        yield _single(
            "csr_oldest_pending_age_seconds",
            "Age of the oldest undecided request, those left out that a kubelet has given up.",
            state.oldest_pending_age_s,
        )
        yield _single("csr_queue_depth", "Requests that wait for a worker.", state.queue_depth)
        yield _gauge("enrollments", "NodeEnrollments, by phase.", "phase", state.enrollments)
        yield _gauge(
            "watch_last_event_timestamp_seconds", "Last sign of life of a watch.", "resource", state.last_event
        )
        yield _gauge(
            "certificate_earliest_expiry_timestamp_seconds",
            "When the first recorded certificate of a node that is in the cluster ends.",
            "kind",
            state.earliest_expiry,
        )
        yield _single("leader", "1 while this process acts, 0 while it waits.", float(state.leader))
        if state.flannel is not None:
            yield from _flannel(state.flannel)

    def describe(self) -> Iterable[Metric]:
        """Yield nothing: the names are known only when the state is."""
        return ()


def _flannel(state: FlannelState) -> Iterable[Metric]:
    synced = "1 while every FlannelNetwork's config in etcd is what it asks for."
    yield _single("flannel_config_in_sync", synced, float(state.in_sync))
    yield _gauge("flannel_leases", "Subnets that nodes hold, by what is odd about them.", "state", state.leases)
    if state.subnets_free is not None:
        free = "Subnets that are left in the FlannelNetwork that has fewest."
        yield _single("flannel_subnets_free", free, state.subnets_free)


def _gauge(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"nodegate_{name}", text, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key], value)
    return family


def _single(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"nodegate_{name}", text, value=value)


class Metrics:
    """Every counter and histogram, on one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # a second series for each counter that nobody reads
        self.registry = registry
        self.decisions = Counter(
            "nodegate_csr_decisions_total",
            "Changes of verdict.",
            ["signer", "kind", "verdict", "reason"],
            registry=registry,
        )
        self.decision_seconds = Histogram(
            "nodegate_csr_decision_seconds", "Time to judge one request.", buckets=BRIEF, registry=registry
        )
        self.time_to_decision = Histogram(
            "nodegate_csr_time_to_decision_seconds",
            "From a request's creation (whole seconds) to its approval or denial.",
            buckets=SECONDS,
            registry=registry,
        )
        self.rate_limited = Counter(
            "nodegate_rate_limited_total",
            "Requests held because their requester asks too often.",
            registry=registry,
        )
        self.tokens_issued = Counter(
            "nodegate_tokens_issued_total", "Bootstrap tokens made for one node each.", registry=registry
        )
        self.joins = Counter(
            "nodegate_enrollment_joins_total", "Keys recorded for a first certificate.", registry=registry
        )
        self.competing_approver = Gauge(
            "nodegate_competing_approver",
            "1 while the controller manager approves such requests itself, NaN while nobody knows.",
            ["kind"],
            registry=registry,
        )
        self._count_aftermath(registry)
        self._count_api(registry)
        self._count_process(registry)

    def _count_aftermath(self, registry: CollectorRegistry) -> None:
        self.foreign_approvals = Counter(
            "nodegate_foreign_approvals_total", "Requests that somebody else approved.", registry=registry
        )
        self.issued_mismatches = Counter(
            "nodegate_issued_mismatch_total", "Certificates that are not what was approved.", registry=registry
        )
        self.signer_failures = Counter(
            "nodegate_signer_failures_total", "Approvals of nodegate that the signer refused.", registry=registry
        )

    def _count_api(self, registry: CollectorRegistry) -> None:
        self.api_requests = Counter(
            "nodegate_api_requests_total",
            "Requests to the API server.",
            ["verb", "resource", "code"],
            registry=registry,
        )
        self.api_seconds = Histogram(
            "nodegate_api_request_seconds",
            "Time of a request to the API server.",
            ["verb", "resource"],
            buckets=CALLS,
            registry=registry,
        )
        self.relists = Counter("nodegate_relists_total", "Complete lists, by reason.", ["reason"], registry=registry)
        self.objects_skipped = Counter(
            "nodegate_objects_skipped_total", "Objects that could not be read.", ["resource"], registry=registry
        )
        self.events_dropped = Counter(
            "nodegate_events_dropped_total", "Events not posted because too many waited.", registry=registry
        )

    def _count_process(self, registry: CollectorRegistry) -> None:
        self.failures = Counter(
            "nodegate_work_failures_total", "Unexpected errors that were tried again.", ["queue"], registry=registry
        )
        self.kopf_restarts = Counter(
            "nodegate_kopf_restarts_total", "Restarts of the lifecycle plane.", registry=registry
        )
        self.build_info = Gauge("nodegate_build_info", "Always 1.", ["version"], registry=registry)
        self.build_info.labels(__version__).set(1)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)

    def observe(self, verb: str, resource: str, code: str, seconds: float) -> None:
        """Count one request to the API server (`kube.observer.CallObserver`)."""
        self.api_requests.labels(verb, resource, code).inc()
        self.api_seconds.labels(verb, resource).observe(seconds)

    def relist(self, resource: str, reason: str) -> None:  # noqa: ARG002 - the observer's signature
        """Count a complete list (`kube.observer.InformerObserver`)."""
        self.relists.labels(reason).inc()

    def event(self, resource: str) -> None:
        """Watch events are not counted: the timestamps of the last ones say more."""

    def skipped(self, resource: str) -> None:
        """Count an object that could not be read."""
        self.objects_skipped.labels(resource).inc()
