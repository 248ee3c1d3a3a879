"""What ``lint`` has found, one finding a fault, and how it is shown.

Rules: pure. A finding names the file, the line, the field and the rule, and says what was expected, what
was found and what to do. What a file holds is shown only as ``text.visible`` made it.
"""

import enum
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nodegate.cli.layout import Line, Span, Style
from nodegate.cli.places import FieldPath, Place, shown
from nodegate.names import CLI_API_VERSION
from nodegate.text import visible


class Severity(enum.StrEnum):
    """How bad a finding is, the worst first."""

    ERROR = "error"
    """The API server refuses it, or the operator can approve nothing by it."""

    WARNING = "warning"
    """It is accepted, and probably not what was meant."""

    INFO = "info"
    """Worth knowing."""


_STYLE = {Severity.ERROR: Style.BAD, Severity.WARNING: Style.CARE, Severity.INFO: Style.FAINT}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found."""

    file: str
    line: int
    severity: Severity
    field: str
    """Such as ``spec.addresses[0]``; empty when it is about the whole object."""

    message: str
    rule: str
    """One word, the same for every finding of the same kind."""


def finding(place: Place, severity: Severity, path: FieldPath, message: str, rule: str) -> Finding:
    """Return a finding about one field of an object in a file."""
    return Finding(place.file, place.line_of(path), severity, visible(shown(path), 253), message, rule)


def ordered(findings: Sequence[Finding], files: Sequence[str]) -> list[Finding]:
    """Return findings by file, in the order given, and by line."""
    position = {file: index for index, file in enumerate(files)}
    return sorted(findings, key=lambda each: (position.get(each.file, len(files)), each.line, each.field))


def finding_line(each: Finding) -> Line:
    """Return the line that shows a finding, as compilers have it."""
    field = f" {each.field}:" if each.field else ""
    where, severity = Span(f"{each.file}:{each.line}: "), Span(f"{each.severity}:", _STYLE[each.severity])
    return (where, severity, Span(f"{field} {each.message}"))


def counts(findings: Sequence[Finding]) -> dict[str, int]:
    """Return how many findings there are of each severity."""
    found = Counter(each.severity for each in findings)
    return {"errors": found[Severity.ERROR], "warnings": found[Severity.WARNING], "infos": found[Severity.INFO]}


def report(findings: Sequence[Finding], *, files: int, objects: int) -> dict[str, Any]:
    """Return the report as an object."""
    return {
        "apiVersion": CLI_API_VERSION,
        "kind": "LintReport",
        "summary": {"files": files, "objects": objects, **counts(findings)},
        "items": [
            {
                "file": each.file,
                "line": each.line,
                "severity": each.severity.value,
                "field": each.field,
                "message": each.message,
                "rule": each.rule,
            }
            for each in findings
        ],
    }
