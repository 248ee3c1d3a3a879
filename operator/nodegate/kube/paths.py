"""Paths of the API server: built safely, and reduced to a closed label. Pure.

A CertificateSigningRequest may be named almost anything by whoever creates it (the API server only
refuses "/", "%", "." and ".."), so a name such as ``x?dryRun=All`` must never be pasted into a URL.
"""

from urllib.parse import quote

from nodegate.errors import Malformed

_API_DEPTH = {"api": 3, "apis": 4}
_OPERATIONAL = frozenset({"version", "healthz", "livez", "readyz", "openapi"})


def object_path(collection: str, name: str, subresource: str = "") -> str:
    """Return the path of one object, its name escaped as one segment.

    Args:
        collection: The path of the collection, without a slash at the end.
        name: The object's name as it stands in ``metadata.name``.
        subresource: For example ``approval``; empty for the object itself.

    Raises:
        Malformed: The name is no path segment.
    """
    if not name or name in {".", ".."}:
        raise Malformed(f"expected an object's name, found {name!r}: it cannot be part of a path")
    path = f"{collection}/{quote(name, safe='')}"
    return f"{path}/{subresource}" if subresource else path


def resource_of(path: str) -> str:
    """Return the metric label of a path: the plural, and ``/subresource`` where there is one.

    ``/apis/certificates.k8s.io/v1/certificatesigningrequests/x/approval`` becomes
    ``certificatesigningrequests/approval``; what is no resource is ``version``, ``readyz`` and the
    like, ``discovery``, or ``other``.

    Raises:
        Malformed: The path is not absolute or holds characters that would change the request.
    """
    if not path.startswith("/") or any(mark in path for mark in "?# \r\n"):
        raise Malformed(f"expected an escaped absolute path, found {path[:80]!r}: build it with object_path")
    parts = path.strip("/").split("/")
    depth = _API_DEPTH.get(parts[0])
    if depth is None:
        return parts[0] if parts[0] in _OPERATIONAL else "other"
    return _resource(parts[depth - 1 :])


def _resource(rest: list[str]) -> str:
    if len(rest) > 2 and rest[0] == "namespaces" and rest[2] not in {"status", "finalize"}:  # noqa: PLR2004  # namespaces/NAME/plural
        rest = rest[2:]
    if not rest:
        return "discovery"
    return f"{rest[0]}/{rest[2]}" if len(rest) > 2 else rest[0]  # noqa: PLR2004  # plural/NAME/subresource
