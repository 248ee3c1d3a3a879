"""What kopf calls for FlannelNetworks: a network was made, its spec changed, or the operator began."""

from collections.abc import Callable
from typing import Any, Final

import kopf

from nodegate.names import API_GROUP

RESOURCE: Final = (API_GROUP, "v1alpha1", "flannelnetworks")


def register(registry: kopf.OperatorRegistry, look: Callable[[str], None]) -> None:
    """Register the handlers of FlannelNetworks.

    Deletions come through the store of networks: kopf would put a finalizer of its own on every network to see them.

    Args:
        registry: kopf's registry of this operator.
        look: Has a network looked at soon, by name; must not raise.
    """

    @kopf.on.create(*RESOURCE, registry=registry)
    @kopf.on.update(*RESOURCE, registry=registry)
    @kopf.on.resume(*RESOURCE, registry=registry)
    async def network_changed(body: kopf.Body, **_: Any) -> None:
        look(str(body.metadata.name))
