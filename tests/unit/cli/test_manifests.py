"""Files of manifests: what is read, where each object stands, and what every fault says."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from nodegate.cli.manifests import read_files, read_text
from nodegate.errors import Malformed


def bodies(text: str) -> list[Any]:
    """Return the objects in a text."""
    return [manifest.body for manifest in read_text(text, "f.yaml")]


def test_documents_know_their_number_and_line() -> None:
    """Each document says where it begins; empty ones are counted and skipped."""
    found = list(read_text("---\n---\nkind: A\n---\n# a comment\nkind: B\n", "f.yaml"))

    assert [manifest.origin for manifest in found] == ["f.yaml, document 2, line 3", "f.yaml, document 3, line 6"]


def test_lists_are_taken_apart_with_the_line_of_each_item() -> None:
    """A List yields its items, each with its own place."""
    found = list(read_text("kind: List\nitems:\n- kind: A\n- kind: B\n", "f.yaml"))

    assert [manifest.body for manifest in found] == [{"kind": "A"}, {"kind": "B"}]
    assert found[1].origin == "f.yaml, document 1, line 1, item 2 (line 4)"


def test_items_of_a_typed_list_take_its_kind() -> None:
    """The API server leaves kind and apiVersion out of the items of its own lists."""
    text = json.dumps({"kind": "NodeList", "apiVersion": "v1", "items": [{"metadata": {"name": "a"}}]})

    assert bodies(text) == [{"kind": "Node", "apiVersion": "v1", "metadata": {"name": "a"}}]


@pytest.mark.parametrize("text", ["kind: NodeList\n", "kind: NodeList\nitems:\n", "kind: List\nitems: []\n"])
def test_empty_lists_hold_nothing(text: str) -> None:
    """A list without items is no object."""
    assert bodies(text) == []


def test_json_documents_are_read_one_after_the_other() -> None:
    """Concatenated JSON, as several calls of kubectl print it, is read like documents, with lines."""
    found = list(read_text('{"kind": "A"}\n\n{"kind":\t"B"}\n', "f.json"))

    assert [manifest.origin for manifest in found] == ["f.json, document 1, line 1", "f.json, document 2, line 3"]


def test_yaml_that_begins_with_a_brace_is_yaml() -> None:
    """A flow mapping is no JSON and still an object."""
    assert bodies("{kind: A}") == [{"kind": "A"}]


@pytest.mark.parametrize(
    ("scalar", "expected"),
    [
        ("2030-01-31T12:00:00Z", "2030-01-31T12:00:00Z"),
        ("2030-01-31", "2030-01-31"),
        ("!!timestamp 2030-01-31", "2030-01-31"),
        ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"),
        ("fd00::5", "fd00::5"),
        ("12:30", "12:30"),
        ("y", True),
        ("no", False),
        ("On", True),
        ("OFF", False),
        ('"y"', "y"),
        ("12", 12),
        ("-7", -7),
        ("010", 8),
        ("0o10", 8),
        ("0x1F", 31),
        ("0x", "0x"),
        ("1e3", 1000.0),
        ("1.5", 1.5),
        ("", None),
        ("~", None),
    ],
)
def test_scalars_are_read_as_kubectl_reads_them(scalar: str, expected: object) -> None:
    """Plain scalars become what go-yaml makes of them, moments stay text."""
    value = bodies(f"a: {scalar}\n")[0]["a"]

    assert value == expected
    assert type(value) is type(expected)


def test_merged_keys_and_anchors_are_read() -> None:
    """Anchors and merge keys work, and a merged key may be overridden."""
    assert bodies("a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}\n") == [{"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: [", "f.yaml, line 3: expected YAML or JSON"),
        ("a: 1\n\tb: 2", "f.yaml, line 2: expected YAML or JSON"),
        ("kind: A\nspec:\n  a: 1\n  a: 2\n", "f.yaml, line 4: expected YAML or JSON, found: the key 'a' twice"),
        ('{"kind": "A"}\n{"a": 1, "a": 2}', "f.yaml, document 2, line 2: expected each key once, found 'a' twice"),
        ("---\nkind: A\n---\n- x\n", "f.yaml, document 2, line 4: expected a Kubernetes object, found a list"),
        ("just words", "f.yaml, document 1, line 1: expected a Kubernetes object, found the value 'just words'"),
        ("kind: List\nitems:\n- 3\n", "item 1 (line 3): expected a Kubernetes object, found the value 3"),
        ("kind: List\nitems: x\n", "expected a list under items of List, found the value 'x'"),
        ("a: !!python/name:os.system x", "f.yaml, line 1: expected YAML or JSON"),
        ("a: *unknown", "f.yaml, line 1: expected YAML or JSON"),
        ("a: \x07", "f.yaml, document 1: expected YAML or JSON"),
        ("[" * 100_000, "values nested too deeply"),
        ('{"a":' * 100_000, "values nested too deeply"),
    ],
)
def test_faults_say_where_and_what(text: str, message: str) -> None:
    """Whatever is no object is refused with file, document or line, and what was found."""
    with pytest.raises(Malformed) as raised:
        bodies(text)

    assert message in str(raised.value)


def test_messages_are_safe_to_print() -> None:
    """What a file holds cannot steer the terminal through a message."""
    with pytest.raises(Malformed) as raised:
        bodies('kind: "\\eX"\nkind: 1\n"\\e]0;\\a": 1\n"\\e]0;\\a": 1\n')

    assert str(raised.value).isprintable()


def test_directories_are_refused(tmp_path: Path) -> None:
    """A directory is not walked, and the message says what to do."""
    with pytest.raises(Malformed, match="expected a file, found a directory; name its files"):
        read_files([str(tmp_path)])


def test_absent_files_are_refused(tmp_path: Path) -> None:
    """A file that is not there is named."""
    with pytest.raises(Malformed, match=r"nope\.yaml: expected a file that can be read"):
        read_files([str(tmp_path / "nope.yaml")])


def test_files_are_read_once(tmp_path: Path) -> None:
    """A file that is named twice is a mistake: its objects would be there twice."""
    file = tmp_path / "a.yaml"
    file.write_text("kind: A\n", encoding="utf-8")

    with pytest.raises(Malformed, match="expected each file once"):
        read_files([str(file), str(file)])


def test_bytes_that_are_no_text_are_refused_with_their_line(tmp_path: Path) -> None:
    """A file that is not UTF-8 is refused; a byte order mark is not minded."""
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_bytes(b"\xef\xbb\xbfkind: A\n")
    bad.write_bytes(b"kind: A\nb: \xff\n")

    assert read_files([str(good)])[str(good)][0].body == {"kind": "A"}
    with pytest.raises(Malformed, match="line 2: expected UTF-8 text"):
        read_files([str(bad)])


def test_a_dash_is_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file name - reads standard input, and messages call it so."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"kind: A\n")))

    assert read_files(["-"])["-"][0].origin == "stdin, document 1, line 1"
