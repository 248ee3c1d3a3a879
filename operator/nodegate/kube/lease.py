"""Leader election over one Lease: an identity in, the right to act out, lost at the latest in time.

Rules:
- Only this process's monotonic clock decides; the times in the Lease are for people. Another
  holder counts as gone when its Lease has not changed for its duration *as we watched it*.
- Our right counts from before the renewal was sent, and ends at ``renew_s``, well before another
  may take over at ``duration_s``. A process that was stopped and goes on finds its right gone.
- A Lease cannot exclude two writers for certain (Jepsen, etcd 3.4.3): every write of ours must be
  safe without it. It saves work and noise, no more.
"""

import asyncio
import datetime as dt
import logging
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from nodegate.clock import now
from nodegate.errors import ApiError, Conflict, NotFound
from nodegate.kube.client import ApiClient
from nodegate.kube.paths import object_path

DURATION_S: Final = 15.0
"""Seconds after which a Lease that does not change is free (Kubernetes' own figure, as the next two)."""

RENEW_S: Final = 10.0
"""Seconds without a renewal after which the holder stops by itself."""

RETRY_S: Final = 2.0
"""Seconds between tries, to acquire and to renew."""

CALL_S: Final = 5.0
"""Seconds for one call: two must fit into ``RENEW_S``."""

_log = logging.getLogger("nodegate.kube.lease")


@dataclass(frozen=True, slots=True)
class Timing:
    """The three figures of an election, in seconds; ``retry`` < ``renew`` < ``duration``."""

    duration_s: float = DURATION_S
    renew_s: float = RENEW_S
    retry_s: float = RETRY_S

    def __post_init__(self) -> None:
        """Refuse figures under which two processes could both believe to lead."""
        if not 0 < self.retry_s < self.renew_s < self.duration_s:
            raise ValueError(f"expected 0 < retry < renew < duration, found {self}")


