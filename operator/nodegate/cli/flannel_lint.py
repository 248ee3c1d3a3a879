"""What is to be said of a FlannelNetwork before it is applied.

A manifest and those beside it go in, remarks come out. Rules: pure; first what the API server would refuse,
and when that is nothing, what the operator would never write; whether an edit may be made now depends on the
leases, which ``flannel plan`` asks for.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nodegate.cli.facts import Manifest
from nodegate.cli.findings import Severity
from nodegate.cli.flannel_plan import gather
from nodegate.cli.flannel_schema import faults
from nodegate.cli.lint_rules import Remark
from nodegate.cli.places import FieldPath
from nodegate.errors import Malformed
from nodegate.flannel.decide import plan
from nodegate.flannel.model import Severity as Grade
from nodegate.flannel.parse import KIND, parse_network

_AROUND = frozenset({"Node", "Service", "ServiceCIDR", KIND})
"""The kinds that take ranges of their own."""

_FIELDS: Mapping[str, FieldPath] = {
    "Network": ("network",),
    "SubnetLen": ("subnetLen",),
    "SubnetMin": ("subnetMin",),
    "SubnetMax": ("subnetMax",),
    "EnableIPv6": ("ipv6",),
    "IPv6Network": ("ipv6", "network"),
    "IPv6SubnetLen": ("ipv6", "subnetLen"),
    "IPv6SubnetMin": ("ipv6", "subnetMin"),
    "IPv6SubnetMax": ("ipv6", "subnetMax"),
    "EnableNFTables": ("enableNFTables",),
}
"""The field of the spec for each member of the config."""

_PART = re.compile(r"([A-Za-z0-9]+)|\[([0-9]+)\]")


def network_faults(body: Mapping[Any, Any]) -> list[Remark]:
    """Return what the API server would refuse of a FlannelNetwork."""
    found = [Remark(Severity.ERROR, *fault) for fault in faults(body)]
    if found:
        return found
    try:
        parse_network(body)
    except Malformed as error:
        return [Remark(Severity.ERROR, (), f"the operator cannot read it: {error}", "operator")]
    return []


def network_remarks(body: Mapping[str, Any], beside: Sequence[Manifest]) -> Iterator[Remark]:
    """Yield what the operator would never write of a FlannelNetwork that the schema accepts, and what is odd in it.

    Args:
        body: The manifest.
        beside: Other manifests that can be read.
    """
    network = parse_network(body)
    facts = gather(network, [each for each in beside if each.body.get("kind") in _AROUND])
    for problem in plan(network, None, None, [], None, facts).problems:
        severity = Severity.ERROR if problem.severity is Grade.ERROR else Severity.WARNING
        yield Remark(severity, path_of(problem.field), problem.message, "flannel")


def path_of(field: str) -> FieldPath:
    """Return where a problem's field stands in a manifest."""
    if field.startswith("spec."):
        return tuple(int(index) if index else name for name, index in _PART.findall(field))
    return ("spec", *_FIELDS.get(field, ("backend",) if field.startswith("Backend") else ()))
