"""Canaries: what the library that reads requests does, where nodegate relies on it or guards against it.

A test here that turns red after an upgrade says: read `csr/pkcs10.py` again before you ship.
"""

import warnings

import cryptography
import pytest
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import mldsa
from cryptography.x509.oid import ExtensionOID, NameOID, SignatureAlgorithmOID

from hack.vectors import der
from hack.vectors.keys import PSS, Signature
from hack.vectors.names import dns, edi_party_name, ip, other_name, registered_id
from hack.vectors.request import COMMON_NAME, ORGANIZATION, Request

_KEY_BLOCK = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"


def _load(request: Request) -> x509.CertificateSigningRequest:
    return x509.load_der_x509_csr(request.der)


def test_version() -> None:
    """The major version that these canaries were written for."""
    assert cryptography.__version__.partition(".")[0] == "50"


def test_pem_label_new_certificate_request_is_accepted() -> None:
    """Go rejects it, so the gate has to."""
    pem = Request().pem.replace(b"CERTIFICATE REQUEST", b"NEW CERTIFICATE REQUEST")

    assert x509.load_pem_x509_csr(pem) == x509.load_pem_x509_csr(Request().pem)


def test_a_foreign_first_block_is_skipped() -> None:
    """Go wants the first block to be the request, so the gate has to."""
    assert x509.load_pem_x509_csr(_KEY_BLOCK + Request().pem) == _load(Request())


def test_a_second_block_is_ignored() -> None:
    """Of two requests the first is read in silence."""
    evil = Request(common_name="system:node:node-b")

    assert x509.load_pem_x509_csr(Request().pem + evil.pem) == _load(Request())
    assert x509.load_pem_x509_csr(b" " + Request().pem + evil.pem) == _load(Request())


@pytest.mark.parametrize(
    ("tag", "name"),
    [(der.UTF8, "UTF8String"), (der.PRINTABLE, "PrintableString"), (der.IA5, "IA5String"), (der.BMP, "BMPString"),
     (der.T61, "T61String")],
)  # fmt: skip
def test_a_name_attribute_tells_its_string_type(tag: int, name: str) -> None:
    """`_type` is not public, and the only way to tell."""
    (attribute,) = _load(Request(string_tag=tag)).subject.get_attributes_for_oid(NameOID.COMMON_NAME)

    assert attribute._type.name == name
    assert attribute.value == "system:node:node-a"


