"""Text of strangers, made safe to show."""

import pytest

from nodegate.text import LIST_LIMIT, SHOWN_LIMIT, listed, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("node-a", "node-a"),
        ("", ""),
        ("n\u00f6de", "n\u00f6de"),
        ("\x1b[31m", "\\x1b[31m"),
        ("a\nb\tc\r\x00", "a\\nb\\tc\\r\\x00"),
        ("\u202egp\u2066", "\\u202egp\\u2066"),
        ("\u2028\ufeff\x7f\x85", "\\u2028\\ufeff\\x7f\\x85"),
        ("\ud800", "\\ud800"),
    ],
)
def test_unprintable_characters_are_escaped(text: str, shown: str) -> None:
    """Control characters, bidirectional overrides, separators and lone surrogates are shown as escapes."""
    assert visible(text) == shown


@pytest.mark.parametrize("size", [SHOWN_LIMIT - 1, SHOWN_LIMIT])
def test_what_fits_is_whole(size: int) -> None:
    """Up to the limit nothing is cut."""
    assert visible("x" * size) == "x" * size


def test_what_does_not_fit_is_cut_and_marked() -> None:
    """One character more, and an ellipsis ends the text at the limit."""
    assert visible("x" * (SHOWN_LIMIT + 1)) == "x" * (SHOWN_LIMIT - 1) + "…"
    assert visible("abcdef", 4) == "abc…"


def test_escapes_count_towards_the_limit() -> None:
    """Escaping makes text longer, and the limit holds for what is shown."""
    assert len(visible("\x00" * SHOWN_LIMIT)) == SHOWN_LIMIT


def test_lists() -> None:
    """Commas between, a count after five, none for nothing, every item made visible."""
    assert listed([]) == "none"
    assert listed(["a", "\x00"]) == "a, \\x00"
    assert listed("abcdefg") == f"a, b, c, d, e and {7 - LIST_LIMIT} more"
    assert listed("abcde") == "a, b, c, d, e"
