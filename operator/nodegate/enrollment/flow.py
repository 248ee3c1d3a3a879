"""One enrollment from its name to its status, and the ledger of joins that approvals rest on.

Level-triggered: whatever called, the status is computed from the object and its surroundings as they
are, and patched when it says something else. Last decisions are collected and written together.
"""

import asyncio
import logging
import random
import time
from collections.abc import Mapping
from typing import Any, Final, Protocol

from nodegate.clock import now
from nodegate.enrollment.apply import patch_status, read_enrollment
from nodegate.enrollment.decide import Surroundings, decide
from nodegate.enrollment.minting import Mint
from nodegate.enrollment.model import (
    Claims,
    Decided,
    Enrollment,
    Join,
    NodeName,
    NodeRef,
    NodeTemplate,
    Outlook,
    TokenStep,
)
from nodegate.enrollment.node_apply import NodeApplier
from nodegate.enrollment.parse import parse_enrollment
from nodegate.enrollment.render import join_patch, status_patch
from nodegate.errors import ApiError, Conflict, Malformed, NotFound, Unavailable
from nodegate.identity import Reserved
from nodegate.kube.client import ApiClient
from nodegate.kube.work import WorkQueue
from nodegate.metrics import Metrics
from nodegate.names import API_VERSION
from nodegate.observed import Observed
from nodegate.outbox import Outbox
from nodegate.text import visible

COLLECT_S: Final = 1.0
"""Seconds for which decisions about one enrollment are collected before its status is written."""

YIELD_S: Final = 10.0
"""Longest that bookkeeping waits for decisions to be through; a flood must not keep statuses old for ever."""

STALE_RETRY_S: Final = 5.0
"""Seconds after which an enrollment is looked at again whose surroundings were not known."""

RETRY_S: Final = 1.0
"""Least seconds after which a status is written again to which the API server did not answer."""

BY_PERSON_RETRY_S: Final = 30.0
"""Seconds after which a status is written again that was refused: a person has to act first."""

ROUNDS: Final = 5
"""Times that a status is written again at once because the object changed."""

_log = logging.getLogger("nodegate.enrollment")


class Neighbourhood(Protocol):
    """What an enrollment is judged beside, as the stores know it."""

    @property
    def claims(self) -> Claims:
        """All enrollments' claims."""

    @property
    def reserved(self) -> Reserved:
        """The cluster's own identities."""

    def is_known(self) -> bool:
        """Tell whether the stores are fresh."""

    def enrollment(self, name: str) -> Enrollment | None:
        """Return an enrollment as the store knows it."""

    def is_busy(self) -> bool:
        """Tell whether requests wait to be decided."""

    def node_ref(self, name: str) -> NodeRef | None:
        """Return the Node of a name, or None."""

    @property
    def mints_for(self) -> str | None:
        """The bootstrap group that minted tokens are for; None when the operator mints none."""

    @property
    def manages_nodes(self) -> bool:
        """Tell whether what ``spec.node`` lists is set on Nodes."""

    def node_settings(self, name: str) -> NodeTemplate | None:
        """Return labels, annotations and taints of the Node of a name; None when they are not known."""

    def observed(self, name: NodeName) -> Observed:
        """Return what the requests that exist tell of the node's certificates."""


