"""JSON and addresses as Go reads them: text goes in, values that know their own raw text come out.

Rules: pure. This is encoding/json (keys without regard to case, bad UTF-8 replaced, no NaN, nothing after
the value, 10000 levels) and net.ParseCIDR (no leading zeros in octets, no blanks, no zones). Where Go
decodes a member by a type's own UnmarshalJSON it sees raw text, so an escape inside an address counts.
Faults carry Go's own words. Nothing here recurses, so that no nesting can exhaust the stack.
"""

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from nodegate.errors import Malformed

MAX_DEPTH = 10000
"""Levels of nesting that Go accepts (encoding/json, maxNestingDepth)."""

_SPACE = re.compile(r"[ \t\r\n]*")
_PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WHOLE = re.compile(r"-?[0-9]+")
_HEX = re.compile(r"[0-9a-fA-F]{0,4}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_INSIDE_TOKENS = ("in literal", "in numeric", "after decimal", "in exponent", "in string escape", "in \\u")
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_LITERALS = ("true", "false", "null")
_FOLDED = str.maketrans({"\u017f": "s", "\u212a": "k"})
"""The only letters outside ASCII that Go's simple folding takes for an ASCII one: long s and the Kelvin sign."""

_SHOWN = 40
"""Characters of a number that a message repeats."""

_DIGITS_LIMIT = 20
"""Digits of the largest 64-bit number; longer ones are out of range whatever they are."""


class Kind(enum.StrEnum):
    """What a value is, in the words of Go's type errors."""

    NULL = "null"
    BOOL = "bool"
    NUMBER = "number"
    STRING = "string"
    ARRAY = "array"
    OBJECT = "object"


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """One JSON value and where it stands."""

    kind: Kind
    source: str
    start: int
    end: int
    text: str = ""
    """A string without quotes and escapes."""

    members: tuple[tuple[str, "Value"], ...] = ()
    """An object's members in order, duplicates included."""

    items: tuple["Value", ...] = ()
    """An array's items."""

    @property
    def raw(self) -> str:
        """The value as it is written, with bytes that are no UTF-8 replaced."""
        return _SURROGATE.sub("\ufffd", self.source[self.start : self.end])

    def __repr__(self) -> str:
        """Return the raw text: a tree of values would be unreadable, or too deep."""
        return f"Value({self.raw[:40]!r})"


@dataclass(slots=True)
class _Open:
    """An object or array whose end was not seen yet."""

    kind: Kind
    start: int
    key: str
    members: list[tuple[str, Value]]


def parse(text: str | bytes) -> Value:
    """Return the one JSON value of a text.

    Raises:
        Malformed: It is not JSON for Go; with Go's words.
    """
    # Bytes that are no UTF-8 stay recognizable, each by itself: Go replaces them one by one, and only in strings.
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return _Reader(data.decode("utf-8", "surrogateescape")).read()


def fold(name: str) -> str:
    """Return a key as Go compares it with a field's name."""
    return name.translate(_FOLDED).lower() if name.translate(_FOLDED).isascii() else name


class _Reader:
    """A position in a text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._stack: list[_Open] = []

    def read(self) -> Value:
        """Read the whole text."""
        while True:
            value = self._begin()
            while value is not None and self._stack:
                value = self._after(value)
            if value is not None:
                if self._peek():
                    raise self._fault("after top-level value")
                return value

    def _peek(self) -> str:
        """Skip blanks and return the next character, or nothing at the end."""
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return self._text[self._at : self._at + 1]

    def _fault(self, where: str, at: int | None = None) -> Malformed:
        at = self._at if at is None else at
        found = self._text[at : at + 1]
        if not found:
            # Go feeds its scanner one blank at the end: inside a token that is a fault of its own.
            found = " " if where.startswith(_INSIDE_TOKENS) else ""
        return Malformed(f"invalid character {_quoted(found)} {where}" if found else "unexpected end of JSON input")

    def _begin(self) -> Value | None:
        """Read a scalar or an empty container, or open one and return None."""
        first = self._peek()
        if first == "{":
            return self._open(Kind.OBJECT, "}")
        if first == "[":
            return self._open(Kind.ARRAY, "]")
        start = self._at
        if first == '"':
            text = self._string()
            return Value(Kind.STRING, self._text, start, self._at, text)
        if first == "-" or "0" <= first <= "9":
            return self._number()
        return self._literal()

    def _open(self, kind: Kind, end: str) -> Value | None:
        if len(self._stack) >= MAX_DEPTH:
            raise Malformed("exceeded max depth")
        start = self._at
        self._at += 1
        if self._peek() == end:
            self._at += 1
            return Value(kind, self._text, start, self._at)
        self._stack.append(_Open(kind, start, self._key() if kind is Kind.OBJECT else "", []))
        return None

    def _key(self) -> str:
        if self._peek() != '"':
            raise self._fault("looking for beginning of object key string")
        key = self._string()
        if self._peek() != ":":
            raise self._fault("after object key")
        self._at += 1
        return key

    def _after(self, value: Value) -> Value | None:
        """Put a value into the innermost container; return that when it is complete."""
        inner = self._stack[-1]
        inner.members.append((inner.key, value))
        is_object = inner.kind is Kind.OBJECT
        found = self._peek()
        if found == ",":
            self._at += 1
            inner.key = self._key() if is_object else ""
            return None
        if found != ("}" if is_object else "]"):
            raise self._fault("after object key:value pair" if is_object else "after array element")
        self._at += 1
        self._stack.pop()
        members = tuple(inner.members)
        if is_object:
            return Value(inner.kind, self._text, inner.start, self._at, members=members)
        return Value(inner.kind, self._text, inner.start, self._at, items=tuple(item for _, item in members))

    def _literal(self) -> Value:
        start, text = self._at, self._text
        word = next((word for word in _LITERALS if text.startswith(word[0], start)), None)
        if word is None:
            raise self._fault("looking for beginning of value")
        for index, letter in enumerate(word):
            if not text.startswith(letter, start + index):
                raise self._fault(f"in literal {word} (expecting {_quoted(letter)})", start + index)
        self._at += len(word)
        return Value(Kind.NULL if word == "null" else Kind.BOOL, text, start, self._at)

    def _number(self) -> Value:
        start = self._at
        match = _NUMBER.match(self._text, start)
        if match is None:
            raise self._fault("in numeric literal", start + 1)
        self._at = match.end()
        rest = self._text[self._at : self._at + 2]
        if rest[:1] == "." and not set(".eE") & set(match[0]):
            raise self._fault("after decimal point in numeric literal", self._at + 1)
        if rest[:1] in {"e", "E"} and not set("eE") & set(match[0]):
            raise self._fault("in exponent of numeric literal", self._at + (2 if rest[1:] in {"+", "-"} else 1))
        return Value(Kind.NUMBER, self._text, start, self._at)

    def _string(self) -> str:
        """Read a string and return it without quotes and escapes."""
        self._at += 1
        parts: list[str] = []
        while True:
            match = _PLAIN.match(self._text, self._at)
            if match:
                parts.append(_SURROGATE.sub("\ufffd", match[0]))
                self._at = match.end()
            found = self._text[self._at : self._at + 1]
            if found == '"':
                self._at += 1
                return _joined(parts)
            if found != "\\":
                raise self._fault("in string literal")
            parts.append(self._escape())

    def _escape(self) -> str:
        letter = self._text[self._at + 1 : self._at + 2]
        if letter in _ESCAPES:
            self._at += 2
            return _ESCAPES[letter]
        if letter != "u":
            raise self._fault("in string escape code", self._at + 1)
        match = _HEX.match(self._text, self._at + 2)
        digits = match[0] if match else ""
        if len(digits) < 4:  # noqa: PLR2004 - the digits of an escape, by JSON's grammar
            raise self._fault("in \\u hexadecimal character escape", self._at + 2 + len(digits))
        self._at += 6
        return chr(int(digits, 16))


def _joined(parts: list[str]) -> str:
    """Return the parts as one text; escaped surrogates become one character when they are a pair, else U+FFFD."""
    text = "".join(parts)
    if not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _quoted(character: str) -> str:
    """Return a character as Go shows it in its messages: the first byte, in single quotes."""
    first = chr(character.encode("utf-8", "surrogateescape")[0])
    if first == "'":
        return r"'\''"
    return repr(first) if first.isascii() or first.isprintable() else f"'\\u{ord(first):04x}'"


class Mismatch(Malformed):
    """A value of the wrong JSON type, or a number that does not fit; with Go's words but the field."""


def _mismatch(value: Value, wanted: str) -> Mismatch:
    is_out_of_range = value.kind is Kind.NUMBER and wanted in {"int", "uint"}
    return Mismatch(f"{value.kind} {value.raw[:_SHOWN]}|{wanted}" if is_out_of_range else f"{value.kind}|{wanted}")


def type_error(error: Mismatch, field: str) -> str:
    """Return Go's message for a mismatch in a field such as ``Config.SubnetLen``."""
    found, _, wanted = str(error).partition("|")
    return f"json: cannot unmarshal {found} into Go struct field {field} of type {wanted}"


def boolean(value: Value) -> bool:
    """Return a truth value.

    Raises:
        Mismatch: It is none.
    """
    if value.kind is not Kind.BOOL:
        raise _mismatch(value, "bool")
    return value.raw == "true"


def string(value: Value) -> str:
    """Return a string.

    Raises:
        Mismatch: It is none.
    """
    if value.kind is not Kind.STRING:
        raise _mismatch(value, "string")
    return value.text


def integer(value: Value) -> int:
    """Return a number that fits Go's int on 64 bits; ``1.0`` and ``1e1`` do not.

    Raises:
        Mismatch: It is none.
    """
    number = _whole(value)
    if number is None or not -(1 << 63) <= number < 1 << 63:
        raise _mismatch(value, "int")
    return number


def unsigned(value: Value) -> int:
    """Return a number that fits Go's uint on 64 bits; ``-0`` does not.

    Raises:
        Mismatch: It is none.
    """
    number = _whole(value)
    if number is None or value.raw.startswith("-") or number >= 1 << 64:
        raise _mismatch(value, "uint")
    return number


def _whole(value: Value) -> int | None:
    if value.kind is not Kind.NUMBER or not _WHOLE.fullmatch(value.raw) or len(value.raw) > _DIGITS_LIMIT:
        return None
    return int(value.raw)


def address(text: str) -> IPv4Address | IPv6Address | None:
    """Return an address as net.ParseIP reads it, or None; it knows no zones and no leading zeros in octets."""
    return next(_addresses(text), None)


def _addresses(text: str) -> Iterator[IPv4Address | IPv6Address]:
    if "%" in text or "/" in text:
        return
    for kind in (IPv4Address, IPv6Address):
        try:
            yield kind(text)
        except ValueError:
            continue


def cidr(text: str) -> tuple[IPv4Address | IPv6Address, int] | None:
    """Return address and length as net.ParseCIDR reads them, host bits kept, or None; ``/016`` is a length to Go."""
    before, slash, after = text.partition("/")
    base = address(before)
    if base is None or not slash or not (after.isascii() and after.isdecimal()):
        return None
    digits = after.lstrip("0") or "0"
    length = int(digits) if len(digits) <= 3 else -1  # noqa: PLR2004 - more digits are longer than any address
    return (base, length) if 0 <= length <= base.max_prefixlen else None
