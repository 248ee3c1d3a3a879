"""Writes ``spec.node`` to Nodes: an enrollment and its recorded Node come in, the Node is patched.

Rules: a Node is read afresh and patched at the uid and resourceVersion that were read, so nobody's
change is lost and a Node that took another's place is left alone. The same settings are written to the
same Node at most once a minute, however often somebody changes them back; new settings at once.
"""

import logging
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from nodegate.enrollment.model import Enrollment, NodeName, NodeRef, NodeTemplate
from nodegate.enrollment.node_settings import allowed, node_patch
from nodegate.errors import ApiError, Conflict, Malformed, NotFound
from nodegate.fields import Fields
from nodegate.kube.client import ApiClient
from nodegate.kube.paths import object_path
from nodegate.node_template import read_node_template

NODE_PATH: Final = "/api/v1/nodes"

PACE_S: Final = 60.0
"""Least seconds between two writes of the same settings to the same Node."""

SOON_S: Final = 1.0
"""Seconds after which an enrollment is looked at again whose Node has just changed, or could not be written."""

_log = logging.getLogger("nodegate.enrollment.node")


class _Tried(NamedTuple):
    uid: str
    template: NodeTemplate
    at_s: float
    """On the monotonic clock."""


class NodeApplier:
    """Patches Nodes, and remembers when and with what outcome.

    Args:
        client: Reads and patches Nodes.
        again: Has an enrollment looked at again in so many seconds.
    """

    def __init__(self, client: ApiClient, again: Callable[[str, float], None]) -> None:
        self._client = client
        self._again = again
        self._tried: dict[NodeName, _Tried] = {}
        self._problems: dict[NodeName, str] = {}

    def problem(self, name: NodeName) -> str:
        """Return why the Node could not be written at the last try; empty when it could."""
        return self._problems.get(name, "")

    def forget(self, name: str) -> None:
        """Forget an enrollment that is gone."""
        self._tried.pop(NodeName(name), None)
        self._problems.pop(NodeName(name), None)

    async def apply(self, enrollment: Enrollment, node: NodeRef) -> None:
        """Make the Node carry what the enrollment lists; what fails is told in the status and tried again.

        Args:
            enrollment: What is wanted.
            node: Which Node, and as ``settings`` what we may have set on it; written to the status before.
        """
        name, template = enrollment.name, allowed(enrollment.node)
        wait = self._wait_s(name, node.uid or "", template)
        if wait > 0:
            self._again(name, wait)
            return
        self._tried[name] = _Tried(node.uid or "", template, time.monotonic())
        try:
            await self._patch(name, template, node)
            self._problems.pop(name, None)
        except NotFound:
            return
        except Conflict:  # Somebody wrote it meanwhile, which wears off: no reason to wait a minute.
            del self._tried[name]
            self._again(name, SOON_S)
        except (ApiError, Malformed) as error:
            self._note(name, error)

    def _wait_s(self, name: NodeName, uid: str, template: NodeTemplate) -> float:
        """Return the seconds to wait before these settings may be written to this Node again."""
        tried = self._tried.get(name)
        if tried is None or (tried.uid, tried.template) != (uid, template):
            return 0.0
        return tried.at_s + PACE_S - time.monotonic()

    async def _patch(self, name: NodeName, template: NodeTemplate, node: NodeRef) -> None:
        path = object_path(NODE_PATH, name)
        body: Any = await self._client.get(path)
        root = Fields(body)
        if root.child("metadata").text("uid") != node.uid:
            return
        present = read_node_template(root.child("metadata"), root.child("spec"))
        patch = node_patch(template, node.settings, present, {"spec": {}, **body})
        if patch is not None:
            await self._client.merge_patch(path, patch)
            _log.info("set labels, annotations and taints of spec.node on Node %s", name)

    def _note(self, name: NodeName, error: Exception) -> None:
        """Have the status say what is wrong, and try again in a minute."""
        said = f"The Node could not be written, to be tried again in a minute: {error}."
        if self._problems.get(name) != said:
            _log.warning("cannot write Node %s: %s", name, error)
            self._problems[name] = said
        self._again(name, SOON_S)
