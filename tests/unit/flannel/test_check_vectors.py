"""Every vector of `flannel check` is judged as it says, and the vectors cover what there is to know."""

from typing import Any

import pytest

from nodegate.flannel.check import effective, read_config
from nodegate.flannel.dialects import BACKENDS, MEMBERS
from nodegate.flannel.model import Severity
from tests.unit.flannel.config_vectors import ConfigVector, config_schema, config_vectors, fields

_ALL = config_vectors()


def _part(whole: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the members of an effective config that a vector is about."""
    return {
        name: _part(whole[name], value) if isinstance(value, dict) else whole[name]
        for name, value in wanted.items()
        if name in whole
    }


@pytest.mark.parametrize("vector", _ALL, ids=lambda vector: vector.name)
def test_is_judged_as_the_vector_says(vector: ConfigVector) -> None:
    """Validity, flannel's own verdict and the fields of all problems are the vector's."""
    reading = read_config(vector.text, vector.version)

    assert {
        "valid": reading.valid,
        "flannelAccepts": reading.accepted,
        "errors": fields(reading, Severity.ERROR),
        "warnings": fields(reading, Severity.WARNING),
    } == {name: vector.expect[name] for name in ("valid", "flannelAccepts", "errors", "warnings")}, reading
    assert vector.expect.get("refusal", "") in (reading.refusal or "")


@pytest.mark.parametrize("vector", _ALL, ids=lambda vector: vector.name)
def test_values_are_those_of_the_vector(vector: ConfigVector) -> None:
    """What flannel would use is the vector's; a family that is off has no members."""
    config = read_config(vector.text, vector.version).config
    wanted = vector.expect["effective"]

    assert (config is None) is (wanted is None)
    if config is not None:
        found = effective(config)
        assert _part(found, wanted) == wanted
        assert {name for name in found if name.endswith(("Network", "SubnetLen", "SubnetMin", "SubnetMax"))} == {
            name for name in wanted if name not in {"BackendType", "Backend", "EnableNFTables"}
        }


@pytest.mark.parametrize("vector", _ALL, ids=lambda vector: vector.name)
def test_vector_has_the_schemas_form(vector: ConfigVector) -> None:
    """The file is what config.schema.json describes, and is named after its release."""
    assert [error.message for error in config_schema().iter_errors(vector.body)] == []
    assert vector.name.endswith(f".{vector.version}")


def test_schema_refuses_what_is_no_vector() -> None:
    """A misspelt member, a valid case with errors, and a refusal without words are refused."""
    good = next(vector.body for vector in _ALL if vector.expect["valid"])
    expect = good["expect"]

    assert config_schema().is_valid(good)
    assert not config_schema().is_valid(good | {"flannel": "0.28.10"})
    assert not config_schema().is_valid(good | {"expect": expect | {"errors": ["Network"]}})
    assert not config_schema().is_valid(good | {"expect": expect | {"flannelAccepts": False, "effective": None}})


def test_vectors_cover_the_reference() -> None:
    """Each of the reference's config vectors V1 to V46 stands for the newest and, but for IPv6 details, the oldest."""
    newest = {vector.name[:3] for vector in _ALL if str(vector.version) == "0.28.10"}
    oldest = {vector.name[:3] for vector in _ALL if str(vector.version) == "0.7.1"}

    assert {f"v{number:02}" for number in range(1, 47)} - newest == set()
    assert {f"v{number:02}" for number in range(1, 47)} - oldest == set()


def test_vectors_cover_the_tables() -> None:
    """Each member is seen to be wrong, and each backend is seen to run and, where it comes or goes, to be refused."""
    errors = {field for vector in _ALL for field in vector.expect["errors"]}
    runs = {vector.expect["effective"]["BackendType"] for vector in _ALL if vector.expect["flannelAccepts"]}
    refused = {
        str(vector.expect["refusal"]).rpartition(": ")[2]
        for vector in _ALL
        if str(vector.expect.get("refusal")).startswith("unknown backend type")
    }

    assert set(MEMBERS) - errors == set()
    assert set(BACKENDS) == runs
    assert {name for name in BACKENDS if not BACKENDS[name].is_known(min(vector.version for vector in _ALL))} <= refused
