"""Rates: buckets by the clock that they are given, and the flow that holds back what they do not allow."""

from dataclasses import replace

import pytest

from nodegate.csr.apply import CSR_PATH
from nodegate.csr.decide import judge
from nodegate.csr.flow import RequestFlow
from nodegate.csr.limits import NODE_RATE, REQUESTERS_LIMIT, SHARED_RATE, Duplicates, Limits, Sparing, rate_of
from nodegate.csr.model import Approve, Deny, Hold, Reason, Result
from tests.builders import make_case, make_csr
from tests.expect import expect_held, expect_ignored
from tests.unit.fake_cluster import World, run_world

_HELD = Hold((Reason.NOT_ENROLLED,))


def _drain(limits: Limits, requester: str, now: float = 0.0) -> int:
    """Return how many different requests a requester can have judged at one moment."""
    return sum(limits.take(make_csr(name=f"{n}", uid=f"{n}", username=requester), _HELD, now) for n in range(500))


@pytest.mark.parametrize(
    ("requester", "rate"), [("system:node:a", NODE_RATE), ("system:bootstrap:abcdef", SHARED_RATE)]
)
def test_a_bucket_empties_and_fills(requester: str, rate: object) -> None:
    """A burst is served at once; afterwards one request more for each interval, and never more than a burst."""
    limits = Limits()
    own = rate_of(requester)

    assert own is rate
    assert _drain(limits, requester) == own.burst
    assert not limits.has_room(requester, 0.9 / own.per_second)
    assert limits.has_room(requester, 1.01 / own.per_second)
    assert _drain(Limits(), requester) == own.burst


def test_one_requesters_debts_are_nobody_elses() -> None:
    """After a flood by one token another token and a node are served."""
    limits = Limits()
    _drain(limits, "system:bootstrap:abcdef")

    assert limits.has_room("system:bootstrap:bbbbbb", 0.0)
    assert limits.has_room("system:node:node-a", 0.0)


def test_a_verdict_is_paid_for_once_and_its_end_is_free() -> None:
    """The same verdict and an end cost nothing more; another hold, or another request of that name, does."""
    limits, csr = Limits(), make_csr(name="first", uid="first")
    assert limits.take(csr, _HELD, 0.0)
    _drain(limits, csr.username)

    assert limits.take(csr, _HELD, 0.0)
    assert limits.take(csr, Approve(Reason.BOOTSTRAP_APPROVED), 0.0)
    assert limits.take(csr, Deny((Reason.TOKEN_MISMATCH,)), 0.0)
    assert not limits.take(csr, Hold((Reason.ENROLLMENT_SUSPENDED,)), 0.0)
    assert not limits.take(replace(csr, uid="other"), Approve(Reason.BOOTSTRAP_APPROVED), 0.0)


def test_limits_can_be_off() -> None:
    """Switched off, everybody has room and pays nothing that is missed."""
    limits = Limits(on=False)

    assert _drain(limits, "system:node:a") == 500
    assert limits.has_room("system:node:a", 0.0)


def test_who_waits_comes_in_order() -> None:
    """The first to wait is the first due; one that is forgotten or served gives way to the next."""
    limits, requests = Limits(), [make_csr(name=name, uid=name) for name in "abc"]
    user = requests[0].username
    _drain(limits, user)
    for csr in (*requests, requests[0]):
        limits.hold(csr, 0.0)

    assert limits.due(user, 0.0) == ("a", 1 / SHARED_RATE.per_second)
    assert limits.forget("a") == user
    assert limits.due(user, 0.0) == ("b", 1 / SHARED_RATE.per_second)
    assert limits.take(requests[1], _HELD, 0.2)
    assert (limits.due(user, 0.2) or ("",))[0] == "c"
    assert (limits.waits("b", "b"), limits.waits("c", "c"), limits.waits("c", "other")) == (False, True, False)


def test_memory_is_bounded() -> None:
    """Idle buckets go when others come, and requesters that are not waited for never exceed the limit."""
    limits, debtors = Limits(), Limits()
    for number in range(1000):
        limits.take(make_csr(name="x", uid=f"{number}", username=f"user-{number}"), _HELD, float(number))
    for number in range(REQUESTERS_LIMIT + 500):
        debtors.take(make_csr(name="x", uid=f"{number}", username=f"user-{number}"), _HELD, 0.0)

    assert len(limits._buckets) < 5
    assert len(debtors._buckets) == REQUESTERS_LIMIT


