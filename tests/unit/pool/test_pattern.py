"""Patterns of node names: what they match, what is no pattern, and what two share."""

import pytest

from nodegate.errors import Malformed
from nodegate.pool.pattern import POSITION_LIMIT, TEXT_LIMIT, Pattern


@pytest.mark.parametrize(
    ("pattern", "names", "others"),
    [
        ("node-a", ["node-a"], ["node-b", "node-", "node-aa", "xnode-a", "NODE-A", ""]),
        ("node-[a-c0-2-]", ["node-b", "node-2", "node--"], ["node-d", "node-3"]),
        (r"node-\d+", ["node-0", "node-123"], ["node-", "node-a"]),
        (r"w\.corp", ["w.corp"], ["wxcorp"]),
        (r"[a-z0-9\-.]+", ["a.b-c"], ["a_b"]),
        ("a{2}", ["aa"], ["a", "aaa"]),
        ("a{2,}", ["aa", "aaaaa"], ["a"]),
        ("a{0,2}b", ["b", "ab", "aab"], ["aaab"]),
        ("(web|db)-(a|b)?", ["web-", "db-a"], ["web-c", "webdb-"]),
        ("(?:a|b)+", ["abba"], ["abc"]),
        ("(a*)*b", ["b", "aab"], ["a"]),
        ("(a?b?){3}", ["ab", "b", "ababab"], ["abababa", "c"]),
        ("((a{2}){2}){2}", ["a" * 8], ["a" * 7, "a" * 9]),
        ("[]a]", None, []),
    ],
)
def test_a_pattern_covers_the_whole_name(pattern: str, names: list[str] | None, others: list[str]) -> None:
    """Every listed name fits and none of the others does; where there are no names, it is no pattern."""
    if names is None:
        with pytest.raises(Malformed):
            Pattern(pattern)
        return
    found = Pattern(pattern)
    assert [name for name in names if not found.matches(name)] == []
    assert [name for name in others if found.matches(name)] == []


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("", "1 to 253 characters"),
        ("a" * (TEXT_LIMIT + 1), "found 254"),
        ("node-.*", r"character 6, found '.'; write \."),
        ("^node", "leave ^ out"),
        ("node$", "leave $ out"),
        ("Node", "character 1, found 'N'"),
        ("node_1", "found '_'"),
        ("a|", "an alternative may not be empty"),
        ("(|a)", "an alternative may not be empty"),
        ("()", "an alternative may not be empty"),
        ("(a", "expected ) at character 3, found its end"),
        ("a)", "every ) needs its ("),
        ("*a", "found '*'"),
        ("a**", "one repetition"),
        ("a+?", "lazy"),
        ("a{2}{3}", "one repetition"),
        ("a{,3}", "{3}, {2,} or {1,5}"),
        ("a{3,2}", "bounds in order"),
        ("a{0}", "bounds in order"),
        ("a{254}", "at most 253"),
        ("[", "found its end"),
        ("[]", "found ']'"),
        ("[^a]", "list what may stand there"),
        ("[z-a]", "range that begins with 'z'"),
        ("[a-9]", "range that begins with 'a'"),
        ("[a-", "[...]"),
        ("[A-Z]", "lower-case letter"),
        ("[[:alpha:]]", "lower-case letter"),
        (r"\w", r"\d, \. or \-"),
        (r"\1", r"\d, \. or \-"),
        ("(a)\\", "found its end"),
        ("(?=a)", "look-around"),
        ("(?P<x>a)", "look-around"),
        ("(a{99}){99}", f"at most {POSITION_LIMIT}"),
        ("(" * 20 + "a" + ")" * 20, "groups within each other"),
        ("ä", "character 1"),
        ("a\n", "character 2"),
    ],
)
def test_what_is_no_pattern_is_told_with_its_place(pattern: str, words: str) -> None:
    """Whatever this language does not have is refused, with the place and what to write."""
    with pytest.raises(Malformed) as refused:
        Pattern(pattern)
    assert words in str(refused.value)


def test_a_name_costs_no_more_than_its_length() -> None:
    """The patterns that bring a backtracking matcher down are decided by looking at each character once."""
    for text in ("(a*)*b", "(a|a)*b", "(a?){250}" + "a{250}", "([a-z]+)+x"):
        assert not Pattern(text).matches("a" * 249 + "-")


def test_longer_than_any_name_fits_nothing() -> None:
    """A name of more than 253 characters is no node's."""
    assert Pattern("a+").matches("a" * 253)
    assert not Pattern("a+").matches("a" * 254)


@pytest.mark.parametrize(
    ("one", "two", "shared"),
    [
        ("node-[a-z]", "node-[m-p]", "node-m"),
        ("node-[a-z]+", "node-(gpu|cpu)[0-9]?", "node-gpu"),
        ("a+", "(aa)+", "aa"),
        ("(aa)+", "a(aa)*", None),
        ("node-a", "node-b", None),
        ("web-[a-z]+", "db-[a-z]+", None),
        ("a{3}", "a{4}", None),
    ],
)
def test_two_patterns_share_a_name_or_none(one: str, two: str, shared: str | None) -> None:
    """The shortest name that both match is found from either side, and none where there is none."""
    found = Pattern(one).shared_with(Pattern(two))
    assert (found is None) == (shared is None)
    assert found is None or (Pattern(one).matches(found) and Pattern(two).matches(found))
    assert len(found or "") == len(shared or "")
    assert (Pattern(two).shared_with(Pattern(one)) is None) == (shared is None)


def test_the_search_for_a_shared_name_ends() -> None:
    """Two patterns as large as they may be are given up instead of searched for ever."""
    wide = "[a-z0-9]?" * 24
    assert Pattern(f"({wide}){{21}}a").shared_with(Pattern(f"({wide}){{21}}-")) is None


def test_equal_texts_are_equal_patterns() -> None:
    """A pool whose pattern did not change has not changed."""
    assert Pattern("a|b") == Pattern("a|b")
    assert Pattern("a|b") != Pattern("b|a")
