"""Who may read a URL: a bearer token in, an HTTP status out; the API server is asked, nobody else.

A TokenReview says whose the token is, a SubjectAccessReview whether that user may `get` the path: the same
questions that the API server asks itself. Rules: whatever is no clear yes admits nobody; no answer is 503, never
200; tokens are remembered as SHA-256 only; refusals are kept apart, so that a flood of them forgets no grant.
"""

import asyncio
import hashlib
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from nodegate.errors import ApiError, Malformed
from nodegate.fields import Fields
from nodegate.kube.client import ApiClient

TOKEN_REVIEWS: Final = "/apis/authentication.k8s.io/v1/tokenreviews"  # noqa: S105 - a path, no secret
ACCESS_REVIEWS: Final = "/apis/authorization.k8s.io/v1/subjectaccessreviews"

GRANTED_S: Final = 60.0
"""Seconds that a grant is believed: the longest that a right taken away still opens."""

REFUSED_S: Final = 10.0
"""Seconds that a refusal is believed: the longest that a right just given does not open yet."""

KEPT: Final = 128
"""Tokens remembered of each sort; the one that was used longest ago is forgotten."""

REVIEWS_AT_ONCE: Final = 4
"""Tokens asked about at once; more are told to come again, so that approvals keep the connections."""

REVIEW_S: Final = 5.0
"""Seconds for both questions together: less than the 10 s after which Prometheus gives a scrape up."""

_BEARER = re.compile(r"bearer +(?P<token>[A-Za-z0-9._~+/=-]+) *", re.IGNORECASE)
"""RFC 6750, section 2.1: what a token may consist of, and the scheme in any case of letters."""

_log = logging.getLogger("nodegate.metrics")


class _Kept:
    """Answers by token, each for a while; bounded."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until: OrderedDict[bytes, tuple[float, HTTPStatus]] = OrderedDict()

    def get(self, key: bytes, at: float) -> HTTPStatus | None:
        until, answer = self._until.get(key, (at, HTTPStatus.OK))
        if until <= at:
            self._until.pop(key, None)
            return None
        self._until.move_to_end(key)
        return answer

    def put(self, key: bytes, at: float, answer: HTTPStatus) -> None:
        self._until[key] = (at + self._seconds, answer)
        self._until.move_to_end(key)
        if len(self._until) > KEPT:
            self._until.popitem(last=False)


class UrlGate:
    """Admits those whom the API server's own rules let `get` one path; made inside the running loop.

    Args:
        client: Needs `create` on tokenreviews and subjectaccessreviews.
        path: The path that is guarded, such as ``/metrics``.
        clock: Seconds that never go back.
    """

    def __init__(self, client: ApiClient, path: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._path = path
        self._clock = clock
        self._granted, self._refused = _Kept(GRANTED_S), _Kept(REFUSED_S)
        self._asking = asyncio.Semaphore(REVIEWS_AT_ONCE)
        self._failing = False

    async def admit(self, authorization: str | None) -> HTTPStatus:
        """Return what to answer somebody.

        Args:
            authorization: The Authorization header, None when there is none.

        Returns:
            200 to let in, 401 when there is no token or nobody knows it, 403 when its owner lacks the right, 503 when
            the API server did not say or too many others are being asked about.
        """
        match = _BEARER.fullmatch(authorization or "")
        if match is None:
            return HTTPStatus.UNAUTHORIZED
        key = hashlib.sha256(match["token"].encode()).digest()
        asked_at = self._clock()
        known = self._granted.get(key, asked_at) or self._refused.get(key, asked_at)
        if known is not None:
            return known
        answer = await self._ask(match["token"])
        # An answer's age counts from when it was asked for, not from when it came.
        if answer == HTTPStatus.OK:
            self._granted.put(key, asked_at, answer)
        elif answer != HTTPStatus.SERVICE_UNAVAILABLE:
            self._refused.put(key, asked_at, answer)
        return answer

    async def _ask(self, token: str) -> HTTPStatus:
        if self._asking.locked():
            return HTTPStatus.SERVICE_UNAVAILABLE
        try:
            async with self._asking, asyncio.timeout(REVIEW_S):
                answer = await self._review(token)
        except (ApiError, Malformed, TimeoutError) as error:
            self._tell(error)
            return HTTPStatus.SERVICE_UNAVAILABLE
        self._failing = False
        return answer

    async def _review(self, token: str) -> HTTPStatus:
        """Ask whose the token is, then what they may.

        Raises:
            ApiError: The API server did not say.
            Malformed: It said something that is no review.
        """
        user = await self._user(token)
        if user is None:
            return HTTPStatus.UNAUTHORIZED
        spec = {**user, "nonResourceAttributes": {"path": self._path, "verb": "get"}}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        status = Fields(await self._client.post(ACCESS_REVIEWS, review)).child("status")
        return HTTPStatus.OK if status.flag("allowed") and not status.flag("denied") else HTTPStatus.FORBIDDEN

    async def _user(self, token: str) -> Mapping[str, Any] | None:
        """Return whose a token is, in the words of a SubjectAccessReview; None when nobody knows it."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
        status = Fields(await self._client.post(TOKEN_REVIEWS, review)).child("status")
        if not status.flag("authenticated"):
            return None
        user = status.child("user")
        extra = {key: user.child("extra").texts(key) for key in user.child("extra").keys()}  # noqa: SIM118 - Fields is no mapping
        if not user.text("username"):
            raise Malformed("status.user.username: expected the name of the token's owner, found none")
        return {"user": user.text("username"), "uid": user.text("uid"), "groups": user.texts("groups"), "extra": extra}

    def _tell(self, error: Exception) -> None:
        """Log a failure once, until the next success."""
        if not self._failing:
            self._failing = True
            _log.warning(
                "%s: expected the API server to say who may read it, found %s: nobody gets it until then; with 403, "
                "give the operator its rights to create tokenreviews and subjectaccessreviews back",
                self._path,
                error or type(error).__name__,
            )
