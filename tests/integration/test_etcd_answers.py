"""Writes whose request or answer is lost on purpose, and leases that come at the worst moment, in both stores."""

from collections.abc import AsyncIterator, Iterator

import pytest

from hack.cluster import NotBuildable
from hack.cluster.etcd_members import EtcdMembers
from hack.cluster.etcd_v2 import find_etcd_v2
from nodegate.flannel.etcd.client import EtcdClient
from nodegate.flannel.etcd.values import KeyValue, Lost, Snapshot, Written
from nodegate.flannel.model import Api
from tests.integration.etcd_lab import GUIDE, LEASE, PUBLIC_IP, client_of
from tests.integration.etcd_proxy import EtcdProxy, Plan

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module", name="running")
def _running() -> Iterator[EtcdMembers]:
    """One plain member that serves both stores."""
    try:
        program = find_etcd_v2().etcd
    except NotBuildable as error:
        pytest.skip(str(error))
    with EtcdMembers(program, members=1, tls=False, flags=["--enable-v2=true"]) as etcd:
        yield etcd


@pytest.fixture(name="proxy")
async def _proxy(running: EtcdMembers) -> AsyncIterator[EtcdProxy]:
    """A proxy before it."""
    async with EtcdProxy(running.endpoints[0]) as proxy:
        yield proxy


@pytest.fixture(name="api", params=[Api.V2, Api.V3])
def _api(request: pytest.FixtureRequest) -> Api:
    """Each store."""
    api: Api = request.param
    return api


@pytest.fixture(name="other")
async def _other(running: EtcdMembers, api: Api) -> AsyncIterator[EtcdClient]:
    """A second client, beside the proxy; the store is empty when the test begins."""
    async with client_of(running, api=api) as other:
        await _empty(other)
        yield other


@pytest.fixture(name="client")
async def _client(running: EtcdMembers, api: Api, other: EtcdClient, proxy: EtcdProxy) -> AsyncIterator[EtcdClient]:
    """The client behind the proxy; after `other`, which empties the store."""
    assert other.api is api
    async with client_of(running, api=api, endpoints=[proxy.url]) as client:
        yield client


async def _empty(client: EtcdClient) -> None:
    seen = await client.read()
    for lease in seen.leases:
        assert isinstance(await client.delete_lease(lease.key, lease.mod_revision), Written)
    if seen.config is not None:
        assert isinstance(await client.delete_config(seen.config.mod_revision), Written)


async def _force(client: EtcdClient, value: bytes) -> KeyValue:
    """Write the config without judging, and return it."""
    seen = await client.read()
    revision = seen.config.mod_revision if seen.config else 0
    outcome = await client.write_config(value, expected_mod_revision=revision, judged_revision=seen.revision)
    assert isinstance(outcome, Written)
    return _config(await client.read())


def _config(snapshot: Snapshot) -> KeyValue:
    assert snapshot.config is not None
    return snapshot.config


@pytest.mark.parametrize("there", [False, True], ids=["create", "replace"])
@pytest.mark.parametrize("plan", [Plan(lose_answer=True), Plan(lose_request=True)], ids=["answer", "request"])
async def test_a_lost_message_is_settled(
    client: EtcdClient, other: EtcdClient, proxy: EtcdProxy, plan: Plan, *, there: bool
) -> None:
    """Whether the request was lost or only its answer: the value is there, once, and the client knows its revision."""
    revision = (await _force(other, b"before")).mod_revision if there else 0
    judged = await client.read()
    proxy.plans.append(plan)

    written = await client.write_config(GUIDE, expected_mod_revision=revision, judged_revision=judged.revision)

    config = _config(await other.read())
    assert written == Written(config.mod_revision, reread=True)
    assert config.value == GUIDE
    assert (await other.read()).revision == config.mod_revision, "expected one write, found another one after it"


async def test_a_write_that_was_overwritten_before_it_was_looked_for(
    client: EtcdClient, other: EtcdClient, proxy: EtcdProxy
) -> None:
    """The key's history proves the success, though something else is there by now."""
    before = await _force(other, b"before")
    judged = await client.read()
    ours: list[KeyValue] = []

    async def overwrite() -> None:
        ours.append(_config(await other.read()))
        await _force(other, b"theirs")

    proxy.plans.append(Plan(after=overwrite, lose_answer=True))

    outcome = await client.write_config(
        b"ours", expected_mod_revision=before.mod_revision, judged_revision=judged.revision
    )

    theirs = _config(await other.read())
    assert (ours[0].value, theirs.value) == (b"ours", b"theirs")
    assert outcome == Written(ours[0].mod_revision, reread=True)


async def test_a_lost_request_that_somebody_else_forestalled(
    client: EtcdClient, other: EtcdClient, proxy: EtcdProxy
) -> None:
    """Ours never came, theirs did: a loss, which the key's history makes certain."""
    before = await _force(other, b"before")
    judged = await client.read()
    proxy.plans.append(Plan(before=lambda: _force(other, b"theirs"), lose_request=True))

    outcome = await client.write_config(
        b"ours", expected_mod_revision=before.mod_revision, judged_revision=judged.revision
    )

    assert outcome == Lost(_config(await other.read()), reread=True)


@pytest.mark.parametrize("plan", [Plan(lose_answer=True), Plan(lose_request=True)], ids=["answer", "request"])
async def test_a_deletion_whose_message_is_lost_is_settled(
    client: EtcdClient, other: EtcdClient, proxy: EtcdProxy, plan: Plan
) -> None:
    """The lease is gone either way, and nothing else is."""
    await _force(other, GUIDE)
    reserved = await other.write_reservation(LEASE, PUBLIC_IP, 0)
    assert isinstance(reserved, Written)
    proxy.plans.append(plan)

    outcome = await client.delete_lease(LEASE, reserved.mod_revision)

    after = await other.read()
    assert isinstance(outcome, Written)
    assert outcome.reread
    assert after.leases == ()
    assert _config(after).value == GUIDE


@pytest.mark.parametrize("there", [False, True], ids=["create", "replace"])
async def test_a_lease_that_comes_with_the_write_undoes_it(
    client: EtcdClient, other: EtcdClient, proxy: EtcdProxy, *, there: bool
) -> None:
    """A lease written in the very moment before the config: v3 refuses, v2 takes back; what was there is there."""
    revision = (await _force(other, b"before")).mod_revision if there else 0
    judged = await client.read()
    proxy.plans.append(Plan(before=lambda: other.write_reservation(LEASE, PUBLIC_IP, 0)))

    outcome = await client.write_config(GUIDE, expected_mod_revision=revision, judged_revision=judged.revision)

    after = await other.read()
    assert outcome == Lost(after.config, leases_changed=True)
    assert (after.config.value if after.config else None) == (b"before" if there else None)
    assert [lease.key for lease in after.leases] == [LEASE]


async def test_a_lease_that_comes_with_the_deletion_keeps_the_config(
    client: EtcdClient, other: EtcdClient, proxy: EtcdProxy
) -> None:
    """A lease written in the very moment before the config is deleted: the config is there afterwards."""
    config = await _force(other, GUIDE)
    proxy.plans.append(Plan(before=lambda: other.write_reservation(LEASE, PUBLIC_IP, 0)))

    outcome = await client.delete_config(config.mod_revision)

    after = await other.read()
    assert outcome == Lost(after.config, leases_changed=True)
    assert _config(after).value == GUIDE
