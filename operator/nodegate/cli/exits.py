"""Exit codes of the plugin, and the error that ends it with one.

Rules: the codes are design §8 and §12, and scripts rely on them. An error that a person can act on is
one line on stderr; only a defect of this program shows a traceback.
"""

import enum

from nodegate.csr.model import Approve, Deny, Hold, Ignore, Verdict
from nodegate.errors import ApiError, Forbidden, NodegateError, NotFound, Unauthorized


class Exit(enum.IntEnum):
    """What the plugin's exit status says."""

    OK = 0
    FINDING = 1
    """What was looked at is not as it should be."""

    USAGE = 2
    """The arguments or a file cannot be used; nothing was judged."""

    NOT_FOUND = 3
    REFUSED = 4
    """The API server refuses: credentials or a right are missing."""

    UNREACHABLE = 5
    HOLD = 10
    DENY = 11
    IGNORE = 12
    INTERRUPTED = 130
    PIPE_CLOSED = 141
    """As a shell shows a program that SIGPIPE ended: the reader of our output left."""


class Stopped(NodegateError):
    """The verb cannot go on; the message says why and what to do.

    Attributes:
        code: What the plugin ends with.
    """

    def __init__(self, code: Exit, message: str) -> None:
        super().__init__(message)
        self.code = code


def exit_of(error: NodegateError) -> Exit:
    """Return the exit code for an error."""
    match error:
        case Stopped(code=code):
            return code
        case NotFound():
            return Exit.NOT_FOUND
        case Forbidden() | Unauthorized():
            return Exit.REFUSED
        case ApiError():
            return Exit.UNREACHABLE
        case _:
            return Exit.USAGE


def exit_of_verdicts(verdicts: list[Verdict]) -> Exit:
    """Return the exit code of the most severe verdict: Deny, then Hold, then Ignore, then Approve."""
    for kind, code in ((Deny, Exit.DENY), (Hold, Exit.HOLD), (Ignore, Exit.IGNORE), (Approve, Exit.OK)):
        if any(isinstance(verdict, kind) for verdict in verdicts):
            return code
    return Exit.OK
