"""Why etcd cannot be used: a closed set of reasons, each with words a person can act on. Pure.

A reason, an endpoint and what was found come in; `EtcdError` leaves. Rules: every text says what was expected, what
was found and what to do; foreign text is made visible and cut; no key, certificate or password is in it.
"""

import enum
from dataclasses import dataclass
from typing import Final

from nodegate.errors import NodegateError
from nodegate.text import visible

FOUND_LIMIT: Final = 200
"""Characters shown of what etcd or OpenSSL said."""


class Reason(enum.StrEnum):
    """Every way in which etcd fails us; the values serve as reasons of conditions."""

    UNKNOWN_CA = "UnknownCA"
    SERVER_EXPIRED = "ServerCertificateExpired"
    SERVER_UNUSABLE = "ServerCertificateUnusable"
    WRONG_NAME = "WrongServerName"
    CLIENT_EXPIRED = "ClientCertificateExpired"
    CLIENT_EARLY = "ClientCertificateNotYetValid"
    CLIENT_FOREIGN = "ClientCertificateForeign"
    CLIENT_MISSING = "ClientCertificateMissing"
    CLIENT_REFUSED = "ClientCertificateRefused"
    CREDENTIALS_UNUSABLE = "CredentialsUnusable"
    PLAIN_PORT = "PortSpeaksPlainHTTP"
    TLS_PORT = "PortSpeaksTLS"
    TLS_FAILED = "TLSFailed"
    GATEWAY_EKU = "GatewayLacksClientPurpose"
    GATEWAY_OFF = "GatewayOff"
    COMMON_NAME = "GatewayIgnoresCommonName"
    UNAUTHENTICATED = "AuthenticationRequired"
    PERMISSION = "PermissionDenied"
    V2_OFF = "V2Off"
    VERSION = "UnsupportedVersion"
    TIMEOUT = "Timeout"
    NO_LEADER = "NoLeader"
    QUOTA = "QuotaExceeded"
    CLUSTER_ID = "ClusterIDDiffers"
    REFUSED = "ConnectionRefused"
    UNRESOLVED = "NameNotResolved"
    UNREACHABLE = "Unreachable"
    UNAVAILABLE = "Unavailable"
    REJECTED = "RequestRejected"
    UNEXPECTED = "UnexpectedAnswer"


_TEXTS: Final[dict[Reason, tuple[str, str]]] = {
    Reason.UNKNOWN_CA: (
        "a server certificate signed by the CA of the Secret",
        "put the CA that signed etcd's server certificates into the Secret's CA key",
    ),
    Reason.SERVER_EXPIRED: ("a server certificate that is valid now", "renew this member's server certificate"),
    Reason.SERVER_UNUSABLE: (
        "a server certificate that can be verified",
        "check the purposes, constraints and chain of this member's server certificate",
    ),
    Reason.WRONG_NAME: (
        "a server certificate for this endpoint's host",
        "add the host to the certificate's subject alternative names, or set tls.serverName to a name that is in it",
    ),
    Reason.CLIENT_EXPIRED: ("a client certificate that is valid now", "put a renewed one into the Secret"),
    Reason.CLIENT_EARLY: (
        "a client certificate that is valid already",
        "check this machine's clock and the certificate's notBefore",
    ),
    Reason.CLIENT_FOREIGN: (
        "etcd to know the CA of the client certificate",
        "put a client certificate into the Secret that is signed by etcd's --trusted-ca-file",
    ),
    Reason.CLIENT_MISSING: (
        "etcd to accept a connection without client certificate",
        "put a client certificate and its key into the Secret: this etcd runs with --client-cert-auth",
    ),
    Reason.CLIENT_REFUSED: (
        "etcd to accept the client certificate",
        "check that it is signed by etcd's --trusted-ca-file, valid now, and has the purpose clientAuth",
    ),
    Reason.CREDENTIALS_UNUSABLE: (
        "a CA, a client certificate and its key as PEM without password",
        "correct the Secret",
    ),
    Reason.PLAIN_PORT: ("TLS at an https endpoint", "write http:// for this endpoint, or give etcd certificates"),
    Reason.TLS_PORT: ("plain HTTP at an http endpoint", "write https:// for this endpoint"),
    Reason.TLS_FAILED: ("a TLS handshake", "check etcd's TLS flags and its log"),
    Reason.GATEWAY_EKU: (
        "the member's JSON gateway to reach its own gRPC port",
        "issue the server certificate with the purpose clientAuth as well, or set etcd's --client-cert-file",
    ),
    Reason.GATEWAY_OFF: ("the v3 JSON gateway", "remove --enable-grpc-gateway=false from etcd's flags"),
    Reason.COMMON_NAME: (
        "the gateway to accept the client certificate while etcd's authentication is on",
        "use a client certificate without common name and a user with password, or turn authentication off",
    ),
    Reason.UNAUTHENTICATED: ("etcd to accept us as a user", "give a user and a password that etcd knows"),
    Reason.PERMISSION: (
        "the right to read and write every key under the prefix",
        "grant the role readwrite on the prefix: etcdctl role grant-permission --prefix=true ROLE readwrite PREFIX/",
    ),
    Reason.V2_OFF: (
        "the v2 keys API",
        "start etcd 3.4 or 3.5 with --enable-v2=true, or use api V3 with flannel 0.18 or newer",
    ),
    Reason.VERSION: ("etcd 3.3 or newer", "upgrade etcd"),
    Reason.TIMEOUT: ("an answer in time", "check that the member runs and that its disk and network are not stuck"),
    Reason.NO_LEADER: ("a cluster with a leader", "bring more than half of the members back"),
    Reason.QUOTA: (
        "space for a write",
        "compact and defragment etcd, then lift the alarm: etcdctl alarm disarm",
    ),
    Reason.CLUSTER_ID: (
        "the cluster that was pinned",
        "check the endpoints: they must all belong to that cluster; if etcd was rebuilt, make the resource anew",
    ),
    Reason.REFUSED: ("a listening member", "check the endpoint's host and port, and that etcd runs"),
    Reason.UNRESOLVED: ("a host that resolves", "check the endpoint's host name and DNS"),
    Reason.UNREACHABLE: ("a connection", "check routes, firewalls and network policies on the way to etcd"),
    Reason.UNAVAILABLE: ("an answer", "check the member's log; the request is tried again by itself"),
    Reason.REJECTED: ("etcd to accept the request", "check the prefix and the sizes; the same request fails again"),
    Reason.UNEXPECTED: ("an answer of etcd", "check that this is an etcd endpoint and no proxy in front of one"),
}

