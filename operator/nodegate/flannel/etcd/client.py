"""The etcd client: one flannel network's keys in one of etcd's two stores.

Endpoints, credentials and a prefix come in; snapshots, outcomes and changes leave; `EtcdError` says why not. Rules:
only ``<prefix>/config`` and single keys under ``<prefix>/subnets/`` are ever written; every write names the revision
that it replaces; a write whose answer was lost is settled by reading before anything is said about it.
"""

import asyncio
import datetime as dt
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from types import TracebackType
from typing import Final, Protocol, Self

from nodegate.clock import now
from nodegate.flannel.etcd.credentials import Credentials
from nodegate.flannel.etcd.errors import EtcdError, error_of
from nodegate.flannel.etcd.keys import Keys
from nodegate.flannel.etcd.transport import Failed, Transport
from nodegate.flannel.etcd.v2 import V2Store
from nodegate.flannel.etcd.v2_watch import V2Opener
from nodegate.flannel.etcd.v2_wire import V2Wire
from nodegate.flannel.etcd.v3 import V3Store
from nodegate.flannel.etcd.v3_watch import V3Opener
from nodegate.flannel.etcd.v3_wire import V3Wire
from nodegate.flannel.etcd.values import (
    Change,
    Endpoints,
    EndpointStatus,
    KeyValue,
    Limits,
    Outcome,
    ServerVersion,
    Snapshot,
)
from nodegate.flannel.etcd.watching import watch
from nodegate.flannel.etcd.wire import Member
from nodegate.flannel.model import Api

_AT_ONCE: Final = 8
"""Questions for lifetimes under way at a time: hundreds of leases must not open hundreds of connections."""

_NO_LIMITS: Final = Limits()


class Store(Protocol):
    """What both stores can do; see `EtcdClient` for each."""

    async def read(self) -> Snapshot:
        """Return config and leases at one revision."""

    async def write_config(self, value: bytes, *, expected_mod_revision: int, judged_revision: int) -> Outcome:
        """Write the config, guarded."""

    async def write_reservation(self, key: str, value: bytes, expected_mod_revision: int) -> Outcome:
        """Write a lease without an end, guarded."""

    async def delete_lease(self, key: str, expected_mod_revision: int) -> Outcome:
        """Delete one lease, guarded."""

    async def delete_config(self, expected_mod_revision: int) -> Outcome:
        """Delete the config when nothing uses it, guarded."""

    async def ttl(self, lease: KeyValue) -> int | None:
        """Return the seconds a lease has left."""


