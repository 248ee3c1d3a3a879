"""``nodegate-host status``: generation, units, programs, drift, certificate, lease and how far the node has joined.

Touches nothing. Ends with 0 whatever it finds; `verify` is the verb that judges.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from nodegate_host.engine.desk import site_of
from nodegate_host.engine.survey import Survey, survey
from nodegate_host.exits import Exit
from nodegate_host.surroundings import Surroundings

_EVERY_S = 2.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument("--watch", action="store_true", help="again every two seconds, until Ctrl-C")


def run(args: argparse.Namespace, surroundings: Surroundings) -> Exit:
    """Print the status."""
    surroundings.require_root("status")
    site = site_of(surroundings)
    while True:
        found = survey(site)
        summary, items = _summary(found, site.now()), _items(found)
        surroundings.output.result(_text(summary, items), "Status", summary, items)
        if not args.watch:
            return Exit.OK
        surroundings.output.stdout.flush()
        time.sleep(_EVERY_S)
        surroundings.output.write("---")


def _summary(found: Survey, now: float) -> dict[str, Any]:
    trial, cert = found.state.trying, found.certificate
    return {
        "generation": found.state.generation,
        "created": _moment(found.manifest.created) if found.manifest else None,
        "purpose": found.manifest.purpose if found.manifest else None,
        "onTrialUntil": _moment(trial.until) if trial else None,
        "interrupted": found.under_way.operation if found.under_way else None,
        "stage": _stage(found, now),
        "certificateExpires": _moment(cert.not_after) if cert else None,
        "certificateSubject": cert.common_name if cert else None,
        "lease": found.lease.get("FLANNEL_SUBNET"),
        "drifted": sorted(found.drift),
    }


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _stage(found: Survey, now: float) -> str:
    if found.manifest is None or not found.manifest.files:
        return "not applied"
    if found.certificate is None:
        return "waiting for a certificate"
    return "certificate expired" if found.certificate.not_after <= now else "has a certificate"


def _items(found: Survey) -> list[dict[str, Any]]:
    units = [
        {
            "id": each.name,
            "kind": "unit",
            "active": each.active,
            "enabled": each.is_enabled,
            "pid": each.pid,
            "restarts": each.restarts,
        }
        for each in found.units
    ]
    programs = [{"id": path, "kind": "program", "version": version} for path, version in found.versions.items()]
    drift = [{"id": path, "kind": "drift", "message": why} for path, why in found.drift.items()]
    return [*units, *programs, *drift]


def _text(summary: dict[str, Any], items: list[dict[str, Any]]) -> str:
    names = {
        "generation": "Generation", "purpose": "Purpose", "created": "Created", "onTrialUntil": "On trial until",
        "interrupted": "Interrupted", "stage": "Stage", "certificateSubject": "Certificate",
        "certificateExpires": "Expires", "lease": "Lease",
    }  # fmt: skip
    lines = [f"{title + ':':<16} {summary[key]}" for key, title in names.items() if summary[key] is not None]
    for item in items:
        if item["kind"] == "unit":
            boot = "enabled" if item["enabled"] else "not enabled"
            lines.append(f"{item['id']:<22} {item['active']}, {boot}, pid {item['pid']}, {item['restarts']} restarts")
        elif item["kind"] == "program":
            lines.append(f"{item['id']:<30} {item['version']}")
        else:
            lines.append(f"drifted: {item['id']}: {item['message']}")
    return "\n".join(lines)
