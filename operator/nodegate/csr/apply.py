"""A condition to write goes in, what became of it comes out.

Rules: the approval names the very object that was judged (uid and resourceVersion), because the API
server accepts an update without them whatever has changed. The request's own labels, annotations,
owners and finalizers go along, because the approval endpoint takes metadata from the body.
"""

import enum
import json
from collections.abc import Mapping
from typing import Any, Final

from nodegate.errors import Conflict, NotFound
from nodegate.kube.client import ApiClient
from nodegate.kube.paths import object_path

CSR_PATH: Final = "/apis/certificates.k8s.io/v1/certificatesigningrequests"

_KEPT = ("name", "uid", "resourceVersion", "labels", "annotations", "ownerReferences", "finalizers")
TRIMMED: Final = "trimmed"
"""Marks an object in memory whose metadata is not whole: it has to be read again before it is written."""

_BRIEF = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
"""Asks for metadata only in the answer: nobody reads more of it."""


class Written(enum.Enum):
    """What became of a condition."""

    DONE = enum.auto()
    CHANGED = enum.auto()
    """The request is not the one that was judged any more: judge again from a fresh read."""

    GONE = enum.auto()


def approval_body(body: Mapping[str, Any], condition: Mapping[str, str]) -> bytes:
    """Return what to PUT: the judged object's own metadata and its conditions with the new one."""
    metadata = {key: body["metadata"][key] for key in _KEPT if key in body["metadata"]}
    conditions = [*((body.get("status") or {}).get("conditions") or ()), dict(condition)]
    document = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": metadata,
        "spec": body["spec"],
        "status": {"conditions": conditions},
    }
    return json.dumps(document, separators=(",", ":")).encode()


async def write_condition(client: ApiClient, body: Mapping[str, Any], condition: Mapping[str, str]) -> Written:
    """Write a condition to the request that was judged.

    Raises:
        Forbidden: The right to approve for the signer, or to update approvals, is missing.
        Invalid: Another writer's condition contradicts it, or an admission policy refuses it.
        ApiError: Nobody knows whether it was written; a fresh read tells.
    """
    if TRIMMED in body:
        whole = await read_request(client, body["metadata"]["name"])
        if whole is None:
            return Written.GONE
        if whole["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"]:
            return Written.CHANGED
        body = whole
    path = object_path(CSR_PATH, body["metadata"]["name"], "approval")
    try:
        await client.put(path, approval_body(body, condition), accept=_BRIEF)
    except Conflict:
        return Written.CHANGED
    except NotFound:
        return Written.GONE
    return Written.DONE


async def read_request(client: ApiClient, name: str) -> Mapping[str, Any] | None:
    """Read a request afresh; None when it is gone."""
    try:
        return await client.get(object_path(CSR_PATH, name))
    except NotFound:
        return None
