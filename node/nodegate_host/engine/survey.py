"""How the host is, against what was applied: for `status` and `verify`; changes nothing.

Read from the generation that holds, so it needs no node.yaml; programs are asked for their version.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from nodegate_host.engine import journal
from nodegate_host.engine.records import Journal, Manifest, State
from nodegate_host.engine.sites import CLIENT_CERTIFICATES, Site
from nodegate_host.engine.systemd import UnitFacts
from nodegate_host.facts import identity
from nodegate_host.facts.host import Host
from nodegate_host.facts.model import Certificate
from nodegate_host.facts.programs import program

SUBNET_ENV = "/run/flannel/subnet.env"
_EXEC = re.compile(r"^ExecStart=[-@:+!|]*(/\S+)", re.MULTILINE)
_ASSIGNMENT = re.compile(r"^([A-Z0-9_]+)=\"?([^\"\n]*)\"?$", re.MULTILINE)


@dataclass(frozen=True)
class Survey:
    """What was found. `drift`: path → what is wrong with it; `versions`: program path → version."""

    state: State
    manifest: Manifest | None
    under_way: Journal | None
    units: tuple[UnitFacts, ...]
    drift: dict[str, str]
    versions: dict[str, str]
    certificate: Certificate | None
    lease: dict[str, str]


def survey(site: Site) -> Survey:
    """Look at everything once."""
    manifest = site.generations.current()
    names = [each.name for each in manifest.units] if manifest else []
    units = site.systemd.show(names) if site.systemd else {}
    return Survey(
        state=site.generations.state(),
        manifest=manifest,
        under_way=journal.read(site.disk),
        units=tuple(units.values()),
        drift=dict(drift(site, manifest)) if manifest else {},
        versions=dict(_versions(site, manifest)) if manifest else {},
        certificate=certificate(site),
        lease=lease(site),
    )


def drift(site: Site, manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Yield the applied files that are not as applied, with what differs."""
    for entry in manifest.files:
        live = site.disk.look(entry.path)
        if live.kind != "file":
            yield entry.path, "it is gone" if live.kind == "absent" else f"it is a {live.kind} now"
        elif live.sha256 != entry.sha256:
            yield entry.path, "its content was changed"
        elif live.mode != entry.mode:
            yield entry.path, f"its mode is {live.mode:04o}, applied was {entry.mode:04o}"
        elif site.disk.keeps_owners and live.owner != entry.owner:
            yield entry.path, f"it belongs to {live.owner}, applied was {entry.owner}"


def _versions(site: Site, manifest: Manifest) -> Iterator[tuple[str, str]]:
    host = Host(site.disk.root)
    for entry in manifest.files:
        if entry.path.endswith(".service"):
            text = site.disk.look(entry.path).content.decode(errors="replace")
            for path in _EXEC.findall(text)[:1]:
                found = program(host, path.rpartition("/")[2], path)
                yield path, found.version.text if found.version else ("unknown" if found.exists else "not installed")


def certificate(site: Site) -> Certificate | None:
    """Return the kubelet's client certificate, or None."""
    for path in CLIENT_CERTIFICATES:
        try:
            pem = site.disk.at(path).read_bytes()
        except OSError:
            continue
        found, _ = identity.certificates(pem, path)
        if found:
            return found[0]
    return None


def lease(site: Site) -> dict[str, str]:
    """Return flannel's lease as ``subnet.env`` has it; empty without one."""
    live = site.disk.look(SUBNET_ENV)
    return dict(_ASSIGNMENT.findall(live.content.decode(errors="replace"))) if live.kind == "file" else {}
