"""What is read in a request, and that nothing odd is read at all."""

import pytest

from hack.vectors import der
from hack.vectors.keys import public_sha256
from hack.vectors.names import directory_name, dns, edi_party_name, ip, registered_id
from hack.vectors.request import Request, pem
from nodegate.csr.model import KeyKind, NameKind
from nodegate.csr.pkcs10 import SIZE_LIMIT, decode_pem, encode_pem, read_der
from tests.builders import read


def test_reads_what_a_kubelet_sends() -> None:
    """Subject, key, signature and extensions of an ordinary serving request."""
    request = read(Request(alt_names=(dns("node-a"), ip("10.0.0.5"), ip("fd00::5"))))

    assert [(a.rdn, a.oid, a.value) for a in request.subject] == [
        (0, "2.5.4.10", "system:nodes"),
        (1, "2.5.4.3", "system:node:node-a"),
    ]
    assert (request.key_kind, request.key_text) == (KeyKind.ALLOWED, "EC secp256r1")
    assert request.public_key_sha256 == public_sha256("p256-a")
    assert request.signature_valid is True
    assert (request.attributes, request.extensions) == (("1.2.840.113549.1.9.14",), ("2.5.29.17",))
    assert [name.text for name in request.alt_names or ()] == ["node-a", "10.0.0.5", "fd00::5"]


def test_unwraps_ipv4_mapped_addresses_and_shows_them_as_they_came() -> None:
    """::ffff:10.0.0.5 is compared as 10.0.0.5, as Go does; how it was written stays visible."""
    (name,) = read(Request(alt_names=(ip("::ffff:10.0.0.5"),))).alt_names or ()

    assert (name.kind, str(name.address)) == (NameKind.IP, "10.0.0.5")
    assert name.text.startswith("::ffff:")


@pytest.mark.parametrize("name", [directory_name("x"), registered_id("1.2.3"), edi_party_name("x")])
def test_sees_names_of_other_kinds(name: bytes) -> None:
    """Kinds that other readers drop in silence are seen, and are no DNS or IP names."""
    names = read(Request(alt_names=(name,))).alt_names or ()

    assert [name.kind for name in names] == [NameKind.OTHER]


@pytest.mark.parametrize("size", [0, 1, 47, 48, 49, 96, 1000])
def test_canonical_pem_is_the_one_of_every_length(size: int) -> None:
    """Blocks around every line boundary are decoded, with and without the final newline, and nothing else is."""
    content = bytes(range(256)) * 4
    block = encode_pem(content[:size])

    assert block == pem(content[:size])
    expected = (content[:size], None) if size else (None, "an empty block")
    assert decode_pem(block) == decode_pem(block[:-1]) == expected
    assert decode_pem(block[:-2])[0] is None
    assert decode_pem(block + b"\n")[0] is None


def test_size_limit_is_exact() -> None:
    """16 KiB are read, one byte more is not."""
    content = bytes(SIZE_LIMIT)
    while len(block := encode_pem(content)) > SIZE_LIMIT:
        content = content[:-1]

    assert decode_pem(block) == (content, None)
    assert decode_pem(encode_pem(content + bytes(48)))[1] == f"{len(encode_pem(content + bytes(48)))} bytes"


@pytest.mark.parametrize("content", [b"", b"\x30\x00", b"\x30\x80\x00\x00", b"\xff" * 64, der.sequence(der.NULL)])
def test_what_is_no_request_is_a_fault_in_words(content: bytes) -> None:
    """Nothing is raised, and the fault is printable."""
    request, fault = read_der(content)

    assert request is None
    assert fault is not None
    assert fault.isprintable()
