"""Every way in which TLS, the gateway and etcd's own authentication fail, each with its own reason, on real etcds."""

import datetime as dt
from collections.abc import Iterator
from contextlib import aclosing, suppress

import pytest

from hack.cluster.errors import ClusterError
from hack.cluster.etcd_members import EtcdMembers
from nodegate.clock import now
from nodegate.flannel.etcd.errors import Reason
from nodegate.flannel.etcd.values import Written
from nodegate.flannel.model import Api
from tests.integration.etcd_lab import CONFIG, GUIDE, HASTY, PREFIX, assert_says, client_of, credentials_of, refusal_of

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module", name="etcd")
def _etcd() -> Iterator[EtcdMembers]:
    """Three good members with TLS."""
    with EtcdMembers() as etcd:
        yield etcd


def _last_week() -> dt.datetime:
    """Return a moment at which the expired certificate was valid: a clock that is behind."""
    return now() - dt.timedelta(days=5)


_REASONS = {
    "another authority's server": ({"ca": "foreign_ca"}, Reason.UNKNOWN_CA),
    "a name that is not in it": ({"server_name": "nope.test"}, Reason.WRONG_NAME),
    "a foreign client": ({"who": "foreign"}, Reason.CLIENT_FOREIGN),
    "no client certificate": ({"who": ""}, Reason.CLIENT_MISSING),
    "an expired client": ({"who": "expired"}, Reason.CLIENT_EXPIRED),
}


@pytest.mark.parametrize("case", _REASONS)
async def test_each_wrong_certificate_has_its_own_reason(etcd: EtcdMembers, case: str) -> None:
    """Wrong in the same way at every endpoint: the operation ends with the reason, and so does every status."""
    changes, reason = _REASONS[case]
    async with client_of(etcd, credentials_of(etcd, **changes), limits=HASTY) as client:
        error = await refusal_of(client.read())
        statuses = await client.endpoint_statuses()

    assert_says(error, reason)
    assert [(status.ok, status.reason) for status in statuses] == [(False, reason)] * 3


async def test_an_expired_certificate_is_seen_by_etcd_when_our_clock_is_behind(etcd: EtcdMembers) -> None:
    """Where our own check passes, etcd's alert is understood, and found at every endpoint."""
    wrong = credentials_of(etcd, "expired")
    async with client_of(etcd, wrong, limits=HASTY, clock=_last_week) as client:
        error = await refusal_of(client.read())

    assert_says(error, Reason.CLIENT_EXPIRED)
    assert set(error.failures) == set(etcd.endpoints)


async def test_our_own_expired_certificate_is_told_without_connecting(etcd: EtcdMembers) -> None:
    """No endpoint is named, and the day on which it ended is."""
    async with client_of(etcd, credentials_of(etcd, "expired")) as client:
        error = await refusal_of(client.read())

    ended = now() - dt.timedelta(days=1)
    assert (error.endpoint, error.failures) == ("", {})
    assert f"{ended:%Y-%m-%d}" in error.message


async def test_the_other_name_in_the_certificate_is_accepted(etcd: EtcdMembers) -> None:
    """With a server name that is in the certificate, the endpoint's own host does not matter."""
    async with client_of(etcd, credentials_of(etcd, server_name="etcd.test")) as client:
        assert (await client.read()).config is None


async def test_credentials_are_swapped_while_running(etcd: EtcdMembers) -> None:
    """A refused client works as soon as it is given good credentials, and the other way round."""
    async with client_of(etcd, credentials_of(etcd, "foreign"), limits=HASTY) as client:
        before = await refusal_of(client.read())
        await client.use(credentials_of(etcd))
        between = await client.read()
        await client.use(credentials_of(etcd, "foreign"))
        after = await refusal_of(client.read())

    assert (before.reason, after.reason) == (Reason.CLIENT_FOREIGN, Reason.CLIENT_FOREIGN)
    assert between.cluster_id


