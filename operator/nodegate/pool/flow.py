"""What pools do about requests that lack an enrollment or its addresses, and the pools' statuses.

The request's judgement comes in from the csr room and goes back, with a note or not; where an enrollment was made
or given addresses, `Conflict` says that the request is to be judged again. Rules: the stores only say that it is
worth asking; before anything is written the pools, the enrollment and the Node are read afresh, by one request at
a time, so that maxNodes and "first come" hold. What the API server refuses becomes a note, never a trouble of others.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Protocol

from nodegate.clock import now
from nodegate.csr.model import Approve, Case, CsrFacts, Hold, Judgement, Reason
from nodegate.enrollment.model import Enrollment, IPAddress, NodeName
from nodegate.errors import Conflict, Forbidden, Invalid, Malformed, NotFound, Unauthorized, Unavailable
from nodegate.kube.client import ApiClient
from nodegate.kube.work import WorkQueue
from nodegate.names import API_VERSION, POOL_LABEL, POOL_UID
from nodegate.outbox import Outbox
from nodegate.pool.apply import (
    create_enrollment,
    node_exists,
    patch_addresses,
    patch_status,
    read_enrollment,
    read_pools,
)
from nodegate.pool.decide import Addressing, addresses, asks_for_addresses, asks_for_place, choose, outlook
from nodegate.pool.index import PoolIndex
from nodegate.pool.model import Pool, Refusal
from nodegate.pool.parse import parse_pool
from nodegate.pool.recent import Recent
from nodegate.pool.render import addresses_patch, enrollment_body, noted, status_patch
from nodegate.text import listed, visible

RETRY_S: Final = 5.0
"""Seconds after which a pool's status is written again to which the API server did not answer."""

REFUSED_RETRY_S: Final = 30.0
"""Seconds after which a pool's status is written again that was refused."""

WAITERS: Final = 4
"""Requests that are enrolled or wait for it at once, of the 32 that are judged; the others come again soon."""

_log = logging.getLogger("nodegate.pool")


class Around(Protocol):
    """What pools look at beside themselves, as the stores know it."""

    def case(self, csr: CsrFacts, enrollment: Enrollment | None) -> Case:
        """Return everything that a decision rests on."""

    def nodes_with(self, address: IPAddress) -> frozenset[str]:
        """Return the Nodes that report an address."""

    def knows_pools(self) -> bool:
        """Tell whether the store of pools is fresh."""

    def wake_requests(self) -> None:
        """Have every pending request judged again."""


