"""Points of the judgement that a vector cannot show: secrets, ids, texts that cannot be read."""

from typing import Any

from nodegate.flannel.canonical import canonical_text, fingerprint
from nodegate.flannel.check import read_config
from nodegate.flannel.decide import plan, plan_deletion
from nodegate.flannel.network import Action, Applied, ChangeClass, Facts, FlannelNetwork, Plan
from nodegate.flannel.parse import parse_lease, parse_network
from nodegate.flannel.render import applied_value, plan_object
from tests.unit.flannel.network_vectors import bare

KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
OTHER_KEY = "YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODk="
GUIDE = '{"Network":"172.30.0.0/16","SubnetLen":24,"Backend":{"Type":"vxlan"}}'
WIREGUARD = {"type": "wireguard", "wireguard": {"pskSecretRef": {"namespace": "a", "name": "b"}}}
LEASE = parse_lease(
    "/coreos.com/network/subnets/172.30.19.0-24",
    '{"PublicIP":"10.0.0.19","BackendType":"wireguard"}',
    mod_revision=5,
    ttl=80000,
)


def _network(**spec: Any) -> FlannelNetwork:
    return parse_network(bare({"spec": spec}))


def _judge(network: FlannelNetwork, live: str | None, **secrets: str) -> Plan:
    applied = None if live is None else Applied(text=live)
    return plan(network, live, None, [LEASE], applied, Facts(secrets=secrets))


def _wireguard(key: str) -> str:
    return f'{{"Network":"172.30.0.0/16","SubnetLen":24,"Backend":{{"Type":"wireguard","PSK":"{key}"}}}}'


def test_another_key_is_a_matter_of_the_datapath() -> None:
    """A Secret whose value changed splits the nodes, although the resource is the same."""
    found = _judge(_network(backend=WIREGUARD), _wireguard(KEY), PSK=OTHER_KEY)

    assert (found.change_class, found.action) == (ChangeClass.DATAPATH, Action.BLOCK)
    assert [(each.field, each.old, each.new) for each in found.changes] == [("Backend.PSK", "redacted", "redacted")]


def test_the_same_key_is_no_change_against_its_fingerprint() -> None:
    """What was applied is kept without its secrets, and is compared all the same."""
    network = _network(backend=WIREGUARD)
    applied = Applied(text=_wireguard(fingerprint(KEY)))

    same = plan(network, _wireguard(KEY), None, [LEASE], applied, Facts(secrets={"PSK": KEY}))
    other = plan(network, _wireguard(KEY), None, [LEASE], applied, Facts(secrets={"PSK": OTHER_KEY}))

    assert (same.change_class, other.change_class) == (ChangeClass.NONE, ChangeClass.DATAPATH)


def test_nothing_can_be_written_without_its_secret() -> None:
    """A key that was not read leaves a plan and no value."""
    network = _network(backend=WIREGUARD)

    unread, read = plan(network, None, None, [], None, Facts()), _judge(network, None, PSK=KEY)

    assert (unread.action, unread.value) == (Action.WRITE, None)
    assert read.value is not None
    assert KEY in read.value


def test_no_secret_leaves_the_plan() -> None:
    """Neither the object nor the applied value shows a key, and the id does not depend on how it was read."""
    found = _judge(_network(backend=WIREGUARD), None, PSK=KEY)
    reading = read_config(_wireguard(KEY), _network().version)

    assert reading.config is not None
    assert KEY not in str(plan_object(found))
    assert KEY not in applied_value(reading.config)
    assert read_config(canonical_text(reading.config), _network().version).valid


def test_the_id_is_of_the_old_and_the_new() -> None:
    """The same edit of another config, and another edit of the same, have ids of their own."""
    one = _judge(_network(backend={"type": "host-gw"}), GUIDE).id
    other_old = _judge(_network(backend={"type": "host-gw"}), GUIDE.replace("24", "25")).id
    other_new = _judge(_network(backend={"type": "ipip"}), GUIDE).id
    same = _judge(_network(backend={"type": "host-gw"}, approvedChange="x"), GUIDE.replace(",", " , ")).id

    assert len({one, other_old, other_new}) == 3
    assert same == one


def test_an_applied_text_that_cannot_be_read_is_no_base() -> None:
    """The live config is compared with then, and adoption is no question any more."""
    network = _network(subnetMax="172.30.200.0")

    found = plan(network, GUIDE, None, [], Applied(text="nonsense"), Facts())

    assert (found.change_class, found.action) == (ChangeClass.NARROWING, Action.WRITE)


def test_what_a_stranger_wrote_as_asked_needs_no_write() -> None:
    """The resource and the key were changed alike: the change is judged, and nothing is left to write."""
    live = GUIDE.replace('"SubnetLen"', '"SubnetMax":"172.30.200.0","SubnetLen"')

    found = plan(_network(subnetMax="172.30.200.0"), live, None, [LEASE], Applied(text=GUIDE), Facts())

    assert (found.change_class, found.action) == (ChangeClass.NARROWING, Action.NONE)


def test_the_extension_backend_needs_the_operators_flag() -> None:
    """With the flag it is a backend as any other."""
    network = _network(backend={"type": "extension", "extension": {"subnetAddCommand": "/opt/add"}})

    refused = plan(network, None, None, [], None, Facts())
    allowed = plan(network, None, None, [], None, Facts(allow_extension=True))

    assert (refused.action, allowed.action) == (Action.REFUSE, Action.WRITE)


def test_a_refusal_names_field_value_and_rule() -> None:
    """The message says what to change."""
    found = plan(_network(reservedCIDRs=["172.30.5.0/24"]), None, None, [], None, Facts())

    assert found.value is None
    assert "Network: expected a range of the pods alone" in found.message
    assert "172.30.5.0/24 of spec.reservedCIDRs" in found.message


def test_a_deletion_is_paused_like_a_write() -> None:
    """DeleteWhenUnused writes nothing while the resource is paused, and nothing when there is no key."""
    network = _network(deletionPolicy="DeleteWhenUnused", paused=True)

    assert plan_deletion(network, GUIDE, [], Facts()).action is Action.REPORT
    assert plan_deletion(network, None, [LEASE], Facts()).action is Action.NONE
    assert plan_deletion(network, GUIDE, [LEASE], Facts()).action is Action.BLOCK
