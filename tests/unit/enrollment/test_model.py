"""The index of claims, and what an enrollment says of itself."""

from ipaddress import ip_address
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from nodegate.enrollment.claims import ClaimIndex
from nodegate.enrollment.model import Bootstrap, Condition, Enrollment, Join, NodeName, State, Status
from tests.builders import NODE, NOW, make_enrollment

_NAMES = ["node-a", "node-b", "node-c"]
_ADDRESSES = ["10.0.0.1", "10.0.0.2", "fd00::1"]
_DNS = ["node-a", "x.corp", "y.corp"]
_KEYS = ["1" * 64, "2" * 64, "3" * 64]


def _joined(*keys: str) -> Status:
    joins = tuple(Join(public_key_sha256=key, csr_uid="u", csr_name="c", requester="r", time=NOW) for key in keys)
    return Status(joins=joins, join_count=len(joins))


def test_claims_are_addresses_listed_names_and_the_own_name() -> None:
    """Each is found under its owner, and nothing else is."""
    index = ClaimIndex([make_enrollment(dns_names=frozenset({"x.corp"}))])

    assert index.address_owners(ip_address("10.0.0.5")) == {NODE}
    assert index.name_owners("node-a") == index.name_owners("x.corp") == {NODE}
    assert index.address_owners(ip_address("10.0.0.6")) == index.name_owners("y.corp") == frozenset()


def test_a_revoked_enrollment_claims_nothing() -> None:
    """Revoked frees what it listed, and taking it back claims it again."""
    index = ClaimIndex([make_enrollment()])

    index.put(NODE, make_enrollment(state=State.REVOKED))
    assert index.address_owners(ip_address("10.0.0.5")) == frozenset()
    index.put(NODE, make_enrollment(state=State.SUSPENDED))
    assert index.address_owners(ip_address("10.0.0.5")) == {NODE}


def test_put_tells_who_has_to_be_judged_again() -> None:
    """The others that shared a claim before, or share one now."""
    index = ClaimIndex()
    other = make_enrollment(name=NodeName("node-b"), addresses=("10.0.0.5",))

    assert index.put(NODE, make_enrollment()) == frozenset()
    assert index.put(other.name, other) == {NODE}
    assert index.put(NODE, make_enrollment()) == {"node-b"}
    assert index.put(NODE, None) == {"node-b"}
    assert index.put(NODE, None) == frozenset()


def test_keys_are_found_under_every_node_that_joined_with_them() -> None:
    """Revoking an enrollment keeps its keys, deleting it forgets them."""
    other = make_enrollment(name=NodeName("node-b"), addresses=(), status=_joined(_KEYS[0]))
    index = ClaimIndex([make_enrollment(status=_joined(*_KEYS[:2])), other])

    assert [index.key_owners(key) for key in _KEYS] == [{NODE, "node-b"}, {NODE}, frozenset()]
    index.put(NODE, make_enrollment(state=State.REVOKED, status=_joined(*_KEYS[:2])))
    assert index.key_owners(_KEYS[1]) == {NODE}
    index.put(NODE, None)
    assert [index.key_owners(key) for key in _KEYS] == [{"node-b"}, frozenset(), frozenset()]


def test_a_shared_key_touches_nobody() -> None:
    """However many nodes were cloned from one image, a join among them wakes no other."""
    index = ClaimIndex()

    for number in range(50):
        name = NodeName(f"clone-{number}")
        assert index.put(name, make_enrollment(name=name, addresses=(), status=_joined(_KEYS[0]))) == frozenset()
    assert len(index.key_owners(_KEYS[0])) == 50


def test_the_expected_token_is_the_pinned_or_the_minted_one() -> None:
    """A minted id counts only while minting is asked for."""
    minted = Status(token_id="mmmmmm")  # noqa: S106 - an id is no secret

    assert make_enrollment(status=minted).expected_token_id is None
    assert make_enrollment(status=minted, bootstrap=Bootstrap(issue_token=True)).expected_token_id == minted.token_id
    pinned = Bootstrap(token_id="abcdef")  # noqa: S106 - an id is no secret
    assert make_enrollment(status=minted, bootstrap=pinned).expected_token_id == pinned.token_id


