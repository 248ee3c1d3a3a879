"""Bootstrap tokens: a Secret goes in, what can be done with the token comes out.

Rules: pure. The secret half is kept out of every text that is made here, of messages and of ``repr``; who
needs it asks for it by name. A token works when the API server says so (kubernetes, token authenticator
bootstrap): its type, its usage, its expiry, its id.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from nodegate.enrollment.tokens import NAMESPACE, SECRET_TYPE, secret_name
from nodegate.errors import Malformed
from nodegate.fields import Fields
from nodegate.names import BOOTSTRAP_GROUP
from nodegate.text import visible

SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"
"""The path of the Secrets that hold them."""

_ID = re.compile(r"[a-z0-9]{6}")
_SECRET = re.compile(r"[a-z0-9]{16}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One bootstrap token."""

    id: str
    secret: str = field(repr=False)
    """The half that nobody else may see; empty when it is not of the right form."""

    expires: datetime | None
    groups: frozenset[str]
    """The groups of whoever shows it."""

    enabled: bool
    """It may be used to authenticate."""

    def fault(self, at: datetime) -> str | None:
        """Return why the API server would refuse it, or None."""
        if not self.secret:
            return "its token-secret is not 16 characters of a-z and 0-9"
        if not self.enabled:
            return "usage-bootstrap-authentication is not true"
        if self.expires is not None and self.expires <= at:
            return f"it expired at {self.expires.isoformat(timespec='seconds')}"
        return None


def parse_token(body: Mapping[str, Any]) -> Token:
    """Read the Secret of a token.

    Raises:
        Malformed: It is no such Secret, or its name and its token-id differ.
    """
    root = Fields(body)
    name = root.child("metadata").text("name")
    if root.text("type") != SECRET_TYPE:
        raise Malformed(f"Secret {visible(name)}: expected type {SECRET_TYPE}, found {visible(root.text('type'))}")
    data = root.child("data")
    token_id = _decoded(data, "token-id")
    if not _ID.fullmatch(token_id) or name != secret_name(token_id):
        raise Malformed(f"Secret {visible(name)}: expected the token-id that its name says, found another")
    secret = _decoded(data, "token-secret")
    groups = {group.strip() for group in _decoded(data, "auth-extra-groups").split(",")}
    return Token(
        id=token_id,
        secret=secret if _SECRET.fullmatch(secret) else "",
        expires=_moment(_decoded(data, "expiration"), name),
        groups=frozenset({BOOTSTRAP_GROUP, *filter(None, groups)}),
        enabled=_decoded(data, "usage-bootstrap-authentication") == "true",
    )


def _decoded(data: Fields, key: str) -> str:
    try:
        return base64.b64decode(data.text(key), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


def _moment(text: str, name: str) -> datetime | None:
    if not text:
        return None
    try:
        return Fields({"expiration": text}).moment("expiration")
    except Malformed as error:
        raise Malformed(f"Secret {visible(name)}: {error}") from error
