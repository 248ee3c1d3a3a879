"""What exceptions and answers mean: the texts are those of the real programs, one reason each."""

import ssl

import aiohttp
import pytest

from nodegate.flannel.etcd import diagnosis
from nodegate.flannel.etcd.errors import FINAL, HOPELESS, EtcdError, Failure, Reason, error_of, own_error

_V3 = {
    "CN": (400, b"CommonName of client sending a request against gateway will be ignored and not used as expected\n",
           Reason.COMMON_NAME, False),
    "gateway off": (404, b"404 page not found\n", Reason.GATEWAY_OFF, False),
    "no user": (400, b'{"code":3, "message":"etcdserver: user name is empty"}', Reason.UNAUTHENTICATED, False),
    "wrong password": (
        400, b'{"code":3, "message":"etcdserver: authentication failed, invalid user ID or password"}',
        Reason.UNAUTHENTICATED, False),
    "bad request": (400, b'{"code":3, "message":"proto: invalid value"}', Reason.REJECTED, False),
    "too large": (400, b'{"code":3, "message":"etcdserver: request is too large"}', Reason.REJECTED, False),
    "timeout": (504, b'{"code":4, "message":"context deadline exceeded"}', Reason.TIMEOUT, True),
    "denied": (403, b'{"code":7, "message":"etcdserver: permission denied"}', Reason.PERMISSION, False),
    "quota": (429, b'{"code":8, "message":"etcdserver: mvcc: database space exceeded"}', Reason.QUOTA, False),
    "busy": (429, b'{"code":8, "message":"etcdserver: too many requests"}', Reason.UNAVAILABLE, False),
    "internal": (500, b'{"code":13, "message":"internal"}', Reason.UNAVAILABLE, True),
    "unknown": (500, b'{"code":2, "message":"unknown"}', Reason.UNAVAILABLE, True),
    "leader": (503, b'{"code":14, "message":"etcdserver: no leader"}', Reason.NO_LEADER, True),
    "leader changed": (503, b'{"code":14, "message":"etcdserver: leader changed"}', Reason.UNAVAILABLE, True),
    "EKU 3.7": (
        503, b'{"code":14, "message":"error reading server preface: remote error: tls: bad certificate"}',
        Reason.GATEWAY_EKU, False),
    "EKU 3.4": (
        503, b'{"error":"latest connection error: authentication handshake failed","code":14}',
        Reason.GATEWAY_EKU, False),
    "token": (401, b'{"code":16, "message":"etcdserver: invalid auth token"}', Reason.UNAUTHENTICATED, False),
    "3.4's words": (403, b'{"error":"etcdserver: permission denied","code":7}', Reason.PERMISSION, False),
    "a proxy": (502, b"<html>bad gateway</html>", Reason.UNEXPECTED, True),
    "no text": (500, b"", Reason.UNEXPECTED, True),
}  # fmt: skip


@pytest.mark.parametrize("case", _V3)
def test_each_v3_answer_has_its_reason(case: str) -> None:
    """Reason, and whether a write may have been executed; what may not have been is never called certain."""
    status, body, reason, maybe_done = _V3[case]

    failure = diagnosis.of_v3_answer(status, body)

    assert (failure.reason, failure.maybe_done) == (reason, maybe_done)


_V2 = {
    "off": (404, b"404 page not found\n", Reason.V2_OFF, False),
    "denied": (401, b'{"errorCode":110,"message":"Unauthorized"}', Reason.PERMISSION, False),
    "raft": (500, b'{"errorCode":300,"message":"Raft Internal Error","cause":"etcdserver: request timed out"}',
             Reason.UNAVAILABLE, True),
    "leader": (500, b'{"errorCode":301,"message":"During Leader Election"}', Reason.NO_LEADER, True),
    "a directory": (403, b'{"errorCode":102,"message":"Not a file","cause":"/a"}', Reason.REJECTED, False),
    "a proxy": (502, b"<html>", Reason.UNEXPECTED, True),
}  # fmt: skip


@pytest.mark.parametrize("case", _V2)
def test_each_v2_refusal_has_its_reason(case: str) -> None:
    """The same for the v2 API, whose refusals about the key itself do not come here."""
    status, body, reason, maybe_done = _V2[case]

    failure = diagnosis.of_v2_answer(status, body)

    assert (failure.reason, failure.maybe_done) == (reason, maybe_done)


