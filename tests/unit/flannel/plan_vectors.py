"""The transition vectors: files come in, cases leave, each as the resource, the leases and the facts of one plan.

Rules: what a case does not say is base.yaml's; keys of leases are given without the prefix.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from nodegate.cli.facts import Manifest
from nodegate.cli.flannel_plan import gather
from nodegate.flannel.decide import plan
from nodegate.flannel.network import FlannelNetwork, Lease, Plan
from nodegate.flannel.parse import parse_lease, parse_network

FOLDER = Path(__file__).parents[2] / "vectors" / "flannel"
APPROVED = "APPROVED"
"""What stands for the id of the change itself."""

Case = Mapping[str, Any]


def cases() -> list[Case]:
    """Return every case of every file, the file's name before its own."""
    found: list[Case] = []
    for path in sorted((FOLDER / "plan").glob("*.yaml")):
        read = yaml.safe_load(path.read_text())["cases"]
        found += ({**case, "id": f"{path.stem}/{case['name']}"} for case in read)
    return found


def manifest(case: Case, **spec: Any) -> dict[str, Any]:
    """Return the resource of a case, with changes to its spec."""
    base = yaml.safe_load((FOLDER / "base.yaml").read_text())["spec"]
    pinned = dict(case.get("pinned", {}))
    applied = {"value": case.get("applied", ""), "prefix": pinned.pop("prefix", "")}
    return {
        "apiVersion": "nodegate.dev/v1alpha1",
        "kind": "FlannelNetwork",
        "metadata": {"name": "pods", "annotations": case.get("annotations", {})},
        "spec": {**base, **case.get("spec", {}), **spec},
        "status": {"applied": applied, "etcd": pinned},
    }


def records(case: Case) -> list[dict[str, Any]]:
    """Return the leases of a case as etcd holds them."""
    return [
        {
            "key": f"/kube-centos/network/subnets/{lease['key']}",
            "value": lease.get("value") or _value(lease),
            "modRevision": lease.get("revision", 1),
            "ttl": lease.get("ttl"),
        }
        for lease in case.get("leases", ())
    ]


def _value(lease: Case) -> str:
    kind = {"BackendType": lease["type"], "BackendData": {"VNI": 1}} if "type" in lease else {}
    return json.dumps({"PublicIP": lease["publicIP"], "PublicIPv6": None, **kind})


def leases(case: Case) -> list[Lease]:
    """Return the leases of a case."""
    return [
        parse_lease(each["key"], each["value"], mod_revision=each["modRevision"], ttl=each["ttl"])
        for each in records(case)
    ]


def network(case: Case) -> FlannelNetwork:
    """Return the resource of a case, approved where it says so."""
    if case.get("spec", {}).get("approvedChange") != APPROVED:
        return parse_network(manifest(case))
    return parse_network(manifest(case, approvedChange=judged(case, parse_network(manifest(case))).id))


def judged(case: Case, resource: FlannelNetwork) -> Plan:
    """Return the plan of a resource in a case's surroundings."""
    facts = gather(resource, [Manifest(body, "vector") for body in case.get("with", ())])
    facts = replace(facts, cluster_id=case.get("clusterID"))
    return plan(resource, case.get("live"), case.get("liveRevision"), leases(case), resource.applied, facts)
