"""Unit files and command lines as systemd reads them."""

import json

import pytest

from nodegate_host.unitfile import Setting, Source, Value, expand, parse, relaxed_words, values, words
from tests.builders import ROOT

_MEASURED = ROOT / "tests" / "fixtures" / "host" / "envfile" / "words-systemd-252.json"
"""Values of $A, and what a real systemd 252 passed for `_COMMAND`, one argument a line."""

_COMMAND = '/usr/bin/printf "[%%s]\\n" S $A | ${A} -x=${A} "$A" p$A $NONE ${NONE} "q r" E'
_SOURCE = Source("f", 1)


def test_expands_as_a_real_systemd_did() -> None:
    """Bare variables are split with their quotes taken off, those in braces are one word, others stay."""
    rows = json.loads(_MEASURED.read_text())
    known = [({"A": Value(value, _SOURCE)}, value, measured) for value, measured in rows]

    found = [
        (value, "".join(f"[{each.text}]\n" for each in expand(_COMMAND, variables, _SOURCE)[2:]))
        for variables, value, _ in known
    ]

    assert len(rows) > 150
    assert found == [(value, measured) for _, value, measured in known]


def test_joins_continued_lines_and_passes_over_comments_in_them() -> None:
    """A setting's line is where it begins."""
    text = "[Service]\n# c\nExecStart=/bin/x \\\n# in between\n  --y \\\n  --z\nUser=a\n"

    assert parse(text) == (
        Setting("Service", "ExecStart", "/bin/x  --y  --z", 3),
        Setting("Service", "User", "a", 7),
    )


def test_an_empty_value_takes_back_a_list() -> None:
    """Drop-ins say ExecStart= before they say it anew."""
    settings = parse("[Service]\nExecStart=/a\nExecStart=\nExecStart=/b\n[Unit]\nExecStart=/c\n")

    assert [each.value for each in values(settings, "Service", "ExecStart")] == ["/b"]


def test_takes_prefixes_off_the_program() -> None:
    """-, @, :, + and ! before the program are systemd's, not its name's."""
    assert [each.text for each in expand("-+/bin/x -a", {}, _SOURCE)] == ["/bin/x", "-a"]


@pytest.mark.parametrize(
    ("text", "found"), [("", ()), ("a  b", ("a", "b")), ('"" z', ("", "z")), ("a'b c", ("ab c",)), ("a\\", ("a",))]
)
def test_splits_values_as_systemd_does(text: str, found: tuple[str, ...]) -> None:
    """Empty words in quotes stay, an open quote ends with the text."""
    assert relaxed_words(text) == found


def test_a_command_line_with_an_open_quote_stays_whole() -> None:
    """It cannot be split; systemd refuses it, and nothing is lost here."""
    assert words('a "b') == ('a "b',)
