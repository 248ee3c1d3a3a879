"""Questions about a unit's command line, answered from its facts.

Pure. A `UnitFact` goes in; a flag's value, or the variables that were written wrongly, come out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from nodegate_host import unitfile
from nodegate_host.facts.model import UnitFact
from nodegate_host.unitfile import Source


def one_word(fact: UnitFact) -> Iterator[tuple[str, Source]]:
    """Yield the variables that hold several flags and stand in braces, which makes one word of them (E18)."""
    for word in unitfile.words(fact.raw_command):
        braced = re.fullmatch(r"\$\{([A-Za-z_]\w*)\}", word)
        value = fact.environment.get(braced.group(1)) if braced else None
        if braced and value and fact.command and re.search(r"\S\s+-", value.text):
            yield braced.group(1), fact.command[0].source


def flag(fact: UnitFact | None, name: str) -> str | None:
    """Return a flag's value on a unit's command line (``--name=value`` or ``--name value``), or None."""
    arguments = [each.text for each in fact.command] if fact else []
    for position, text in enumerate(arguments):
        bare, separator, value = text.partition("=")
        if bare.lstrip("-") == name.lstrip("-") and bare.startswith("-"):
            following = arguments[position + 1] if position + 1 < len(arguments) else ""
            return value if separator else following
    return None
