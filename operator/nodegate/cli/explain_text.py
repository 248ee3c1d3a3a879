"""A judgement goes in, the lines that explain it to a person come out.

Rules: pure. First who asked for what and what was decided, then every failed rule with what was
expected, what was found and what to do, then, when asked, every rule in the table's order. What
requesters wrote is shown only as ``text.visible`` made it.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple, assert_never

from nodegate.cli.decisions import Decision
from nodegate.cli.layout import EMPTY, GAP, Cell, Line, Span, Style, ago, row
from nodegate.cli.remedies import REMEDIES
from nodegate.csr.decide import RULES
from nodegate.csr.model import Approve, Deny, Finding, Hold, Ignore, Judgement, Kind, Reason, Result, Verdict
from nodegate.csr.render import verdict_name
from nodegate.csr.rules.rule import Fault
from nodegate.enrollment.model import Enrollment, Mode
from nodegate.text import visible

_LABEL = 10
"""Columns of the labels: the longest is Enrollment."""

_INDENT = 2
_PROSE = 120
"""Columns at which sentences are wrapped, however wide the terminal is."""

_TWO_COLUMNS = 130
"""From this width on, expected and found stand side by side in the table of rules."""

_AS_IF = "Nothing: this request is decided already. A new one like it would be judged so, on the facts of this moment."
_RULE = {rule.reason: rule for rule in RULES}
_MIN_EVIDENCE = 24
"""Columns of evidence below which a line is rather too long for the terminal."""

_RULE_WIDTH = max(len(reason) for reason in _RULE)
_LEADS_TO = {Fault.IGNORE: "ignored", Fault.DENY: "denied", Fault.HOLD: "held"}
_RESULT_STYLE = {Result.PASS: Style.GOOD, Result.FAIL: Style.BAD, Result.SKIPPED: Style.FAINT}
_PURPOSE = {
    Kind.BOOTSTRAP: "first client certificate",
    Kind.RENEWAL: "renewal of a client certificate",
    Kind.SERVING: "serving certificate",
}


_PRONOUNS = frozenset({"it", "that", "just that", "all of them"})
"""What passed rules find when they find what they expect; alone they say nothing."""


class Explained(NamedTuple):
    """One judged request and what is shown of it besides."""

    judgement: Judgement
    decisions: tuple[Decision, ...]
    now: datetime
    as_if: bool = False
    """It was judged as if the decisions had not been made."""


def explain_lines(explained: Explained, *, width: int, wide: bool) -> list[Line]:
    """Return the lines about one request.

    Args:
        explained: The request, judged.
        width: Columns there are.
        wide: Show every rule, not only the failed ones.
    """
    lines = [*_header(explained, width)]
    failures = explained.judgement.failures
    if failures:
        lines += [EMPTY, (Span(f"Failed rules ({len(failures)} of {len(RULES)})", Style.STRONG),)]
        for finding in failures:
            lines += [EMPTY, *_failure(finding, width)]
    if wide:
        lines += [EMPTY, *_every_rule(explained.judgement.findings, width)]
    return lines


def summary_line(judgements: Sequence[Judgement]) -> Line:
    """Return the last line about several requests: how many of each verdict."""
    counts = Counter(verdict_name(judgement.verdict) for judgement in judgements)
    parts = [f"{counts[name]} {name}" for name in ("Approve", "Deny", "Hold", "Ignore") if counts[name]]
    return (Span(f"{len(judgements)} requests: {', '.join(parts)}", Style.STRONG),)


def _header(explained: Explained, width: int) -> list[Line]:
    judgement, csr = explained.judgement, explained.judgement.csr
    verdict = judgement.verdict
    lines = _field("Request", visible(csr.name, 253) or "(without a name)", width, Style.STRONG)
    lines += _field("Signer", f"{visible(csr.signer)} ({_PURPOSE[csr.kind]})", width)
    lines += _field("Requester", visible(csr.username, 253) or "(nobody)", width)
    lines += _field("Node", visible(csr.node_name or "", 253) or "(the subject names no node)", width)
    lines += _field("Enrollment", _enrollment(judgement), width)
    if csr.created is not None:
        lines += _field("Asked", f"{ago(csr.created, explained.now)} ({_utc(csr.created)})", width)
    for decision in explained.decisions:
        lines += _field("Decided", _decision(decision, explained.now), width)
    words = f"{verdict_name(verdict)}: {', '.join(judgement.reasons)}"
    if explained.as_if:
        lines += _field("Verdict", f"{words} (as if undecided)", width, _verdict_style(verdict))
        return lines + _field("Next", _AS_IF, width)
    lines += _field("Verdict", words, width, _verdict_style(verdict))
    return lines + _field("Next", _next(judgement), width)


def _field(label: str, text: str, width: int, style: Style = Style.PLAIN, *, indent: int = 0) -> list[Line]:
    """Return a label and its text, wrapped under itself."""
    room = min(width, _PROSE) - _LABEL - GAP - indent
    return row([Cell(label, _LABEL, Style.FAINT), Cell(text, room, style)], indent=indent)


def _utc(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _enrollment(judgement: Judgement) -> str:
    enrollment = judgement.enrollment
    if enrollment is None:
        unread = any(f.reason is Reason.FACTS_UNAVAILABLE and f.result is Result.FAIL for f in judgement.findings)
        return "(none, or it could not be read)" if unread else "(none)"
    return f"{visible(enrollment.name, 253)} ({', '.join(_traits(enrollment))})"


def _traits(enrollment: Enrollment) -> Iterable[str]:
    if enrollment.generation is not None:
        yield f"generation {enrollment.generation}"
    yield f"state {enrollment.state}"
    if enrollment.mode is not Mode.ENFORCE:
        yield f"mode {enrollment.mode}"
    if enrollment.status.phase is not None:
        yield f"phase {enrollment.status.phase}"


def _decision(decision: Decision, now: datetime) -> str:
    when = f" {ago(decision.time, now)}" if decision.time else ""
    by = f" by {decision.by}" if decision.by else ""
    message = decision.message or "(no message)"
    grounds = message if message.startswith(f"{decision.reason}:") else f"{decision.reason or '(no reason)'}: {message}"
    return f"{decision.type}{when}{by}. {grounds}"


def _verdict_style(verdict: Verdict) -> Style:
    match verdict:
        case Approve():
            return Style.GOOD
        case Deny():
            return Style.BAD
        case Hold():
            return Style.CARE
        case Ignore():
            return Style.STRONG
        case _:
            assert_never(verdict)


def _next(judgement: Judgement) -> str:
    audited = judgement.enrollment is not None and judgement.enrollment.mode is Mode.AUDIT
    match judgement.verdict:
        case Approve() | Deny() if audited:
            return "Nothing is written, because the enrollment's mode is Audit: the verdict is only reported."
        case Approve():
            return "The operator approves it, the controller manager signs it, and the kubelet fetches the certificate."
        case Deny():
            return "A Denied condition is written. The kubelet asks again with a new request about every 32 seconds."
        case Hold():
            return (
                "Nothing is written. It is judged again when the enrollment or the Node changes, and at least once a "
                "minute. The kubelet gives up after 15 minutes and asks anew."
            )
        case Ignore():
            return "nodegate leaves it alone: nothing is written, no event is made."
        case _:
            assert_never(judgement.verdict)


def _failure(finding: Finding, width: int) -> list[Line]:
    """Return a failed rule: its name and law, the evidence, and what to do."""
    rule = _RULE[finding.reason]
    title = Span(f"  {finding.reason}", Style.BAD)
    lines: list[Line] = [(title, Span(f"   stage {finding.stage}, {_LEADS_TO[rule.fault]}", Style.FAINT))]
    parts = (("Rule", rule.law), ("Expected", finding.expected), ("Found", finding.found))
    for label, text in (*parts, ("Remedy", REMEDIES[finding.reason])):
        lines += _field(label, text, width, Style.STRONG if label == "Found" else Style.PLAIN, indent=2 * _INDENT)
    return lines


def _every_rule(findings: Sequence[Finding], width: int) -> list[Line]:
    lines: list[Line] = [(Span("Every rule", Style.STRONG),), EMPTY]
    room = max(width - 5 - 7 - _RULE_WIDTH - 3 * GAP - _INDENT, _MIN_EVIDENCE)
    side_by_side = width >= _TWO_COLUMNS
    half = (room - GAP) // 2
    titles = (("EXPECTED", half), ("FOUND", half)) if side_by_side else (("FOUND", room),)
    heads = (("STAGE", 5), ("RESULT", 7), ("RULE", _RULE_WIDTH), *titles)
    lines += row([Cell(title, size, Style.FAINT) for title, size in heads], indent=_INDENT)
    for finding in findings:
        evidence = _side_by_side(finding, half) if side_by_side else [Cell(_evidence(finding), room)]
        style = _RESULT_STYLE[finding.result]
        head = [Cell(str(finding.stage), 5), Cell(finding.result, 7, style), Cell(finding.reason, _RULE_WIDTH)]
        lines += row([*head, *evidence], indent=_INDENT)
    return lines


def _side_by_side(finding: Finding, half: int) -> list[Cell]:
    if finding.result is Result.SKIPPED:
        return [Cell("", half), Cell(f"({finding.found})", half, Style.FAINT)]
    return [Cell(finding.expected, half), Cell(finding.found, half)]


def _evidence(finding: Finding) -> str:
    if finding.result is Result.SKIPPED:
        return f"({finding.found})"
    if finding.result is Result.FAIL:
        return f"{finding.found}; expected {finding.expected}"
    return finding.expected if finding.found in _PRONOUNS else finding.found
