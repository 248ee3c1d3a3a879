"""Which pools there are, and which enrollments were made through which: kept up to date one object at a time.

Objects go in as the stores see them, counts and overlaps come out. Pure; whoever feeds it says what changed.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from nodegate.names import POOL_LABEL
from nodegate.pool.model import Overlap, Pool, PoolState
from nodegate.pool.recent import Recent

T = TypeVar("T")


class PoolIndex:
    """Pools by name, and their members.

    Args:
        changed: Called with the name of a pool of which something may have changed.
        clock: Monotonic seconds.
    """

    def __init__(self, changed: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._changed = changed
        self._expected: Recent[str, str] = Recent(clock)
        self._pools: dict[str, Pool] = {}
        self._members: dict[str, set[str]] = {}
        self._pool_of: dict[str, str] = {}
        self._overlaps: dict[tuple[str, str], str | None] = {}

    @property
    def pools(self) -> Iterable[Pool]:
        """All of them."""
        return self._pools.values()

    def pool(self, name: str) -> Pool | None:
        """Return a pool, or None."""
        return self._pools.get(name)

    def put(self, name: str, pool: Pool | None) -> bool:
        """Replace a pool; None removes it. Return whether what it says has changed, its status apart."""
        before = self._pools.pop(name, None)
        if pool is not None:
            self._pools[name] = pool
        changed = before is None or pool is None or (before.spec, before.uid) != (pool.spec, pool.uid)
        # What another pool says of overlaps depends on this one.
        for other in self._pools if changed else (name,):
            self._changed(other)
        return changed

    def reading(self, parse: Callable[[Any], T]) -> Callable[[Any], T]:
        """Return a reader of enrollments that notes each one's pool on the way."""

        def read(body: Any) -> T:
            value = parse(body)
            self.note(body)
            return value

        return read

    def note(self, body: Mapping[str, Any]) -> None:
        """Note the pool that an enrollment's object names in its label."""
        metadata = body.get("metadata") or {}
        pool = (metadata.get("labels") or {}).get(POOL_LABEL)
        name = metadata.get("name")
        if name is None:
            return
        self._expected.drop(name)
        if pool != self._pool_of.get(name):
            self.forget(name)
            if pool is not None:
                self._pool_of[name] = pool
                self._members.setdefault(pool, set()).add(name)
                self._changed(pool)

    def forget(self, name: str) -> None:
        """Forget an enrollment that is gone."""
        self._expected.drop(name)
        pool = self._pool_of.pop(name, None)
        if pool is not None:
            self._members[pool].discard(name)
            if not self._members[pool]:
                del self._members[pool]
            self._changed(pool)

    def pool_of(self, name: str) -> str | None:
        """Return the pool that an enrollment was made through, or None."""
        return self._pool_of.get(name)

    def expect(self, name: str, pool: str) -> None:
        """Count an enrollment that was just made until the store shows it."""
        if name not in self._pool_of:
            self._expected.put(name, pool)

    def count(self, pool: str) -> int:
        """Return how many enrollments carry a pool's label, those included that were just made."""
        expected = sum(1 for _, made_through in self._expected.items() if made_through == pool)
        return len(self._members.get(pool, ())) + expected

    def overlaps(self, pool: Pool) -> tuple[Overlap, ...]:
        """Return the other active pools that match some of a pool's names."""
        if pool.spec.state is not PoolState.ACTIVE or pool.faults:
            return ()
        others = (p for p in self._pools.values() if p.name != pool.name and p.spec.state is PoolState.ACTIVE)
        found = ((other.name, self._shared(pool, other)) for other in others if not other.faults)
        return tuple(Overlap(name, shared) for name, shared in sorted(found) if shared is not None)

    def _shared(self, pool: Pool, other: Pool) -> str | None:
        """Return a name that both match; patterns are compared once."""
        one, two = pool.spec.pattern, other.spec.pattern
        if one is None or two is None:
            return None
        key = (min(one.text, two.text), max(one.text, two.text))
        if key not in self._overlaps:
            if len(self._overlaps) > len(self._pools) ** 2:
                self._overlaps.clear()
            self._overlaps[key] = one.shared_with(two)
        return self._overlaps[key]
