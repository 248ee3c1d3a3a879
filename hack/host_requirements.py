"""What meets each step of the old guide on a node, and what meets its errors, as tables of two documents.

What enters are the checks and the answers of ``verify``, which name the steps that they meet, and the table here, which
adds places in the code and tests; what leaves is one row for each of S1 to S76. Rules: a place or a test that does not
exist is an error, and so is a step that nothing meets and that has no sentence saying why.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from hack.host_steps import LAST, STEPS, Step
from hack.markdown import cell
from nodegate_host.checks.table import CHECKS
from nodegate_host.guide.errata import ERRATA
from nodegate_host.rules.table import RULES

ROOT = Path(__file__).resolve().parents[1]
_CODE = "node/nodegate_host"
_TESTS = "tests/unit/host"
_NUMBER = re.compile(r"\bS(\d+)(?:-S(\d+))?\b")

_HEAD = """# Which requirements of the guide?

Written by `make docs`. S1 to S76 are what an old guide for deploying a node by hand asks for. *Checks* are those of
`nodegate-host preflight` and *verify* the answers of `nodegate-host verify` that name the step; *code* is what does
it, or refuses to; *tests* prove that. That every check finds its fault and leaves what is right alone is in
[test_checks](../tests/unit/host/test_checks.py), the same of every answer in
[test_verifying](../tests/unit/host/engine/test_verifying.py). [The host tool](host.md) tells the rest.

| step | the guide | checks | verify | code | tests | remark |
|---|---|---|---|---|---|---|
"""


class Unmet(Exception):
    """A step is met by nothing, or by something that does not exist; the message says which."""


class Cover(NamedTuple):
    """All that meets a step."""

    checks: tuple[str, ...]
    verify: tuple[str, ...]
    step: Step


def numbers(text: str) -> set[int]:
    """Return the steps that a text such as ``S21-S24, S41, E17`` names."""
    found: set[int] = set()
    for first, last in _NUMBER.findall(text):
        found |= set(range(int(first), int(last or first) + 1))
    return found


@cache
def answers() -> dict[str, set[int]]:
    """Return the steps that each answer of ``verify`` covers, as its calls say: the first word is its id."""
    tree = ast.parse((ROOT / _CODE / "engine" / "verifying.py").read_text(encoding="utf-8"))
    found: dict[str, set[int]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"Answer", "_judged"} and node.args:
            steps = numbers(" ".join(ast.unparse(each) for each in [*node.args[2:], *(k.value for k in node.keywords)]))
            if steps:
                found.setdefault(_name(node.args[0]), set()).update(steps)
    return found


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(str(each.value) if isinstance(each, ast.Constant) else "*" for each in node.values)
    return str(node.value) if isinstance(node, ast.Constant) else "*"


@cache
def _functions(path: Path) -> frozenset[str]:
    if not path.is_file():
        return frozenset()
    return frozenset(re.findall(r"^(?:def |class )?(\w+)(?=[(:])", path.read_text(encoding="utf-8"), re.MULTILINE))


def covers() -> Iterator[Cover]:
    """Yield what meets each step, in order.

    Raises:
        Unmet: A step has nothing, or names what does not exist.
    """
    if sorted(STEPS) != list(range(1, LAST + 1)):
        raise Unmet(f"expected the steps 1 to {LAST} once each, found others")
    for number, step in STEPS.items():
        checks = tuple(each.id for each in CHECKS if number in numbers(each.guide))
        verify = tuple(sorted(name for name, steps in answers().items() if number in steps))
        _proved(number, step)
        if not (checks or verify or step.code or step.remark):
            raise Unmet(f"S{number}: expected a check, an answer, code or a remark, found nothing")
        yield Cover(checks, verify, step)


def _proved(number: int, step: Step) -> None:
    for base, places in ((_CODE, step.code), (_TESTS, step.tests)):
        for place in places:
            file, _, function = place.partition(":")
            if function not in _functions(ROOT / base / file):
                raise Unmet(f"S{number}: expected {function!r} in {base}/{file}, found none")
    if step.code and not step.tests:
        raise Unmet(f"S{number}: expected a test of {step.code[0]}, found none named")


def _row(number: int, cover: Cover) -> str:
    step = cover.step
    cells = (
        f"S{number}",
        cell(step.demand),
        ", ".join(f"`{each}`" for each in cover.checks),
        ", ".join(f"`{each}`" for each in cover.verify),
        ", ".join(map(_code, step.code)),
        ", ".join(map(_test, step.tests)),
        cell(step.remark),
    )
    return f"| {' | '.join(cells)} |"


def _code(place: str) -> str:
    file, _, function = place.partition(":")
    return f"[{file.removesuffix('.py')}: {function}](../{_CODE}/{file})"


def _test(place: str) -> str:
    file, _, function = place.partition(":")
    return f"[{function.removeprefix('test_').replace('_', ' ')}](../{_TESTS}/{file})"


def requirements_page() -> str:
    """Return the page."""
    return _HEAD + "\n".join(_row(number, cover) for number, cover in enumerate(covers(), 1)) + "\n"


def errata_table() -> str:
    """Return the guide's errors, each with what is true, and the checks and rules that meet it."""
    rows = ["| error | the guide | what is true | met by |", "|---|---|---|---|"]
    for each in ERRATA:
        word = re.compile(rf"\b{each.id}\b")
        met = [f"`{check.id}`" for check in CHECKS if word.search(check.guide)]
        met += [f"`{rule.id}`" for rule in RULES if word.search(rule.errata or "")]
        met += ["`init --from-guide`"] if each.on_host else []
        rows.append(f"| {each.id} | {cell(each.says)} | {cell(each.truth)} | {', '.join(met) or cell(each.remedy)} |")
    return "\n".join(rows)
