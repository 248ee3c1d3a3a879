"""The whole life of an enrollment as pure steps, and that thousands of them cost no more than thousands of steps.

Each scenario starts with a spec and takes events (a Node comes, time passes, somebody edits); after each the
status is judged, written and read back as the operator would.
"""

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import pytest

from hack.vectors import manifests as m
from nodegate.csr.model import Result
from nodegate.csr.rules.node_state import RULES
from nodegate.enrollment.claims import ClaimIndex
from nodegate.enrollment.decide import decide
from nodegate.enrollment.model import (
    Bootstrap,
    Enrollment,
    Join,
    NodeName,
    NodeRef,
    NodeTemplate,
    Phase,
    Rejoin,
    State,
    Status,
)
from nodegate.enrollment.parse import parse_enrollment
from nodegate.enrollment.render import status_patch
from tests.builders import NOW, make_case, make_enrollment, make_node, make_surroundings

_HOUR = timedelta(hours=1)
_NODE = NodeRef(uid="u", ready="True")
_MANY = 2000


def _step(enrollment: Enrollment, *others: Enrollment, **around: Any) -> Enrollment:
    """Judge an enrollment, write its status and read it back; a status that is right already stays."""
    surroundings = make_surroundings(enrollment, *others, **around)
    patch = status_patch(enrollment, decide(enrollment, surroundings), None, surroundings.now)
    if patch is None:
        return enrollment
    status = parse_enrollment(m.enrollment(str(enrollment.name), {}, status=patch["status"])).status
    return replace(enrollment, status=replace(status, joins=enrollment.status.joins))


def _is(enrollment: Enrollment, kind: str) -> str:
    condition = enrollment.condition(kind)
    assert condition is not None
    return condition.status


def test_apply_ready_join_leave_return() -> None:
    """Ready before the Node, Joined with it, Ready again once it is deleted, Joined when another one comes."""
    life = _step(make_enrollment())
    assert (life.status.phase, _is(life, "Ready"), _is(life, "Joined")) == (Phase.READY, "True", "False")
    life = _step(life, node=_NODE)
    assert (life.status.phase, life.status.node.uid, _is(life, "Joined")) == (Phase.JOINED, "u", "True")
    life = _step(life)
    assert (life.status.phase, life.status.node.uid) == (Phase.READY, None)
    life = _step(life, node=NodeRef(uid="v", ready="False"))
    assert (life.status.phase, life.status.node.uid, life.status.node.ready) == (Phase.JOINED, "v", "False")


def test_expiry_and_a_moved_end() -> None:
    """A window that closes without a Node expires; moving its end makes the enrollment ready again."""
    life = _step(make_enrollment(bootstrap=Bootstrap(not_after=NOW + _HOUR)))
    assert life.status.phase is Phase.READY
    life = _step(life, now=NOW + 2 * _HOUR)
    assert (life.status.phase, _is(life, "Ready")) == (Phase.EXPIRED, "False")
    life = _step(replace(life, bootstrap=Bootstrap(not_after=NOW + 3 * _HOUR)), now=NOW + 2 * _HOUR)
    assert life.status.phase is Phase.READY


def test_suspension_and_revocation() -> None:
    """Both show at once, whether the Node exists or not, and Active takes them back."""
    life = _step(make_enrollment(), node=_NODE)
    for state, phase in ((State.SUSPENDED, Phase.SUSPENDED), (State.REVOKED, Phase.REVOKED), (State.ACTIVE, "Joined")):
        life = _step(replace(life, state=state), node=_NODE)
        assert life.status.phase == phase
        assert _is(life, "Stalled") == "False"


def test_conflict_is_on_both_until_one_is_deleted() -> None:
    """Two that list one address are both stalled; deleting one frees the other."""
    other = make_enrollment(name=NodeName("node-b"))
    life, twin = _step(make_enrollment(), other), _step(other, make_enrollment())
    assert {life.status.phase, twin.status.phase} == {Phase.CONFLICT}
    assert (_is(life, "Stalled"), _is(twin, "Stalled")) == ("True", "True")
    assert _step(life).status.phase is Phase.READY


def test_settings_make_it_reconcile_until_they_stand() -> None:
    """Reconciling is True from the Node's coming until it carries what is listed; Ready does not wait for that."""
    manage = {"node": _NODE, "manages_nodes": True}
    wanted = NodeTemplate(labels=(("rack", "r1"),))
    life = _step(make_enrollment(node=wanted), manages_nodes=True)
    assert (_is(life, "Reconciling"), _is(life, "NodeSettingsApplied")) == ("False", "False")
    life = _step(life, present=NodeTemplate(), **manage)
    assert (_is(life, "Ready"), _is(life, "Reconciling")) == ("True", "True")
    assert life.status.node.settings == ("label:rack",)
    life = _step(life, present=wanted, **manage)
    assert (_is(life, "Reconciling"), _is(life, "NodeSettingsApplied")) == ("False", "True")
    assert all(condition.observed_generation == 1 for condition in life.status.conditions)


@pytest.mark.parametrize(
    ("rejoin", "gone", "not_ready", "ready"),
    [
        (Rejoin.NEVER, False, False, False),
        (Rejoin.WHEN_GONE, True, False, False),
        (Rejoin.WHEN_NOT_READY, True, True, False),
        (Rejoin.ALWAYS, True, True, True),
    ],
)
def test_another_key_by_rejoin(rejoin: Rejoin, *, gone: bool, not_ready: bool, ready: bool) -> None:
    """Whether another key may join is settled by rejoin, and by whether a Node exists and is Ready."""
    join = Join(public_key_sha256="a" * 64, csr_uid="u", csr_name="c", requester="r", time=NOW)
    enrollment = make_enrollment(rejoin=rejoin, status=Status(joins=(join,), join_count=1))
    nodes = (None, make_node(ready="False"), make_node(ready="True"))
    rule = RULES[0]
    results = [rule.judge(make_case(enrollment=enrollment, node=node)).result is Result.PASS for node in nodes]
    assert results == [gone, not_ready, ready]


def test_thousands_that_share_nothing_touch_nobody() -> None:
    """Adding and changing two thousand enrollments wakes no other one: the work is linear."""
    index = ClaimIndex()
    touched = 0
    for round_ in range(2):
        for number in range(_MANY):
            address = ip_address(0x0A000000 + round_ * _MANY + number)
            enrollment = make_enrollment(name=NodeName(f"node-{number}"), addresses=(address,))
            touched += len(index.put(enrollment.name, enrollment))
    assert touched == 0
