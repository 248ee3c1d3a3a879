"""Words of the code as Markdown, for every generator of documents."""

from collections.abc import Mapping

from nodegate.csr.rules.rule import Fault

FAULTS: Mapping[Fault, str] = {Fault.IGNORE: "Ignore", Fault.DENY: "Deny", Fault.HOLD: "Hold"}
"""The verdict that a failed rule leads to, in the words of ``explain``."""


def prose(text: str) -> str:
    """Return a sentence as Markdown: ``<`` would begin a tag."""
    return text.replace("<", r"\<")


def cell(text: str) -> str:
    """Return a sentence as it may stand in a table: ``|`` would begin another cell."""
    return prose(text).replace("|", r"\|")
