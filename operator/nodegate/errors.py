"""Errors, named by what happens next.

```
NodegateError
├── Malformed          the input can never become right: say so, never retry
├── SettingsInvalid    the start stops, every mistake listed
└── ApiError           the API server said no, or nothing
    ├── Conflict       the object changed: judge again from a fresh read
    ├── NotFound       the object is gone
    ├── Expired        the resource version is too old: list again
    ├── Forbidden      a right is missing: a person must act, retry slowly
    ├── Unauthorized   the credentials are refused: re-read them, retry slowly
    ├── Invalid        the API server refuses the content: never retry the same
    └── Unavailable    no usable answer (connection, timeout, 429, 5xx): retry with backoff
```
"""

MESSAGE_LIMIT = 256
"""Characters kept of a foreign error's text: enough to act on, too little to flood a log line."""


class NodegateError(Exception):
    """The base of every error that this program raises on purpose."""


class Malformed(NodegateError):
    """An input that can never become right; the message says where and why."""


class SettingsInvalid(NodegateError):
    """Flags or environment that cannot be used.

    Attributes:
        mistakes: One sentence for each mistake found.
    """

    def __init__(self, mistakes: tuple[str, ...]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = mistakes


class ApiError(NodegateError):
    """The API server refused a request or could not be reached.

    Attributes:
        status: The HTTP status, or 0 when there was no answer.
        reason: The ``reason`` of the Status object, or the kind of transport error.
        retry_after_s: Seconds that the server asks to wait, or None.
    """

    def __init__(self, status: int, reason: str, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(
            f"{status} {reason}: {message[:MESSAGE_LIMIT]}" if status else f"{reason}: {message[:MESSAGE_LIMIT]}"
        )
        self.status = status
        self.reason = reason
        self.retry_after_s = retry_after_s


class Conflict(ApiError):
    """409: the object changed since it was read, or exists already."""


class NotFound(ApiError):
    """404: no such object, or no such kind."""


class Expired(ApiError):
    """410, as a status or inside a watch: the resource version is too old."""


class Forbidden(ApiError):
    """403: a right is missing."""


class Unauthorized(ApiError):
    """401: the credentials are refused."""


class Invalid(ApiError):
    """400, 413 or 422: the content is refused."""


class Unavailable(ApiError):
    """No usable answer: connection error, timeout, 429 or 5xx."""
