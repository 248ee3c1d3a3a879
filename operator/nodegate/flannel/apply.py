"""Reads and writes of FlannelNetworks in the API server, and the reading of the Secrets that they name.

Rules: of a network only its status and its finalizers are ever written, by merge patches that carry the
resourceVersion they were judged at; of Secrets only the named one is read, by name, when it is needed.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from nodegate.errors import NotFound
from nodegate.flannel.network import SecretRef
from nodegate.kube.client import ApiClient
from nodegate.kube.paths import object_path
from nodegate.names import API_VERSION

NETWORK_PATH: Final = f"/apis/{API_VERSION}/flannelnetworks"

FINALIZER: Final = "nodegate.dev/flannel-config"
"""Keeps a network with ``deletionPolicy: DeleteWhenUnused`` until its config is gone."""


async def read_network(client: ApiClient, name: str) -> Mapping[str, Any] | None:
    """Return a network's object as the API server has it now, or None when there is none.

    Raises:
        ApiError: It could not be read.
    """
    try:
        return await client.get(object_path(NETWORK_PATH, name))
    except NotFound:
        return None


async def read_secret(client: ApiClient, ref: SecretRef) -> Mapping[str, Any]:
    """Return a Secret's object.

    Raises:
        ApiError: It could not be read.
    """
    return await client.get(object_path(f"/api/v1/namespaces/{ref.namespace}/secrets", ref.name))


async def patch_status(client: ApiClient, name: str, version: str, status: Mapping[str, Any]) -> Mapping[str, Any]:
    """Patch a network's status at a resourceVersion and return the object.

    Raises:
        Conflict: It is not the one that was judged any more.
        NotFound: It is gone.
    """
    body = {"metadata": {"resourceVersion": version}, "status": dict(status)}
    return await client.merge_patch(object_path(NETWORK_PATH, name, "status"), body)


async def patch_finalizers(client: ApiClient, name: str, version: str, finalizers: Sequence[str]) -> Mapping[str, Any]:
    """Replace a network's finalizers at a resourceVersion and return the object.

    Raises:
        Conflict: It is not the one that was read any more.
        NotFound: It is gone.
    """
    body = {"metadata": {"resourceVersion": version, "finalizers": list(finalizers)}}
    return await client.merge_patch(object_path(NETWORK_PATH, name), body)