class PoolFlow:
    """Enrolls nodes through pools; made once.

    Args:
        client: Reads and writes.
        around: The stores.
        index: Pools and members.
        queue: Names of pools whose status is to be looked at.
        outbox: Where events go.
        judge: Judges a request by an enrollment that is not written yet.
        parse: Reads an enrollment's object.
    """

    def __init__(
        self,
        client: ApiClient,
        around: Around,
        index: PoolIndex,
        queue: WorkQueue,
        outbox: Outbox,
        judge: Callable[[CsrFacts, Enrollment], Judgement],
        parse: Callable[[Any], Enrollment],
    ) -> None:
        self._client = client
        self._around = around
        self._index = index
        self._queue = queue
        self._outbox = outbox
        self._judge = judge
        self._parse = parse
        self._one_at_a_time = asyncio.Lock()
        self._waiting = 0
        self._made: Recent[NodeName, str] = Recent(time.monotonic)
        self._given: Recent[IPAddress, NodeName] = Recent(time.monotonic)

    async def attend(self, judgement: Judgement) -> Judgement:
        """Do what a pool does about a judged request; return the judgement, with a note where none did.

        Raises:
            Conflict: An enrollment was made or changed, and the request is to be judged again.
            Unavailable: The API server did not answer.
        """
        name = judgement.csr.node_name
        if name is None:
            return judgement
        if asks_for_place(judgement):
            return await self._noting(judgement, Reason.NOT_ENROLLED, self._enroll(judgement.csr, name))
        pool = self._index.pool_of(name)
        if pool is not None and asks_for_addresses(judgement):
            reason = Reason.SUBJECT_ALT_NAME_NOT_ENROLLED
            return await self._noting(judgement, reason, self._give(judgement, name, pool))
        if judgement.verdict == Hold((Reason.ENROLLMENT_NOT_READY,)) and self._made.get(name) is not None:
            raise _again(f"the enrollment of {name} was just written")
        return judgement

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait for one's turn to write; few wait, so that a fleet that boots never takes all workers.

        Raises:
            Conflict: Too many wait already.
        """
        if self._waiting >= WAITERS:
            raise _again("others are being enrolled")
        self._waiting += 1
        try:
            async with self._one_at_a_time:
                yield
        finally:
            self._waiting -= 1

    async def _noting(self, judgement: Judgement, reason: Reason, work: Any) -> Judgement:
        """Do the work; what keeps it from being done becomes a note."""
        try:
            refusal: Refusal | None = await work
        except (Forbidden, Unauthorized, Invalid) as error:
            _log.warning("the API server refused what a pool does for %s: %s", judgement.csr.node_name, error)
            refusal = Refusal(f"the name is of a pool, and the API server refused what it does: {visible(str(error))}")
        except Malformed as error:
            refusal = Refusal(f"the name is of a pool whose template cannot be used: {visible(str(error))}")
        return noted(judgement, reason, refusal.text) if refusal is not None else judgement

    async def _enroll(self, csr: CsrFacts, name: NodeName) -> Refusal | None:
        """Make the enrollment of a first request; return why not, or None when no pool is concerned."""
        if not self._around.knows_pools():
            return None
        pool = choose(csr, self._index.pools, self._index.count)
        refusal = self._trial(csr, pool)
        if not isinstance(pool, Pool) or refusal is not None:
            return refusal
        async with self._turn():
            pool = choose(csr, tuple(_readable(await read_pools(self._client))), self._index.count)
            refusal = self._trial(csr, pool)
            if not isinstance(pool, Pool) or refusal is not None:
                return refusal
            if await node_exists(self._client, name):
                return _exists(pool)
            refusal = await self._create(pool, csr, name)
            if refusal is not None:
                return refusal
        self._tell(pool, "NodeEnrolled", f"{name} enrolled for {csr.username}, which asked with {visible(csr.name)}.")
        raise _again(f"{name} was enrolled through pool {pool.name}")

    async def _create(self, pool: Pool, csr: CsrFacts, name: NodeName) -> Refusal | None:
        """Create the enrollment; return why not when there is one that the store goes on not to show.

        Raises:
            Conflict: There is one that the store may not show yet.
        """
        tried = self._made.get(name) is not None
        self._made.put(name, pool.name)
        try:
            await create_enrollment(self._client, enrollment_body(pool, csr))
        except Conflict:
            if not tried:
                raise
            return Refusal(f"the name is of pool {pool.name}, and its enrollment exists but cannot be read")
        self._index.expect(name, pool.name)
        return None

    def _trial(self, csr: CsrFacts, pool: Pool | Refusal | None) -> Refusal | None:
        """Return why a pool would not enroll a request: nothing is made that would not be approved at once."""
        if not isinstance(pool, Pool):
            return pool
        enrollment = self._parse(_as_processed(enrollment_body(pool, csr)))
        if self._around.case(csr, enrollment).node is not None:
            return _exists(pool)
        verdict = self._judge(csr, enrollment).verdict
        if isinstance(verdict, Approve):
            return None
        reasons = listed(map(str, getattr(verdict, "reasons", ())))
        return Refusal(f"the name is of pool {pool.name}, and an enrollment from its template would meet: {reasons}")

    async def _give(self, judgement: Judgement, name: NodeName, pool_name: str) -> Refusal | None:
        """Record the addresses of a serving request in an enrollment that has none; return why not."""
        pool = self._index.pool(pool_name)
        if pool is None or not self._around.knows_pools():
            return Refusal(f"the enrollment was made through pool {pool_name}, of which nothing is known now")
        wanted = self._addresses(judgement, pool)
        if isinstance(wanted, Refusal):
            return wanted
        async with self._turn():
            pools = tuple(_readable(await read_pools(self._client)))
            body = await read_enrollment(self._client, name)
            fresh = next((pool for pool in pools if pool.name == pool_name), None)
            if fresh is None or body is None or (body.get("spec") or {}).get("addresses"):
                raise _again(f"pool or enrollment of {name} changed")
            if not _is_marked(body, pool_name):
                return Refusal(
                    f"the enrollment does not carry label and UID of pool {pool_name}, as one made by it does"
                )
            wanted = self._addresses(judgement, fresh)
            if isinstance(wanted, Refusal):
                return wanted
            await patch_addresses(self._client, name, addresses_patch(body["metadata"]["resourceVersion"], wanted))
            self._made.put(name, pool_name)
            for address in wanted:
                self._given.put(address, name)
        self._tell(fresh, "AddressesRecorded", f"{listed(sorted(map(str, wanted)))} recorded for {name}.")
        raise _again(f"addresses of {name} were recorded")

    def _addresses(self, judgement: Judgement, pool: Pool) -> frozenset[IPAddress] | Refusal:
        case = self._around.case(judgement.csr, judgement.enrollment)
        if case.missing:
            return Refusal(f"pool {pool.name} waits for a fresh view of {listed(sorted(case.missing))}")
        around = Addressing(node=case.node, claims=case.claims, reserved=case.reserved, holders=self._holders)
        return addresses(judgement.csr, pool, around)

    def _holders(self, address: IPAddress) -> frozenset[str]:
        given = self._given.get(address)
        return self._around.nodes_with(address) | ({given} if given is not None else set())

    def _tell(self, pool: Pool, reason: str, note: str) -> None:
        _log.info("pool %s: %s", pool.name, note)
        regarding = {"apiVersion": API_VERSION, "kind": "NodeEnrollmentPool", "name": pool.name, "uid": pool.uid}
        self._outbox.add(regarding, "Normal", reason, "Enroll", note)

    async def handle(self, name: str) -> None:
        """Bring the status of one pool up to date, by name."""
        pool = self._index.pool(name)
        if pool is None:
            return
        view = outlook(pool, self._index.count(name), self._index.overlaps(pool))
        patch = status_patch(pool, view, now())
        if patch is None:
            return
        full = pool.condition("Full")
        try:
            await patch_status(self._client, name, patch)
        except (Conflict, NotFound, Unavailable):
            self._queue.add_after(name, RETRY_S)
        except (Forbidden, Unauthorized, Invalid) as error:
            _log.warning("cannot write the status of pool %s: %s", name, error)
            self._queue.add_after(name, REFUSED_RETRY_S)
        if full is not None and full.status == "True" and not view.full:
            self._around.wake_requests()


def _again(why: str) -> Conflict:
    """Return what has the request judged again: what it was judged by is no longer what stands."""
    return Conflict(409, "Enrolling", f"{why}; judge again")


def _readable(bodies: Iterable[Any]) -> Iterator[Pool]:
    """Yield the pools that can be read; as in the stores, others take part in nothing."""
    for body in bodies:
        with suppress(Malformed):
            yield parse_pool(body)


def _exists(pool: Pool) -> Refusal:
    return Refusal(f"the name is of pool {pool.name}, but a Node of it exists, which a pool never takes over")


def _is_marked(body: Any, pool_name: str) -> bool:
    labels, marks = body["metadata"].get("labels") or {}, body["metadata"].get("annotations") or {}
    return labels.get(POOL_LABEL) == pool_name and bool(marks.get(POOL_UID))


def _as_processed(body: dict[str, Any]) -> dict[str, Any]:
    """Return an enrollment's object as it will be once the operator has looked at it."""
    return {**body, "metadata": {**body["metadata"], "generation": 1}, "status": {"observedGeneration": 1}}
