"""What proves each rule, read from the tests themselves: one row a rule, for ``docs/verifications.md``.

The table of rules, the folders of vectors, the tests and the threat model come in. Rules: nothing is written
by hand, so a rule without a vector or a test cannot look proved; a count says how many, never how good.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from hack.markdown import FAULTS, cell
from nodegate.csr.decide import RULES
from nodegate.csr.model import Reason
from nodegate.csr.rules.rule import Rule

ROOT = Path(__file__).resolve().parents[1]
_THREAT = re.compile(r"^### (T\d+): .+?\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
_SHOWN = 2
"""Test files that a row names; the rest is counted."""

_HEAD = """# Which verifications?

Written by `make docs`. One row for each rule: what it demands, and what proves that it does. *Vectors* are requests
with their facts and the expected verdict ([tests/vectors](../tests/vectors/README.md)), each created on a real API
server; a folder holds those that the rule refuses, others' vectors show it to hold. *Tests* name the rule's reason.
*Threats* are those of the [threat model](threat-model.md) that the rule is a control of.

| stage | reason | a fault is | the rule | source | vectors | tests | threats |
|---|---|---|---|---|---|---|---|
"""


def vectors(reason: Reason) -> int:
    """Return how many vectors expect this reason first."""
    return len(list((ROOT / "tests" / "vectors" / "csr" / reason.value).glob("*.yaml")))


@cache
def _tests() -> dict[str, str]:
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in files}


def tests(reason: Reason) -> list[str]:
    """Return the test files that name a reason, the ones that name it most often first."""
    word = re.compile(rf"\bReason\.{reason.name}\b|[\"'\[/]{reason.value}\b")
    found = {path: len(word.findall(text)) for path, text in _tests().items()}
    return sorted((path for path, count in found.items() if count), key=lambda path: (-found[path], path))


def threats(reason: Reason) -> list[str]:
    """Return the threats whose sections name a reason."""
    text = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    word = re.compile(rf"\b{reason.value}\b")
    return [name for name, body in _THREAT.findall(text) if word.search(body)]


def _rows() -> Iterator[str]:
    for rule in RULES:
        yield f"| {rule.stage} | `{rule.reason}` | {FAULTS[rule.fault]} | {_cells(rule)} |"


def _cells(rule: Rule) -> str:
    named = tests(rule.reason)
    shown = [f"[{Path(path).stem}](../{path})" for path in named[:_SHOWN]]
    more = [f"and {len(named) - _SHOWN} more"] if len(named) > _SHOWN else []
    count = vectors(rule.reason)
    folder = f"[{count}](../tests/vectors/csr/{rule.reason})" if count else "0"
    cells = (rule.law, rule.source, folder, ", ".join([*shown, *more]), ", ".join(threats(rule.reason)))
    return " | ".join(map(cell, cells))


def verifications_page() -> str:
    """Return the page."""
    return _HEAD + "\n".join(_rows()) + "\n"