class LeaseElector:
    """One contender for one Lease.

    Args:
        client: The API server.
        namespace: The Lease's namespace.
        name: The Lease's name.
        identity: Ours alone in the whole cluster and over restarts, e.g. pod name and a random part.
        timing: The figures of the election.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        client: ApiClient,
        namespace: str,
        name: str,
        identity: str,
        *,
        timing: Timing | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.identity = identity
        self._client = client
        self._name = name
        self._namespace = namespace
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._path = object_path(self._collection, name)
        self._timing = timing or Timing()
        self._clock = clock
        self._renewed_at = float("-inf")
        self._lease: dict[str, Any] | None = None
        self._observed: tuple[dict[str, Any], float] | None = None
        self._said = ""

    @property
    def is_leader(self) -> bool:
        """Whether we may act at this very moment; ask before every write."""
        return self._clock() - self._renewed_at < self._timing.renew_s

    async def acquire(self) -> None:
        """Return once we lead; try until then."""
        while True:
            if await self._try_quietly(CALL_S):
                _log.info("leading as %s", self.identity)
                return
            await asyncio.sleep(self._pause_s())

    async def hold(self) -> str:
        """Renew until the lead is lost and return why, in one line."""
        while (left := self._renewed_at + self._timing.renew_s - self._clock()) > 0:
            await asyncio.sleep(min(self._timing.retry_s, left))
            left = self._renewed_at + self._timing.renew_s - self._clock()
            if left > 0 and not await self._try_quietly(min(CALL_S, left)) and self._taken():
                self._renewed_at = float("-inf")
                return f"the lease {self._namespace}/{self._name} was taken by {self._holder()}"
        self._renewed_at = float("-inf")
        return f"the lease {self._namespace}/{self._name} was not renewed for {self._timing.renew_s:g} s: {self._said}"

    async def release(self) -> None:
        """Give the lead back so that another need not wait; does nothing when we do not lead."""
        led, self._renewed_at = self.is_leader, float("-inf")
        if not led:
            return
        try:
            async with asyncio.timeout(CALL_S):
                await self._give_back()
        except (ApiError, TimeoutError) as error:
            _log.warning("the lease was not released, another waits %g s: %s", self._timing.duration_s, error)

    async def _give_back(self) -> None:
        # Read first: a renewal that was cancelled half-way may have changed the version.
        lease = await self._client.get(self._path)
        if _spec(lease).get("holderIdentity") != self.identity:
            return
        freed = {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _micro_time(now())}
        await self._client.put(self._path, {**lease, "spec": {**_spec(lease), **freed}})

    def _pause_s(self) -> float:
        """Return the seconds to the next look: soon, or just when the other's Lease runs out."""
        # Jitter spreads contenders that see the same Lease expire.
        usual = self._timing.retry_s * random.uniform(1.0, 1.2)  # noqa: S311  # no secret
        if self._observed is None:
            return usual
        spec, since = self._observed
        return min(usual, max(usual / 10, since + self._patience_s(spec) - self._clock()))

    def _patience_s(self, spec: dict[str, Any]) -> float:
        # A holder with a longer duration of its own is given that long.
        return max(_duration(spec), self._timing.duration_s)

    async def _try_quietly(self, limit_s: float) -> bool:
        """Try once, within ``limit_s`` seconds; say each new failure once."""
        said = ""
        try:
            async with asyncio.timeout(limit_s):
                return await self._try()
        except Conflict:
            # Somebody was quicker; the next look shows who.
            self._lease = None
        except (ApiError, TimeoutError) as error:
            self._lease = None
            said = str(error) or f"no answer within {limit_s:g} s"
        if said and said != self._said:
            _log.warning("cannot renew or acquire the lease %s/%s: %s", self._namespace, self._name, said)
        self._said = said
        return False

    async def _try(self) -> bool:
        if self._lease is None:
            with suppress(NotFound):
                self._lease = await self._client.get(self._path)
        if self._lease is not None and not self._is_ours_to_take(_spec(self._lease)):
            # Held by another: forget it, so that the next try looks again.
            self._lease = None
            return False
        began = self._clock()
        self._lease = await self._write(self._lease)
        self._observed = None
        self._renewed_at = began
        return True

    def _is_ours_to_take(self, spec: dict[str, Any]) -> bool:
        holder = spec.get("holderIdentity")
        if not holder or holder == self.identity:
            self._observed = None
            return True
        moment = self._clock()
        if self._observed is None or self._observed[0] != spec:
            self._observed = spec, moment
        return moment - self._observed[1] >= self._patience_s(spec)

    async def _write(self, lease: dict[str, Any] | None) -> dict[str, Any]:
        old = _spec(lease or {})
        moment = _micro_time(now())
        renewing = old.get("holderIdentity") == self.identity
        spec = {
            **old,
            "holderIdentity": self.identity,
            "leaseDurationSeconds": max(1, round(self._timing.duration_s)),
            "acquireTime": old.get("acquireTime", moment) if renewing else moment,
            "renewTime": moment,
            "leaseTransitions": _transitions(old) + (0 if renewing or lease is None else 1),
        }
        if lease is not None:
            return await self._client.put(self._path, {**lease, "spec": spec})
        return await self._client.post(self._collection, self._fresh(spec))

    def _fresh(self, spec: dict[str, Any]) -> dict[str, Any]:
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": spec,
        }

    def _taken(self) -> bool:
        return self._observed is not None

    def _holder(self) -> str:
        return str(self._observed[0].get("holderIdentity")) if self._observed is not None else "nobody"


def _spec(lease: dict[str, Any]) -> dict[str, Any]:
    spec = lease.get("spec")
    return spec if isinstance(spec, dict) else {}


def _duration(spec: dict[str, Any]) -> float:
    seconds = spec.get("leaseDurationSeconds")
    return float(seconds) if isinstance(seconds, int) else 0.0


def _transitions(spec: dict[str, Any]) -> int:
    count = spec.get("leaseTransitions")
    return count if isinstance(count, int) else 0


def _micro_time(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
