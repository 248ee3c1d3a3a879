"""Reading YAML strictly and writing it the same everywhere."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as some

from nodegate_host import yaml_writer
from nodegate_host.errors import ConfigInvalid
from nodegate_host.yaml_reader import read

PLAIN = some.recursive(
    some.none()
    | some.booleans()
    | some.integers(-(2**63), 2**63)
    | some.text(some.characters(exclude_categories=["Cs"])),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text("abyno/.:- 01", max_size=6), inner),
    max_leaves=12,
)


@given(PLAIN)
def test_written_yaml_reads_back_as_what_was_written(value: object) -> None:
    """Whatever is written, both PyYAML's safe loader and our own reader give it back."""
    text = yaml_writer.dump({"top": value})

    assert yaml.safe_load(text) == {"top": value}
    assert read(text).value == {"top": value}


@pytest.mark.parametrize(
    "word", ["yes", "no", "on", "off", "NULL", "0644", "1e3", "12:30", "2026-01-01", "~", "", "=", "- a"]
)
def test_doubtful_words_are_quoted(word: str) -> None:
    """A string that some reader takes for something else is written in quotes."""
    assert yaml_writer.dump([word]) == f'- "{word}"\n'


@pytest.mark.parametrize("word", ["yes", "on", "0644", "12:30", "2026-01-01", "0x1f", "1_000", ".5"])
def test_old_yaml_words_stay_strings(word: str) -> None:
    """What YAML 1.1 would take for a boolean, an octal, a time or a date is a string here."""
    assert read(f"a: {word}").value == {"a": word}


def test_plain_words_have_their_kinds() -> None:
    """Booleans, null, integers and floats are what they look like."""
    assert read("{a: true, b: false, c: null, d: ~, e: 12, f: -3, g: 1.5, h: }").value == {
        "a": True,
        "b": False,
        "c": None,
        "d": None,
        "e": 12,
        "f": -3,
        "g": 1.5,
        "h": None,
    }


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("a: 1\nb: 2\na: 3", 3, "found it again (first in line 1)"),
        ("a: &x 1\nb: *x", 1, "no anchors and aliases"),
        ("a: 1\nb: !!python/object:os.system {}", 2, "found the tag"),
        ("a: 1\n<<: {b: 2}", 2, "expected a string as key"),
        ("1: a", 1, "expected a string as key"),
        ("a: [1\nb: 2", 2, "expected YAML, found"),
        ("a: 1\n---\nb: 2", 2, "expected YAML, found"),
        ("", None, "found an empty file"),
        ("a: \x07", None, "expected YAML, found"),
        ("[" * 60 + "]" * 60, 1, "levels"),
        ("[" * 5000 + "]" * 5000, 1, "levels"),
    ],
)
def test_everything_else_is_refused_with_its_line(text: str, line: int | None, told: str) -> None:
    """What could mean two things, or is no plain data, is a problem with a line."""
    with pytest.raises(ConfigInvalid) as caught:
        read(text)

    first = caught.value.problems[0]
    assert told in first.message
    assert first.line == line


def test_lines_belong_to_keys_and_elements() -> None:
    """Each key's line is that of the key, each element's its own."""
    lines = read("a:\n  b:\n    - x\n    - y\n").lines

    assert (lines[("a",)], lines[("a", "b")], lines[("a", "b", 1)]) == (1, 2, 4)


def test_a_writer_refuses_what_is_no_plain_data() -> None:
    """Bytes have no form in YAML that everybody reads alike."""
    with pytest.raises(TypeError, match="expected plain data, found bytes"):
        yaml_writer.dump({"a": b"x"})
