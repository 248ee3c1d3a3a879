"""Stage 1: requests that are not one canonical PEM block, so that two readers could read two requests.

The good block is node-a's; the evil one names another node by another key. Go's `pem.Decode` and other
decoders choose differently among them (measured with Go 1.19.8 and cryptography 48 and 50).
"""

from hack.vectors.names import dns
from hack.vectors.request import FOOT, HEAD, Request, pem
from hack.vectors.vector import OWN_NAMES, Vector, bootstrap, serving

_GOOD = Request().pem
_DER = Request().der
_EVIL = Request(common_name="system:node:node-b", key="p256-c").pem
_LINES = _GOOD.split(b"\n")
_BODY = _GOOD.removeprefix(HEAD + b"\n").removesuffix(FOOT + b"\n")
_MANY_NAMES = (*OWN_NAMES, *(dns(f"host-{number}.node-a.corp") for number in range(1000)))
_CERTIFICATE = b"-----BEGIN CERTIFICATE-----\n" + _BODY + b"-----END CERTIFICATE-----\n"
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_PADDED = Request(key="rsa-2048").pem
_IDENTITY = b"-----BEGIN VM IDENTITY-----\n" + _BODY + b"-----END VM IDENTITY-----\n"


def _loose_bits() -> bytes:
    """Return a block with bits set that base64's padding leaves unused."""
    data, mark, rest = _PADDED.rpartition(b"\n-----END")
    before = data.rstrip(b"=")
    looser = _ALPHABET[_ALPHABET.index(before[-1:]) + 1 :][:1]
    return before[:-1] + looser + data[len(before) :] + mark + rest


def _case(name: str, why: str, request: bytes, api: str = "unknown") -> Vector:
    return bootstrap(f"EncodingNotCanonical/{name}", why, request=request, api=api)


VECTORS = (
    bootstrap("EncodingNotCanonical/empty", "No request at all (V19).", spec={"request": ""}, api="refuses"),
    bootstrap(
        "EncodingNotCanonical/not-base64",
        "spec.request itself is no base64.",
        spec={"request": "%%% no %%%"},
        api="refuses",
    ),
    _case("not-pem", "Words instead of a request (V19).", b"please approve me\n", "refuses"),
    _case("der-instead-of-pem", "The request without its PEM armour.", _DER, "refuses"),
    _case(
        "leading-space",
        "Go skips a BEGIN that does not start its line and reads the second block (V20).",
        b" " + _GOOD + _EVIL,
    ),
    _case("leading-tab", "As with a leading space: Go reads the evil block.", b"\t" + _GOOD + _EVIL),
    _case("leading-newline", "An empty line first: nothing but the one block may be there.", b"\n" + _GOOD),
    _case("byte-order-mark", "A byte order mark is not part of a PEM block.", "﻿".encode() + _GOOD),
    _case(
        "text-before",
        "Explanatory text before the block (RFC 7468 §2 allows it, a kubelet sends none).",
        b"Certificate Request:\n" + _GOOD,
    ),
    _case(
        "begin-in-mid-line",
        "Go wants BEGIN at the start of a line and reads the second block.",
        b"junk " + _GOOD + _EVIL,
    ),
    _case(
        "carriage-returns-only",
        "CR alone is no line break to Go, but is to others.",
        _GOOD.replace(b"\n", b"\r") + _EVIL,
    ),
    _case("crlf", "CRLF line ends: Go accepts them, the gate does not (V25).", _GOOD.replace(b"\n", b"\r\n")),
    _case("one-crlf", "One CRLF among LFs.", _GOOD.replace(b"\n", b"\r\n", 1)),
    _case(
        "end-glued-to-data",
        "END not on its own line: Go reads on and finds the second block (V21).",
        HEAD + b"\n" + _BODY.rstrip(b"\n") + FOOT + b"\n" + _EVIL,
    ),
    _case(
        "junk-after-end",
        "Junk on the END line: Go rejects the first block and reads the second (V21).",
        _GOOD.rstrip(b"\n") + b"junk\n" + _EVIL,
    ),
    _case("two-blocks", "Two valid blocks: Go signs the first, others may judge the last (V22).", _GOOD + _EVIL),
    _case("same-block-twice", "The same block twice is not one block.", _GOOD + _GOOD),
    _case("text-after", "Text after the block.", _GOOD + b"# for node-a\n"),
    _case("two-final-newlines", "One newline may end the block, not two.", _GOOD + b"\n"),
    _case(
        "new-certificate-request",
        "The label NEW CERTIFICATE REQUEST: Go rejects it, others accept it (V23).",
        _GOOD.replace(b"CERTIFICATE REQUEST", b"NEW CERTIFICATE REQUEST"),
        "refuses",
    ),
    _case(
        "lower-case-label",
        "Labels are upper case.",
        _GOOD.replace(b"CERTIFICATE REQUEST", b"certificate request"),
        "refuses",
    ),
    _case(
        "certificate-label",
        "A block of another type with a request in it.",
        _GOOD.replace(b"CERTIFICATE REQUEST", b"CERTIFICATE"),
        "refuses",
    ),
    _case(
        "labels-differ",
        "BEGIN and END name different types.",
        _GOOD.replace(b"END CERTIFICATE REQUEST", b"END CERTIFICATE"),
        "refuses",
    ),
    _case(
        "certificate-block-first",
        "Go wants the first block to be the request; others skip to it (V24).",
        _CERTIFICATE + _GOOD,
        "refuses",
    ),
    _case(
        "gke-attestation-blocks", "GKE carried attestations in further PEM blocks of spec.request.", _GOOD + _IDENTITY
    ),
    _case(
        "headers",
        "RFC 1421 headers: Go accepts and drops them.",
        HEAD + b"\nProc-Type: 4,ENCRYPTED\n\n" + _BODY + FOOT + b"\n",
    ),
    _case("lines-of-63", "Lines of another length than 64.", pem(_DER, width=63)),
    _case("lines-of-76", "MIME's line length.", pem(_DER, width=76)),
    _case("one-long-line", "All of it in one line.", pem(_DER, width=100_000)),
    _case("blank-line-inside", "A blank line amid the data.", b"\n".join([*_LINES[:3], b"", *_LINES[3:]])),
    _case(
        "blank-line-after-begin", "A blank line where headers would end.", b"\n".join([*_LINES[:1], b"", *_LINES[1:]])
    ),
    _case("trailing-space", "A space at the end of a line.", _GOOD.replace(b"\n", b" \n", 2)),
    _case("no-end", "The END line is missing.", HEAD + b"\n" + _BODY, "refuses"),
    _case("padding-missing", "The base64 padding is cut off.", _PADDED.replace(b"=", b"")),
    _case("loose-padding-bits", "Bits set that base64 ignores: two texts for one request.", _loose_bits()),
    _case("url-alphabet", "base64's URL alphabet.", _PADDED.replace(b"+", b"-").replace(b"/", b"_")),
    _case("empty-block", "A block with nothing in it.", HEAD + b"\n" + FOOT + b"\n", "refuses"),
    _case("six-dashes", "One dash too many.", b"-" + _GOOD),
    _case("nul-bytes", "NUL bytes after the block.", _GOOD + b"\x00\x00"),
    serving(
        "EncodingNotCanonical/thousand-names",
        "1,000 SANs and more than 16 KiB: refused before anything is read (V28).",
        request=Request(alt_names=_MANY_NAMES),
        found="bytes",
    ),
)
