"""Diagnosis rules: a real log line that hits each, and a near miss that does not."""

import pytest

from nodegate_host.rules.engine import diagnose, match
from nodegate_host.rules.model import Line
from nodegate_host.rules.table import BY_ID, RULES
from tests.builders import ROOT

_DATA = ROOT / "tests" / "fixtures" / "host" / "diagnose"


def _rows(name: str) -> list[tuple[str, str]]:
    lines = (_DATA / name).read_text().splitlines()
    return [(each.partition("\t")[0], each.partition("\t")[2]) for each in lines if not each.startswith("#")]


_HITS = _rows("hits.tsv")
_MISSES = _rows("misses.tsv")


def _ids(message: str) -> set[str]:
    return {hit.rule.id for hit in match((Line(1, message),))[0]}


def test_has_all_rules_with_the_four_faq_cases_first() -> None:
    """D1 to D26 and D3b, the FAQ's own at the top."""
    assert {each.id for each in RULES} == {f"D{number}" for number in range(1, 27)} | {"D3b"}
    assert [each.faq for each in RULES[:5]] == [1, 2, 3, 3, 4]
    assert all(each.cause and each.remedy and each.doc for each in RULES)


@pytest.mark.parametrize(("identifier", "message"), _HITS)
def test_a_rule_hits_its_line(identifier: str, message: str) -> None:
    """The line is found by the rule's anchors and its pattern."""
    assert identifier in _ids(message)


@pytest.mark.parametrize(("identifier", "message"), _MISSES)
def test_a_rule_leaves_a_near_miss_alone(identifier: str, message: str) -> None:
    """A line that only looks alike is not taken for the fault."""
    assert identifier not in _ids(message)


def test_every_rule_has_a_hit_and_a_near_miss() -> None:
    """No rule is without proof in both directions."""
    assert {each for each, _ in _HITS} == set(BY_ID)
    assert {each for each, _ in _MISSES} == set(BY_ID)


def test_tells_what_the_line_names() -> None:
    """Drivers, ports, plugins and names stand in the cause and in the commands."""
    lines = [
        Line(1, 'kubelet cgroup driver: "systemd" is different from docker cgroup driver: "cgroupfs"'),
        Line(2, "listen tcp 0.0.0.0:10250: bind: address already in use"),
        Line(3, 'nodes "b" is forbidden: node "a" is not allowed to modify node "b"'),
    ]

    found = {each.id: each for each in diagnose(lines).causes}

    assert found["D3"].cause == "the kubelet uses the cgroup driver systemd, docker uses cgroupfs"
    assert found["D25"].remedy[0] == "ss -ltnp 'sport = :10250'"
    assert "says node a, but the kubelet calls itself b" in found["D9"].cause


def test_ranks_root_causes_before_what_follows_and_harmless_lines_last() -> None:
    """The FAQ's causes lead, a start limit comes after them, 'Stat fs failed' at the end."""
    lines = [
        Line(1, "E0403 16:09:53.073634 22825 fs.go:418] Stat fs failed. Error: no such file or directory"),
        Line(2, "kubelet.service: Start request repeated too quickly."),
        Line(3, "Running with swap on is not supported, please disable swap!"),
        Line(4, "unknown flag: --network-plugin"),
    ]

    assert [each.id for each in diagnose(lines).causes] == ["D1", "D12", "D6", "D4"]


def test_faq_4_asks_for_nothing_to_be_restarted_or_deleted() -> None:
    """The guide reboots and deletes everything here; we say that nothing is to be done."""
    cause = diagnose([Line(1, "E0403 fs.go:418] Stat fs failed. Error: no such file or directory")]).causes[0]

    assert cause.severity == "info"
    assert cause.remedy[0].startswith("nothing is to be done")
    assert not any("kubectl delete" in each for each in cause.remedy)


def test_counts_a_rule_and_keeps_its_last_line_and_times() -> None:
    """Three hits are one cause with a count, the first and the last time, and the newest line."""
    lines = [
        Line(number, f"listen tcp [::]:10250: bind: address already in use {number}", time=100.0 + number)
        for number in (1, 2, 3)
    ]

    hit = diagnose(lines).causes[0].hit

    assert (hit.count, hit.first, hit.last, hit.line.number) == (3, 101.0, 103.0, 3)


def test_lists_the_last_twenty_distinct_errors_that_no_rule_knows() -> None:
    """Lines that differ in numbers and quoted names only are one; information is none."""
    lines = [
        Line(number, f'E1124 22:00:00.{number:06} 7 a.go:1] {chr(97 + number % 25)} broke "{number}"')
        for number in range(100)
    ]
    lines.append(Line(101, "I1124 22:00:00.000000 7 a.go:1] all is well"))

    found = diagnose(lines)

    assert len(found.unknown) == 20
    assert found.unknown[0].line.number == 99
    assert found.unknown[0].count == 4
    assert found.causes == ()


def test_finds_one_line_in_fifty_thousand() -> None:
    """A long journal of harmless lines does not hide a cause, nor is any of them one."""
    lines = [
        Line(number, f"I1124 22:00:00.{number:06} 7 kubelet.go:1] SyncLoop (PLEG) event {number}")
        for number in range(50_000)
    ]
    lines[31_000] = Line(31_000, "unknown flag: --cni-bin-dir")

    found = diagnose(lines)

    assert [(each.id, each.hit.line.number) for each in found.causes] == [("D1", 31_000)]
    assert found.unknown == ()
