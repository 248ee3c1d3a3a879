"""The checks that an apply runs first; errors among them end it with exit 3 before anything changes.

Only on the running host: elsewhere there is nothing to check against. Foreign files are left to the plan, which knows
what was applied before and what is to be adopted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nodegate_host.checks.engine import Selection, run_checks
from nodegate_host.checks.model import ERROR
from nodegate_host.errors import Stop, Usage
from nodegate_host.exits import Exit
from nodegate_host.facts.gather import gather
from nodegate_host.model import NodeConfig
from nodegate_host.surroundings import Surroundings

_OURS = Selection(skip=("cfg.foreign",))


def preflight(surroundings: Surroundings, config: NodeConfig, targets: Sequence[str], ignore: Sequence[str]) -> None:
    """Check the host for `config`; warnings are told, errors stop.

    Args:
        surroundings: Where.
        config: What the host is to become.
        targets: Paths that are to be written.
        ignore: Ids (or ``all``) whose errors are warnings.
    """
    selection = replace(_OURS, ignore=tuple(ignore))
    unknown = selection.unknown()
    if unknown:
        raise Usage(f"--ignore: expected ids of checks or all, found {', '.join(unknown)}; see preflight")
    if not surroundings.is_live:
        return
    errors = checked(surroundings, config, targets, selection)
    if errors:
        raise Stop("\n".join([*errors, "nothing was changed; --ignore ID goes on all the same"]), Exit.PREFLIGHT)


def checked(
    surroundings: Surroundings, config: NodeConfig, targets: Sequence[str], selection: Selection = _OURS
) -> list[str]:
    """Run the checks and tell the warnings; return the errors as sentences."""
    errors = []
    # Relative paths of the file's inputs are beside it, not in the working directory.
    facts = gather(surroundings.root, config, targets=targets, base=surroundings.config.parent)
    for finding in run_checks(facts, config, selection):
        if finding.severity == ERROR:
            errors.append(f"{finding.id}: {finding.message}; {finding.remedy}")
        else:
            surroundings.output.warn(f"{finding.id}: {finding.message}")
    return errors
