"""Label selectors, in every form that kubectl knows."""

import pytest

from nodegate.cli.labels import parse_selector
from nodegate.errors import Malformed

LABELS = {"rack": "r1", "nodegate.dev/pool": "a", "empty": ""}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("", True),
        ("rack=r1", True),
        ("rack == r1", True),
        ("rack=r2", False),
        ("rack!=r2", True),
        ("rack!=r1", False),
        ("zone!=a", True),
        ("rack", True),
        ("zone", False),
        ("!zone", True),
        ("! rack", False),
        ("rack in (r1, r2)", True),
        ("rack in (r3)", False),
        ("rack notin (r1)", False),
        ("zone notin (a)", True),
        ("nodegate.dev/pool=a,rack=r1", True),
        ("nodegate.dev/pool=a,rack=r2", False),
        ("empty=", True),
        ("in=x", False),
    ],
)
def test_selector_holds_as_in_kubernetes(selector: str, *, expected: bool) -> None:
    """Every part must hold, and an absent key satisfies what is negative."""
    assert parse_selector(selector)(LABELS) is expected


@pytest.mark.parametrize("selector", ["a b", "=x", "a in", "a in (b", "a=b=c", ",", "a=(b)", "a,,b"])
def test_what_is_no_selector_is_refused(selector: str) -> None:
    """A selector that cannot be read is never taken for one that holds."""
    with pytest.raises(Malformed, match="expected a label selector"):
        parse_selector(selector)
