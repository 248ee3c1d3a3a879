"""The enrollment that is made, the patches, and the notes on held requests."""

from datetime import timedelta
from ipaddress import ip_address

from nodegate.csr.decide import judge
from nodegate.csr.model import Reason
from nodegate.csr.render import message
from nodegate.enrollment.parse import parse_enrollment
from nodegate.pool.decide import outlook
from nodegate.pool.parse import parse_pool
from nodegate.pool.render import addresses_patch, enrollment_body, noted, status_patch
from tests.builders import NOW, make_case, make_csr
from tests.unit.pool.samples import make_pool, pool_body

TEMPLATE = {"rejoin": "Never", "bootstrap": {"maxJoins": 1}, "serving": {"allowDNSOnly": True}}


def test_the_enrollment_is_the_template_pinned_to_the_token() -> None:
    """It carries the pool's label and UID, the template, the token that asked, and no address or name."""
    body = enrollment_body(make_pool(template=TEMPLATE), make_csr())

    assert body["metadata"] == {
        "name": "node-a",
        "labels": {"nodegate.dev/pool": "fleet"},
        "annotations": {"nodegate.dev/pool-uid": "uid-of-fleet"},
    }
    assert body["spec"] == {**TEMPLATE, "bootstrap": {"maxJoins": 1, "tokenID": "abcdef"}}
    enrollment = parse_enrollment(body)
    assert (enrollment.bootstrap.token_id, enrollment.bootstrap.max_joins) == ("abcdef", 1)
    assert enrollment.addresses == frozenset()


def test_a_user_is_pinned_by_name() -> None:
    """Whoever came in by a group is the only one who may ask again."""
    body = enrollment_body(make_pool(), make_csr(username="builder-7"))
    assert body["spec"] == {"bootstrap": {"users": ["builder-7"]}}


def test_the_template_of_the_pool_stays_as_it_is() -> None:
    """Making an enrollment does not write into the pool."""
    pool = make_pool(template=TEMPLATE)
    enrollment_body(pool, make_csr())
    assert pool == make_pool(template=TEMPLATE)


def test_addresses_are_written_canonically_at_the_version_that_was_read() -> None:
    """IPv4 first, in order, as the schema wants them."""
    found = [ip_address(text) for text in ("fd00:0::5", "10.0.8.10", "10.0.8.9")]
    assert addresses_patch("12", found) == {
        "metadata": {"resourceVersion": "12"},
        "spec": {"addresses": ["10.0.8.9", "10.0.8.10", "fd00::5"]},
    }


def test_a_status_that_says_it_all_needs_no_patch() -> None:
    """The patch, applied and read again, leads to none, also later; a flip moves only its own moment."""
    pool = make_pool()
    patch = status_patch(pool, outlook(pool, 1, ()), NOW)
    assert patch is not None
    assert patch["metadata"] == {"resourceVersion": "7"}
    assert (patch["status"]["observedGeneration"], patch["status"]["nodes"]) == (2, 1)
    again = parse_pool(pool_body(status=patch["status"]))
    later = NOW + timedelta(hours=1)
    assert status_patch(again, outlook(again, 1, ()), later) is None

    full = status_patch(again, outlook(again, 3, ()), later)
    assert full is not None
    moments = {c["type"]: c["lastTransitionTime"] for c in full["status"]["conditions"]}
    assert moments == {
        "Ready": "2030-01-31T12:00:00Z",
        "Stalled": "2030-01-31T12:00:00Z",
        "Full": "2030-01-31T13:00:00Z",
        "PoolConflict": "2030-01-31T12:00:00Z",
    }


def test_conditions_of_others_are_kept() -> None:
    """A condition of another type stays where it is."""
    other = {
        "type": "Other",
        "status": "True",
        "reason": "Mine",
        "message": "",
        "lastTransitionTime": "2030-01-01T00:00:00Z",
    }
    pool = parse_pool(pool_body(status={"conditions": [other]}))
    patch = status_patch(pool, outlook(pool, 0, ()), NOW)
    assert patch is not None
    assert [c["reason"] for c in patch["status"]["conditions"] if c["type"] == "Other"] == ["Mine"]


def test_a_note_stands_in_the_message_of_a_held_request() -> None:
    """The reason stays NotEnrolled; what the pool has to do with it follows what was found."""
    held = judge(make_case(enrollment=None))
    told = noted(held, Reason.NOT_ENROLLED, "the name is of pool fleet, which is full (maxNodes 3)")
    assert told.verdict == held.verdict
    assert message(told).endswith("found none of that name; the name is of pool fleet, which is full (maxNodes 3).")


def test_other_verdicts_are_left_alone() -> None:
    """An approval and an ignored request say nothing about pools."""
    for case in (make_case(), make_case(enrollment=None, csr=make_csr(username="x", groups=frozenset()))):
        assert noted(judge(case), Reason.NOT_ENROLLED, "note") == judge(case)
