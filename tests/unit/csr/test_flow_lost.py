"""Answers that are lost on their way: an approval that landed unheard is told once, as what it is."""

from collections.abc import AsyncIterator

import pytest

from nodegate.csr.apply import CSR_PATH
from nodegate.csr.flow import RETRY_S
from tests.unit.fake_cluster import (
    APPROVE,
    CSR,
    READ_ENROLLMENT,
    READ_REQUEST,
    RECORD,
    World,
    run_world,
)
from tests.unit.kube.fake_api import drop, status

TOKEN = {"tokenID": "abcdef"}


@pytest.fixture(name="world")
async def _world() -> AsyncIterator[World]:
    """A cluster with node-a's enrollment and its first request, both known."""
    async with run_world() as world:
        world.cluster.enroll(bootstrap=TOKEN)
        world.cluster.ask()
        await world.sync()
        yield world


async def test_lost_answer_after_a_refusal_ends_the_trouble(world: World) -> None:
    """A request that was refused once, and then landed unheard, keeps nobody from being ready."""
    world.cluster.answers[APPROVE].extend([status(403, "Forbidden"), world.cluster.landed])
    await world.judge()
    await world.judge()
    assert world.trouble() != ""

    assert await world.judge() == [READ_REQUEST]
    assert world.trouble() == ""


async def test_lost_answer_that_landed_counts_once(world: World) -> None:
    """An approval whose answer was lost is told as what it is, an approval, and only once."""
    world.cluster.answers[APPROVE].append(world.cluster.landed)
    await world.judge()
    assert world.told("approve", "bootstrap_approved") == 0
    assert world.due_s(world.requests, CSR) == pytest.approx(RETRY_S, abs=RETRY_S)

    assert await world.judge() == [READ_REQUEST]
    assert await world.judge() == []

    assert world.told("approve", "bootstrap_approved") == 1
    assert world.told("ignore", "already_decided") == 0
    assert world.trouble() == ""


async def test_lost_answer_is_not_forgotten_when_the_store_is_faster(world: World) -> None:
    """An approval whose answer was lost is told, too, when the watch has shown it decided by then."""
    world.cluster.answers[APPROVE].append(world.cluster.landed)
    await world.judge()
    await world.sync()

    assert await world.judge() == [READ_REQUEST]
    assert world.told("approve", "bootstrap_approved") == 1


async def test_lost_answer_survives_a_failing_read(world: World) -> None:
    """When the look after a lost answer fails as well, the next look still knows whose approval it is."""
    world.cluster.answers[APPROVE].append(world.cluster.landed)
    world.cluster.answers[READ_REQUEST].extend([drop] * 4)
    await world.judge()
    await world.judge()
    await world.sync()

    assert await world.judge() == [READ_REQUEST]
    assert world.told("approve", "bootstrap_approved") == 1


async def test_lost_answer_that_did_not_land_is_approved_again(world: World) -> None:
    """An approval that never arrived is judged and written anew."""
    world.cluster.answers[APPROVE].append(drop)
    await world.judge()
    await world.sync()

    assert await world.judge() == [READ_REQUEST, RECORD, APPROVE]
    assert world.cluster.conditions() == [("Approved", "BootstrapApproved")]
    assert world.told("approve", "bootstrap_approved") == 1
    assert world.cluster.enrollment()["status"]["joinCount"] == 1


async def test_lost_answer_that_lands_late_counts_as_ours(world: World) -> None:
    """An approval that lands while it is being tried again is told as an approval, not as another's."""
    world.cluster.answers[APPROVE].append(drop)
    await world.judge()
    (late,) = world.cluster.bodies[APPROVE]
    world.cluster.acts[APPROVE].append(lambda: world.cluster.change(CSR_PATH, CSR, status=late["status"]))

    assert await world.judge() == [READ_REQUEST, RECORD, READ_ENROLLMENT, RECORD, APPROVE, READ_REQUEST]
    assert world.told("approve", "bootstrap_approved") == 1
    assert world.told("ignore", "already_decided") == 0


async def test_lost_answer_of_a_request_that_is_gone(world: World) -> None:
    """A request that is gone after a lost answer is forgotten."""
    world.cluster.answers[APPROVE].append(drop)
    await world.judge()
    world.cluster.delete_object(CSR_PATH, CSR)
    await world.sync()

    assert await world.judge() == [READ_REQUEST]
    assert await world.judge() == []
    assert world.told("approve", "bootstrap_approved") == 0


async def test_lost_answer_of_a_request_that_another_denied(world: World) -> None:
    """Another's denial is not taken for our lost approval."""
    denied = [{"type": "Denied", "status": "True", "reason": "ByHand", "message": "no"}]
    world.cluster.answers[APPROVE].append(drop)
    await world.judge()
    world.cluster.change(CSR_PATH, CSR, status={"conditions": denied})

    assert await world.judge() == [READ_REQUEST]
    assert world.told("approve", "bootstrap_approved") == 0
    assert world.told("ignore", "already_decided") == 1
