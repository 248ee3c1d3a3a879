"""The line that marks a file as ours, with the digest of what follows, so a change by hand shows without any state.

The generation that wrote a file stands in the manifest of the generations, not here: a file that did not change keeps
its bytes.
"""

from __future__ import annotations

import hashlib
import re

_HEADER = re.compile(rb"(?:#![^\n]*\n)?[#;] Managed by nodegate-host; sha256 ([0-9a-f]{64}); [^\n]*\n")


def with_header(body: str, *, advice: str, first: str = "") -> bytes:
    """Return `body` under its header; `advice` says where changes belong, `first` is a line that must come first."""
    data = body.encode()
    digest = hashlib.sha256(data).hexdigest()
    return f"{first}# Managed by nodegate-host; sha256 {digest}; {advice}\n".encode() + data


def is_ours(content: bytes) -> bool:
    """Whether a file begins with our header."""
    return _HEADER.match(content) is not None


def is_intact(content: bytes) -> bool:
    """Whether a file with our header still holds what was written under it."""
    match = _HEADER.match(content)
    if match is None:
        return False
    return hashlib.sha256(content[match.end() :]).hexdigest().encode() == match[1]
