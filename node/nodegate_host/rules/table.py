"""All diagnosis rules, the FAQ's first.

Data: `RULES` in the order of their numbers within the FAQ and the rest; `BY_ID` for `explain`.
"""

from __future__ import annotations

from collections.abc import Mapping

from nodegate_host.rules import faq, joining, network, units
from nodegate_host.rules.model import Rule


def _number(each: Rule) -> tuple[int, str]:
    digits = each.id[1:].rstrip("abcdefghijklmnopqrstuvwxyz")
    return int(digits), each.id


RULES: tuple[Rule, ...] = (
    *faq.RULES,
    *sorted((*units.RULES, *joining.RULES, *network.RULES), key=_number),
)
"""D1 to D26."""

BY_ID: Mapping[str, Rule] = {each.id: each for each in RULES}
"""By id."""
