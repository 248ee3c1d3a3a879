"""How many requests of one requester are looked at, and which pending request is the newest of its kind.

What enters are read requests, verdicts and the time in seconds of any monotonic clock; what leaves is
whether a verdict may be acted on, and which held request is due next. Rules: one requester's debts are
nobody else's; a verdict is paid for once, however often it is reached again, and the approval or denial
of a request that was paid for is free, so nobody starves; memory is bounded by the pending requests and
`REQUESTERS_LIMIT`.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from nodegate.csr.model import Approve, CsrFacts, Deny, Verdict
from nodegate.names import NODE_USER_PREFIX

REQUESTERS_LIMIT: Final = 10_000
"""Requesters whose rates are remembered: more than the largest clusters have nodes (5,000)."""

EVENT_GAP_S: Final = 300.0
"""Seconds between two events about one requester's rate: a person needs one, a flood would make thousands."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A token bucket's size, and how fast it fills."""

    burst: int
    per_second: float


NODE_RATE: Final = Rate(20, 1 / 3)
"""Of a node: a kubelet asks for two certificates at a time and, at worst, again every 30 s or so for each."""

SHARED_RATE: Final = Rate(200, 10.0)
"""Of a bootstrap token or user, which many hosts may share: two racks at once, then more than a controller
manager signs with half of its default client limits (20 a second)."""


def rate_of(requester: str) -> Rate:
    """Return how often a user may ask."""
    return NODE_RATE if requester.startswith(NODE_USER_PREFIX) else SHARED_RATE


@dataclass(slots=True)
class _Bucket:
    rate: Rate
    tokens: float
    at: float
    """When `tokens` was true, in seconds."""

    waiting: dict[str, str] = field(default_factory=dict)
    """UIDs of the requests that were held back, by name, the first first."""

    def fill(self, now: float) -> None:
        self.tokens = min(self.rate.burst, self.tokens + max(0.0, now - self.at) * self.rate.per_second)
        self.at = now

    @property
    def is_idle(self) -> bool:
        """Tell whether it is as good as one that was never used, when just filled."""
        return not self.waiting and self.tokens >= self.rate.burst


class Limits:
    """Every requester's token bucket, what was paid for, and who waits.

    Args:
        on: False gives everybody room at any time.
    """

    def __init__(self, *, on: bool = True) -> None:
        self._on = on
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._paid: dict[str, tuple[str, Verdict]] = {}
        self._waits: dict[str, str] = {}

    def has_room(self, requester: str, now: float) -> bool:
        """Tell whether one verdict more of this requester could be acted on at `now` (seconds)."""
        bucket = self._buckets.get(requester)
        if bucket is None or not self._on:
            return True
        bucket.fill(now)
        return bucket.tokens >= 1

    def knows(self, name: str, uid: str) -> bool:
        """Tell whether a verdict about this request was paid for."""
        paid = self._paid.get(name)
        return paid is not None and paid[0] == uid

    def waits(self, name: str, uid: str) -> bool:
        """Tell whether this request was held back and has not had its turn."""
        requester = self._waits.get(name)
        return requester is not None and self._buckets[requester].waiting[name] == uid

    def take(self, csr: CsrFacts, verdict: Verdict, now: float) -> bool:
        """Pay for a verdict; return False, and change nothing, when the requester cannot."""
        paid = self._paid.get(csr.name)
        ends = isinstance(verdict, Approve | Deny)
        if not (paid is not None and paid[0] == csr.uid and (ends or paid[1] == verdict)):
            bucket = self._bucket(csr.username, now)
            if bucket.tokens < 1 and self._on:
                return False
            bucket.tokens = max(0.0, bucket.tokens - 1)
            self._paid[csr.name] = (csr.uid, verdict)
        self._leave(csr.name)
        return True

    def hold(self, csr: CsrFacts, now: float) -> None:
        """Let a request wait for its turn; one that waits keeps its place."""
        if not self.waits(csr.name, csr.uid):
            self._leave(csr.name)
            self._bucket(csr.username, now).waiting[csr.name] = csr.uid
            self._waits[csr.name] = csr.username

    def due(self, requester: str, now: float) -> tuple[str, float] | None:
        """Return the requester's first waiting request and in how many seconds it is its turn; None without one."""
        bucket = self._buckets.get(requester)
        if bucket is None or not bucket.waiting:
            return None
        bucket.fill(now)
        return next(iter(bucket.waiting)), max(0.0, (1 - bucket.tokens) / bucket.rate.per_second)

    def forget(self, name: str) -> str | None:
        """Forget a request that is decided or gone; return its requester when it waited."""
        self._paid.pop(name, None)
        return self._leave(name)

    def _leave(self, name: str) -> str | None:
        requester = self._waits.pop(name, None)
        if requester is not None:
            del self._buckets[requester].waiting[name]
        return requester

    def _bucket(self, requester: str, now: float) -> _Bucket:
        bucket = self._buckets.get(requester)
        if bucket is None:
            self._make_room(now)
            rate = rate_of(requester)
            bucket = self._buckets[requester] = _Bucket(rate, rate.burst, now)
        self._buckets.move_to_end(requester)
        bucket.fill(now)
        return bucket

    def _make_room(self, now: float) -> None:
        """Drop buckets that nobody has used for longest: full ones, and any when there are too many.

        Two are looked at for each that is made, so idle ones go, and making one stays cheap. One that is waited
        for is never dropped: there are no more of these than pending requests.
        """
        for _ in range(min(2, len(self._buckets))):
            requester, bucket = next(iter(self._buckets.items()))
            bucket.fill(now)
            if bucket.is_idle or (len(self._buckets) >= REQUESTERS_LIMIT and not bucket.waiting):
                del self._buckets[requester]
            else:
                self._buckets.move_to_end(requester)


