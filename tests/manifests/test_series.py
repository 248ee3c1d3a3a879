"""How many series one operator exports: a number that the cluster's size does not change.

Thousands of judged requests, enrollments and calls go through the program's own collectors. Rules: an ordinary
day stays within the budget; a day on which everything happens at least stays where it is.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from prometheus_client import CollectorRegistry

from nodegate.csr.apply import CSR_PATH
from nodegate.csr.decide import judge
from nodegate.csr.model import Judgement, Reason
from nodegate.csr.report import Reports
from nodegate.enrollment.apply import ENROLLMENT_PATH
from nodegate.enrollment.model import Mode, Phase
from nodegate.kube.auth import ACCESS_REVIEWS, TOKEN_REVIEWS
from nodegate.kube.client import ApiClient
from nodegate.kube.credentials import Credentials, TokenSource
from nodegate.kube.observer import RELIST_REASONS
from nodegate.kube.paths import object_path, resource_of
from nodegate.metrics import Metrics, Snapshot, StateCollector
from nodegate.names import MANAGED_SIGNERS
from nodegate.observed import CertificateKind
from nodegate.outbox import Outbox
from tests.builders import case_from_vector, load_vectors

ORDINARY = 500
"""Series that one operator may export on an ordinary day."""

ANY_DAY = 500
"""Series that one operator may export when every reason, code and failure has occurred."""

_FOLLOWED = (
    CSR_PATH,
    ENROLLMENT_PATH,
    "/api/v1/nodes",
    "/apis/networking.k8s.io/v1/servicecidrs",
    "/api/v1/namespaces/default/services",
    "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
)
_LEASE = "/apis/coordination.k8s.io/v1/namespaces/nodegate-system/leases/nodegate"
_CALLS = (
    *((verb, path) for path in _FOLLOWED for verb in ("list", "watch")),
    *((verb, _LEASE) for verb in ("get", "update", "create")),
    ("create", "/apis/events.k8s.io/v1/namespaces/default/events"),
    ("create", TOKEN_REVIEWS),
    ("create", ACCESS_REVIEWS),
)
"""The operator's calls that name no request and no enrollment."""

_ORDINARY_REASONS = {
    Reason.BOOTSTRAP_APPROVED,
    Reason.RENEWAL_APPROVED,
    Reason.SERVING_APPROVED,
    Reason.NOT_ENROLLED,
    Reason.ENROLLMENT_NOT_READY,
    Reason.ENROLLMENT_SUSPENDED,
    Reason.REQUESTER_NOT_MANAGED,
}


class _Fed:
    """Metrics, with what feeds them."""

    def __init__(self, client: ApiClient, metrics: Metrics) -> None:
        self.metrics = metrics
        self.reports = Reports(metrics, Outbox(client, metrics, lambda: False), lambda *_: None)
        self.phases = Counter[str]()
        metrics.registry.register(StateCollector(self._snapshot))

    def _snapshot(self) -> Snapshot:
        return Snapshot(
            pending=dict.fromkeys(MANAGED_SIGNERS, 5000),
            held=self.reports.held(),
            oldest_pending_age_s=1.0,
            queue_depth=5000,
            enrollments=dict.fromkeys(Phase, 0) | self.phases,
            last_event={resource_of(path): 1.0 for path in _FOLLOWED},
            leader=True,
            earliest_expiry=dict.fromkeys(CertificateKind, 1.0),
        )

    def feed(self, judgements: Sequence[Judgement], numbers: range, codes: Sequence[str]) -> None:
        """Have requests and enrollments of these numbers judged, and their calls answered with these codes in turn."""
        for number in numbers:
            judgement = judgements[number % len(judgements)]
            csr = replace(judgement.csr, name=f"csr-{number}", uid=f"uid-{number}")
            body = {"metadata": {"name": csr.name, "uid": csr.uid}}
            self.reports.verdict(replace(judgement, csr=csr), body, mode=Mode.ENFORCE, seconds=0.001)
            self.phases[list(Phase)[number % len(Phase)]] += 1
            for verb, path in (*_own_calls(number), *_CALLS):
                self.metrics.observe(verb, resource_of(path), codes[number % len(codes)], 0.01)

    def series(self) -> int:
        """Return how many series a scrape gets."""
        return sum(len(family.samples) for family in self.metrics.registry.collect())


@asynccontextmanager
async def _fed() -> AsyncIterator[_Fed]:
    metrics = Metrics(CollectorRegistry())
    client = ApiClient(Credentials("http://127.0.0.1:9", None, TokenSource("none")), metrics)
    try:
        yield _Fed(client, metrics)
    finally:
        await client.close()


def _own_calls(number: int) -> Iterator[tuple[str, str]]:
    """Yield the calls that one request and its enrollment lead to."""
    csr, enrollment = object_path(CSR_PATH, f"csr-{number}"), object_path(ENROLLMENT_PATH, f"node-{number}")
    yield from (("get", csr), ("update", f"{csr}/approval"), ("get", enrollment), ("patch", f"{enrollment}/status"))


def _judgements() -> list[Judgement]:
    """Return the judgement of every vector."""
    return [judge(case_from_vector(vector)) for vector in load_vectors()]


async def test_an_ordinary_day_stays_within_the_budget() -> None:
    """Five thousand requests that are approved, held or ignored, and as many enrollments: at most 500 series."""
    ordinary = [judgement for judgement in _judgements() if set(judgement.reasons) <= _ORDINARY_REASONS]
    async with _fed() as fed:
        fed.feed(ordinary, range(5000), ["200"])
        fed.metrics.relist("nodes", "start")
        fed.metrics.relist("nodes", "periodic")

        assert {judgement.reasons[0] for judgement in ordinary} == _ORDINARY_REASONS
        assert fed.series() <= ORDINARY


async def test_any_day_makes_no_more_series_than_there_are_reasons() -> None:
    """With every vector's reasons and every call failing in two ways, 5,000 requests export what 1,000 did."""
    judgements = _judgements()
    async with _fed() as fed:
        for path in _FOLLOWED:
            fed.metrics.skipped(resource_of(path))
        for reason in RELIST_REASONS:
            fed.metrics.relist("nodes", reason)
        fed.feed(judgements, range(1000), ["200", "409", "error"])
        before = fed.series()
        fed.feed(judgements, range(1000, 5000), ["200", "409", "error"])

        assert len(fed.reports.held()) > 10
        assert fed.series() == before <= ANY_DAY
