"""Carries out what ``tokens`` plans: records, creates and removes bootstrap token Secrets.

Rules: one step at a time, each safe to repeat, whatever the stores know by then. A Secret that is there
already may be ours, its reply lost, or somebody else's; either way its secret half is unknown, so the id is
given up with it. The secret half is made here, sent once, and kept nowhere.
"""

import logging
import random
import secrets
import time
from collections.abc import Callable
from typing import Final

from nodegate.clock import now
from nodegate.enrollment.apply import patch_status
from nodegate.enrollment.model import Enrollment, NodeName, TokenStep
from nodegate.enrollment.tokens import (
    ALPHABET,
    ID_LENGTH,
    NAMESPACE,
    SECRET_LENGTH,
    record_patch,
    removal_patch,
    secret,
    secret_name,
)
from nodegate.errors import ApiError, Conflict, NotFound
from nodegate.kube.client import ApiClient
from nodegate.kube.paths import object_path
from nodegate.metrics import Metrics

SECRETS_PATH: Final = f"/api/v1/namespaces/{NAMESPACE}/secrets"

SOON_S: Final = 0.5
"""Seconds after which an enrollment is looked at again whose token has come a step further."""

RETRY_S: Final = 30.0
"""Seconds after which a step is tried again that was refused; a person has to act first."""

_log = logging.getLogger("nodegate.tokens")


class Mint:
    """Makes and removes tokens, and remembers what failed.

    Args:
        client: With the rights of the component ``tokens``: create and delete Secrets in kube-system.
        metrics: Counts tokens.
        again: Has an enrollment looked at again in so many seconds.
        group: The operator's bootstrap group.
    """

    def __init__(self, client: ApiClient, metrics: Metrics, again: Callable[[str, float], None], group: str) -> None:
        self._client = client
        self._metrics = metrics
        self._again = again
        self._group = group
        self._minted: dict[NodeName, str] = {}
        self._problems: dict[NodeName, str] = {}
        self._not_before_s: dict[NodeName, float] = {}

    def minted(self, name: NodeName) -> str | None:
        """Return the id of the token whose Secret this process has created for an enrollment, or None."""
        return self._minted.get(name)

    def problem(self, name: NodeName) -> str:
        """Return why the last step failed; empty when it did not."""
        return self._problems.get(name, "")

    def forget(self, name: str) -> None:
        """Forget an enrollment that is gone; its Secret goes with it, because the enrollment owns it."""
        key = NodeName(name)
        self._minted.pop(key, None)
        self._problems.pop(key, None)
        self._not_before_s.pop(key, None)

    async def take(self, step: TokenStep, enrollment: Enrollment) -> None:
        """Carry out one step and have the enrollment looked at again; what fails is told in the status.

        Args:
            step: What is to be done.
            enrollment: As it was last written.
        """
        name = enrollment.name
        wait = self._not_before_s.get(name, 0.0) - time.monotonic()
        if wait > 0:
            self._again(name, wait)
            return
        try:
            await self._carry_out(step, enrollment)
        except Conflict:  # The enrollment is another by now.
            self._again(name, SOON_S)
        except NotFound:
            return  # The enrollment is gone, and its Secret goes with it.
        except ApiError as error:
            self._note(name, error)
        else:
            self._problems.pop(name, None)
            self._not_before_s.pop(name, None)
            self._again(name, SOON_S)

    async def _carry_out(self, step: TokenStep, enrollment: Enrollment) -> None:
        match step:
            case TokenStep.NONE:
                return
            case TokenStep.RECORD:
                patch = record_patch(enrollment, _random(ID_LENGTH), now())
                await patch_status(self._client, enrollment.name, patch)
            case TokenStep.CREATE:
                await self._create(enrollment)
            case TokenStep.REMOVE:
                await self._remove(enrollment)

    async def _create(self, enrollment: Enrollment) -> None:
        token_id = enrollment.status.token_id or ""
        try:
            await self._client.post(SECRETS_PATH, secret(enrollment, _random(SECRET_LENGTH), self._group))
        except Conflict:
            _log.warning("the Secret of token %s is there already; %s gets another token", token_id, enrollment.name)
            await self._remove(enrollment)
            return
        self._minted[enrollment.name] = token_id
        self._metrics.tokens_issued.inc()
        _log.info("token %s issued for %s", token_id, enrollment.name)

    async def _remove(self, enrollment: Enrollment) -> None:
        token_id = enrollment.status.token_id or ""
        try:
            await self._client.delete(object_path(SECRETS_PATH, secret_name(token_id)))
            _log.info("token %s of %s removed", token_id, enrollment.name)
        except NotFound:
            pass  # The API server's own token cleaner was faster.
        self._minted.pop(enrollment.name, None)
        await patch_status(self._client, enrollment.name, removal_patch(enrollment))

    def _note(self, name: NodeName, error: ApiError) -> None:
        """Have the status say what is wrong, and try again later: the more wait, the slower."""
        said = f"The token's Secret could not be written, to be tried again: {error}."
        if not self._problems:
            _log.warning("cannot make or remove bootstrap tokens: %s", error)
        self._problems[name] = said
        pause = (RETRY_S + len(self._problems) / 10) * random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries
        self._not_before_s[name] = time.monotonic() + pause
        self._again(name, SOON_S)


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))
