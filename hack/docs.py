"""Keeps documents in step with the code: ``python -m hack.docs`` rewrites them, ``--check`` only compares.

What enters are the rules, the reasons' remedies and the operator's flags; what leaves are the table of
rules in README.md, the table of settings in docs/configuration.md, and two lines of every reason's
section in docs/troubleshooting.md (which rule, and what to do), the fields in docs/crd; and, as whole files, what
`hack.metrics_docs` makes of the metrics and the alerts, `hack.evidence` of the rules' proofs, and
`hack.host_requirements` of the guide's steps.

Rules: only what stands between markers, or begins as a generated line does, is touched; everything else
in those files is a person's. A document without its markers is an error, never left as it is.
"""

import argparse
import difflib
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from hack.crd_docs import fields_table
from hack.evidence import verifications_page
from hack.host_requirements import errata_table, requirements_page
from hack.markdown import FAULTS, cell, prose
from hack.metrics_docs import metrics_page, prometheus_rule
from nodegate.cli.remedies import REMEDIES
from nodegate.csr.decide import APPROVALS, RULES
from nodegate.csr.model import Kind, Reason
from nodegate.csr.rules.rule import Rule
from nodegate.settings import add_flags

ROOT = Path(__file__).resolve().parents[1]
"""The repository."""

PURPOSES: Mapping[Kind, str] = {
    Kind.BOOTSTRAP: "the first client certificate",
    Kind.RENEWAL: "the renewal of a client certificate",
    Kind.SERVING: "a serving certificate",
}
"""What each kind of request is for."""

