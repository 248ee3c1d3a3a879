"""The fuzzers' kept inputs, each tried once more: every promise is kept, and what is approved reads the same.

`tests/corpus` comes in. Rules: this needs no fuzzer, so it runs with every change; openssl, where it is, is a
third reader of what is approved.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from hack.fuzz import reader
from hack.fuzz.corpus import KEPT, LONGEST, seeds
from hack.fuzz.targets import KEYS, TARGETS, Broken, approved
from hack.vectors import der
from hack.vectors.keys import public_info, sign
from hack.vectors.names import dns
from hack.vectors.request import Request
from tests.builders import read

_INPUTS = sorted(path for path in KEPT.glob("*/*") if path.is_file())


def _signed(info: bytes) -> bytes:
    """Return the request that the target `info` makes of its input."""
    signature = sign(next((key for key in KEYS if public_info(key) in info), KEYS[0]), info)
    return der.sequence(info, signature.algorithm, der.bits(signature.value))


def _approved() -> list[bytes]:
    """Return every request that the kept inputs and their seeds have approved."""
    kept = [path.read_bytes() for path in _INPUTS if path.parent.name == "info"]
    signed = [_signed(info) for info in (*kept, *seeds("info"))]
    return [request for request in dict.fromkeys(signed) if approved(request)]


@pytest.mark.parametrize("path", _INPUTS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_every_promise_is_kept(path: Path) -> None:
    """What was ever found worth keeping breaks nothing now."""
    TARGETS[path.parent.name](path.read_bytes())


def test_the_corpus_is_small_and_every_target_has_one() -> None:
    """It stays fit for a repository, and no target starts from nothing."""
    assert {path.parent.name for path in _INPUTS} == set(TARGETS)
    assert sum(path.stat().st_size for path in _INPUTS) < 300_000
    assert max(path.stat().st_size for path in _INPUTS) <= LONGEST


@pytest.mark.parametrize("target", TARGETS)
def test_seeds_keep_every_promise(target: str) -> None:
    """The vectors as a fuzzer sees them, too; there are some for each target."""
    contents = list(seeds(target))
    for content in contents:
        TARGETS[target](content)

    assert len(contents) > 10


def test_approvals_are_reached_and_openssl_reads_them() -> None:
    """The promise about approvals is no empty one, and openssl shows the same node, names and addresses."""
    requests = _approved()
    assert len(requests) > 10
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("expected openssl as a third reader, found none in PATH")
    for request in requests:
        command = [openssl, "req", "-inform", "DER", "-noout", "-text", "-verify", "-nameopt", "RFC2253"]
        run = subprocess.run(command, input=request, capture_output=True, check=False)
        said, shown = run.stdout.decode(errors="replace"), reader.read(request)
        assert run.returncode == 0, said
        assert f"CN={shown.common_names[0].decode()}" in said
        assert said.count("DNS:") == len(shown.dns)
        assert said.count("IP Address:") == len(shown.addresses)


def test_a_second_reader_that_reads_otherwise_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The promise can be broken: another name in the second reader's eyes is found."""
    request = Request(key="p256-b", alt_names=(dns("node-a"),)).der
    assert not approved(request), "without an address it is held"
    client = Request().der
    assert approved(client)
    other = reader.read(Request(common_name="system:node:node-b").der)
    monkeypatch.setattr(reader, "read", lambda _: other)

    with pytest.raises(Broken, match="the subject"):
        approved(client)


def test_the_second_reader_reads_what_is_there() -> None:
    """Subject, key, names and everything that a kubelet's request does not have."""
    odd = Request(alt_names=(dns("a"), dns("b")), extensions=(der.extension("2.5.29.19", der.sequence()),))
    shown = reader.read(odd.der)

    assert (shown.organizations, shown.common_names) == ((b"system:nodes",), (b"system:node:node-a",))
    assert (shown.dns, shown.addresses, shown.other_names) == ((b"a", b"b"), (), 0)
    assert (shown.other_attributes, shown.other_extensions) == (0, 1)
    assert shown.key_info == public_info("p256-a")
    assert read(odd).public_key_sha256 is not None
    assert reader.info(odd.der) == odd.info


@pytest.mark.parametrize("content", [b"", b"\x30", b"\x30\x80\x00\x00", b"\x30\x05\x00", b"\x04\x00", b"\x30\x00"])
def test_the_second_reader_refuses_what_is_no_request(content: bytes) -> None:
    """Cut off, of indefinite length, or of another tag: ValueError, and no facts."""
    with pytest.raises(ValueError, match=r"expected|unpack"):
        reader.read(content)