def test_every_common_name_is_listed() -> None:
    """Two common names come back as two, in order; whoever takes [0] takes the wrong one."""
    names = [der.rdn(der.attribute(COMMON_NAME, text)) for text in ("good", "evil")]

    subject = _load(Request(rdns=[der.rdn(der.attribute(ORGANIZATION, "o")), *names])).subject

    assert [attribute.value for attribute in subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == ["good", "evil"]
    assert [len(rdn) for rdn in subject.rdns] == [1, 1, 1]


def test_a_long_common_name_warns() -> None:
    """Node names may be longer than X.520 allows; the warning is silenced in one place."""
    request = _load(Request(common_name="system:node:" + "a" * 200))

    with pytest.warns(UserWarning, match="length must be"):
        list(request.subject)


def test_a_duplicate_extension_raises_only_when_it_is_read() -> None:
    """Loading succeeds; `.extensions` raises and names the extension."""
    request = _load(Request(extensions=[der.alt_names([dns("a")]), der.alt_names([dns("b")])]))

    with pytest.raises(x509.DuplicateExtension) as caught:
        list(request.extensions)
    assert caught.value.oid == ExtensionOID.SUBJECT_ALTERNATIVE_NAME


def test_edi_party_name_raises_only_when_it_is_read() -> None:
    """Loading succeeds; `.extensions` raises for the one kind that has no class."""
    with pytest.raises(x509.UnsupportedGeneralNameType):
        list(_load(Request(alt_names=[edi_party_name("a")])).extensions)


def test_other_kinds_are_only_seen_by_iterating() -> None:
    """Asking for DNS names hides what else is there."""
    names = [dns("a"), registered_id("1.2.3"), other_name("1.2.3", "b")]
    san = _load(Request(alt_names=names)).extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    assert san.get_values_for_type(x509.DNSName) == ["a"]
    assert [type(name) for name in san] == [x509.DNSName, x509.RegisteredID, x509.OtherName]


def test_an_address_of_eight_bytes_is_a_network() -> None:
    """An address and a mask, as in name constraints: the type has to be looked at before it is compared."""
    san = _load(Request(alt_names=[ip(b"\x0a\x00\x00\x00\xff\x00\x00\x00")])).extensions
    (name,) = san.get_extension_for_class(x509.SubjectAlternativeName).value

    assert type(name.value).__name__ == "IPv4Network"


def test_an_address_of_five_bytes_raises_only_when_it_is_read() -> None:
    """Loading succeeds; `.extensions` raises ValueError."""
    with pytest.raises(ValueError, match="IP"):
        list(_load(Request(alt_names=[ip(b"\x0a\x00\x00\x00\xff")])).extensions)


@pytest.mark.parametrize("name", [b"", b"*.corp", b"a\x00b", b"a.", b"10.0.0.5", b"n\xc3\xb6de", b"\xe2\x84\xaaube"])
def test_any_dns_name_is_accepted(name: bytes) -> None:
    """The library checks no syntax, not even ASCII; the rules have to."""
    san = _load(Request(alt_names=[dns(name)])).extensions.get_extension_for_class(x509.SubjectAlternativeName)

    assert san.value.get_values_for_type(x509.DNSName) == [name.decode()]


@pytest.mark.parametrize(
    ("key", "algorithm"), [("rsa-2048", "1.2.840.113549.1.1.5"), ("p256-a", "1.2.840.10045.4.1")], ids=["rsa", "ecdsa"]
)
def test_sha1_signatures_are_not_valid(key: str, algorithm: str) -> None:
    """Whatever their mathematics; the rules refuse the algorithm by its OID beforehand."""
    request = _load(Request(key=key, algorithm=algorithm))

    assert request.signature_algorithm_oid.dotted_string == algorithm
    assert not request.is_signature_valid


def test_pss_is_valid_and_known_by_its_oid() -> None:
    """A valid PSS signature counts as valid here: only the OID tells it apart."""
    request = _load(Request(key="rsa-2048", algorithm=PSS))

    assert request.signature_algorithm_oid == SignatureAlgorithmOID.RSASSA_PSS
    assert request.is_signature_valid


def test_an_algorithm_of_another_key_kind_is_not_valid() -> None:
    """It is False or one of the errors that are caught, and never True."""
    ecdsa = Signature(der.sequence(der.oid("1.2.840.10045.4.3.2")), bytes(70))

    try:
        valid = _load(Request(key="rsa-2048", signature=ecdsa)).is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm):
        valid = False
    assert not valid


def test_ml_dsa_is_readable() -> None:
    """So it counts as a key that is not allowed, and not as one that cannot be read."""
    assert isinstance(_load(Request(key="mldsa44")).public_key(), mldsa.MLDSA44PublicKey)


def test_an_unknown_key_raises_unsupported() -> None:
    """That is what tells Hold KeyUnsupported from Deny."""
    info = der.sequence(der.sequence(der.oid("1.3.6.1.4.1.57683.1")), der.bits(bytes(32)))
    signature = Signature(der.sequence(der.oid("1.2.840.10045.4.3.2")), bytes(70))

    with pytest.raises(UnsupportedAlgorithm):
        _load(Request(key_info=info, signature=signature)).public_key()


def test_version_1_is_an_error_of_its_own() -> None:
    """Go accepts it; the error is no ValueError."""
    with pytest.raises(x509.InvalidVersion):
        _load(Request(version=1))


def test_microsofts_attribute_also_brings_extensions() -> None:
    """`.extensions` reads Microsoft's attribute as well, so attributes are judged by their OIDs."""
    extensions = der.sequence(der.alt_names([dns("a")]))
    attribute = der.sequence(der.oid("1.3.6.1.4.1.311.2.1.14"), der.set_of(extensions))
    request = _load(Request(attributes=[attribute]))

    assert [extension.oid for extension in request.extensions] == [ExtensionOID.SUBJECT_ALTERNATIVE_NAME]
    assert [attribute.oid.dotted_string for attribute in request.attributes] == ["1.3.6.1.4.1.311.2.1.14"]


def test_an_ordinary_request_warns_of_nothing() -> None:
    """What a kubelet sends is read without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        request = _load(Request(alt_names=[dns("node-a"), ip("10.0.0.5")]))
        assert len(list(request.extensions)) == len(list(request.attributes)) == 1
