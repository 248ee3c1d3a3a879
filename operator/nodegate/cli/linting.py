"""``lint``: say what is wrong with manifests before anything is applied, with file and line.

Files come in, findings come out. Rules: nothing is asked of a cluster; the schema's rules are the CRD's,
the judgement is the operator's; signing requests are judged by the enrollments in the files as
``explain`` would. A file that cannot be read ends it with 2; one that holds nonsense is a finding.
"""

import argparse
import difflib
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from nodegate.cli import terminal
from nodegate.cli.arguments import PROG, add_output, add_verb, moment
from nodegate.cli.enrollment_shape import as_stored, faults
from nodegate.cli.exits import Exit
from nodegate.cli.facts import KINDS, Facts, Manifest, gather
from nodegate.cli.findings import Finding, Severity, counts, finding, finding_line, ordered, report
from nodegate.cli.flannel_lint import network_faults, network_remarks
from nodegate.cli.lint_rules import Beside, Entry, remarks
from nodegate.cli.manifests import read_file, uncollected
from nodegate.cli.objects import print_object
from nodegate.cli.places import FieldPath, Place, Unreadable
from nodegate.cli.pool_lint import KIND as _POOL
from nodegate.cli.pool_lint import pool_faults, pool_remarks
from nodegate.clock import now
from nodegate.csr.decide import judge
from nodegate.csr.model import Deny, Fact, Hold, Judgement, Policy
from nodegate.csr.render import verdict_name
from nodegate.enrollment.model import NodeName
from nodegate.enrollment.parse import parse_enrollment
from nodegate.errors import Malformed
from nodegate.names import API_GROUP, API_VERSION
from nodegate.text import counted, listed, visible

_DESCRIPTION = """\
Check NodeEnrollment and FlannelNetwork manifests before they are applied: what the API server would
refuse (the rules of the CRDs), what the operator could not act on (reserved and shared identities, ranges
that no flannel should have), and what was probably not meant. Each finding is one line:
file:line: severity: field: message. No cluster is asked.

Signing requests in the files are judged by the enrollments in the files, as explain would. Node,
Service, ServiceCIDR, EndpointSlice and FlannelNetwork tell which identities are reserved."""

_EPILOG = f"""\
examples:
  # Before a commit
  {PROG} lint enrollments/*.yaml

  # In a pipeline: warnings count as errors, the report goes to a tool
  {PROG} lint --strict -o json enrollments/*.yaml

  # What is in the cluster now
  kubectl get nodeenrollments,nodes,servicecidrs -o json | {PROG} lint -

exit codes:
  0 no errors (warnings are allowed without --strict); 1 errors; 2 usage, or a file that cannot be read"""

_ENROLLMENT, _REQUEST = "NodeEnrollment", "CertificateSigningRequest"
_NETWORK = "FlannelNetwork"


