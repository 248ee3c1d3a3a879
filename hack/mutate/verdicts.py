"""What survived and why it may: mutmut's results and reasons come in, faults leave.

Rules: a reason names a function and the changed text, never a number, because numbers move with every edit; one
that no survivor needs is told, so that the list does not outlive the code.
"""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

REASONS = Path(__file__).with_name("reasons.toml")
NOTICED = frozenset({"killed", "timeout", "segfault", "caught by type check"})
"""Ends of a mutant that some test has brought about."""

_LINE = re.compile(r"^\s*(\S+__mutmut_\d+): (.+?)\s*$", re.MULTILINE)
_NAME = re.compile(r"(?P<module>.+)\.x(?:_|ǁ(?P<owner>\w+)ǁ)(?P<function>\w+?)__mutmut_\d+")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a change may go unnoticed."""

    function: str
    """Dotted, as ``nodegate.csr.parse.parse_csr``."""

    change: str
    """A part of the lines that the mutant has instead, spaces and line ends taken as one space."""

    why: str


@dataclass(frozen=True, slots=True)
class Survivor:
    """A mutant that no test has noticed."""

    name: str
    change: str
    """The lines that it has instead, joined by spaces."""

    @property
    def function(self) -> str:
        """The function that was changed, dotted."""
        found = _NAME.fullmatch(self.name)
        if found is None:
            raise ValueError(f"expected a mutant's name as mutmut gives it, found {self.name}")
        return ".".join(filter(None, (found["module"], found["owner"], found["function"])))

    def has(self, reason: Reason) -> bool:
        """Tell whether a reason speaks of this mutant."""
        return self.function == reason.function and reason.change in self.change


def read_reasons(path: Path = REASONS) -> tuple[Reason, ...]:
    """Read the reasons; every one has all its fields.

    Raises:
        TypeError: A field is missing, or is one too many.
    """
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    return tuple(Reason(**entry) for entry in content.get("reason", ()))


def unnoticed(results: str) -> list[str]:
    """Return the names of the mutants in `mutmut results` that no test has noticed."""
    return [name for name, end in _LINE.findall(results) if end not in NOTICED]


def unchecked(results: str) -> int:
    """Return how many mutants a run that was broken off has left."""
    return sum(end == "not checked" for _, end in _LINE.findall(results))


def changed(diff: str) -> str:
    """Return what a mutant has instead, from `mutmut show`: its added lines in one."""
    lines = [line[1:] for line in diff.splitlines() if line.startswith("+") and not line.startswith("+++")]
    return " ".join(" ".join(lines).split())


def faults(survivors: Iterable[Survivor], reasons: Iterable[Reason]) -> list[str]:
    """Return one line for each survivor without a reason."""
    known = tuple(reasons)
    return [
        f"{survivor.name}: expected a test that fails or a reason, found neither; it has: {survivor.change}"
        for survivor in survivors
        if not any(survivor.has(reason) for reason in known)
    ]


def unneeded(survivors: Iterable[Survivor], reasons: Iterable[Reason]) -> list[Reason]:
    """Return the reasons that no survivor needs."""
    found = tuple(survivors)
    return [reason for reason in reasons if not any(survivor.has(reason) for survivor in found)]
