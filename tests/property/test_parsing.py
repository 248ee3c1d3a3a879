"""Whatever comes in: facts, or `Malformed`, and never anything else."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hack.vectors import manifests as m
from nodegate.csr.parse import (
    parse_csr,
    parse_endpoint_slice,
    parse_flannel_network,
    parse_node,
    parse_service,
    parse_service_cidr,
)
from nodegate.csr.pkcs10 import decode_pem, read_der
from nodegate.enrollment.parse import parse_enrollment
from nodegate.errors import Malformed
from nodegate.identity import is_dns_name, is_subdomain
from nodegate.text import SHOWN_LIMIT, listed, visible
from tests.property.strategies import bent, bent_requests, json_values, requests

_SMALL = settings(max_examples=300, deadline=None)
_PARSERS = (
    parse_csr,
    parse_node,
    parse_service,
    parse_service_cidr,
    parse_endpoint_slice,
    parse_flannel_network,
    parse_enrollment,
)


@_SMALL
@given(st.binary(max_size=200))
def test_any_bytes_are_a_fault_in_words(content: bytes) -> None:
    """Neither decoder raises, and every fault is printable."""
    for value, fault in (decode_pem(content), read_der(content)):
        assert (value is None) == (fault is not None)
        assert (fault or "").isprintable()


@_SMALL
@given(requests().flatmap(lambda request: bent(request.der)))
def test_bent_der_is_read_or_a_fault(content: bytes) -> None:
    """A request with some bytes changed is read, or is a fault; nothing is raised."""
    request, fault = read_der(content)

    assert (request is None) != (fault is None)


@_SMALL
@given(bent_requests())
def test_bent_pem_is_read_or_a_fault(content: bytes) -> None:
    """The same for a whole object."""
    facts = parse_csr(m.signing_request(content, {}))

    assert (facts.encoding_fault, facts.der_fault, facts.pkcs10).count(None) == 2


@_SMALL
@given(st.dictionaries(st.sampled_from(["request", "signerName", "username"]), st.text()), st.text(), st.text())
def test_any_text_in_any_field_is_readable(spec: dict[str, str], name: str, certificate: str) -> None:
    """Text is never an error, whatever it says: what a requester may write never raises."""
    body = m.signing_request(None, spec, metadata={"name": name}, status={"certificate": certificate})

    assert parse_csr(body).name == name


@_SMALL
@given(st.binary(max_size=60), st.text(alphabet="\r\n \t", max_size=3))
def test_base64_of_anything_is_readable(content: bytes, breaks: str) -> None:
    """The API server's own encoding of any bytes, with line breaks in it, is at worst not canonical."""
    text = base64.b64encode(content).decode()

    facts = parse_csr({"spec": {"request": text[:4] + breaks + text[4:]}})

    assert facts.encoding_fault is not None


@pytest.mark.parametrize("parse", _PARSERS)
@_SMALL
@given(body=json_values())
def test_any_json_is_read_or_malformed(parse: Callable[[Any], Any], body: Any) -> None:
    """A parser returns or raises `Malformed` with a printable message."""
    try:
        parse(body)
    except Malformed as error:
        assert str(error).isprintable()  # noqa: PT017 - the message, where there is one


@_SMALL
@given(st.text())
def test_visible_text_is_printable_and_bounded(text: str) -> None:
    """Whatever the text, what is shown is one printable line of bounded length."""
    assert visible(text).isprintable()
    assert len(visible(text)) <= SHOWN_LIMIT
    assert listed([text] * 7).isprintable()


@_SMALL
@given(st.text(alphabet=st.sampled_from("ab0x-._Aé\u212a\u0130\n *"), max_size=8))
def test_names_that_are_accepted_are_plain(text: str) -> None:
    """What counts as a name is ASCII, lower-cases to itself in length, and has no odd character."""
    if is_dns_name(text):
        assert text.isascii()
        assert set(text.lower()) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")
        assert is_subdomain(text.lower())
    if is_subdomain(text):
        assert text == text.lower().strip(".-\n ")
