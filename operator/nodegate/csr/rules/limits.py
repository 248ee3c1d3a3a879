"""Stage 10: has the requester asked too often?

Rules: nothing else of a request is judged while its requester is over its rate, so a flood costs little;
who counts is the running operator, and whoever judges a single request cannot know.
"""

from nodegate.csr.limits import rate_of
from nodegate.csr.model import Case, Reason
from nodegate.csr.rules.rule import Fault, Outcome, Rule, judged, skipped


def _within_rate(case: Case) -> Outcome:
    if case.over_rate is None:
        return skipped("only the running operator counts requests")
    rate = rate_of(case.csr.username)
    every = f"{rate.per_second:g} a second" if rate.per_second >= 1 else f"one every {1 / rate.per_second:g} s"
    return judged(
        holds=not case.over_rate,
        expected=f"at most {rate.burst} requests at once and then {every} from one requester",
        found="more, so this one waits for its turn" if case.over_rate else "no more",
    )


RULES = (
    Rule(
        10,
        Reason.RATE_LIMITED,
        Fault.HOLD,
        "The requester has not made more requests than its rate allows.",
        "nodegate, csr/limits.py; SPIRE limits attestation by address in the same way",
        _within_rate,
    ),
)
"""Stage 10, in order."""
