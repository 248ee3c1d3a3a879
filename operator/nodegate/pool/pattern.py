r"""Patterns of node names: text in, an automaton out that matches in linear time.

The language is a small part of RE2's: literals, ``[a-z0-9]`` and ``\d``, groups with ``|``, and ``? * + {m} {m,}
{m,n}``. Always anchored. Rules: there is no back-reference, no look-around and no wildcard to begin with, and
nothing here backtracks: a pattern becomes a position automaton (Glushkov 1961) of at most 512 positions, and
a name costs one step for each of its characters. Python's ``re`` is not asked. Pure.
"""

import itertools
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

from nodegate.errors import Malformed
from nodegate.text import visible

ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz0123456789-."
"""The characters of node names (Kubernetes, DNS-1123 subdomain)."""

TEXT_LIMIT: Final = 253
"""Characters of a pattern, and of a name."""

POSITION_LIMIT: Final = 512
"""Characters of a pattern once its counted repetitions are written out."""

DEPTH_LIMIT: Final = 16
"""Groups within groups."""

SEARCH_LIMIT: Final = 50_000
"""Pairs of positions looked at in search of a name that two patterns share; real patterns need a few hundred."""

_INDEX = {character: index for index, character in enumerate(ALPHABET)}
_DIGITS = sum(1 << _INDEX[digit] for digit in "0123456789")
_COUNT = re.compile(r"\{([0-9]{1,3})(,([0-9]{1,3})?)?\}")
_HINTS = {
    ".": r"write \. for a dot, or [a-z0-9] for any letter or digit",
    "^": "a pattern always covers the whole name; leave ^ out",
    "$": "a pattern always covers the whole name; leave $ out",
    "?": "look-around and lazy repetition do not exist here",
}


@dataclass(frozen=True, slots=True)
class _Set:
    """One character of a set; the set as a bit for each character of the alphabet."""

    members: int


@dataclass(frozen=True, slots=True)
class _Sequence:
    parts: "tuple[_Node, ...]"


@dataclass(frozen=True, slots=True)
class _Choice:
    options: "tuple[_Node, ...]"


@dataclass(frozen=True, slots=True)
class _Repeat:
    part: "_Node"
    least: int
    most: int | None
    """None: without end."""


_Node = _Set | _Sequence | _Choice | _Repeat


class _Fragment(NamedTuple):
    """A part of the automaton: may it be empty, where it begins and where it ends (a bit for each position)."""

    empty: bool
    first: int
    last: int


@dataclass(frozen=True)
class Pattern:
    """A pattern that was read; two are equal when their texts are."""

    text: str

    def __post_init__(self) -> None:
        """Read the text at once, so that a pattern that exists is a pattern that works."""
        _ = self.automaton

    @cached_property
    def automaton(self) -> "Automaton":
        """What decides."""
        return Automaton(_Reader(self.text).read())

    def matches(self, name: str) -> bool:
        """Tell whether the whole name fits."""
        return len(name) <= TEXT_LIMIT and self.automaton.accepts(name)

    def shared_with(self, other: "Pattern") -> str | None:
        """Return the shortest name that fits both; None when there is none, or none was found in time."""
        return _shared(self.automaton, other.automaton)


