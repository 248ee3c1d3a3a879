"""Where objects stand in files: an object's place and a field's path go in, a line number comes out.

Rules: lines count from 1. What YAML's parser saw is kept and looked up only when a line is asked for;
JSON is read as YAML once more then, because JSON's own parser forgets its lines. A field that is not
there has the line of the innermost part around it that is.
"""

from dataclasses import dataclass
from functools import cached_property

import yaml

from nodegate.cli.yaml_loader import Loader
from nodegate.errors import Malformed

FieldPath = tuple[str | int, ...]
"""The way to a field from the object down: keys of objects and indices of lists."""


def shown(path: FieldPath) -> str:
    """Return a path as the API server writes it, such as ``spec.addresses[0]``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


class Source:
    """One document of a file.

    Args:
        what: What YAML's parser made of it, or the text of a JSON document.
        line: The line of the file at which it begins; a parsed document knows its lines itself.
    """

    def __init__(self, what: yaml.Node | str, line: int = 1) -> None:
        self._what = what
        self._line = line

    @cached_property
    def _root(self) -> yaml.Node | None:
        if not isinstance(self._what, str):
            return self._what
        try:
            return yaml.compose(self._what, Loader)
        except (yaml.YAMLError, ValueError, RecursionError):
            return None  # Some JSON is no YAML for this parser, such as pairs of surrogates.

    def line_of(self, path: FieldPath) -> int:
        """Return the line of a field, or of the innermost part around it."""
        node = self._root
        line = _line(node) if node is not None else 0
        for part in path:
            found = _step(node, part)
            if found is None:
                break
            key, node = found
            line = _line(key)
        return line + (self._line if isinstance(self._what, str) else 1)


def _line(node: yaml.Node) -> int:
    line: int = node.start_mark.line
    return line


def _step(node: yaml.Node | None, part: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    """Return the node that names a part and the part itself, or None when it is not there."""
    if isinstance(node, yaml.MappingNode):
        return next((pair for pair in node.value if pair[0].value == part), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object stands."""

    file: str
    """The file's name, safe to print."""

    source: Source
    inside: FieldPath = ()
    """The way from the document to the object, when it is an item of a list."""

    def line_of(self, path: FieldPath = ()) -> int:
        """Return the line of one of the object's fields; of the object itself for an empty path."""
        return self.source.line_of((*self.inside, *path))


class Unreadable(Malformed):
    """A text that holds something else than objects.

    Attributes:
        line: Where, from 1.
        what: What was expected and found, without the place.
    """

    def __init__(self, where: str, line: int, what: str) -> None:
        super().__init__(f"{where}: {what}")
        self.line = line
        self.what = what
