"""Conditions of our own kinds as the API server has them: one entry of ``status.conditions`` in, a value out, and back.

Rules: pure; a kind decides by itself when a condition's lastTransitionTime moves.
"""

from typing import Any

from nodegate.enrollment.model import Condition
from nodegate.fields import Fields, rfc3339


def read_condition(fields: Fields) -> Condition:
    """Return one entry as a value.

    Raises:
        Malformed: A field has another type.
    """
    return Condition(
        type=fields.text("type"),
        status=fields.text("status"),
        reason=fields.text("reason"),
        message=fields.text("message"),
        observed_generation=fields.integer("observedGeneration"),
        last_transition=fields.moment("lastTransitionTime"),
    )


def condition_body(condition: Condition) -> dict[str, Any]:
    """Return a value as one entry."""
    return {
        "type": condition.type,
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message,
        "observedGeneration": condition.observed_generation,
        "lastTransitionTime": rfc3339(condition.last_transition) if condition.last_transition else None,
    }
