"""The client to compare with: it approves without looking, as fast as one connection pool can."""

import json
import time
from typing import Any

from hack.bench.load import CSRS, ENROLLMENTS, Api, each

_MERGE = {"Content-Type": "application/merge-patch+json"}


async def approve_all(api: Api, prefix: str, *, record: bool) -> float:
    """Approve every request whose name begins with `prefix`; return approvals a second.

    Args:
        api: The session.
        prefix: Of the requests' names.
        record: Patch the node's enrollment status before, as the operator does.
    """
    listed = await api.call("GET", CSRS)
    bodies = [item for item in listed["items"] if item["metadata"]["name"].startswith(prefix)]

    async def approve(body: dict[str, Any]) -> None:
        name = body["metadata"]["name"]
        if record:
            node = name.removeprefix(f"{prefix}-")
            await api.session.patch(
                f"{api.server}{ENROLLMENTS}/{node}/status", data=_join(body), headers=_MERGE, raise_for_status=True
            )
        await api.session.put(
            f"{api.server}{CSRS}/{name}/approval",
            data=_approval(body),
            headers={"Content-Type": "application/json"},
            raise_for_status=True,
        )

    started = time.perf_counter()
    await each(bodies, approve)
    return len(bodies) / (time.perf_counter() - started)


def _join(body: dict[str, Any]) -> bytes:
    join = {
        "publicKeySHA256": "0" * 64,
        "csrUID": body["metadata"]["uid"],
        "csrName": body["metadata"]["name"],
        "requester": "system:bootstrap:abcdef",
        "time": "2030-01-01T00:00:00Z",
    }
    return json.dumps({"status": {"joins": [join], "joinCount": 1}}).encode()


def _approval(body: dict[str, Any]) -> bytes:
    metadata = {key: body["metadata"][key] for key in ("name", "uid", "resourceVersion")}
    condition = {"type": "Approved", "status": "True", "reason": "Raw", "message": "approved without looking"}
    document = {**body, "metadata": metadata, "status": {"conditions": [condition]}}
    return json.dumps(document).encode()
