"""Text that somebody else wrote, made safe to print, log and store.

Requesters choose names, subjects and SANs. What is shown of them has no control character, no
bidirectional override and a bounded length, so that a log line stays one line and a terminal stays calm.
"""

from collections.abc import Iterable

SHOWN_LIMIT = 120
"""Characters shown of one value: longer than any sane node name, shorter than a terminal's two lines."""

LIST_LIMIT = 5
"""Values shown of a list before the rest is only counted."""


def visible(text: str, limit: int = SHOWN_LIMIT) -> str:
    r"""Return `text` with everything unprintable escaped (such as ``\x1b``), cut to `limit` characters."""
    shown = text[: limit + 1]
    if not shown.isprintable():
        shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def listed(texts: Iterable[str]) -> str:
    """Return the texts, made visible, separated by commas; after five the rest is counted; ``none`` when empty."""
    shown = [visible(text) for text in texts]
    more = len(shown) - LIST_LIMIT
    return ", ".join(shown[:LIST_LIMIT]) + (f" and {more} more" if more > 0 else "") if shown else "none"


def counted(number: int, what: str) -> str:
    """Return a number and what it counts, in the plural unless it is one."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
