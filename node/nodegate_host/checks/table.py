"""All checks, in the order of their numbers.

Data: `CHECKS` and `BY_ID`; some numbers have two ids (6, 16, 50), so there are more ids than numbers.
"""

from __future__ import annotations

from collections.abc import Mapping

from nodegate_host.checks import cluster, files, kernel, machine, naming, net, programs, runtime
from nodegate_host.checks.model import Check

_ALL = (
    *machine.CHECKS,
    *kernel.CHECKS,
    *naming.CHECKS,
    *net.CHECKS,
    *runtime.CHECKS,
    *programs.CHECKS,
    *files.CHECKS,
    *cluster.CHECKS,
)

CHECKS: tuple[Check, ...] = tuple(sorted(_ALL, key=lambda each: each.number))
"""57 numbers."""

BY_ID: Mapping[str, Check] = {each.id: each for each in CHECKS}
"""By id."""
