"""``nodegate-host init --from-guide``: the verb's part; reads the host, writes node.yaml, tells the guide's errors.

`add_flags` and `run` are called by the verb `init`; only the node.yaml is written, by the writer that init gives.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from nodegate_host.errors import Usage
from nodegate_host.exits import Exit
from nodegate_host.facts.host import Host
from nodegate_host.guide.convert import Answers, Draft, convert
from nodegate_host.guide.errors import KUBELET, GuideFinding, find
from nodegate_host.guide.read import GuideHost, read
from nodegate_host.output import Output
from nodegate_host.redaction import redact
from nodegate_host.surroundings import Surroundings

_WORDS = {"error": ("FAIL", "red"), "warning": ("WARN", "yellow"), "info": ("INFO", "cyan")}
Write = Callable[[Path, str], None]
"""Writes a file that does not exist yet."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flag; what is known beside the host comes with init's own flags."""
    parser.add_argument(
        "--from-guide", action="store_true", help="read this host's units and environment files, and tell their errors"
    )


def _text(findings: tuple[GuideFinding, ...], draft: Draft, path: str, output: Output) -> str:
    lines = []
    for each in findings:
        word, colour = _WORDS[each.severity]
        place = f"{each.file}:{each.line}" if each.line else each.file
        lines += [f"{output.paint(word, colour)}  {each.id}: {redact(each.message)}", f"      at  {place}"]
        lines += [f"      why {each.cause}", f"      do  {each.remedy}"]
    lines += [f"missing {field}: {what}" for field, what in draft.unknown.items()]
    lines += [f"note: {each}" for each in draft.notes]
    ending = "fill in what is missing, then" if draft.unknown else "then"
    return "\n".join(
        [*lines, f"{len(findings)} errors of the guide; wrote {path}; {ending}: nodegate-host validate -c {path}"]
    )


def look(surroundings: Surroundings, answers: Answers) -> tuple[GuideHost, tuple[GuideFinding, ...], Draft]:
    """Read the host; raise `Usage` when there is no kubelet unit to read."""
    host = read(Host(surroundings.root))
    if not host.units[KUBELET].fragment:
        raise Usage("expected a kubelet.service on this host, found none; start with init --minimal")
    return host, find(host), convert(host, answers)


def run(args: argparse.Namespace, surroundings: Surroundings, write: Write) -> Exit:
    """Read, write node.yaml (or print it with ``--stdout``), and tell."""
    answers = Answers(args.kubernetes, args.service_cidr, args.pod_cidr, args.api_server, args.name, args.ip)
    _, findings, draft = look(surroundings, answers)
    if args.stdout:
        surroundings.output.write(draft.text())
        return Exit.OK
    write(surroundings.config, draft.text())
    path = str(surroundings.config)
    counts = {"path": path, "errors": len(findings), "missing": dict(draft.unknown), "notes": list(draft.notes)}
    output = surroundings.output
    output.result(
        _text(findings, draft, path, output),
        "GuideImport",
        counts,
        [{**asdict(each), "message": redact(each.message)} for each in findings],
    )
    return Exit.OK
