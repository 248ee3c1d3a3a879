"""What is to be said of a NodeEnrollmentPool before it is applied.

A manifest and the other pools go in, remarks come out. Rules: pure; first what the API server would refuse; then, as
the operator would, what stalls the pool and which pools match the same names. What is probably not meant is advice.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from nodegate.cli.enrollment_shape import head_faults
from nodegate.cli.findings import Severity
from nodegate.cli.lint_rules import Remark
from nodegate.cli.pool_schema import SPEC
from nodegate.cli.schema import problems
from nodegate.errors import Malformed
from nodegate.names import BOOTSTRAP_GROUP, NODEGATE_GROUP
from nodegate.pool.model import Pool, PoolState
from nodegate.pool.parse import parse_pool

KIND: Final = "NodeEnrollmentPool"

WIDE: Final = {4: 16, 6: 48}
"""Prefix lengths below which a range is more than the nodes of one fleet, by IP version."""


def pool_faults(body: Mapping[Any, Any]) -> list[Remark]:
    """Return what keeps a pool from being applied, or from taking part in anything."""
    faults = [*head_faults(body, "expected spec, found nothing; a pool has a namePattern and maxNodes", "the pool")]
    if body.get("spec") is not None:
        faults += problems(SPEC, body["spec"], ("spec",))
    if faults:
        return [Remark(Severity.ERROR, *fault) for fault in faults]
    try:
        pool = parse_pool(body)
    except Malformed as error:
        return [Remark(Severity.ERROR, (), f"the operator cannot read it: {error}", "operator")]
    return [Remark(Severity.ERROR, _path(fault), fault.partition(": ")[2], "stalled") for fault in pool.faults]


def _path(fault: str) -> tuple[str, ...]:
    return tuple(fault.partition(":")[0].split("."))


def pool_remarks(body: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> Iterator[Remark]:
    """Yield what is to be said of a pool that has no faults.

    Args:
        body: The manifest.
        others: The other pools without faults.
    """
    pool = parse_pool(body)
    for other in map(parse_pool, others):
        yield from _overlap(pool, other)
    open_groups = sorted(pool.spec.groups & {BOOTSTRAP_GROUP, NODEGATE_GROUP})
    if open_groups:
        what = f"expected a group of this fleet's own, found {', '.join(open_groups)}: every bootstrap token is in it"
        yield Remark(Severity.WARNING, ("spec", "groups"), what, "open-group")
    for index, network in enumerate(pool.spec.ranges):
        if network.prefixlen < WIDE[network.version]:
            what = f"expected the addresses of one fleet, found {network}: a node may take any free one of them"
            yield Remark(Severity.WARNING, ("spec", "addressRanges", index), what, "wide-range")
    serving = pool.spec.template.get("serving") or {}
    if not pool.spec.ranges and serving.get("approve", True) and not serving.get("allowDNSOnly"):
        what = "no addressRanges: serving certificates wait until somebody lists each node's addresses"
        yield Remark(Severity.INFO, ("spec",), what, "no-ranges")


def _overlap(pool: Pool, other: Pool) -> Iterator[Remark]:
    active = pool.spec.state is other.spec.state is PoolState.ACTIVE
    if not active or pool.name == other.name or pool.spec.pattern is None or other.spec.pattern is None:
        return
    shared = pool.spec.pattern.shared_with(other.spec.pattern)
    if shared is not None:
        what = (
            f"expected names of this pool only, found {shared}, which pool {other.name} matches, too: none enrolls it"
        )
        yield Remark(Severity.ERROR, ("spec", "namePattern"), what, "pool-conflict")
