"""What must hold for any bytes: each target takes some and raises when the operator breaks its word.

Rules: readers return facts or raise `Malformed`, never anything else; DER that is read is the one encoding of
what it holds; whatever is approved, a second reader reads the same. `info` signs what it is given, because no
fuzzer can, so that approvals are reached.
"""

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from hack.fuzz import reader
from hack.vectors import der as asn1
from hack.vectors.keys import public_info, sign
from nodegate.csr.decide import judge
from nodegate.csr.model import Approve, Case, CsrFacts, Judgement, NameKind, NodeFacts, Policy
from nodegate.csr.parse import parse_csr, parse_node
from nodegate.csr.pkcs10 import decode_pem, encode_pem, read_der
from nodegate.enrollment.claims import ClaimIndex
from nodegate.enrollment.decide import Surroundings, decide
from nodegate.enrollment.model import Enrollment, NodeName
from nodegate.enrollment.parse import parse_enrollment
from nodegate.errors import Malformed
from nodegate.identity import ReservedIndex
from nodegate.names import CLIENT_SIGNER, SERVING_SIGNER

NOW = datetime(2030, 1, 31, 12, tzinfo=UTC)
KEYS = ("p256-a", "p256-b", "ed25519")
"""The vectors' keys that sign what is fuzzed."""


class Broken(AssertionError):
    """The operator has broken its word."""


def _hold(promise: object, words: str) -> None:
    if not promise:
        raise Broken(words)


def pem(data: bytes) -> None:
    """A block that is taken is the one encoding of its DER; anything else is a fault in words."""
    content, fault = decode_pem(data)
    _hold((content is None) == bool(fault), "expected either DER or a fault")
    if content is None:
        _hold(str(fault).isprintable(), "expected a printable fault")
    else:
        _hold(data in (encode_pem(content), encode_pem(content)[:-1]), "expected the canonical block only")


def der(data: bytes) -> None:
    """A request that is read is the one encoding of what it holds; anything else is a fault in words."""
    facts, fault = read_der(data)
    _hold((facts is None) == bool(fault), "expected either facts or a fault")
    if facts is None:
        _hold(str(fault).isprintable(), "expected a printable fault")
        return
    request = x509.load_der_x509_csr(data)
    _hold(request.public_bytes(Encoding.DER) == data, "expected what is read to encode as it was read")


def info(data: bytes) -> None:
    """Whatever is approved once it is signed, a second reader reads the same."""
    signature = sign(next((key for key in KEYS if public_info(key) in data), KEYS[0]), data)
    request = asn1.sequence(data, signature.algorithm, asn1.bits(signature.value))
    der(request)
    approved(request)


def approved(request: bytes) -> bool:
    """Tell whether a request is approved under an enrollment that lists all it asks for; if so, read it again."""
    csr = asked(base64.b64encode(encode_pem(request)).decode())
    if not isinstance(_suited(csr).verdict, Approve) or csr.pkcs10 is None:
        return False
    shown, names = reader.read(request), csr.pkcs10.alt_names or ()
    expected = reader.Shown(
        organizations=(b"system:nodes",),
        common_names=(f"system:node:{csr.node_name}".encode(),),
        other_attributes=0,
        key_info=shown.key_info,
        dns=tuple(name.text.encode() for name in names if name.kind is NameKind.DNS),
        addresses=tuple(name.address for name in names if name.address is not None),
        other_names=0,
        other_extensions=0,
    )
    mapped = tuple(getattr(address, "ipv4_mapped", None) or address for address in shown.addresses)
    _hold((expected.organizations, expected.common_names) == (shown.organizations, shown.common_names), "the subject")
    _hold((expected.dns, expected.addresses) == (shown.dns, mapped), "expected the same names, found others")
    _hold(not (shown.other_attributes or shown.other_names or shown.other_extensions), "expected nothing else")
    digest = hashlib.sha256(shown.key_info).hexdigest()
    _hold(csr.pkcs10.public_key_sha256 == digest, "expected the same key, found another")
    return True


def asked(encoded: str) -> CsrFacts:
    """Return the facts of a request (as in a CSR's spec) made by whoever its content fits: a node or a token."""
    plain = parse_csr({"spec": {"request": encoded}})
    serving = bool(plain.pkcs10 and plain.pkcs10.extensions)
    spec = {
        "request": encoded,
        "signerName": SERVING_SIGNER if serving else CLIENT_SIGNER,
        "usages": ["digital signature", "server auth" if serving else "client auth"],
        "username": f"system:node:{plain.node_name}" if serving else "system:bootstrap:abcdef",
        "groups": ["system:nodes" if serving else "system:bootstrappers"],
    }
    return parse_csr({"spec": spec})


def _suited(csr: CsrFacts) -> Judgement:
    """Judge beside an enrollment that lists whatever is asked for."""
    names = (csr.pkcs10.alt_names if csr.pkcs10 else None) or ()
    enrollment = Enrollment(
        name=csr.node_name or NodeName("node-a"),
        generation=1,
        addresses=frozenset(name.address for name in names if name.address is not None),
        dns_names=frozenset(name.text.lower() for name in names if name.kind is NameKind.DNS),
    )
    node = parse_node({"metadata": {"name": enrollment.name}}) if csr.signer == SERVING_SIGNER else None
    return _judge(csr, enrollment, node)


def _judge(csr: CsrFacts, enrollment: Enrollment | None, node: NodeFacts | None) -> Judgement:
    return judge(
        Case(
            csr=csr,
            enrollment=enrollment,
            node=node,
            claims=ClaimIndex([enrollment] if enrollment else []),
            reserved=ReservedIndex(),
            policy=Policy(),
            now=NOW,
        )
    )


def _json(data: bytes) -> Any:
    """Return JSON, or None for what is none: the API server sends nothing else."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def body(data: bytes) -> None:
    """A CertificateSigningRequest of any form is read and judged, or is `Malformed`, and never approved by chance."""
    try:
        csr = parse_csr(_json(data))
    except Malformed as error:
        _hold(str(error).isprintable(), "expected a printable message")
        return
    own = Enrollment(name=csr.node_name, generation=1) if csr.node_name else None
    judgement = _judge(csr, own, None)
    if isinstance(judgement.verdict, Approve):
        _hold(csr.pkcs10 is not None and csr.pkcs10.signature_valid, "expected a request that proves its key")


def enrollment(data: bytes) -> None:
    """A NodeEnrollment of any form is read and decided on, or is `Malformed`."""
    content = _json(data)
    for offline in (False, True):
        try:
            read = parse_enrollment(content, offline=offline)
        except Malformed as error:
            _hold(str(error).isprintable(), "expected a printable message")
            continue
        around = Surroundings(claims=ClaimIndex([read]), reserved=ReservedIndex(), node=None, now=NOW)
        _hold(decide(read, around).conditions, "expected conditions, found none")


TARGETS: dict[str, Callable[[bytes], None]] = {
    "pem": pem,
    "der": der,
    "info": info,
    "body": body,
    "enrollment": enrollment,
}
"""Every target, by the name of its folder in `tests/corpus`."""
