"""Environment files as systemd reads them, and the mistakes that the guide's readers make (E18)."""

import json

import pytest

from nodegate_host.envfile import Assignment, lint, parse
from tests.builders import ROOT

_MEASURED = ROOT / "tests" / "fixtures" / "host" / "envfile" / "systemd-252.json"
"""Files as text, and the environment that a real systemd 252 gave a program for each."""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=x y", "x y"),
        ('A="x y"', "x y"),
        ("A='x \"y'", 'x "y'),
        ("A=x  ", "x"),
        ('A="x  "', "x  "),
        ("A=  x", "x"),
        ("A=", ""),
        ("A=x\\\ny", "xy"),
        ('A="x\ny"', "x\ny"),
        ('A="\\$x \\n"', "$x \\n"),
        ('A="--x=1" # note', "--x=1# note"),
        ('A="x"y', "xy"),
        ('A="x"y"z"', 'xy"z"'),
        ("A=\"x\"'y'", "xy"),
        ("A=x#y", "x#y"),
        ("A=x\r\n", "x"),
        ("A = x", "x"),
        ("  A=x", "x"),
        ('A="never closed\nB=y', "never closed\nB=y"),
    ],
)
def test_reads_a_value_as_systemd_does(text: str, value: str) -> None:
    """Each line gives what `systemd` would hand to the program."""
    assert [each.value for each in parse(text) if each.name == "A"] == [value]


def test_knows_the_line_of_each_name() -> None:
    """Comments, empty lines and continued values do not shift the numbers."""
    text = "# c\n\nA=1\nB='x\ny'\n; c\nC=3\r\nD=4\n"

    assert parse(text) == (
        Assignment("A", "1", 3),
        Assignment("B", "x\ny", 4),
        Assignment("C", "3", 7),
        Assignment("D", "4", 8),
    )


def test_drops_what_systemd_drops() -> None:
    """A line without =, one with export and one with a bad name set nothing."""
    assert parse("nonsense\nexport A=1\n1B=2\nC-D=3\nE=5\n") == (Assignment("E", "5", 5),)


@pytest.mark.parametrize(
    ("text", "kind", "line"),
    [
        ('\nA="--x=1" # note', "inline-comment", 2),
        ("A=x # note", "inline-comment", 1),
        ('A="--x=1\nB="y"\n', "unclosed-quote", 1),
        ("A='x", "unclosed-quote", 1),
        ("A=1\nB=\u201cx\u201d", "typographic", 2),
        ("A=\u2013x", "typographic", 1),
        ("A=\u00a0x", "typographic", 1),
        ("\ufeffA=x", "typographic", 1),
        ("export A=x", "export", 1),
        ("A-B=x", "bad-name", 1),
        ("A=1\n--x=1 --y\nB", "no-assignment", 3),
        ("H=a\nA=--name=${H}", "not-expanded", 2),
        ("A=--name=$H", "not-expanded", 1),
        ("A=--x \\\nB=y", "joined-line", 1),
        ('A="x\r\ny"', "crlf", 1),
        ("A=1\r\nB=2", "crlf", 1),
        ("A=1\nA=2", "repeated", 2),
    ],
)
def test_finds_the_mistake_and_its_line(text: str, kind: str, line: int) -> None:
    """Each mistake is found where it is, and says what to do."""
    found = [each for each in lint(text) if each.kind == kind]

    assert [each.line for each in found][:1] == [line]
    assert all(each.remedy and each.message for each in found)


@pytest.mark.parametrize(
    "text",
    [
        "# a comment with \u201cquotes\u201d \u2013 and ${H}\nA=1\n",
        'A="--x=1 --y=#2"\n',
        "A='x\ny'\n",
        'A="--x \\\n  --y"\n',
        "A=x#y\n",
        "A=--label=cost:5$\n",
    ],
)
def test_finds_nothing_in_what_is_right(text: str) -> None:
    """Comments may hold anything; quoted values may span lines and hold #."""
    assert lint(text) == ()


def test_tells_which_assignment_an_unclosed_quote_swallows() -> None:
    """The message names both ends of the accident."""
    problem = lint('KUBELET_ADDRESS="--address=10.0.0.1\nKUBELET_ARGS="--v=2"\n')[0]

    assert "KUBELET_ADDRESS" in problem.message
    assert "swallows the assignment of KUBELET_ARGS" in problem.message


def test_reads_as_a_real_systemd_did() -> None:
    """For several hundred files, most of them nonsense, the result is what systemd 252 set."""
    rows = json.loads(_MEASURED.read_text())

    differ = [text for text, measured in rows if {each.name: each.value for each in parse(text)} != measured]

    assert len(rows) > 300
    assert differ == []
