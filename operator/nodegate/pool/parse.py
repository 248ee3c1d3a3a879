"""NodeEnrollmentPool objects in, `Pool` values out.

Rules: what the schema refuses is `Malformed`; what it cannot judge (the pattern) or lets pass (nobody may ask) is a
fault of the pool, which its status tells.
"""

import re
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any, Final

from nodegate.conditions import read_condition
from nodegate.errors import Malformed
from nodegate.fields import Fields
from nodegate.identity import IPNetwork, is_subdomain
from nodegate.names import EVERYBODY_GROUP, NODE_USER_PREFIX, NODES_GROUP
from nodegate.pool.model import Pool, PoolSpec, PoolState, PoolStatus
from nodegate.pool.pattern import Pattern
from nodegate.text import listed, visible

NAME_LIMIT: Final = 63
"""Characters of a pool's name: it is the value of a label."""

OPEN_GROUPS: Final = frozenset(
    {EVERYBODY_GROUP, "system:unauthenticated", "system:serviceaccounts", "system:masters", NODES_GROUP}
)
"""Groups that say nothing about who asks, or whose members have no business in bootstrapping."""

TEMPLATE_FIELDS: Final = frozenset({"mode", "bootstrap", "rejoin", "serving", "maxExpirationSeconds", "node"})
"""What a template may hold. Addresses, names, tokens, users and keys are a node's own and never a fleet's."""

_TOKEN_ID = re.compile("[a-z0-9]{6}")
_DEFAULTS = PoolSpec(pattern=None, max_nodes=0)


def parse_pool(body: Any) -> Pool:
    """Read a NodeEnrollmentPool object.

    Raises:
        Malformed: A field has a value that the schema refuses.
    """
    root = Fields(body)
    if root.text("kind", "NodeEnrollmentPool") != "NodeEnrollmentPool":
        raise Malformed(f"kind: expected NodeEnrollmentPool, found {visible(root.text('kind'))}")
    meta, fields = root.child("metadata"), root.child("spec")
    spec, fault = _spec(fields, _template(fields, body))
    return Pool(
        name=_name(meta),
        uid=meta.text("uid"),
        resource_version=meta.text("resourceVersion"),
        generation=meta.integer("generation"),
        spec=spec,
        faults=(*([fault] if fault else []), *_faults(spec)),
        status=_status(root.child("status")),
    )


def _name(meta: Fields) -> str:
    name = meta.text("name")
    if not is_subdomain(name) or len(name) > NAME_LIMIT:
        raise Malformed(
            f"metadata.name: expected a DNS-1123 subdomain of at most {NAME_LIMIT} characters, found "
            f"{visible(name) or 'nothing'}"
        )
    return name


def _spec(fields: Fields, template: dict[str, Any]) -> tuple[PoolSpec, str]:
    """Return the spec, and what is wrong with its pattern; empty when nothing is."""
    pattern, fault = None, ""
    try:
        pattern = Pattern(fields.text("namePattern"))
    except Malformed as error:
        fault = f"spec.namePattern: {error}"
    return PoolSpec(
        pattern=pattern,
        max_nodes=_at_least_one(fields, "maxNodes"),
        state=_state(fields),
        ranges=_ranges(fields),
        addresses_per_node=_at_least_one(fields, "addressesPerNode", _DEFAULTS.addresses_per_node),
        token_ids=_token_ids(fields),
        users=frozenset(fields.texts("users")),
        groups=frozenset(fields.texts("groups")),
        template=template,
    ), fault


def _at_least_one(fields: Fields, key: str, default: int | None = None) -> int:
    number = fields.integer(key)
    if number is None and default is not None:
        return default
    if number is None or number < 1:
        raise Malformed(f"{fields.path}.{key}: expected a whole number of at least 1, found {number or 'nothing'}")
    return number


def _state(fields: Fields) -> PoolState:
    text = fields.text("state", _DEFAULTS.state.value)
    try:
        return PoolState(text)
    except ValueError:
        raise Malformed(f"{fields.path}.state: expected Active or Suspended, found {visible(text)}") from None


def _ranges(fields: Fields) -> tuple[IPNetwork, ...]:
    try:
        return tuple(ip_network(text) for text in fields.texts("addressRanges"))
    except ValueError as error:
        raise Malformed(
            f"{fields.path}.addressRanges: expected networks such as 10.0.8.0/22, found {visible(str(error))}"
        ) from error


def _token_ids(fields: Fields) -> frozenset[str]:
    ids = fields.texts("tokenIDs")
    for index, token_id in enumerate(ids):
        if not _TOKEN_ID.fullmatch(token_id):
            raise Malformed(
                f"{fields.path}.tokenIDs[{index}]: expected six characters of a-z and 0-9, found {visible(token_id)}"
            )
    return frozenset(ids)


def _template(fields: Fields, body: Any) -> dict[str, Any]:
    """Return the template as JSON; what it says is the enrollment's to read."""
    template = fields.child("template")
    odd = sorted({*template.keys()} - TEMPLATE_FIELDS)
    odd += [f"bootstrap.{key}" for key in sorted({*template.child("bootstrap").keys()} - {"maxJoins"})]
    if odd:
        raise Malformed(f"{template.path}: expected none but {listed(sorted(TEMPLATE_FIELDS))}, found {listed(odd)}")
    return dict((body.get("spec") or {}).get("template") or {})


def _faults(spec: PoolSpec) -> Iterator[str]:
    if not (spec.token_ids or spec.users or spec.groups):
        yield "spec: expected at least one of tokenIDs, users and groups, found none: nobody may join through this pool"
    open_groups = sorted(spec.groups & OPEN_GROUPS)
    if open_groups:
        yield f"spec.groups: expected groups of bootstrapping kubelets, found {listed(open_groups)}"
    users = sorted(u for u in spec.users if u.startswith(NODE_USER_PREFIX) or u == "system:anonymous")
    if users:
        yield f"spec.users: expected users that kubelets bootstrap with, found {listed(users)}"


def _status(fields: Fields) -> PoolStatus:
    return PoolStatus(
        observed_generation=fields.integer("observedGeneration"),
        nodes=fields.integer("nodes"),
        conditions=tuple(read_condition(condition) for condition in fields.children("conditions")),
    )
