"""Leader election on a fake API server: one leader, takeover after time only, loss in time."""

import asyncio
import itertools

import pytest
from aiohttp import web

from nodegate.kube.client import ApiClient
from nodegate.kube.lease import LeaseElector, Timing
from tests.unit.kube.fake_api import FakeApi, drop, hang, status, until

LEASES = "/apis/coordination.k8s.io/v1/namespaces/ns/leases"
FAST = Timing(duration_s=0.9, renew_s=0.5, retry_s=0.05)


class Clock:
    """Monotonic seconds that move only when told."""

    def __init__(self) -> None:
        self.moment = 1000.0

    def __call__(self) -> float:
        """Return the present moment."""
        return self.moment


def _elector(client: ApiClient, who: str, clock: Clock | None = None) -> LeaseElector:
    if clock is None:
        return LeaseElector(client, "ns", "nodegate", who, timing=FAST)
    return LeaseElector(client, "ns", "nodegate", who, clock=clock)


async def test_first_creates_and_renews(api: FakeApi, client: ApiClient) -> None:
    """The first contender creates the Lease and keeps it by renewing."""
    one = _elector(client, "one")
    assert not one.is_leader
    await one.acquire()
    holding = asyncio.create_task(one.hold())
    await until(lambda: api.count("update") >= 3)

    spec = api.objects[LEASES]["nodegate"]["spec"]
    assert (one.is_leader, spec["holderIdentity"], spec["leaseTransitions"]) == (True, "one", 0)
    holding.cancel()
    await asyncio.gather(holding, return_exceptions=True)


async def test_takeover_only_after_the_duration(api: FakeApi, client: ApiClient) -> None:
    """Another's Lease is taken only when it did not change for its duration as we watched it."""
    clock = Clock()
    await _elector(client, "one").acquire()
    api.objects[LEASES]["nodegate"]["spec"]["renewTime"] = "2001-01-01T00:00:00.000000Z"
    two = _elector(client, "two", clock)
    verdicts = []
    for step in (0.0, 14.0, 0.9, 0.2):
        clock.moment += step
        verdicts.append(await two._try_quietly(5))

    spec = api.objects[LEASES]["nodegate"]["spec"]
    assert verdicts == [False, False, False, True]
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("two", 1)


async def test_renewal_starts_the_wait_anew(api: FakeApi, client: ApiClient) -> None:
    """Every renewal that a contender sees starts its wait from the beginning."""
    clock = Clock()
    one, two = _elector(client, "one", clock), _elector(client, "two", clock)
    assert await one._try_quietly(5)
    for _ in range(5):
        assert not await two._try_quietly(5)
        clock.moment += 10
        assert await one._try_quietly(5)

    assert api.objects[LEASES]["nodegate"]["spec"]["holderIdentity"] == "one"
    assert api.count("update") == 5


async def test_longer_duration_of_the_holder_is_respected(api: FakeApi, client: ApiClient) -> None:
    """A holder whose Lease names a longer duration is given that long."""
    clock = Clock()
    two = _elector(client, "two", clock)
    api.put_object(LEASES, "nodegate", spec={"holderIdentity": "one", "leaseDurationSeconds": 60})
    await two._try_quietly(5)
    clock.moment += 59
    assert not await two._try_quietly(5)
    clock.moment += 2
    assert await two._try_quietly(5)


async def test_stopped_leader_finds_its_right_gone(client: ApiClient) -> None:
    """A leader that was stopped for longer than its right lasts is no leader when it goes on."""
    clock = Clock()
    one = _elector(client, "one", clock)
    await one.acquire()
    led = []
    for step in (0.0, 9.9, 0.1):
        clock.moment += step
        led.append(one.is_leader)

    assert led == [True, True, False]
    assert "not renewed for 10 s" in await one.hold()


async def test_right_counts_from_before_the_call(api: FakeApi, client: ApiClient) -> None:
    """Time spent in the renewal itself does not lengthen the right."""
    clock = Clock()
    one = _elector(client, "one", clock)
    await one.acquire()

    async def slow(request: web.Request) -> web.StreamResponse:
        clock.moment += 9.5
        return await api._update(request)

    api.faults["update"].append(slow)
    assert await one._try_quietly(5)
    clock.moment += 0.6

    assert not one.is_leader


