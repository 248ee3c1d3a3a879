"""A NodeEnrollment with every field set, read whole; and every refusal, to the letter.

Rules: no two fields have the same value, so that one read in another's place shows; what a refusal says is what
`kubectl nodegate lint` and the log show to people.
"""

import copy
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest

from nodegate.enrollment.model import (
    Bootstrap,
    CertificateRecord,
    Certificates,
    Condition,
    Decided,
    Enrollment,
    Join,
    Mode,
    NodeName,
    NodeRef,
    NodeTemplate,
    Phase,
    Rejoin,
    Serving,
    State,
    Status,
    Taint,
)
from nodegate.enrollment.parse import parse_enrollment
from nodegate.errors import Malformed


def _hour(hour: int) -> datetime:
    return datetime(2030, 1, 31, hour, tzinfo=UTC)


WHOLE: dict[str, Any] = {
    "apiVersion": "nodegate.dev/v1alpha1",
    "kind": "NodeEnrollment",
    "metadata": {
        "name": "node-a",
        "uid": "uid-of-the-enrollment",
        "resourceVersion": "4711",
        "generation": 7,
        "annotations": {"nodegate.dev/accept-node-uid": "uid-accepted", "other": "no"},
    },
    "spec": {
        "state": "Suspended",
        "mode": "Audit",
        "addresses": ["10.0.0.5"],
        "dnsNames": ["node-a.corp"],
        "bootstrap": {
            "token": {"issue": True, "ttl": "1h30m5s"},
            "users": ["jane"],
            "publicKeySHA256": "ab" * 32,
            "notBefore": "2030-01-31T01:00:00Z",
            "notAfter": "2030-01-31T02:00:00Z",
            "maxJoins": 5,
        },
        "rejoin": "Never",
        "serving": {"approve": False, "requireNodeAddresses": True, "allowDNSOnly": True},
        "maxExpirationSeconds": 3600,
        "node": {
            "labels": {"l": "1"},
            "annotations": {"a": "2"},
            "taints": [{"key": "t", "value": "3", "effect": "NoExecute"}],
        },
    },
    "status": {
        "observedGeneration": 6,
        "phase": "Suspended",
        "bootstrap": {"tokenID": "minted", "expiresAt": "2030-01-31T03:00:00Z"},
        "joins": [
            {
                "publicKeySHA256": "cd" * 32,
                "csrUID": "uid-of-the-join",
                "csrName": "csr-of-the-join",
                "requester": "system:bootstrap:abcdef",
                "time": "2030-01-31T04:00:00Z",
            }
        ],
        "joinCount": 9,
        "node": {
            "uid": "uid-of-the-node",
            "joinedAt": "2030-01-31T05:00:00Z",
            "ready": "Unknown",
            "settings": ["label:l"],
        },
        "certificates": {
            "client": {
                "serial": "0a",
                "notAfter": "2030-01-31T06:00:00Z",
                "sha256": "ef" * 32,
                "csrName": "csr-of-the-client",
                "seen": True,
                "previousSHA256": "01" * 32,
            },
            "serving": {"serial": "0b", "notAfter": "2030-01-31T07:00:00Z", "sha256": "23" * 32, "csrName": "csr-s"},
        },
        "conditions": [
            {
                "type": "Ready",
                "status": "False",
                "reason": "Suspended",
                "message": "said",
                "observedGeneration": 4,
                "lastTransitionTime": "2030-01-31T08:00:00Z",
            }
        ],
        "lastDecision": {
            "csrName": "csr-decided",
            "verdict": "Hold",
            "reason": "EnrollmentSuspended",
            "message": "decided",
            "time": "2030-01-31T09:00:00Z",
        },
    },
}

