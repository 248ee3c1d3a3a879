"""What was decided about a pool, worded: an enrollment to create, patches, and notes for held requests.

Rules: an enrollment is pinned to the very token or user that asked; its addresses, names and keys are never the
template's. A condition's lastTransitionTime moves only when its status flips.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from nodegate.conditions import condition_body
from nodegate.csr.model import CsrFacts, Finding, Hold, Judgement, Reason, Result
from nodegate.enrollment.model import Condition, IPAddress
from nodegate.names import API_VERSION, POOL_LABEL, POOL_UID
from nodegate.pool.model import Pool, PoolOutlook


def enrollment_body(pool: Pool, csr: CsrFacts) -> dict[str, Any]:
    """Return the NodeEnrollment that a pool makes for a first request."""
    template = pool.spec.template
    pin = {"tokenID": csr.token_id} if csr.token_id is not None else {"users": [csr.username]}
    return {
        "apiVersion": API_VERSION,
        "kind": "NodeEnrollment",
        "metadata": {"name": csr.node_name, "labels": {POOL_LABEL: pool.name}, "annotations": {POOL_UID: pool.uid}},
        "spec": {**template, "bootstrap": {**(template.get("bootstrap") or {}), **pin}},
    }


def addresses_patch(resource_version: str, addresses: Iterable[IPAddress]) -> dict[str, Any]:
    """Return the merge patch that records a node's addresses at the resourceVersion that was read."""
    listed = [str(address) for address in sorted(addresses, key=lambda address: (address.version, int(address)))]
    return {"metadata": {"resourceVersion": resource_version}, "spec": {"addresses": listed}}


def status_patch(pool: Pool, outlook: PoolOutlook, now: datetime) -> dict[str, Any] | None:
    """Return the merge patch that makes the status say what was decided, or None when it does."""
    kept = [c for c in pool.status.conditions if c.type not in {fresh.type for fresh in outlook.conditions}]
    conditions = (*(_dated(pool, condition, now) for condition in outlook.conditions), *kept)
    said = (pool.generation, outlook.nodes, {condition.type: condition for condition in conditions})
    recorded = {condition.type: condition for condition in pool.status.conditions}
    if said == (pool.status.observed_generation, pool.status.nodes, recorded):
        return None
    return {
        "metadata": {"resourceVersion": pool.resource_version},
        "status": {
            "observedGeneration": pool.generation,
            "nodes": outlook.nodes,
            "conditions": [condition_body(condition) for condition in conditions],
        },
    }


def _dated(pool: Pool, condition: Condition, now: datetime) -> Condition:
    before = pool.condition(condition.type)
    same = before is not None and before.status == condition.status
    since = before.last_transition if before is not None and same else None
    return replace(condition, observed_generation=pool.generation, last_transition=since or now.replace(microsecond=0))


def noted(judgement: Judgement, reason: Reason, note: str) -> Judgement:
    """Return a held judgement whose finding of this reason says what a pool has to do with it."""
    if not isinstance(judgement.verdict, Hold):
        return judgement

    def said(finding: Finding) -> Finding:
        fits = finding.reason is reason and finding.result is Result.FAIL
        return replace(finding, found=f"{finding.found}; {note}") if fits else finding

    return replace(judgement, findings=tuple(said(finding) for finding in judgement.findings))
