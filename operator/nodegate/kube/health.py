"""What an informer knows about its own health: stages and errors in, one line and an age out.

A trouble is over when the stage at which it struck has been passed, not when an earlier one works
again: where LIST is allowed and WATCH is not, every LIST would otherwise look like a recovery. Each
trouble is logged once, and once when it is over.
"""

import enum
import logging
from collections.abc import Callable

from nodegate.errors import ApiError, NotFound

_log = logging.getLogger("nodegate.kube.informer")


class Stage(enum.IntEnum):
    """How far one round has come."""

    LISTING = 0
    OPENING = 1
    STREAMING = 2


class Health:
    """The present trouble, if any, and the moment of the last news.

    Attributes:
        stage: What is being tried now.
        problem: One line on what is wrong, or None.
        last_seen: When the last LIST, event or bookmark came, in monotonic seconds; minus infinity
            before the first.
    """

    def __init__(self, resource: str, time: Callable[[], float], if_absent: str = "") -> None:
        self._resource = resource
        self._if_absent = if_absent
        self._time = time
        self._struck: tuple[Stage, type[ApiError], int, str] | None = None
        self.stage = Stage.LISTING
        self.problem: str | None = None
        self.last_seen = float("-inf")

    def news(self) -> None:
        """Note that the API server has just told something."""
        self.last_seen = self._time()
        self.passed()

    def passed(self) -> None:
        """Note that the present stage works."""
        if self._struck is not None and self._struck[0] <= self.stage:
            self._struck = self.problem = None
            _log.info("%s: followed again", self._resource)

    def failed(self, error: ApiError) -> None:
        """Note that the present stage failed."""
        struck = (self.stage, type(error), error.status, error.reason)
        hint = f"; {self._if_absent}" if self._if_absent and isinstance(error, NotFound) else ""
        self.problem = f"{self._resource}: {str(error).strip()}{hint}"
        if struck != self._struck:
            _log.warning("cannot follow %s; trying again", self.problem)
        self._struck = struck
