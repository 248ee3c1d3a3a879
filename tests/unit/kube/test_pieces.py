"""The pure pieces: paths and labels, waits, lines, events."""

import datetime as dt
import json
from typing import cast

import aiohttp
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nodegate.errors import Malformed, Unavailable
from nodegate.kube.backoff import Backoff
from nodegate.kube.client import ApiClient
from nodegate.kube.events import build_event, post_event
from nodegate.kube.paths import object_path, resource_of
from nodegate.kube.stream import LineSplitter
from nodegate.kube.transport import _send_once
from nodegate.names import EVENT_CONTROLLER
from tests.unit.kube.fake_api import FakeApi

WHEN = dt.datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=dt.timezone(dt.timedelta(hours=2)))
NODE = {"apiVersion": "v1", "kind": "Node", "name": "a", "uid": "u"}


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("/api/v1/nodes", "nodes"),
        ("/api/v1/nodes/a", "nodes"),
        ("/api/v1/nodes/a/status", "nodes/status"),
        ("/api/v1/namespaces", "namespaces"),
        ("/api/v1/namespaces/ns", "namespaces"),
        ("/api/v1/namespaces/ns/status", "namespaces/status"),
        ("/api/v1/namespaces/ns/secrets", "secrets"),
        ("/api/v1/namespaces/ns/secrets/s", "secrets"),
        ("/apis/apps/v1/namespaces/ns/deployments/d/scale", "deployments/scale"),
        ("/apis/certificates.k8s.io/v1/certificatesigningrequests/x/approval", "certificatesigningrequests/approval"),
        ("/apis/nodegate.dev/v1alpha1", "discovery"),
        ("/apis", "discovery"),
        ("/version", "version"),
        ("/whatever/else", "other"),
    ],
)
def test_resource_of(path: str, resource: str) -> None:
    """A path is reduced to its plural and subresource, never to a name."""
    assert resource_of(path) == resource


@given(st.text(min_size=1).filter(lambda name: name not in {".", ".."}))
def test_any_name_is_one_segment(name: str) -> None:
    """Whatever a name holds, it stays one segment and never reaches the label."""
    try:
        path = object_path("/api/v1/nodes", name, "status")
    except UnicodeEncodeError:
        assert not name.isprintable()
        return

    assert (path.count("/"), resource_of(path)) == (5, "nodes/status")


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_names_that_are_no_segment(name: str) -> None:
    """A name that would lead elsewhere is refused."""
    with pytest.raises(Malformed, match="cannot be part of a path"):
        object_path("/api/v1/nodes", name)


@given(st.lists(st.binary(min_size=1, max_size=30).filter(lambda b: b"\n" not in b and b.strip())), st.data())
def test_lines_survive_any_cut(texts: list[bytes], data: st.DataObject) -> None:
    """However a stream is cut into chunks, the same lines come out."""
    stream = b"".join(text + b"\n" for text in texts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    splitter = LineSplitter()
    found = [
        line
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)
        for line in splitter.feed(stream[start:end])
    ]

    assert (found, splitter.held) == (texts, 0)


def test_line_limit() -> None:
    """A line is refused as soon as it is longer than the limit, whether it has ended or not."""
    splitter = LineSplitter(limit=4)
    assert splitter.feed(b"1234\n12") == [b"1234"]
    with pytest.raises(Unavailable, match="LineTooLong"):
        splitter.feed(b"345")


def test_waits_double_within_their_bounds() -> None:
    """Waits grow to the cap, lose at most half to jitter, and are never shorter than the first."""
    backoff = Backoff()
    waits = [backoff.next_s() for _ in range(100)]
    backoff.reset()

    for number, wait in enumerate(waits, start=1):
        full = min(2.0, 0.05 * 2**number)
        assert max(0.05, full / 2) <= wait <= full
    assert 0.05 <= backoff.next_s() <= 0.1


def test_event_as_the_api_server_takes_it() -> None:
    """An event about a cluster-scoped object lives in default, with its moment in UTC to the microsecond."""
    event = build_event(regarding=NODE, type="Warning", reason="R", action="A", note="n", when=WHEN, instance="host")

    assert event == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"generateName": "nodegate-", "namespace": "default"},
        "eventTime": "2026-03-04T03:06:07.000089Z",
        "type": "Warning",
        "reason": "R",
        "action": "A",
        "note": "n",
        "regarding": NODE,
        "reportingController": EVENT_CONTROLLER,
        "reportingInstance": "host",
    }


@given(st.text(max_size=300))
@example("x" * 2000)
@example("\u00e9" * 2000)
@example("x" + "\u20ac" * 2000)
@example("\U0001f600" * 2000)
def test_event_limits_are_bytes(text: str) -> None:
    """Every text is cut to the API server's limit in bytes, and a text that fits is kept whole."""
    event = build_event(regarding=NODE, type="Normal", reason=text, action=text, note=text, when=WHEN, instance=text)

    for field, limit in (("reason", 128), ("action", 128), ("reportingInstance", 128), ("note", 1024)):
        kept = event[field].encode("utf-8", "replace")
        assert len(kept) <= limit
        assert text.encode("utf-8", "replace").startswith(kept)
        assert len(kept) > limit - 4 or event[field] == text


async def test_event_is_posted_to_its_namespace(api: FakeApi, client: ApiClient) -> None:
    """An event is posted to the namespace of what it is about."""
    regarding = {**NODE, "namespace": "ns"}

    await post_event(client, regarding=regarding, type="Normal", reason="R", action="A", note="n", when=WHEN)

    assert api.seen[0].path == "/apis/events.k8s.io/v1/namespaces/ns/events"
    assert json.loads(api.seen[0].body)["regarding"] == regarding


@pytest.mark.parametrize(
    ("fault", "becomes"),
    [
        (RuntimeError("File descriptor 17 is used by transport <TCPTransport closed=False>"), aiohttp.ClientError),
        (RuntimeError("something else"), RuntimeError),
        (aiohttp.ServerDisconnectedError(), aiohttp.ClientError),
    ],
    ids=["socket number in use", "another fault", "reused connection broke"],
)
async def test_what_ends_a_call(fault: Exception, becomes: type[Exception]) -> None:
    """What uvloop says of a socket's number is a broken connection and no fault of the program."""

    async def handler(_: aiohttp.ClientRequest) -> aiohttp.ClientResponse:
        raise fault

    with pytest.raises(becomes) as caught:
        await _send_once(cast("aiohttp.ClientRequest", None), handler)

    assert not isinstance(caught.value, aiohttp.ServerDisconnectedError)