async def test_unusable_credentials_leave_the_old_ones_in_use(etcd: EtcdMembers) -> None:
    """A key of another certificate is refused by name, and reading goes on."""
    good, other = credentials_of(etcd), credentials_of(etcd, "other")
    mixed = type(good)(good.ca, good.certificate, other.key)
    async with client_of(etcd, good) as client:
        error = await refusal_of(client.use(mixed))
        snapshot = await client.read()

    assert_says(error, Reason.CREDENTIALS_UNUSABLE)
    assert snapshot.cluster_id


async def test_nothing_comes_from_the_environment(etcd: EtcdMembers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies and CA bundles of the environment change neither a success nor a refusal."""
    foreign = str(etcd.certificates.foreign_ca.certificate)
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, foreign)
    async with client_of(etcd) as client:
        assert (await client.read()).cluster_id

    monkeypatch.setenv("SSL_CERT_FILE", str(etcd.certificates.ca.certificate))
    async with client_of(etcd, credentials_of(etcd, ca="foreign_ca"), limits=HASTY) as client:
        assert_says(await refusal_of(client.read()), Reason.UNKNOWN_CA)


async def test_another_cluster_is_refused_before_a_write(etcd: EtcdMembers) -> None:
    """With the id of another cluster pinned, neither reading nor writing is done, and both ids are named."""
    async with client_of(etcd, cluster_id="abc123", limits=HASTY) as client:
        reading = await refusal_of(client.read())
        writing = await refusal_of(client.write_config(GUIDE, expected_mod_revision=0, judged_revision=1 << 40))

    assert_says(reading, Reason.CLUSTER_ID)
    assert_says(writing, Reason.CLUSTER_ID)
    assert "abc123" in writing.message
    assert not writing.outcome_unknown
    assert etcd.etcdctl("get", CONFIG) == ""


async def test_endpoints_of_two_clusters_do_not_mix(etcd: EtcdMembers) -> None:
    """An endpoint of another cluster in the list is found out when the first one fails."""
    with EtcdMembers(members=1, certificates=etcd.certificates) as other:
        async with client_of(etcd, endpoints=[etcd.endpoints[0], other.endpoints[0]]) as client:
            await client.read()
            statuses = await client.endpoint_statuses()

    assert [status.reason for status in statuses] == ["", Reason.CLUSTER_ID]


async def test_one_bad_endpoint_is_passed_over(etcd: EtcdMembers) -> None:
    """A refused first endpoint costs nothing but a look, and its status tells."""
    dead = "https://127.0.0.1:9"
    async with client_of(etcd, endpoints=[dead, *etcd.endpoints]) as client:
        snapshot = await client.read()
        statuses = await client.endpoint_statuses()

    assert snapshot.cluster_id
    assert client.endpoint == etcd.endpoints[0]
    assert statuses[0].reason == Reason.REFUSED
    assert all(status.ok for status in statuses[1:])


@pytest.mark.parametrize(
    ("flags", "server", "reason"),
    [
        ((), "server_only", Reason.GATEWAY_EKU),
        (("--enable-grpc-gateway=false",), "server", Reason.GATEWAY_OFF),
        ((), "server_expired", Reason.SERVER_EXPIRED),
    ],
    ids=["a server without the purpose of a client", "gateway off", "expired server"],
)
async def test_members_that_are_set_up_wrongly(flags: tuple[str, ...], server: str, reason: Reason) -> None:
    """Each wrong setting of the member itself has its own reason."""
    with EtcdMembers(members=1, flags=flags, server=server) as etcd:
        async with client_of(etcd, limits=HASTY) as client:
            error = await refusal_of(client.read())

    assert_says(error, reason)


async def test_https_at_a_plain_port() -> None:
    """Plain HTTP behind an https endpoint is named as such, not as a broken connection."""
    with EtcdMembers(members=1, tls=False) as etcd:
        endpoints = [url.replace("http:", "https:") for url in etcd.endpoints]
        async with client_of(etcd, endpoints=endpoints, limits=HASTY) as client:
            error = await refusal_of(client.read())

    assert_says(error, Reason.PLAIN_PORT)


async def test_plain_http_works_and_is_told_from_tls(etcd: EtcdMembers) -> None:
    """An http endpoint needs no credentials; one that speaks TLS is named as such."""
    with EtcdMembers(members=1, tls=False) as plain:
        async with client_of(plain) as client:
            revision = (await client.read()).revision
            assert isinstance(
                await client.write_config(GUIDE, expected_mod_revision=0, judged_revision=revision), Written
            )
    endpoints = [url.replace("https:", "http:") for url in etcd.endpoints]
    async with client_of(etcd, endpoints=endpoints, limits=HASTY) as client:
        error = await refusal_of(client.read())

    assert_says(error, Reason.TLS_PORT)


async def test_v2_is_off(etcd: EtcdMembers) -> None:
    """An etcd that has no v2 store is told from one whose store is empty."""
    async with client_of(etcd, api=Api.V2, limits=HASTY) as client:
        assert_says(await refusal_of(client.read()), Reason.V2_OFF)


def _with_users(etcd: EtcdMembers) -> None:
    """Turn authentication on: user nodegate has the role for the prefix only."""
    for command in (
        "user add root:secret", "user grant-role root root", "role add net",
        f"role grant-permission --prefix=true net readwrite {PREFIX}/",
        "user add nodegate:word", "user grant-role nodegate net", "user add other:word", "auth enable",
    ):  # fmt: skip
        etcd.etcdctl(*command.split())


async def test_authentication_by_common_name_and_by_password() -> None:
    """The gateway refuses a certificate with a CN; one without it, with a user of the prefix's role, suffices."""
    with EtcdMembers() as etcd:
        _with_users(etcd)
        async with client_of(etcd, limits=HASTY) as client:
            by_name = await refusal_of(client.read())
        async with client_of(etcd, credentials_of(etcd, "nameless"), limits=HASTY) as client:
            as_nobody = await refusal_of(client.read())
        async with client_of(etcd, credentials_of(etcd, "nameless", user="nodegate:wrong")) as client:
            wrong = await refusal_of(client.read())
        async with client_of(etcd, credentials_of(etcd, "nameless", user="other:word")) as client:
            without_role = await refusal_of(client.read())
        async with client_of(etcd, credentials_of(etcd, "nameless", user="nodegate:word")) as client:
            revision = (await client.read()).revision
            written = await client.write_config(GUIDE, expected_mod_revision=0, judged_revision=revision)
            async with aclosing(client.watch(revision + 1)) as changes:
                change = await anext(changes)

    assert_says(by_name, Reason.COMMON_NAME)
    assert_says(as_nobody, Reason.UNAUTHENTICATED)
    assert_says(wrong, Reason.UNAUTHENTICATED)
    assert_says(without_role, Reason.PERMISSION)
    assert isinstance(written, Written)
    assert (change.key, change.value) == (CONFIG, GUIDE)


async def test_a_full_etcd_refuses_writes_and_still_reads() -> None:
    """The quota alarm has its own reason, the write is known not to have happened, and reading goes on."""
    with EtcdMembers(members=1, flags=["--quota-backend-bytes=300000"]) as etcd:
        async with client_of(etcd) as client:
            revision = (await client.read()).revision
            _fill(etcd)
            error = await refusal_of(
                client.write_config(GUIDE, expected_mod_revision=0, judged_revision=revision + 1000)
            )
            after = await client.read()

    assert_says(error, Reason.QUOTA)
    assert not error.outcome_unknown
    assert after.config is None


def _fill(etcd: EtcdMembers) -> None:
    """Write until the alarm is raised."""
    for number in range(60):
        if "NOSPACE" in etcd.etcdctl("alarm", "list"):
            return
        with suppress(ClusterError):
            etcd.etcdctl("put", f"/filling/{number}", "x" * 20000)
    raise AssertionError("expected the quota alarm after 1.2 MB, found none")
