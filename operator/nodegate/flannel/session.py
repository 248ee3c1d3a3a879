"""The connection to one network's etcd, kept between looks, and the watch that asks for the next one.

A network and credentials go in, an entered `EtcdClient` comes out. Rules: another endpoint, store, prefix or server
name makes a new connection; new credentials are taken into the old one; the watch only says that it is worth looking,
the poll is the truth, so a watch that ends is simply begun again after the next look.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing

from nodegate.errors import Malformed
from nodegate.flannel.etcd.client import EtcdClient
from nodegate.flannel.etcd.credentials import Credentials
from nodegate.flannel.etcd.errors import EtcdError
from nodegate.flannel.etcd.values import Endpoints
from nodegate.flannel.network import FlannelNetwork, Transport
from nodegate.flannel.trouble import CONFIG, ETCD, Trouble, Troubled
from nodegate.text import visible

_log = logging.getLogger("nodegate.flannel")


class Session:
    """One network's connection.

    Args:
        name: Of the network.
        changed: Called when etcd tells of a change.
    """

    def __init__(self, name: str, changed: Callable[[], None]) -> None:
        self._name = name
        self._changed = changed
        self._where: tuple[object, ...] = ()
        self._client: EtcdClient | None = None
        self._version = ""
        self._watch: asyncio.Task[None] | None = None

    async def client(self, network: FlannelNetwork, credentials: Credentials | None, version: str) -> EtcdClient:
        """Return a client with these credentials, the old one where it will do.

        Args:
            network: Where.
            credentials: With what.
            version: Of the credentials; the same one is not loaded again.

        Raises:
            EtcdError: The credentials cannot be used.
            Troubled: The endpoints cannot be used.
        """
        etcd = network.etcd
        where = (etcd.endpoints, etcd.api, network.prefix, etcd.tls.server_name, network.uid)
        if self._client is None or where != self._where:
            await self.close()
            self._client = await _entered(network, credentials)
            self._where, self._version = where, version
        elif version != self._version:
            await self._client.use(credentials)
            self._version = version
            _log.info("FlannelNetwork %s: the Secret changed, its content is in use now", visible(self._name))
        return self._client

    def follow(self, revision: int) -> None:
        """Watch from after a revision on, unless a watch is running."""
        if self._client is not None and (self._watch is None or self._watch.done()):
            self._watch = asyncio.create_task(self._run(self._client, revision + 1), name="flannel watch")

    async def _run(self, client: EtcdClient, revision: int) -> None:
        try:
            async with aclosing(client.watch(revision)) as changes:
                async for _ in changes:
                    self._changed()
        except EtcdError as error:
            _log.debug("FlannelNetwork %s: the watch ended: %s", visible(self._name), error)

    async def close(self) -> None:
        """End the watch and every connection."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None
        if self._client is not None:
            client, self._client = self._client, None
            await client.__aexit__(None, None, None)


async def _entered(network: FlannelNetwork, credentials: Credentials | None) -> EtcdClient:
    etcd = network.etcd
    if etcd.transport is Transport.GRPC:
        message = "expected spec.etcd.transport Auto or Gateway, found GRPC, which this version does not speak"
        raise Troubled(Trouble(ETCD, "TransportUnsupported", message))
    try:
        endpoints = Endpoints(etcd.endpoints)
        pinned = network.pinned.cluster_id or ""
        made = EtcdClient(endpoints, credentials, etcd.api, network.prefix, cluster_id=pinned)
    except Malformed as error:
        raise Troubled(Trouble(CONFIG, "EndpointsUnusable", str(error))) from error
    return await made.__aenter__()
