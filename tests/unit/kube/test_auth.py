"""Who may read /metrics: what the API server says of a token, how long that is believed, and nothing without it."""

import asyncio
import json
import logging
from collections.abc import Awaitable
from http import HTTPStatus
from typing import Any

import pytest
from aiohttp import web

from nodegate.kube import auth
from nodegate.kube.auth import ACCESS_REVIEWS, KEPT, TOKEN_REVIEWS, UrlGate
from nodegate.kube.client import ApiClient
from tests.unit.kube.fake_api import FakeApi, drop, raw, status

TOKEN = "a.b-c_d"  # noqa: S105 - a made-up one
OWNER = {
    "username": "system:serviceaccount:monitoring:prometheus",
    "uid": "u-1",
    "groups": ["g"],
    "extra": {"k": ["v"]},
}


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.at


@pytest.fixture(name="clock")
def _clock() -> Clock:
    """A clock."""
    return Clock()


@pytest.fixture(name="gate")
def _gate(client: ApiClient, api: FakeApi, clock: Clock) -> UrlGate:
    """A gate before /metrics; the API server knows one token, whose owner may read it."""
    api.owners[TOKEN] = OWNER
    api.may = lambda spec: bool(spec["user"] == OWNER["username"])
    return UrlGate(client, "/metrics", clock)


def _ask(gate: UrlGate, token: str = TOKEN) -> Awaitable[HTTPStatus]:
    return gate.admit(f"Bearer {token}")


async def test_the_api_server_is_asked_both_questions(gate: UrlGate, api: FakeApi) -> None:
    """Whose the token is, then whether that user, with groups and extra, may get the path."""
    assert await _ask(gate) == HTTPStatus.OK

    assert [seen.path for seen in api.seen] == [TOKEN_REVIEWS, ACCESS_REVIEWS]
    bodies = [json.loads(seen.body) for seen in api.seen]
    assert bodies[0]["spec"] == {"token": TOKEN}
    assert bodies[1]["spec"] == {
        "user": OWNER["username"],
        "uid": "u-1",
        "groups": ["g"],
        "extra": {"k": ["v"]},
        "nonResourceAttributes": {"path": "/metrics", "verb": "get"},
    }


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Basic YTpi", "Bearer a b", 'Bearer "x"', f"Bearer {TOKEN}, Bearer x", TOKEN],
)
async def test_without_a_token_nobody_is_asked(gate: UrlGate, api: FakeApi, header: str | None) -> None:
    """No header, another scheme, or what is no token: 401, and not one call."""
    assert await gate.admit(header) == HTTPStatus.UNAUTHORIZED
    assert api.seen == []


async def test_the_scheme_is_written_in_any_case(gate: UrlGate) -> None:
    """`bearer` is `Bearer` (RFC 9110, section 11.1)."""
    assert await gate.admit(f"bearer  {TOKEN}") == HTTPStatus.OK


async def test_an_unknown_token_is_refused(gate: UrlGate, api: FakeApi) -> None:
    """Whom the API server does not know gets 401, and no right is asked for."""
    assert await _ask(gate, "unknown") == HTTPStatus.UNAUTHORIZED
    assert [seen.path for seen in api.seen] == [TOKEN_REVIEWS]


async def test_without_the_right_it_is_forbidden(gate: UrlGate, api: FakeApi) -> None:
    """A known token whose owner may not get the path: 403."""
    api.may = lambda _: False
    assert await _ask(gate) == HTTPStatus.FORBIDDEN


@pytest.mark.parametrize(
    "answer",
    [
        {"allowed": False},
        {},
        {"allowed": True, "denied": True},
        {"allowed": None},
    ],
)
async def test_only_a_clear_yes_admits(gate: UrlGate, api: FakeApi, answer: dict[str, Any]) -> None:
    """Absent, null, or allowed and denied at once is no."""
    yes = {"status": {"authenticated": True, "user": OWNER}}
    api.faults["create"].extend([raw(json.dumps(yes).encode()), raw(json.dumps({"status": answer}).encode())])
    assert await _ask(gate) == HTTPStatus.FORBIDDEN


@pytest.mark.parametrize(
    "body",
    [
        {"status": {"authenticated": "true", "user": OWNER}},
        {"status": {"authenticated": True, "user": {"groups": ["system:masters"]}}},
        {"status": {"authenticated": True, "user": {"username": "x", "groups": "system:masters"}}},
        {"status": []},
    ],
)
async def test_an_answer_of_another_form_opens_nothing(gate: UrlGate, api: FakeApi, body: dict[str, Any]) -> None:
    """What is no review, or names no user, is no answer."""
    api.may = lambda _: True
    api.faults["create"].append(raw(json.dumps(body).encode()))
    assert await _ask(gate) == HTTPStatus.SERVICE_UNAVAILABLE


