"""Selects checks and runs them.

Pure. Facts, a configuration and a `Selection` go in; `evaluate` gives a result a check, `run_checks` the findings. A
check whose facts are missing is skipped with the reason, never passed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nodegate_host.checks.model import ERROR, FAIL, PASS, SKIPPED, WARNING, Check, Finding, Found, NotKnown, Result
from nodegate_host.checks.table import BY_ID, CHECKS
from nodegate_host.facts.model import Facts
from nodegate_host.model import NodeConfig

ALL = "all"
"""In `Selection.ignore`: every error becomes a warning."""


@dataclass(frozen=True)
class Selection:
    """Which checks: `only` and `phases` choose (empty: all), `skip` leaves out, `ignore` makes errors warnings.

    Ids match exactly, or as a group: ``host`` and ``host.`` mean all of ``host.*``.
    """

    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    phases: tuple[str, ...] = ()

    def takes(self, check: Check) -> bool:
        """Whether a check is to be run."""
        chosen = not self.only or any(_names(each, check.id) for each in self.only)
        in_phase = not self.phases or check.phase in self.phases
        return chosen and in_phase and not any(_names(each, check.id) for each in self.skip)

    def unknown(self) -> tuple[str, ...]:
        """Return the ids that name no check."""
        given = (*self.only, *self.skip, *(each for each in self.ignore if each != ALL))
        return tuple(each for each in given if not any(_names(each, known) for known in BY_ID))


def _names(text: str, identifier: str) -> bool:
    return identifier == text or identifier.startswith(text.rstrip(".") + ".")


def _finding(check: Check, found: Found, selection: Selection) -> Finding:
    severity = found.severity or check.severity
    if any(each == ALL or _names(each, check.id) for each in selection.ignore):
        severity = WARNING
    return Finding(check.id, severity, found.message, found.evidence, found.remedy or check.remedy)


def run_one(check: Check, facts: Facts, config: NodeConfig, selection: Selection) -> Result:
    """Run one check; findings made before it ran out of facts count."""
    findings: list[Finding] = []
    reason = ""
    try:
        for found in check.judge(facts, config):
            findings.append(_finding(check, found, selection))  # noqa: PERF401 (what came before NotKnown must stay)
    except NotKnown as missing:
        reason = str(missing)
    status = FAIL if findings else SKIPPED if reason else PASS
    return Result(check, status, tuple(findings), reason)


def evaluate(
    facts: Facts, config: NodeConfig, selection: Selection | None = None, checks: Sequence[Check] = CHECKS
) -> tuple[Result, ...]:
    """Return a result for every check that the selection takes, in the table's order."""
    chosen = selection or Selection()
    return tuple(run_one(check, facts, config, chosen) for check in checks if chosen.takes(check))


def run_checks(facts: Facts, config: NodeConfig, selection: Selection | None = None) -> list[Finding]:
    """Return the findings of all chosen checks, errors first."""
    found = [finding for result in evaluate(facts, config, selection) for finding in result.findings]
    return sorted(found, key=lambda each: each.severity != ERROR)