class _Reader:
    """Reads a pattern by recursive descent.

    Raises:
        Malformed: It is no pattern, or too large a one; the message names the place.
    """

    def __init__(self, text: str) -> None:
        if not 0 < len(text) <= TEXT_LIMIT:
            raise Malformed(f"expected a pattern of 1 to {TEXT_LIMIT} characters, found {len(text)}")
        self._text = text
        self._at = 0

    def read(self) -> _Node:
        node = self._choice(0)
        if self._at < len(self._text):
            raise self._fault("the pattern's end", "every ) needs its (")
        if _size(node) > POSITION_LIMIT:
            raise Malformed(
                f"expected at most {POSITION_LIMIT} characters once repetitions are written out, found {_size(node)}; "
                "use smaller counts"
            )
        return node

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _fault(self, expected: str, hint: str = "") -> Malformed:
        found = f"{visible(self._peek())!r}" if self._peek() else "its end"
        return Malformed(f"expected {expected} at character {self._at + 1}, found {found}{hint and '; ' + hint}")

    def _choice(self, depth: int) -> _Node:
        if depth > DEPTH_LIMIT:
            raise self._fault(f"at most {DEPTH_LIMIT} groups within each other")
        options = [self._sequence(depth)]
        while self._peek() == "|":
            self._at += 1
            options.append(self._sequence(depth))
        return options[0] if len(options) == 1 else _Choice(tuple(options))

    def _sequence(self, depth: int) -> _Node:
        parts: list[_Node] = []
        while self._peek() not in ("", "|", ")"):
            parts.append(self._repeated(self._atom(depth)))
        if not parts:
            raise self._fault("a character, a class or a group", "an alternative may not be empty; use ? instead")
        return _Sequence(tuple(parts))

    def _atom(self, depth: int) -> _Node:
        character = self._peek()
        if character == "(":
            self._at += 3 if self._text.startswith("(?:", self._at) else 1
            inner = self._choice(depth + 1)
            if self._peek() != ")":
                raise self._fault(")")
            self._at += 1
            return inner
        if character == "[":
            return _Set(self._class())
        if character == "\\":
            return _Set(self._escape())
        if character == "." or character not in _INDEX:
            raise self._fault("a character of node names (a-z, 0-9, '-'), [...], (...)", _HINTS.get(character, ""))
        self._at += 1
        return _Set(1 << _INDEX[character])

    def _escape(self) -> int:
        self._at += 1
        character = self._peek()
        if character == "d":
            members = _DIGITS
        elif character in (".", "-"):
            members = 1 << _INDEX[character]
        else:
            raise self._fault(r"\d, \. or \-")
        self._at += 1
        return members

    def _class(self) -> int:
        self._at += 1
        members = 0
        while self._peek() != "]":
            members |= self._range()
        if not members:
            raise self._fault("a character of node names (a-z, 0-9, '-', '.')")
        self._at += 1
        return members

    def _range(self) -> int:
        if self._peek() == "\\":
            return self._escape()
        low, high = self._member(), None
        if self._peek() == "-" and self._text[self._at + 1 : self._at + 2] not in ("]", ""):
            self._at += 1
            high = self._member()
        if high is None:
            return 1 << _INDEX[low]
        if not ((low.isalpha() and high.isalpha()) or (low.isdigit() and high.isdigit())) or low > high:
            self._at -= 1
            raise self._fault(f"the end of a range that begins with {low!r}")
        return sum(1 << index for index in range(_INDEX[low], _INDEX[high] + 1))

    def _member(self) -> str:
        character = self._peek()
        if character not in _INDEX or not character:
            hint = "list what may stand there instead of what may not" if character == "^" else ""
            raise self._fault("a lower-case letter, a digit, '-' or '.' in [...]", hint)
        self._at += 1
        return character

    def _repeated(self, part: _Node) -> _Node:
        bounds = self._bounds()
        if bounds is None:
            return part
        if self._peek() and self._peek() in "?*+{":
            raise self._fault("one repetition", "lazy and possessive repetition do not exist here; use a group")
        return _Repeat(part, *bounds)

    def _bounds(self) -> tuple[int, int | None] | None:
        simple: dict[str, tuple[int, int | None]] = {"?": (0, 1), "*": (0, None), "+": (1, None)}
        if self._peek() in simple:
            self._at += 1
            return simple[self._text[self._at - 1]]
        if self._peek() != "{":
            return None
        match = _COUNT.match(self._text, self._at)
        if match is None:
            raise self._fault("a repetition such as {3}, {2,} or {1,5}")
        least = int(match[1])
        most = least if match[2] is None else int(match[3]) if match[3] else None
        if most is not None and not max(least, 1) <= most <= TEXT_LIMIT:
            raise self._fault(f"bounds in order, at least 1 and at most {TEXT_LIMIT}")
        self._at = match.end()
        return least, most


