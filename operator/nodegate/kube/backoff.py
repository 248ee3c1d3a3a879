"""Exponential backoff with jitter, the one place that knows how to wait.

The delay doubles from ``first_s`` up to a cap; jitter takes away up to half of it, so that many
clients that failed together do not return together. No delay is ever shorter than ``first_s``:
that is what bounds the rate of a hot failure (50 ms means at most 20 tries a second).
"""

import random

MAX_DOUBLINGS = 32
"""Where the counter stops; every cap in use is reached long before."""


def jittered(full_s: float, *, first_s: float) -> float:
    """Return a delay between half of ``full_s`` and ``full_s`` seconds, at least ``first_s``."""
    # Spreads retries; nothing secret depends on it.
    return max(first_s, full_s * random.uniform(0.5, 1.0))  # noqa: S311  # jitter needs no secrecy


class Backoff:
    """Counts failures in a row and says how long to wait after each."""

    def __init__(self, *, first_s: float = 0.05, cap_s: float = 2.0) -> None:
        self._first_s = first_s
        self._cap_s = cap_s
        self._failures = 0

    def reset(self) -> None:
        """Begin anew after a success."""
        self._failures = 0

    def next_s(self, cap_s: float | None = None) -> float:
        """Count one failure and return the seconds to wait.

        Args:
            cap_s: A cap for this delay only, where a slower retry is wanted.
        """
        self._failures = min(self._failures + 1, MAX_DOUBLINGS)
        full = min(cap_s or self._cap_s, self._first_s * 2.0**self._failures)
        return jittered(full, first_s=self._first_s)
