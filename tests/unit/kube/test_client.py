"""The client against real HTTP: what is sent, what is repeated, and what each failure becomes."""

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

from nodegate.errors import (
    ApiError,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    Malformed,
    NotFound,
    Unauthorized,
    Unavailable,
)
from nodegate.kube.client import ApiClient, StreamBroken, StreamSilent
from nodegate.kube.credentials import TokenSource
from nodegate.kube.paths import object_path
from tests.unit.kube.fake_api import (
    NODES,
    Answer,
    FakeApi,
    Recorder,
    connect,
    drop,
    event,
    hang,
    lines,
    raw,
    status,
    truncated,
)

CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (400, Invalid),
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (405, Invalid),
        (409, Conflict),
        (410, Expired),
        (413, Invalid),
        (422, Invalid),
        (302, Unavailable),
        (500, Unavailable),
        (503, Unavailable),
    ],
)
async def test_status_becomes_error(api: FakeApi, client: ApiClient, code: int, kind: type[ApiError]) -> None:
    """Every status is raised as the error that says what happens next."""
    api.always["update"] = status(code, "Told")

    with pytest.raises(ApiError, match="told to Told") as caught:
        await client.put(f"{NODES}/a", {})

    assert (kind, code, "Told") == (type(caught.value), caught.value.status, caught.value.reason)


@pytest.mark.parametrize("fault", [drop, status(503, "ServiceUnavailable"), truncated(b'{"a":'), raw(b"[]")])
async def test_read_is_repeated(api: FakeApi, client: ApiClient, fault: Answer) -> None:
    """A read without a usable answer is tried again, and the second answer counts."""
    api.put_object(NODES, "a", spec={"x": 1})
    api.faults["get"].append(fault)

    assert (await client.get(f"{NODES}/a"))["spec"] == {"x": 1}
    assert api.count("get") == 2


async def test_read_gives_up_after_four_tries(api: FakeApi, client: ApiClient) -> None:
    """A read is tried four times and no more."""
    api.always["get"] = status(503, "ServiceUnavailable")

    with pytest.raises(Unavailable):
        await client.get(f"{NODES}/a")

    assert api.count("get") == 4


@pytest.mark.parametrize("verb", ["create", "update", "patch", "delete"])
@pytest.mark.parametrize("fault", [drop, status(500, "InternalError"), truncated(b"{"), status(504, "Timeout")])
async def test_write_is_never_repeated(api: FakeApi, client: ApiClient, verb: str, fault: Answer) -> None:
    """A write whose outcome is unknown reaches the server once, on a fresh and on a reused connection."""
    calls = {
        "create": lambda: client.post(NODES, {"metadata": {"name": "a"}}),
        "update": lambda: client.put(f"{NODES}/a", {"metadata": {}}),
        "patch": lambda: client.merge_patch(f"{NODES}/a", {}),
        "delete": lambda: client.delete(f"{NODES}/a"),
    }
    api.put_object(NODES, "b")
    for _ in range(2):
        api.seen.clear()
        api.always[verb] = fault

        with pytest.raises(Unavailable):
            await calls[verb]()

        assert api.count(verb) == 1
        # This leaves an idle connection behind, which the next round reuses.
        await client.get(f"{NODES}/b")


async def test_throttled_write_waits_and_is_repeated(api: FakeApi, client: ApiClient) -> None:
    """429 means not executed: the write waits as long as asked, then goes through."""
    api.faults["create"].append(status(429, "TooManyRequests", wait=1))
    loop = asyncio.get_running_loop()
    began = loop.time()

    await client.post(NODES, {"metadata": {"name": "a"}})

    assert api.count("create") == 2
    assert loop.time() - began >= 0.99


async def test_throttled_for_ever_is_unavailable(api: FakeApi, client: ApiClient) -> None:
    """A server that always throttles ends in Unavailable with the wait it asked for."""
    api.always["update"] = status(429, "TooManyRequests", wait=0)

    with pytest.raises(Unavailable) as caught:
        await client.put(f"{NODES}/a", b"{}")

    assert (api.count("update"), caught.value.retry_after_s, caught.value.status) == (4, 0.0, 429)


