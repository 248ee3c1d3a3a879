"""What was seen of a network, or what kept it from being seen, worded as patches of its status.

Observations and troubles go in together with the status as it stands; merge patches come out, None when nothing new
is to be said. Rules: pure; a trouble leaves everything that was known before; a condition's lastTransitionTime moves
only when its status flips; lists are bounded as the schema has them; no secret is ever in a status.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from nodegate.fields import rfc3339
from nodegate.flannel.canonical import canonical_text
from nodegate.flannel.network import Action, FlannelNetwork, Plan
from nodegate.flannel.nodes import Row
from nodegate.flannel.trouble import CREDENTIALS, ETCD, Trouble
from nodegate.flannel.verdicts import Observation, Verdict, phase, verdicts
from nodegate.text import visible

NODES_KEPT: Final = 200
BLOCKERS_KEPT: Final = 20
CHANGES_KEPT: Final = 32
MESSAGE_KEPT: Final = 4096
"""The schema's bounds (crds/flannelnetworks)."""

TTL_STEP_S: Final = 900
"""A lease's time left is written again when it is off by more: it changes every second."""

Status = Mapping[str, Any]


def status_of(seen: Observation, before: Status, now: datetime) -> dict[str, Any]:
    """Return the whole status of a network whose etcd answers.

    Args:
        seen: What was seen.
        before: The status as it stands.
        now: The moment.
    """
    network = seen.network
    shown, cut = seen.rows[:NODES_KEPT], len(seen.rows) > NODES_KEPT
    status: dict[str, Any] = {
        "observedGeneration": network.generation or 0,
        "phase": phase(seen),
        "conditions": _conditions(verdicts(seen), before, network.generation, now),
        "leases": _leases(seen),
        "nodes": [_row(row, _rows_before(before)) for row in shown],
        "truncated": cut,
    }
    if seen.room is not None:
        total, used = seen.room
        status["capacity"] = {"total": total, "used": used, "free": max(0, total - used)}
    applied = _applied(seen, before, now)
    if applied:
        status["applied"] = applied
    status["etcd"] = _etcd(seen) | _store(seen, before, applied)
    if seen.plan.action in (Action.BLOCK, Action.REPORT, Action.REFUSE) and not (
        seen.in_sync and seen.plan.action is Action.REPORT
    ):
        status["pendingChange"] = pending(seen.plan)
    return status


def trouble_status(network: FlannelNetwork, trouble: Trouble, before: Status, now: datetime) -> dict[str, Any]:
    """Return the status of a network that cannot be looked after: the last one, with what is wrong now."""
    return troubled(network.generation, trouble, before, now, deleting=network.deleting)


def troubled(
    generation: int | None, trouble: Trouble, before: Status, now: datetime, *, deleting: bool = False
) -> dict[str, Any]:
    """Return the last status with what is wrong now; of an object that cannot be read as well."""
    found = [
        Verdict(trouble.condition, "False", trouble.reason, trouble.message),
        Verdict("Ready", "False", trouble.reason, trouble.message),
    ]
    if trouble.condition == CREDENTIALS:
        asked = bool(trouble.endpoints)
        found.append(Verdict(ETCD, "False" if asked else "Unknown", trouble.reason, trouble.message))
    status = {
        **before,
        "observedGeneration": generation or 0,
        "phase": "Deleting" if deleting else "Degraded",
        "conditions": _conditions(found, before, generation, now),
    }
    if trouble.endpoints:
        endpoints = [{"url": url, "ok": False, "reason": visible(why, 1024)} for url, why in trouble.endpoints]
        status["etcd"] = {**(before.get("etcd") or {}), "endpoints": endpoints}
    return status


def patch_of(before: Status, after: Status) -> dict[str, Any] | None:
    """Return the merge patch that makes one status the other, or None when they are alike."""
    patch: dict[str, Any] = {key: None for key in before if key not in after}
    for key, value in after.items():
        old = before.get(key)
        if old == value:
            continue
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            patch[key] = {**{name: None for name in old if name not in value}, **value}
        else:
            patch[key] = value
    return patch or None


def flips(before: Status, after: Status) -> list[Mapping[str, Any]]:
    """Return the conditions whose status or reason is another now."""
    old = {each.get("type"): (each.get("status"), each.get("reason")) for each in before.get("conditions") or ()}
    return [each for each in after["conditions"] if old.get(each["type"]) != (each["status"], each["reason"])]


def recorded_restarts(before: Status) -> dict[str, bool]:
    """Return whether a node was said to need a restart, by its subnet."""
    return {row.get("subnet", ""): bool(row.get("restartNeeded")) for row in before.get("nodes") or ()}