_HELP = re.compile(r"(?P<meaning>.*) \[(?P<variable>[A-Z_]+)\](?: \(default (?P<default>.*)\))?")
_SECTION = re.compile(r"^### (?P<reason>[A-Z]\w+)\n(?P<body>.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
_RULE_LINE = re.compile(r"^\*.+\*$", re.MULTILINE)
_REMEDY_LINE = re.compile(r"^\*\*Do:\*\*.*$", re.MULTILINE)


class Broken(Exception):
    """A document lacks what the generator fills in; the message says which and what."""


class Setting(NamedTuple):
    """One flag of ``nodegate operator``, as its help shows it."""

    flag: str
    variable: str
    default: str
    """Empty when there is none."""

    meaning: str


class _Recorder(argparse.ArgumentParser):
    """A parser that remembers the flags declared on it."""

    def __init__(self) -> None:
        self.flags: list[tuple[str, str]] = []
        super().__init__(add_help=False)

    def add_argument(self, *names: Any, **options: Any) -> argparse.Action:
        """Declare a flag and remember its name and help."""
        self.flags.append((names[0], options["help"]))
        return super().add_argument(*names, **options)


def settings() -> Iterator[Setting]:
    """Yield the operator's flags in the order of ``--help``.

    Raises:
        Broken: A flag's help has another form than ``meaning [VARIABLE] (default …)``.
    """
    recorder = _Recorder()
    add_flags(recorder)
    for flag, text in recorder.flags:
        match = _HELP.fullmatch(text)
        if match is None:
            raise Broken(f"{flag}: expected help such as 'meaning [VARIABLE] (default …)', found {text!r}")
        yield Setting(flag, match["variable"], match["default"] or "", match["meaning"])


def rule_table() -> str:
    """Return the table of rules, in their order."""
    rows = (f"| {rule.stage} | `{rule.reason}` | {FAULTS[rule.fault]} | {cell(rule.law)} |" for rule in RULES)
    return "\n".join(("| stage | reason | a fault is | the rule |", "|---|---|---|---|", *rows))


def settings_table() -> str:
    """Return the table of settings, in the order of ``--help``."""
    rows = (
        f"| `{each.flag}` | `{each.variable}` | {f'`{each.default}`' if each.default else ''} | {cell(each.meaning)} |"
        for each in settings()
    )
    return "\n".join(("| flag | environment | default | meaning |", "|---|---|---|---|", *rows))


def between(name: str, make: Callable[[], str]) -> Callable[[str], str]:
    """Return what replaces the part of a document between ``<!-- name:begin -->`` and ``<!-- name:end -->``.

    Raises:
        Broken: When called with a document that has not exactly one such part.
    """
    begin, end = f"<!-- {name}:begin -->\n", f"\n<!-- {name}:end -->"

    def rewrite(document: str) -> str:
        if document.count(begin) != 1 or document.count(end) != 1:
            raise Broken(f"expected {begin.strip()} and {end.strip()} once each, found something else")
        head, rest = document.split(begin)
        return f"{head}{begin}{make()}{end}{rest.split(end)[1]}"

    return rewrite


def reasons(document: str) -> str:
    """Rewrite the generated lines of every reason's section.

    A section begins with ``### Reason``; its line in italics tells the rule, its line that begins with
    ``**Do:**`` the remedy.

    Raises:
        Broken: A reason has no section, or a section lacks one of the lines or stands for no reason.
    """
    found = [match["reason"] for match in _SECTION.finditer(document)]
    if sorted(found) != sorted(Reason):
        odd = sorted({*found} ^ {str(reason) for reason in Reason}) or "a section twice"
        raise Broken(f"expected one section for each reason, found these missing or unknown: {odd}")
    return _SECTION.sub(lambda match: _section(Reason(match["reason"]), match["body"]), document)


def _section(reason: Reason, body: str) -> str:
    body = _filled(reason, body, _RULE_LINE, _rule_line(reason))
    if reason in REMEDIES:
        body = _filled(reason, body, _REMEDY_LINE, f"**Do:** {prose(REMEDIES[reason])}")
    return f"### {reason}\n{body}"


def _filled(reason: Reason, body: str, line: re.Pattern[str], text: str) -> str:
    if len(line.findall(body)) != 1:
        raise Broken(f"{reason}: expected one line like {text[:12]!r}…, found {len(line.findall(body))}")
    return line.sub(lambda _: text, body)


def _rule_line(reason: Reason) -> str:
    rule: Rule | None = next((rule for rule in RULES if rule.reason is reason), None)
    if rule is not None:
        return f"*{FAULTS[rule.fault]}, stage {rule.stage}. {prose(rule.law)}*"
    kind = next(kind for kind, approved in APPROVALS.items() if approved is reason)
    return f"*Approve: {PURPOSES[kind]}.*"


def fields_of(kind_file: str, document: str) -> str:
    """Rewrite the tables of a kind's fields.

    Args:
        kind_file: A file name in ``crds``.
        document: With a place for each table.

    Raises:
        Broken: A table's place is missing.
    """
    for part in ("spec", "status"):
        document = between(part, partial(fields_table, kind_file, part))(document)
    return document


DOCUMENTS: Mapping[str, Callable[[str], str]] = {
    "README.md": between("rules", rule_table),
    "docs/configuration.md": between("settings", settings_table),
    "docs/troubleshooting.md": reasons,
    "docs/host.md": between("errata", errata_table),
    "docs/crd/nodeenrollment.md": partial(fields_of, "nodeenrollments.nodegate.dev.yaml"),
    "docs/crd/flannelnetwork.md": partial(fields_of, "flannelnetworks.nodegate.dev.yaml"),
    "docs/crd/nodeenrollmentpool.md": partial(fields_of, "pools/nodeenrollmentpools.nodegate.dev.yaml"),
}
"""Every document with generated parts, and what rewrites it."""

WHOLE: Mapping[str, Callable[[], str]] = {
    "docs/host-requirements.md": requirements_page,
    "docs/metrics.md": metrics_page,
    "docs/verifications.md": verifications_page,
    "manifests/components/monitoring/operator-crds/prometheus-rule.yaml": prometheus_rule,
}
"""Every file that is generated as a whole, and what makes it; one that is missing is stale."""


def stale(root: Path = ROOT) -> Iterator[tuple[Path, str, str]]:
    """Yield each document that is not what the code makes of it: its path, its text, and what it should be.

    Raises:
        Broken: A document cannot be rewritten.
    """
    for name, rewrite in DOCUMENTS.items():
        path = root / name
        before = path.read_text(encoding="utf-8")
        try:
            after = rewrite(before)
        except Broken as error:
            raise Broken(f"{name}: {error}") from error
        if after != before:
            yield path, before, after
    for name, make in WHOLE.items():
        path = root / name
        before, after = path.read_text(encoding="utf-8") if path.exists() else "", make()
        if after != before:
            yield path, before, after


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Rewrite, or with ``--check`` compare; return 1 when something is stale or cannot be rewritten."""
    parser = argparse.ArgumentParser(prog="python -m hack.docs", description="Keep documents in step with the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; show a diff and end with 1 when stale")
    check = parser.parse_args(arguments).check
    try:
        found = list(stale(root))
    except Broken as error:
        print(f"hack.docs: {error}", file=sys.stderr)
        return 1
    for path, before, after in found:
        name = path.relative_to(root)
        if check:
            made = difflib.unified_diff(before.splitlines(), after.splitlines(), f"{name}", f"{name} (from the code)")
            print("\n".join(line.rstrip("\n") for line in made))
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(after, encoding="utf-8")
            print(f"wrote {name}")
    if check and found:
        print("hack.docs: documents are stale; run make docs and commit the change", file=sys.stderr)
    return 1 if check and found else 0


if __name__ == "__main__":
    sys.exit(main())