def add_parser(verbs: Any) -> None:
    """Add the verb to the command line."""
    parser = add_verb(
        verbs,
        "lint",
        "Check manifests before they are applied, offline",
        usage="FILE... [flags]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("file", nargs="+", metavar="FILE", help="files to check; - is stdin")
    parser.add_argument("--strict", action="store_true", help="make errors of warnings")
    parser.add_argument("--at", type=moment, metavar="RFC3339", help="the moment to judge at (now)")
    add_output(parser, ("table", "json", "yaml"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    """Check, print, and return what to end with."""
    linting = _Linting()
    with uncollected():
        for name in dict.fromkeys(args.file):
            linting.read(name)
        findings = linting.conclude(args.at or now())
    if args.strict:
        findings = [
            replace(each, severity=Severity.ERROR) if each.severity is Severity.WARNING else each for each in findings
        ]
    if args.output == "table":
        terminal.show([finding_line(each) for each in findings], sys.stdout)
        print(_summary(findings, linting.objects), file=sys.stderr)
    else:
        print_object(report(findings, files=len(linting.files), objects=linting.objects), args.output)
    return Exit.FINDING if counts(findings)["errors"] else Exit.OK


def _summary(findings: list[Finding], objects: int) -> str:
    found = counts(findings)
    kinds = (("errors", "error"), ("warnings", "warning"), ("infos", "note"))
    return f"{counted(objects, 'object')}: {', '.join(counted(found[key], word) for key, word in kinds)}"


@dataclass(slots=True)
class _Linting:
    """The files' objects while they are being read, and what was found."""

    files: list[str] = field(default_factory=list)
    objects: int = 0
    findings: list[Finding] = field(default_factory=list)
    entries: dict[NodeName, Entry] = field(default_factory=dict)
    requests: list[tuple[Manifest, Place]] = field(default_factory=list)
    facts: dict[tuple[str, str, str], Manifest] = field(default_factory=dict)
    pools: dict[str, Manifest] = field(default_factory=dict)
    missing: set[Fact] = field(default_factory=set)

    def read(self, name: str) -> None:
        """Take in one file."""
        shown = "stdin" if name == "-" else visible(name)
        self.files.append(shown)
        try:
            for manifest in read_file(name):
                self.objects += 1
                if manifest.place is not None:
                    self._take(manifest, manifest.place)
        except Unreadable as error:
            self.findings.append(Finding(shown, error.line, Severity.ERROR, "", error.what, "syntax"))
            self.missing |= set(Fact)

    def _take(self, manifest: Manifest, place: Place) -> None:
        body = manifest.body
        kind, group = body.get("kind"), str(body.get("apiVersion") or "").rpartition("/")[0]
        if kind == _ENROLLMENT:
            self._enrollment(manifest, place)
        elif kind == _POOL:
            self._pool(manifest, place)
        elif isinstance(kind, str) and KINDS.get(kind) == group:
            self._fact(manifest, place)
        else:
            self._stranger(kind, group, place)

    def _say(self, place: Place, severity: Severity, path: FieldPath, message: str, rule: str) -> None:
        self.findings.append(finding(place, severity, path, message, rule))

    def _stranger(self, kind: Any, group: str, place: Place) -> None:
        """Say that an object is not looked at, or that it was probably meant to be."""
        near = isinstance(kind, str) and difflib.get_close_matches(kind, (_ENROLLMENT, _REQUEST), n=1, cutoff=0.8)
        if not isinstance(kind, str) or near or group == API_GROUP or kind in KINDS:
            hint = f"; did you mean {near[0]}?" if near else ""
            message = f"expected a kind such as {_ENROLLMENT} of {API_VERSION}, found {visible(str(kind or 'none'))}"
            message += f" of {visible(group) or 'the core group'}{hint}"
            self._say(place, Severity.ERROR, ("kind",), message, "kind")
            self.missing |= set(Fact)
        else:
            self._say(place, Severity.INFO, ("kind",), f"a {visible(kind)} is not looked at", "not-looked-at")

    def _enrollment(self, manifest: Manifest, place: Place) -> None:
        found = [*faults(manifest.body)]
        for problem in found:
            self._say(place, Severity.ERROR, *problem)
        if found:
            self.missing |= {Fact.ENROLLMENT, Fact.CLAIMS}
            return
        try:
            body = as_stored(manifest.body)
            enrollment = parse_enrollment(body, offline=True)
        except Malformed as error:  # The schema's rules hold; what is left is the status, and parts of a microsecond.
            self._say(place, Severity.ERROR, (), f"the operator cannot read it: {error}", "operator")
            self.missing |= {Fact.ENROLLMENT, Fact.CLAIMS}
            return
        before = self.entries.setdefault(enrollment.name, Entry(enrollment, body, place))
        if before.place is not place:
            self._twice(enrollment.name, before.place, place)

    def _twice(self, name: str, before: Place, place: Place) -> None:
        message = (
            f"expected one object of this name, found {visible(name, 253)} also in {before.file}:{before.line_of()}"
        )
        self._say(place, Severity.ERROR, ("metadata", "name"), f"{message}; the later one would win", "duplicate-name")

    def _pool(self, manifest: Manifest, place: Place) -> None:
        found = pool_faults(manifest.body)
        for remark in found:
            self._say(place, *remark)
        if found:
            return
        before = self.pools.setdefault(str(manifest.body["metadata"]["name"]), manifest)
        if before is not manifest and before.place is not None:
            self._twice(str(manifest.body["metadata"]["name"]), before.place, place)

    def _fact(self, manifest: Manifest, place: Place) -> None:
        """Take in an object that is a fact, or a request to judge."""
        found = network_faults(manifest.body) if manifest.body["kind"] == _NETWORK else []
        for remark in found:
            self._say(place, *remark)
        if found:
            self.missing.add(Fact.RESERVED)
            return
        try:
            gather([manifest])
        except Malformed as error:
            self._say(place, Severity.ERROR, (), str(error).partition(": ")[2], "type")
            self.missing |= {Fact.NODE, Fact.RESERVED}
            return
        if manifest.body["kind"] == _REQUEST:
            self.requests.append((manifest, place))
            return
        meta = manifest.body["metadata"]
        key = (str(manifest.body["kind"]), str(meta.get("namespace") or ""), str(meta["name"]))
        before = self.facts.setdefault(key, manifest)
        if before is not manifest and before.place is not None:
            self._twice(key[2], before.place, place)

    def conclude(self, at: datetime) -> list[Finding]:
        """Judge everything that was read and return all findings in order."""
        enrollments = [Manifest(entry.body, "enrollment") for entry in self.entries.values()]
        facts = gather([*enrollments, *self.facts.values()], missing=self.missing)
        beside = Beside(
            facts=facts,
            places={name: entry.place for name, entry in self.entries.items()},
            tokens=_tokens(self.entries.values()),
            now=at,
        )
        for entry in self.entries.values():
            self.findings += (finding(entry.place, *remark) for remark in remarks(entry, beside))
        for manifest, place in self.requests:
            self._judge(manifest, place, facts, at)
        self._networks()
        for pool in self.pools.values():
            others = [each.body for each in self.pools.values() if each is not pool]
            if pool.place is not None:
                self.findings += (finding(pool.place, *remark) for remark in pool_remarks(pool.body, others))
        return ordered(self.findings, self.files)

    def _networks(self) -> None:
        """Say what the operator would never write of the networks."""
        beside = [*self.facts.values()]
        for manifest in beside:
            if manifest.body["kind"] == _NETWORK and manifest.place is not None:
                for remark in network_remarks(manifest.body, beside):
                    self._say(manifest.place, *remark)

    def _judge(self, manifest: Manifest, place: Place, facts: Facts, at: datetime) -> None:
        judgement = judge(facts.case(manifest.body, policy=Policy(), now=at))
        self._say(place, _severity(judgement), (), _verdict(judgement), "verdict")


def _tokens(entries: Iterable[Entry]) -> Mapping[str, list[NodeName]]:
    tokens: defaultdict[str, list[NodeName]] = defaultdict(list)
    for entry in entries:
        if entry.enrollment.bootstrap.token_id:
            tokens[entry.enrollment.bootstrap.token_id].append(entry.enrollment.name)
    return tokens


def _severity(judgement: Judgement) -> Severity:
    match judgement.verdict:
        case Deny():
            return Severity.ERROR
        case Hold():
            return Severity.WARNING
        case _:
            return Severity.INFO


def _verdict(judgement: Judgement) -> str:
    """Return what explain would say, in one line."""
    failures = [f"{each.reason}: expected {each.expected}, found {each.found}" for each in judgement.failures]
    grounds = "; ".join(failures) if failures else listed(judgement.reasons)
    return f"explain says {verdict_name(judgement.verdict)}: {grounds}"
