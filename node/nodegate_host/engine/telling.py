"""A plan in words and as items: what `plan`, `diff` and `apply` show. Pure, but for colours, which `Output` decides.

Text is for people; items have stable ids (``verb:target``), and nothing in them is coloured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from nodegate_host.engine.differ import diff
from nodegate_host.engine.states import Action, Plan
from nodegate_host.output import Output

_UNIT_VERBS = {"stop", "disable", "enable", "run", "refresh", "start", "restart", "reload"}
_STYLES = {"remove": "red", "stop": "red", "disable": "red", "write": "green", "mkdir": "green", "restart": "yellow"}


def plan_text(plan: Plan, output: Output) -> str:
    """Return the plan as people read it."""
    lines = [line for action in plan.actions for line in _action_lines(action, output)]
    lines.extend(f"refused  {output.paint(text, 'red')}" for text in plan.refused)
    lines.extend(f"note     {text}" for text in plan.notes)
    return "\n".join([*lines, "", headline(plan)]).lstrip("\n")


def _action_lines(action: Action, output: Output) -> Iterator[str]:
    style = _STYLES.get(action.verb)
    word = f"{action.verb:<8}"
    yield f"{output.paint(word, style) if style else word} {action.target}"
    yield from (f"           {reason}" for reason in action.why)
    if action.effect:
        yield f"           effect: {action.effect}"


def headline(plan: Plan) -> str:
    """Return the plan in one sentence."""
    if plan.refused:
        return f"{len(plan.refused)} things stand in the way; nothing can be applied."
    if plan.is_empty:
        return "The host is as wanted; nothing to do."
    kinds = Counter(each.kind.value for each in plan.changes if each.writes)
    files = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "none"
    units = ", ".join(each.target for each in plan.restarts) or "none"
    return f"Files: {files}. Units to start or restart: {units}."


def diff_text(plan: Plan, output: Output, *, owners: bool) -> str:
    """Return the diff of all files, and the changes of units as lines of their own."""
    blocks = [_paint_diff(diff(each, owners=owners), output) for each in plan.changes if each.writes]
    units = [f"# {each.verb} {each.target}" for each in plan.actions if each.verb in _UNIT_VERBS]
    return "\n".join([*blocks, *units])


def _paint_diff(text: str, output: Output) -> str:
    styles = {"+": "green", "-": "red", "@": "cyan"}
    lines = text.splitlines()
    return "\n".join(output.paint(line, styles[line[:1]]) if line[:1] in styles else line for line in lines)


def summary(plan: Plan) -> dict[str, Any]:
    """Return the plan's summary for scripts."""
    kinds = Counter(each.kind.value for each in plan.changes)
    return {
        "changed": not plan.is_empty,
        "files": dict(sorted(kinds.items())),
        "restarts": [each.target for each in plan.restarts],
        "refused": list(plan.refused),
        "notes": list(plan.notes),
    }


def action_items(plan: Plan) -> list[dict[str, Any]]:
    """Return one item an action, in order."""
    return [
        {
            "id": f"{each.verb}:{each.target}",
            "verb": each.verb,
            "target": each.target,
            "why": list(each.why),
            "effect": each.effect,
        }
        for each in plan.actions
    ]


def diff_items(plan: Plan, *, owners: bool) -> list[dict[str, Any]]:
    """Return one item a file that changes."""
    return [
        {"id": each.path, "path": each.path, "kind": each.kind.value, "diff": diff(each, owners=owners)}
        for each in plan.changes
        if each.writes
    ]
