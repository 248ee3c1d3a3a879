"""Competing approvers, against a small API server: what is asked, what is told, and how often."""

import asyncio
import json
import logging
import math
from collections.abc import AsyncIterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from nodegate.approvers import CompetingApprovers
from nodegate.kube.auth import ACCESS_REVIEWS
from nodegate.metrics import Metrics
from nodegate.outbox import Outbox
from tests.unit.kube.fake_api import FakeApi, connect, raw, serve, status, until

ROLE = "system:certificates.k8s.io:certificatesigningrequests"
MINE = "system:bootstrappers:metal"
Groups = dict[str, set[str]]


class Watched:
    """A checker, and who is bound to which of the two roles."""

    def __init__(self, api: FakeApi, checker: CompetingApprovers, metrics: Metrics, outbox: Outbox) -> None:
        self.api, self.checker, self.metrics, self.outbox = api, checker, metrics, outbox
        self.bound: Groups = {"nodeclient": set(), "selfnodeclient": set()}
        api.may = self.may

    def may(self, spec: dict[str, Any]) -> bool:
        """Answer as RBAC does."""
        return bool(self.bound[spec["resourceAttributes"]["subresource"]] & set(spec["groups"]))

    def values(self) -> list[float | None]:
        """Return the gauge of both kinds; None is no series."""
        get = self.metrics.registry.get_sample_value
        return [get("nodegate_competing_approver", {"kind": kind}) for kind in ("bootstrap", "renewal")]

    def events(self) -> list[tuple[str, str, str]]:
        """Return type, reason and the object's name of the events that wait."""
        return [(one.type, one.reason, one.regarding["name"]) for one in self.outbox._waiting]


@pytest.fixture(name="watched")
async def _watched() -> AsyncIterator[Watched]:
    """A checker with a bootstrap group of its own; nobody is bound."""
    async with serve() as api, connect(api) as client:
        metrics = Metrics(CollectorRegistry())
        outbox = Outbox(client, metrics, lambda: False)
        yield Watched(api, CompetingApprovers(client, MINE, metrics, outbox, interval_s=0.01), metrics, outbox)


async def test_the_questions_are_the_controller_managers(watched: Watched) -> None:
    """Both reviews ask what the controller manager asks, as a bootstrap token's user and as a node would be."""
    await watched.checker.check()

    assert [seen.path for seen in watched.api.seen] == [ACCESS_REVIEWS] * 2
    first, second = (json.loads(seen.body)["spec"] for seen in watched.api.seen)
    asked = {"group": "certificates.k8s.io", "version": "*", "resource": "certificatesigningrequests", "verb": "create"}
    assert first["resourceAttributes"] == asked | {"subresource": "nodeclient"}
    assert second["resourceAttributes"] == asked | {"subresource": "selfnodeclient"}
    assert (first["user"], second["user"]) == ("system:bootstrap:nodegate-probe", "system:node:nodegate-probe")
    assert set(first["groups"]) == {
        "system:bootstrappers",
        "system:bootstrappers:nodegate",
        "system:bootstrappers:kubeadm:default-node-token",
        MINE,
        "system:authenticated",
    }
    assert second["groups"] == ["system:nodes", "system:authenticated"]


async def test_without_a_competitor_nothing_is_told(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    """No series before the first check, then 0 for both; no line, no event."""
    caplog.set_level(logging.INFO, "nodegate.approvers")
    assert watched.values() == [None, None]
    await watched.checker.check()

    assert watched.values() == [0, 0]
    assert (watched.events(), caplog.records) == ([], [])


@pytest.mark.parametrize(
    ("right", "group", "values", "said"),
    [
        ("nodeclient", "system:bootstrappers", [1, 0], "kubeadm:node-autoapprove-bootstrap"),
        ("nodeclient", "system:bootstrappers:kubeadm:default-node-token", [1, 0], "any node name"),
        ("nodeclient", MINE, [1, 0], "any node name"),
        ("selfnodeclient", "system:nodes", [0, 1], "kubeadm:node-autoapprove-certificate-rotation"),
        ("selfnodeclient", "system:authenticated", [0, 1], "Suspended and Revoked"),
    ],
)
async def test_a_competitor_is_told_once_for_each_change(
    watched: Watched, caplog: pytest.LogCaptureFixture, right: str, group: str, values: list[float], said: str
) -> None:
    """The gauge is 1 as long as it lasts; line and event come once, and again when it comes again."""
    caplog.set_level(logging.INFO, "nodegate.approvers")
    event = ("Warning", "ApprovalBypassed", f"{ROLE}:{right}")
    watched.bound[right].add(group)
    for _ in range(3):
        await watched.checker.check()
        assert watched.values() == values
    assert watched.events() == [event]
    watched.bound[right].clear()
    for _ in range(2):
        await watched.checker.check()
        assert watched.values() == [0, 0]
    watched.bound[right].add(group)
    await watched.checker.check()

    assert watched.events() == [event] * 2
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO", "WARNING"]
    assert said in caplog.records[0].message
    assert watched.outbox._waiting[0].note in caplog.records[0].message


@pytest.mark.parametrize("fault", [status(403, "Forbidden"), status(500, "InternalError"), raw(b"{}"), raw(b"x")])
async def test_no_answer_is_neither_yes_nor_no(watched: Watched, caplog: pytest.LogCaptureFixture, fault: Any) -> None:
    """NaN and one line for each kind while nobody answers; what was known before is not told again after it."""
    caplog.set_level(logging.INFO, "nodegate.approvers")
    watched.bound["nodeclient"].add("system:bootstrappers")
    await watched.checker.check()
    watched.api.faults["create"].extend([fault] * 4)
    for _ in range(2):
        await watched.checker.check()
        assert all(value is not None and math.isnan(value) for value in watched.values())
    await watched.checker.check()

    assert watched.values() == [1, 0]
    assert len(watched.events()) == 1
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 3


async def test_it_goes_on_checking(watched: Watched) -> None:
    """A failure ends nothing: a binding that is made later is found."""
    watched.api.faults["create"].append(status(500, "InternalError"))
    task = asyncio.create_task(watched.checker.run())
    await until(lambda: watched.values() == [0, 0])
    watched.bound["nodeclient"].add(MINE)
    await until(lambda: watched.values() == [1, 0])
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
