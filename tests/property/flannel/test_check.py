"""Reading a config never fails, and agrees with Python where Python and Go are of one mind."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegate.errors import Malformed
from nodegate.flannel import golang
from nodegate.flannel.check import effective, parse_version, read_config
from nodegate.flannel.golang import Kind, Value
from nodegate.flannel.model import Config, Family4, Family6, Severity
from tests.property.flannel.strategies import bent_configs, configs

_VERSIONS = st.sampled_from(
    [parse_version(text) for text in ("0.7.1", "0.9.1", "0.13.0", "0.17.0", "0.20.2", "0.28.10")]
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def _plain(value: Value) -> Any:
    """Return a value as Python's own reader would."""
    match value.kind:
        case Kind.OBJECT:
            return {key: _plain(member) for key, member in value.members}
        case Kind.ARRAY:
            return [_plain(item) for item in value.items]
        case Kind.STRING:
            return value.text
        case _:
            return json.loads(value.raw)


@given(_JSON, st.sampled_from([{}, {"ensure_ascii": False}, {"indent": 2}]))
def test_reads_json_as_python_does(value: Any, style: dict[str, Any]) -> None:
    """Whatever Python writes is read back alike, escaped or not, indented or not."""
    text = json.dumps(value, **style)

    assert _plain(golang.parse(text)) == json.loads(text)


def _no_constant(name: str) -> Any:
    raise ValueError(name)


@given(bent_configs())
@settings(max_examples=300)
def test_accepts_the_same_json_as_python(text: bytes) -> None:
    """A bent text is JSON for both or for neither, once bytes are text and constants that only Python knows are out."""
    decoded = text.decode("utf-8", "replace")
    try:
        expected = json.loads(decoded, parse_constant=_no_constant)
    except ValueError:
        expected = Malformed
    try:
        found = _plain(golang.parse(decoded))
    except Malformed:
        found = Malformed

    assert found == expected


@given(st.binary(max_size=200) | st.text(max_size=200) | bent_configs() | configs(), _VERSIONS)
def test_never_raises(text: bytes | str, version: Any) -> None:
    """Whatever stands in etcd gets a verdict, and the verdict is consistent."""
    reading = read_config(text, version)

    assert reading.accepted is (reading.refusal is None)
    assert reading.accepted or not reading.valid
    assert reading.valid is not any(problem.severity is Severity.ERROR for problem in reading.problems)
    assert all(problem.message for problem in reading.problems)


@given(st.integers(0, 200_000), st.sampled_from(["[", '{"a":', "[{}, {},"]), _VERSIONS)
@settings(max_examples=20, deadline=None)
def test_nesting_exhausts_nothing(levels: int, opening: str, version: Any) -> None:
    """However deep the text, it is refused and not overrun."""
    assert not read_config(opening * levels, version).accepted
    with pytest.raises(Malformed):
        golang.parse(opening * levels)


def _rewritten(config: Config) -> str:
    """Return a config as one that says everything."""
    body = effective(config)
    del body["BackendType"]
    return json.dumps(body)


@given(configs())
@settings(max_examples=300)
def test_what_is_in_effect_reads_as_itself(text: bytes) -> None:
    """The effective values, written out as a config, have the same effect."""
    version = parse_version("0.28.10")
    config = read_config(text, version).config

    if config is not None:
        assert read_config(_rewritten(config), version).config == config


@given(configs(), _VERSIONS)
@settings(max_examples=300)
def test_a_valid_config_has_room(text: bytes, version: Any) -> None:
    """What is valid leaves every family two subnets or more, inside its network and on boundaries."""
    reading = read_config(text, version)

    if reading.valid:
        assert reading.config is not None
        assert reading.config.ipv4 is not None
        families: list[Family4 | Family6 | None] = [reading.config.ipv4, reading.config.ipv6]
        for family in families:
            if family is None:
                continue
            size = 1 << (family.network.max_prefixlen - family.subnet_len)
            first, last = int(family.subnet_min), int(family.subnet_max)
            assert int(family.network.network_address) <= first <= last < int(family.network.broadcast_address)
            assert not first % size
            assert not last % size
