"""One operation on etcd over several endpoints: a request in, an answer out.

Rules: endpoints are tried in order, beginning with the one that worked last; an endpoint that fails is left; a write
that may have been executed is never sent again from here (`EtcdError.outcome_unknown`); a member is asked for its
version, and before a write for its cluster, again after every failure of it.
"""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Final

import aiohttp

from nodegate.flannel.etcd import diagnosis
from nodegate.flannel.etcd.connections import TRANSPORT_ERRORS, Answer, Connections, Request
from nodegate.flannel.etcd.credentials import Credentials
from nodegate.flannel.etcd.errors import FINAL, HOPELESS, EtcdError, Failure, Reason, error_of, own_error
from nodegate.flannel.etcd.schemes import speaks_other_scheme
from nodegate.flannel.etcd.values import Endpoints, Limits, ServerVersion
from nodegate.flannel.etcd.wire import Member, Wire
from nodegate.kube.backoff import Backoff

_PAUSE_CAP_S: Final = 0.5
"""Seconds between two rounds over all endpoints at most: an election takes one to two."""

_STALE_TOKEN: Final = ("invalid auth token", "revision in header is old", "auth store is old")
"""What etcd says of a token that has ended, or was given before users changed."""

_OK: Final = 200
_VERSION: Final = Request("GET", "/version")
_HEALTH: Final = Request("GET", "/health")


Stream = tuple[Connections, aiohttp.ClientResponse]
"""A response without an end, and the connections that it belongs to."""


