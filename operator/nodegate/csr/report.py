"""Verdicts in; audit lines, metrics, events and the enrollment's last decision out.

Rules: each change of verdict is told once, however often a request is judged; events are for what a
person may have to act on (Hold, Deny); nothing here waits or fails: events go to an outbox, the
enrollment's status to its own queue. Of a requester over its rate one event in a while is enough, and
no status.
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from nodegate.clock import now
from nodegate.csr.limits import EVENT_GAP_S, Sparing
from nodegate.csr.model import Approve, Deny, Hold, Ignore, Judgement, Reason
from nodegate.csr.render import audit, event, message, verdict_name
from nodegate.enrollment.model import Decided, Mode, NodeName
from nodegate.errors import ApiError
from nodegate.metrics import Metrics
from nodegate.outbox import Outbox

_audit = logging.getLogger("nodegate.audit")
_log = logging.getLogger("nodegate.csr")

_Verdict = tuple[str, Mode, str, tuple[str, ...]]


class Reports:
    """Tells of verdicts; also knows what is held now and whether approvals can be written."""

    def __init__(self, metrics: Metrics, outbox: Outbox, note: Callable[[NodeName, Decided], None]) -> None:
        self._metrics = metrics
        self._outbox = outbox
        self._note = note
        self._last: dict[str, _Verdict] = {}
        self._held: dict[str, str] = {}
        self._floods = Sparing(EVENT_GAP_S)
        self.problem: str | None = None
        """Why approvals cannot be written, or None."""

    def verdict(self, judgement: Judgement, body: Mapping[str, Any], *, mode: Mode, seconds: float) -> None:
        """Tell of a verdict, once for each change."""
        self._metrics.decision_seconds.observe(seconds)
        csr, name = judgement.csr, verdict_name(judgement.verdict)
        # A verdict that was only reported under Audit is told again when it is written.
        verdict = (csr.uid, mode, name, judgement.reasons)
        if self._last.get(csr.name) == verdict:
            return
        self._last[csr.name] = verdict
        self._held.pop(csr.name, None)
        if isinstance(judgement.verdict, Hold):
            self._held[csr.name] = judgement.reasons[0].label
        self._metrics.decisions.labels(csr.signer, csr.kind, name.lower(), judgement.reasons[0].label).inc()
        _audit.info("%s", name, extra={"fields": audit(judgement, mode=mode, seconds=seconds)})
        self._measure_wait(judgement, mode)
        if Reason.RATE_LIMITED in judgement.reasons:
            self._metrics.rate_limited.inc()
            if self._floods.may_say(csr.username, now().timestamp()):
                self._post(judgement, body)
            return
        self._post(judgement, body)
        self._note_decision(judgement)

    def _measure_wait(self, judgement: Judgement, mode: Mode) -> None:
        written = isinstance(judgement.verdict, Approve | Deny) and mode is Mode.ENFORCE
        if written and judgement.csr.created is not None:
            self._metrics.time_to_decision.observe(max(0.0, (now() - judgement.csr.created).total_seconds()))

    def _post(self, judgement: Judgement, body: Mapping[str, Any]) -> None:
        text = event(judgement)
        if text is None:
            return
        regarding = {
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "name": body["metadata"]["name"],
            "uid": body["metadata"]["uid"],
        }
        self._outbox.add(regarding, text.type, text.reason, text.action, text.note)

    def _note_decision(self, judgement: Judgement) -> None:
        if judgement.enrollment is None or isinstance(judgement.verdict, Ignore):
            return
        decided = Decided(
            csr_name=judgement.csr.name,
            verdict=verdict_name(judgement.verdict),
            reason=str(judgement.reasons[0]),
            message=message(judgement),
            time=now(),
        )
        self._note(judgement.enrollment.name, decided)

    def forget(self, name: str) -> None:
        """Forget a request that needs no verdict any more."""
        self._last.pop(name, None)
        self._held.pop(name, None)

    def held(self) -> Mapping[str, int]:
        """Return how many requests are held, by the label of the reason that counts most."""
        return Counter(self._held.values())

    def trouble(self, error: ApiError | None) -> None:
        """Note that approvals cannot be written, or that they can again; each is said once."""
        problem = str(error) if error is not None else None
        if problem is not None and self.problem is None:
            _log.warning("cannot read or write what a decision needs; trying again: %s", problem)
        elif problem is None and self.problem is not None:
            _log.info("decisions can be written again")
        self.problem = problem
