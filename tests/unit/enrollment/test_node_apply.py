"""Writing Nodes over real HTTP: the pace, what a conflict leads to, and a Node that is another."""

from collections.abc import AsyncIterator

import pytest

from hack.vectors import manifests as m
from nodegate.enrollment.model import NodeRef, NodeTemplate
from nodegate.enrollment.node_apply import PACE_S, SOON_S, NodeApplier
from tests.builders import make_enrollment
from tests.unit.fake_cluster import NODE, NODES_PATH, World, run_world
from tests.unit.kube.fake_api import status

_READ, _WRITE = "get nodes", "patch nodes"


@pytest.fixture(name="world")
async def _world() -> AsyncIterator[World]:
    """A cluster with Node node-a, whose writes are taken and change nothing, as if undone at once."""
    async with run_world() as world:
        world.cluster.store(NODES_PATH, m.node(NODE))
        world.cluster.answers[_WRITE].extend([status(200, "Success")] * 2)
        yield world


def _node(world: World) -> NodeRef:
    return NodeRef(uid=world.cluster.objects[NODES_PATH][NODE]["metadata"]["uid"])


async def test_a_fight_costs_one_write_a_minute_and_new_settings_go_at_once(world: World) -> None:
    """The same settings wait for their minute; other settings do not."""
    again: list[float] = []
    nodes = NodeApplier(world.client, lambda _, wait: again.append(wait))
    one = make_enrollment(node=NodeTemplate(labels=(("rack", "r1"),)))
    for _ in range(5):
        await nodes.apply(one, _node(world))
    assert world.cluster.asked == [_READ, _WRITE]
    assert again == [pytest.approx(PACE_S, abs=5)] * 4

    await nodes.apply(make_enrollment(node=NodeTemplate(labels=(("rack", "r2"),))), _node(world))
    assert world.cluster.asked == [_READ, _WRITE] * 2


async def test_a_conflict_is_tried_again_soon_and_a_refusal_is_told(world: World) -> None:
    """Somebody else's write wears off; a missing right is said and waits its minute."""
    again: list[float] = []
    nodes = NodeApplier(world.client, lambda _, wait: again.append(wait))
    one = make_enrollment(node=NodeTemplate(labels=(("rack", "r1"),)))
    world.cluster.answers[_WRITE].clear()
    world.cluster.answers[_WRITE].extend([status(409, "Conflict"), status(403, "Forbidden")])

    await nodes.apply(one, _node(world))
    assert (again, nodes.problem(one.name)) == ([SOON_S], "")
    await nodes.apply(one, _node(world))
    assert "403 Forbidden" in nodes.problem(one.name)
    nodes.forget(one.name)
    assert nodes.problem(one.name) == ""


async def test_another_node_is_left_alone(world: World) -> None:
    """A Node of another UID than the judged one is read and not written."""
    nodes = NodeApplier(world.client, lambda *_: None)
    await nodes.apply(make_enrollment(node=NodeTemplate(labels=(("a", "b"),))), NodeRef(uid="another"))
    assert world.cluster.asked == [_READ]
