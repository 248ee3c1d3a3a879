"""The whole operator in this process, for tests that start it, and what has to be put back after it.

A cluster comes in, a running operator and what its endpoints answer leave. Rules: who makes a `Run` closes it; modules
that do so use the fixture `untuned`.
"""

import asyncio
import gc
import signal
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from nodegate.settings import Settings
from nodegate.startup import Operator
from tests.unit.fake_cluster import Cluster
from tests.unit.kube.fake_api import until


class Run:
    """An operator that runs, and what it answers."""

    def __init__(self, cluster: Cluster, **settings: Any) -> None:
        settings.setdefault("insecure_metrics", True)
        here = ("127.0.0.1", 0)
        self.operator = Operator(Settings(listen=here, metrics_listen=here, **settings), cluster.credentials())
        self.task = asyncio.create_task(self.operator.run())

    async def get(self, path: str) -> tuple[int, str]:
        """Return status and text of an endpoint."""
        await until(lambda: self.operator._server.port > 0)
        url = f"http://127.0.0.1:{self.operator._server.port}{path}"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return response.status, await response.text()

    async def close(self) -> None:
        """End it, however far it is."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.operator.close()


@pytest.fixture
def untuned() -> Iterator[None]:
    """Put back what the operator tunes for its whole process."""
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
