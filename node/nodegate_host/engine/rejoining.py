"""A new identity for a node whose old one is of no use: moved aside, never deleted, and back if something fails.

What is moved: the kubelet's kubeconfig, its client certificates and its pending key; serving certificates stay, the
kubelet asks for new ones when it must. Where to: ``/var/lib/nodegate/aside/<time>``, which is root's alone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from nodegate_host import paths
from nodegate_host.engine.atomic import Disk
from nodegate_host.engine.generations import HOME
from nodegate_host.engine.live import gather
from nodegate_host.engine.plan import make_plan
from nodegate_host.engine.rollback import Return, way_to
from nodegate_host.engine.sites import Site
from nodegate_host.errors import Refused, Usage
from nodegate_host.facts import identity
from nodegate_host.facts.host import Host
from nodegate_host.model import File

KUBELET = "kubelet.service"
_CLIENT = "kubelet-client"


def read_bootstrap(given: bytes, name: str) -> bytes:
    """Return a bootstrap kubeconfig that may be used; refuses an administrator's, and one without a credential."""
    host = Host("/")
    with identity.in_memory(given) as path:
        fact = identity.load(host, path).fact
    if fact.state != "usable" or not (fact.token or fact.certificate):
        raise Usage(f"{name}: expected a kubeconfig with a token, found {fact.problem or 'no credential in it'}")
    if fact.certificate is not None and "system:masters" in fact.certificate.organizations:
        raise Refused(f"{name} is an administrator's credential, which no node may have; use kubectl nodegate bundle")
    return given


def identity_files(disk: Disk) -> list[str]:
    """Return what is to be moved aside, by host path."""
    found = [paths.KUBELET_KUBECONFIG] if disk.look(paths.KUBELET_KUBECONFIG).kind != "absent" else []
    folder = disk.at(paths.KUBELET_PKI)
    names = sorted(each.name for each in folder.iterdir()) if folder.is_dir() else []
    return [*found, *(f"{paths.KUBELET_PKI}/{name}" for name in names if name.startswith(_CLIENT))]


def move_aside(disk: Disk, files: Sequence[str], moment: str) -> list[tuple[str, str]]:
    """Move `files` aside; return old and new path of each. What was moved is moved back if one fails."""
    folder = f"{HOME}/aside/{moment}"
    for each in (HOME, f"{HOME}/aside", folder):
        disk.make_directory(each, 0o700)
    moved: list[tuple[str, str]] = []
    try:
        for path in files:
            target = f"{folder}/{path.rpartition('/')[2]}"
            os.rename(disk.at(path), disk.at(target))  # noqa: PTH104 - rename must fail across file systems, not copy
            moved.append((path, target))
    except OSError:
        move_back(disk, moved)
        raise
    return moved


def move_back(disk: Disk, moved: Sequence[tuple[str, str]]) -> None:
    """Undo `move_aside`."""
    for path, target in reversed(moved):
        os.rename(disk.at(target), disk.at(path))  # noqa: PTH104 - as above


def with_bootstrap(site: Site, content: bytes) -> Return:
    """Return the way to the generation that holds, with another bootstrap kubeconfig."""
    current = site.generations.current()
    if current is None or KUBELET not in {each.name for each in current.units}:
        raise Usage("no kubelet was applied on this host, so there is none to join again; run apply")
    way = way_to(site, current)
    others = tuple(each for each in way.wish.files if each.path != paths.BOOTSTRAP_KUBECONFIG)
    file = File(paths.BOOTSTRAP_KUBECONFIG, content, 0o600, secret=True, units=(KUBELET,))
    wish = replace(way.wish, files=(*others, file), adopt=True)
    facts = gather(site.disk, site.generations, site.systemd, wish)
    return Return(current, wish, facts, make_plan(wish, facts))


def again(site: Site, way: Return) -> Return:
    """Return `way` planned anew, after the kubelet was stopped."""
    facts = gather(site.disk, site.generations, site.systemd, way.wish)
    return Return(way.target, way.wish, facts, make_plan(way.wish, facts))
