"""What the etcd tests share: credentials and clients for a test etcd.

A running `EtcdMembers` comes in; clients leave, not yet entered. Rules: no test asserts how long anything took.
"""

from collections.abc import Awaitable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from hack.cluster.etcd_members import EtcdMembers
from nodegate.flannel.etcd.client import EtcdClient
from nodegate.flannel.etcd.credentials import Credentials
from nodegate.flannel.etcd.errors import EtcdError, Reason
from nodegate.flannel.etcd.values import Change, Endpoints, Limits
from nodegate.flannel.model import Api

PREFIX = "/kube-centos/network"
CONFIG = f"{PREFIX}/config"
GUIDE = b'{"Network":"172.30.0.0/16","SubnetLen":24,"Backend":{"Type":"vxlan"}}'
LEASE = f"{PREFIX}/subnets/172.30.40.0-24"
DUAL_LEASE = f"{PREFIX}/subnets/172.30.41.0-24&fc00:30:0:16::-64"
PUBLIC_IP = b'{"PublicIP":"10.9.9.1"}'

HASTY = Limits(connect_s=0.5, op_s=1.0, total_s=3.0)
"""For operations that must fail: nobody waits ten seconds for them."""

PATIENT = Limits(op_s=10.0, total_s=60.0)
"""For operations that must succeed on a busy machine."""


def credentials_of(
    etcd: EtcdMembers, who: str = "client", *, ca: str = "ca", server_name: str = "", user: str = ""
) -> Credentials:
    """Return a client's credentials.

    Args:
        etcd: Whose.
        who: By its name in `EtcdCertificates`; empty for no client certificate.
        ca: Likewise.
        server_name: As in `Credentials`.
        user: `name:password` for etcd's own authentication; empty for none.
    """
    authority = getattr(etcd.certificates, ca).certificate.read_bytes()
    name, _, word = user.partition(":")
    bare = Credentials(authority, server_name=server_name, username=name, password=word)
    if not who:
        return bare
    pair = getattr(etcd.certificates, who)
    return replace(bare, certificate=pair.certificate.read_bytes(), key=pair.key.read_bytes())


def client_of(
    etcd: EtcdMembers,
    credentials: Credentials | None = None,
    *,
    api: Api = Api.V3,
    endpoints: list[str] | None = None,
    limits: Limits = PATIENT,
    **more: Any,
) -> EtcdClient:
    """Return a client, with good credentials unless told otherwise."""
    urls = Endpoints(tuple(endpoints or etcd.endpoints))
    if credentials is None and urls.tls:
        credentials = credentials_of(etcd)
    return EtcdClient(urls, credentials, api, PREFIX, limits=limits, **more)


async def refusal_of(operation: Awaitable[object]) -> EtcdError:
    """Return the error of an operation that must fail."""
    try:
        await operation
    except EtcdError as error:
        return error
    raise AssertionError("expected an EtcdError, found a success")


def assert_says(error: EtcdError, reason: Reason) -> None:
    """Check reason and text: expected, found, and what to do after a colon."""
    assert error.reason is reason, error
    assert "expected " in error.message, error
    assert ", found " in error.message, error
    assert ": " in error.message.partition(", found ")[2], error
    assert "PRIVATE KEY" not in f"{error}{error.failures}", error


async def collected(client: EtcdClient, revision: int, last: bytes) -> list[Change]:
    """Return what a watch tells, up to a value."""
    changes = []
    async with aclosing(client.watch(revision)) as watch:
        async for change in watch:
            changes.append(change)
            if change.value == last:
                break
    return changes
