"""Reads and writes of NodeEnrollments: a name or a patch goes in, the object comes out.

Rules: only ``status`` is ever written, by merge patches that carry the resourceVersion they were
judged at; the spec is the administrator's.
"""

from typing import Any, Final

from nodegate.errors import NotFound
from nodegate.kube.client import ApiClient
from nodegate.kube.paths import object_path
from nodegate.names import API_VERSION

ENROLLMENT_PATH: Final = f"/apis/{API_VERSION}/nodeenrollments"


async def read_enrollment(client: ApiClient, name: str) -> Any | None:
    """Read an enrollment from the API server; None when there is none.

    Raises:
        ApiError: It could not be read, which is not the same as not being there.
    """
    try:
        return await client.get(object_path(ENROLLMENT_PATH, name))
    except NotFound as error:
        if error.reason == "NotFound" and "the server could not find the requested resource" in str(error):
            raise  # The kind itself is missing: no answer about this object.
        return None


async def patch_status(client: ApiClient, name: str, patch: Any) -> Any:
    """Patch an enrollment's status and return the object.

    Raises:
        Conflict: It is not the one that was judged any more.
        NotFound: It is gone.
    """
    return await client.merge_patch(object_path(ENROLLMENT_PATH, name, "status"), patch)
