"""Reads and writes of pools and of the enrollments that they make.

Rules: an enrollment is only ever created whole, or given addresses at the resourceVersion that was read; a pool's
status is patched in the same way, its spec never.
"""

from collections.abc import Mapping
from contextlib import aclosing
from typing import Any, Final

from nodegate.errors import NotFound
from nodegate.kube.client import ApiClient
from nodegate.kube.paths import object_path
from nodegate.names import API_VERSION

POOL_PATH: Final = f"/apis/{API_VERSION}/nodeenrollmentpools"
_ENROLLMENTS: Final = f"/apis/{API_VERSION}/nodeenrollments"
_NODES: Final = "/api/v1/nodes"


async def read_pools(client: ApiClient) -> list[Any]:
    """Return every pool as the API server has it now."""
    found: list[Any] = []
    async with aclosing(client.list_pages(POOL_PATH)) as pages:
        async for page in pages:
            found += page.get("items") or ()
    return found


async def read_enrollment(client: ApiClient, name: str) -> Mapping[str, Any] | None:
    """Return an enrollment's object, or None when there is none."""
    return await _read(client, _ENROLLMENTS, name)


async def node_exists(client: ApiClient, name: str) -> bool:
    """Tell whether a Node of this name exists now."""
    return await _read(client, _NODES, name) is not None


async def _read(client: ApiClient, collection: str, name: str) -> Mapping[str, Any] | None:
    try:
        return await client.get(object_path(collection, name))
    except NotFound:
        return None


async def create_enrollment(client: ApiClient, body: dict[str, Any]) -> dict[str, Any]:
    """Create an enrollment and return it.

    Raises:
        Conflict: There is one of that name.
        Forbidden: The right is missing, or a policy refuses it.
        Invalid: The schema refuses it.
    """
    return await client.post(_ENROLLMENTS, body)


async def patch_addresses(client: ApiClient, name: str, patch: dict[str, Any]) -> None:
    """Record an enrollment's addresses.

    Raises:
        Conflict: It is not the one that was read any more.
    """
    await client.merge_patch(object_path(_ENROLLMENTS, name), patch)


async def patch_status(client: ApiClient, name: str, patch: dict[str, Any]) -> None:
    """Patch a pool's status.

    Raises:
        Conflict: It is not the one that was judged any more.
        NotFound: It is gone.
    """
    await client.merge_patch(object_path(POOL_PATH, name, "status"), patch)
