"""A second reader of PKCS#10 requests: DER in, subject, names and key out, sharing no line with the operator's.

Rules: it knows DER (X.690 §10) and PKCS#10 (RFC 2986) only; it reads tag by tag, takes nothing but definite
lengths, and judges nothing. What it cannot read raises ValueError.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

_SEQUENCE, _SET, _OCTETS = 0x30, 0x31, 0x04
_ORGANIZATION, _COMMON_NAME = b"\x55\x04\x0a", b"\x55\x04\x03"
_EXTENSION_REQUEST = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e"
_ALT_NAMES = b"\x55\x1d\x11"
_DNS, _IP = 0x82, 0x87
_MANY_BYTES = 0x80


@dataclass(frozen=True, slots=True)
class Shown:
    """What a request says."""

    organizations: tuple[bytes, ...]
    common_names: tuple[bytes, ...]
    other_attributes: int
    """Attributes of the subject that are neither."""

    key_info: bytes
    """The SubjectPublicKeyInfo as it stands."""

    dns: tuple[bytes, ...]
    addresses: tuple[IPv4Address | IPv6Address, ...]
    other_names: int
    other_extensions: int


def _parts(content: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield tag, content and the whole of each element in a row."""
    at = 0
    while at < len(content):
        if len(content) < at + 2:
            raise ValueError("expected a length, found the end")
        tag, first, start = content[at], content[at + 1], at + 2
        size = first
        if first >= _MANY_BYTES:
            start += first - _MANY_BYTES
            size = int.from_bytes(content[at + 2 : start])
        end = start + size
        if first == _MANY_BYTES or end > len(content):
            raise ValueError("expected a definite length inside the element, found another")
        yield tag, content[start:end], content[at:end]
        at = end


def _only(content: bytes, tag: int) -> bytes:
    (found,) = _parts(content)
    return _tagged(found, tag)


def _tagged(part: tuple[int, bytes, bytes], tag: int) -> bytes:
    if part[0] != tag:
        raise ValueError(f"expected tag {tag:#x}, found {part[0]:#x}")
    return part[1]


def _typed(content: bytes) -> tuple[bytes, tuple[int, bytes, bytes]]:
    """Return a SEQUENCE's first element, an OID, and its last."""
    first, *_, last = _parts(content)
    return first[1], last


def _subject(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    for rdn in _parts(content):
        for attribute in _parts(_tagged(rdn, _SET)):
            kind, value = _typed(_tagged(attribute, _SEQUENCE))
            yield kind, value[1]


def _extensions(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    for attribute in _parts(content):
        kind, values = _typed(_tagged(attribute, _SEQUENCE))
        if kind != _EXTENSION_REQUEST:
            yield kind, b""
            continue
        for extension in _parts(_only(_tagged(values, _SET), _SEQUENCE)):
            oid, value = _typed(_tagged(extension, _SEQUENCE))
            yield oid, _tagged(value, _OCTETS)


def info(request: bytes) -> bytes:
    """Return a request's CertificationRequestInfo as it stands: what is signed.

    Raises:
        ValueError: It is no request.
    """
    first, *_ = _parts(_only(request, _SEQUENCE))
    return first[2]


def read(request: bytes) -> Shown:
    """Read a request.

    Raises:
        ValueError: It is none, or not DER.
    """
    _, subject, key, attributes = _parts(_only(info(request), _SEQUENCE))
    named = list(_subject(_tagged(subject, _SEQUENCE)))
    extensions = list(_extensions(attributes[1]))
    names = [name for kind, value in extensions if kind == _ALT_NAMES for name in _parts(_only(value, _SEQUENCE))]
    return Shown(
        organizations=tuple(value for kind, value in named if kind == _ORGANIZATION),
        common_names=tuple(value for kind, value in named if kind == _COMMON_NAME),
        other_attributes=sum(kind not in (_ORGANIZATION, _COMMON_NAME) for kind, _ in named),
        key_info=key[2],
        dns=tuple(value for tag, value, _ in names if tag == _DNS),
        addresses=tuple(ip_address(value) for tag, value, _ in names if tag == _IP),
        other_names=sum(tag not in (_DNS, _IP) for tag, _, _ in names),
        other_extensions=sum(kind != _ALT_NAMES for kind, _ in extensions),
    )
