"""The informer against real streams: gaps, drops, silence, faults of one object and of the server."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from nodegate.kube.client import ApiClient
from nodegate.kube.informer import Informer
from tests.unit.kube.fake_api import (
    NODES,
    Answer,
    FakeApi,
    Recorder,
    drop,
    event,
    lines,
    raw,
    status,
    until,
)


class Clock:
    """Monotonic seconds that move only when told."""

    def __init__(self) -> None:
        self.moment = 1000.0

    def __call__(self) -> float:
        """Return the present moment."""
        return self.moment


class Following:
    """A running informer of nodes and everything that it reported."""

    def __init__(self, client: ApiClient, recorder: Recorder, **options: Any) -> None:
        self.changes: list[tuple[str, str | None]] = []
        self.informer: Informer[str] = Informer(
            client,
            NODES,
            transform=_note,
            on_change=lambda key, value: self.changes.append((key, value)),
            resource="nodes",
            observer=recorder,
            **options,
        )


def _note(obj: dict[str, Any]) -> str:
    return str(obj["note"])


Follow = Callable[..., Any]


@pytest.fixture(name="follow")
def _follow(client: ApiClient, recorder: Recorder) -> Follow:
    """Starts an informer and stops it at the end of the block."""

    @asynccontextmanager
    async def follow(**options: Any) -> AsyncIterator[Following]:
        following = Following(client, recorder, **options)
        task = asyncio.create_task(following.informer.run())
        try:
            yield following
            assert not task.done(), "the informer's loop ended by itself"
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    return follow


async def test_lists_then_watches(api: FakeApi, follow: Follow, recorder: Recorder) -> None:
    """What exists is reported from the LIST, what happens later from the watch."""
    api.put_object(NODES, "a", note="1")
    async with follow() as following:
        await following.informer.synced.wait()
        await until(lambda: bool(api.watchers))
        api.put_object(NODES, "b", note="2")
        api.put_object(NODES, "a", note="3")
        api.delete_object(NODES, "b")
        await until(lambda: len(following.changes) == 4)

        assert following.changes == [("a", "1"), ("b", "2"), ("a", "3"), ("b", None)]
        assert dict(following.informer.store) == {"a": "3"}
    assert (recorder.relists, recorder.events) == (["start"], 3)


async def test_pages_make_one_store(api: FakeApi, follow: Follow) -> None:
    """A LIST of several pages replaces the store as a whole and is watched from its own version."""
    for number in range(1201):
        api.put_object(NODES, f"n{number:04}", note="x")
    async with follow() as following:
        await following.informer.synced.wait()
        await until(lambda: bool(api.watchers))

        assert len(following.informer.store) == 1201
    assert (api.count("list"), api.seen[-1].query["resourceVersion"]) == (3, str(api.version))


async def test_vanished_in_a_gap_is_gone(api: FakeApi, follow: Follow, recorder: Recorder) -> None:
    """An object whose deletion no watch reported is gone after the next LIST; the rest is not reported again."""
    api.put_object(NODES, "a", note="1")
    api.put_object(NODES, "b", note="2")
    clock = Clock()
    async with follow(time=clock, relist_s=60) as following:
        await until(lambda: bool(api.watchers))
        api.delete_object(NODES, "a", unseen=True)
        clock.moment += 61
        api.send(None)
        await until(lambda: ("a", None) in following.changes)

        assert following.changes == [("a", "1"), ("b", "2"), ("a", None)]
        assert dict(following.informer.store) == {"b": "2"}
    assert recorder.relists == ["start", "periodic"]


async def test_recreated_in_a_gap_is_changed(api: FakeApi, follow: Follow) -> None:
    """An object deleted and made anew while nobody watched is reported with its new value."""
    api.put_object(NODES, "a", note="1")
    clock = Clock()
    async with follow(time=clock) as following:
        await until(lambda: bool(api.watchers))
        api.delete_object(NODES, "a", unseen=True)
        api.objects[NODES]["a"] = {"metadata": {"name": "a", "uid": "u2", "resourceVersion": "7"}, "note": "new"}
        clock.moment += 61
        api.send(None)
        await until(lambda: len(following.changes) == 2)

        assert following.changes[-1] == ("a", "new")


async def test_relist_without_help_of_the_server(api: FakeApi, follow: Follow) -> None:
    """A stream that never ends does not keep the informer from listing again."""
    async with follow(relist_s=0.1):
        await until(lambda: api.count("list") >= 3)


async def test_resync_reports_the_unchanged(api: FakeApi, follow: Follow) -> None:
    """With resync, every LIST reports every object."""
    api.put_object(NODES, "a", note="1")
    async with follow(relist_s=0.05, resync=True) as following:
        await until(lambda: len(following.changes) >= 3)

        assert set(following.changes) == {("a", "1")}


@pytest.mark.parametrize("said", [{"code": 410, "reason": "Expired"}, {"code": 410}, {"reason": "Gone"}])
async def test_expired_event_lists_again(
    api: FakeApi, follow: Follow, recorder: Recorder, said: dict[str, Any]
) -> None:
    """410 as an ERROR event, by code or by reason, leads to a LIST, at once and without a problem."""
    expired = event("ERROR", {"kind": "Status", **said})
    async with follow() as following:
        await until(lambda: bool(api.watchers))
        api.put_object(NODES, "a", note="1")
        api.send(expired)
        await until(lambda: len(recorder.relists) == 2 and bool(api.watchers))

        assert (recorder.relists[1], following.informer.state) == ("expired", "synced")


@pytest.mark.parametrize("verb", ["watch", "list"])
async def test_expired_status_lists_again(api: FakeApi, follow: Follow, recorder: Recorder, verb: str) -> None:
    """410 as a status of the LIST or the watch leads to a LIST, too."""
    api.faults[verb].append(status(410, "Expired"))
    async with follow():
        await until(lambda: bool(api.watchers))

        assert recorder.relists == ["start", "expired"]


async def test_error_event_lists_again(api: FakeApi, follow: Follow, recorder: Recorder) -> None:
    """Any other ERROR event leads to a LIST, and the loop lives on."""
    async with follow() as following:
        await until(lambda: bool(api.watchers))
        api.send(event("ERROR", {"kind": "Status", "code": 500, "reason": "InternalError", "message": "etcd"}))
        await until(lambda: recorder.relists == ["start", "error"] and bool(api.watchers))
        api.put_object(NODES, "a", note="1")
        await until(lambda: following.changes == [("a", "1")])

        assert following.informer.problem is None


async def test_server_that_closes_at_once(api: FakeApi, follow: Follow) -> None:
    """A server that ends every watch at once is asked at most twenty times a second."""
    api.always["watch"] = lines()
    loop = asyncio.get_running_loop()
    async with follow():
        began = loop.time()
        await until(lambda: api.count("watch") >= 5)

        assert api.count("watch") <= 20 * (loop.time() - began) + 1


async def test_server_that_sends_one_event_and_closes(api: FakeApi, follow: Follow) -> None:
    """Even a stream that brings an event each time is not reopened faster than twenty times a second."""
    obj = {"metadata": {"name": "a", "uid": "u", "resourceVersion": "101"}, "note": "1"}
    api.always["watch"] = lines(event("MODIFIED", obj))
    loop = asyncio.get_running_loop()
    async with follow():
        began = loop.time()
        await until(lambda: api.count("watch") >= 8)

        assert api.count("watch") <= 20 * (loop.time() - began) + 1


@pytest.mark.parametrize("cut", [lines(event("ADDED", {})[:9]), lines(b'{"type":"BOOKMARK","object"'), lines()])
async def test_ended_stream_goes_on_from_the_last_version(
    api: FakeApi, follow: Follow, recorder: Recorder, cut: Answer
) -> None:
    """A stream that ends or is cut goes on from the last version, bookmarks included, without a LIST."""
    async with follow() as following:
        await until(lambda: bool(api.watchers))
        api.bookmark()
        bookmarked = str(api.version)
        await until(lambda: following.informer._resource_version == bookmarked)
        api.faults["watch"].append(cut)
        api.send(None)
        await until(lambda: api.count("watch") == 3 and bool(api.watchers))
        api.put_object(NODES, "a", note="1")
        await until(lambda: following.changes == [("a", "1")])

    versions = [seen.query["resourceVersion"] for seen in api.seen if seen.verb == "watch"]
    assert (versions, recorder.relists) == (["100", bookmarked, bookmarked], ["start"])
    assert (recorder.events, recorder.skips) == (1, 0)


async def test_garbage_in_the_stream_lists_again(api: FakeApi, follow: Follow, recorder: Recorder) -> None:
    """A whole line that is no event would come again from the same version, so it leads to a LIST."""
    api.faults["watch"].append(lines(b"{]\n", then_hang=True))
    async with follow():
        await until(lambda: recorder.relists == ["start", "error"] and bool(api.watchers))


async def test_silent_stream_lists_again(follow: Follow, recorder: Recorder) -> None:
    """A stream that says nothing for the idle time is dead: the next thing is a LIST."""
    async with follow(idle_s=0.1):
        await until(lambda: len(recorder.relists) >= 2)

    assert recorder.relists[1] == "silent"


async def test_one_bad_object_is_left_out(api: FakeApi, follow: Follow, recorder: Recorder) -> None:
    """An object that cannot be understood is counted and left out, its old value removed, the rest followed."""
    api.put_object(NODES, "a", note="1")
    api.put_object(NODES, "bad", wrong=True)
    async with follow() as following:
        await until(lambda: bool(api.watchers))
        api.put_object(NODES, "a", wrong=True)
        api.put_object(NODES, "bad", wrong=True)
        api.put_object(NODES, "c", note="3")
        await until(lambda: len(following.changes) == 3)

        assert following.changes == [("a", "1"), ("a", None), ("c", "3")]
        assert dict(following.informer.store) == {"c": "3"}
    assert recorder.skips == 3


async def test_bad_object_found_by_a_list_is_removed(api: FakeApi, follow: Follow) -> None:
    """The old value of an object that a LIST shows as broken is removed."""
    api.put_object(NODES, "a", note="1")
    clock = Clock()
    async with follow(time=clock) as following:
        await until(lambda: bool(api.watchers))
        api.objects[NODES]["a"] = {"metadata": {"name": "a", "uid": "u2", "resourceVersion": "7"}}
        clock.moment += 61
        api.send(None)
        await until(lambda: following.changes == [("a", "1"), ("a", None)])

        assert dict(following.informer.store) == {}


async def test_object_without_a_name(api: FakeApi, follow: Follow, recorder: Recorder) -> None:
    """An object without a name is counted and left out."""
    api.faults["watch"].append(lines(event("ADDED", {"note": "1"}), then_hang=True))
    async with follow() as following:
        await until(lambda: recorder.skips == 1)

        assert following.changes == []


async def test_failing_listener(api: FakeApi, client: ApiClient, recorder: Recorder) -> None:
    """A listener that raises neither ends the loop nor spoils the store."""

    def refuse(key: str, value: str | None) -> None:
        raise LookupError(key, value)

    api.put_object(NODES, "a", note="1")
    informer: Informer[str] = Informer(
        client, NODES, transform=_note, on_change=refuse, resource="nodes", observer=recorder
    )
    task = asyncio.create_task(informer.run())
    await until(lambda: bool(api.watchers))
    assert (dict(informer.store), recorder.skips, task.done()) == ({"a": "1"}, 1, False)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_null_items_are_an_empty_list(api: FakeApi, follow: Follow) -> None:
    """A list whose items are null is empty: that is how Go writes it."""
    api.put_object(NODES, "a", note="1")
    clock = Clock()
    async with follow(time=clock) as following:
        await until(lambda: bool(api.watchers))
        api.always["list"] = raw(b'{"metadata": {"resourceVersion": "999"}, "items": null}')
        clock.moment += 61
        api.send(None)
        await until(lambda: following.changes == [("a", "1"), ("a", None)])


async def test_namespaced_keys(api: FakeApi, follow: Follow) -> None:
    """An object with a namespace is known by both names."""
    api.objects[NODES]["x"] = {
        "metadata": {"name": "x", "namespace": "ns", "uid": "u", "resourceVersion": "5"},
        "note": "1",
    }
    async with follow() as following:
        await following.informer.synced.wait()

        assert following.changes == [("ns/x", "1")]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (status(403, "Forbidden"), "403 Forbidden"),
        (status(404, "NotFound"), "404 NotFound"),
        (status(401, "Unauthorized"), "401 Unauthorized"),
        (raw(b"{}"), "expected a list"),
        (raw(b'{"metadata": {"resourceVersion": "9"}}'), "expected a list"),
        (raw(b'{"metadata": {"resourceVersion": "9"}, "items": {}}'), "a list's items"),
    ],
)
async def test_trouble_is_said_and_ends(
    api: FakeApi, follow: Follow, caplog: pytest.LogCaptureFixture, answer: Answer, said: str
) -> None:
    """A LIST that fails is said in the state and logged once, keeps the store, and is over when it works."""
    caplog.set_level(logging.INFO, "nodegate.kube.informer")
    api.put_object(NODES, "a", note="1")
    clock = Clock()
    async with follow(time=clock) as following:
        await until(lambda: bool(api.watchers))
        api.always["list"] = answer
        clock.moment += 61
        api.send(None)
        asked = api.count("list")
        await until(lambda: api.count("list") >= asked + 4)

        assert said in following.informer.state
        assert dict(following.informer.store) == {"a": "1"}
        del api.always["list"]
        await until(lambda: following.informer.problem is None)
    texts = [record.getMessage() for record in caplog.records]
    assert ["cannot follow" in text for text in texts] == [True, False]
    assert not any(record.exc_info for record in caplog.records)


async def test_watch_without_the_right(
    api: FakeApi, follow: Follow, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    """Where LIST is allowed and WATCH is not, no LIST makes the problem look solved."""
    api.always["watch"] = status(403, "Forbidden")
    async with follow() as following:
        await until(lambda: len(recorder.relists) >= 4)

        assert "403" in following.informer.state
    assert len([record for record in caplog.records if "cannot follow" in record.getMessage()]) == 1


async def test_server_away_and_back(api: FakeApi, follow: Follow) -> None:
    """An outage of every call is survived, and the change made meanwhile arrives."""
    async with follow() as following:
        await until(lambda: bool(api.watchers))
        api.always |= {"list": drop, "watch": drop}
        api.send(None)
        await until(lambda: following.informer.problem is not None)
        api.put_object(NODES, "a", note="1")
        api.always.clear()
        await until(lambda: following.changes == [("a", "1")] and following.informer.problem is None)


async def test_freshness(api: FakeApi, follow: Follow) -> None:
    """Age counts from the last LIST, event or bookmark, and a store never listed is never fresh."""
    clock = Clock()
    async with follow(time=clock) as following:
        informer = following.informer
        assert (informer.age_s(), informer.is_fresh(), informer.state) == (float("inf"), False, "starting")
        await until(lambda: bool(api.watchers))
        clock.moment += 91
        assert (informer.age_s(), informer.is_fresh(), informer.is_fresh(100)) == (91, False, True)
        api.bookmark()
        await until(lambda: informer.age_s() == 0)
        assert informer.is_fresh()
