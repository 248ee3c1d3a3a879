"""FlannelNetwork objects and lease keys, read: what they mean, and what is said of those that mean nothing."""

from typing import Any

import pytest

from nodegate.errors import Malformed
from nodegate.flannel.model import Api, Version
from nodegate.flannel.network import Applied, Pinned, SecretRef
from nodegate.flannel.parse import parse_lease, parse_network
from tests.unit.flannel.network_vectors import bare


def _network(**spec: Any) -> dict[str, Any]:
    return bare({"spec": spec})


def test_a_bare_network_has_the_defaults() -> None:
    """What nobody said is what the schema fills in."""
    found = parse_network(_network())

    assert (found.prefix, found.subnet_len, found.ipv6, found.poll_seconds) == ("/coreos.com/network", 0, None, 30)
    assert (found.etcd.api, found.version, found.paused, found.applied) == (Api.V3, Version(0, 28, 10), False, None)
    assert dict(found.backend.options)["VNI"] == 1


def test_secrets_are_only_referred_to() -> None:
    """A secret is a place, with the key's name where there is one."""
    ref = {"namespace": "a", "name": "b"}
    backend = {"type": "ipsec", "ipsec": {"pskSecretRef": ref}}
    etcd = {"endpoints": ["https://10.0.0.1:2379"], "api": "V3", "tls": {"secretRef": ref}}

    found = parse_network(_network(backend=backend, etcd=etcd))

    assert found.backend.secret == SecretRef("a", "b", "psk")
    assert found.etcd.tls.secret == SecretRef("a", "b")


def test_what_was_applied_and_pinned_is_read() -> None:
    """The status tells what is compared with, and what may never change."""
    body = _network()
    body["status"] = {
        "applied": {"value": "{}", "sha256": "ab", "modRevision": 7, "prefix": "/a"},
        "etcd": {"clusterID": "cdf8", "api": "V2"},
    }

    found = parse_network(body)

    assert found.applied == Applied(text="{}", sha256="ab", mod_revision=7)
    assert found.pinned == Pinned(cluster_id="cdf8", api=Api.V2, prefix="/a")


@pytest.mark.parametrize(
    ("value", "allowed"), [("true", True), ("false", False), ("True", False), ("yes", False), ("", False)]
)
def test_the_annotation_says_true_or_nothing(value: str, allowed: bool) -> None:  # noqa: FBT001 - a table's column
    """A public range is allowed by exactly one word."""
    body = _network()
    body["metadata"]["annotations"] = {"nodegate.dev/allow-public-range": value}

    assert parse_network(body).allow_public is allowed


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ([], "expected an object, found a list"),
        ({"kind": "Node"}, "kind: expected FlannelNetwork, found Node"),
        ({"metadata": {}}, "metadata.name: expected a name"),
        (_network(flannelVersion="0.6.0"), "spec.flannelVersion: expected flannel 0.7.0 or newer"),
        (_network(etcd={"endpoints": ["https://a:1"], "api": "V3", "tls": {"secretRef": {"name": "b"}}}), "namespace"),
        (_network(network="fe80::1%eth0/64"), "spec.network: expected a network"),
        (_network(network="::ffff:10.0.0.0/120"), "spec.network: expected a network"),
        (_network(pollSeconds=-1), "spec.pollSeconds: expected a whole number of 0 or more"),
    ],
)
def test_what_means_nothing_is_refused_with_its_field(body: Any, found: str) -> None:
    """A message names the field, what was expected and what was found."""
    with pytest.raises(Malformed, match=found):
        parse_network(body)


@pytest.mark.parametrize(
    ("key", "subnet", "subnet6"),
    [
        ("/coreos.com/network/subnets/172.30.19.0-24", "172.30.19.0/24", None),
        ("/a/subnets/172.30.40.0-24&fc00:30:0:16::-64", "172.30.40.0/24", "fc00:30:0:16::/64"),
        ("/coreos.com/network/subnets-backup/172.30.5.0-24", "172.30.5.0/24", None),
    ],
)
def test_keys_name_subnets(key: str, subnet: str, subnet6: str | None) -> None:
    """Keys of one family and of both; flannel takes a backup beside the leases for a lease, and so do we."""
    found = parse_lease(key, '{"PublicIP":"10.9.9.1"}', mod_revision=3, ttl=5)

    assert (str(found.subnet), found.subnet6 and str(found.subnet6)) == (subnet, subnet6)
    assert (found.public_ip, found.mod_revision, found.ttl, found.malformed) == ("10.9.9.1", 3, 5, "")


@pytest.mark.parametrize(
    "key",
    [
        "/a/subnets/",
        "/a/subnets/172.30.19.0",
        "/a/subnets/172.30.19.5-24",
        "/a/subnets/172.30.19.0-33",
        "/a/subnets/172.30.300.0-24",
        "/a/subnets/172.30.19.0-24&fc00::1-64",
        "/a/subnets/172.30.19.0-24/more",
        "/a/subnets/172.30.19.0-24\n",
    ],
)
def test_keys_that_name_none_are_kept(key: str) -> None:
    """A key that cannot be read is still somebody's, and says so."""
    found = parse_lease(key, '{"PublicIP":"10.9.9.1"}', mod_revision=3, ttl=None)

    assert found.subnet is None
    assert "expected a key that ends in a subnet" in found.malformed


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("", "expected a value in JSON"),
        ("[1]", "expected a JSON object"),
        ("{}", "expected PublicIP"),
        ('{"PublicIP": 7}', "expected PublicIP"),
        ('{"PublicIP": "node-a"}', "expected PublicIP"),
    ],
)
def test_values_that_say_nothing_are_kept(value: str, why: str) -> None:
    """A value that cannot be read leaves the subnet known and the holder unknown."""
    found = parse_lease("/a/subnets/172.30.19.0-24", value, mod_revision=3, ttl=None)

    assert (str(found.subnet), found.public_ip) == ("172.30.19.0/24", "")
    assert why in found.malformed


def test_the_backend_is_read_from_the_value() -> None:
    """Flannel writes its backend into the lease, and both addresses where there are two."""
    value = '{"PublicIP":"10.9.9.1","PublicIPv6":"fd00:0::1","BackendType":"vxlan","BackendData":{"VNI":1}}'

    found = parse_lease("/a/subnets/172.30.19.0-24", value, mod_revision=3, ttl=1)

    assert (found.backend_type, found.public_ip6) == ("vxlan", "fd00::1")
