"""The network's keys in etcd's v3 store, through the JSON gateway.

Rules: config and leases are read in one transaction; every write is one transaction that compares before it changes;
a write whose answer was lost is settled by reading, and by the store's own history when it was overwritten since.
"""

from nodegate.flannel.etcd import diagnosis
from nodegate.flannel.etcd.connections import Request
from nodegate.flannel.etcd.keys import Keys
from nodegate.flannel.etcd.settling import by_history, settled
from nodegate.flannel.etcd.transport import Transport
from nodegate.flannel.etcd.v3_watch import first_change
from nodegate.flannel.etcd.v3_wire import (
    Body,
    TxnResult,
    delete,
    encoded,
    get,
    none_since,
    none_there,
    put,
    reach,
    revision_is,
    txn,
    txn_result,
)
from nodegate.flannel.etcd.values import KeyValue, Lost, Outcome, Snapshot, Written


class V3Store:
    """Reads and guarded writes.

    Args:
        transport: To the members.
        keys: Of the network.
    """

    def __init__(self, transport: Transport, keys: Keys) -> None:
        self._transport = transport
        self._keys = keys

    async def read(self) -> Snapshot:
        """Return config and leases at one revision, as the cluster agrees on them."""
        reads = [get({"key": encoded(self._keys.config)}), get(reach(self._keys.subnets_bare))]
        result = await self._txn(txn((), reads, write=False))
        config, under = result.ranges
        return Snapshot(
            config=config[0] if config else None,
            leases=tuple(kv for kv in under if self._keys.is_lease(kv.key)),
            revision=result.revision,
            cluster_id=self._transport.cluster_id,
            strays=tuple(kv for kv in under if not self._keys.is_lease(kv.key)),
        )

    async def write_config(self, value: bytes, *, expected_mod_revision: int, judged_revision: int) -> Outcome:
        """Write the config when it and all leases are as they were judged."""
        guards = [
            revision_is(self._keys.config, expected_mod_revision),
            none_since(self._keys.subnets_bare, judged_revision),
        ]
        newer = get(
            reach(self._keys.subnets_bare), min_mod_revision=str(judged_revision + 1), limit="1", keys_only=True
        )
        since = (expected_mod_revision or judged_revision) + 1
        return await self._put(self._keys.config, value, expected_mod_revision, since, guards, newer)

    async def write_reservation(self, key: str, value: bytes, expected_mod_revision: int) -> Outcome:
        """Write a lease's key without an end."""
        guards = [revision_is(self._keys.lease(key), expected_mod_revision)]
        return await self._put(key, value, expected_mod_revision, expected_mod_revision + 1, guards, None)

    async def _put(
        self, key: str, value: bytes, expected: int, since: int, guards: list[Body], newer: Body | None
    ) -> Outcome:
        request = txn(guards, [put(key, value)], [_read(key), *([newer] if newer else ())], write=True)

        async def attempt() -> Outcome:
            result = await self._txn(request)
            return Written(result.revision) if result.succeeded else _lost(result)

        async def look() -> Outcome | None:
            found = await self._get(key)
            if _revision(found) == expected:
                return None
            if found is not None and found.value == value:
                return Written(found.mod_revision)
            return await by_history(lambda at: first_change(self._transport, key, at), value, since, found)

        return await settled(attempt, look)

    async def delete_lease(self, key: str, expected_mod_revision: int) -> Outcome:
        """Delete exactly this lease as it was seen."""
        return await self._delete(self._keys.lease(key), expected_mod_revision, [])

    async def delete_config(self, expected_mod_revision: int) -> Outcome:
        """Delete the config as it was seen, when there is no lease at all."""
        return await self._delete(self._keys.config, expected_mod_revision, [none_there(self._keys.subnets_bare)])

    async def _delete(self, key: str, expected: int, guards: list[Body]) -> Outcome:
        blockers = [get(reach(self._keys.subnets_bare), limit="1", keys_only=True)] if guards else []
        conditions = [revision_is(key, expected), *guards]
        request = txn(conditions, [delete(key)], [_read(key), *blockers], write=True)

        async def attempt() -> Outcome:
            result = await self._txn(request)
            return Written(result.revision) if result.succeeded else _lost(result)

        async def look() -> Outcome | None:
            result = await self._txn(txn((), [_read(key)], write=False))
            found = result.ranges[0][0] if result.ranges[0] else None
            if found is None:
                return Written(result.revision)
            return None if found.mod_revision == expected else Lost(found, unsettled=True)

        return await settled(attempt, look)

    async def ttl(self, lease: KeyValue) -> int | None:
        """Return the seconds that a key has left, 0 when its end has come, None without an end."""
        if not lease.lease_id:
            return None
        request = Request("POST", "/kv/lease/timetolive", body={"ID": str(lease.lease_id)})
        answer = await self._transport.call(request)
        said = diagnosis.decode(answer.body) or {}
        return max(0, int(said.get("TTL", 0)))

    async def _get(self, key: str) -> KeyValue | None:
        (found,) = (await self._txn(txn((), [_read(key)], write=False))).ranges
        return found[0] if found else None

    async def _txn(self, request: Request) -> TxnResult:
        return txn_result(await self._transport.call(request))


def _read(key: str) -> Body:
    return get({"key": encoded(key)})


def _revision(found: KeyValue | None) -> int:
    return found.mod_revision if found else 0


def _lost(result: TxnResult) -> Lost:
    found, *newer = result.ranges
    return Lost(found[0] if found else None, leases_changed=any(newer))
