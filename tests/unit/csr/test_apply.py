"""What is PUT to a request's approval, and what becomes of each answer."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from nodegate.csr.apply import CSR_PATH, Written, approval_body, read_request, write_condition
from nodegate.errors import Forbidden, Invalid, Unavailable
from nodegate.facts import BULKY, _undecided
from tests.unit.fake_cluster import APPROVE, CSR, READ_REQUEST, World, run_world
from tests.unit.kube.fake_api import Answer, drop, status

_CONDITION = {"type": "Approved", "status": "True", "reason": "BootstrapApproved", "message": "fine"}


@pytest.fixture(name="world")
async def _world() -> AsyncIterator[World]:
    """A cluster with node-a's first request."""
    async with run_world() as world:
        world.cluster.ask()
        yield world


def test_body_keeps_conditions_that_stand() -> None:
    """The approval endpoint replaces the conditions: those that stand are sent along, before ours."""
    odd = {"type": "Odd", "status": "True", "reason": "x", "message": "y"}
    request = {"metadata": {"name": "c", "uid": "u"}, "spec": {"a": 1}, "status": {"conditions": [odd]}}

    assert json.loads(approval_body(request, _CONDITION)) == {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": "c", "uid": "u"},
        "spec": {"a": 1},
        "status": {"conditions": [odd, _CONDITION]},
    }


@pytest.mark.parametrize("empty", [{}, {"status": None}, {"status": {}}, {"status": {"conditions": None}}])
def test_body_of_a_request_without_status(empty: dict[str, None]) -> None:
    """A request that nobody has touched has no conditions, in whatever form."""
    body = json.loads(approval_body({"metadata": {"name": "c"}, "spec": {}, **empty}, _CONDITION))

    assert body["status"] == {"conditions": [_CONDITION]}


async def test_written(world: World) -> None:
    """A condition that was taken is done."""
    body = world.cluster.objects[CSR_PATH][CSR]

    assert await write_condition(world.client, body, _CONDITION) is Written.DONE
    assert world.cluster.conditions() == [("Approved", "BootstrapApproved")]


async def test_stale_is_changed(world: World) -> None:
    """A request that has changed since is to be judged again."""
    body = world.cluster.objects[CSR_PATH][CSR]
    world.cluster.change(CSR_PATH, CSR, metadata={"labels": {"a": "b"}})

    assert await write_condition(world.client, body, _CONDITION) is Written.CHANGED
    assert world.cluster.conditions() == []


async def test_gone(world: World) -> None:
    """A request that is gone needs nothing, and reads as nothing."""
    body = world.cluster.objects[CSR_PATH][CSR]
    world.cluster.delete_object(CSR_PATH, CSR)

    assert await write_condition(world.client, body, _CONDITION) is Written.GONE
    assert await read_request(world.client, CSR) is None


@pytest.mark.parametrize(
    ("answer", "error"),
    [(status(403, "Forbidden"), Forbidden), (status(422, "Invalid"), Invalid), (drop, Unavailable)],
)
async def test_what_is_not_taken_is_raised(world: World, answer: Answer, error: type[Exception]) -> None:
    """A refusal and a lost answer are the flow's to act on."""
    world.cluster.answers[APPROVE].append(answer)

    with pytest.raises(error):
        await write_condition(world.client, world.cluster.objects[CSR_PATH][CSR], _CONDITION)


def _trimmed(world: World) -> Any:
    """Return the request as the store keeps it when its annotations are bulky."""
    body = world.cluster.change(CSR_PATH, CSR, metadata={"annotations": {"bulk": "x" * (BULKY + 1)}})
    kept = _undecided(body)
    assert "annotations" not in kept["metadata"]
    return kept


async def test_what_memory_has_left_out_is_read_again(world: World) -> None:
    """Bulky metadata is not kept in memory, and yet goes along with the approval."""
    body = _trimmed(world)

    assert await write_condition(world.client, body, _CONDITION) is Written.DONE
    (sent,) = world.cluster.bodies[APPROVE]
    assert len(sent["metadata"]["annotations"]["bulk"]) == BULKY + 1
    assert world.cluster.asked == [READ_REQUEST, APPROVE]


async def test_what_has_changed_since_memory_is_not_written(world: World) -> None:
    """The request that is read again must be the one that was judged."""
    body = _trimmed(world)
    world.cluster.change(CSR_PATH, CSR, metadata={"labels": {"a": "b"}})

    assert await write_condition(world.client, body, _CONDITION) is Written.CHANGED
    assert world.cluster.conditions() == []


async def test_what_has_gone_since_memory_is_gone(world: World) -> None:
    """A request that cannot be read again because it is gone needs nothing."""
    body = _trimmed(world)
    world.cluster.delete_object(CSR_PATH, CSR)

    assert await write_condition(world.client, body, _CONDITION) is Written.GONE
    assert world.cluster.asked == [READ_REQUEST]


@pytest.mark.parametrize("name", ["x?dryRun=All", "a b", "csr#1", "ü\x1b[31m", "c" * 600])
async def test_odd_names_stay_one_segment(world: World, name: str) -> None:
    """Whatever a requester calls a request, its approval goes to that request and to nothing else."""
    world.cluster.ask(metadata={"name": name, "uid": "odd"})

    body = await read_request(world.client, name)

    assert body is not None
    assert await write_condition(world.client, body, _CONDITION) is Written.DONE
    assert world.cluster.conditions(name) == [("Approved", "BootstrapApproved")]
    assert world.cluster.conditions() == []
