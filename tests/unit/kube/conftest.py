"""The fake API server and a client of it, for every test here."""

from collections.abc import AsyncIterator

import pytest

from nodegate.kube.client import ApiClient
from tests.unit.kube.fake_api import FakeApi, Recorder, connect, serve


@pytest.fixture(name="api")
async def _api() -> AsyncIterator[FakeApi]:
    """A fake API server."""
    async with serve() as api:
        yield api


@pytest.fixture(name="recorder")
def _recorder() -> Recorder:
    """What the observers were told."""
    return Recorder()


@pytest.fixture(name="client")
async def _client(api: FakeApi, recorder: Recorder) -> AsyncIterator[ApiClient]:
    """A real client of the fake API server."""
    async with connect(api, recorder=recorder) as client:
        yield client