class EtcdClient:
    """One network in one store; to be entered inside the running loop.

    Every operation raises `EtcdError` when it cannot be carried out: `reason` says why, and `outcome_unknown` that a
    write was sent and nobody could say what became of it.

    Args:
        endpoints: Of the members, in the order of preference.
        credentials: None for http endpoints only.
        api: Which store.
        prefix: flanneld's ``--etcd-prefix``.
        clock: Says when a certificate has ended.
        limits: In seconds.
        cluster_id: The only cluster to talk to, in hexadecimal; empty takes the first that answers.

    Raises:
        Malformed: The prefix is unusable.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        credentials: Credentials | None,
        api: Api,
        prefix: str,
        *,
        clock: Callable[[], dt.datetime] = now,
        limits: Limits = _NO_LIMITS,
        cluster_id: str = "",
    ) -> None:
        self.api = api
        self.keys = Keys(prefix)
        self._endpoints = endpoints
        self._credentials = credentials
        self._clock = clock
        self._limits = limits
        self._pinned = cluster_id
        self._open: Transport | None = None

    async def __aenter__(self) -> Self:
        """Make the connections' home; nothing is connected yet.

        Raises:
            EtcdError: CREDENTIALS_UNUSABLE.
        """
        wire = (V3Wire if self.api is Api.V3 else V2Wire)(self.keys.config)
        self._open = Transport(self._endpoints, self._credentials, wire, self._limits, self._clock, self._pinned)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection."""
        if self._open is not None:
            await self._open.close()

    @property
    def _transport(self) -> Transport:
        if self._open is None:
            raise RuntimeError("EtcdClient: expected `async with`, found a client that was not entered")
        return self._open

    @property
    def _store(self) -> Store:
        store = V3Store if self.api is Api.V3 else V2Store
        return store(self._transport, self.keys)

    @property
    def cluster_id(self) -> str:
        """The pinned cluster in hexadecimal, or the first that has answered; empty before."""
        return self._transport.cluster_id

    @property
    def endpoint(self) -> str:
        """The endpoint that is tried first: the one that worked last."""
        return self._transport.endpoint

    async def use(self, credentials: Credentials | None) -> None:
        """Take other credentials from the next request on; watches follow when they open again.

        Raises:
            EtcdError: CREDENTIALS_UNUSABLE; the old ones stay in use.
        """
        await self._transport.use(credentials)

    async def read(self) -> Snapshot:
        """Return config and leases at one revision, as the cluster agrees on them."""
        return await self._store.read()

    async def write_config(self, value: bytes, *, expected_mod_revision: int, judged_revision: int) -> Outcome:
        """Write the config, when it is still the one judged and no lease was written since.

        Args:
            value: The whole config.
            expected_mod_revision: Of the config that was judged; 0 when it was absent.
            judged_revision: The snapshot's. v3 compares in the same transaction; v2 reads the leases right before
                and right after, and takes the write back when one came between.
        """
        return await self._store.write_config(
            value, expected_mod_revision=expected_mod_revision, judged_revision=judged_revision
        )

    async def write_reservation(self, key: str, value: bytes, expected_mod_revision: int) -> Outcome:
        """Write a key under ``subnets/`` without an end: create one with 0, or take a lease's end away.

        Raises:
            Malformed: The key is not under ``subnets/``.
        """
        return await self._store.write_reservation(key, value, expected_mod_revision)

    async def delete_lease(self, key: str, expected_mod_revision: int) -> Outcome:
        """Delete one lease as it was seen. For leases of nodes that are gone; never to push a config.

        Raises:
            Malformed: The key is not under ``subnets/``.
        """
        return await self._store.delete_lease(key, expected_mod_revision)

    async def delete_config(self, expected_mod_revision: int) -> Outcome:
        """Delete the config as it was seen, when there is no lease at all; `Lost.leases_changed` when there is."""
        return await self._store.delete_config(expected_mod_revision)

    async def ttl(self, lease: KeyValue) -> int | None:
        """Return the seconds that a lease has left, 0 when its end has come, None without an end."""
        return await self._store.ttl(lease)

    async def ttls(self, leases: Iterable[KeyValue]) -> dict[str, int | None]:
        """Return `ttl` of each, by key."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(lease: KeyValue) -> tuple[str, int | None]:
            async with gate:
                return lease.key, await self.ttl(lease)

        return dict(await asyncio.gather(*map(one, leases)))

    async def watch(self, from_revision: int) -> AsyncGenerator[Change, None]:
        """Yield changes of config and leases from a revision on, through failures; end after RELIST.

        Use ``contextlib.aclosing`` when leaving it early.

        Args:
            from_revision: The snapshot's plus one.

        Raises:
            EtcdError: For reasons that a person must remove; whatever heals by itself is waited out.
        """
        opener = (V3Opener if self.api is Api.V3 else V2Opener)(self._transport, self.keys)
        async with aclosing(watch(self._transport, opener, from_revision)) as changes:
            async for change in changes:
                yield change

    async def version(self) -> ServerVersion:
        """Return the version of the member that is talked to."""
        return await self._transport.version()

    async def endpoint_statuses(self) -> tuple[EndpointStatus, ...]:
        """Ask every endpoint by itself how it is; failures are in the answer, not raised."""
        return tuple(await asyncio.gather(*map(self._status, self._transport.members)))

    async def _status(self, member: Member) -> EndpointStatus:
        problem: EtcdError | None = None
        try:
            await self._transport.ask(member)
        except Failed as failed:
            problem = error_of({member.url: failed.failure})
        except EtcdError as error:
            problem = error
        version = member.version.server if member.version else ""
        if problem is None:
            return EndpointStatus(member.url, ok=True, version=version, cluster_id=member.cluster_id)
        return EndpointStatus(
            member.url, ok=False, reason=problem.reason, message=problem.message, version=version,
            cluster_id=member.cluster_id,
        )  # fmt: skip
