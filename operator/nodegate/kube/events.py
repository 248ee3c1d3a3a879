"""Events of ``events.k8s.io/v1``: what happened to which object in, one POST out.

``build_event`` is pure; ``post_event`` does the input and output. The limits are the API server's
own validation (``pkg/apis/core/validation/events.go``): it refuses what is longer.
"""

import datetime as dt
import platform
from collections.abc import Mapping
from typing import Any, Final, Literal

from nodegate.kube.client import ApiClient
from nodegate.names import EVENT_CONTROLLER

NOTE_LIMIT: Final = 1024
"""Bytes of the note."""

WORD_LIMIT: Final = 128
"""Bytes of reason, action, controller and instance."""

DEFAULT_NAMESPACE: Final = "default"
"""Where events about cluster-scoped objects live; the API server insists."""

EventType = Literal["Normal", "Warning"]
"""The only two types that the API server accepts."""


def build_event(
    *,
    regarding: Mapping[str, str],
    type: EventType,  # noqa: A002  # the field's own name
    reason: str,
    action: str,
    note: str,
    when: dt.datetime,
    instance: str,
) -> dict[str, Any]:
    """Return the event as the API server takes it.

    Args:
        regarding: ``apiVersion``, ``kind``, ``name``, ``uid`` and, where it has one, ``namespace``.
        type: Normal or Warning.
        reason: Why, one CamelCase word.
        action: What was done, one CamelCase word.
        note: A sentence for people; cut at 1024 bytes.
        when: The moment, with a time zone.
        instance: Which process says so.
    """
    namespace = regarding.get("namespace") or DEFAULT_NAMESPACE
    moment = when.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"generateName": "nodegate-", "namespace": namespace},
        "eventTime": moment,
        "type": type,
        "reason": _cut(reason, WORD_LIMIT),
        "action": _cut(action, WORD_LIMIT),
        "note": _cut(note, NOTE_LIMIT),
        "regarding": dict(regarding),
        "reportingController": EVENT_CONTROLLER,
        "reportingInstance": _cut(instance, WORD_LIMIT),
    }


async def post_event(
    client: ApiClient,
    *,
    regarding: Mapping[str, str],
    type: EventType,  # noqa: A002  # the field's own name
    reason: str,
    action: str,
    note: str,
    when: dt.datetime,
) -> None:
    """Build an event and post it; the arguments are those of ``build_event``.

    Raises:
        ApiError: It was not posted, or nobody knows; an event is worth no second try.
    """
    event = build_event(
        regarding=regarding,
        type=type,
        reason=reason,
        action=action,
        note=note,
        when=when,
        instance=platform.node() or "unknown",
    )
    await client.post(f"/apis/events.k8s.io/v1/namespaces/{event['metadata']['namespace']}/events", event)


def _cut(text: str, limit: int) -> str:
    """Return ``text`` in at most ``limit`` bytes of UTF-8, never cutting inside a character."""
    encoded = text.encode("utf-8", "replace")
    return text if len(encoded) <= limit else encoded[:limit].decode("utf-8", "ignore")