READ = Enrollment(
    name=NodeName("node-a"),
    uid="uid-of-the-enrollment",
    resource_version="4711",
    generation=7,
    processed=False,
    state=State.SUSPENDED,
    mode=Mode.AUDIT,
    addresses=frozenset({ip_address("10.0.0.5")}),
    dns_names=frozenset({"node-a.corp"}),
    bootstrap=Bootstrap(
        issue_token=True,
        token_ttl=timedelta(hours=1, minutes=30, seconds=5),
        users=frozenset({"jane"}),
        public_key_sha256="ab" * 32,
        not_before=_hour(1),
        not_after=_hour(2),
        max_joins=5,
    ),
    rejoin=Rejoin.NEVER,
    serving=Serving(approve=False, require_node_addresses=True, allow_dns_only=True),
    max_expiration_seconds=3600,
    node=NodeTemplate(labels=(("l", "1"),), annotations=(("a", "2"),), taints=(Taint("t", "3", "NoExecute"),)),
    accepted_node_uid="uid-accepted",
    unacted_fields=("node.labels", "node.annotations", "node.taints", "bootstrap.token.issue"),
    status=Status(
        observed_generation=6,
        phase=Phase.SUSPENDED,
        token_id="minted",  # noqa: S106 - a token's public half
        token_expires=_hour(3),
        joins=(
            Join(
                public_key_sha256="cd" * 32,
                csr_uid="uid-of-the-join",
                csr_name="csr-of-the-join",
                requester="system:bootstrap:abcdef",
                time=_hour(4),
            ),
        ),
        join_count=9,
        node=NodeRef(uid="uid-of-the-node", joined_at=_hour(5), ready="Unknown", settings=("label:l",)),
        certificates=Certificates(
            client=CertificateRecord(
                serial="0a",
                not_after=_hour(6),
                sha256="ef" * 32,
                csr_name="csr-of-the-client",
                seen=True,
                previous_sha256="01" * 32,
            ),
            serving=CertificateRecord(serial="0b", not_after=_hour(7), sha256="23" * 32, csr_name="csr-s"),
        ),
        conditions=(
            Condition(
                type="Ready",
                status="False",
                reason="Suspended",
                message="said",
                observed_generation=4,
                last_transition=_hour(8),
            ),
        ),
        last_decision=Decided(
            csr_name="csr-decided",
            verdict="Hold",
            reason="EnrollmentSuspended",
            message="decided",
            time=_hour(9),
        ),
    ),
)


def _with(path: str, value: Any) -> dict[str, Any]:
    """Return the whole manifest with one field changed, or taken away when the value is None."""
    body = copy.deepcopy(WHOLE)
    *above, last = path.split(".")
    place: Any = body
    for key in above:
        place = place[int(key)] if key.isdigit() else place.setdefault(key, {})
    if value is None:
        del place[last]
    else:
        place[last] = value
    return body


def test_the_whole_is_read() -> None:
    """Every field, each into its own place."""
    assert parse_enrollment(WHOLE) == READ


def test_a_pinned_token_is_read() -> None:
    """The one field that no other may stand beside."""
    body = _with("spec.bootstrap", {"tokenID": "abcdef", "token": {"issue": False}})

    assert parse_enrollment(body).bootstrap == Bootstrap(token_id="abcdef")  # noqa: S106 - a token's public half


@pytest.mark.parametrize("status", [None, {}, {"joins": [], "conditions": [], "node": {}, "certificates": {}}])
def test_an_empty_status_is_the_default(status: Any) -> None:
    """Nothing recorded reads as nothing recorded, in whatever form."""
    assert parse_enrollment(_with("status", status)).status == Status()


