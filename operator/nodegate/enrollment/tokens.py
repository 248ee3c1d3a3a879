"""One-node bootstrap tokens: what is to be done about an enrollment's token, and what its Secret is.

Rules: a token is made while its enrollment waits for its node; it goes when the Node is there, when its
time is up, and when the enrollment is revoked or wants none. Its id is recorded before its Secret exists,
and the record goes only after the Secret, so no crash leaves a token that nobody knows of. The secret half
appears in the Secret alone. Pure: chance and the clock are parameters.
"""

from datetime import datetime
from typing import Any, Final

from nodegate.enrollment.model import Enrollment, State, TokenStep
from nodegate.fields import rfc3339
from nodegate.names import API_VERSION, BOOTSTRAP_GROUP, NODEGATE_GROUP

NAMESPACE: Final = "kube-system"
"""Where the API server looks for bootstrap tokens ("Authenticating with Bootstrap Tokens")."""

SECRET_TYPE: Final = "bootstrap.kubernetes.io/token"  # noqa: S105 - a type, not a secret
"""The type of a token's Secret (same source)."""

ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
"""What both halves of a token consist of (same source)."""

ID_LENGTH: Final = 6
SECRET_LENGTH: Final = 16


def token_step(enrollment: Enrollment, now: datetime, *, awaits_node: bool, has_node: bool, issued: bool) -> TokenStep:
    """Return what is to be done about an enrollment's token.

    A token that ends while its node is still awaited is removed, and the next step records a new one. One
    that was given out outlives a suspension or a conflict, where its requests are held anyway.

    Args:
        enrollment: As read, status included.
        now: The moment, aware.
        awaits_node: Nothing but the token and the node is missing: it is active, consistent, inside its
            window, and has no Node.
        has_node: The Node exists.
        issued: The Secret of the recorded token was created.
    """
    token_id, expires = enrollment.status.token_id, enrollment.status.token_expires
    if token_id is not None and (_is_done(enrollment) or has_node or expires is None or expires <= now):
        return TokenStep.REMOVE
    if not (enrollment.bootstrap.issue_token and awaits_node):
        return TokenStep.NONE
    if token_id is None:
        return TokenStep.RECORD
    return TokenStep.NONE if issued else TokenStep.CREATE


def _is_done(enrollment: Enrollment) -> bool:
    return enrollment.state is State.REVOKED or not enrollment.bootstrap.issue_token


def issued_text(token_id: str) -> str:
    """Return the message of a True ``TokenIssued``; it names the token, so it never vouches for the next one."""
    return f"Token {token_id} works for this node only."


def is_issued(enrollment: Enrollment) -> bool:
    """Tell whether the status says that the Secret of the recorded token was created."""
    token_id, said = enrollment.status.token_id, enrollment.condition("TokenIssued")
    return token_id is not None and said is not None and (said.status, said.message) == ("True", issued_text(token_id))


def secret_name(token_id: str) -> str:
    """Return the name that the API server expects of a token's Secret."""
    return f"bootstrap-token-{token_id}"


def record_patch(enrollment: Enrollment, token_id: str, now: datetime) -> Any:
    """Return the status patch that records a token before it exists, at the resourceVersion that was judged."""
    bootstrap = {
        "tokenID": token_id,
        "secretRef": {"namespace": NAMESPACE, "name": secret_name(token_id)},
        "expiresAt": rfc3339(now + enrollment.bootstrap.token_ttl),
    }
    return _patch(enrollment, bootstrap)


def removal_patch(enrollment: Enrollment) -> Any:
    """Return the status patch that forgets a token whose Secret is gone."""
    return _patch(enrollment, None)


def _patch(enrollment: Enrollment, bootstrap: Any) -> Any:
    return {"metadata": {"resourceVersion": enrollment.resource_version}, "status": {"bootstrap": bootstrap}}


def secret(enrollment: Enrollment, secret_half: str, group: str) -> Any:
    """Return the Secret of the recorded token, owned by its enrollment, so that it goes with it.

    Args:
        enrollment: Its owner, with the token's id and end in its status.
        secret_half: `SECRET_LENGTH` characters of `ALPHABET`; goes nowhere else.
        group: The operator's bootstrap group: the token's user has to be a member.
    """
    token_id, expires = enrollment.status.token_id or "", enrollment.status.token_expires
    owner = {"apiVersion": API_VERSION, "kind": "NodeEnrollment", "name": enrollment.name, "uid": enrollment.uid}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": SECRET_TYPE,
        "metadata": {
            "name": secret_name(token_id),
            "namespace": NAMESPACE,
            "labels": {"app.kubernetes.io/managed-by": "nodegate"},
            "ownerReferences": [owner],
        },
        "stringData": {
            "token-id": token_id,
            "token-secret": secret_half,
            "expiration": rfc3339(expires) if expires else "",
            "usage-bootstrap-authentication": "true",
            "auth-extra-groups": ",".join(extra_groups(group)),
            "description": f"One-node token of NodeEnrollment {enrollment.name}.",
        },
    }


def extra_groups(group: str) -> tuple[str, ...]:
    """Return the groups that a minted token's user is in besides `BOOTSTRAP_GROUP`, which the API server adds."""
    return tuple(dict.fromkeys((NODEGATE_GROUP, *((group,) if group != BOOTSTRAP_GROUP else ()))))
