"""flannel's own parser reads every config as we say it does: the vectors of 0.28, and hundreds that are drawn.

The program is flannel's package, built from the pinned module; it parses and checks as the daemon does, up to
the backend. What only the daemon would refuse later (backends, a range without subnets) is told apart by words.
"""

from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hack.cluster import NotBuildable
from hack.flannel_truth import ask, find_program
from nodegate.flannel.check import effective, parse_version, read_config
from nodegate.flannel.model import Reading
from nodegate.text import visible
from tests.property.flannel.strategies import bent_configs, configs
from tests.unit.flannel.config_vectors import ConfigVector, config_vectors

pytestmark = pytest.mark.integration

_VERSION = parse_version("0.28.10")
_MEMBERS = {"Network": "network", "SubnetLen": "subnetLen", "SubnetMin": "subnetMin", "SubnetMax": "subnetMax"}
_LATER = (
    "unknown backend type", "error decoding VXLAN backend config", "failed to acquire lease", "none defined stack",
    "panic: Address is not an IPv4 address", "no valid Mode configured", "config error", "could not parse psk",
)  # fmt: skip
"""How refusals begin that come after flannel has parsed and checked the config."""


class _Pair(NamedTuple):
    """One config as both sides read it."""

    text: bytes
    ours: Reading
    flannel: dict[str, Any]


@pytest.fixture(scope="module", name="program")
def _program() -> Path:
    """Flannel's parser, built when it is not cached."""
    try:
        return find_program(print)
    except NotBuildable as error:
        pytest.skip(str(error))


def _drawn() -> list[bytes]:
    found: list[bytes] = []

    @settings(max_examples=1500, deadline=None, database=None)
    @given(st.one_of(configs(), configs(), bent_configs()))
    def gather(text: bytes) -> None:
        found.append(text)

    gather()
    return list(dict.fromkeys(found))


@pytest.fixture(scope="module", name="pairs")
def _pairs(program: Path) -> list[_Pair]:
    """Many drawn configs, read by both; flannel is asked once."""
    texts = _drawn()
    verdicts = ask(program, texts)
    return [_Pair(text, read_config(text, _VERSION), verdict) for text, verdict in zip(texts, verdicts, strict=True)]


def _values(verdict: dict[str, Any]) -> dict[str, Any]:
    """Return what flannel fills in, by its own names."""
    return {
        prefix + name: verdict[family][key]
        for prefix, family in (("", "ipv4"), ("IPv6", "ipv6"))
        if family in verdict
        for name, key in _MEMBERS.items()
    }


def _ours(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name.removeprefix("IPv6") in _MEMBERS}


def test_vectors_of_the_release_are_many() -> None:
    """There is something to compare, on both sides."""
    verdicts = [vector.expect["parserAccepts"] for vector in _of_the_release()]

    assert min(verdicts.count(True), verdicts.count(False)) > 30


def _of_the_release() -> list[ConfigVector]:
    return [vector for vector in config_vectors() if vector.version == _VERSION]


def test_vectors_say_what_flannel_says(program: Path) -> None:
    """Each vector's `parserAccepts`, refusal and filled-in values are those of flannel itself."""
    vectors = _of_the_release()
    for vector, verdict in zip(vectors, ask(program, [vector.text for vector in vectors]), strict=True):
        expect = vector.expect

        assert verdict["ok"] is expect["parserAccepts"], (vector.name, verdict)
        if not verdict["ok"]:
            assert expect["refusal"] in verdict["error"], vector.name
        if expect["flannelAccepts"]:
            assert _values(verdict) == _ours(expect["effective"]), vector.name
            assert verdict["backendType"].lower() == expect["effective"]["BackendType"], vector.name


def test_enough_is_drawn_to_prove_something(pairs: list[_Pair]) -> None:
    """Many are accepted, many refused, and IPv6 is among the accepted."""
    accepted = [pair for pair in pairs if pair.flannel["ok"]]

    assert len(accepted) > 50
    assert len(pairs) - len(accepted) > 200
    assert any("ipv6" in pair.flannel for pair in accepted)


def test_what_flannel_refuses_we_refuse_in_its_words(pairs: list[_Pair]) -> None:
    """The same texts are refused, for the same reason; none of them is valid."""
    for pair in pairs:
        if not pair.flannel["ok"]:
            assert (pair.ours.accepted, pair.ours.valid) == (False, False), pair
            assert visible(str(pair.ours.refusal), 400) == visible(pair.flannel["error"], 400), pair


def test_what_flannel_takes_we_take_with_its_values(pairs: list[_Pair]) -> None:
    """The same texts are accepted, unless the daemon would refuse later, and filled in alike."""
    for pair in pairs:
        if pair.flannel["ok"]:
            if pair.ours.config is None:
                assert str(pair.ours.refusal).startswith(_LATER), pair
                continue
            body = effective(pair.ours.config)
            assert _ours(body) == _values(pair.flannel), pair
            assert body["EnableNFTables"] is pair.flannel["enableNFTables"], pair
            assert body["BackendType"] == pair.flannel["backendType"].lower(), pair
