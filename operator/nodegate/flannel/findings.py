"""What is found while one config is read: problems of ours, and why flannel refuses.

Rules: one collector a reading, filled in the order in which flannel looks; its first refusal is the one it
would log. Every refusal stands beside an error, so that what flannel refuses is never called valid.
"""

from nodegate.flannel.golang import Kind, Value
from nodegate.flannel.model import Problem, Severity
from nodegate.text import visible

LIMIT = 50
"""Problems of one severity that one reading keeps: more than anybody reads."""

_SHOWN = 60
"""Characters that a message shows of a value."""


class Findings:
    """Problems and the first refusal; mutable, and used by one reading only."""

    def __init__(self) -> None:
        self._found: dict[Severity, dict[Problem, None]] = {Severity.ERROR: {}, Severity.WARNING: {}}
        self.refusal: str | None = None

    def error(self, field: str, message: str) -> None:
        """Record what forbids the config, once."""
        self._add(Problem(field, message, Severity.ERROR))

    def warn(self, field: str, message: str) -> None:
        """Record what is odd, once."""
        self._add(Problem(field, message, Severity.WARNING))

    def _add(self, problem: Problem) -> None:
        found = self._found[problem.severity]
        if len(found) < LIMIT:
            found[problem] = None

    def refused(self, words: str) -> None:
        """Record flannel's own refusal; the error beside it is recorded already."""
        if self.refusal is None:
            self.refusal = words

    def refuse(self, words: str, field: str, message: str) -> None:
        """Record flannel's own refusal and the error beside it."""
        self.refused(words)
        self.error(field, message)

    def has_error(self, field: str) -> bool:
        """Tell whether an error was recorded for a field."""
        return any(problem.field == field for problem in self._found[Severity.ERROR])

    def problems(self) -> tuple[Problem, ...]:
        """Return the problems, errors first."""
        return (*self._found[Severity.ERROR], *self._found[Severity.WARNING])


def shown(value: Value, *, is_secret: bool = False) -> str:
    """Return what a message says was found."""
    if value.kind in {Kind.OBJECT, Kind.ARRAY}:
        return "an object" if value.kind is Kind.OBJECT else "a list"
    return f"a {value.kind}" if is_secret else visible(value.raw, _SHOWN)
