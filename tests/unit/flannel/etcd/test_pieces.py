"""The small parts of the etcd client: endpoints, keys, and the two languages."""

import base64

import pytest

from nodegate.errors import Malformed
from nodegate.flannel.etcd import v2_wire, v3_wire
from nodegate.flannel.etcd.connections import Answer, Request
from nodegate.flannel.etcd.errors import Reason
from nodegate.flannel.etcd.keys import Keys
from nodegate.flannel.etcd.values import Endpoints, ServerVersion


@pytest.mark.parametrize(
    "urls",
    [
        (),
        ("https://a:1",) * 2,
        tuple(f"https://a:{port}" for port in range(1, 11)),
        ("a:2379",),
        ("ftp://a:1",),
        ("https://a",),
        ("https://a:1/",),
        ("https://a:1/v3",),
        ("https://user@a:1",),
        ("https://a:99999",),
        ("https://:1",),
        ("https://a:1?x",),
    ],
)
def test_unusable_endpoints_are_refused(urls: tuple[str, ...]) -> None:
    """None, too many, repeated, and everything that is not scheme, host and port."""
    with pytest.raises(Malformed, match="expected"):
        Endpoints(urls)


def test_usable_endpoints() -> None:
    """Names, addresses of both families, and whether any needs TLS."""
    assert Endpoints(("https://etcd.test:2379", "https://[::1]:2379", "http://10.0.0.1:1")).tls
    assert not Endpoints(("http://10.0.0.1:2379",)).tls


@pytest.mark.parametrize(
    "prefix", ["", "/", "network", "/a/", "/a//b", "/a/../b", "/a/.", "/a b", "/a?x", "/ä", "/a\n"]
)
def test_unusable_prefixes_are_refused(prefix: str) -> None:
    """What flannel would clean up, or the two APIs would read differently, is not a prefix."""
    with pytest.raises(Malformed, match="expected /part/part"):
        Keys(prefix)


def test_what_is_a_lease_and_what_matters() -> None:
    """Only what is under subnets/ is a lease; what flannel lists besides matters to a watch."""
    keys = Keys("/net")

    assert keys.is_lease("/net/subnets/10.0.0.0-24")
    assert not any(keys.is_lease(key) for key in ("/net/subnets", "/net/subnets/", "/net/subnets-x/1", "/net/config"))
    assert all(keys.matters(key) for key in ("/net/config", "/net/subnets/x", "/net/subnets-x/1"))
    assert not any(keys.matters(key) for key in ("/net/config2", "/net/other", "/net2/config"))


@pytest.mark.parametrize(
    ("version", "base"),
    [
        ("3.2.32", None),
        ("2.3.8", None),
        ("3.3.0", "/v3beta"),
        ("3.3.25", "/v3beta"),
        ("3.4.23", "/v3"),
        ("3.7.3", "/v3"),
        ("3.10.0-rc.1", "/v3"),
        ("4.0.0", "/v3"),
        ("?", None),
    ],
)
def test_where_each_version_serves_v3(version: str, base: str | None) -> None:
    """The beta path belongs to 3.3 alone; older ones are not supported."""
    assert v3_wire.V3Wire("/c").base(ServerVersion(version, "")) == base


def test_ranges_end_where_the_prefix_ends() -> None:
    """The end is the first key after every key with that beginning."""
    assert v3_wire.after_all("/net/subnets") == "/net/subnett"
    assert v3_wire.after_all("/net/") == "/net0"


def test_numbers_and_bytes_of_the_gateway() -> None:
    """Integers come as strings, absent ones are 0, and a key that is no UTF-8 survives."""
    raw = base64.b64encode(b"/\xff").decode()

    found = v3_wire.key_value({"key": raw, "mod_revision": "9007199254740993", "lease": "7"})

    assert (found.mod_revision, found.lease_id, found.value, found.create_revision) == (9007199254740993, 7, b"", 0)
    assert v3_wire.encoded(found.key) == raw


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b'"x"'])
def test_a_good_status_with_a_bad_body_is_no_answer(body: bytes) -> None:
    """Neither store takes a body without an object for an empty one."""
    answer = Answer(200, {}, body)

    for failure in (v3_wire.V3Wire("/c").failure(answer), v2_wire.V2Wire("/c").failure(answer)):
        assert failure is not None
        assert (failure.reason, failure.maybe_done) == (Reason.UNEXPECTED, True)


def test_v2_requests_are_guarded_and_never_recursive_where_they_write() -> None:
    """Writes carry the index or the absence that they expect; keys are escaped."""
    key = "/net/subnets/10.0.0.0-24&fc00::-64"
    create, replace, delete = v2_wire.put(key, b"v", 0), v2_wire.put(key, b"v", 7), v2_wire.delete(key, 7)

    assert create.path == "/net/subnets/10.0.0.0-24%26fc00%3A%3A-64?prevExist=false"
    assert replace.path.endswith("?prevIndex=7")
    assert (delete.method, delete.path.partition("?")[2]) == ("DELETE", "prevIndex=7")
    assert create.write
    assert delete.write
    assert create.form == {"value": "v"}


def test_a_request_hides_what_it_carries() -> None:
    """Bodies hold values and passwords."""
    assert "v" not in repr(Request("PUT", "/c", body={"x": "v"}, form={"value": "v"})).replace("value", "")
