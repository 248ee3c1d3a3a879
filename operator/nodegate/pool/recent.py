"""What was written a moment ago and the stores may not show yet.

Keys and values go in, and come out for two minutes: by then every store has listed anew.
"""

from collections.abc import Callable, Hashable, Iterator
from typing import Final, Generic, TypeVar

KEPT_S: Final = 120.0
"""Seconds for which an entry is kept: more than a re-list takes to come round, and the freshness limit of stores."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """A map that forgets.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._entries: dict[K, tuple[V, float]] = {}

    def put(self, key: K, value: V) -> None:
        """Keep an entry, as the newest."""
        self._entries.pop(key, None)
        self._entries[key] = (value, self._clock())

    def get(self, key: K) -> V | None:
        """Return an entry that is not forgotten yet, or None."""
        self._forget()
        entry = self._entries.get(key)
        return entry[0] if entry is not None else None

    def drop(self, key: K) -> None:
        """Forget an entry now."""
        self._entries.pop(key, None)

    def items(self) -> Iterator[tuple[K, V]]:
        """Yield the entries that are not forgotten yet, oldest first."""
        self._forget()
        for key, (value, _) in self._entries.items():
            yield key, value

    def _forget(self) -> None:
        old = self._clock() - KEPT_S
        while self._entries:
            key, (_, when) = next(iter(self._entries.items()))
            if when > old:
                return
            del self._entries[key]
