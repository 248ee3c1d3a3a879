"""``nodegate-host preflight``: may this host become the node that its file says? Reads, and changes nothing.

Exit 3 when a check finds an error, 2 when the node's file is not valid or an id names no check.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from typing import Any

from nodegate_host import loading
from nodegate_host.checks.engine import Selection, evaluate
from nodegate_host.checks.model import ERROR, FAIL, PASS, PHASES, SKIPPED, Finding, Result
from nodegate_host.checks.table import CHECKS
from nodegate_host.engine.atomic import Disk
from nodegate_host.engine.generations import Generations
from nodegate_host.errors import Usage
from nodegate_host.exits import Exit
from nodegate_host.facts.gather import API, ETCD, gather
from nodegate_host.output import Output
from nodegate_host.redaction import redact
from nodegate_host.surroundings import Surroundings

_PROBED_BY = {API: ("api",), ETCD: ("etcd", "net")}
"""Probe → the phases whose checks need what it finds."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's flags."""
    listed = "ids, separated by commas; host means all of host.*; repeatable"
    parser.add_argument("--only", action="append", default=[], metavar="ID", help=f"these checks only: {listed}")
    parser.add_argument("--skip", action="append", default=[], metavar="ID", help=f"not these checks: {listed}")
    parser.add_argument("--ignore", action="append", default=[], metavar="ID", help="make these (or all) warnings")
    parser.add_argument("--phase", action="append", default=[], choices=PHASES, help="checks of this phase; repeatable")


def _split(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(part.strip() for text in texts for part in text.split(",") if part.strip())


def selection_of(args: argparse.Namespace) -> Selection:
    """Return what the flags choose; raise `Usage` for an id that names no check."""
    chosen = Selection(_split(args.only), _split(args.skip), _split(args.ignore), tuple(args.phase))
    if chosen.unknown():
        raise Usage(f"no check is called {', '.join(chosen.unknown())}; nodegate-host explain lists them")
    return chosen


def check_host(surroundings: Surroundings, selection: Selection) -> tuple[Result, ...]:
    """Gather the facts that the chosen checks need, and run them."""
    loaded = loading.load(surroundings)
    current = Generations(Disk(surroundings.root)).current() if surroundings.euid == 0 else None
    phases = {each.phase for each in CHECKS if selection.takes(each)}
    facts = gather(
        surroundings.root,
        loaded.config,
        targets=[each.path for each in loaded.rendering.files],
        owned=[each.path for each in current.files] if current else (),
        wanted=[probe for probe, needed in _PROBED_BY.items() if phases & set(needed)],
        base=surroundings.config.parent,
    )
    return evaluate(facts, loaded.config, selection)


def status_of(result: Result) -> str:
    """Return pass, warning, error or skipped: the worst of a result's findings."""
    if result.status != FAIL:
        return result.status
    return ERROR if any(each.severity == ERROR for each in result.findings) else "warning"


def _finding(each: Finding) -> dict[str, Any]:
    return {
        "severity": each.severity,
        "message": redact(each.message),
        "evidence": [{"where": place.where, "line": place.line or None} for place in each.evidence],
        "remedy": each.remedy,
    }


def item(result: Result) -> dict[str, Any]:
    """Return a result as it stands in the JSON."""
    check = result.check
    return {
        "id": check.id,
        "number": check.number,
        "phase": check.phase,
        "title": check.title,
        "status": status_of(result),
        "findings": [_finding(each) for each in result.findings],
        "reason": result.reason or None,
        "guide": [each for each in check.guide.split(", ") if each],
    }


def summary(results: Iterable[Result]) -> dict[str, Any]:
    """Return the counts; `ok` says that nothing stands in the way."""
    states = [status_of(each) for each in results]
    counted = {name: states.count(kind) for name, kind in _COUNTS.items()}
    return {"checks": len(states), **counted, "ok": not counted["errors"]}


_COUNTS = {"passed": PASS, "warnings": "warning", "errors": ERROR, "skipped": SKIPPED}
_WORDS = {PASS: ("PASS", "green"), "warning": ("WARN", "yellow"), ERROR: ("FAIL", "red"), SKIPPED: ("SKIP", "dim")}


def _lines(result: Result, output: Output) -> list[str]:
    word, colour = _WORDS[status_of(result)]
    head = f"{output.paint(word, colour)}  {result.check.id}"
    if not result.findings:
        return [f"{head}: {result.reason or result.check.title}"]
    lines = []
    for each in result.findings:
        word, colour = _WORDS[each.severity]
        lines.append(f"{output.paint(word, colour)}  {each.id}: {each.message}")
        lines += [f"      at  {place}" for place in each.evidence]
        lines.append(f"      do  {each.remedy}")
    return lines


def text(results: Iterable[Result], output: Output, counted: Mapping[str, Any]) -> str:
    """Return what people read: errors, then warnings; with ``-v`` what passed and what was skipped too."""
    order = {ERROR: 0, "warning": 1, SKIPPED: 2, PASS: 3}
    shown = [each for each in results if each.findings or output.verbosity > 0]
    lines = [line for each in sorted(shown, key=lambda one: order[status_of(one)]) for line in _lines(each, output)]
    numbers = ", ".join(f"{counted[name]} {name}" for name in _COUNTS)
    return "\n".join([*lines, f"{counted['checks']} checks: {numbers}"])


def run(args: argparse.Namespace, surroundings: Surroundings) -> Exit:
    """Check, and tell."""
    results = check_host(surroundings, selection_of(args))
    counted = summary(results)
    output = surroundings.output
    output.result(text(results, output, counted), "Preflight", counted, [item(each) for each in results])
    return Exit.OK if counted["ok"] else Exit.PREFLIGHT
