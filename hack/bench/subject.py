"""The operator as the subject of measurement: a real process, what it asks of the API server, and what it does."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Final

from hack.bench.load import CSRS, Api, make_request
from hack.operator_process import OperatorProcess

_CALLS: Final = "nodegate_api_requests_total"


class Subject(OperatorProcess):
    """One running operator, and its calls counted by itself."""

    def all_calls(self) -> float:
        """Return how many requests it has made, lists and watches left out."""
        return sum(self.metric(_CALLS, verb=verb) for verb in ("get", "create", "update", "patch", "delete"))

    def decision_calls(self) -> float:
        """Return how many of them were on the way to a decision: approvals, joins and reads, no bookkeeping."""
        approvals = self.metric(_CALLS, verb="update", resource="certificatesigningrequests/approval")
        reads = self.metric(_CALLS, verb="get")
        return approvals + reads + self.metric("nodegate_enrollment_joins_total")


@contextmanager
def running(kubeconfig: Path, folder: Path) -> Iterator[Subject]:
    """Run the operator until it is ready and then further; stopped at the end."""
    subject = Subject(kubeconfig, folder)
    try:
        subject.start()
        subject.wait_ready()
        yield subject
    finally:
        subject.stop()


async def waits(api: Api, prefix: str, nodes: Sequence[str], rate: float) -> list[float]:
    """Make a request for each node at a steady rate; return the seconds from each one's creation to its approval."""
    created: dict[str, float] = {}
    found: list[float] = []

    async def watch() -> None:
        async with aclosing(approved(api, f"{prefix}-")) as approvals:
            async for name, moment in approvals:
                found.append(moment - created[name])
                if len(found) == len(nodes):
                    return

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0.5)
    for node in nodes:
        name = f"{prefix}-{node}"
        created[name] = time.perf_counter()
        await make_request(api, name, node)
        await asyncio.sleep(max(0.0, created[name] + 1 / rate - time.perf_counter()))
    await watching
    return found


async def approved(api: Api, prefix: str) -> AsyncGenerator[tuple[str, float], None]:
    """Yield the name and the moment (``perf_counter``) of each approval seen in a watch."""
    seen: set[str] = set()
    async with api.session.get(f"{api.server}{CSRS}?watch=1", timeout=None) as response:
        async for line in response.content:
            item = json.loads(line)["object"]
            name = item["metadata"]["name"]
            conditions = item.get("status", {}).get("conditions", ())
            if name.startswith(prefix) and name not in seen and any(c["type"] == "Approved" for c in conditions):
                seen.add(name)
                yield name, time.perf_counter()
