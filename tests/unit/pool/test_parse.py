"""NodeEnrollmentPool objects read: what the schema refuses is malformed, what it lets pass is a fault of the pool."""

from ipaddress import ip_network
from typing import Any

import pytest

from nodegate.errors import Malformed
from nodegate.pool.model import PoolState
from nodegate.pool.parse import OPEN_GROUPS, parse_pool
from tests.unit.pool.samples import make_pool, pool_body


def test_a_pool_is_read_whole() -> None:
    """Every field of the spec and what the status records arrive."""
    condition = {"type": "Ready", "status": "True", "reason": "Active", "message": "m", "observedGeneration": 2}
    status = {"observedGeneration": 2, "nodes": 1, "conditions": [condition]}
    spec: dict[str, Any] = {"users": ["u"], "groups": ["g"], "state": "Suspended", "addressesPerNode": 1}
    spec |= {"addressRanges": ["10.0.8.0/22"], "template": {"rejoin": "Never", "bootstrap": {"maxJoins": 1}}}
    pool = parse_pool(pool_body(status=status, **spec))

    assert (pool.name, pool.uid, pool.resource_version, pool.generation) == ("fleet", "uid-of-fleet", "7", 2)
    assert [set(found) for found in (pool.spec.token_ids, pool.spec.users, pool.spec.groups)] == [
        {"abcdef"},
        {"u"},
        {"g"},
    ]
    assert (pool.spec.state, pool.spec.max_nodes, pool.spec.addresses_per_node) == (PoolState.SUSPENDED, 3, 1)
    assert pool.spec.ranges == (ip_network("10.0.8.0/22"),)
    assert pool.spec.template == {"rejoin": "Never", "bootstrap": {"maxJoins": 1}}
    assert pool.faults == ()
    assert (pool.status.observed_generation, pool.status.nodes) == (2, 1)
    assert [c.reason for c in pool.status.conditions] == ["Active"]


def test_defaults_are_the_schemas() -> None:
    """A pool without the optional fields is active, records two addresses a node and has no ranges."""
    spec = make_pool().spec
    assert (spec.state, spec.addresses_per_node, spec.ranges, spec.template) == (PoolState.ACTIVE, 2, (), {})


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"maxNodes": 0}, "maxNodes"),
        ({"maxNodes": None}, "maxNodes"),
        ({"addressesPerNode": 0}, "addressesPerNode"),
        ({"state": "Revoked"}, "Active or Suspended"),
        ({"addressRanges": ["10.0.8.1/22"]}, "addressRanges"),
        ({"addressRanges": ["pool"]}, "addressRanges"),
        ({"tokenIDs": ["abcdef.0123456789abcdef"]}, "tokenIDs[0]"),
        ({"template": {"addresses": ["10.0.0.5"]}}, "found addresses"),
        ({"template": {"dnsNames": ["a"]}}, "found dnsNames"),
        ({"template": {"state": "Active"}}, "found state"),
        ({"template": {"bootstrap": {"tokenID": "abcdef"}}}, "found bootstrap.tokenID"),
        ({"template": {"bootstrap": {"token": {"issue": True}}}}, "found bootstrap.token"),
        ({"template": {"bootstrap": {"users": ["u"]}}}, "found bootstrap.users"),
        ({"template": []}, "expected an object"),
    ],
)
def test_what_the_schema_refuses_is_malformed(spec: dict[str, Any], words: str) -> None:
    """Such an object never was in the API server, and the field is named."""
    with pytest.raises(Malformed) as refused:
        make_pool(**spec)
    assert words in str(refused.value)


@pytest.mark.parametrize("name", ["", "Fleet", "a" * 64])
def test_a_name_is_the_value_of_a_label(name: str) -> None:
    """A pool's name is a DNS-1123 subdomain of at most 63 characters."""
    with pytest.raises(Malformed, match=r"metadata\.name"):
        parse_pool(pool_body(name))


def test_another_kind_is_no_pool() -> None:
    """An enrollment is not read as a pool."""
    with pytest.raises(Malformed, match="kind"):
        parse_pool(pool_body() | {"kind": "NodeEnrollment"})


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"tokenIDs": []}, "nobody may join"),
        ({"namePattern": "node-.*"}, "spec.namePattern"),
        ({"namePattern": ""}, "spec.namePattern"),
        ({"users": ["system:node:node-a"]}, "spec.users"),
        ({"users": ["system:anonymous"]}, "spec.users"),
        *(({"groups": [group]}, "spec.groups") for group in sorted(OPEN_GROUPS)),
    ],
)
def test_a_pool_with_a_fault_matches_nothing(spec: dict[str, Any], words: str) -> None:
    """What would let in anybody or cannot be read is told, and the pool takes part in nothing."""
    pool = make_pool(**spec)
    assert [fault for fault in pool.faults if words in fault]
    assert not pool.matches("node-a")
    assert make_pool().matches("node-a")
