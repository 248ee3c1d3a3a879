"""What a rule is, and the four ways it can come out.

Rules: an outcome says what was expected and what was found, for people. `missing` is for facts that
could not be had; the rule about `Reason.FACTS_UNAVAILABLE` then holds the request, so a rule that
cannot be judged never approves.
"""

import enum
from collections.abc import Callable
from typing import NamedTuple

from nodegate.csr.model import Case, Fact, Reason, Result


class Fault(enum.Enum):
    """What a failed rule leads to, strongest first."""

    IGNORE = enum.auto()
    DENY = enum.auto()
    HOLD = enum.auto()


class Outcome(NamedTuple):
    """How a rule came out: what it expected, what it found."""

    result: Result
    expected: str
    found: str


class Rule(NamedTuple):
    """One row of the table."""

    stage: int
    reason: Reason
    fault: Fault
    law: str
    """The rule in one sentence, as people read it."""

    source: str
    """Where the law comes from."""

    judge: Callable[[Case], Outcome]


def passed(expected: str, found: str) -> Outcome:
    """The rule holds."""
    return Outcome(Result.PASS, expected, found)


def failed(expected: str, found: str) -> Outcome:
    """The rule does not hold."""
    return Outcome(Result.FAIL, expected, found)


def judged(*, holds: bool, expected: str, found: str) -> Outcome:
    """The rule holds or not."""
    return Outcome(Result.PASS if holds else Result.FAIL, expected, found)


def skipped(why: str) -> Outcome:
    """The rule does not apply, or an earlier fault leaves nothing to judge."""
    return Outcome(Result.SKIPPED, "", why)


def missing(fact: Fact) -> Outcome:
    """The rule applies and its facts could not be had."""
    return Outcome(Result.SKIPPED, "", f"{fact} could not be read")
