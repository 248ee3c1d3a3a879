"""What kopf calls for NodeEnrollmentPools: a pool was made or its spec changed, so its status is looked at."""

from collections.abc import Callable
from typing import Any, Final

import kopf

from nodegate.names import API_GROUP

RESOURCE: Final = (API_GROUP, "v1alpha1", "nodeenrollmentpools")


def register(registry: kopf.OperatorRegistry, look: Callable[[str], None]) -> None:
    """Register the handlers of NodeEnrollmentPools.

    Args:
        registry: kopf's registry of this operator.
        look: Has the status of a pool looked at soon, by name; must not raise.
    """

    @kopf.on.create(*RESOURCE, registry=registry)
    @kopf.on.update(*RESOURCE, registry=registry)
    async def pool_changed(body: kopf.Body, **_: Any) -> None:
        look(str(body.metadata.name))