def _alert(reason: str) -> aiohttp.ClientOSError:
    """Return what aiohttp raises when etcd ends a connection with this alert."""
    inner = ssl.SSLError(1, f"[SSL: {reason}]")
    inner.reason = reason
    outer = aiohttp.ClientOSError(1, f"[SSL: {reason}]")
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    ("alert", "has_certificate", "reason"),
    [
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", True, Reason.CLIENT_EXPIRED),
        ("TLSV1_ALERT_UNKNOWN_CA", True, Reason.CLIENT_FOREIGN),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", False, Reason.CLIENT_MISSING),
        ("SSLV3_ALERT_BAD_CERTIFICATE", True, Reason.CLIENT_REFUSED),
        ("SSLV3_ALERT_BAD_CERTIFICATE", False, Reason.CLIENT_MISSING),
        ("WRONG_VERSION_NUMBER", True, Reason.PLAIN_PORT),
        ("TLSV1_ALERT_PROTOCOL_VERSION", True, Reason.TLS_FAILED),
    ],
)
def test_alerts_tell_who_is_meant(alert: str, reason: Reason, *, has_certificate: bool) -> None:
    """The alerts of etcd are about our certificate, and none of them leaves a write open."""
    failure = diagnosis.of_exception(_alert(alert), has_certificate=has_certificate)

    assert (failure.reason, failure.maybe_done) == (reason, False)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (9, Reason.SERVER_EXPIRED),
        (10, Reason.SERVER_EXPIRED),
        (18, Reason.UNKNOWN_CA),
        (19, Reason.UNKNOWN_CA),
        (20, Reason.UNKNOWN_CA),
        (21, Reason.UNKNOWN_CA),
        (26, Reason.SERVER_UNUSABLE),
        (62, Reason.WRONG_NAME),
        (64, Reason.WRONG_NAME),
    ],
)
def test_openssls_codes_of_verification(code: int, reason: Reason) -> None:
    """The numbers of OpenSSL's x509_vfy.h, each with what it means for the server's certificate."""
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, "why"

    assert diagnosis.of_exception(error, has_certificate=True) == Failure(reason, "why")


def test_silence_before_and_after_sending() -> None:
    """Without a connection nothing was sent; without an answer it may have been executed."""
    before = diagnosis.of_exception(aiohttp.ConnectionTimeoutError(), has_certificate=True)
    after = diagnosis.of_exception(TimeoutError(), has_certificate=True)
    broken = diagnosis.of_exception(aiohttp.ServerDisconnectedError(), has_certificate=True)

    assert (before.reason, before.maybe_done) == (Reason.TIMEOUT, False)
    assert (after.reason, after.maybe_done) == (Reason.TIMEOUT, True)
    assert (broken.reason, broken.maybe_done) == (Reason.UNAVAILABLE, True)


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_words_to_act_on(reason: Reason) -> None:
    """Expected, found, and what to do; the name is fit for a condition."""
    error = error_of({"https://a:1": Failure(reason, "this\nthing")})

    expected, found, advice = error.message.partition(", found ")[0], "this\\nthing", error.message.rpartition(": ")[2]
    assert expected.startswith("https://a:1: expected ")
    assert found in error.message
    assert len(advice) > 10
    assert reason.isalnum()
    assert reason[0].isupper()


def test_the_error_speaks_of_what_a_person_can_change() -> None:
    """Among several endpoints the one with a reason to act on comes first, and the others are named after it."""
    failures = {
        "https://a:1": Failure(Reason.REFUSED, "x"),
        "https://b:1": Failure(Reason.UNKNOWN_CA, "y"),
        "https://c:1": Failure(Reason.TIMEOUT, "z"),
    }

    error = error_of(failures)

    assert (error.reason, error.endpoint) == (Reason.UNKNOWN_CA, "https://b:1")
    assert "https://a:1: ConnectionRefused; https://c:1: Timeout" in error.message


def test_no_reason_is_both_final_and_hopeless() -> None:
    """The two sets say different things about the other endpoints."""
    assert not FINAL & HOPELESS
    assert isinstance(own_error(Reason.CLIENT_EXPIRED, "x"), EtcdError)
