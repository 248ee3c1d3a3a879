"""A whole NodeEnrollment manifest goes in, what the API server would refuse of it comes out.

Rules: pure; the head is Kubernetes' own, the spec is the CRD's. A status is passed over, as the API server
does with it where objects are applied.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from nodegate.cli.enrollment_schema import SPEC
from nodegate.cli.schema import Problem, problems, unknown_field
from nodegate.identity import is_subdomain
from nodegate.names import API_VERSION
from nodegate.text import visible

_HEAD = ("apiVersion", "kind", "metadata", "spec", "status")
_METADATA = (
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
)
"""The fields of metadata that there are (Kubernetes, meta/v1 ObjectMeta)."""


def faults(body: Mapping[Any, Any]) -> Iterator[Problem]:
    """Yield what the API server would refuse of a NodeEnrollment, its status left out."""
    yield from head_faults(body, "expected spec, found nothing; write spec: {} for an open enrollment", "the node")
    if body.get("spec") is not None:
        yield from problems(SPEC, body["spec"], ("spec",))


def head_faults(body: Mapping[Any, Any], no_spec: str, named: str) -> Iterator[Problem]:
    """Yield what the API server would refuse outside of the spec.

    Args:
        body: An object of one of our kinds.
        no_spec: What to say when there is no spec.
        named: Whose name metadata.name is.
    """
    for key in body:
        if key not in _HEAD:
            yield unknown_field(str(key), dict.fromkeys(_HEAD), ())
    if body.get("apiVersion") != API_VERSION:
        found = visible(str(body.get("apiVersion") or "nothing"))
        yield Problem(("apiVersion",), f"expected {API_VERSION}, found {found}", "kind")
    yield from _metadata(body.get("metadata"), named)
    if body.get("spec") is None:
        yield Problem(("spec",), no_spec, "required")


def _metadata(meta: Any, named: str) -> Iterator[Problem]:
    if not isinstance(meta, Mapping):
        yield Problem(("metadata",), "expected an object with a name, found none", "required")
        return
    for key in meta:
        if key not in _METADATA:
            yield unknown_field(str(key), dict.fromkeys(_METADATA), ("metadata",))
    name = meta.get("name")
    if name is None:
        yield Problem(("metadata", "name"), f"expected the name of {named}, found nothing", "required")
    elif not isinstance(name, str):
        yield Problem(
            ("metadata", "name"), f"expected a string, found {visible(str(name))}; write it in quotes", "type"
        )
    elif not is_subdomain(name):
        message = f"expected a lower-case DNS-1123 subdomain, the name of {named}, found {visible(name)!r}"
        yield Problem(("metadata", "name"), message, "name")


def as_stored(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the object as the API server would give it back: a whole number with a point has none then."""
    return {key: _whole(value) if key == "spec" else value for key, value in body.items()}


def _whole(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _whole(part) for key, part in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value