@pytest.mark.parametrize(
    ("path", "value", "where", "expected"),
    [
        ("metadata.uid", None, "uid", ""),
        ("metadata.annotations", None, "accepted_node_uid", None),
        ("metadata.annotations", {"nodegate.dev/accept-node-uid": ""}, "accepted_node_uid", None),
        ("spec.state", None, "state", State.ACTIVE),
        ("spec.mode", None, "mode", Mode.ENFORCE),
        ("spec.rejoin", None, "rejoin", Rejoin.WHEN_NOT_READY),
        ("spec.addresses", None, "addresses", frozenset()),
        ("spec.dnsNames", None, "dns_names", frozenset()),
        ("spec.maxExpirationSeconds", None, "max_expiration_seconds", None),
        ("spec.serving", None, "serving", Serving()),
        ("spec.bootstrap", None, "bootstrap", Bootstrap()),
        ("spec.bootstrap.token.ttl", None, "bootstrap.token_ttl", timedelta(hours=1)),
        ("spec.bootstrap.token.ttl", "90s", "bootstrap.token_ttl", timedelta(seconds=90)),
        ("spec.bootstrap.token.ttl", "99999m", "bootstrap.token_ttl", timedelta(minutes=99999)),
        ("spec.bootstrap.token.issue", None, "bootstrap.issue_token", False),
        ("spec.bootstrap.publicKeySHA256", "", "bootstrap.public_key_sha256", None),
        ("spec.bootstrap.maxJoins", None, "bootstrap.max_joins", 3),
        ("spec.bootstrap.maxJoins", 0, "bootstrap.max_joins", 0),
        ("spec.node", None, "unacted_fields", ("bootstrap.token.issue",)),
        ("spec.node.annotations", None, "unacted_fields", ("node.labels", "node.taints", "bootstrap.token.issue")),
        ("spec.bootstrap.token.issue", False, "unacted_fields", ("node.labels", "node.annotations", "node.taints")),
        ("status.observedGeneration", 7, "processed", True),
        ("status.phase", "Unheard", "status.phase", None),
        ("status.joinCount", None, "status.join_count", 0),
        ("status.node.uid", None, "status.node.uid", None),
        ("status.node.ready", None, "status.node.ready", None),
        ("status.certificates.client.notAfter", None, "status.certificates.client", None),
        ("status.certificates.client.sha256", None, "status.certificates.client", None),
        ("status.certificates.client.previousSHA256", None, "status.certificates.client.previous_sha256", None),
        ("status.certificates.client.seen", None, "status.certificates.client.seen", False),
        ("status.bootstrap.tokenID", None, "status.token_id", None),
        ("status.lastDecision.time", None, "status.last_decision", None),
    ],
)
def test_what_is_absent_or_other(path: str, value: Any, where: str, expected: object) -> None:
    """Each field alone, absent or at an edge, changes what it is for."""
    found: Any = parse_enrollment(_with(path, value))
    for name in where.split("."):
        found = getattr(found, name)

    assert found == expected


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("kind", "Node", "kind: expected NodeEnrollment, found Node"),
        ("metadata.name", "Node_A", "metadata.name: expected a node name (DNS-1123 subdomain), found Node_A"),
        ("metadata.name", None, "metadata.name: expected a node name (DNS-1123 subdomain), found nothing"),
        ("spec.state", "active", "spec.state: expected one of Active, Suspended, Revoked, found active"),
        ("spec.mode", "Off", "spec.mode: expected one of Enforce, Audit, found Off"),
        ("spec.dnsNames", ["a", "B"], "spec.dnsNames[1]: expected a lower-case DNS-1123 name, found B"),
        (
            "spec.bootstrap.tokenID",
            "abcdef",
            "spec.bootstrap: expected at most one of token.issue and tokenID, found both",
        ),
        (
            "spec.bootstrap.notAfter",
            "2030-01-31T01:00:00Z",
            "spec.bootstrap: expected notBefore earlier than notAfter, found it is not",
        ),
        *(
            (
                "spec.bootstrap.token.ttl",
                text,
                f"spec.bootstrap.token.ttl: expected whole hours, minutes and seconds such as 1h30m, found {text}",
            )
            for text in ("1.5h", "h", "1d", "1H", "123456s", "1h1m1s1s", "1h ")
        ),
        ("status.joins.0.time", None, "status.joins[0].time: expected an RFC 3339 moment, found nothing"),
        ("metadata", [], "metadata: expected an object, found a list"),
        ("spec", "x", "spec: expected an object, found the string 'x'"),
        ("spec.serving", [], "spec.serving: expected an object, found a list"),
        ("status.node", [], "status.node: expected an object, found a list"),
        ("status.certificates.serving", [], "status.certificates.serving: expected an object, found a list"),
        ("status.conditions.0.type", 1, "status.conditions[0].type: expected a string, found the value 1"),
    ],
)
def test_a_refusal_says_where_what_and_what_instead(path: str, value: Any, message: str) -> None:
    """The field, what was expected there, and what was found."""
    with pytest.raises(Malformed) as caught:
        parse_enrollment(_with(path, value))

    assert str(caught.value) == message


def test_an_object_of_the_api_server_is_the_default() -> None:
    """Unless it is said to be a manifest, an enrollment without a status has not been processed."""
    body = _with("status", None)

    assert not parse_enrollment(body).processed
    assert parse_enrollment(body, offline=True).processed
