"""What is told of verdicts: once for each change, in the log, the metrics, an event and the enrollment's status."""

import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from nodegate.csr.decide import judge
from nodegate.csr.model import Case, Judgement
from nodegate.csr.report import Reports
from nodegate.enrollment.model import Decided, Mode, NodeName, State
from nodegate.errors import Forbidden, Unavailable
from nodegate.kube.client import ApiClient
from nodegate.kube.credentials import Credentials, TokenSource
from nodegate.metrics import Metrics
from nodegate.outbox import Outbox
from tests.builders import make_case, make_csr, make_enrollment, make_node, make_renewal

_BODY = {"metadata": {"name": "csr-7x2kq", "uid": "5f0c3a52-0a51-4d1c-9f0e-3c3f8f6f2b10"}}


class Told:
    """Reports and everything that they told."""

    def __init__(self, client: ApiClient) -> None:
        self.metrics = Metrics(CollectorRegistry())
        self.outbox = Outbox(client, self.metrics, lambda: False)
        self.notes: list[tuple[NodeName, Decided]] = []
        self.reports = Reports(self.metrics, self.outbox, lambda name, decided: self.notes.append((name, decided)))

    def tell(self, case: Case, mode: Mode = Mode.ENFORCE) -> Judgement:
        """Judge a case and tell of it."""
        judgement = judge(case)
        self.reports.verdict(judgement, _BODY, mode=mode, seconds=0.001)
        return judgement

    def sample(self, name: str, **labels: str) -> float | None:
        """Return a metric's value."""
        return self.metrics.registry.get_sample_value(f"nodegate_{name}", labels)

    def events(self) -> list[Any]:
        """Return the events that wait."""
        return list(self.outbox._waiting)


@pytest.fixture(name="told")
async def _told(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Told]:
    """Reports around a client that is never used."""
    caplog.set_level(logging.INFO)
    client = ApiClient(Credentials("http://127.0.0.1:9", None, TokenSource()))
    yield Told(client)
    await client.close()


def _held(**fields: Any) -> Case:
    return make_case(enrollment=make_enrollment(state=State.SUSPENDED), **fields)


def _audits(caplog: pytest.LogCaptureFixture) -> list[Any]:
    return [record.fields for record in caplog.records if record.name == "nodegate.audit"]  # type: ignore[attr-defined]  # set by `extra`


def test_approval_is_an_audit_line_a_count_and_a_note(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    """An approval makes no event: audit line, counter, time and the enrollment's last decision tell it."""
    told.tell(make_case())

    (line,) = _audits(caplog)
    assert (line["verdict"], line["reasons"], line["mode"]) == ("Approve", ["BootstrapApproved"], "Enforce")
    assert (line["csrUID"], line["enrollmentGeneration"]) == (_BODY["metadata"]["uid"], 1)
    assert told.events() == []
    assert told.sample("csr_time_to_decision_seconds_count") == 1
    ((name, decided),) = told.notes
    assert (name, decided.verdict, decided.reason) == ("node-a", "Approve", "BootstrapApproved")


def test_hold_makes_one_event(told: Told) -> None:
    """A hold is an event on the request, once; its time to a decision goes on."""
    told.tell(_held())
    told.tell(_held())

    (event,) = told.events()
    assert (event.type, event.action, event.reason) == ("Warning", "Hold", "EnrollmentSuspended")
    assert event.regarding == {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        **_BODY["metadata"],
    }
    assert told.sample("csr_time_to_decision_seconds_count") == 0
    assert len(told.notes) == 1


def test_every_judging_is_timed_and_only_changes_are_counted(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    """Three looks at one hold are three timings, one count and one audit line."""
    for _ in range(3):
        told.tell(_held())

    assert told.sample("csr_decision_seconds_count") == 3
    labels = {"signer": "kubernetes.io/kube-apiserver-client-kubelet", "kind": "bootstrap"}
    assert told.sample("csr_decisions_total", **labels, verdict="hold", reason="enrollment_suspended") == 1
    assert len(_audits(caplog)) == 1


def test_held_gauge_follows_the_verdict(told: Told) -> None:
    """A request is held until another verdict is told of it, or it is forgotten."""
    told.tell(_held())
    assert told.reports.held() == {"enrollment_suspended": 1}
    told.tell(make_case(enrollment=None))
    assert told.reports.held() == {"not_enrolled": 1}
    told.tell(make_case())
    assert told.reports.held() == {}
    told.tell(_held())
    told.reports.forget("csr-7x2kq")
    assert told.reports.held() == {}


def test_forgotten_is_told_anew(told: Told) -> None:
    """A request that was forgotten and comes again is told again."""
    told.tell(_held())
    told.reports.forget("csr-7x2kq")
    told.tell(_held())

    assert len(told.events()) == 2


def test_another_uid_of_the_same_name_is_told(told: Told) -> None:
    """A new request under an old name is another request."""
    told.tell(_held())
    told.tell(_held(csr=make_csr(uid="another")))

    assert len(told.events()) == 2


def test_audited_approval_is_told_again_when_it_is_written(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    """Under Audit an approval is only reported; the one that is written later has its own line and time."""
    told.tell(make_case(enrollment=make_enrollment(mode=Mode.AUDIT)), Mode.AUDIT)
    assert told.sample("csr_time_to_decision_seconds_count") == 0

    told.tell(make_case())

    assert [line["mode"] for line in _audits(caplog)] == ["Audit", "Enforce"]
    assert told.sample("csr_time_to_decision_seconds_count") == 1


def test_ignored_makes_neither_event_nor_note(told: Told) -> None:
    """A stranger's request is counted and audited, and left alone."""
    told.tell(make_case(csr=make_csr(username="jane", groups=frozenset())))

    assert told.events() == []
    assert told.notes == []


def test_denial_without_enrollment_makes_no_note(told: Told) -> None:
    """There is no status to write to without an enrollment; the event is posted all the same."""
    told.tell(make_case(enrollment=None, csr=make_renewal(groups=frozenset()), node=make_node()))

    assert told.notes == []
    assert [event.action for event in told.events()] == ["Deny"]


def test_trouble_is_said_once_until_it_is_over(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    """A flood of refusals is one warning, the newest is shown, and its end is said once."""
    told.reports.trouble(Forbidden(403, "Forbidden", "no"))
    told.reports.trouble(Unavailable(503, "Busy", "later"))
    problems = [told.reports.problem]
    told.reports.trouble(None)
    told.reports.trouble(None)

    assert [*problems, told.reports.problem] == ["503 Busy: later", None]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
