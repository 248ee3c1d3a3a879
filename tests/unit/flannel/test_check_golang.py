"""Go's JSON and addresses: the words of its faults, and what it takes that Python does not."""

import pytest

from nodegate.errors import Malformed
from nodegate.flannel import golang
from nodegate.flannel.golang import Mismatch


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "unexpected end of JSON input"),
        (" \t\r\n", "unexpected end of JSON input"),
        ("{", "unexpected end of JSON input"),
        ('"a', "unexpected end of JSON input"),
        ("tru", "invalid character ' ' in literal true (expecting 'e')"),
        ("nul1", "invalid character '1' in literal null (expecting 'l')"),
        ("-", "invalid character ' ' in numeric literal"),
        ("-a", "invalid character 'a' in numeric literal"),
        ("01", "invalid character '1' after top-level value"),
        ("1.", "invalid character ' ' after decimal point in numeric literal"),
        ("1.e5", "invalid character 'e' after decimal point in numeric literal"),
        ("1e+", "invalid character ' ' in exponent of numeric literal"),
        ("+1", "invalid character '+' looking for beginning of value"),
        ("NaN", "invalid character 'N' looking for beginning of value"),
        ("[1 2]", "invalid character '2' after array element"),
        ("[1,]", "invalid character ']' looking for beginning of value"),
        ('{"a" 1}', "invalid character '1' after object key"),
        ('{"a":1 "b"}', "invalid character '\"' after object key:value pair"),
        ("{'a':1}", r"invalid character '\'' looking for beginning of object key string"),
        ('"\n"', r"invalid character '\n' in string literal"),
        (r'"\x"', "invalid character 'x' in string escape code"),
        (r'"\u00g0"', r"invalid character 'g' in \u hexadecimal character escape"),
        ("\ufeff{}", "invalid character 'ï' looking for beginning of value"),
    ],
)
def test_faults_are_in_gos_words(text: str, words: str) -> None:
    """The message is what flannel logs."""
    with pytest.raises(Malformed) as caught:
        golang.parse(text)

    assert str(caught.value) == words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (rb'"\ud83d\ude00"', "😀"),
        (rb'"\ud83dx"', "\ufffdx"),
        (rb'"\ude00"', "\ufffd"),
        (b'"\xff\xfe"', "\ufffd\ufffd"),
        (b'"\xed\xa0\xbd"', "\ufffd\ufffd\ufffd"),
        (b'"\xc3\xa9"', "é"),
        (rb'"\"\\\/\b\f\n\r\t\u0041"', '"\\/\b\f\n\r\tA'),
    ],
)
def test_strings_are_decoded_as_go_decodes_them(text: bytes, expected: str) -> None:
    """Pairs of escapes become one character; halves and bad bytes are replaced, each by itself."""
    assert golang.parse(text).text == expected


def test_nesting_ends_at_ten_thousand() -> None:
    """Go's own bound, on both sides of it."""
    levels = golang.MAX_DEPTH

    assert golang.parse("[" * levels + "]" * levels).items
    with pytest.raises(Malformed, match="exceeded max depth"):
        golang.parse("[" * (levels + 1) + "]" * (levels + 1))


def test_keys_are_folded_as_go_folds_them() -> None:
    """Case, the long s and the Kelvin sign are alike; other letters of Unicode are not."""
    assert golang.fold("SUBNETLEN") == golang.fold("\u017fubnetLen") == "subnetlen"
    assert golang.fold("Bac\u212aend") == "backend"
    assert golang.fold("İp") != "ip"


@pytest.mark.parametrize("text", ["-9223372036854775808", "9223372036854775807", "0", "-0"])
def test_integers_have_64_bits(text: str) -> None:
    """The bounds themselves fit."""
    assert golang.integer(golang.parse(text)) == int(text)


@pytest.mark.parametrize(
    "text", ["9223372036854775808", "-9223372036854775809", "1.0", "1e0", "9" * 5000, '"1"', "null"]
)
def test_other_numbers_are_mismatches(text: str) -> None:
    """One more does not fit, and nothing is rounded."""
    with pytest.raises(Mismatch):
        golang.integer(golang.parse(text))


def test_mismatches_are_in_gos_words() -> None:
    """The field is named; a number that does not fit is repeated."""
    with pytest.raises(Mismatch) as caught:
        golang.unsigned(golang.parse("-0"))

    expected = "json: cannot unmarshal number -0 into Go struct field Config.SubnetLen of type uint"
    assert golang.type_error(caught.value, "Config.SubnetLen") == expected


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.0", "10.0.0/8", "010.0.0.0/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/\u0668",
        " 10.0.0.0/8", "fe80::1%0/64", "fc00::/129", "10.0.0.0/8/8", "1:2:3:4:5:6:7:8::/64", "/8", "",
    ],
)  # fmt: skip
def test_refuses_what_go_calls_no_network(text: str) -> None:
    """net.ParseCIDR takes none of these."""
    assert golang.cidr(text) is None


def test_takes_what_go_calls_a_network() -> None:
    """Host bits are kept, and zeros before the length do not matter."""
    found = [golang.cidr(text) for text in ("172.30.5.7/016", "FC00::1/48", "::ffff:10.0.0.0/104")]

    assert [f"{each[0]}/{each[1]}" for each in found if each] == ["172.30.5.7/16", "fc00::1/48", "::ffff:a00:0/104"]
