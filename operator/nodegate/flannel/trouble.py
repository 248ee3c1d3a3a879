"""What keeps a network from being looked after: one condition that does not hold, with its reason.

An `EtcdError` or a plain mistake comes in, a `Trouble` leaves. Rules: pure; the reason is one CamelCase word for
programs, the message says what was expected, what was found and what to do, and holds no secret.
"""

from dataclasses import dataclass, field
from typing import Final

from nodegate.errors import NodegateError
from nodegate.flannel.etcd.errors import EtcdError, Reason

ETCD, CREDENTIALS, CONFIG = "EtcdReachable", "CredentialsValid", "ConfigValid"
"""The conditions that a trouble can be of."""

_OURS: Final = frozenset(
    {
        Reason.CLIENT_EXPIRED, Reason.CLIENT_EARLY, Reason.CLIENT_FOREIGN, Reason.CLIENT_MISSING,
        Reason.CLIENT_REFUSED, Reason.CREDENTIALS_UNUSABLE, Reason.UNKNOWN_CA, Reason.UNAUTHENTICATED,
        Reason.PERMISSION, Reason.COMMON_NAME,
    }
)  # fmt: skip
"""What the content of the Secret can mend."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a network could not be looked after."""

    condition: str
    reason: str
    message: str
    endpoints: tuple[tuple[str, str], ...] = field(default=())
    """Each endpoint that was asked in vain, and what it said."""


class Troubled(NodegateError):
    """A network that cannot be looked after now.

    Attributes:
        trouble: Why.
    """

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(f"{trouble.reason}: {trouble.message}")
        self.trouble = trouble


def of_etcd(error: EtcdError) -> Trouble:
    """Return the trouble behind an error of the etcd client."""
    failures = tuple((url, f"{failure.reason}: {failure.text()}") for url, failure in error.failures.items())
    condition = CREDENTIALS if error.reason in _OURS else ETCD
    return Trouble(condition, str(error.reason), error.message, failures)