class Failed(Exception):
    """One attempt failed; never leaves this package."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


class Transport:
    """The endpoints, what is known of them, and the connections.

    Args:
        endpoints: In the order of preference.
        credentials: None for http endpoints only.
        wire: How the API is spoken.
        limits: In seconds.
        clock: Says when a certificate has ended.
        cluster_id: The only cluster to talk to; empty takes the first that answers.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        credentials: Credentials | None,
        wire: Wire,
        limits: Limits,
        clock: Callable[[], dt.datetime],
        cluster_id: str,
    ) -> None:
        self.members = tuple(Member(url) for url in endpoints.urls)
        self.cluster_id = cluster_id
        self.limits = limits
        self._credentials = credentials
        self._wire = wire
        self._clock = clock
        self._current = 0
        self._token: Mapping[str, str] = {}
        self._tls = endpoints.tls
        self._connections = self._fresh(credentials)

    @property
    def endpoint(self) -> str:
        """The endpoint that is tried first."""
        return self.members[self._current].url

    async def close(self) -> None:
        """Close every connection."""
        await self._connections.close()

    async def use(self, credentials: Credentials | None) -> None:
        """Take other credentials from the next request on; what is under way ends with the old ones."""
        fresh = self._fresh(credentials)
        old, self._connections, self._credentials, self._token = self._connections, fresh, credentials, {}
        await old.retire()

    def _fresh(self, credentials: Credentials | None) -> Connections:
        if self._tls and credentials is None:
            raise own_error(Reason.CREDENTIALS_UNUSABLE, "none, for an https endpoint")
        return Connections(credentials if self._tls else None, self.limits)

    async def call(self, request: Request) -> Answer:
        """Carry out a request at any endpoint.

        Raises:
            EtcdError: No endpoint did it in time, or one said what is true of all.
        """
        deadline = self._now() + self.limits.total_s
        backoff, failures = Backoff(first_s=0.05, cap_s=_PAUSE_CAP_S), dict[str, Failure]()
        self._check_certificate()
        while True:
            for member in self._in_order():
                try:
                    return await self._attempt(member, request, deadline)
                except Failed as failed:
                    failures[member.url] = failed.failure
                    self._leave(member)
                    self._raise_if_over(failed.failure, failures, request)
                if self._now() >= deadline:
                    raise await self._over(failures)
            if all(failures[member.url].reason in HOPELESS for member in self.members):
                raise error_of(failures)
            await asyncio.sleep(min(backoff.next_s(), max(0.0, deadline - self._now())))

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        """Begin a stream at the first endpoint that lets us; yield it and the connections it belongs to.

        Raises:
            EtcdError: No endpoint did; each was tried once.
        """
        self._check_certificate()
        async with AsyncExitStack() as stack:
            yield await self._begun(stack, request)

    def leave_current(self) -> None:
        """Begin at the next endpoint: the present one has gone silent."""
        self._leave(self.members[self._current])

    async def ask(self, member: Member) -> None:
        """Ask one member for its version and cluster anew.

        Raises:
            Failed: It cannot be used, and why.
        """
        member.forget()
        self._check_certificate()
        await self._attempt(member, self._wire.probe, self._now() + self.limits.total_s)

    async def version(self) -> ServerVersion:
        """Return the version of the first member that answers.

        Raises:
            EtcdError: None does.
        """
        member = self.members[self._current]
        if member.version is None:
            await self.call(self._wire.probe)
            member = self.members[self._current]
        return member.version or ServerVersion("", "")

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _check_certificate(self) -> None:
        if self._credentials is not None:
            self._credentials.check(self._clock())

    def _in_order(self) -> tuple[Member, ...]:
        return self.members[self._current :] + self.members[: self._current]

    def _leave(self, member: Member) -> None:
        member.forget()
        if self.members[self._current] is member:
            self._current = (self._current + 1) % len(self.members)

    def _raise_if_over(self, failure: Failure, failures: dict[str, Failure], request: Request) -> None:
        unknown = request.write and failure.maybe_done
        if unknown or failure.reason in FINAL:
            raise error_of(failures, outcome_unknown=unknown)

    async def _over(self, failures: dict[str, Failure]) -> EtcdError:
        """Return the error for a deadline that has passed; a member that answers may know why: there is no leader."""
        slow = [member for member in self.members if member.url in failures and _is_slow(failures[member.url])]
        found = await asyncio.gather(*(self._is_leaderless(member) for member in slow)) if slow else []
        for member, leaderless in zip(slow, found, strict=True):
            if leaderless:
                failures[member.url] = Failure(Reason.NO_LEADER, "a member that knows none")
        return error_of(failures)

    async def _is_leaderless(self, member: Member) -> bool:
        try:
            answer = await self._exchange(member, "", _HEALTH, self._now() + self.limits.connect_s)
        except Failed:
            return False
        return b"NO LEADER" in answer.body

    async def _attempt(self, member: Member, request: Request, deadline: float) -> Answer:
        try:
            base = await self._prepare(member, request, deadline)
        except Failed as failed:
            # Whatever happened, the request itself was not sent yet.
            raise Failed(replace(failed.failure, maybe_done=False)) from failed
        try:
            return await self._good(member, base, request, deadline)
        except Failed as failed:
            if not self._token or not any(text in failed.failure.found for text in _STALE_TOKEN):
                raise
        self._token = {}
        await self._log_in(member, base, deadline)
        return await self._good(member, base, request, deadline)

    async def _prepare(self, member: Member, request: Request, deadline: float) -> str:
        """Learn what is not known of a member and return the path of its API."""
        if member.version is None:
            member.version = await self._version_of(member, deadline)
        base = self._wire.base(member.version)
        if base is None:
            raise Failed(Failure(Reason.VERSION, f"etcd {member.version.server}"))
        await self._log_in(member, base, deadline)
        if request.write and not member.cluster_id:
            await self._good(member, base, self._wire.probe, deadline)
            if not member.cluster_id:
                raise Failed(Failure(Reason.UNEXPECTED, "an answer that names no cluster"))
        return base

    async def _version_of(self, member: Member, deadline: float) -> ServerVersion:
        try:
            answer = await self._exchange(member, "", _VERSION, deadline)
        except Failed as failed:
            suspicious = diagnosis.may_be_wrong_scheme(failed.failure)
            if suspicious and await speaks_other_scheme(member.url, self.limits.connect_s):
                raise Failed(diagnosis.of_scheme(member.url)) from failed
            raise
        said = diagnosis.decode(answer.body)
        if answer.status != _OK or said is None or not isinstance(said.get("etcdserver"), str):
            raise Failed(Failure(Reason.UNEXPECTED, f"{answer.status} for /version: {answer.body[:80]!r}"))
        return ServerVersion(said["etcdserver"], str(said.get("etcdcluster", "")))

    async def _log_in(self, member: Member, base: str, deadline: float) -> None:
        user = self._credentials
        if self._token or user is None or not user.username:
            return
        login = self._wire.login(user.username, user.password)
        if login is not None:
            self._token = self._wire.token(await self._good(member, base, login, deadline))

    async def _good(self, member: Member, base: str, request: Request, deadline: float) -> Answer:
        """Return an answer that the store can use and that comes from the right cluster."""
        answer = await self._exchange(member, base, request, deadline)
        failure = self._wire.failure(answer)
        if failure is not None:
            raise Failed(failure)
        found = self._wire.cluster_id(answer)
        self.cluster_id = self.cluster_id or found
        if found and found != self.cluster_id:
            raise Failed(Failure(Reason.CLUSTER_ID, f"{found} instead of {self.cluster_id}", maybe_done=request.write))
        member.cluster_id = found or member.cluster_id
        return answer

    async def _exchange(self, member: Member, base: str, request: Request, deadline: float) -> Answer:
        timeout = min(self.limits.op_s, max(0.05, deadline - self._now()))
        try:
            return await self._connections.exchange(f"{member.url}{base}{request.path}", request, timeout, self._token)
        except TRANSPORT_ERRORS as error:
            raise Failed(self._diagnosed(error)) from error

    async def _begun(self, stack: AsyncExitStack, request: Request) -> Stream:
        failures: dict[str, Failure] = {}
        for member in self._in_order():
            try:
                return await self._open(stack, member, request)
            except Failed as failed:
                failures[member.url] = failed.failure
                self._leave(member)
                self._raise_if_over(failed.failure, failures, request)
        raise error_of(failures)

    async def _open(self, stack: AsyncExitStack, member: Member, request: Request) -> Stream:
        base = await self._prepare(member, request, self._now() + self.limits.total_s)
        connections = self._connections
        opening = connections.stream(f"{member.url}{base}{request.path}", request, self._token)
        try:
            async with asyncio.timeout(self.limits.op_s):
                response = await stack.enter_async_context(opening)
        except TRANSPORT_ERRORS as error:
            raise Failed(self._diagnosed(error)) from error
        if response.status != _OK:
            raise Failed(await self._refusal(response))
        return connections, response

    async def _refusal(self, response: aiohttp.ClientResponse) -> Failure:
        try:
            async with asyncio.timeout(self.limits.op_s):
                body = await response.read()
        except TRANSPORT_ERRORS as error:
            return self._diagnosed(error)
        answer = Answer(response.status, response.headers, body)
        return self._wire.failure(answer) or Failure(Reason.UNEXPECTED, f"{response.status} for a watch")

    def _diagnosed(self, error: BaseException) -> Failure:
        shown = self._credentials is not None and bool(self._credentials.certificate)
        return diagnosis.of_exception(error, has_certificate=shown)


def _is_slow(failure: Failure) -> bool:
    return failure.reason is Reason.TIMEOUT
