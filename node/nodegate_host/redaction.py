"""Takes secrets out of text that is shown or packed: tokens, keys, passwords, data of kubeconfigs.

Text goes in, the same text with ``[redacted sha256:…]`` in place of each secret comes out; equal secrets give equal
marks, so two files can be compared without showing either.
"""

from __future__ import annotations

import hashlib
import re

_SECRETS = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    re.compile(r"(?<![a-z0-9])[a-z0-9]{6}\.[a-z0-9]{16}(?![a-z0-9])"),
    re.compile(r"(?i)(?<=bearer )[\w.~+/=-]{8,}"),
    re.compile(r"(?i)(?<=basic )[A-Za-z0-9+/=]{8,}"),
    re.compile(r"(?im)(?<=token: ).+$"),
    re.compile(r"(?i)(?<=-token=)[^\s\"']+"),
    re.compile(r"(?i)(?<=-password=)[^\s\"']+"),
    re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),
)

_NAMED = re.compile(
    r"(?im)^(\s*\"?(?:client-key-data|token|password|passphrase|auth|identitytoken|secret)\"?\s*[:=]\s*)(\S.*)$"
)
"""Settings of YAML, TOML, JSON and environment files whose value is a secret."""


def _value(found: re.Match[str]) -> str:
    return f"{found.group(1)}[redacted sha256:{hashlib.sha256(found.group(2).strip().encode()).hexdigest()[:8]}]"


def _mark(found: re.Match[str]) -> str:
    return f"[redacted sha256:{hashlib.sha256(found.group().strip().encode()).hexdigest()[:8]}]"


def redact(text: str) -> str:
    """Return `text` without secrets."""
    text = _NAMED.sub(_value, text)
    for secret in _SECRETS:
        text = secret.sub(_mark, text)
    return text
