"""The exit codes of `nodegate-host`, documented and frozen (scripts rely on them)."""

import enum


class Exit(enum.IntEnum):
    """What the process says to its caller."""

    OK = 0
    DIFFERENT = 1
    """`diff` and `plan --exit-code` found differences, `verify`-like questions answered no."""
    USAGE = 2
    """A wrong flag, or a file that is not valid."""
    PREFLIGHT = 3
    ROLLED_BACK = 4
    """The apply failed and everything is as before."""
    ROLLBACK_INCOMPLETE = 5
    UNHEALTHY = 6
    """Verification or health failed or timed out."""
    LOCKED = 7
    WAITING = 8
    """The certificate request waits for its approval (with ``--wait 0``)."""
    REFUSED = 9
    """A foreign file, a live mount or an admin's kubeconfig stands in the way."""
    INTERNAL = 70
    NOT_ROOT = 77
    INTERRUPTED = 130
