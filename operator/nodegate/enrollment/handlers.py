"""What kopf calls for NodeEnrollments: each handler reads the object and hands it to the flow.

kopf's memory of what it has handled is ``status.observedGeneration``, the field that Kubernetes has
for it: no annotations, no finalizers, no right to patch the object itself. kopf's progress records
are not kept: a handler never fails, because the flow queues what the API server refused.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

import kopf

from nodegate.enrollment.model import Enrollment
from nodegate.enrollment.parse import parse_enrollment
from nodegate.errors import Malformed
from nodegate.names import API_GROUP

RESOURCE: Final = (API_GROUP, "v1alpha1", "nodeenrollments")

_log = logging.getLogger("nodegate.enrollment")


class ObservedGeneration(kopf.DiffBaseStorage):
    """Compares generations: what the status has seen with what the object is.

    The essence of an object is its generation alone, which the API server raises with every change of
    spec; so kopf copies and compares one number where it would copy and compare whole objects.
    """

    def build(self, *, body: kopf.Body, extra_fields: Iterable[Any] | None = None) -> kopf.BodyEssence:  # noqa: ARG002 - kopf's signature
        """Return the essence of the object as it is."""
        return _essence(body.metadata.get("generation"))

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        """Return the essence that was handled, or None when none was."""
        observed = body.status.get("observedGeneration")
        return _essence(observed) if observed is not None else None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Store nothing: the flow writes ``status.observedGeneration`` itself."""


def _essence(generation: object) -> kopf.BodyEssence:
    return kopf.BodyEssence({"spec": {"generation": generation}})


class NoProgress(kopf.ProgressStorage):
    """Keeps no records of handlers: they finish in one go."""

    def fetch(self, *, key: str, body: kopf.Body) -> kopf.ProgressRecord | None:
        """Return that nothing is in progress."""

    def store(self, *, key: str, record: kopf.ProgressRecord, body: kopf.Body, patch: kopf.Patch) -> None:
        """Store nothing."""

    def purge(self, *, key: str, body: kopf.Body, patch: kopf.Patch) -> None:
        """Have nothing to purge."""

    def touch(self, *, body: kopf.Body, patch: kopf.Patch, value: str | None) -> None:
        """Never wake kopf by writing to the object."""

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        """Have nothing to clear from what is compared."""
        return essence


def register(registry: kopf.OperatorRegistry, observe: Callable[[Enrollment], Awaitable[None]]) -> None:
    """Register the handlers of NodeEnrollments.

    What was handled before the start is looked at again through the flow's own queue, so that a start
    with thousands of enrollments does not hold up decisions.

    Args:
        registry: kopf's registry of this operator.
        observe: Brings the status of an enrollment up to date; must not raise.
    """

    @kopf.on.create(*RESOURCE, registry=registry)
    @kopf.on.update(*RESOURCE, registry=registry)
    async def enrollment_changed(body: kopf.Body, **_: Any) -> None:
        try:
            enrollment = parse_enrollment(dict(body))
        except Malformed as error:
            _log.warning("NodeEnrollment %s cannot be read, nothing is approved by it: %s", body.metadata.name, error)
            return
        await observe(enrollment)
