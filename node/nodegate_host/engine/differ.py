"""What would change in each file, as people read it: a unified diff without secrets. Pure.

Live is ``a/``, wanted is ``b/``. A secret file shows only the digests of both sides; in any other file private keys,
tokens, passwords and ``*-data`` fields are shown as digests, because the live side may be anybody's. Mode and owner
changes are lines of their own.
"""

from __future__ import annotations

import difflib
import hashlib
import re

from nodegate_host.engine.atomic import Live
from nodegate_host.engine.states import FileChange

_SHOWN_DIGITS = 12
_FIELD = re.compile(
    r"""^(\s*(?:-\s+)?["']?[\w.-]*(?:token|password|passwd|secret|-data)["']?\s*[:=]\s*)(\S.*)$""",
    re.IGNORECASE | re.MULTILINE,
)
_WORD = re.compile(r"\b([a-z0-9]{6}\.[a-z0-9]{16})\b")
_KEY = re.compile(r"-----BEGIN ([A-Z ]*)PRIVATE KEY-----.*?(?:-----END \1PRIVATE KEY-----|\Z)", re.DOTALL)


def shown_digest(content: bytes) -> str:
    """Return ``sha256:`` and the first digits of the digest: enough to compare, nothing to steal."""
    return f"sha256:{hashlib.sha256(content).hexdigest()[:_SHOWN_DIGITS]}…"


def redact(text: str) -> str:
    """Return `text` with private keys, tokens, passwords and embedded data as digests."""
    text = _KEY.sub(lambda found: f"{found[1]}private key {shown_digest(found[0].encode())}", text)
    text = _FIELD.sub(lambda found: found[1] + shown_digest(found[2].encode()), text)
    return _WORD.sub(lambda found: shown_digest(found[1].encode()), text)


def diff(change: FileChange, *, owners: bool = True) -> str:
    """Return the diff of one change; empty when nothing is written."""
    if not change.writes:
        return ""
    old, new = _sides(change)
    if not change.path or old == new:
        lines = []
    else:
        before = "/dev/null" if change.live.kind == "absent" else f"a{change.path}"
        after = f"b{change.path}" if change.after or change.original else "/dev/null"
        lines = list(difflib.unified_diff(old, new, before, after, lineterm=""))
    return "\n".join([*(lines or [f"--- a{change.path}", f"+++ b{change.path}"]), *_attributes(change, owners=owners)])


def _sides(change: FileChange) -> tuple[list[str], list[str]]:
    is_secret = change.after is not None and change.after.secret
    old = _lines(change.live, is_secret=is_secret)
    if change.after is not None:
        return old, _text(change.after.content, is_secret=is_secret)
    if change.original is not None:
        return old, [f"(what was there before: sha256:{change.original.sha256[:_SHOWN_DIGITS]}…)"]
    return old, []


def _lines(live: Live, *, is_secret: bool) -> list[str]:
    if live.kind == "absent":
        return []
    if live.kind != "file":
        return [f"({live.kind} {live.target})".replace(" )", ")")]
    return _text(live.content, is_secret=is_secret)


def _text(content: bytes, *, is_secret: bool) -> list[str]:
    if is_secret:
        return [f"({shown_digest(content)}, {len(content)} bytes, not shown)"]
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return [f"({shown_digest(content)}, {len(content)} bytes, not text)"]
    return redact(text).splitlines()


def _attributes(change: FileChange, *, owners: bool) -> list[str]:
    after = change.after or change.original
    if after is None:
        return []
    if change.live.kind != "file":
        return [f"# mode {after.mode:04o}", *([f"# owner {after.owner}"] if owners else [])]
    lines = []
    if change.live.mode != after.mode:
        lines.append(f"# mode {change.live.mode:04o} becomes {after.mode:04o}")
    if owners and change.live.owner != after.owner:
        lines.append(f"# owner {change.live.owner} becomes {after.owner}")
    return lines
