"""What a check is and what it finds.

Values only. A check's function yields `Found` for each thing that is wrong and raises `NotKnown` when the facts do not
say; the engine fills in id, severity, remedy and makes `Finding` of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nodegate_host.facts.model import Facts
from nodegate_host.model import NodeConfig

ERROR = "error"
WARNING = "warning"

PASS = "pass"  # noqa: S105 (a result, not a secret)
FAIL = "fail"
SKIPPED = "skipped"

PHASES = ("host", "net", "runtime", "api", "etcd")
"""What ``--phase`` selects."""


class NotKnown(Exception):
    """The facts do not say; the message says what was missing."""


@dataclass(frozen=True)
class Evidence:
    """Where it stands: a file and line (0 when the whole file), or another thing to look at."""

    where: str
    line: int = 0

    def __str__(self) -> str:
        """As compilers print it."""
        return f"{self.where}:{self.line}" if self.line else self.where


@dataclass(frozen=True)
class Found:
    """One thing that is wrong; what is None is the check's own."""

    message: str
    remedy: str | None = None
    severity: str | None = None
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, complete."""

    id: str
    severity: str
    message: str
    evidence: tuple[Evidence, ...]
    remedy: str


Judge = Callable[[Facts, NodeConfig], Iterator[Found]]


@dataclass(frozen=True)
class Check:
    """One row: `id` and `number` are stable, `severity` is the usual one, `doc` the long text for ``explain``."""

    number: int
    id: str
    severity: str
    title: str
    judge: Judge
    remedy: str
    doc: str
    phase: str
    guide: str = ""
    """The guide's steps and errors that the check answers, as ``S41, E17``."""


@dataclass(frozen=True)
class Result:
    """What became of a check: `status` is pass, fail or skipped, `reason` says why it was skipped."""

    check: Check
    status: str
    findings: tuple[Finding, ...] = ()
    reason: str = ""


def evidence(*places: str) -> tuple[Evidence, ...]:
    """Return places to look at; ``file:line`` is taken apart."""
    found = []
    for place in places:
        where, _, line = place.rpartition(":")
        found.append(Evidence(where, int(line)) if where and line.isdigit() else Evidence(place))
    return tuple(found)


def known(value: object, what: str) -> None:
    """Raise `NotKnown` when a fact is missing."""
    if value is None:
        raise NotKnown(f"{what} is not known here")
