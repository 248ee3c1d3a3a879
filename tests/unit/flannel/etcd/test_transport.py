"""Rotation, pinning, paths and half answers, against members that behave as no real etcd does on demand."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from nodegate.flannel.etcd.client import EtcdClient
from nodegate.flannel.etcd.credentials import Credentials
from nodegate.flannel.etcd.errors import EtcdError, Reason
from nodegate.flannel.etcd.values import Endpoints, Limits, Lost, Written
from nodegate.flannel.model import Api
from tests.unit.flannel.etcd.fake_etcd import FakeEtcd, always, hang_up, running

_HASTY = Limits(connect_s=0.5, op_s=0.5, total_s=1.0)
_WRITE_OK = {"header": {"cluster_id": "2748", "revision": "6"}, "succeeded": True}


@pytest.fixture(name="fake")
async def _fake() -> AsyncIterator[FakeEtcd]:
    """One member."""
    async with running(FakeEtcd()) as fake:
        yield fake


@pytest.fixture(name="second")
async def _second() -> AsyncIterator[FakeEtcd]:
    """Another one."""
    async with running(FakeEtcd()) as fake:
        yield fake


def _client(*fakes: FakeEtcd, api: Api = Api.V3, limits: Limits = _HASTY, cluster_id: str = "") -> EtcdClient:
    return EtcdClient(
        Endpoints(tuple(fake.url for fake in fakes)), None, api, "/net", limits=limits, cluster_id=cluster_id
    )


async def _refused(client: EtcdClient) -> EtcdError:
    with pytest.raises(EtcdError) as refused:
        await client.read()
    return refused.value


@pytest.mark.parametrize(("version", "path"), [("3.3.25", "/v3beta/kv/txn"), ("3.4.23", "/v3/kv/txn")])
async def test_the_path_follows_the_members_version(fake: FakeEtcd, version: str, path: str) -> None:
    """The version is asked once, before the first request, and decides where the gateway is."""
    fake.version = version
    async with _client(fake) as client:
        await client.read()
        await client.read()

    assert fake.seen == [("GET", "/version"), ("POST", path), ("POST", path)]


async def test_an_old_etcd_is_named(fake: FakeEtcd) -> None:
    """What is older than 3.3 is refused with its version."""
    fake.version = "3.2.32"
    async with _client(fake) as client:
        error = await _refused(client)

    assert error.reason is Reason.VERSION
    assert "3.2.32" in error.message


async def test_what_is_no_etcd_is_named(fake: FakeEtcd) -> None:
    """A web page instead of a version, and a redirect, which is not followed."""
    fake.answers["/version"] = [always(200, "<html>hello</html>")]
    async with _client(fake) as client:
        page = await _refused(client)

    async def redirect(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    fake.answers["/version"] = [redirect]
    async with _client(fake) as client:
        moved = await _refused(client)

    assert page.reason is moved.reason is Reason.UNEXPECTED
    assert ("GET", "/elsewhere") not in fake.seen


async def test_a_member_of_another_cluster_is_seen_before_a_write(fake: FakeEtcd, second: FakeEtcd) -> None:
    """The current member fails, the next one belongs to another cluster: it is asked, and gets no write."""
    second.cluster = 0xDEF
    async with _client(fake, second) as client:
        await client.read()
        fake.answers["/version"] = [hang_up]
        fake.answers["/v3/kv/txn"] = [always(503, {"code": 14, "message": "connection error: tls: bad certificate"})]
        with pytest.raises(EtcdError) as refused:
            await client.write_config(b"x", expected_mod_revision=0, judged_revision=5)

    assert refused.value.reason is Reason.CLUSTER_ID
    assert not refused.value.outcome_unknown
    assert second.seen == [("GET", "/version"), ("POST", "/v3/kv/range")]


async def test_a_member_is_asked_for_its_cluster_again_after_a_failure(fake: FakeEtcd) -> None:
    """Somebody else may listen there next: the write after a broken connection begins with the questions."""
    async with _client(fake, cluster_id="abc") as client:
        fake.answers["/v3/kv/txn"] = [always(200, _WRITE_OK)]
        await client.write_config(b"x", expected_mod_revision=0, judged_revision=5)
        before = len(fake.seen)
        fake.answers["/v3/kv/txn"] = [always(429, {"code": 8, "message": "too many requests"}), always(200, _WRITE_OK)]
        outcome = await client.write_config(b"x", expected_mod_revision=0, judged_revision=5)

    assert outcome == Written(6)
    txn, version, probe = ("POST", "/v3/kv/txn"), ("GET", "/version"), ("POST", "/v3/kv/range")
    assert fake.seen[before:] == [txn, version, probe, txn]


async def test_a_member_that_names_no_cluster_gets_no_write(fake: FakeEtcd) -> None:
    """An answer without the header could come from anywhere."""
    fake.answers["/v2/keys/net/config"] = [always(404, {"errorCode": 100, "message": "Key not found"}, named=False)]
    async with _client(fake, api=Api.V2, cluster_id="abc") as client:
        with pytest.raises(EtcdError) as refused:
            await client.write_reservation("/net/subnets/x", b"v", 0)

    assert refused.value.reason is Reason.UNEXPECTED
    assert {method for method, _ in fake.seen} == {"GET"}


async def test_a_write_whose_questions_fail_was_not_sent(fake: FakeEtcd) -> None:
    """The connection breaks at the question for the version: nothing is open, and the error says so."""
    fake.answers["/version"] = [hang_up]
    async with _client(fake) as client:
        with pytest.raises(EtcdError) as refused:
            await client.write_reservation("/net/subnets/x", b"v", 0)

    assert refused.value.reason is Reason.UNAVAILABLE
    assert not refused.value.outcome_unknown
    assert {path for _, path in fake.seen} == {"/version"}


@pytest.mark.parametrize("api", Api)
async def test_a_write_is_sent_once_before_somebody_looks(fake: FakeEtcd, api: Api) -> None:
    """The connection breaks under a write: nothing in the client or below it sends that again by itself."""
    path, method = ("/v2/keys/net/subnets/x", "PUT") if api is Api.V2 else ("/v3/kv/txn", "POST")
    async with _client(fake, api=api) as client:
        empty = {"errorCode": 100, "message": "Key not found", "index": 5}
        fake.answers["/v2/keys/net/config"] = [always(404, empty)]
        # The first answer makes the connection a kept one, on which HTTP libraries like to try again.
        fake.answers[path] = [always(412, {"errorCode": 105}) if api is Api.V2 else fake.empty]
        await client.write_reservation("/net/subnets/x", b"v", 0)
        before = len(fake.seen)
        fake.answers[path] = [hang_up]
        with pytest.raises(EtcdError) as refused:
            await client.write_reservation("/net/subnets/x", b"v", 0)

    assert refused.value.outcome_unknown
    sent = fake.seen[before:]
    assert sent[0] == (method, path)
    # What follows is the look, which for v2 is a GET and for v3 starts with the questions to a member that failed.
    assert sent[1] == ("GET", "/version")
    if api is Api.V2:
        assert ("PUT", path) not in sent[1:]


async def test_an_unanswered_read_goes_to_the_next_member(fake: FakeEtcd, second: FakeEtcd) -> None:
    """Errors of one member cost a try; the member that answered stays the current one."""
    fake.answers["/v3/kv/txn"] = [always(503, {"code": 14, "message": "etcdserver: leader changed"})]
    async with _client(fake, second) as client:
        await client.read()
        await client.read()
        current = client.endpoint

    assert current == second.url
    assert fake.seen.count(("POST", "/v3/kv/txn")) == 1
    assert second.seen.count(("POST", "/v3/kv/txn")) == 2


async def test_what_holds_for_the_whole_cluster_is_not_tried_elsewhere(fake: FakeEtcd, second: FakeEtcd) -> None:
    """A right that is missing here is missing there."""
    fake.answers["/v3/kv/txn"] = [always(403, {"code": 7, "message": "etcdserver: permission denied"})]
    async with _client(fake, second) as client:
        error = await _refused(client)

    assert error.reason is Reason.PERMISSION
    assert second.seen == []


async def test_when_all_are_hopeless_each_is_tried_once(fake: FakeEtcd, second: FakeEtcd) -> None:
    """No gateway anywhere: there is nothing to wait for."""
    for member in (fake, second):
        member.answers["/v3/kv/txn"] = [always(404, "404 page not found\n")]
    async with _client(fake, second, limits=Limits(total_s=60.0)) as client:
        error = await _refused(client)

    assert error.reason is Reason.GATEWAY_OFF
    assert [member.seen.count(("POST", "/v3/kv/txn")) for member in (fake, second)] == [1, 1]


async def test_a_hopeless_member_beside_one_that_is_busy_is_waited_for(fake: FakeEtcd, second: FakeEtcd) -> None:
    """One endpoint without gateway, one that is back after a moment: the operation succeeds."""
    busy = always(503, {"code": 14, "message": "etcdserver: leader changed"})
    fake.answers["/v3/kv/txn"] = [always(404, "404 page not found\n")]
    second.answers["/v3/kv/txn"] = [busy, busy, second.empty]
    async with _client(fake, second, limits=Limits(total_s=60.0)) as client:
        assert (await client.read()).revision == 5


async def test_an_ended_token_is_replaced(fake: FakeEtcd) -> None:
    """A token that etcd has forgotten costs one login, and the request is made again with the new one."""
    tokens = iter(("one", "two"))
    given: list[str | None] = []

    async def log_in(_request: web.Request) -> web.StreamResponse:
        return fake.says(token=next(tokens))

    async def forget(request: web.Request) -> web.StreamResponse:
        given.append(request.headers.get("Authorization"))
        return fake.says(401, code=16, message="etcdserver: invalid auth token")

    async def accept(request: web.Request) -> web.StreamResponse:
        given.append(request.headers.get("Authorization"))
        return await fake.empty(request)

    fake.answers |= {"/v3/auth/authenticate": [log_in], "/v3/kv/txn": [forget, accept]}
    word = Credentials(b"", username="nodegate", password="".join("word"))
    async with EtcdClient(Endpoints((fake.url,)), word, Api.V3, "/net", limits=_HASTY) as client:
        await client.read()

    assert given == ["one", "two"]


async def test_an_answer_that_does_not_end_is_a_timeout(fake: FakeEtcd) -> None:
    """Headers alone are no answer."""

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"{")
        await asyncio.sleep(5)
        return response

    fake.answers["/v3/kv/txn"] = [drip]
    async with _client(fake) as client:
        assert (await _refused(client)).reason is Reason.TIMEOUT


async def test_a_lost_race_tells_what_is_there(fake: FakeEtcd) -> None:
    """The other branch of the transaction brings the key as it is, and whether a lease was in the way."""
    kv = {"key": "L25ldC9jb25maWc=", "value": "dGhlaXJz", "mod_revision": "4", "create_revision": "2"}
    parts = [{"response_range": {"kvs": [kv]}}, {"response_range": {"kvs": [{"key": "eA=="}]}}]
    fake.answers["/v3/kv/txn"] = [always(200, {"header": {"cluster_id": "2748"}, "responses": parts})]
    async with _client(fake) as client:
        outcome = await client.write_config(b"x", expected_mod_revision=3, judged_revision=3)

    assert isinstance(outcome, Lost)
    assert outcome.leases_changed
    assert outcome.found is not None
    assert (outcome.found.key, outcome.found.value, outcome.found.mod_revision) == ("/net/config", b"theirs", 4)


async def test_a_client_that_was_not_entered_says_so() -> None:
    """Forgetting `async with` is a mistake of ours, with words."""
    client = EtcdClient(Endpoints(("http://127.0.0.1:9",)), None, Api.V3, "/net")

    with pytest.raises(RuntimeError, match="async with"):
        await client.read()


async def test_https_needs_credentials() -> None:
    """An https endpoint without any CA is refused before anything is sent."""
    client = EtcdClient(Endpoints(("https://127.0.0.1:9",)), None, Api.V3, "/net")

    with pytest.raises(EtcdError) as refused:
        async with client:
            pass

    assert refused.value.reason is Reason.CREDENTIALS_UNUSABLE
