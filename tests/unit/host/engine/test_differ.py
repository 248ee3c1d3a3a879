"""Diffs show what changes and never a secret."""

from __future__ import annotations

import pytest

from nodegate_host.engine.atomic import ABSENT, Live
from nodegate_host.engine.differ import diff, redact
from nodegate_host.engine.states import FileChange, Kind
from nodegate_host.model import File

_TOKEN = "abcdef.0123456789abcdef"  # noqa: S105 - a made-up token, to look for
_KEY = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIGx\n-----END EC PRIVATE KEY-----\n"


def _change(live: bytes, wanted: bytes, *, secret: bool = False, live_mode: int = 0o644) -> FileChange:
    mode = 0o600 if secret else 0o644
    after = File("/etc/file", wanted, mode, secret=secret)
    return FileChange("/etc/file", Kind.UPDATED, Live("file", live, live_mode, "root:root"), after)


def test_a_change_is_a_unified_diff() -> None:
    """Live is a/, wanted is b/, and the lines are diff's own."""
    assert diff(_change(b"one\ntwo\n", b"one\nthree\n")).splitlines() == [
        "--- a/etc/file", "+++ b/etc/file", "@@ -1,2 +1,2 @@", " one", "-two", "+three",
    ]  # fmt: skip


def test_a_new_file_comes_from_nothing() -> None:
    """A file that is created is compared with /dev/null and shows its mode and owner."""
    text = diff(FileChange("/etc/file", Kind.CREATED, ABSENT, File("/etc/file", b"x\n", 0o640)))

    assert text.splitlines()[0] == "--- /dev/null"
    assert text.splitlines()[-2:] == ["# mode 0640", "# owner root:root"]


def test_a_secret_file_shows_only_digests() -> None:
    """Of a secret neither side is shown, only that they differ."""
    text = diff(_change(b"token: old-secret\n", b"token: new-secret\n", secret=True, live_mode=0o644))

    assert "old-secret" not in text
    assert "new-secret" not in text
    assert text.count("sha256:") == 2
    assert "# mode 0644 becomes 0600" in text


@pytest.mark.parametrize(
    "text",
    [
        f"token: {_TOKEN}",
        f'    "password": "{_TOKEN}",',
        f"client-key-data: {_TOKEN}",
        f"- bootstrap-token={_TOKEN}",
        f"ExecStart=/usr/bin/thing --auth {_TOKEN}",
        _KEY.replace("MHcCAQEEIGx", _TOKEN),
    ],
)
def test_secrets_in_other_files_are_digests_too(text: str) -> None:
    """Whatever somebody left in a file that is not known to be secret, a token or key in it is not shown."""
    shown = redact(text)

    assert _TOKEN not in shown
    assert "sha256:" in shown


def test_a_changed_secret_changes_its_digest() -> None:
    """Two secrets are told apart without being shown."""
    assert redact("token: one-secret") != redact("token: another-secret")


def test_bytes_that_are_no_text_are_not_shown() -> None:
    """A binary is a digest and a size."""
    text = diff(_change(b"\xff\xfe", b"\xff\xfd"))

    assert "not text" in text
