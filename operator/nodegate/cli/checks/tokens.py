"""Do the bootstrap tokens that enrollments name exist, and would the API server take them?

Rules: only enrollments whose node has not joined need their token. The secret half of a token is never
shown. Without the right to list Secrets each is read by name, as long as they are few.
"""

from collections.abc import Mapping

from nodegate.cli.checks.outcome import Check, Outcome, ok, skip, some, warn
from nodegate.cli.checks.probe import Body, Probe
from nodegate.cli.tokens import SECRETS, Token, parse_token
from nodegate.enrollment.tokens import SECRET_TYPE, secret_name
from nodegate.errors import Forbidden, Malformed, NotFound
from nodegate.fields import Fields
from nodegate.names import BOOTSTRAP_GROUP
from nodegate.text import counted, visible

_READ_SINGLY = 50
"""Secrets that are read by name when they may not be listed."""

_NONE_NEEDED = "no enrollment waits for its node with a token"


def _waiting(probe: Probe) -> Mapping[str, str]:
    """Return the tokens of enrollments whose node has not joined, each with the enrollment's name."""
    found = {}
    for body in probe.objects("NodeEnrollment"):
        root = Fields(body)
        token = root.child("spec").child("bootstrap").text("tokenID") or _minted(root)
        joined = root.child("status").child("node").text("uid")
        active = root.child("spec").text("state", "Active") == "Active"
        if token and active and not joined:
            found[token] = root.child("metadata").text("name")
    return found


def _minted(root: Fields) -> str:
    issues = root.child("spec").child("bootstrap").child("token").flag("issue")
    return root.child("status").child("bootstrap").text("tokenID") if issues else ""


def _secrets(probe: Probe, ids: Mapping[str, str]) -> Mapping[str, Body]:
    """Return the Secrets of tokens, by their names.

    Raises:
        Forbidden: They may not be read.
    """
    try:
        every = probe.every(SECRETS, "Secret", fieldSelector=f"type={SECRET_TYPE}")
    except Forbidden:
        if len(ids) > _READ_SINGLY:
            raise
        return _singly(probe, ids)
    return {Fields(body).child("metadata").text("name"): body for body in every}


def _singly(probe: Probe, ids: Mapping[str, str]) -> Mapping[str, Body]:
    found = {}
    for token_id in ids:
        try:
            found[secret_name(token_id)] = probe.one(f"{SECRETS}/{secret_name(token_id)}")
        except NotFound:
            continue
    return found


def _usable(probe: Probe) -> Outcome:
    ids = _waiting(probe)
    if not ids:
        return ok(_NONE_NEEDED)
    secrets = _secrets(probe, ids)
    faults = [
        f"{visible(name, 253)}: {why}" for token_id, name in ids.items() if (why := _fault(probe, secrets, token_id))
    ]
    if faults:
        remedy = (
            "These nodes cannot join. Make a token (kubeadm token create, or a Secret bootstrap-token-<id> in "
            "kube-system) and pin its id in spec.bootstrap.tokenID."
        )
        return warn(some(faults), remedy)
    return ok(f"{counted(len(ids), 'token')}, each there and not expired")


def _fault(probe: Probe, secrets: Mapping[str, Body], token_id: str) -> str | None:
    body = secrets.get(secret_name(token_id))
    if body is None:
        return f"token {token_id} does not exist"
    try:
        fault = parse_token(body).fault(probe.at)
    except Malformed as error:
        return str(error)
    return f"token {token_id}: {fault}" if fault else None


def _groups(probe: Probe) -> Outcome:
    ids, group = _waiting(probe), probe.bootstrap_group()
    if not ids:
        return ok(_NONE_NEEDED)
    if group == BOOTSTRAP_GROUP:
        return ok(f"every bootstrap token is in {group}")
    tokens = [token for token_id in ids if (token := _token(_secrets(probe, ids), token_id)) is not None]
    outside = [token.id for token in tokens if group not in token.groups]
    if outside:
        remedy = f"Add {visible(group)} to auth-extra-groups of their Secrets: requests by these are ignored."
        return warn(f"not in {visible(group)}: token {some(outside)}", remedy)
    return (
        ok(f"{counted(len(tokens), 'token')}, each in {visible(group)}") if tokens else skip("there is no such token")
    )


def _token(secrets: Mapping[str, Body], token_id: str) -> Token | None:
    body = secrets.get(secret_name(token_id))
    try:
        return parse_token(body) if body is not None else None
    except Malformed:
        return None  # The check before this one says so.


CHECKS = (Check("tokens", _usable), Check("tokens-group", _groups))
"""Whether nodes can show the tokens that they are to show."""