@pytest.mark.parametrize(
    "fault", [status(403, "Forbidden"), status(500, "InternalError"), status(404, "NotFound"), drop, raw(b"no JSON")]
)
@pytest.mark.parametrize("second", [False, True])
async def test_no_answer_opens_nothing_and_is_not_kept(
    gate: UrlGate, api: FakeApi, fault: Any, *, second: bool
) -> None:
    """Either question failing in any way is 503; the next scrape asks anew and is let in."""
    first = raw(json.dumps({"status": {"authenticated": True, "user": OWNER}}).encode())
    api.faults["create"].extend([first, fault] if second else [fault])

    assert await _ask(gate) == HTTPStatus.SERVICE_UNAVAILABLE
    assert await _ask(gate) == HTTPStatus.OK


async def test_silence_opens_nothing(gate: UrlGate, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """An API server that never answers is waited for a short while only."""
    monkeypatch.setattr(auth, "REVIEW_S", 0.05)

    async def hang(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(3600)
        return web.Response()

    api.faults["create"].append(hang)
    assert await _ask(gate) == HTTPStatus.SERVICE_UNAVAILABLE


async def test_a_grant_is_believed_for_a_minute(gate: UrlGate, api: FakeApi, clock: Clock) -> None:
    """Until 60 s nobody is asked again, and a right that was taken away ends then, even when the API server is gone."""
    assert await _ask(gate) == HTTPStatus.OK
    api.may = lambda _: False
    clock.at += 59.9
    assert (await _ask(gate), len(api.seen)) == (HTTPStatus.OK, 2)
    clock.at += 0.1
    assert (await _ask(gate), len(api.seen)) == (HTTPStatus.FORBIDDEN, 4)


async def test_a_grant_ends_in_an_outage(gate: UrlGate, api: FakeApi, clock: Clock) -> None:
    """Without an API server what was granted ends after a minute, too."""
    assert await _ask(gate) == HTTPStatus.OK
    api.always["create"] = drop
    clock.at += 60
    assert await _ask(gate) == HTTPStatus.SERVICE_UNAVAILABLE


@pytest.mark.parametrize("token", [TOKEN, "unknown"])
async def test_a_refusal_is_believed_for_ten_seconds(gate: UrlGate, api: FakeApi, clock: Clock, token: str) -> None:
    """A token or right that was just given works after 10 s."""
    api.may = lambda _: False
    refused = await _ask(gate, token)
    asked = len(api.seen)
    api.owners[token], api.may = OWNER, lambda _: True
    clock.at += 9.9
    assert (await _ask(gate, token), len(api.seen)) == (refused, asked)
    assert refused in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
    clock.at += 0.1
    assert await _ask(gate, token) == HTTPStatus.OK


async def test_a_flood_of_refusals_forgets_no_grant(gate: UrlGate, api: FakeApi) -> None:
    """Twice as many unknown tokens as are remembered: memory stays bounded, the grant stays known."""
    assert await _ask(gate) == HTTPStatus.OK
    for number in range(2 * KEPT):
        await _ask(gate, f"t{number}")
    asked = len(api.seen)

    assert (await _ask(gate), len(api.seen)) == (HTTPStatus.OK, asked)
    assert len(gate._refused._until) == KEPT
    assert TOKEN not in repr(vars(gate._granted))


async def test_too_many_at_once_are_told_to_come_again(gate: UrlGate, api: FakeApi) -> None:
    """Four tokens are asked about at once, more get 503 without a call, so that approvals keep the connections."""
    release = asyncio.Event()

    async def wait(_: web.Request) -> web.StreamResponse:
        await release.wait()
        return web.json_response({"status": {}})

    api.faults["create"].extend([wait] * 4)
    waiting = [asyncio.create_task(gate.admit(f"Bearer t{number}")) for number in range(4)]
    async with asyncio.timeout(20):
        while len(api.seen) < 4:  # noqa: ASYNC110 - the fake API server has no event for it
            await asyncio.sleep(0.005)

    assert await _ask(gate) == HTTPStatus.SERVICE_UNAVAILABLE
    release.set()
    assert await asyncio.gather(*waiting) == [HTTPStatus.UNAUTHORIZED] * 4
    assert (await _ask(gate), len(api.seen)) == (HTTPStatus.OK, 6)


async def test_a_failure_is_said_once_until_it_is_over(
    gate: UrlGate, api: FakeApi, caplog: pytest.LogCaptureFixture
) -> None:
    """One line when it begins, none for each scrape, one more when it begins again; never with the token."""
    caplog.set_level(logging.WARNING, "nodegate.metrics")
    api.faults["create"].extend([status(403, "Forbidden")] * 3)
    for _ in range(4):
        await _ask(gate)
    api.faults["create"].append(status(403, "Forbidden"))
    await _ask(gate, "other")

    assert len(caplog.records) == 2
    assert all("tokenreviews" in record.message and TOKEN not in record.message for record in caplog.records)
