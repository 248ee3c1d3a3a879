"""Pools for tests: what differs comes in, a body or a `Pool` leaves."""

from typing import Any

from nodegate.pool.model import Pool
from nodegate.pool.parse import parse_pool

Document = dict[str, Any]


def pool_body(name: str = "fleet", *, status: Document | None = None, **spec: Any) -> Document:
    """Return a NodeEnrollmentPool that lets token abcdef in as node-a to node-z, with these fields instead."""
    usual = {"namePattern": "node-[a-z]", "maxNodes": 3, "tokenIDs": ["abcdef"]}
    metadata = {"name": name, "uid": f"uid-of-{name}", "resourceVersion": "7", "generation": 2}
    body = {"apiVersion": "nodegate.dev/v1alpha1", "kind": "NodeEnrollmentPool", "metadata": metadata}
    return {**body, "spec": usual | spec, **({"status": status} if status is not None else {})}


def make_pool(name: str = "fleet", **spec: Any) -> Pool:
    """Return such a pool as the operator reads it."""
    return parse_pool(pool_body(name, **spec))
