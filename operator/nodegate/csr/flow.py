"""One undecided request from its name to its verdict, written and told.

The steps: take the object from the store, parse, judge by what the stores know; before anything is
written, judge again by a fresh enrollment. A first certificate's approval is preceded by recording
its key in the enrollment at the resourceVersion that was judged, so it fails when anything changed;
every other decision re-reads the enrollment. Telling (events, status, metrics) comes after the write
and never delays another decision. A requester that asks too often waits for its turn (``csr.limits``):
its requests are held, cost no call, and come back one by one as its rate allows.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from nodegate.clock import now
from nodegate.csr.apply import Written, read_request, write_condition
from nodegate.csr.decide import judge
from nodegate.csr.limits import Limits
from nodegate.csr.model import Approve, Case, CsrFacts, Deny, Hold, Ignore, Judgement, Kind, Reason
from nodegate.csr.parse import parse_csr
from nodegate.csr.render import condition
from nodegate.enrollment.model import Enrollment, Join, Mode, NodeName
from nodegate.errors import ApiError, Conflict, Forbidden, Invalid, Unauthorized, Unavailable
from nodegate.kube.client import ApiClient
from nodegate.kube.work import WorkQueue
from nodegate.text import visible

ROUNDS = 5
"""Times that a request is judged again at once because something changed, before it goes to the queue's end."""

FACTS_RETRY_S = 5.0
"""Seconds after which a request is judged again whose facts were missing: stores recover by themselves."""

RETRY_S = 1.0
"""Seconds, give or take half, after which a request is tried again that the API server did not answer."""

REFUSED_RETRY_S = 30.0
"""Seconds after which a write is tried again that a missing right or a policy refused: a person has to act first."""

_log = logging.getLogger("nodegate.csr")


class Facts(Protocol):
    """Where the flow gets its facts from."""

    def request(self, name: str) -> Mapping[str, Any] | None:
        """Return an undecided request's object, or None."""

    def known_enrollment(self, csr: CsrFacts) -> Enrollment | None:
        """Return the enrollment that a request names, as the store knows it."""

    def case(self, csr: CsrFacts, enrollment: Enrollment | None) -> Case:
        """Return everything that a decision rests on."""

    def note_node(self, name: str, node_name: NodeName | None) -> None:
        """Remember which node a pending request asks for."""

    def intend(self, name: str, uid: str) -> None:
        """Note that this process is about to approve a request."""


class Ledger(Protocol):
    """Where enrollments are read afresh and joins are recorded."""

    async def read(self, name: NodeName) -> Enrollment | None:
        """Read an enrollment from the API server; None when there is none."""

    async def record_join(self, enrollment: Enrollment, join: Join) -> None:
        """Record a key at the enrollment's resourceVersion.

        Raises:
            Conflict: The enrollment is not the one that was judged any more.
        """


class Reporter(Protocol):
    """Who is told of verdicts."""

    def verdict(self, judgement: Judgement, body: Mapping[str, Any], *, mode: Mode, seconds: float) -> None:
        """Tell of a verdict; saying the same again is for the reporter to notice."""

    def forget(self, name: str) -> None:
        """Forget a request that needs no verdict any more."""

    def trouble(self, error: ApiError | None) -> None:
        """Note that approvals cannot be written, or that they can again."""


class Enroller(Protocol):
    """Who may make what a request lacks."""

    async def attend(self, judgement: Judgement) -> Judgement:
        """Return the judgement, perhaps with a note why nothing was made.

        Raises:
            Conflict: Something was made: judge again.
        """