def _size(node: _Node) -> int:
    """Return how many positions a node takes; arithmetic only, so that huge ones cost nothing."""
    match node:
        case _Set():
            return 1
        case _Sequence(parts) | _Choice(parts):
            return sum(_size(part) for part in parts)
        case _Repeat(part, least, most):
            return _size(part) * (max(1, least) if most is None else most)


class Automaton:
    """Positions, what each accepts, and which may follow which."""

    def __init__(self, node: _Node) -> None:
        self.members: list[int] = []
        self.follow: list[int] = []
        fragment = self._build(node)
        self.first, self.last = fragment.first, fragment.last
        # For each character, the positions that accept it.
        self._accepting = [
            sum(1 << position for position, members in enumerate(self.members) if members >> index & 1)
            for index in range(len(ALPHABET))
        ]

    def accepts(self, name: str) -> bool:
        """Tell whether the whole name fits."""
        state, ready = 0, self.first
        for character in name:
            index = _INDEX.get(character)
            state = ready & self._accepting[index] if index is not None else 0
            if not state:
                return False
            ready = 0
            for position in _bits(state):
                ready |= self.follow[position]
        return bool(state & self.last)

    def _build(self, node: _Node) -> _Fragment:
        match node:
            case _Set(members):
                self.members.append(members)
                self.follow.append(0)
                bit = 1 << (len(self.members) - 1)
                return _Fragment(empty=False, first=bit, last=bit)
            case _Choice(options):
                made = [self._build(option) for option in options]
                first = last = 0
                for fragment in made:
                    first, last = first | fragment.first, last | fragment.last
                return _Fragment(any(fragment.empty for fragment in made), first, last)
            case _Sequence(parts):
                return self._join([self._build(part) for part in parts])
            case _Repeat():
                return self._repeat(node)

    def _repeat(self, node: _Repeat) -> _Fragment:
        copies = [self._build(node.part) for _ in range(max(1, node.least) if node.most is None else node.most)]
        if node.most is None:
            self._link(copies[-1].last, copies[-1].first)
        return self._join([copy._replace(empty=copy.empty or n >= node.least) for n, copy in enumerate(copies)])

    def _join(self, parts: list[_Fragment]) -> _Fragment:
        whole = _Fragment(empty=True, first=0, last=0)
        for part in parts:
            self._link(whole.last, part.first)
            first = whole.first | part.first if whole.empty else whole.first
            last = whole.last | part.last if part.empty else part.last
            whole = _Fragment(whole.empty and part.empty, first, last)
        return whole

    def _link(self, before: int, after: int) -> None:
        for position in _bits(before):
            self.follow[position] |= after


def _bits(number: int) -> Iterator[int]:
    """Yield the indices of the bits that are set."""
    while number:
        low = number & -number
        yield low.bit_length() - 1
        number ^= low


def _shared(one: Automaton, two: Automaton) -> str | None:
    """Search breadth first for a name that both accept; give up after `SEARCH_LIMIT` pairs."""
    before: dict[tuple[int, int], tuple[int, int] | None] = {}
    waiting: deque[tuple[int, int] | None] = deque([None])
    looked = 0
    while waiting and looked < SEARCH_LIMIT:
        pair = waiting.popleft()
        if pair is not None and one.last >> pair[0] & 1 and two.last >> pair[1] & 1:
            return _spelled(pair, before, one, two)
        ones, twos = (one.first, two.first) if pair is None else (one.follow[pair[0]], two.follow[pair[1]])
        for after in itertools.product(_bits(ones), _bits(twos)):
            looked += 1
            if one.members[after[0]] & two.members[after[1]] and after not in before:
                before[after] = pair
                waiting.append(after)
    return None


def _spelled(
    pair: tuple[int, int] | None,
    before: dict[tuple[int, int], tuple[int, int] | None],
    one: Automaton,
    two: Automaton,
) -> str:
    letters: list[str] = []
    while pair is not None:
        letters.append(ALPHABET[next(_bits(one.members[pair[0]] & two.members[pair[1]]))])
        pair = before[pair]
    return "".join(reversed(letters))
