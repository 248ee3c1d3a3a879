"""The network's keys in etcd's v2 store.

Rules: every write compares the index of its own key. The v2 API has no transaction over several keys, so the leases
are read right before and right after a config is written, and the write is taken back, compared again, when one was
written in between. A write whose answer was lost is settled by reading, and by etcd's last thousand events when it
was overwritten since.
"""

from nodegate.flannel.etcd import v2_wire as wire
from nodegate.flannel.etcd.connections import Answer, Request
from nodegate.flannel.etcd.errors import EtcdError
from nodegate.flannel.etcd.keys import Keys
from nodegate.flannel.etcd.settling import by_history, settled
from nodegate.flannel.etcd.transport import Transport
from nodegate.flannel.etcd.v2_watch import first_change
from nodegate.flannel.etcd.values import KeyValue, Lost, Outcome, Snapshot, Written


class V2Store:
    """Reads and guarded writes.

    Args:
        transport: To the members.
        keys: Of the network.
    """

    def __init__(self, transport: Transport, keys: Keys) -> None:
        self._transport = transport
        self._keys = keys

    async def read(self) -> Snapshot:
        """Return config and leases at one index, as the cluster agrees on them."""
        answer = await self._transport.call(wire.read(self._keys.prefix, recursive=True))
        found = {kv.key: kv for kv in wire.leaves(wire.said(answer).get("node") or {"dir": True})}
        return Snapshot(
            config=found.get(self._keys.config),
            leases=tuple(kv for key, kv in found.items() if self._keys.is_lease(key)),
            revision=wire.index(answer),
            cluster_id=self._transport.cluster_id,
        )

    async def write_config(self, value: bytes, *, expected_mod_revision: int, judged_revision: int) -> Outcome:
        """Write the config when it and all leases are as they were judged; take it back when a lease came between."""
        before = await self.read()
        if _revision(before.config) != expected_mod_revision or _newer(before, judged_revision):
            return Lost(before.config, leases_changed=_newer(before, judged_revision))
        since = (expected_mod_revision or before.revision) + 1
        outcome = await self._put(self._keys.config, value, expected_mod_revision, since)
        if isinstance(outcome, Lost):
            return outcome
        try:
            after = await self.read()
            if not _newer(after, judged_revision):
                return outcome
            return await self._taken_back(before.config, outcome)
        except EtcdError as error:
            error.outcome_unknown = True
            raise

    async def _taken_back(self, before: KeyValue | None, written: Written) -> Lost:
        """Put back what was there, unless somebody else has written since."""
        key, ours = self._keys.config, written.mod_revision
        undone = await (self._put(key, before.value, ours, ours + 1) if before else self._delete(key, ours))
        found = await self._get(key)
        unsettled = isinstance(undone, Lost) and undone.unsettled
        return Lost(found, leases_changed=True, reread=written.reread or undone.reread, unsettled=unsettled)

    async def write_reservation(self, key: str, value: bytes, expected_mod_revision: int) -> Outcome:
        """Write a lease's key without an end."""
        return await self._put(self._keys.lease(key), value, expected_mod_revision, expected_mod_revision + 1)

    async def delete_lease(self, key: str, expected_mod_revision: int) -> Outcome:
        """Delete exactly this lease as it was seen."""
        return await self._delete(self._keys.lease(key), expected_mod_revision)

    async def delete_config(self, expected_mod_revision: int) -> Outcome:
        """Delete the config as it was seen, when there is no lease; put it back when one came between."""
        before = await self.read()
        if before.config is None or before.config.mod_revision != expected_mod_revision or before.leases:
            return Lost(before.config, leases_changed=bool(before.leases))
        outcome = await self._delete(self._keys.config, expected_mod_revision)
        if isinstance(outcome, Lost):
            return outcome
        try:
            if not (await self.read()).leases:
                return outcome
            await self._put(self._keys.config, before.config.value, 0, outcome.mod_revision + 1)
            return Lost(await self._get(self._keys.config), leases_changed=True, reread=outcome.reread)
        except EtcdError as error:
            error.outcome_unknown = True
            raise

    async def ttl(self, lease: KeyValue) -> int | None:
        """Return the seconds that a key had left when it was read, None without an end."""
        return lease.ttl_s

    async def _put(self, key: str, value: bytes, expected: int, since: int) -> Outcome:
        request = wire.put(key, value, expected)

        async def look() -> Outcome | None:
            found = await self._get(key)
            if _revision(found) == expected:
                return None
            if found is not None and found.value == value:
                return Written(found.mod_revision)
            return await by_history(lambda at: first_change(self._transport, key, at), value, since, found)

        return await settled(lambda: self._guarded(key, request), look)

    async def _delete(self, key: str, expected: int) -> Outcome:
        request = wire.delete(key, expected)

        async def look() -> Outcome | None:
            answer = await self._transport.call(wire.read(key))
            found = _found(answer)
            if found is None:
                return Written(wire.index(answer))
            return None if found.mod_revision == expected else Lost(found, unsettled=True)

        return await settled(lambda: self._guarded(key, request), look)

    async def _guarded(self, key: str, request: Request) -> Outcome:
        answer = await self._transport.call(request)
        if wire.error_code(answer):
            return Lost(await self._get(key))
        return Written(int(wire.said(answer)["node"]["modifiedIndex"]))

    async def _get(self, key: str) -> KeyValue | None:
        return _found(await self._transport.call(wire.read(key)))


def _found(answer: Answer) -> KeyValue | None:
    node = wire.said(answer).get("node")
    return wire.key_value(node) if node and not node.get("dir") else None


def _revision(found: KeyValue | None) -> int:
    return found.mod_revision if found else 0


def _newer(snapshot: Snapshot, judged_revision: int) -> bool:
    return any(lease.mod_revision > judged_revision for lease in snapshot.leases)
