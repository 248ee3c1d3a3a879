"""YAML as kubectl reads it: a loader that gives what JSON can hold, and knows its lines.

Rules: plain scalars become what go-yaml v2 (which kubectl uses) makes of them: ``y``, ``yes``, ``on``
are truth values, but a moment stays text and digits with colons are no numbers to the base of sixty,
so an unquoted ``1:2:3:4:5:6:7:8`` is still an address. A key that stands twice in one mapping is an error.
"""

import re
from typing import Any

import yaml

try:
    from yaml import CSafeLoader as _SafeLoader
except ImportError:  # PyYAML was built without libyaml.
    from yaml import SafeLoader as _SafeLoader  # type: ignore[assignment] # the same interface, only slower

_MERGE = "tag:yaml.org,2002:merge"
_BOOL = "tag:yaml.org,2002:bool"
_RESOLVERS = (
    (_BOOL, r"y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF", "yYnNtTfFoO"),
    (
        "tag:yaml.org,2002:int",
        r"[-+]?(?:0|0b_*[01][01_]*|0x_*[0-9a-fA-F][0-9a-fA-F_]*|0o?_*[0-7][0-7_]*|[1-9][0-9_]*)",
        "-+0123456789",
    ),
    (
        "tag:yaml.org,2002:float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+0123456789.",
    ),
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", "~nN\0"),
    (_MERGE, r"<<", "<"),
)
_TRUE = frozenset({"y", "yes", "true", "on"})


class Loader(_SafeLoader):
    """A safe YAML loader that reads plain scalars as kubectl does."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - PyYAML's own attribute, filled below

    def construct_document(self, node: yaml.Node) -> Any:
        """Construct one document, refusing a key that stands twice in one mapping."""
        key = _key_twice(node, set())
        if key is not None:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key.value!r} twice in one mapping", key.start_mark
            )
        return super().construct_document(node)

    def construct_text(self, node: yaml.ScalarNode) -> str:
        """Construct a text, whatever it looks like."""
        return str(self.construct_scalar(node))

    def construct_truth(self, node: yaml.ScalarNode) -> bool:
        """Construct a truth value."""
        return str(self.construct_scalar(node)).lower() in _TRUE

    def construct_number(self, node: yaml.ScalarNode) -> float:
        """Construct a number with a fraction or an exponent."""
        text = str(self.construct_scalar(node)).lower()
        return float(text.replace(".inf", "inf").replace(".nan", "nan"))


def _key_twice(node: yaml.Node, seen: set[int]) -> yaml.ScalarNode | None:
    """Return a key that stands twice in one mapping below a node, or None; aliases are looked into once."""
    if id(node) in seen or isinstance(node, yaml.ScalarNode):
        return None
    seen.add(id(node))
    keys: set[str] = set()
    for part in node.value:
        key, value = part if isinstance(node, yaml.MappingNode) else (None, part)
        if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
            if key.value in keys:
                return key
            keys.add(key.value)
        below = _key_twice(value, seen)
        if below is not None:
            return below
    return None


for _tag, _pattern, _first in _RESOLVERS:
    Loader.add_implicit_resolver(_tag, re.compile(rf"^(?:{_pattern})$"), [c if c != "\0" else "" for c in _first])
Loader.add_constructor(_BOOL, Loader.construct_truth)
Loader.add_constructor("tag:yaml.org,2002:float", Loader.construct_number)
Loader.add_constructor("tag:yaml.org,2002:timestamp", Loader.construct_text)