def test_a_minted_token_has_an_owner_and_a_pinned_one_has_none() -> None:
    """People may pin one token in many enrollments; what the operator mints is one node's."""
    minted, wants = Status(token_id="minted"), Bootstrap(issue_token=True)  # noqa: S106 - an id
    index = ClaimIndex([make_enrollment(status=minted, bootstrap=wants)])
    index.put(NodeName("node-b"), make_enrollment(name=NodeName("node-b"), bootstrap=Bootstrap(token_id="minted")))  # noqa: S106 - an id
    assert index.token_owners("minted") == {NODE}
    index.put(NODE, make_enrollment(bootstrap=wants))
    assert index.token_owners("minted") == frozenset()


def test_conditions_are_found_by_type() -> None:
    """The recorded condition of a type, or None."""
    ready = Condition(type="Ready", status="True", reason="Joined", message="")
    enrollment = make_enrollment(status=Status(conditions=(ready,)))

    assert enrollment.condition("Ready") is ready
    assert enrollment.condition("Stalled") is None


def _enrollments() -> st.SearchStrategy[Enrollment]:
    return st.builds(
        lambda name, state, addresses, names, keys: make_enrollment(
            name=NodeName(name),
            state=state,
            addresses=tuple(addresses),
            dns_names=frozenset(names),
            status=_joined(*keys),
        ),
        st.sampled_from(_NAMES),
        st.sampled_from(State),
        st.sets(st.sampled_from(_ADDRESSES)),
        st.sets(st.sampled_from(_DNS)),
        st.sets(st.sampled_from(_KEYS)),
    )


class ClaimMachine(RuleBasedStateMachine):
    """Enrollments come, change and go; the index is always the one built afresh."""

    def __init__(self) -> None:
        super().__init__()
        self.index = ClaimIndex()
        self.kept: dict[NodeName, Enrollment] = {}

    @rule(enrollment=_enrollments())
    def put(self, enrollment: Enrollment) -> None:
        """One enrollment is applied."""
        before = self._sharing(enrollment.name)
        self.kept[enrollment.name] = enrollment

        assert self.index.put(enrollment.name, enrollment) == before | self._sharing(enrollment.name)

    @rule(name=st.sampled_from(_NAMES))
    def delete(self, name: str) -> None:
        """One enrollment is deleted."""
        before = self._sharing(NodeName(name))
        self.kept.pop(NodeName(name), None)

        assert self.index.put(NodeName(name), None) == before

    def _claims(self, enrollment: Enrollment | None) -> frozenset[Any]:
        revoked = enrollment is None or enrollment.state is State.REVOKED
        return frozenset() if revoked or enrollment is None else enrollment.addresses | enrollment.names

    def _sharing(self, name: NodeName) -> frozenset[NodeName]:
        own = self._claims(self.kept.get(name))
        return frozenset(n for n, e in self.kept.items() if n != name and own & self._claims(e))

    @invariant()
    def is_as_if_built_afresh(self) -> None:
        """Every question has the answer of an index built from what is there now."""
        fresh = ClaimIndex(self.kept.values())
        for address in map(ip_address, _ADDRESSES):
            assert self.index.address_owners(address) == fresh.address_owners(address)
        for name in (*_NAMES, *_DNS):
            assert self.index.name_owners(name) == fresh.name_owners(name)
        for key in _KEYS:
            assert self.index.key_owners(key) == {n for n, e in self.kept.items() if e.holds_key(key)}
        plain = {n for n, e in self.kept.items() if ip_address("10.0.0.1") in self._claims(e)}
        assert self.index.address_owners(ip_address("10.0.0.1")) == plain


ClaimMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
TestClaimIndex = ClaimMachine.TestCase