async def test_rotated_token_is_read_again(api: FakeApi, tmp_path: Path) -> None:
    """After a 401 the token file is read again and the call, even a write, is made once more."""
    file = tmp_path / "token"
    file.write_text("old\n")
    api.tokens = {"old"}
    api.put_object(NODES, "a")
    async with connect(api, TokenSource(file=file)) as client:
        await client.get(f"{NODES}/a")
        file.write_text("new\n")
        api.tokens = {"new"}

        await client.post(NODES, {"metadata": {"name": "b"}})

    assert [seen.headers["Authorization"] for seen in api.seen] == ["Bearer old", "Bearer old", "Bearer new"]


async def test_refused_token_is_unauthorized(api: FakeApi, client: ApiClient) -> None:
    """A token that stays refused is tried twice, then raised as Unauthorized."""
    api.tokens = {"other"}

    with pytest.raises(Unauthorized):
        await client.get(f"{NODES}/a")

    assert api.count("get") == 2


async def test_pages_are_followed(api: FakeApi, client: ApiClient) -> None:
    """A LIST follows the continue token, and drops what the API server refuses beside it."""
    for number in range(5):
        api.put_object(NODES, f"n{number}")

    params = {"fieldSelector": "a=b,c", "resourceVersion": "7", "resourceVersionMatch": "Exact"}
    pages = [page async for page in client.list_pages(NODES, params, limit=2)]

    assert [[o["metadata"]["name"] for o in p["items"]] for p in pages] == [["n0", "n1"], ["n2", "n3"], ["n4"]]
    assert api.seen[1].query == {"fieldSelector": "a=b,c", "limit": "2", "continue": "2"}


async def test_expired_continue_token(api: FakeApi, client: ApiClient) -> None:
    """A continue token that is too old raises Expired after the pages that came."""
    for number in range(3):
        api.put_object(NODES, f"n{number}")
    pages = client.list_pages(NODES, limit=2)
    await anext(pages)
    api.always["list"] = status(410, "Expired")

    with pytest.raises(Expired):
        await anext(pages)


async def test_names_cannot_change_the_request(api: FakeApi, client: ApiClient) -> None:
    """A CSR named like a query stays a name, whatever its characters."""
    name = "x?dryRun=All#é ü"
    api.always["update"] = raw(b"{}")

    await client.put(object_path(CSRS, name, "approval"), {})

    assert (f"{CSRS}/{name}/approval", {}) == (api.seen[0].path, api.seen[0].query)


@pytest.mark.parametrize("path", ["/api/v1/nodes/x?dryRun=All", "api/v1", "/api/v1/nodes/a b", "/api/v1/nodes/x\r\n"])
async def test_unescaped_path_is_refused(api: FakeApi, client: ApiClient, path: str) -> None:
    """A path that was not escaped never leaves the process."""
    with pytest.raises(Malformed, match="object_path"):
        await client.get(path)

    assert api.seen == []


async def test_content_types_and_bodies(api: FakeApi, client: ApiClient) -> None:
    """Patches name their kind, prebuilt bytes go as they are, and Accept can be replaced."""
    api.always["update"] = raw(b"{}")
    await client.merge_patch(f"{NODES}/a", {"x": 1})
    await client.put(f"{NODES}/a", b'{ "x": 3 }', accept="application/json;as=PartialObjectMetadata")
    await client.delete(f"{NODES}/a", uid="u1")

    assert [(seen.headers["Content-Type"], seen.body, seen.query) for seen in api.seen] == [
        ("application/merge-patch+json", b'{"x":1}', {}),
        ("application/json", b'{ "x": 3 }', {}),
        ("application/json", b'{"preconditions":{"uid":"u1"}}', {}),
    ]
    assert api.seen[1].headers["Accept"] == "application/json;as=PartialObjectMetadata"
    assert api.seen[0].headers["User-Agent"].startswith("nodegate/")


async def test_redirect_is_not_followed(api: FakeApi, client: ApiClient) -> None:
    """A redirect is an error: following it would carry the token elsewhere."""
    api.always["get"] = raw(b"", 307, {"Location": f"{api.server}/elsewhere"})

    with pytest.raises(Unavailable):
        await client.get(f"{NODES}/a")

    assert {f"{NODES}/a"} == {seen.path for seen in api.seen}


