"""Issued certificates beside their requests: what was approved passes, each deviation is found and named."""

import base64
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509

from hack.vectors import manifests as m
from hack.vectors import names
from hack.vectors.request import Request
from nodegate.csr.decide import judge
from nodegate.csr.issued import OUR_WORDS, Passed, read_certificate, read_outcome
from nodegate.csr.model import Approve
from nodegate.csr.parse import exact_node_name, parse_csr
from nodegate.csr.render import condition
from nodegate.fields import Fields
from tests.builders import NOW, make_case
from tests.unit.csr.certificates import CLIENT_AUTH, OURS, SERVER_AUTH, SIGNED, decided, encoded, issue, names_of

REQUEST = Request()
SERVING = Request(alt_names=[names.dns("node-a"), names.ip("10.0.0.5")])
SERVING_SPEC: dict[str, Any] = {"signerName": m.SERVING, "usages": ["digital signature", "server auth"]}


def _differences(body: dict[str, Any]) -> tuple[str, ...]:
    return read_outcome(parse_csr(body), Fields(body["status"])).differences


def test_a_client_certificate_as_approved() -> None:
    """What the signer makes of a request differs in nothing, and its facts are read."""
    certificate = issue(REQUEST)
    outcome = read_outcome(parse_csr(decided(REQUEST)), Fields(decided(REQUEST, certificate)["status"]))

    assert outcome.differences == ()
    assert outcome.passed == Passed(reason=OURS["reason"], message=OURS["message"], time=SIGNED)
    assert outcome.issued is not None
    assert outcome.issued.serial == f"{certificate.serial_number:x}"
    assert (outcome.issued.not_before, outcome.issued.not_after) == (SIGNED, SIGNED + timedelta(days=365))
    assert exact_node_name(outcome.issued.subject) == "node-a"


def test_a_serving_certificate_as_approved() -> None:
    """The order of names and an IPv4-mapped address make no difference."""
    certificate = issue(SERVING, usages=[SERVER_AUTH], names=names_of("10.0.0.5", "node-a"))
    mapped = issue(SERVING, usages=[SERVER_AUTH], names=names_of("::ffff:10.0.0.5", "node-a"))

    assert _differences(decided(SERVING, certificate, **SERVING_SPEC)) == ()
    assert _differences(decided(SERVING, mapped, **SERVING_SPEC)) == ()


@pytest.mark.parametrize(
    ("deviation", "told"),
    [
        ({"key": "p256-b"}, "key "),
        ({"organization": "admins"}, "subject 2.5.4.10=system:nodes"),
        ({"names": names_of("10.0.0.9")}, "alternative names none, not IP 10.0.0.9"),
        ({"usages": [SERVER_AUTH]}, "not digital signature, server auth"),
        ({"usages": [CLIENT_AUTH, SERVER_AUTH]}, "usages client auth, digital signature, not client auth"),
        ({"usages": [CLIENT_AUTH, x509.ObjectIdentifier("1.2.3.4")]}, "not 1.2.3.4, client auth"),
        ({"encipherment": True}, "key encipherment"),
        ({"ca": True}, "no certificate authority"),
    ],
)
def test_each_deviation_is_named(deviation: dict[str, Any], told: str) -> None:
    """A certificate with one thing that was not requested has exactly one difference, which says what."""
    (difference,) = _differences(decided(REQUEST, issue(REQUEST, **deviation)))

    assert told in difference


@pytest.mark.parametrize(("seconds", "fits"), [(3900, True), (3901, False)])
def test_the_lifetime_is_at_most_what_was_asked_for(seconds: int, *, fits: bool) -> None:
    """An hour may last five minutes more, because the signer lets it begin before now, and not a second longer."""
    body = decided(REQUEST, issue(REQUEST, lasts=timedelta(seconds=seconds)), expirationSeconds=3600)

    assert _differences(body) == (() if fits else (f"at most 3600 seconds, not {seconds}",))


def test_a_missing_name_is_a_difference() -> None:
    """A serving certificate without one of the names is not what was approved."""
    certificate = issue(SERVING, usages=[SERVER_AUTH], names=names_of("node-a"))
    (difference,) = _differences(decided(SERVING, certificate, **SERVING_SPEC))

    assert difference == "alternative names DNS node-a, IP 10.0.0.5, not DNS node-a"


@pytest.mark.parametrize("text", ["!", base64.b64encode(b"no certificate").decode(), ""])
def test_what_is_no_certificate_is_a_difference(text: str) -> None:
    """Nothing is raised for a certificate that cannot be read."""
    issued, differences = read_certificate(text)

    assert issued is None
    assert len(differences) == 1


def test_an_unreadable_request_has_no_certificate_that_fits() -> None:
    """A certificate for a request that cannot be read is not what anybody approved."""
    body = decided(REQUEST)
    body["spec"]["request"] = "!"
    body["status"]["certificate"] = encoded(issue(REQUEST))

    assert len(_differences(body)) == 1


def test_our_words_are_those_of_an_approval() -> None:
    """What recognises our approvals is what the renderer writes into each of them."""
    judgement = judge(make_case())
    written = condition(judgement, NOW)

    assert isinstance(judgement.verdict, Approve)
    assert written is not None
    assert Passed(reason=written["reason"], message=written["message"], time=NOW).sounds_ours
    assert not Passed(reason="AutoApproved", message=OUR_WORDS, time=NOW).sounds_ours
    assert not Passed(reason=written["reason"], message="I did", time=NOW).sounds_ours


def test_a_failure_is_told_in_visible_text() -> None:
    """What the signer says when it refuses is escaped and cut like everybody's text."""
    body = decided(REQUEST, failed="no\x1b[1m")
    outcome = read_outcome(parse_csr(body), Fields(body["status"]))

    assert outcome.failure == "SignerValidationFailure: no\\x1b[1m"
