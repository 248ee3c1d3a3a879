"""``nodegate-host diagnose``: why does this node not work? From the journal, or from a file that somebody sent.

Reads, and writes nothing but the archive that ``--bundle`` names. Causes come ranked, with the lines that show them,
the files that are to blame and commands that help; what no rule knows comes as the last distinct errors. Exit 0
whenever the lines could be read.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from nodegate_host import paths
from nodegate_host.errors import Usage
from nodegate_host.exits import Exit
from nodegate_host.facts import identity, programs, runtime, system, units
from nodegate_host.facts.commands import flag
from nodegate_host.facts.host import Host
from nodegate_host.output import Output, document
from nodegate_host.redaction import redact
from nodegate_host.rules import journal, packing
from nodegate_host.rules.engine import diagnose
from nodegate_host.rules.model import Cause, Diagnosis, Line, Unknown
from nodegate_host.rules.refine import Known, refiner
from nodegate_host.surroundings import Surroundings

_WORDS = {"error": ("CAUSE", "red"), "warning": ("WARN", "yellow"), "info": ("INFO", "cyan")}
_SHOWN_EVIDENCE = 6
_WIDTH = 200


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's flags."""
    parser.add_argument("--since", metavar="TIME", help="as journalctl takes it, as '1 hour ago' (default: this boot)")
    parser.add_argument("--unit", action="append", default=[], metavar="UNIT", help="this unit only; repeatable")
    parser.add_argument("--journal-file", metavar="FILE", help="a saved journal: text, or journalctl -o json")
    parser.add_argument(
        "--bundle", metavar="OUT.tgz", help="pack journal, units and settings, without secrets, for others"
    )


def _lines(args: argparse.Namespace, surroundings: Surroundings) -> tuple[Line, ...]:
    if args.journal_file:
        try:
            with open(args.journal_file, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 (a path as given)
                found = journal.read(file)
        except OSError as error:
            raise Usage(f"expected a saved journal in {args.journal_file}: {error.strerror}") from None
        wanted = {each.removesuffix(".service") for each in args.unit}
        return tuple(each for each in found if not wanted or each.unit in wanted)
    lines, problem = journal.from_journald(journal.command(args.unit, args.since, root=str(surroundings.root)))
    if problem:
        raise Usage(problem)
    return lines


def known_of(host: Host) -> Known:
    """Gather what helps to tell causes apart."""
    found = units.gather(host)
    machine = system.mounts(host)
    cgroup = 2 if any(each.type == "cgroup2" and each.path == "/sys/fs/cgroup" for each in machine) else 1
    versions = {}
    for name in ("kubelet", "kube-proxy"):
        command = found[f"{name}.service"].command
        version = programs.program(host, name, command[0].text).version if command else None
        versions.update({name: version} if version else {})
    docker = found["docker.service"]
    drivers = runtime.containerd_cgroups(host) if host.exists(paths.CONTAINERD_CONFIG) else ()
    if docker.fragment:
        drivers += runtime.docker_cgroups(docker, runtime.daemon_json(host), cgroup)
    return Known(
        units=found,
        environment_files=units.environment_files(host),
        bootstrap=identity.load(host, _path(found, "--bootstrap-kubeconfig", paths.BOOTSTRAP_KUBECONFIG)).fact,
        kubelet=identity.load(host, _path(found, "--kubeconfig", paths.KUBELET_KUBECONFIG)).fact,
        versions=versions,
        cgroups=drivers,
        now=time.time(),
    )


def _path(found: dict[str, Any], name: str, usual: str) -> str:
    return flag(found["kubelet.service"], name) or usual


def item(cause: Cause) -> dict[str, Any]:
    """Return a cause as it stands in the JSON."""
    hit = cause.hit
    return {
        "id": cause.id,
        "severity": cause.severity,
        "title": cause.title,
        "cause": cause.cause,
        "remedy": list(cause.remedy),
        "evidence": [
            {"where": each.file, "line": each.line or None, "text": redact(each.text)} for each in cause.evidence
        ],
        "faq": hit.rule.faq,
        "guide": [hit.rule.errata] if hit.rule.errata else [],
        "count": hit.count,
        "first": hit.first,
        "last": hit.last,
    }


def unknown_items(found: Diagnosis) -> list[dict[str, Any]]:
    """Return the errors without a rule as they stand in the JSON."""
    return [
        {
            "id": "unknown",
            "severity": "unknown",
            "text": redact(each.line.message),
            "unit": each.line.unit,
            "count": each.count,
            "line": each.line.number,
            "last": each.line.time,
        }
        for each in found.unknown
    ]


def _cause_text(cause: Cause, output: Output) -> list[str]:
    word, colour = _WORDS[cause.severity]
    faq = f", FAQ {cause.hit.rule.faq}" if cause.hit.rule.faq else ""
    times = f"{cause.hit.count} times" if cause.hit.count > 1 else "once"
    lines = [f"{output.paint(word, colour)}  {cause.id}{faq}: {cause.title} ({times})", f"       {cause.cause}"]
    lines += [f"       at  {redact(str(each))[:_WIDTH]}" for each in cause.evidence[:_SHOWN_EVIDENCE]]
    lines += [f"       do  {each}" for each in cause.remedy]
    return lines


def _unknown_text(each: Unknown) -> str:
    return f"  {each.count:>5}x {each.line.unit or '-'}: {redact(each.line.message.strip())[:_WIDTH]}"


def text(found: Diagnosis, output: Output) -> str:
    """Return what people read."""
    lines = [line for cause in found.causes for line in _cause_text(cause, output)]
    if not found.causes:
        lines.append("no rule matched")
    if found.unknown:
        lines.append("other errors, newest first:" if found.causes else "the last distinct errors, newest first:")
        lines += [_unknown_text(each) for each in found.unknown]
    lines.append(f"{found.lines} lines read, {len(found.causes)} causes, {len(found.unknown)} other errors")
    return "\n".join(lines)


def _config_text(surroundings: Surroundings) -> str | None:
    try:
        return surroundings.config.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def run(args: argparse.Namespace, surroundings: Surroundings) -> Exit:
    """Read, match, tell; with ``--bundle`` pack as well."""
    lines, host, output = _lines(args, surroundings), Host(surroundings.root), surroundings.output
    found = diagnose(lines, refiner(known_of(host)))
    counts = {
        "lines": found.lines,
        "causes": len(found.causes),
        "errors": sum(each.severity == "error" for each in found.causes),
        "unknown": len(found.unknown),
    }
    items = [*(item(each) for each in found.causes), *unknown_items(found)]
    if args.bundle:
        packed = packing.texts(host, lines, document("Diagnosis", counts, items), _config_text(surroundings))
        packing.write(args.bundle, packing.archive(packed))
        output.note(f"wrote {args.bundle}: {len(packed)} files, secrets redacted")
    output.result(text(found, output), "Diagnosis", counts, items)
    return Exit.OK
