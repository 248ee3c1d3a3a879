"""All rules over all lines in one pass: hits with counts and times, and the errors that no rule knows.

Pure. Lines go in, hits and unknowns come out. Rules: anchors are searched in the whole text first, so a journal of
50,000 lines costs a fraction of a second; a rule's hit keeps its last line; unknown errors are alike when they differ
only in numbers, addresses and quoted text, and the last `SHOWN` distinct ones are kept, newest first.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence

from nodegate_host.redaction import redact
from nodegate_host.rules.model import ERROR, INFO, WARNING, Cause, Diagnosis, Evidence, Hit, Line, Rule, Unknown
from nodegate_host.rules.table import RULES

SHOWN = 20
"""Distinct unknown errors; more are no help at three in the morning."""

Refine = Callable[[Hit], "tuple[Cause, ...]"]
"""Makes causes of a hit, with what the host's files say about it."""

_ERROR = re.compile(
    r"^[EF]\d{4} \d\d:|\blevel=\"?(?:error|fatal|panic)\b|^(?:error|fatal|panic)\b|\bE(?:RROR|rror):|\bpanic: |"
    r"\bFailed to |\bfailed to run\b|Main process exited, code=(?!exited, status=0)"
)
_KLOG = frozenset("IWEF")
_CERTAIN = 3
"""syslog's error; systemd and many programs log it, klog and logrus log all as 6."""
_HEADER = re.compile(r"^[IWEF]\d{4} [\d:.]+\s+\d+ |time=\"?\S+\"? ")
_VARYING = re.compile(r"\"[^\"]*\"|'[^']*'|\b0x[0-9a-f]+\b|\b[0-9a-f]{8,}\b|\b[0-9a-f-]{32,}\b|\d+")
_COMPARED = 240
"""Characters of a line that tell errors apart."""
_WEIGHT = {ERROR: 0, WARNING: 1, INFO: 2}


def _matches(rule: Rule, text: str, starts: Sequence[int], lines: Sequence[Line]) -> list[int]:
    """Return the indexes of the lines that a rule matches, in order."""
    candidates: set[int] = set()
    for anchor in rule.anchors:
        position = text.find(anchor)
        while position >= 0:
            index = bisect_right(starts, position) - 1
            candidates.add(index)
            following = starts[index + 1] if index + 1 < len(starts) else len(text)
            position = text.find(anchor, following)
    return sorted(index for index in candidates if rule.pattern.search(lines[index].message))


def _hit(rule: Rule, indexes: Sequence[int], lines: Sequence[Line]) -> Hit:
    best = max(indexes, key=lambda index: (_groups(rule, lines[index]) != (), index))
    times = [time for time in (lines[index].time for index in indexes) if time is not None]
    return Hit(
        rule,
        lines[best],
        len(indexes),
        min(times, default=None),
        max(times, default=None),
        _groups(rule, lines[best]),
    )


def _groups(rule: Rule, line: Line) -> tuple[str, ...]:
    found = rule.pattern.search(line.message)
    return tuple(each for each in found.groups() if each) if found else ()


def match(lines: Sequence[Line], rules: Sequence[Rule] = RULES) -> tuple[tuple[Hit, ...], frozenset[int]]:
    """Return the hits in the rules' order, and the indexes of all lines that some rule matched."""
    starts, position = [], 0
    for line in lines:
        starts.append(position)
        position += len(line.message) + 1
    text = "\n".join(line.message for line in lines)
    hits, known = [], set()
    for rule in rules:
        indexes = _matches(rule, text, starts, lines) if lines else []
        if indexes:
            hits.append(_hit(rule, indexes, lines))
            known.update(indexes)
    return tuple(hits), frozenset(known)


def _is_error(line: Line) -> bool:
    if line.priority is not None and line.priority <= _CERTAIN:
        return True
    # klog's own letter decides for most lines, which saves the search.
    if line.message[1:5].isdigit() and line.message[:1] in _KLOG:
        return line.message[0] in "EF"
    return _ERROR.search(line.message) is not None


def unknown(lines: Sequence[Line], known: frozenset[int], limit: int = SHOWN) -> tuple[Unknown, ...]:
    """Return the last distinct errors that no rule matched, newest first."""
    found: OrderedDict[str, Unknown] = OrderedDict()
    for index, line in enumerate(lines):
        if index in known or not _is_error(line):
            continue
        key = _VARYING.sub("*", _HEADER.sub("", line.message[:_COMPARED]))
        earlier = found.pop(key, None)
        found[key] = Unknown(line, 1 + (earlier.count if earlier else 0))
    return tuple(reversed(found.values()))[:limit]


def fill(text: str, groups: Sequence[str]) -> str:
    """Put what the pattern found into a sentence; what it did not find is said so."""
    padded = [*groups, *["not named in the line"] * 3]
    return text.format(*padded)


def plain(hit: Hit) -> tuple[Cause, ...]:
    """Return the cause that the rule alone gives."""
    rule, line = hit.rule, hit.line
    return (
        Cause(
            rule.id,
            rule.severity,
            rule.title,
            fill(rule.cause, hit.groups),
            tuple(_named(fill(each, hit.groups), line.unit) for each in rule.remedy),
            (
                Evidence(
                    f"journal ({line.unit})" if line.unit else "journal", line.number, redact(line.message.strip())
                ),
            ),
            hit,
        ),
    )


def _named(command: str, unit: str) -> str:
    """Put the unit that logged the line into a command, when it is known."""
    return command.replace("UNIT", unit) if unit and unit != "systemd" else command


def _rank(cause: Cause) -> tuple[int, int, int, float]:
    """Errors first, root causes before what follows from them, the FAQ's before others, newer before older."""
    rule = cause.hit.rule
    return (_WEIGHT[cause.severity], rule.depth, rule.faq or 99, -float(cause.hit.line.number))


def diagnose(lines: Sequence[Line], refine: Refine = plain) -> Diagnosis:
    """Return the ranked causes, and the last distinct errors that no rule explains."""
    hits, known = match(lines)
    causes = [cause for hit in hits for cause in refine(hit)]
    return Diagnosis(tuple(sorted(causes, key=_rank)), unknown(lines, known), len(lines))
