"""Does the controller manager approve by itself? Asked at start and every minute, as long as this process acts.

The controller manager's approver approves whatever its requester may `create` as `nodeclient` or `selfnodeclient`
(Kubernetes, pkg/controller/certificates/approver), for any node name and before nodegate is asked. What leaves is a
gauge, and one log line and one event for each change. Rules: RBAC is asked through SubjectAccessReviews, which see
every authorizer; no answer is no answer: the gauge is NaN, and what was known before stays known.
"""

import asyncio
import logging
import math
from typing import Final, NamedTuple

from nodegate.csr.model import Kind
from nodegate.errors import ApiError, Malformed
from nodegate.fields import Fields
from nodegate.kube.auth import ACCESS_REVIEWS
from nodegate.kube.client import ApiClient
from nodegate.metrics import Metrics
from nodegate.names import (
    BOOTSTRAP_GROUP,
    BOOTSTRAP_USER_PREFIX,
    EVERYBODY_GROUP,
    NODE_USER_PREFIX,
    NODEGATE_GROUP,
    NODES_GROUP,
)
from nodegate.outbox import Outbox

INTERVAL_S: Final = 60.0
"""Seconds between two checks: a binding made by mistake is found within a minute."""

KUBEADM_GROUP: Final = "system:bootstrappers:kubeadm:default-node-token"
"""The group of kubeadm's tokens, to which it binds the role (kubeadm, phases/bootstraptoken/node)."""

_PROBE = "nodegate-probe"
_ROLE = "system:certificates.k8s.io:certificatesigningrequests"
_log = logging.getLogger("nodegate.approvers")


class _Question(NamedTuple):
    """One kind of certificate, who would ask for it, and what to say when they need not ask nodegate."""

    kind: Kind
    user: str
    groups: tuple[str, ...]
    right: str
    """The subresource whose creation the controller manager asks for."""

    found: str
    remedy: str


def _questions(group: str) -> tuple[_Question, _Question]:
    groups = dict.fromkeys((BOOTSTRAP_GROUP, NODEGATE_GROUP, KUBEADM_GROUP, group, EVERYBODY_GROUP))
    return (
        _Question(
            Kind.BOOTSTRAP,
            f"{BOOTSTRAP_USER_PREFIX}{_PROBE}",
            tuple(groups),
            "nodeclient",
            "the controller manager approves the first certificate of any node name that a bootstrap token asks for, "
            "before nodegate is asked",
            "delete the binding (kubeadm's is kubeadm:node-autoapprove-bootstrap)",
        ),
        _Question(
            Kind.RENEWAL,
            f"{NODE_USER_PREFIX}{_PROBE}",
            (NODES_GROUP, EVERYBODY_GROUP),
            "selfnodeclient",
            "the controller manager approves renewals of nodes, so Suspended and Revoked do not stop them",
            "delete the binding when nodegate is to decide "
            "(kubeadm's is kubeadm:node-autoapprove-certificate-rotation)",
        ),
    )


class CompetingApprovers:
    """Asks again and again whether somebody else approves; made inside the running loop.

    Args:
        client: Needs `create` on subjectaccessreviews.
        group: The group whose members may ask for first certificates (``--bootstrap-group``).
        metrics: Get the answers.
        outbox: Gets the events.
        interval_s: Seconds between two checks.
    """

    def __init__(
        self, client: ApiClient, group: str, metrics: Metrics, outbox: Outbox, *, interval_s: float = INTERVAL_S
    ) -> None:
        self._client = client
        self._questions = _questions(group)
        self._metrics = metrics
        self._outbox = outbox
        self._interval_s = interval_s
        self._known: dict[Kind, bool] = {}
        self._failing: set[Kind] = set()

    async def run(self) -> None:
        """Check now and after every interval, until cancelled."""
        while True:
            await self.check()
            await asyncio.sleep(self._interval_s)

    async def check(self) -> None:
        """Ask both questions once, and tell what has changed."""
        for question in self._questions:
            gauge = self._metrics.competing_approver.labels(question.kind)
            try:
                allowed = await self._ask(question)
            except (ApiError, Malformed) as error:
                gauge.set(math.nan)
                self._tell_failure(question, error)
            else:
                gauge.set(int(allowed))
                self._failing.discard(question.kind)
                self._tell_change(question, allowed=allowed)

    async def _ask(self, question: _Question) -> bool:
        """Return whether the controller manager would approve.

        Raises:
            ApiError: The API server did not say.
            Malformed: It said something that is no review.
        """
        asked = {"group": "certificates.k8s.io", "version": "*", "resource": "certificatesigningrequests"}
        spec = {
            "user": question.user,
            "groups": question.groups,
            "resourceAttributes": asked | {"subresource": question.right, "verb": "create"},
        }
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        status = Fields(await self._client.post(ACCESS_REVIEWS, review)).child("status")
        if "allowed" not in status:
            raise Malformed("status.allowed: expected true or false, found nothing")
        return status.flag("allowed")

    def _tell_failure(self, question: _Question, error: Exception) -> None:
        if question.kind not in self._failing:
            self._failing.add(question.kind)
            _log.warning(
                "competing approver (%s): expected the API server to say whether the controller manager approves, "
                "found %s: nobody knows until it does; with 403, give the operator its right to create "
                "subjectaccessreviews back",
                question.kind,
                error,
            )

    def _tell_change(self, question: _Question, *, allowed: bool) -> None:
        before = self._known.get(question.kind, False)
        self._known[question.kind] = allowed
        if allowed and not before:
            note = f"expected nobody bound to {_ROLE}:{question.right}, found that {question.found}: {question.remedy}"
            _log.warning("competing approver (%s): %s", question.kind, note)
            self._outbox.add(_regarding(question), "Warning", "ApprovalBypassed", "CheckApprovers", note)
        elif before and not allowed:
            _log.info("competing approver (%s): gone, nodegate alone decides", question.kind)


def _regarding(question: _Question) -> dict[str, str]:
    """Return the role that is bound: there is one, while enrollments may be thousands."""
    name = f"{_ROLE}:{question.right}"
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "name": name}