class Sparing:
    """Lets one thing be said of each key in a while.

    Args:
        gap_s: Seconds between two of one key.
    """

    def __init__(self, gap_s: float) -> None:
        self._gap_s = gap_s
        self._said: OrderedDict[str, float] = OrderedDict()

    def may_say(self, key: str, now: float) -> bool:
        """Tell whether it may be said at `now` (seconds), and note that it is."""
        while self._said:
            oldest, when = next(iter(self._said.items()))
            if now - when < self._gap_s and len(self._said) < REQUESTERS_LIMIT:
                break
            del self._said[oldest]
        if key in self._said:
            return False
        self._said[key] = now
        return True


@dataclass(slots=True)
class _Kin:
    newest: str
    """The newest creation timestamp seen, RFC 3339 in UTC, which sorts as text."""

    names: set[str] = field(default_factory=set)


class Duplicates:
    """Which pending requests were made for the same thing: the same node and signer, by the same requester.

    A kubelet gives a request up after 15 minutes and makes another. The newest one is what it waits for; also when
    that is decided, the older ones are nobody's any more.
    """

    def __init__(self) -> None:
        self._kin: dict[tuple[str, ...], _Kin] = {}
        self._of: dict[str, tuple[tuple[str, ...], str]] = {}

    def note(self, name: str, key: tuple[str, ...], created: str) -> None:
        """Note what a pending request is for and when it was made (RFC 3339)."""
        self.forget(name)
        kin = self._kin.setdefault(key, _Kin(created))
        kin.newest = max(kin.newest, created)
        kin.names.add(name)
        self._of[name] = (key, created)

    def forget(self, name: str) -> None:
        """Forget a request that is decided or gone."""
        key, _ = self._of.pop(name, ((), ""))
        kin = self._kin.get(key)
        if kin is not None:
            kin.names.discard(name)
            if not kin.names:
                del self._kin[key]

    def superseded(self, name: str) -> bool:
        """Tell whether a newer request for the same thing was seen."""
        key, created = self._of.get(name, ((), ""))
        kin = self._kin.get(key)
        return kin is not None and created < kin.newest
