"""Watches whose streams end at the worst moment, against a member that does so on demand."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from aiohttp import web

from nodegate.flannel.etcd.client import EtcdClient
from nodegate.flannel.etcd.errors import EtcdError, Reason
from nodegate.flannel.etcd.values import Change, Endpoints, Kind, Limits
from nodegate.flannel.model import Api
from tests.unit.flannel.etcd.fake_etcd import Answer, FakeEtcd, running

_CHANGE = Change(Kind.PUT, "/net/config", b"v", 7)


@pytest.fixture(name="fake")
async def _fake() -> AsyncIterator[FakeEtcd]:
    """One member."""
    async with running(FakeEtcd()) as fake:
        yield fake


def _client(fake: FakeEtcd) -> EtcdClient:
    limits = Limits(connect_s=0.5, op_s=0.5, total_s=1.0, watch_idle_s=5.0)
    return EtcdClient(Endpoints((fake.url,)), None, Api.V3, "/net", limits=limits)


def _result(revision: int, **content: object) -> bytes:
    return json.dumps({"result": {"header": {"revision": str(revision)}, **content}}).encode() + b"\n"


def _event(change: Change) -> dict[str, object]:
    key, value = (base64.b64encode(part).decode() for part in (change.key.encode(), change.value))
    return {"kv": {"key": key, "value": value, "mod_revision": str(change.mod_revision)}}


def _stream(starts: list[int], *messages: bytes) -> Answer:
    """Return a stream of these messages that then ends; it notes the revision that it was asked for."""

    async def answer(request: web.Request) -> web.StreamResponse:
        starts.append(int((await request.json())["create_request"]["start_revision"]))
        response = web.StreamResponse()
        await response.prepare(request)
        for message in messages:
            await response.write(message)
        return response

    return answer


async def _first(client: EtcdClient, revision: int) -> Change:
    async with asyncio.timeout(30), aclosing(client.watch(revision)) as changes:
        return await anext(changes)


async def test_a_stream_that_ends_before_its_first_event_is_opened_where_it_was(fake: FakeEtcd) -> None:
    """That a watch was created at revision 9 does not mean that all up to there was told."""
    starts: list[int] = []
    event = _result(9, events=[_event(_CHANGE)])
    fake.answers["/v3/watch"] = [_stream(starts, _result(9, created=True)), _stream(starts, event)]
    async with _client(fake) as client:
        assert await _first(client, 7) == _CHANGE

    assert starts == [7, 7]


async def test_a_notice_of_progress_moves_the_start(fake: FakeEtcd) -> None:
    """What etcd has told to be complete need not be asked for again, and so survives a compaction."""
    starts: list[int] = []
    later = Change(Kind.PUT, "/net/config", b"v", 20)
    messages = (_result(3, created=True), _result(15))
    fake.answers["/v3/watch"] = [
        _stream(starts, *messages),
        _stream(starts, _result(20, events=[_event(later)])),
    ]
    async with _client(fake) as client:
        assert await _first(client, 7) == later

    assert starts == [7, 16]


async def test_a_message_that_is_cut_short_is_told_whole_the_next_time(fake: FakeEtcd) -> None:
    """Half a line is nothing: neither an event nor a reason to go on behind it."""
    starts: list[int] = []
    event = _result(9, events=[_event(_CHANGE)])
    fake.answers["/v3/watch"] = [_stream(starts, event[: len(event) // 2]), _stream(starts, event)]
    async with _client(fake) as client:
        assert await _first(client, 7) == _CHANGE

    assert starts == [7, 7]


@pytest.mark.parametrize("message", [b"no json\n", b'{"error":{"grpc_code":14,"message":"etcdserver: no leader"}}\n'])
async def test_a_message_that_is_no_result_is_outlived(fake: FakeEtcd, message: bytes) -> None:
    """A broken stream is opened again, whatever broke it."""
    starts: list[int] = []
    event = _result(9, events=[_event(_CHANGE)])
    fake.answers["/v3/watch"] = [_stream(starts, message), _stream(starts, event)]
    async with _client(fake) as client:
        assert await _first(client, 7) == _CHANGE


async def test_a_refused_watch_ends_with_its_reason(fake: FakeEtcd) -> None:
    """A right that is missing is not waited for, though etcd says so inside a good answer."""
    refusal = _result(9, created=True, canceled=True, cancel_reason="rpc error: permission denied")
    fake.answers["/v3/watch"] = [_stream([], refusal)]
    async with _client(fake) as client:
        with pytest.raises(EtcdError) as refused:
            await _first(client, 7)

    assert refused.value.reason is Reason.PERMISSION


async def test_a_compacted_watch_asks_for_a_new_reading(fake: FakeEtcd) -> None:
    """One RELIST, and the end."""
    gone = _result(9, created=True, canceled=True, compact_revision="8")
    fake.answers["/v3/watch"] = [_stream([], gone)]
    async with _client(fake) as client:
        assert [change async for change in client.watch(7)] == [Change(Kind.RELIST)]
