"""Pools and their members, kept up to date one object at a time."""

from typing import Any

import pytest

from nodegate.errors import Malformed
from nodegate.pool.index import PoolIndex
from nodegate.pool.model import Overlap
from nodegate.pool.recent import KEPT_S
from tests.unit.pool.samples import make_pool


class _World:
    """An index, what it called for, and a clock."""

    def __init__(self) -> None:
        self.called: list[str] = []
        self.now = 0.0
        self.index = PoolIndex(self.called.append, lambda: self.now)

    def put(self, name: str = "fleet", **spec: Any) -> bool:
        """Put a pool."""
        return self.index.put(name, make_pool(name, **spec))

    def note(self, name: str, pool: str | None) -> None:
        """Note an enrollment."""
        self.index.note({"metadata": {"name": name, "labels": {"nodegate.dev/pool": pool} if pool else {}}})


@pytest.fixture(name="world")
def _world() -> _World:
    return _World()


def test_a_change_of_the_spec_is_one_and_another_status_is_none(world: _World) -> None:
    """Requests are only judged again when a pool says something else."""
    assert world.put()
    assert not world.put()
    assert world.put(maxNodes=4)
    assert world.index.put("fleet", None)
    assert world.index.pool("fleet") is None


def test_a_change_concerns_the_other_pools(world: _World) -> None:
    """What others say of overlaps depends on it, so all are looked at; another status concerns only itself."""
    world.put("a")
    world.put("b")
    world.called.clear()
    world.put("b")
    assert world.called == ["b"]
    world.put("b", namePattern="x")
    assert set(world.called[1:]) == {"a", "b"}


def test_members_follow_the_label(world: _World) -> None:
    """Counted when noted, moved with the label, forgotten with the enrollment; each change calls for its pools."""
    world.note("node-a", "fleet")
    world.note("node-b", "fleet")
    world.note("node-b", "fleet")
    assert (world.index.count("fleet"), world.index.pool_of("node-a")) == (2, "fleet")
    assert world.called == ["fleet", "fleet"]
    world.note("node-a", "other")
    assert (world.index.count("fleet"), world.index.count("other")) == (1, 1)
    world.note("node-b", None)
    world.index.forget("node-a")
    world.index.forget("unknown")
    assert (world.index.count("fleet"), world.index.count("other"), world.index.pool_of("node-b")) == (0, 0, None)


def test_what_cannot_be_read_is_no_member(world: _World) -> None:
    """An enrollment that the store leaves out would never be forgotten, so it is not counted."""

    def refuse(_: Any) -> None:
        raise Malformed("told to")

    with pytest.raises(Malformed):
        world.index.reading(refuse)({"metadata": {"name": "node-a", "labels": {"nodegate.dev/pool": "fleet"}}})
    assert world.index.count("fleet") == 0
    read = world.index.reading(lambda body: body["metadata"]["name"])
    assert read({"metadata": {"name": "node-a", "labels": {"nodegate.dev/pool": "fleet"}}}) == "node-a"
    assert world.index.count("fleet") == 1


def test_what_was_just_made_counts_until_the_store_shows_it(world: _World) -> None:
    """It is counted once, is gone when deleted, and is forgotten when the store never shows it."""
    world.index.expect("node-a", "fleet")
    assert world.index.count("fleet") == 1
    world.note("node-a", "fleet")
    world.index.expect("node-a", "fleet")
    assert world.index.count("fleet") == 1
    world.index.forget("node-a")
    assert world.index.count("fleet") == 0
    world.index.expect("node-b", "fleet")
    world.now = KEPT_S + 1
    assert world.index.count("fleet") == 0


def test_overlaps_are_those_of_active_pools(world: _World) -> None:
    """Both name each other with an example; suspended and stalled ones take no part."""
    world.put("a", namePattern="node-[a-f]")
    world.put("b", namePattern="node-[f-z]")
    world.put("c", namePattern="node-f", state="Suspended")
    world.put("d", namePattern="node-f", tokenIDs=[])
    pools = {pool.name: pool for pool in world.index.pools}
    assert world.index.overlaps(pools["a"]) == (Overlap("b", "node-f"),)
    assert world.index.overlaps(pools["b"]) == (Overlap("a", "node-f"),)
    assert world.index.overlaps(pools["c"]) == world.index.overlaps(pools["d"]) == ()
