"""Columns, wrapping and lengths of time."""

from datetime import datetime, timedelta

import pytest

from nodegate.cli.layout import Cell, ago, plain, row, span_of_time, table

NOW = datetime.fromisoformat("2030-01-31T12:00:00Z")


def test_cells_are_wrapped_under_themselves() -> None:
    """A long cell goes on below itself, the others stay where they are."""
    assert plain(row([Cell("a", 3), Cell("one two three", 7)], indent=1)) == " a     one two\n       three\n"


def test_words_longer_than_a_cell_are_broken() -> None:
    """A word that fits no line is broken rather than leaving its column."""
    assert plain(row([Cell("abcdefgh", 4)])) == "abcd\nefgh\n"


def test_table_columns_are_as_wide_as_their_longest_text() -> None:
    """Columns are three blanks apart, as kubectl prints them, and lines end without blanks."""
    rows = [("a", "-"), ("long-name", "x")]

    assert plain(table(("NAME", "X"), rows)) == "NAME        X\na           -\nlong-name   x\n"
    assert plain(table(("NAME", "X"), rows, with_header=False)) == "a           -\nlong-name   x\n"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (290, "4m50s"),
        (600, "10m"),
        (3 * 3600 - 1, "179m"),
        (3 * 3600 + 300, "3h5m"),
        (8 * 3600 + 300, "8h"),
        (47 * 3600, "47h"),
        (3 * 86400 + 4 * 3600, "3d4h"),
        (9 * 86400 + 4 * 3600, "9d"),
        (1000 * 86400, "1000d"),
    ],
)
def test_lengths_of_time_are_written_as_kubectl_does(seconds: int, expected: str) -> None:
    """Ages have the steps of kubectl's own."""
    assert span_of_time(timedelta(seconds=seconds)) == expected


def test_moments_before_and_after_now_are_told_apart() -> None:
    """The past is ago, the future is in, and no moment is unknown."""
    assert ago(NOW - timedelta(minutes=5), NOW) == "5m ago"
    assert ago(NOW + timedelta(days=9), NOW) == "in 9d"
    assert ago(None, NOW) == "<unknown>"
