"""What nodegate approves, Go reads the same: node, organization, names, addresses and key.

The API server, NodeRestriction and the signer read requests with Go; a request that two decoders read differently
is how one approves a node and signs another. All requests are collected first, and Go runs once.
"""

import base64
import json
import shutil
import subprocess
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hack.fuzz.targets import asked
from hack.vectors.request import Request, pem
from nodegate.csr.decide import judge
from nodegate.csr.model import Approve, CsrFacts, NameKind
from nodegate.enrollment.claims import ClaimIndex
from nodegate.fields import parse_address
from nodegate.names import SERVING_SIGNER
from tests.builders import ROOT, load_vectors, make_case, make_enrollment, make_node
from tests.property.strategies import bent_requests, requests, serving_requests

_GO = shutil.which("go")


class _Pair(NamedTuple):
    """One request as both sides read it."""

    encoded: str
    """The PEM in base64, as in spec.request."""

    csr: CsrFacts
    go: dict[str, Any]

    @property
    def approved(self) -> bool:
        """Tell whether some enrollment would let it be approved."""
        return isinstance(judge(_suitable(self.csr)).verdict, Approve)


def _suitable(csr: CsrFacts) -> Any:
    """Return the case with an enrollment that lists whatever the request asks for."""
    names = (csr.pkcs10.alt_names if csr.pkcs10 else None) or ()
    enrollment = make_enrollment(
        name=csr.node_name or "node-a",
        addresses=tuple(str(name.address) for name in names if name.address is not None),
        dns_names=frozenset(name.text.lower() for name in names if name.kind is NameKind.DNS),
    )
    node = make_node(name=enrollment.name) if csr.signer == SERVING_SIGNER else None
    return make_case(csr=csr, enrollment=enrollment, node=node, claims=ClaimIndex([enrollment]))


def _drawn() -> list[bytes]:
    """Draw requests: right ones, wrong ones, and bent ones."""
    found: list[bytes] = []
    signed = st.one_of(requests(), serving_requests())

    @settings(max_examples=1500, deadline=None, database=None)
    @given(st.one_of(signed.map(lambda request: request.pem), bent_requests(), bent_requests()))
    def gather(content: bytes) -> None:
        found.append(content)

    gather()
    return found


@pytest.fixture(scope="module", name="pairs")
def _pairs() -> list[_Pair]:
    """Every vector's request and many drawn ones, read by both."""
    if _GO is None:
        pytest.skip("expected the Go toolchain to read requests as the API server does, found no `go` in PATH")
    requested = [str(vector.csr["spec"]["request"]) for vector in load_vectors()]
    encoded = list(dict.fromkeys([*requested, *(base64.b64encode(content).decode() for content in _drawn())]))
    lines = "".join(f"{text}\n" for text in encoded)
    command, folder = [_GO, "run", "."], ROOT / "hack" / "goread"
    run = subprocess.run(command, cwd=folder, input=lines, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    read = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(read) == len(encoded)
    return [_Pair(text, asked(text), go) for text, go in zip(encoded, read, strict=True)]


def test_enough_is_approved_to_prove_something(pairs: list[_Pair]) -> None:
    """Approvals are many, and so are requests that Go reads and nodegate refuses."""
    assert sum(pair.approved for pair in pairs) > 40
    assert sum(pair.go["ok"] and not pair.approved for pair in pairs) > 40


def test_go_reads_what_is_approved(pairs: list[_Pair]) -> None:
    """Go parses every approved request and finds its signature valid."""
    assert [pair for pair in pairs if pair.approved and not (pair.go["ok"] and pair.go["signatureOK"])] == []


def test_go_reads_the_same_node_and_organization(pairs: list[_Pair]) -> None:
    """The subject that would be signed is the one that was judged."""
    for pair in pairs:
        if pair.approved:
            expected = (f"system:node:{pair.csr.node_name}", ["system:nodes"])
            assert (pair.go["cn"], pair.go["organization"]) == expected, pair.encoded


def test_go_reads_the_same_names_and_addresses(pairs: list[_Pair]) -> None:
    """The names that would be signed are exactly those that were judged, and there are no other kinds."""
    for pair in pairs:
        if pair.approved:
            assert pair.csr.pkcs10 is not None
            names = pair.csr.pkcs10.alt_names or ()
            dns = [name.text for name in names if name.kind is NameKind.DNS]
            addresses = [name.address for name in names if name.kind is NameKind.IP]
            assert (pair.go["dns"] or []) == dns, pair.encoded
            assert [parse_address(text) for text in pair.go["ips"] or []] == addresses, pair.encoded
            assert not pair.go["emails"], pair.encoded
            assert not pair.go["uris"], pair.encoded


def test_go_reads_the_same_key(pairs: list[_Pair]) -> None:
    """The key that is pinned and recorded is the one that would be certified."""
    for pair in pairs:
        if pair.approved:
            assert pair.csr.pkcs10 is not None
            assert pair.go["spkiSHA256"] == pair.csr.pkcs10.public_key_sha256, pair.encoded


def test_the_gate_is_what_makes_it_so(pairs: list[_Pair]) -> None:
    """The corpus holds requests of which Go reads another node than the first block names: the gate refuses them."""
    evil = [pair for pair in pairs if pair.go.get("cn") == "system:node:node-b" and pair.csr.encoding_fault]

    assert len(evil) >= 3
    assert not any(pair.approved for pair in evil)


def test_pem_is_the_same_for_both() -> None:
    """The generator's blocks are canonical, or nothing here would be approved."""
    assert Request().pem == pem(Request().der)
