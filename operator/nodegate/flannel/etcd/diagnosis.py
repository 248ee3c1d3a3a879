"""Tells from an exception or an answer why etcd failed. Pure.

Exceptions of aiohttp and answers of the gateway or the v2 API come in; a `Failure` leaves. Rules: the chain of causes
is searched, since aiohttp wraps what OpenSSL said; a request counts as possibly executed unless that is excluded.
The texts of OpenSSL 3, Go's crypto/tls and etcd 3.4 and 3.7 were taken from the real programs.
"""

import asyncio
import errno
import json
import socket
import ssl
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

import aiohttp

from nodegate.flannel.etcd.errors import Failure, Reason

_EXPIRED_CODES = frozenset({9, 10})  # X509_V_ERR_CERT_NOT_YET_VALID, _HAS_EXPIRED
_ISSUER_CODES = frozenset({2, 18, 19, 20, 21, 33})  # No issuer, self-signed, not verifiable
_NAME_CODES = frozenset({62, 63, 64})  # Host, e-mail and address mismatch

_ALERTS: Final = (
    ("CERTIFICATE_EXPIRED", Reason.CLIENT_EXPIRED),
    ("UNKNOWN_CA", Reason.CLIENT_FOREIGN),
    ("CERTIFICATE_REQUIRED", Reason.CLIENT_MISSING),
    ("BAD_CERTIFICATE", Reason.CLIENT_REFUSED),
    ("UNSUPPORTED_CERTIFICATE", Reason.CLIENT_REFUSED),
    ("CERTIFICATE_UNKNOWN", Reason.CLIENT_REFUSED),
    ("CERTIFICATE_REVOKED", Reason.CLIENT_REFUSED),
    ("WRONG_VERSION_NUMBER", Reason.PLAIN_PORT),
    ("RECORD_LAYER_FAILURE", Reason.PLAIN_PORT),
    ("HTTP_REQUEST", Reason.PLAIN_PORT),
)
"""Parts of OpenSSL's reason, and who is meant: alerts are sent by etcd about our certificate."""

_TLS_CUT = frozenset({Reason.UNAVAILABLE, Reason.UNREACHABLE})
"""Reasons behind which a wrong scheme may hide: the port closes or resets at once."""

# Codes of gRPC, https://grpc.io/docs/guides/status-codes/
_INVALID, _DEADLINE, _DENIED, _EXHAUSTED, _INTERNAL, _UNAVAILABLE, _UNAUTHENTICATED = 3, 4, 7, 8, 13, 14, 16

# Codes of the v2 API, etcd server/etcdserver/api/v2error.
_V2_UNAUTHORIZED, _V2_RAFT, _V2_LEADER = 110, 300, 301


def of_exception(error: BaseException, *, has_certificate: bool) -> Failure:
    """Return why there was no answer.

    Args:
        error: What aiohttp raised.
        has_certificate: Whether we show a client certificate.
    """
    causes = list(_chain(error))
    # aiohttp's own classes derive from ssl's and lack their fields: the cause behind them has those.
    tls = next((cause for cause in causes if _is_openssl(cause)), None)
    if isinstance(tls, ssl.SSLError):
        return _of_tls(tls, has_certificate=has_certificate)
    if isinstance(error, aiohttp.ClientConnectorDNSError) or any(
        isinstance(cause, socket.gaierror) for cause in causes
    ):
        return Failure(Reason.UNRESOLVED, _short(causes[-1]))
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return Failure(Reason.TIMEOUT, "no connection in time")
    if isinstance(error, asyncio.TimeoutError | TimeoutError):
        return Failure(Reason.TIMEOUT, "no answer in time", maybe_done=True)
    if isinstance(error, aiohttp.ClientConnectorError):
        return _of_connect(causes)
    return Failure(Reason.UNAVAILABLE, f"a broken connection ({_short(error)})", maybe_done=True)