@pytest.mark.parametrize("fault", [drop, hang, status(403, "Forbidden"), status(500, "X"), status(429, "X", wait=9)])
async def test_leader_that_cannot_renew_steps_down(api: FakeApi, client: ApiClient, fault: object) -> None:
    """Whatever keeps a leader from renewing, it steps down before another may take over."""
    loop = asyncio.get_running_loop()
    one = _elector(client, "one")
    await one.acquire()
    acquired = loop.time()
    api.always |= dict.fromkeys(("update", "get"), fault)  # type: ignore[arg-type]  # each is an Answer

    why = await one.hold()

    assert "not renewed" in why
    assert not one.is_leader
    assert loop.time() - acquired < FAST.duration_s


async def test_leader_that_was_replaced_steps_down(api: FakeApi, client: ApiClient) -> None:
    """A leader that finds another in its Lease stops at once and says who it is."""
    one = _elector(client, "one")
    await one.acquire()
    api.put_object(LEASES, "nodegate", spec={"holderIdentity": "two", "leaseDurationSeconds": 15})

    assert "taken by two" in await one.hold()
    assert not one.is_leader


async def test_deleted_lease_is_made_again(api: FakeApi, client: ApiClient) -> None:
    """A leader whose Lease is deleted makes it again and goes on."""
    one = _elector(client, "one")
    await one.acquire()
    holding = asyncio.create_task(one.hold())
    api.delete_object(LEASES, "nodegate")
    await until(lambda: "nodegate" in api.objects[LEASES])

    assert api.objects[LEASES]["nodegate"]["spec"]["holderIdentity"] == "one"
    holding.cancel()
    await asyncio.gather(holding, return_exceptions=True)


async def test_released_lease_is_free_at_once(api: FakeApi, client: ApiClient) -> None:
    """After a release the next contender leads without waiting; a release by others changes nothing."""
    one, two = _elector(client, "one"), _elector(client, "two", Clock())
    await one.acquire()
    await two.release()
    assert api.objects[LEASES]["nodegate"]["spec"]["holderIdentity"] == "one"

    await one.release()

    assert not one.is_leader
    assert await two._try_quietly(5)


async def test_release_of_a_lease_that_was_taken(api: FakeApi, client: ApiClient) -> None:
    """A release leaves the Lease alone when another holds it already."""
    one = _elector(client, "one")
    await one.acquire()
    api.put_object(LEASES, "nodegate", spec={"holderIdentity": "two", "leaseDurationSeconds": 15})

    await one.release()

    assert api.objects[LEASES]["nodegate"]["spec"]["holderIdentity"] == "two"


async def test_two_contenders_never_lead_together(api: FakeApi, client: ApiClient) -> None:
    """With an API server that fails at random places, two contenders never lead at the same moment."""
    electors = [_elector(client, "one"), _elector(client, "two")]
    led: set[str] = set()
    cycle = itertools.cycle([drop, hang, status(409, "Conflict"), status(500, "X")])

    async def contend(elector: LeaseElector) -> None:
        while True:
            await elector.acquire()
            led.add(elector.identity)
            await elector.hold()

    tasks = [asyncio.create_task(contend(elector)) for elector in electors]
    for _ in range(300):
        await asyncio.sleep(0.01)
        assert [elector.is_leader for elector in electors] != [True, True]
        if len(api.faults["update"]) < 1 and api.count("update") % 3 == 0:
            api.faults["update"].append(next(cycle))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert led


@pytest.mark.parametrize("figures", [(10, 10, 2), (15, 16, 2), (15, 2, 10), (15, 10, 0)])
def test_figures_that_allow_two_leaders_are_refused(figures: tuple[float, float, float]) -> None:
    """Figures under which the right outlasts the wait are refused."""
    with pytest.raises(ValueError, match="retry < renew < duration"):
        Timing(*figures)
