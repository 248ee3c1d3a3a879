"""``nodegate-host explain [ID]``: the long text of a check or a diagnosis rule; without an id, the list of both.

Touches nothing, needs no node.yaml.
"""

from __future__ import annotations

import argparse
import difflib
from typing import Any

from nodegate_host.checks.model import Check
from nodegate_host.checks.table import BY_ID as CHECKS
from nodegate_host.errors import Usage
from nodegate_host.exits import Exit
from nodegate_host.guide.errata import BY_ID as ERRATA
from nodegate_host.guide.errata import Erratum
from nodegate_host.rules.engine import fill
from nodegate_host.rules.model import Rule
from nodegate_host.rules.table import BY_ID as RULES
from nodegate_host.surroundings import Surroundings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's argument."""
    parser.add_argument("id", nargs="?", metavar="ID", help="a check (host.swap), a rule (D3) or an error (E5)")


def _check(check: Check) -> dict[str, Any]:
    return {
        "id": check.id,
        "kind": "check",
        "title": check.title,
        "severity": check.severity,
        "phase": check.phase,
        "text": check.doc,
        "remedy": [check.remedy],
        "guide": [each for each in check.guide.split(", ") if each],
    }


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "kind": "rule",
        "title": rule.title,
        "severity": rule.severity,
        "phase": None,
        "text": rule.doc,
        "remedy": [fill(each, ()) for each in rule.remedy],
        "guide": [each for each in (f"FAQ {rule.faq}" if rule.faq else "", rule.errata or "") if each],
    }


def _erratum(erratum: Erratum) -> dict[str, Any]:
    return {
        "id": erratum.id,
        "kind": "guide",
        "title": erratum.says,
        "severity": erratum.severity,
        "phase": None,
        "text": erratum.truth,
        "remedy": [erratum.remedy],
        "guide": [],
    }


def entries() -> dict[str, dict[str, Any]]:
    """Return everything that can be explained, by id."""
    found = {key: _check(each) for key, each in CHECKS.items()}
    found.update({key: _rule(each) for key, each in RULES.items()})
    found.update({key: _erratum(each) for key, each in ERRATA.items()})
    return found


def _text(entry: dict[str, Any]) -> str:
    guide = f", guide: {', '.join(entry['guide'])}" if entry["guide"] else ""
    lines = [f"{entry['id']} ({entry['kind']}, {entry['severity']}{guide})", entry["title"], "", entry["text"], ""]
    return "\n".join([*lines, *(f"do  {each}" for each in entry["remedy"])])


def run(args: argparse.Namespace, surroundings: Surroundings) -> Exit:
    """Tell about one, or list all."""
    known = entries()
    output = surroundings.output
    if args.id is None:
        listed = "\n".join(f"{key:<18} {each['title']}" for key, each in known.items())
        output.result(listed, "ExplanationList", {"count": len(known)}, list(known.values()))
        return Exit.OK
    entry = known.get(args.id) or known.get(args.id.upper()) or known.get(args.id.lower())
    if entry is None:
        near = difflib.get_close_matches(args.id, known, 1)
        hint = f"; did you mean {near[0]}?" if near else "; nodegate-host explain lists them"
        raise Usage(f"nothing is called {args.id}{hint}")
    output.result(_text(entry), "Explanation", {"id": entry["id"]}, [entry])
    return Exit.OK
