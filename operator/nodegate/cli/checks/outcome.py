"""What a check has found, and how checks are run.

Rules: a check never ends the others. What it has no right to read is a skip that says so; an object that
cannot be read is a failure. Every warning and failure says what to do.
"""

import enum
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nodegate.cli.checks.probe import Probe
from nodegate.errors import ApiError, Forbidden, Malformed
from nodegate.text import LIST_LIMIT, listed, visible


class Grade(enum.StrEnum):
    """How a check came out."""

    OK = "ok"
    WARN = "warn"
    """Somebody should look at it."""

    FAIL = "fail"
    """Nodes cannot join or renew, or somebody else decides."""

    SKIP = "skip"
    """It could not be looked at."""


class Outcome(NamedTuple):
    """What a check has found."""

    grade: Grade
    found: str
    remedy: str = ""


class Check(NamedTuple):
    """One thing to look at."""

    id: str
    """What scripts know it by; never changed."""

    run: Callable[[Probe], Outcome]


@dataclass(frozen=True, slots=True)
class Checked:
    """A check and its outcome."""

    id: str
    outcome: Outcome


def ok(found: str) -> Outcome:
    """Return that all is well."""
    return Outcome(Grade.OK, found)


def warn(found: str, remedy: str) -> Outcome:
    """Return that somebody should look at it."""
    return Outcome(Grade.WARN, found, remedy)


def fail(found: str, remedy: str) -> Outcome:
    """Return that something does not work."""
    return Outcome(Grade.FAIL, found, remedy)


def skip(found: str, remedy: str = "") -> Outcome:
    """Return that it could not be looked at."""
    return Outcome(Grade.SKIP, found, remedy)


def examine(checks: Sequence[Check], probe: Probe) -> Iterator[Checked]:
    """Run every check, and yield each as it is done."""
    for check in checks:
        yield Checked(check.id, _outcome(check, probe))


def _outcome(check: Check, probe: Probe) -> Outcome:
    try:
        return check.run(probe)
    except Forbidden as error:
        return skip(
            f"no right to look: {visible(str(error), 300)}", "Ask for that right, or have somebody run this who has it."
        )
    except ApiError as error:
        return skip(
            f"it could not be read: {visible(str(error), 300)}", "Run it again; look at the API server if this stays."
        )
    except Malformed as error:
        return fail(
            f"an object cannot be read: {visible(str(error), 300)}",
            "Look at that object; it is not what the API server stores.",
        )


def some(names: Sequence[str]) -> str:
    """Return how many names there are and the first of them."""
    return f"{len(names)} ({listed(names)})" if len(names) > LIST_LIMIT else listed(names)