class RequestFlow:
    """Judges requests by name; made once, called by every worker."""

    def __init__(
        self,
        client: ApiClient,
        facts: Facts,
        ledger: Ledger,
        reporter: Reporter,
        queue: WorkQueue,
        clock: Callable[[], float] = time.monotonic,
        limits: Limits | None = None,
        enroller: Enroller | None = None,
    ) -> None:
        self._clock = clock
        self._limits = limits or Limits()
        self._enroller = enroller
        self._client = client
        self._facts = facts
        self._ledger = ledger
        self._reporter = reporter
        self._queue = queue
        self._unsure: dict[str, Decision] = {}
        self._written: dict[str, str] = {}
        self._refused: set[str] = set()

    async def handle(self, name: str) -> None:
        """Judge one request and act on the verdict; what the infrastructure refuses is tried again later."""
        await asyncio.sleep(0)  # Held requests are judged without a pause: let watches and probes in between.
        try:
            await self._handle(name)
        except (Forbidden, Unauthorized, Invalid) as error:
            self._refused.add(name)
            self._reporter.trouble(error)
            self._queue.add_after(name, REFUSED_RETRY_S)
        except (Unavailable, Conflict) as error:
            _log.debug("%s is judged again: %s", visible(name), error)
            self._queue.add_after(name, RETRY_S * random.uniform(0.5, 1.5))  # noqa: S311 - spreads retries
        else:
            self._accepted(name)

    async def _handle(self, name: str) -> None:
        body = self._facts.request(name)
        unsure = self._unsure.get(name)
        if unsure is not None:
            body = await read_request(self._client, name)
            del self._unsure[name]
            if body is not None and unsure.stands_in(body):
                self._tell(unsure)
                return
        if body is None:
            self._forget(name)
        elif self._written.get(name) != body["metadata"]["uid"] and self._has_turn(name, body):
            await self._decide(name, body)

    def _has_turn(self, name: str, body: Mapping[str, Any]) -> bool:
        """Tell whether a request may be looked at; one that was held back is not even read before its turn."""
        requester = body["spec"].get("username", "")
        if not self._limits.waits(name, body["metadata"]["uid"]) or self._limits.has_room(requester, self._clock()):
            return True
        self._call_next(requester)
        return False

    def _call_next(self, requester: str) -> None:
        """Have the requester's next waiting request looked at when its rate allows."""
        due = self._limits.due(requester, self._clock())
        if due is not None:
            self._queue.add_after(*due)

    def _accepted(self, name: str) -> None:
        """Note that nothing is refused for this request any more; with the last one the trouble is over."""
        if name in self._refused:
            self._refused.discard(name)
            if not self._refused:
                self._reporter.trouble(None)

    def _forget(self, name: str) -> None:
        self._written.pop(name, None)
        self._reporter.forget(name)
        requester = self._limits.forget(name)
        if requester is not None:
            self._call_next(requester)

    async def _decide(self, name: str, body: Mapping[str, Any]) -> None:
        """Judge and act until what was judged is what was written."""
        for _ in range(ROUNDS):
            decision = await self._judge(name, body)
            written = await self._write(name, decision)
            if written is Written.DONE:
                self._tell(decision)
                return
            fresh = await read_request(self._client, name) if written is Written.CHANGED else None
            if fresh is None:
                self._forget(name)
                return
            if decision.stands_in(fresh):  # An earlier try of ours, given up for lost, has landed since.
                self._tell(decision)
                return
            body = fresh
        self._queue.add_after(name, FACTS_RETRY_S)

    async def _judge(self, name: str, body: Mapping[str, Any]) -> "Decision":
        started = time.perf_counter()
        csr = parse_csr(body)
        self._facts.note_node(name, csr.node_name)
        judgement = self._judge_in_turn(csr)
        seconds = time.perf_counter() - started
        if self._enroller is not None:
            judgement = await self._enroller.attend(judgement)
        return Decision(body, await self._confirm(judgement), seconds)

    def _judge_in_turn(self, csr: CsrFacts) -> Judgement:
        """Judge by what the stores know; what the requester's rate does not allow is held."""
        case, moment = self._case(csr, self._facts.known_enrollment(csr)), self._clock()
        known = self._limits.knows(csr.name, csr.uid)
        if known or self._limits.has_room(csr.username, moment):
            judgement = judge(case)
            if isinstance(judgement.verdict, Ignore) or self._limits.take(csr, judgement.verdict, moment):
                self._call_next(csr.username)
                return judgement
        judgement = judge(replace(case, over_rate=True))
        if not isinstance(judgement.verdict, Ignore):
            self._limits.hold(csr, moment)
        self._call_next(csr.username)
        return judgement

    def _case(self, csr: CsrFacts, enrollment: Enrollment | None) -> Case:
        """Return everything that a decision about a request rests on whose requester is within its rate."""
        return replace(self._facts.case(csr, enrollment), over_rate=False)

    async def _confirm(self, judgement: Judgement) -> Judgement:
        """Judge again by what the API server holds before a verdict is written.

        Raises:
            Conflict: The enrollment changed at every try.
        """
        csr, conflict = judgement.csr, None
        for _ in range(ROUNDS):
            if isinstance(judgement.verdict, Hold | Ignore) or csr.node_name is None:
                return judgement
            if conflict is not None or not _needs_record(judgement):
                judgement = judge(self._case(csr, await self._ledger.read(csr.node_name)))
                if not _needs_record(judgement):
                    return judgement
            try:
                await self._record(judgement)
            except Conflict as error:
                conflict = error
            else:
                return judgement
        raise conflict or AssertionError("rounds without a conflict")

    async def _record(self, judgement: Judgement) -> None:
        """Write the key into the enrollment before it is approved: a crash in between loses nothing."""
        csr, enrollment = judgement.csr, judgement.enrollment
        if enrollment is None or csr.pkcs10 is None or csr.pkcs10.public_key_sha256 is None:
            raise AssertionError("an approval without an enrollment and a key")
        join = Join(
            public_key_sha256=csr.pkcs10.public_key_sha256,
            csr_uid=csr.uid,
            csr_name=csr.name,
            requester=csr.username,
            time=now(),
        )
        await self._ledger.record_join(enrollment, join)

    async def _write(self, name: str, decision: "Decision") -> Written:
        """Write the verdict's condition, when it has one and the enrollment is not only audited."""
        text = decision.condition = condition(decision.judgement, now())
        if text is None or decision.mode is Mode.AUDIT:
            return Written.DONE
        if isinstance(decision.judgement.verdict, Approve):
            self._facts.intend(name, decision.judgement.csr.uid)
        try:
            written = await write_condition(self._client, decision.body, text)
        except Unavailable:
            self._unsure[name] = decision
            raise
        except Invalid:
            fresh = await read_request(self._client, name)
            if fresh is not None and not (fresh.get("status") or {}).get("conditions"):
                raise  # Nobody else has decided: a policy refuses what we write, and will refuse it again.
            return Written.CHANGED
        if self._refused:
            # Writing works: what is refused is about that request alone, and no reason to be not ready.
            self._refused.clear()
            self._reporter.trouble(None)
        return written

    def _tell(self, decision: "Decision") -> None:
        judgement, name = decision.judgement, decision.judgement.csr.name
        self._reporter.verdict(judgement, decision.body, mode=decision.mode, seconds=decision.seconds)
        if decision.is_final:
            # The store says so a moment later; until then there is nothing left to do.
            self._written[name] = judgement.csr.uid
        if not isinstance(judgement.verdict, Hold):
            return
        if Reason.FACTS_UNAVAILABLE in judgement.reasons:
            self._queue.add_after(name, FACTS_RETRY_S)
        opens = judgement.enrollment.bootstrap.not_before if judgement.enrollment else None
        wait = (opens - now()).total_seconds() if opens else 0.0
        if wait > 0:
            self._queue.add_after(name, wait)