class EnrollmentFlow:
    """Keeps statuses right and records joins; made once.

    Attributes:
        problem: Why statuses cannot be written, or None; an enrollment without one authorises nothing.
    """

    def __init__(
        self, client: ApiClient, around: Neighbourhood, queue: WorkQueue, outbox: Outbox, metrics: Metrics
    ) -> None:
        self._client = client
        self._around = around
        self._queue = queue
        self._outbox = outbox
        self._metrics = metrics
        self._decided: dict[str, Decided] = {}
        self._waiting_since: dict[str, float] = {}
        self._postponed: set[str] = set()
        self._nodes = NodeApplier(client, queue.add_after)
        self._mint = Mint(client, metrics, queue.add_after, group) if (group := around.mints_for) else None
        self.problem: str | None = None

    async def read(self, name: NodeName) -> Enrollment | None:
        """Read an enrollment from the API server; None when there is none.

        Raises:
            ApiError: It could not be read.
        """
        body = await read_enrollment(self._client, name)
        return parse_enrollment(body) if body is not None else None

    async def record_join(self, enrollment: Enrollment, join: Join) -> None:
        """Record a key at the resourceVersion that was judged.

        Raises:
            Conflict: The enrollment is another by now, or gone.
        """
        try:
            await patch_status(self._client, enrollment.name, join_patch(enrollment, join))
        except NotFound as error:
            raise Conflict(404, "Gone", "the enrollment was deleted; judge again") from error
        if not enrollment.holds_key(join.public_key_sha256):
            self._metrics.joins.inc()
            name, requester = visible(join.csr_name), visible(join.requester)
            note = f"Key {join.public_key_sha256} recorded for {name}, asked for by {requester}."
            self._outbox.add(_regarding(enrollment), "Normal", "JoinRecorded", "Approve", note)

    def note(self, name: NodeName, decided: Decided) -> None:
        """Have the last decision written to the enrollment's status soon."""
        self._decided[name] = decided
        self._queue.add_after(name, COLLECT_S)

    async def observe(self, enrollment: Enrollment) -> None:
        """Bring the status of an enrollment up to date that has just changed; a failure goes to the queue."""
        try:
            await self.reconcile(enrollment)
        except ApiError as error:
            self._postpone(enrollment.name, error)
        except Malformed as error:  # It has changed meanwhile to what cannot be read; the stores leave it out.
            _log.warning("NodeEnrollment %s cannot be read, nothing is approved by it: %s", enrollment.name, error)
        else:
            self._caught_up(enrollment.name)

    async def handle(self, name: str) -> None:
        """Bring the status of one enrollment up to date, by name; a failure is tried again later."""
        await asyncio.sleep(0)  # Thousands may be waiting with nothing to write: decisions go between them.
        if self._yields(name):
            return
        enrollment = self._around.enrollment(name)
        if enrollment is None:
            self._decided.pop(name, None)
            self._nodes.forget(name)
            if self._mint is not None:
                self._mint.forget(name)
            self._caught_up(name)
        else:
            await self.observe(enrollment)

    def _postpone(self, name: str, error: ApiError) -> None:
        """Note that a status could not be written; for thousands of enrollments that is said once."""
        if isinstance(error, Conflict):  # Somebody else writes all the time: no trouble, only later.
            self._queue.add_after(name, COLLECT_S)
            return
        if not self._postponed:
            self.problem = str(error)
            _log.warning("cannot write the status of enrollments; trying again: %s", error)
        self._postponed.add(name)
        pause = BY_PERSON_RETRY_S
        if isinstance(error, Unavailable):  # The more wait, the slower: about fifty attempts a second in all.
            pause = min(pause, RETRY_S * (1 + len(self._postponed) / 50))
        self._queue.add_after(name, pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads retries

    def _caught_up(self, name: str) -> None:
        """Note that nothing waits to be written for an enrollment."""
        if name in self._postponed:
            self._postponed.discard(name)
            if not self._postponed:
                self.problem = None
                _log.info("statuses of enrollments can be written again")

    def _yields(self, name: str) -> bool:
        """Put bookkeeping off while requests wait: it would take the API server's time from them."""
        since = self._waiting_since.setdefault(name, time.monotonic())
        if self._around.is_busy() and time.monotonic() - since < YIELD_S:
            self._queue.add_after(name, COLLECT_S)
            return True
        del self._waiting_since[name]
        return False

    async def reconcile(self, enrollment: Enrollment) -> None:
        """Bring the status of one enrollment up to date.

        Raises:
            ApiError: It could not be written.
        """
        if not self._around.is_known():
            self._queue.add_after(enrollment.name, STALE_RETRY_S)
            return
        decided = self._decided.pop(enrollment.name, None)
        try:
            await self._write(enrollment, decided)
        except NotFound:
            return
        except Exception:
            if decided is not None:
                self._decided.setdefault(enrollment.name, decided)
            raise

    async def _write(self, enrollment: Enrollment, decided: Decided | None) -> None:
        """Patch until the status that was judged is the one that stands.

        Raises:
            Conflict: The object changed at every try.
        """
        for attempt in range(ROUNDS):
            outlook = decide(enrollment, self._surroundings(enrollment))
            patch = status_patch(enrollment, outlook, decided, now())
            try:
                written = None
                if patch is not None:
                    written = await patch_status(self._client, enrollment.name, patch)
                    self._tell(enrollment, outlook)
            except Conflict:
                fresh = await self.read(enrollment.name)
                if fresh is None:
                    return
                if attempt == ROUNDS - 1:
                    raise
                enrollment = fresh
            else:
                await self._carry_out(enrollment, outlook, written)
                return

    def _surroundings(self, enrollment: Enrollment) -> Surroundings:
        return Surroundings(
            claims=self._around.claims,
            reserved=self._around.reserved,
            node=self._around.node_ref(enrollment.name),
            now=now(),
            observed=self._around.observed(enrollment.name),
            manages_nodes=self._around.manages_nodes,
            present=self._around.node_settings(enrollment.name),
            node_problem=self._nodes.problem(enrollment.name),
            mints=self._mint is not None,
            minted=self._mint.minted(enrollment.name) if self._mint else None,
            token_problem=self._mint.problem(enrollment.name) if self._mint else "",
        )

    async def _carry_out(self, enrollment: Enrollment, outlook: Outlook, written: Any | None) -> None:
        """Do what the outlook asks for beside the status, which is written by now."""
        self._wake_later(enrollment, outlook)
        if outlook.node_differs:
            await self._nodes.apply(enrollment, outlook.node)
        if self._mint is not None and outlook.token_step is not TokenStep.NONE:
            await self._mint.take(outlook.token_step, parse_enrollment(written) if written else enrollment)

    def _wake_later(self, enrollment: Enrollment, outlook: Outlook) -> None:
        if outlook.next_change is not None:
            # A second more, so that the moment has surely passed.
            wait = (outlook.next_change - now()).total_seconds() + 1
            self._queue.add_after(enrollment.name, max(0.0, wait))

    def _tell(self, enrollment: Enrollment, outlook: Outlook) -> None:
        """Post an event when another Node is recorded, and when the enrollment has begun to need mending."""
        gone, follower = enrollment.status.node.uid, outlook.node.uid
        if gone is not None and follower not in (None, gone):
            note = f"The Node that joined (UID {gone}) was followed by another (UID {follower}), which is recorded now."
            self._outbox.add(_regarding(enrollment), "Normal", "NodeReplaced", "Reconcile", note)
        before = enrollment.condition("Stalled")
        stalled = next((c for c in outlook.conditions if c.type == "Stalled" and c.status == "True"), None)
        if stalled is None or (before is not None and (before.status, before.message) == ("True", stalled.message)):
            return
        _log.warning("%s is stalled: %s", enrollment.name, stalled.message)
        self._outbox.add(_regarding(enrollment), "Warning", stalled.reason, "Reconcile", stalled.message)


def _regarding(enrollment: Enrollment) -> Mapping[str, Any]:
    return {"apiVersion": API_VERSION, "kind": "NodeEnrollment", "name": enrollment.name, "uid": enrollment.uid}