def _is_openssl(error: BaseException) -> bool:
    return isinstance(error, ssl.SSLError) and not isinstance(error, aiohttp.ClientError)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _short(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _of_connect(causes: list[BaseException]) -> Failure:
    codes = {cause.errno for cause in causes if isinstance(cause, OSError)}
    if errno.ECONNREFUSED in codes or any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return Failure(Reason.REFUSED, "a port that nothing listens on")
    return Failure(Reason.UNREACHABLE, _short(causes[-1]))


def _of_tls(error: ssl.SSLError, *, has_certificate: bool) -> Failure:
    if isinstance(error, ssl.SSLCertVerificationError):
        return Failure(_verification(error.verify_code), error.verify_message or str(error.reason))
    said = str(error.reason or error).upper()
    reason = next((reason for part, reason in _ALERTS if part in said), Reason.TLS_FAILED)
    if reason is Reason.CLIENT_REFUSED and not has_certificate:
        reason = Reason.CLIENT_MISSING  # TLS 1.2 has no alert of its own for it.
    return Failure(reason, f"TLS: {said.lower().replace('_', ' ')}")


def _verification(code: int) -> Reason:
    if code in _EXPIRED_CODES:
        return Reason.SERVER_EXPIRED
    if code in _ISSUER_CODES:
        return Reason.UNKNOWN_CA
    return Reason.WRONG_NAME if code in _NAME_CODES else Reason.SERVER_UNUSABLE


def may_be_wrong_scheme(failure: Failure) -> bool:
    """Tell whether the first contact failed as it does when the port speaks the other scheme."""
    return failure.reason in _TLS_CUT


def of_scheme(url: str) -> Failure:
    """Return the failure of an endpoint whose port was seen to speak the other scheme."""
    if url.startswith("https:"):
        return Failure(Reason.PLAIN_PORT, "plain HTTP")
    return Failure(Reason.TLS_PORT, "TLS")


def decode(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object in a body, None when there is none."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def of_v3_answer(status: int, body: bytes) -> Failure:
    """Return what an answer of the gateway other than 200 means."""
    said = decode(body)
    if said is None:
        return _of_text(status, body.decode("utf-8", "replace").strip())
    message = str(said.get("message") or said.get("error") or "")
    code = said.get("code") if isinstance(said.get("code"), int) else 0
    return Failure(*_of_grpc(code or 0, message)) if code != _UNAVAILABLE else _of_unavailable(message)


def _of_text(status: int, text: str) -> Failure:
    if "CommonName of client" in text:
        return Failure(Reason.COMMON_NAME, text)
    if status == HTTPStatus.NOT_FOUND:
        return Failure(Reason.GATEWAY_OFF, f"{status} {text}")
    return Failure(Reason.UNEXPECTED, f"{status} {text}", maybe_done=True)


def _of_grpc(code: int, message: str) -> tuple[Reason, str, bool]:
    """Return reason, text and whether the request may have been executed."""
    if code == _INVALID and ("user name is empty" in message or "authentication failed" in message):
        return Reason.UNAUTHENTICATED, message, False
    if code == _EXHAUSTED:
        return (Reason.QUOTA if "space exceeded" in message else Reason.UNAVAILABLE), message, False
    if "CommonName of client" in message:
        return Reason.COMMON_NAME, message, False
    known = {
        _DEADLINE: (Reason.TIMEOUT, True),
        _DENIED: (Reason.PERMISSION, False),
        _INTERNAL: (Reason.UNAVAILABLE, True),
        _UNAUTHENTICATED: (Reason.UNAUTHENTICATED, False),
    }
    # 1 (cancelled) and 2 (unknown) say nothing about what was done; the others refuse before doing anything.
    reason, maybe_done = known.get(
        code, (Reason.REJECTED, False) if code > _INVALID - 1 else (Reason.UNAVAILABLE, True)
    )
    return reason, message, maybe_done


def _of_unavailable(message: str) -> Failure:
    if "no leader" in message:
        return Failure(Reason.NO_LEADER, message, maybe_done=True)
    if "tls:" in message or "authentication handshake failed" in message:
        return Failure(Reason.GATEWAY_EKU, message)
    return Failure(Reason.UNAVAILABLE, message, maybe_done=True)


def of_v2_answer(status: int, body: bytes) -> Failure:
    """Return what a refusal of the v2 API means that is not about the key itself."""
    said = decode(body)
    if said is None or "errorCode" not in said:
        text = body.decode("utf-8", "replace").strip()
        if status == HTTPStatus.NOT_FOUND:
            return Failure(Reason.V2_OFF, f"{status} {text}")
        return Failure(Reason.UNEXPECTED, f"{status} {text}", maybe_done=True)
    code, message = said["errorCode"], _v2_message(said)
    if code == _V2_UNAUTHORIZED:
        return Failure(Reason.PERMISSION, message)
    if code == _V2_LEADER:
        return Failure(Reason.NO_LEADER, message, maybe_done=True)
    if code == _V2_RAFT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Failure(Reason.UNAVAILABLE, message, maybe_done=True)
    return Failure(Reason.REJECTED, message)


def _v2_message(said: Mapping[str, Any]) -> str:
    return f"{said['errorCode']} {said.get('message', '')} {said.get('cause', '')}".strip()