async def test_observer_hears_of_each_attempt(api: FakeApi, client: ApiClient, recorder: Recorder) -> None:
    """Each attempt is reported with a closed resource and its status, or with error."""
    api.put_object(NODES, "a")
    api.faults["get"].extend([drop, status(503, "ServiceUnavailable")])
    await client.get(f"{NODES}/a")
    with pytest.raises(NotFound):
        await client.put(f"{CSRS}/x/approval", {"metadata": {}})

    assert recorder.calls == [
        ("get", "nodes", "error"),
        ("get", "nodes", "503"),
        ("get", "nodes", "200"),
        ("update", "certificatesigningrequests/approval", "404"),
    ]


async def test_refused_connection_is_unavailable(api: FakeApi) -> None:
    """Nobody listening is Unavailable with status 0 and the server's name in the message."""
    api.server = "http://127.0.0.1:1"
    async with connect(api) as client:
        with pytest.raises(Unavailable, match=r"create nodes: .*127\.0\.0\.1:1") as caught:
            await client.post(NODES, {})

    assert caught.value.status == 0


async def _collect(client: ApiClient, idle_s: float = 5.0, total_s: float | None = None) -> list[str]:
    stream = client.watch(NODES, {"resourceVersion": "1"}, idle_s, total_s)
    async with aclosing(stream):
        return [str(item["object"].get("note", ""))[-1:] async for item in stream]


async def test_long_lines_in_small_chunks(api: FakeApi, client: ApiClient) -> None:
    """Objects of megabytes, split anywhere, come out whole and in order."""
    text = b"".join(event("ADDED", {"note": "x" * 1_500_000 + end}) for end in "abc")
    api.faults["watch"].append(lines(*[text[at : at + 70_001] for at in range(0, len(text), 70_001)]))

    assert await _collect(client) == ["a", "b", "c"]


async def test_endless_line_is_refused(api: FakeApi, client: ApiClient) -> None:
    """A line beyond the limit is an error, not a memory leak."""
    api.faults["watch"].append(lines(*[b"x" * 1_000_000] * 9))

    with pytest.raises(Unavailable, match="LineTooLong"):
        await _collect(client)


async def test_line_cut_by_the_end(api: FakeApi, client: ApiClient) -> None:
    """A stream that ends in the middle of a line is broken, not finished."""
    api.faults["watch"].append(lines(event("ADDED", {}), b'{"type": "ADD'))

    with pytest.raises(StreamBroken, match="Truncated"):
        await _collect(client)


async def test_garbage_line(api: FakeApi, client: ApiClient) -> None:
    """A whole line that is no event is Unavailable, so that the caller lists again."""
    api.faults["watch"].append(lines(b'{"type": 1}\n'))

    with pytest.raises(Unavailable, match="watch event"):
        await _collect(client)


async def test_silent_stream(api: FakeApi, client: ApiClient) -> None:
    """A stream without a word is dead after the idle time."""
    api.faults["watch"].append(lines(event("ADDED", {}), then_hang=True))

    with pytest.raises(StreamSilent):
        await _collect(client, idle_s=0.1)


async def test_dripping_stream(api: FakeApi, client: ApiClient) -> None:
    """Bytes that drip in without completing a line do not keep a stream alive."""
    api.faults["watch"].append(lines(*[b"x"] * 1000, pause_s=0.01))

    with pytest.raises(StreamSilent):
        await _collect(client, idle_s=0.2)


async def test_watch_that_never_begins(api: FakeApi, client: ApiClient) -> None:
    """A watch without headers is dead after the idle time, too."""
    api.faults["watch"].append(hang)

    with pytest.raises(StreamSilent, match="begin"):
        await _collect(client, idle_s=0.1)


async def test_watch_ends_at_its_time(api: FakeApi, client: ApiClient) -> None:
    """A stream is left at the end of the time given, without an error."""
    api.faults["watch"].append(lines(event("ADDED", {"note": "a"}), then_hang=True))

    assert await _collect(client, total_s=0.2) == ["a"]
