"""Label selectors, as kubectl's ``-l`` has them: ``a=b, a!=b, a in (b, c), a notin (b), a, !a``.

What enters is a selector's text, what leaves is a test for an object's labels. Rules: every part must
hold; a key that is absent satisfies ``!=`` and ``notin`` (kubernetes, apimachinery labels.Selector).
"""

import re
from collections.abc import Callable, Mapping

from nodegate.errors import Malformed
from nodegate.text import visible

Labels = Mapping[str, str]
Test = Callable[[Labels], bool]

_PART = re.compile(
    r"""\s*(?:
        (?P<absent>!)\s*(?P<not_key>[\w./-]+)
      | (?P<key>[\w./-]+)\s*(?:
          (?P<operator>==|=|!=)\s*(?P<value>[\w.-]*)
        | (?P<set>in|notin)\s*\((?P<values>[^()]*)\)
        )?
    )\s*(?:,|$)""",
    re.VERBOSE | re.ASCII,
)


def parse_selector(text: str) -> Test:
    """Return the test that a selector stands for; an empty one holds for everything.

    Raises:
        Malformed: It is no selector.
    """
    tests: list[Test] = []
    position = 0
    while position < len(text.rstrip()):
        part = _PART.match(text, position)
        if part is None:
            raise Malformed(f"expected a label selector such as rack=r1,zone!=b, found {visible(text)}")
        tests.append(_test(part))
        position = part.end()
    return lambda labels: all(test(labels) for test in tests)


def _test(part: re.Match[str]) -> Test:
    if part["absent"]:
        return lambda labels: part["not_key"] not in labels
    key, operator = part["key"], part["operator"] or part["set"]
    if operator is None:
        return lambda labels: key in labels
    values = {part["value"]} if part["operator"] else {value.strip() for value in part["values"].split(",")}
    if operator in {"!=", "notin"}:
        return lambda labels: labels.get(key) not in values
    return lambda labels: labels.get(key) in values