@dataclass(slots=True)
class Decision:
    """A judgement on its way to being written."""

    body: Mapping[str, Any]
    """The request's object as it was judged."""

    judgement: Judgement
    seconds: float
    """What judging took."""

    condition: Mapping[str, str] | None = None
    """What was to be written, once that is known."""

    @property
    def mode(self) -> Mode:
        """Whether the verdict is written or only told."""
        return self.judgement.enrollment.mode if self.judgement.enrollment else Mode.ENFORCE

    @property
    def is_final(self) -> bool:
        """Tell whether the request needs no further look, whoever decided it."""
        if isinstance(self.judgement.verdict, Ignore):
            return self.judgement.verdict.reason is Reason.ALREADY_DECIDED
        return self.mode is Mode.ENFORCE and isinstance(self.judgement.verdict, Approve | Deny)

    def stands_in(self, body: Mapping[str, Any]) -> bool:
        """Tell whether this very condition stands in an object read later: an answer was lost, not the write."""
        ours = self.condition or {}
        conditions = (body.get("status") or {}).get("conditions") or ()
        return any(
            all(entry.get(key) == ours.get(key) for key in ("type", "reason", "message")) for entry in conditions
        )


def _needs_record(judgement: Judgement) -> bool:
    """Tell whether the key has to be recorded first: an approval of a first certificate that will be written."""
    enforced = judgement.enrollment is not None and judgement.enrollment.mode is Mode.ENFORCE
    return enforced and isinstance(judgement.verdict, Approve) and judgement.csr.kind is Kind.BOOTSTRAP
