"""NodeEnrollment objects into values: defaults, every field, and what is refused."""

from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

import pytest
import yaml

from hack.vectors import manifests as m
from nodegate.enrollment.model import Bootstrap, Enrollment, Mode, NodeName, Phase, Rejoin, Serving, State
from nodegate.enrollment.parse import parse_enrollment
from nodegate.errors import Malformed
from tests.builders import ROOT

_ACCEPTED = yaml.safe_load((ROOT / "tests" / "vectors" / "enrollment" / "accepted.yaml").read_text())["cases"]


def test_an_empty_spec_has_the_schemas_defaults() -> None:
    """`spec: {}` is valid, Active, enforced, open to the bootstrap group, three joins."""
    enrollment = parse_enrollment(m.enrollment("node-a", {}), offline=True)

    assert enrollment == Enrollment(name=NodeName("node-a"), uid=enrollment.uid)
    assert (enrollment.state, enrollment.mode, enrollment.rejoin) == (State.ACTIVE, Mode.ENFORCE, Rejoin.WHEN_NOT_READY)
    assert enrollment.bootstrap == Bootstrap(max_joins=3)
    assert enrollment.serving == Serving(approve=True)


def test_reads_every_field() -> None:
    """All of the spec, and the status that verdicts rest on."""
    spec = {
        "state": "Suspended",
        "mode": "Audit",
        "addresses": ["::ffff:10.0.0.5", "fd00:0::5"],
        "dnsNames": ["a.corp"],
        "bootstrap": {
            "tokenID": "abcdef",
            "users": ["jane"],
            "publicKeySHA256": "ab" * 32,
            "notBefore": "2030-01-31T08:00:00Z",
            "notAfter": "2030-01-31T20:00:00+02:00",
            "maxJoins": 1,
        },
        "rejoin": "Never",
        "serving": {"approve": False, "requireNodeAddresses": True, "allowDNSOnly": True},
        "maxExpirationSeconds": 3600,
        "node": {"labels": {"a": "b"}},
    }
    status = m.joined("p256-a") | {"observedGeneration": 4, "phase": "Joined", "node": {"uid": "u", "ready": "True"}}

    enrollment = parse_enrollment(
        m.enrollment("node-a", spec, metadata={"generation": 4, "resourceVersion": "9"}, status=status)
    )

    assert (enrollment.state, enrollment.mode, enrollment.rejoin) == (State.SUSPENDED, Mode.AUDIT, Rejoin.NEVER)
    assert enrollment.addresses == {ip_address("10.0.0.5"), ip_address("fd00::5")}
    assert enrollment.names == {"node-a", "a.corp"}
    assert enrollment.bootstrap.not_after == datetime(2030, 1, 31, 18, tzinfo=UTC)
    assert (enrollment.bootstrap.token_id, enrollment.bootstrap.max_joins) == ("abcdef", 1)
    assert enrollment.serving == Serving(approve=False, require_node_addresses=True, allow_dns_only=True)
    assert (enrollment.max_expiration_seconds, enrollment.unacted_fields) == (3600, ("node.labels",))
    assert (enrollment.generation, enrollment.resource_version, enrollment.processed) == (4, "9", True)
    assert (enrollment.status.phase, enrollment.status.node.uid) == (Phase.JOINED, "u")
    assert (enrollment.status.join_count, len(enrollment.status.joins)) == (1, 1)


@pytest.mark.parametrize("case", _ACCEPTED, ids=lambda case: case["name"])
def test_what_the_schema_accepts_can_be_read(case: Any) -> None:
    """A NodeEnrollment that the API server stored is never malformed to the operator."""
    name = case.get("node", "node-a")

    assert parse_enrollment(m.enrollment(name, case["spec"])).name == name


@pytest.mark.parametrize(
    ("generation", "status", "offline", "processed"),
    [
        (None, None, True, True),
        (3, None, True, True),
        (None, {"observedGeneration": 3}, True, True),
        (3, {"observedGeneration": 3}, True, True),
        (3, {"observedGeneration": 2}, True, False),
        (3, {"phase": "Ready"}, True, False),
        (3, None, False, False),
        (3, {"observedGeneration": 2}, False, False),
        (3, {"observedGeneration": 3}, False, True),
    ],
)
def test_processed_means_seen_at_this_generation(
    generation: int | None,
    status: Any,
    offline: bool,  # noqa: FBT001 - a parameter of the table
    processed: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    """Manifests without status or generation count as processed, objects of the API server never."""
    metadata = {} if generation is None else {"generation": generation}
    rest = {} if status is None else {"status": status}

    body = m.enrollment("node-a", {}, metadata=metadata, **rest)

    assert parse_enrollment(body, offline=offline).processed is processed


@pytest.mark.parametrize(
    ("spec", "where"),
    [
        ({"state": "revoked"}, r"spec\.state"),
        ({"mode": "DryRun"}, r"spec\.mode"),
        ({"rejoin": "Sometimes"}, r"spec\.rejoin"),
        ({"addresses": ["10.0.0.0/24"]}, r"spec\.addresses"),
        ({"addresses": ["fe80::1%eth0"]}, r"spec\.addresses"),
        ({"dnsNames": ["Node-A"]}, r"spec\.dnsNames\[0\]"),
        ({"dnsNames": ["a", "*.corp"]}, r"spec\.dnsNames\[1\]"),
        ({"dnsNames": ["10.0.0.5"]}, r"spec\.dnsNames\[0\]"),
        ({"bootstrap": {"tokenID": "abcdef", "token": {"issue": True}}}, r"spec\.bootstrap"),
        ({"bootstrap": {"notBefore": m.AT, "notAfter": m.AT}}, r"spec\.bootstrap"),
        ({"bootstrap": {"notAfter": "2030-01-31"}}, r"spec\.bootstrap\.notAfter"),
        ({"bootstrap": {"maxJoins": "3"}}, r"spec\.bootstrap\.maxJoins"),
        ({"serving": {"approve": "yes"}}, r"spec\.serving\.approve"),
        ({"maxExpirationSeconds": 1.5}, r"spec\.maxExpirationSeconds"),
        ([], "spec"),
    ],
)
def test_what_cannot_be_used_is_malformed_and_named(spec: Any, where: str) -> None:
    """The message names the field; nothing falls back to a default."""
    with pytest.raises(Malformed, match=where):
        parse_enrollment(m.enrollment("node-a", spec))


@pytest.mark.parametrize("name", ["", "Node-A", "*.corp", "a/b", "a\n"])
def test_a_name_that_no_node_can_have_is_malformed(name: str) -> None:
    """The enrollment's name is the node's."""
    with pytest.raises(Malformed, match=r"metadata\.name"):
        parse_enrollment({"metadata": {"name": name}, "spec": {}})


def test_another_kind_is_malformed() -> None:
    """A Node is no enrollment."""
    with pytest.raises(Malformed, match="NodeEnrollment"):
        parse_enrollment(m.node("node-a"))
