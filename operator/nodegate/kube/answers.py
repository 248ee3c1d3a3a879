"""Turns the API server's answers into objects or into the errors of ``nodegate.errors``. Pure.

Rules: a body that is no JSON object is no usable answer (``Unavailable``), never an empty one; a
status we do not know is an error, never a success.
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from nodegate.errors import (
    ApiError,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    NotFound,
    Unauthorized,
    Unavailable,
)
from nodegate.text import visible

_ERRORS: Final[dict[int, type[ApiError]]] = {
    HTTPStatus.BAD_REQUEST: Invalid,
    HTTPStatus.UNAUTHORIZED: Unauthorized,
    HTTPStatus.FORBIDDEN: Forbidden,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.REQUEST_TIMEOUT: Unavailable,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.GONE: Expired,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Invalid,
    HTTPStatus.UNPROCESSABLE_ENTITY: Invalid,
    HTTPStatus.TOO_MANY_REQUESTS: Unavailable,
}

_BODY_SHOWN = 160
"""Bytes shown of a body that is no Status object: the first line of a proxy's error page."""


def decode_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in ``body``.

    Raises:
        Unavailable: The body is cut short, is no JSON, or is no object.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Unavailable(
            0, "BadBody", f"expected a JSON object, found {len(body)} bytes that are none: {error}"
        ) from error
    if not isinstance(value, dict):
        raise Unavailable(0, "BadBody", f"expected a JSON object, found a {type(value).__name__}")
    return value


def error_of_answer(status: int, headers: Mapping[str, str], body: bytes) -> ApiError:
    """Return the error that an answer with a status other than 2xx stands for."""
    try:
        said = decode_object(body)
    except Unavailable:
        said = {"message": visible(body[:_BODY_SHOWN].decode("utf-8", "replace"), _BODY_SHOWN)}
    return error_of_status(said, status, header_wait=headers.get("Retry-After"))


def error_of_status(said: Mapping[str, Any], status: int = 0, *, header_wait: str | None = None) -> ApiError:
    """Return the error that a ``Status`` object (or what came in its place) stands for.

    Args:
        said: The object; of a watch, the ``object`` of an ERROR event.
        status: The HTTP status; 0 takes the object's own ``code``.
        header_wait: The ``Retry-After`` header, where there was one.
    """
    code = status or _integer(said.get("code"))
    reason = str(said.get("reason") or _phrase(code))
    if status == 0 and reason in {"Expired", "Gone"}:
        code = HTTPStatus.GONE
    message = visible(str(said.get("message") or "no message"), 1024)
    return _error_class(code)(code, reason, message, retry_after_s=_wait(said, header_wait))


def _error_class(code: int) -> type[ApiError]:
    # Other 4xx (405, 406, 415) are faults of the request: the same request fails again.
    fallback = Invalid if HTTPStatus.BAD_REQUEST <= code < HTTPStatus.INTERNAL_SERVER_ERROR else Unavailable
    return _ERRORS.get(code, fallback)


def _phrase(code: int) -> str:
    try:
        return HTTPStatus(code).phrase.replace(" ", "")
    except ValueError:
        return "Unknown"


def _integer(value: object) -> int:
    return value if isinstance(value, int) else 0


def _wait(said: Mapping[str, Any], header_wait: str | None) -> float | None:
    """Return the seconds asked for; the date form of ``Retry-After`` is not used by API servers."""
    if header_wait is not None and header_wait.isdecimal():
        return float(header_wait)
    details = said.get("details")
    seconds = details.get("retryAfterSeconds") if isinstance(details, dict) else None
    return float(seconds) if isinstance(seconds, int) and seconds >= 0 else None