def _conditions(
    found: Iterable[Verdict], before: Status, generation: int | None, now: datetime
) -> list[dict[str, Any]]:
    """Return the recorded conditions, those found replaced; each keeps its place."""
    kept = {each["type"]: dict(each) for each in before.get("conditions") or ()}
    for verdict in found:
        old = kept.get(verdict.type, {})
        same = old.get("status") == verdict.status and old.get("lastTransitionTime")
        kept[verdict.type] = {
            "type": verdict.type,
            "status": verdict.status,
            "reason": verdict.reason,
            "message": visible(verdict.message, MESSAGE_KEPT),
            "observedGeneration": generation or 0,
            "lastTransitionTime": old["lastTransitionTime"] if same else rfc3339(now),
        }
    return list(kept.values())


def _etcd(seen: Observation) -> dict[str, Any]:
    etcd, network = seen.etcd, seen.network
    body: dict[str, Any] = {
        "clusterID": etcd.cluster_id,
        "version": etcd.version,
        "transport": "Gateway" if network.etcd.api.value == "V3" else "Keys",
        "activeEndpoint": etcd.endpoint,
        "endpoints": [_endpoint(*each) for each in etcd.endpoints],
    }
    return body | ({"clientCertNotAfter": etcd.cert_not_after} if etcd.cert_not_after else {})


def _store(seen: Observation, before: Status, applied: Status) -> dict[str, Any]:
    """Return which store was written: it is pinned by that, so one that was only looked at is not told."""
    if applied and applied.get("modRevision") == seen.live_revision and seen.in_sync:
        return {"api": seen.network.etcd.api.value}
    known = (before.get("etcd") or {}).get("api")
    return {"api": known} if known else {}


def _endpoint(url: str, ok: bool, reason: str, version: str) -> dict[str, Any]:  # noqa: FBT001 - a row of a table
    said = {"reason": visible(reason, 1024), "version": version}
    return {"url": url, "ok": ok, **{key: value for key, value in said.items() if value}}


def _applied(seen: Observation, before: Status, now: datetime) -> dict[str, Any]:
    """Return what was applied last: what stands there when it is what is asked for, else what stood before."""
    old: dict[str, Any] = dict(before.get("applied") or {})
    if not seen.in_sync or seen.live is None or seen.plan.action in (Action.REFUSE, Action.BLOCK):
        return old
    new: dict[str, Any] = {
        "value": canonical_text(seen.live, redacted=True),
        "sha256": seen.live_sha256,
        "prefix": seen.network.prefix,
        "modRevision": seen.live_revision or 0,
    }
    if seen.room is not None:
        new["subnetCount"] = seen.room[0]
    same = all(old.get(key) == value for key, value in new.items())
    return old if same else {**new, "time": rfc3339(now)}


def pending(plan: Plan) -> dict[str, Any]:
    """Return the change that waits, as ``status.pendingChange`` shows it."""
    return {
        "id": plan.id,
        "class": plan.change_class.value,
        "action": plan.action.value,
        "message": visible(plan.message, MESSAGE_KEPT),
        "changes": [
            {"field": each.field, "class": each.change_class.value, **_said({"from": each.old, "to": each.new})}
            for each in plan.changes[:CHANGES_KEPT]
        ],
        "blockedBy": [
            {
                "reason": visible(each.reason, 1024),
                **_said({"subnet": each.subnet, "publicIP": each.public_ip, "node": each.node}),
            }
            for each in plan.blocked_by[:BLOCKERS_KEPT]
        ],
        "blockedByCount": len(plan.blocked_by),
    }


def _said(values: Mapping[str, object]) -> dict[str, str]:
    """Return values as text, absent and empty ones left out."""
    shown = {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in values.items()
             if value is not None}  # fmt: skip
    return {key: visible(text, 1024) for key, text in shown.items() if text}


def _leases(seen: Observation) -> dict[str, int]:
    tally = seen.tally
    return {
        "total": tally.total,
        "reservations": tally.reservations,
        "convertedReservations": tally.converted,
        "incompatible": tally.incompatible,
        "expiringSoon": tally.expiring,
        "duplicatePublicIP": tally.duplicate,
        "foreignBackend": tally.foreign,
        "malformed": tally.malformed,
        "orphaned": tally.orphaned,
    }


def _rows_before(before: Status) -> dict[str, Mapping[str, Any]]:
    rows: Sequence[Mapping[str, Any]] = before.get("nodes") or ()
    return {row.get("subnet", ""): row for row in rows}


def _row(row: Row, before: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    lease = row.lease
    said = {
        "node": row.node,
        "publicIP": visible(lease.public_ip, 45),
        "subnet": str(lease.subnet) if lease.subnet is not None else "",
        "ipv6Subnet": str(lease.subnet6) if lease.subnet6 is not None else "",
        "backendType": visible(lease.backend_type, 64),
    }
    body: dict[str, Any] = {key: value for key, value in said.items() if value}
    if lease.ttl is not None:
        known = before.get(said["subnet"], {}).get("ttlSeconds")
        near = isinstance(known, int) and abs(known - lease.ttl) < TTL_STEP_S
        body["ttlSeconds"] = known if near else max(0, lease.ttl)
    return body | {"reservation": row.reservation, "fits": row.fits, "restartNeeded": row.restart}
