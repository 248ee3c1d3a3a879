"""Every reason for which a request is not approved has its remedy."""

from nodegate.cli.remedies import REMEDIES
from nodegate.csr.decide import APPROVALS, RULES
from nodegate.csr.model import Reason


def test_every_reason_of_a_failed_rule_has_a_remedy() -> None:
    """The remedies are those of all reasons but the approvals', no more and no fewer."""
    assert REMEDIES.keys() == set(Reason) - set(APPROVALS.values())
    assert {rule.reason for rule in RULES} <= REMEDIES.keys()


def test_remedies_are_sentences() -> None:
    """Each remedy is one line that begins with a capital letter and ends with a full stop."""
    for reason, text in REMEDIES.items():
        assert text[0].isupper(), reason
        assert text.endswith("."), reason
        assert text.isprintable(), reason
