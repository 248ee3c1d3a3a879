"""Reading JSON bodies: typed values out, or an error that names the field."""

from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

import pytest

from nodegate.errors import Malformed
from nodegate.fields import Fields, parse_address


def test_absent_and_null_read_as_empty() -> None:
    """A field that is not there and one that is null are the same."""
    for fields in (Fields({}), Fields({"x": None}), Fields(None)):
        assert (fields.text("x"), fields.texts("x"), fields.integer("x"), fields.moment("x")) == ("", (), None, None)
        assert (fields.flag("x"), fields.flag("x", default=True)) == (False, True)
        assert (list(fields.children("x")), fields.addresses("x")) == ([], frozenset())
        assert "x" not in fields
        assert fields.child("x").child("y").text("z", "d") == "d"


def test_reads_each_type() -> None:
    """Strings, lists, booleans, numbers, objects, addresses."""
    fields = Fields({"t": "a", "l": ["a"], "f": False, "i": 0, "o": {"p": 1}, "c": [{}], "a": ["::ffff:10.0.0.5"]})

    assert (fields.text("t"), fields.texts("l"), fields.integer("i")) == ("a", ("a",), 0)
    assert fields.flag("f", default=True) is False
    assert (fields.child("o").integer("p"), len(list(fields.children("c")))) == (1, 1)
    assert fields.addresses("a") == {ip_address("10.0.0.5")}
    assert fields.keys() == ("t", "l", "f", "i", "o", "c", "a")
    assert "i" in fields


@pytest.mark.parametrize(
    ("read", "body", "where"),
    [
        (lambda f: f.text("x"), {"x": 1}, r"^a\.x: expected a string, found the value 1$"),
        (lambda f: f.texts("x"), {"x": "a"}, r"^a\.x: expected a list of strings, found the string 'a'$"),
        (lambda f: f.texts("x"), {"x": ["a", 1]}, r"^a\.x\[1\]: expected a string"),
        (lambda f: f.flag("x"), {"x": "yes"}, r"^a\.x: expected true or false"),
        (lambda f: f.integer("x"), {"x": True}, r"^a\.x: expected a whole number, found the truth value True$"),
        (lambda f: f.integer("x"), {"x": 1.5}, r"^a\.x: expected a whole number"),
        (lambda f: f.child("x"), {"x": []}, r"^a\.x: expected an object, found a list$"),
        (lambda f: list(f.children("x")), {"x": [{}, 1]}, r"^a\.x\[1\]: expected an object"),
        (lambda f: list(f.children("x")), {"x": {}}, r"^a\.x: expected a list of objects, found an object$"),
        (lambda f: f.addresses("x"), {"x": ["fe80::1%eth0"]}, r"^a\.x: expected IP addresses"),
        (lambda f: f.moment("x"), {"x": "2030-01-31T12:00:00"}, r"^a\.x: expected an RFC 3339 moment"),
        (lambda f: f.moment("x"), {"x": "soon"}, r"^a\.x: expected an RFC 3339 moment"),
        (lambda f: f.moment("x"), {"x": 7}, r"^a\.x: expected an RFC 3339 moment"),
        (lambda f: f.text("x"), {"x": ["\x1b"]}, "found a list$"),
    ],
)
def test_the_wrong_type_is_malformed_and_says_where(read: Any, body: Any, where: str) -> None:
    """The message says the path, what was expected and what was found."""
    with pytest.raises(Malformed, match=where):
        read(Fields(body, "a"))


def test_what_was_found_is_made_visible() -> None:
    """A hostile value does not reach the terminal by way of an error."""
    with pytest.raises(Malformed) as caught:
        Fields({"x": "\x1b[31m\u202e"}).flag("x")

    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("text", "hour"), [("2030-01-31T12:00:00Z", 12), ("2030-01-31T12:00:00+02:00", 10), ("2030-01-31T12:00:00.5Z", 12)]
)
def test_moments_have_a_zone(text: str, hour: int) -> None:
    """RFC 3339 texts become aware moments."""
    moment = Fields({"x": text}).moment("x")

    assert moment is not None
    assert moment.astimezone(UTC).hour == hour


def test_moments_that_yaml_read_by_itself() -> None:
    """An unquoted moment in YAML arrives as a datetime, in UTC when it has no zone."""
    naive = datetime(2030, 1, 31, 12)  # noqa: DTZ001 - what PyYAML makes of an unquoted moment

    assert Fields({"x": naive}).moment("x") == datetime(2030, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "10.0.0", "010.0.0.1", "10.0.0.1/32", "fe80::1%1", "::ffff:10.0.0.256", " ::1"])
def test_addresses_have_one_reading(text: str) -> None:
    """Leading zeros, prefixes, zones and the like are no addresses."""
    with pytest.raises(ValueError, match=r"address|zone"):
        parse_address(text)
