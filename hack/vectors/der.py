"""DER by hand: what no certificate library lets one write.

What enters are Python values, what leaves are bytes. Rules: every function returns one complete TLV, so
that a structure reads like its ASN.1; nothing here checks whether the result makes sense.
"""

from collections.abc import Iterable

NULL = b"\x05\x00"
UTF8, PRINTABLE, T61, IA5, BMP = 0x0C, 0x13, 0x14, 0x16, 0x1E
"""Tags of the ASN.1 string types that names are made of (X.680 §8)."""


def length(size: int) -> bytes:
    """Return a length in its one DER form."""
    if size < 0x80:  # noqa: PLR2004 - X.690 §8.1.3.4: the short form ends here
        return bytes([size])
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(octets)]) + octets


def tlv(tag: int, *contents: bytes) -> bytes:
    """Return tag, length and the joined contents."""
    content = b"".join(contents)
    return bytes([tag]) + length(len(content)) + content


def sequence(*contents: bytes) -> bytes:
    """Return a SEQUENCE."""
    return tlv(0x30, *contents)


def set_of(*contents: bytes) -> bytes:
    """Return a SET OF, its members in DER's order."""
    return tlv(0x31, *sorted(contents))


def integer(value: int) -> bytes:
    """Return an INTEGER."""
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def octets(content: bytes) -> bytes:
    """Return an OCTET STRING."""
    return tlv(0x04, content)


def bits(content: bytes) -> bytes:
    """Return a BIT STRING of whole octets."""
    return tlv(0x03, b"\x00", content)


def oid(dotted: str) -> bytes:
    """Return an OBJECT IDENTIFIER."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    return tlv(0x06, *(_base128(arc) for arc in (first * 40 + second, *rest)))


def _base128(arc: int) -> bytes:
    groups = [arc & 0x7F]
    while arc := arc >> 7:
        groups.append(0x80 | arc & 0x7F)
    return bytes(reversed(groups))


def text(value: str, tag: int) -> bytes:
    """Return a character string of the type that `tag` says."""
    encoding = {BMP: "utf-16-be", UTF8: "utf-8"}.get(tag, "latin-1")
    return tlv(tag, value.encode(encoding))


def rdn(*attributes: bytes) -> bytes:
    """Return a relative distinguished name."""
    return set_of(*attributes)


def attribute(kind: str, value: str, tag: int = PRINTABLE) -> bytes:
    """Return one attribute of a name: its dotted type and its value."""
    return sequence(oid(kind), text(value, tag))


def extension(kind: str, value: bytes, *, critical: bool = False) -> bytes:
    """Return one X.509 extension; `value` is the DER inside its OCTET STRING."""
    return sequence(oid(kind), *([b"\x01\x01\xff"] if critical else []), octets(value))


def extension_request(*extensions: bytes) -> bytes:
    """Return the PKCS#9 attribute that asks for extensions (RFC 2985 §5.4.2)."""
    return sequence(oid("1.2.840.113549.1.9.14"), set_of(sequence(*extensions)))


def alt_names(names: Iterable[bytes], *, critical: bool = False) -> bytes:
    """Return a SubjectAlternativeName extension."""
    return extension("2.5.29.17", sequence(*names), critical=critical)
