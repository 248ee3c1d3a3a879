"""General names of every kind, as they stand in a SubjectAlternativeName (RFC 5280 §4.2.1.6)."""

from ipaddress import ip_address

from hack.vectors import der


def dns(name: str | bytes) -> bytes:
    """Return a dNSName; bytes are taken as they are, text as UTF-8."""
    return der.tlv(0x82, name if isinstance(name, bytes) else name.encode())


def ip(address: str | bytes) -> bytes:
    """Return an iPAddress; bytes are taken as they are, of any length."""
    return der.tlv(0x87, address if isinstance(address, bytes) else ip_address(address).packed)


def email(address: str) -> bytes:
    """Return an rfc822Name."""
    return der.tlv(0x81, address.encode())


def uri(address: str) -> bytes:
    """Return a uniformResourceIdentifier."""
    return der.tlv(0x86, address.encode())


def registered_id(dotted: str) -> bytes:
    """Return a registeredID."""
    return b"\x88" + der.oid(dotted)[1:]


def other_name(dotted: str, value: str) -> bytes:
    """Return an otherName that holds a UTF8String, such as a user principal name."""
    return der.tlv(0xA0, der.oid(dotted), der.tlv(0xA0, der.text(value, der.UTF8)))


def directory_name(common_name: str) -> bytes:
    """Return a directoryName of one common name."""
    return der.tlv(0xA4, der.sequence(der.rdn(der.attribute("2.5.4.3", common_name, der.UTF8))))


def edi_party_name(party: str) -> bytes:
    """Return an ediPartyName, which hardly any library reads."""
    return der.tlv(0xA5, der.tlv(0xA1, der.text(party, der.UTF8)))
