"""Plans and configs in, the objects that people and programs read out.

Rules: pure; the shape of a ``FlannelPlan`` is the design's section 12, scripts rely on it. A secret never
leaves: what is applied is shown with fingerprints in their place.
"""

from typing import Any

from nodegate.flannel.canonical import canonical_text
from nodegate.flannel.model import Config, Problem
from nodegate.flannel.network import Blocker, Change, Plan
from nodegate.names import CLI_API_VERSION


def plan_object(plan: Plan) -> dict[str, Any]:
    """Return a plan as ``kubectl nodegate flannel plan -o json`` prints it."""
    return {
        "apiVersion": CLI_API_VERSION,
        "kind": "FlannelPlan",
        "class": plan.change_class.value,
        "action": plan.action.value,
        "id": plan.id,
        "message": plan.message,
        "blockedBy": [blocker_object(each) for each in plan.blocked_by],
        "changes": [change_object(each) for each in plan.changes],
        "restartNeeded": list(plan.restart_needed),
        "problems": [problem_object(each) for each in plan.problems],
    }


def blocker_object(blocker: Blocker) -> dict[str, Any]:
    """Return what blocks, for a plan and for ``status.pendingChange.blockedBy``."""
    return {
        "subnet": blocker.subnet,
        "publicIP": blocker.public_ip,
        "node": blocker.node,
        "reason": blocker.reason,
    }


def change_object(change: Change) -> dict[str, Any]:
    """Return one change; an absent value is null."""
    return {"field": change.field, "from": change.old, "to": change.new, "class": change.change_class.value}


def problem_object(problem: Problem) -> dict[str, Any]:
    """Return one problem."""
    return {"field": problem.field, "message": problem.message, "severity": problem.severity.value}


def applied_value(config: Config) -> str:
    """Return the config as ``status.applied.value`` shows it: canonical JSON, fingerprints instead of secrets."""
    return canonical_text(config, redacted=True)
