"""One FlannelNetwork from its name to etcd and back to its status.

Level-triggered: whatever called, the resource is read afresh, etcd is looked at, what may be written is written, and
the status is patched when it says something else. Rules: etcd is polled and watched, the poll is the truth; a failure
leaves the last status, names its reason in a condition and is tried again with growing pauses; credentials are never
logged, and never read but from the Secret that the resource names.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final, Protocol

from nodegate.clock import now
from nodegate.errors import ApiError, Conflict, Malformed, NotFound
from nodegate.fields import rfc3339
from nodegate.flannel.apply import FINALIZER, patch_finalizers, patch_status, read_network
from nodegate.flannel.canonical import canonical_text
from nodegate.flannel.check import read_config
from nodegate.flannel.decide import plan, plan_deletion
from nodegate.flannel.etcd.client import EtcdClient
from nodegate.flannel.etcd.credentials import Credentials
from nodegate.flannel.etcd.errors import EtcdError
from nodegate.flannel.etcd.values import Written
from nodegate.flannel.model import Config
from nodegate.flannel.network import Action, Applied, DeletionPolicy, Facts, FlannelNetwork, Plan
from nodegate.flannel.nodes import Sighting, room, rows, sightings, tally
from nodegate.flannel.parse import parse_network
from nodegate.flannel.report import flips, patch_of, recorded_restarts, status_of, trouble_status, troubled
from nodegate.flannel.secrets_read import backend_secrets, etcd_credentials
from nodegate.flannel.session import Session
from nodegate.flannel.trouble import CONFIG, Trouble, Troubled, of_etcd
from nodegate.flannel.verdicts import EtcdSeen, Observation
from nodegate.flannel.writing import ROUNDS, Look, Settled, look, settle
from nodegate.kube.backoff import Backoff
from nodegate.kube.client import ApiClient
from nodegate.kube.work import WorkQueue
from nodegate.names import API_VERSION
from nodegate.outbox import Outbox
from nodegate.text import visible

COLLECT_S: Final = 0.5
"""Seconds for which changes in etcd are collected before it is looked at."""

STALE_RETRY_S: Final = 5.0
"""Seconds after which a network is looked at again whose surroundings were not known."""

CONFLICT_RETRY_S: Final = 1.0
"""Seconds after which a network is looked at again that somebody changed meanwhile."""

FAILED_RETRY_S: Final = 10.0
"""Seconds after which a network is looked at again that the API server refused to show or to have written."""

_BAD: Final = {
    "EtcdReachable": "False",
    "CredentialsValid": "False",
    "ConfigValid": "False",
    "ChangeBlocked": "True",
    "DriftDetected": "True",
    "LeasesHealthy": "False",
    "CapacityOK": "False",
}
"""Conditions that a person should hear of, and when."""

_log = logging.getLogger("nodegate.flannel")

Body = Mapping[str, Any]


class Around(Protocol):
    """What a network is judged beside, as the stores know it."""

    def is_known(self) -> bool:
        """Tell whether the stores are fresh."""

    def flannel_facts(self, name: str) -> Facts:
        """Return Nodes, the ranges that are taken, and the other networks."""


class FlannelFlow:
    """Looks after networks; made once.

    Args:
        client: Reads and writes in the API server.
        around: The stores.
        queue: Names of networks to look at.
        outbox: Where events go.
        allow_extension: Whether the extension backend may be configured.
    """

    def __init__(
        self, client: ApiClient, around: Around, queue: WorkQueue, outbox: Outbox, *, allow_extension: bool = False
    ) -> None:
        self._client = client
        self._around = around
        self._queue = queue
        self._outbox = outbox
        self._allow_extension = allow_extension
        self._sessions: dict[str, Session] = {}
        self._seen: dict[str, dict[str, Sighting]] = {}
        self._failing: dict[str, Backoff] = {}

    async def close(self) -> None:
        """End every connection to etcd."""
        await asyncio.gather(*(session.close() for session in self._sessions.values()), return_exceptions=True)
        self._sessions.clear()

    async def handle(self, name: str) -> None:
        """Look after one network, by name, and see to it that it is looked at again."""
        try:
            pause = await self._reconcile(name)
        except NotFound:
            pause = COLLECT_S
        except Conflict:
            pause = CONFLICT_RETRY_S
        except ApiError as error:
            _log.warning("FlannelNetwork %s: trying again: %s", visible(name), error)
            pause = FAILED_RETRY_S
        if pause is not None:
            self._queue.add_after(name, pause)

    async def _reconcile(self, name: str) -> float | None:
        """Look after one network; return the seconds until the next look, None when it is gone."""
        body = await read_network(self._client, name)
        if body is None:
            await self._forget(name)
            return None
        try:
            network = parse_network(body)
        except Malformed as error:
            trouble = Trouble(CONFIG, "Unreadable", str(error))
            await self._write(body, troubled(body["metadata"].get("generation"), trouble, _status(body), now()))
            return None  # Only another spec can mend it, which calls again.
        if not self._around.is_known():
            return STALE_RETRY_S
        body = await self._guarded(body, network)
        if network.deleting and FINALIZER not in _finalizers(body):
            return None
        try:
            status = await self._observed(body, network)
        except EtcdError as error:
            return await self._troubled(body, network, of_etcd(error))
        except Troubled as error:
            return await self._troubled(body, network, error.trouble)
        self._failing.pop(name, None)
        if status is not None:
            await self._write(body, status)
        return float(network.poll_seconds) if status is not None else None

    async def _troubled(self, body: Body, network: FlannelNetwork, trouble: Trouble) -> float:
        await self._write(body, trouble_status(network, trouble, _status(body), now()))
        cap = float(max(network.poll_seconds, 5))
        backoff = self._failing.setdefault(network.name, Backoff(first_s=0.5, cap_s=cap))
        return backoff.next_s(cap)

    async def _forget(self, name: str) -> None:
        self._seen.pop(name, None)
        self._failing.pop(name, None)
        session = self._sessions.pop(name, None)
        if session is not None:
            await session.close()

    async def _guarded(self, body: Body, network: FlannelNetwork) -> Body:
        """Put the finalizer on a network whose config is to be deleted with it, and take it off any other."""
        kept, wanted = _finalizers(body), network.deletion_policy is DeletionPolicy.DELETE_WHEN_UNUSED
        if network.deleting:  # What was never applied is somebody else's.
            wanted = wanted and network.applied is not None and FINALIZER in kept
        if wanted == (FINALIZER in kept):
            return body
        others = [each for each in kept if each != FINALIZER]
        version = body["metadata"]["resourceVersion"]
        finalizers = [*others, FINALIZER] if wanted else others
        return await patch_finalizers(self._client, network.name, version, finalizers)

    async def _observed(self, body: Body, network: FlannelNetwork) -> Mapping[str, Any] | None:
        """Bring etcd up to date and return the status; None when the network may go.

        Raises:
            EtcdError: etcd failed us.
            Troubled: Something else did.
            ApiError: The API server did.
        """
        credentials, version = await etcd_credentials(self._client, network)
        secrets = await backend_secrets(self._client, network)
        again = partial(self._queue.add_after, network.name, COLLECT_S)
        session = self._sessions.setdefault(network.name, Session(network.name, again))
        client = await session.client(network, credentials, version)
        facts = replace(
            self._around.flannel_facts(network.name), secrets=secrets, allow_extension=self._allow_extension
        )
        if network.deleting:
            done = await self._deleted(body, network, client, facts)
            if done is None:
                return None
        else:
            judge = partial(_judged, network, facts)
            done = await settle(client, network, judge, partial(self._still, body))
        session.follow(done.look.snapshot.revision)
        self._tell(body, network, done)
        etcd = await _etcd_seen(client, credentials, done.look)
        return status_of(self._observation(body, network, facts, done, etcd), _status(body), now())

    async def _still(self, body: Body) -> None:
        """Check that the resource asks for the same as before.

        Raises:
            Conflict: It does not any more.
        """
        fresh = await read_network(self._client, body["metadata"]["name"])
        told = [(each or {}).get("metadata") or {} for each in (body, fresh)]
        keys = ("uid", "generation", "deletionTimestamp", "annotations")
        if any(told[0].get(key) != told[1].get(key) for key in keys):
            raise Conflict(409, "Changed", "the FlannelNetwork was changed meanwhile; look again")

    async def _deleted(self, body: Body, network: FlannelNetwork, client: EtcdClient, facts: Facts) -> Settled | None:
        """Delete the config once nothing uses it, and let the network go; return what it waits for else."""
        for _ in range(ROUNDS):
            seen = await look(client)
            made = plan_deletion(network, seen.text, seen.leases, facts)
            if made.action is Action.WRITE and seen.revision is not None:
                await self._still(body)
                if not isinstance(await client.delete_config(seen.revision), Written):
                    continue
                self._say(body, "ConfigDeleted", f"{network.prefix}/config was deleted, no node used it.", seen, made)
            elif made.action is not Action.NONE:
                return Settled(seen, made)
            others = [each for each in _finalizers(body) if each != FINALIZER]
            await patch_finalizers(self._client, network.name, body["metadata"]["resourceVersion"], others)
            return None
        raise Conflict(409, "Contended", "somebody else wrote to etcd at every try")

    def _observation(
        self, body: Body, network: FlannelNetwork, facts: Facts, done: Settled, etcd: EtcdSeen
    ) -> Observation:
        live, seen = _live(network, facts, done.look), done.look
        moment = time.monotonic()
        memory = sightings(
            seen.leases,
            (live, seen.revision),
            self._seen.get(network.name, {}),
            recorded_restarts(_status(body)),
            moment,
            done.ours,
        )
        self._seen[network.name] = memory
        found = rows(network, seen.leases, live, memory, facts)
        synced = live is not None and _is_there(done.plan, live)
        return Observation(
            network=network,
            plan=done.plan,
            live=live,
            live_sha256=hashlib.sha256((seen.text or "").encode(errors="surrogateescape")).hexdigest(),
            live_revision=seen.revision,
            rows=found,
            tally=tally(found, live, facts),
            room=room(found, live),
            drifted=not synced and _has_drifted(network, live),
            in_sync=synced,
            contended=done.contended,
            etcd=etcd,
            facts=facts,
        )

    async def _write(self, body: Body, status: Mapping[str, Any]) -> None:
        """Patch the status when it says something else, and tell what a person should hear."""
        before, name = _status(body), body["metadata"]["name"]
        patch = patch_of(before, status)
        if patch is None:
            return
        await patch_status(self._client, name, body["metadata"]["resourceVersion"], patch)
        told = set()
        for each in flips(before, status):
            bad = _BAD.get(each["type"]) == each["status"]
            restart = (each["type"], each["status"]) == ("RestartRequired", "True")
            if (bad or restart) and each["reason"] not in told:
                told.add(each["reason"])
                self._outbox.add(
                    _regarding(body), "Warning" if bad else "Normal", each["reason"], "Reconcile", each["message"]
                )
                _log.warning("FlannelNetwork %s: %s: %s", visible(name), each["reason"], each["message"])

    def _tell(self, body: Body, network: FlannelNetwork, done: Settled) -> None:
        """Tell what was written."""
        for made in done.written:
            drift = network.applied is not None and made.value is not None and _asks_for(network, made)
            reason = "DriftCorrected" if drift else "ConfigWritten"
            note = f"{network.prefix}/config was written at revision {done.look.revision}: {made.message}."
            self._say(body, reason, note, done.look, made)
        for key in done.ours:
            self._say(body, "ReservationWritten", f"{visible(key)} is kept without an end.", done.look, done.plan)

    def _say(self, body: Body, reason: str, note: str, seen: Look, made: Plan) -> None:
        meta = body["metadata"]
        fields = {
            "type": "flannel",
            "network": meta["name"],
            "uid": meta.get("uid"),
            "generation": meta.get("generation"),
            "reason": reason,
            "class": made.change_class.value,
            "action": made.action.value,
            "change": made.id,
            "revision": seen.revision,
            "cluster": seen.snapshot.cluster_id,
        }
        _log.info("FlannelNetwork %s: %s", visible(meta["name"]), note, extra={"fields": fields})
        self._outbox.add(_regarding(body), "Normal", reason, "Write", note)


def _judged(network: FlannelNetwork, facts: Facts, seen: Look) -> Plan:
    """Judge what stands in etcd; a config that is there already is not waited for."""
    facts = replace(facts, cluster_id=seen.snapshot.cluster_id)
    made = plan(network, seen.text, seen.revision, seen.leases, network.applied, facts)
    if made.action not in (Action.BLOCK, Action.REPORT) or network.applied is None:
        return made
    live = _live(network, facts, seen)
    if live is None or not _is_there(made, live):
        return made
    # It was written before, and the status could not tell: to wait for its leases now would be too late.
    applied = Applied(text=canonical_text(live, redacted=True))
    return plan(network, seen.text, seen.revision, seen.leases, applied, facts)


def _live(network: FlannelNetwork, facts: Facts, seen: Look) -> Config | None:
    if seen.text is None:
        return None
    return read_config(
        seen.text, network.version, allow_public=network.allow_public, allow_extension=facts.allow_extension
    ).config


def _is_there(made: Plan, live: Config) -> bool:
    return made.action is Action.NONE or (made.value is not None and canonical_text(live) == made.value)


def _has_drifted(network: FlannelNetwork, live: Config | None) -> bool:
    """Tell whether the live config is not the one that was applied last."""
    return network.applied is not None and (live is None or canonical_text(live, redacted=True) != network.applied.text)


def _asks_for(network: FlannelNetwork, made: Plan) -> bool:
    """Tell whether what was written is what was applied before: then somebody else had changed it."""
    if network.applied is None or made.value is None:
        return False
    written = read_config(made.value, network.version, allow_public=True, allow_extension=True).config
    return written is not None and canonical_text(written, redacted=True) == network.applied.text


async def _etcd_seen(client: EtcdClient, credentials: Credentials | None, seen: Look) -> EtcdSeen:
    """Return what each member says."""
    members = await client.endpoint_statuses()
    active = client.endpoint
    ends = credentials.not_after if credentials is not None else None
    return EtcdSeen(
        cluster_id=seen.snapshot.cluster_id,
        version=next((each.version for each in members if each.url == active), ""),
        endpoint=active,
        endpoints=tuple(
            (each.url, each.ok, f"{each.reason}: {each.message}" if each.reason else "", each.version)
            for each in members
        ),
        cert_not_after=rfc3339(ends) if ends is not None else "",
    )


def _status(body: Body) -> Mapping[str, Any]:
    status: Mapping[str, Any] = body.get("status") or {}
    return status


def _finalizers(body: Body) -> list[str]:
    return list(body["metadata"].get("finalizers") or ())


def _regarding(body: Body) -> Mapping[str, Any]:
    meta = body["metadata"]
    return {"apiVersion": API_VERSION, "kind": "FlannelNetwork", "name": meta["name"], "uid": meta.get("uid", "")}
