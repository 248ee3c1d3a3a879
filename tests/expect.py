"""What tests expect of a judgement, in one line each."""

from nodegate.csr.decide import judge
from nodegate.csr.model import Approve, Case, Deny, Hold, Ignore, Judgement, Reason
from nodegate.csr.render import message


def expect_approved(case: Case, reason: Reason) -> Judgement:
    """The case is approved, for this reason."""
    judgement = judge(case)
    assert judgement.verdict == Approve(reason), message(judgement)
    return judgement


def expect_denied(case: Case, *reasons: Reason) -> Judgement:
    """The case is denied, for exactly these reasons."""
    judgement = judge(case)
    assert judgement.verdict == Deny(reasons), message(judgement)
    return judgement


def expect_held(case: Case, *reasons: Reason) -> Judgement:
    """The case is held, for exactly these reasons."""
    judgement = judge(case)
    assert judgement.verdict == Hold(reasons), message(judgement)
    return judgement


def expect_ignored(case: Case, reason: Reason) -> Judgement:
    """The case is left alone, for this reason."""
    judgement = judge(case)
    assert judgement.verdict == Ignore(reason), message(judgement)
    return judgement