TLS_REASONS: Final = frozenset(
    {
        Reason.UNKNOWN_CA, Reason.SERVER_EXPIRED, Reason.SERVER_UNUSABLE, Reason.WRONG_NAME, Reason.CLIENT_EXPIRED,
        Reason.CLIENT_FOREIGN, Reason.CLIENT_MISSING, Reason.CLIENT_REFUSED, Reason.PLAIN_PORT, Reason.TLS_PORT,
    }
)  # fmt: skip
"""What waiting does not heal: a person must change a certificate, a name or a scheme."""

HOPELESS: Final = TLS_REASONS | {Reason.GATEWAY_EKU, Reason.GATEWAY_OFF, Reason.V2_OFF, Reason.VERSION}
"""Another endpoint may still work; when all fail like this, the operation ends early."""

FINAL: Final = frozenset(
    {
        Reason.COMMON_NAME, Reason.UNAUTHENTICATED, Reason.PERMISSION, Reason.QUOTA, Reason.CLUSTER_ID,
        Reason.REJECTED, Reason.CREDENTIALS_UNUSABLE, Reason.CLIENT_EARLY,
    }
)  # fmt: skip
"""True of the whole cluster or of ourselves: no other endpoint is tried."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One attempt at one endpoint that did not work.

    Attributes:
        reason: Why.
        found: What was found, foreign text included.
        maybe_done: The request had been sent, and may have been executed all the same.
    """

    reason: Reason
    found: str
    maybe_done: bool = False

    def text(self) -> str:
        """Return expected, found and what to do, without the endpoint."""
        expected, advice = _TEXTS[self.reason]
        return f"expected {expected}, found {visible(self.found, FOUND_LIMIT)}: {advice}"


class EtcdError(NodegateError):
    """An operation that etcd did not carry out, or whose outcome is unknown.

    Attributes:
        reason: The one that says most about what to do.
        endpoint: The endpoint that it was found at; empty when it is our own credentials.
        message: Endpoint, expected, found, what to do.
        failures: The last failure of every endpoint that was tried, by its URL.
        outcome_unknown: A write was sent and its answer lost; it may take effect.
    """

    def __init__(
        self,
        reason: Reason,
        endpoint: str,
        text: str,
        *,
        failures: dict[str, Failure] | None = None,
        outcome_unknown: bool = False,
    ) -> None:
        self.reason = reason
        self.endpoint = endpoint
        self.failures = dict(failures or {})
        self.outcome_unknown = outcome_unknown
        self.message = f"{endpoint}: {text}" if endpoint else text
        super().__init__(f"{reason}: {self.message}")


def error_of(failures: dict[str, Failure], *, outcome_unknown: bool = False) -> EtcdError:
    """Return the error for what every endpoint said; it speaks of the one that a person can do most about."""
    endpoint, failure = max(failures.items(), key=lambda item: _weight(item[1].reason))
    others = [f"{url}: {other.reason}" for url, other in failures.items() if url != endpoint]
    text = failure.text() + (f" (also {'; '.join(others)})" if others else "")
    return EtcdError(failure.reason, endpoint, text, failures=failures, outcome_unknown=outcome_unknown)


def _weight(reason: Reason) -> int:
    if reason in FINAL:
        return 3
    return 2 if reason in HOPELESS else int(reason is Reason.NO_LEADER)


def own_error(reason: Reason, found: str) -> EtcdError:
    """Return the error for credentials that cannot be used, before any connection."""
    return EtcdError(reason, "", Failure(reason, found).text())
