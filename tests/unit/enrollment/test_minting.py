"""Making and removing tokens over real HTTP: what is sent, what is remembered, and what a refusal leads to."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from nodegate.clock import now
from nodegate.enrollment.apply import ENROLLMENT_PATH
from nodegate.enrollment.minting import SECRETS_PATH, SOON_S, Mint
from nodegate.enrollment.model import Bootstrap, Enrollment, Status, TokenStep
from nodegate.names import BOOTSTRAP_GROUP
from tests.builders import make_enrollment
from tests.unit.fake_cluster import NODE, World, run_world
from tests.unit.kube.fake_api import status

_ID = "abc123"
_RECORD, _CREATE, _DELETE = "patch nodeenrollments/status", "create secrets", "delete secrets"


@pytest.fixture(name="world")
async def _world() -> AsyncIterator[World]:
    """A cluster with enrollment node-a that wants a token."""
    async with run_world() as world:
        world.cluster.enroll(bootstrap={"token": {"issue": True}})
        yield world


def _mint(world: World, again: list[float] | None = None) -> Mint:
    seen = again if again is not None else []
    return Mint(world.client, world.metrics, lambda _, wait: seen.append(wait), BOOTSTRAP_GROUP)


def _enrollment(world: World, **recorded: Any) -> Enrollment:
    version = world.cluster.objects[ENROLLMENT_PATH][NODE]["metadata"]["resourceVersion"]
    enrollment = make_enrollment(bootstrap=Bootstrap(issue_token=True), resource_version=version)
    return replace(enrollment, status=Status(**recorded))


def _recorded(world: World) -> Enrollment:
    return _enrollment(world, token_id=_ID, token_expires=now() + timedelta(hours=1))


def _count(world: World) -> float | None:
    return world.metrics.registry.get_sample_value("nodegate_tokens_issued_total")


async def test_a_token_is_recorded_before_it_is_made(world: World) -> None:
    """The record is one write of the status, and names no secret."""
    again: list[float] = []
    await _mint(world, again).take(TokenStep.RECORD, _enrollment(world))
    recorded = world.cluster.objects[ENROLLMENT_PATH][NODE]["status"]["bootstrap"]
    assert recorded["secretRef"]["name"] == f"bootstrap-token-{recorded['tokenID']}"
    assert (world.cluster.asked, again) == ([_RECORD], [SOON_S])


async def test_the_secret_half_is_in_the_secret_alone(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The Secret holds both halves; the log, the memory and the count name the id at most."""
    caplog.set_level("DEBUG")
    mint = _mint(world)
    await mint.take(TokenStep.CREATE, _recorded(world))
    (stored,) = world.cluster.objects[SECRETS_PATH].values()
    half = stored["stringData"]["token-secret"]
    assert mint.minted(make_enrollment().name) == _ID
    assert half not in caplog.text
    assert half not in json.dumps(world.cluster.objects[ENROLLMENT_PATH])
    assert _count(world) == 1


async def test_a_secret_that_is_there_is_given_up(world: World) -> None:
    """Whose it is cannot be told and its half is unknown: it goes, with its record, and nothing was issued."""
    mint, enrollment = _mint(world), _recorded(world)
    world.cluster.answers[_CREATE].append(status(409, "AlreadyExists"))
    await mint.take(TokenStep.CREATE, enrollment)
    assert world.cluster.asked == [_CREATE, _DELETE, _RECORD]
    assert mint.minted(enrollment.name) is None
    assert _count(world) == 0


async def test_removing_again_is_no_fault(world: World) -> None:
    """A Secret that somebody else has removed is removed."""
    world.cluster.answers[_DELETE].append(status(404, "NotFound"))
    await _mint(world).take(TokenStep.REMOVE, _recorded(world))
    assert world.cluster.asked == [_DELETE, _RECORD]
    assert world.cluster.objects[ENROLLMENT_PATH][NODE]["status"].get("bootstrap") is None


async def test_a_refusal_is_told_and_waits(world: World) -> None:
    """A missing right is said in the status and not tried again at once; success takes the word back."""
    again: list[float] = []
    mint, enrollment = _mint(world, again), _recorded(world)
    world.cluster.answers[_CREATE].append(status(403, "Forbidden"))
    await mint.take(TokenStep.CREATE, enrollment)
    assert "403 Forbidden" in mint.problem(enrollment.name)
    await mint.take(TokenStep.CREATE, enrollment)
    assert world.cluster.asked == [_CREATE]
    assert again[1] > SOON_S
    mint.forget(enrollment.name)
    await mint.take(TokenStep.CREATE, enrollment)
    assert mint.problem(enrollment.name) == ""
    assert mint.minted(enrollment.name) == _ID


async def test_a_record_that_was_judged_before_a_change_is_not_written(world: World) -> None:
    """Another version of the enrollment is looked at again; nothing is recorded for it."""
    again: list[float] = []
    await _mint(world, again).take(TokenStep.RECORD, replace(_enrollment(world), resource_version="0"))
    assert world.cluster.objects[ENROLLMENT_PATH][NODE].get("status", {}).get("bootstrap") is None
    assert again == [SOON_S]
