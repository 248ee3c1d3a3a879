"""What kopf sees: its own detection of causes over our memory of generations, and handlers that never fail."""

import logging
from typing import Any

import kopf
import pytest
from kopf._cogs.structs.diffs import diff
from kopf._core.intents import causes

from hack.vectors import manifests as m
from nodegate.enrollment.handlers import NoProgress, ObservedGeneration, register
from nodegate.enrollment.model import Enrollment

_STORAGE = ObservedGeneration()


def _body(generation: int, observed: int | None = None, **spec: Any) -> kopf.Body:
    status = {} if observed is None else {"status": {"observedGeneration": observed}}
    raw: Any = m.enrollment("node-a", spec, metadata={"generation": generation}, **status)
    return kopf.Body(raw)


def _reason(body: kopf.Body, *, initial: bool = False) -> str:
    """Return what kopf makes of an object, by its own rules."""
    old, new = _STORAGE.fetch(body=body), _STORAGE.build(body=body)
    raw: Any = {"type": None if initial else "MODIFIED", "object": dict(body)}
    found = causes.detect_changing_cause(
        finalizer="x", raw_event=raw, body=body, old=old, new=new, diff=diff(old, new), initial=initial, **_REST
    )
    return str(found.reason.value)


_REST: dict[str, Any] = {
    "resource": None,
    "indices": {},
    "logger": logging.getLogger("x"),
    "patch": kopf.Patch(),
    "memo": kopf.Memo(),
}
"""What kopf carries along and detection does not look at."""


def test_never_seen_is_a_creation() -> None:
    """An enrollment without an observed generation is new to us."""
    assert _reason(_body(1)) == "create"


def test_another_generation_is_an_update() -> None:
    """A spec that has changed since we looked is an update."""
    assert _reason(_body(2, observed=1)) == "update"


def test_handled_is_no_operation() -> None:
    """Once the status has the generation, events about it, ours included, call nothing."""
    assert _reason(_body(2, observed=2)) == "noop"
    assert _reason(_body(2, observed=2, addresses=["10.0.0.5"])) == "noop"


def test_create_then_handled_then_update() -> None:
    """The whole life: created, handled by our own patch, changed, handled again."""
    steps = [(1, None), (1, 1), (2, 1), (2, 2)]

    assert [_reason(_body(*step)) for step in steps] == ["create", "noop", "update", "noop"]


def test_nothing_is_written_on_the_object() -> None:
    """Kopf's memory leaves no annotation, no status and no finalizer behind."""
    body, patch, progress = _body(1), kopf.Patch(), NoProgress()
    essence = _STORAGE.build(body=body)

    _STORAGE.store(body=body, patch=patch, essence=essence)
    progress.store(key="k", record=kopf.ProgressRecord(), body=body, patch=patch)
    progress.purge(key="k", body=body, patch=patch)
    progress.touch(body=body, patch=patch, value="v")

    assert dict(patch) == {}
    assert progress.fetch(key="k", body=body) is None
    assert progress.clear(essence=essence) == essence


async def _call(body: kopf.Body) -> list[Enrollment]:
    """Call the registered handlers with an object and return what they hand on."""
    seen: list[Enrollment] = []

    async def observe(enrollment: Enrollment) -> None:
        seen.append(enrollment)

    registry = kopf.OperatorRegistry()
    register(registry, observe)
    functions = {handler.fn for handler in registry._changing.get_all_handlers()}
    for function in functions:
        await function(body=body)  # type: ignore[call-arg,misc]  # kopf passes a dozen more that are not used
    return seen


async def test_handler_hands_on_what_it_reads() -> None:
    """The object becomes an enrollment, once for creation and update alike."""
    (seen,) = await _call(_body(3, addresses=["10.0.0.5"]))

    assert (seen.name, seen.generation) == ("node-a", 3)


async def test_malformed_is_said_and_not_raised(caplog: pytest.LogCaptureFixture) -> None:
    """An enrollment that cannot be read makes a warning that names it; kopf would try a failure for ever."""
    assert await _call(_body(1, state="Odd")) == []
    assert "NodeEnrollment node-a cannot be read" in caplog.text
    assert "expected one of Active, Suspended, Revoked" in caplog.text
