"""The few fields of an X.509 certificate that checks compare, read without any library.

PEM or DER goes in, `Certificate` values come out. Only lengths and tags are trusted after they were checked; anything
that is not as expected raises `Malformed`. Nothing is verified here: a signature is TLS's business.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from calendar import timegm
from collections.abc import Iterator
from dataclasses import dataclass

from nodegate_host.facts.model import Certificate

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
_LIMIT = 64
"""Certificates of a bundle that are read."""

_CN = "2.5.4.3"
_O = "2.5.4.10"
_SAN = "2.5.29.17"
_EKU = "2.5.29.37"
_SKI = "2.5.29.14"
_AKI = "2.5.29.35"
_USAGES = {"1.3.6.1.5.5.7.3.1": "serverAuth", "1.3.6.1.5.5.7.3.2": "clientAuth"}
_SEQUENCE, _SET, _BOOLEAN, _OID, _OCTETS = 0x30, 0x31, 0x01, 0x06, 0x04
_VERSION, _EXTENSIONS = 0xA0, 0xA3
_KEY_IDENTIFIER, _DNS, _URI, _IP = 0x80, 0x82, 0x86, 0x87
_UTC_TIME = 0x17


class Malformed(ValueError):
    """Not a certificate, or one cut short."""


@dataclass(frozen=True)
class _Item:
    """A DER element: its tag, content, and all its bytes."""

    tag: int
    content: bytes
    whole: bytes


def _one(data: bytes) -> tuple[_Item, bytes]:
    """Split the first element off."""
    if len(data) < 2:  # noqa: PLR2004 (tag and length)
        raise Malformed("expected a DER element, found the end")
    length, start = data[1], 2
    if length & 0x80:
        count = length & 0x7F
        if count == 0 or count > 4 or len(data) < 2 + count:  # noqa: PLR2004 (four bytes of length are 4 GiB)
            raise Malformed("a DER length that is indefinite or too long")
        length, start = int.from_bytes(data[2 : 2 + count], "big"), 2 + count
    if len(data) < start + length:
        raise Malformed("a DER element longer than the data")
    return _Item(data[0], data[start : start + length], data[: start + length]), data[start + length :]


def _items(data: bytes) -> Iterator[_Item]:
    while data:
        item, data = _one(data)
        yield item


def _oid(content: bytes) -> str:
    numbers, value = [], 0
    for byte in content:
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(value)
            value = 0
    if not numbers:
        raise Malformed("an empty object identifier")
    first = min(numbers[0] // 40, 2)
    return ".".join(str(each) for each in (first, numbers[0] - 40 * first, *numbers[1:]))


def _time(item: _Item) -> float:
    text = item.content.decode("ascii", "replace")
    if item.tag == _UTC_TIME:
        text = ("19" if text[:2] >= "50" else "20") + text
    found = re.fullmatch(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z", text)
    if not found:
        raise Malformed(f"expected a UTC time, found {text!r}")
    year, month, day, hour, minute, second = (int(each) for each in found.groups())
    return float(timegm((year, month, day, hour, minute, second)))


def _name(item: _Item) -> list[tuple[str, str]]:
    found = []
    for attribute_set in _items(item.content):
        for attribute in _items(attribute_set.content):
            parts = list(_items(attribute.content))
            if len(parts) == 2:  # noqa: PLR2004 (type and value)
                found.append((_oid(parts[0].content), parts[1].content.decode("utf-8", "replace")))
    return found


def _extensions(items: list[_Item]) -> dict[str, bytes]:
    found = {}
    for item in items:
        if item.tag == _EXTENSIONS:
            for extension in _items(_one(item.content)[0].content):
                parts = list(_items(extension.content))
                found[_oid(parts[0].content)] = parts[-1].content
    return found


def _names(content: bytes | None) -> tuple[str, ...]:
    found = []
    for item in _items(_one(content)[0].content) if content else ():
        if item.tag in (_DNS, _URI):
            found.append(item.content.decode("ascii", "replace"))
        elif item.tag == _IP and len(item.content) in (4, 16):
            found.append(str(ipaddress.ip_address(item.content)))
    return tuple(found)


def _authority(content: bytes | None) -> str:
    items = _items(_one(content)[0].content) if content else ()
    return next((item.content.hex() for item in items if item.tag == _KEY_IDENTIFIER), "")


def _usages(content: bytes | None) -> tuple[str, ...]:
    items = _items(_one(content)[0].content) if content else ()
    return tuple(_USAGES.get(_oid(item.content), _oid(item.content)) for item in items)


def parse_der(der: bytes, file: str) -> Certificate:
    """Return a certificate's fields; raise `Malformed` when it is none."""
    try:
        return _certificate(der, file)
    except Malformed:
        raise
    except (IndexError, ValueError) as error:
        raise Malformed(f"a certificate with a field that is none in {file}") from error


def _certificate(der: bytes, file: str) -> Certificate:
    body = list(_items(_one(_one(der)[0].content)[0].content))
    body = body[1:] if body and body[0].tag == _VERSION else body
    if len(body) < 6:  # noqa: PLR2004 (serial, algorithm, issuer, validity, subject, key)
        raise Malformed("expected a certificate, found too few fields")
    issuer, validity, subject = body[2], list(_items(body[3].content)), body[4]
    if len(validity) != 2:  # noqa: PLR2004 (from and to)
        raise Malformed("a validity without two times")
    names, extensions = _name(subject), _extensions(body[6:])
    key_id = extensions.get(_SKI)
    return Certificate(
        file=file,
        common_name=next((value for kind, value in names if kind == _CN), ""),
        organizations=tuple(value for kind, value in names if kind == _O),
        not_before=_time(validity[0]),
        not_after=_time(validity[1]),
        subject=subject.whole.hex(),
        issuer=issuer.whole.hex(),
        issuer_name=next((value for kind, value in _name(issuer) if kind == _CN), ""),
        names=_names(extensions.get(_SAN)),
        usages=_usages(extensions.get(_EKU)),
        key_id=_one(key_id)[0].content.hex() if key_id else "",
        authority_id=_authority(extensions.get(_AKI)),
    )


def parse_pem(text: str, file: str) -> tuple[Certificate, ...]:
    """Return the certificates of a PEM text, at most `_LIMIT`; raise `Malformed` when one is broken."""
    found = []
    for match in list(_PEM.finditer(text))[:_LIMIT]:
        try:
            der = base64.b64decode("".join(match.group(1).split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise Malformed(f"broken base64 in {file}") from error
        found.append(parse_der(der, file))
    return tuple(found)


def is_issued_by(certificate: Certificate, authority: Certificate) -> bool:
    """Whether names and key identifiers say that `authority` issued it; the signature is not looked at."""
    same_key = not certificate.authority_id or not authority.key_id or certificate.authority_id == authority.key_id
    return certificate.issuer == authority.subject and same_key
