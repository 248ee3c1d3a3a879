"""What the API layer tells the metrics, as protocols; this package knows no metrics library.

Every label passed is from a closed set: a verb of RBAC, a resource derived from our own paths, a
status as text, a reason of ``RELIST_REASONS``. Names of objects never pass here.
"""

from typing import Final, Literal, Protocol

RelistReason = Literal["start", "periodic", "expired", "error", "silent"]
"""Why an informer lists: the first time, on schedule, 410, a failure, or a stream gone quiet."""

RELIST_REASONS: Final[tuple[RelistReason, ...]] = ("start", "periodic", "expired", "error", "silent")
"""Every reason, for whoever initialises counters."""


class CallObserver(Protocol):
    """Hears of each HTTP attempt."""

    def observe(self, verb: str, resource: str, code: str, seconds: float) -> None:
        """Note one attempt.

        Args:
            verb: RBAC's word: get, list, watch, create, update, patch, delete.
            resource: Plural and subresource, e.g. ``certificatesigningrequests/approval``.
            code: The HTTP status as text, or ``error`` when there was no answer.
            seconds: From sending to the whole answer; for a watch, to its headers.
        """


class InformerObserver(Protocol):
    """Hears of an informer's life."""

    def relist(self, resource: str, reason: RelistReason) -> None:
        """Note that a LIST begins."""

    def event(self, resource: str) -> None:
        """Note one watch event; bookmarks do not count."""

    def skipped(self, resource: str) -> None:
        """Note one object left out because it could not be understood or handed on."""


class NullObserver:
    """Hears everything and does nothing; stands in where nobody measures."""

    def observe(self, verb: str, resource: str, code: str, seconds: float) -> None:
        """Do nothing."""

    def relist(self, resource: str, reason: RelistReason) -> None:
        """Do nothing."""

    def event(self, resource: str) -> None:
        """Do nothing."""

    def skipped(self, resource: str) -> None:
        """Do nothing."""
