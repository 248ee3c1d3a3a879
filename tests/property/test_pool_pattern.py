"""Patterns of node names beside Python's own `re`, an independent reader of the same language.

Rules: no node has an empty name, so none is asked for; patterns are made small, so that the backtracking of `re`
stays harmless; texts of any kind may be refused, and never break the reader.
"""

import re
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from nodegate.errors import Malformed
from nodegate.pool.pattern import ALPHABET, Pattern

_MANY = settings(max_examples=200, deadline=None)
_ATOMS = st.sampled_from(["a", "b", "-", r"\.", r"\d", "[ab]", "[a-c1]", "[0-9.-]"])
_COUNTS = st.sampled_from(["", "?", "*", "+", "{2}", "{1,}", "{0,2}", "{1,3}"])


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    grouped = st.tuples(inner, _COUNTS).map(lambda part: f"({part[0]}){part[1]}")
    joined = st.lists(inner, min_size=2, max_size=3)
    return grouped | joined.map("".join) | joined.map(lambda parts: f"({'|'.join(parts)})")


PATTERNS = st.recursive(st.tuples(_ATOMS, _COUNTS).map("".join), _larger, max_leaves=5)
NAMES = st.text(alphabet="abc1-.", min_size=1, max_size=7)


@_MANY
@given(PATTERNS, st.lists(NAMES, max_size=8))
def test_matches_as_python_does(pattern: str, names: list[str]) -> None:
    """Both readers agree on every name."""
    ours, theirs = Pattern(pattern), re.compile(pattern, re.ASCII)
    assert {n: ours.matches(n) for n in names} == {n: theirs.fullmatch(n) is not None for n in names}


@_MANY
@given(PATTERNS, PATTERNS, st.lists(NAMES, max_size=8))
def test_a_shared_name_fits_both(one: str, two: str, names: list[str]) -> None:
    """A name that is found fits both; where one of ours fits both, a name is found, no longer than it."""
    first, second = Pattern(one), Pattern(two)
    found = first.shared_with(second)
    if found is not None:
        assert first.matches(found)
        assert second.matches(found)
    both = [name for name in names if name and first.matches(name) and second.matches(name)]
    assert not both or (found is not None and len(found) <= min(map(len, both)))


@_MANY
@given(st.text(max_size=40) | st.text(alphabet=ALPHABET[:4] + "0-.[](){}|?*+\\^$,:d", max_size=40), NAMES)
def test_any_text_is_a_pattern_or_refused(text: str, name: str) -> None:
    """Nothing but `Malformed` comes of a text; what is accepted means the same to `re`."""
    with suppress(Malformed):
        ours = Pattern(text)
        assert ours.matches(name) == (re.compile(text, re.ASCII).fullmatch(name) is not None)