def test_sparing_says_each_thing_once_in_a_while() -> None:
    """A key is said once in the gap, others meanwhile, and again after it; what is old is forgotten."""
    sparing = Sparing(300)

    assert [sparing.may_say(key, now) for key, now in [("a", 0), ("a", 299), ("b", 299), ("a", 300)]] == [
        True,
        False,
        True,
        True,
    ]
    assert sparing.may_say("c", 5000)
    assert list(sparing._said) == ["c"]


def test_the_newest_for_a_thing_supersedes() -> None:
    """Older ones for the same key are superseded, also when the newest is decided; other keys are not."""
    duplicates = Duplicates()
    duplicates.note("old", ("node-a", "s", "u"), "2030-01-01T00:00:00Z")
    duplicates.note("new", ("node-a", "s", "u"), "2030-01-01T00:15:00Z")
    duplicates.note("other", ("node-a", "s", "v"), "2030-01-01T00:00:00Z")

    assert [duplicates.superseded(name) for name in ("old", "new", "other", "gone")] == [True, False, False, False]
    duplicates.forget("new")
    assert duplicates.superseded("old")
    for name in ("old", "other"):
        duplicates.forget(name)
    assert (duplicates._kin, duplicates._of) == ({}, {})


def test_over_its_rate_a_request_is_held_for_that_alone() -> None:
    """What would be approved or denied is held, with one reason; what is not ours stays ignored."""
    expect_held(make_case(over_rate=True), Reason.RATE_LIMITED)
    expect_held(make_case(csr=make_csr(usages=("any",)), over_rate=True), Reason.RATE_LIMITED)
    expect_ignored(make_case(csr=make_csr(signer="example.com/x"), over_rate=True), Reason.SIGNER_NOT_MANAGED)


@pytest.mark.parametrize(("over_rate", "result"), [(None, Result.SKIPPED), (False, Result.PASS), (True, Result.FAIL)])
def test_the_rule_is_skipped_where_nobody_counts(over_rate: bool | None, result: Result) -> None:  # noqa: FBT001 - a parameter of the table
    """Offline the rule is skipped, in the operator it passes or fails."""
    findings = judge(make_case(over_rate=over_rate)).findings

    assert [finding.result for finding in findings if finding.reason is Reason.RATE_LIMITED] == [result]


def _counted(world: World) -> float:
    return world.metrics.registry.get_sample_value("nodegate_rate_limited_total") or 0.0


async def test_a_flood_costs_one_event_and_no_call_and_others_pass() -> None:
    """Beyond the burst requests are held without calls, with one event; another requester's is approved meanwhile."""
    moment = 0.0
    async with run_world() as world:
        world.flow = RequestFlow(
            world.client, world.facts, world.enrollments, world.reports, world.requests, lambda: moment
        )
        names = [f"flood-{number}" for number in range(SHARED_RATE.burst + 20)]
        for name in names:
            world.cluster.ask(node="stranger", metadata={"name": name})
        world.cluster.enroll()
        world.cluster.ask(username="system:bootstrap:bbbbbb", metadata={"name": "honest"})
        await world.sync()
        calls = [call for name in names for call in await world.judge(name)]

        assert calls == []
        assert (_counted(world), world.events().count(("Hold", "RateLimited"))) == (20, 1)
        assert world.due_s(world.requests, names[-20]) is not None
        assert world.due_s(world.requests, names[-19]) is None
        await world.judge("honest")
        assert world.cluster.conditions("honest") == [("Approved", "BootstrapApproved")]

        await world.judge(names[-20])
        assert world.reports.held()["rate_limited"] == 20
        moment = 0.15
        await world.judge(names[-20])
        assert world.reports.held()["rate_limited"] == 19
        assert world.due_s(world.requests, names[-19]) is not None


async def test_one_that_waits_and_is_gone_gives_way() -> None:
    """When the first that waits is deleted, the next is looked at in its place."""
    async with run_world() as world:
        world.flow = RequestFlow(
            world.client, world.facts, world.enrollments, world.reports, world.requests, lambda: 0.0
        )
        names = [f"flood-{number:03}" for number in range(SHARED_RATE.burst + 2)]
        for name in names:
            world.cluster.ask(node="stranger", metadata={"name": name})
        await world.sync()
        for name in names:
            await world.judge(name)
        del world.cluster.objects[CSR_PATH][names[-2]]
        await world.sync()
        await world.judge(names[-2])

        assert world.due_s(world.requests, names[-1]) is not None
