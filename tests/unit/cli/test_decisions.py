"""What a request says of who decided it."""

import pytest

from nodegate.cli.decisions import decisions
from tests.unit.cli import samples


@pytest.mark.parametrize(
    ("reason", "by"),
    [
        ("BootstrapApproved", "nodegate (as its reason says)"),
        ("AutoApproved", "the controller manager's own approver (as its reason says)"),
        ("KubectlApprove", "kubectl certificate approve (as its reason says)"),
        ("SomethingElse", ""),
        ("", ""),
    ],
)
def test_the_reason_hints_at_the_writer(reason: str, by: str) -> None:
    """Known reasons name their writer, and every other leaves it open."""
    (decision,) = decisions(samples.decided(samples.bootstrap(), "Approved", reason, "m"))

    assert decision.by == by


def test_an_undecided_request_has_no_decision() -> None:
    """Without conditions there is nothing to tell."""
    assert decisions(samples.bootstrap()) == ()


def test_what_others_wrote_is_safe_to_print() -> None:
    """Control characters in a condition are shown escaped."""
    (decision,) = decisions(samples.decided(samples.bootstrap(), "Denied", "a\x1b[1m", "b\nc"))

    assert decision.reason.isprintable()
    assert decision.message == "b\\nc"
