"""``nodegate-host enroll``: what a NodeEnrollment needs to know of this host, or how far the join has come.

``--print`` gives name, addresses and, where the kubelet lets its key be chosen, the key's SHA-256 for
``publicKeySHA256``; it makes that key if there is none. ``--wait`` follows the join: TCP, TLS, token, request,
approval, issue, Node. Ends with 0 when the certificate is there (the Node's readiness is told), 8 when approval is
still due, 6 when somebody must act.
"""

from __future__ import annotations

import argparse
import time

from nodegate_host import loading, paths
from nodegate_host.engine import keys
from nodegate_host.engine.desk import ready, site_of
from nodegate_host.engine.joining import Stage, look
from nodegate_host.engine.sites import CLIENT_CERTIFICATES, Site
from nodegate_host.engine.trying import seconds_of
from nodegate_host.errors import Usage
from nodegate_host.exits import Exit
from nodegate_host.model import NodeConfig
from nodegate_host.surroundings import Surroundings

_EVERY_S = 1.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument("--print", action="store_true", dest="printing", help="name, addresses and key for enrollment")
    parser.add_argument("--wait", metavar="DUR", help="follow the join at most this long; 0 looks once")


def run(args: argparse.Namespace, surroundings: Surroundings) -> Exit:
    """Print or wait."""
    if args.printing == (args.wait is not None):
        raise Usage("expected either --print or --wait DUR")
    config, site = loading.load_config(surroundings), site_of(surroundings)
    if args.printing:
        return _print(surroundings, config, site)
    surroundings.require_root("enroll --wait")
    return follow(surroundings, config, site, seconds_of(args.wait))


def _print(surroundings: Surroundings, config: NodeConfig, site: Site) -> Exit:
    digest, why = _fingerprint(surroundings, config, site)
    lines = ["kind: NodeEnrollment", f"name: {config.node.name}", f"addresses: [{', '.join(config.node.ips)}]"]
    lines.append(f"publicKeySHA256: {digest}" if digest else f"# no publicKeySHA256: {why}")
    summary = {
        "name": config.node.name,
        "addresses": list(config.node.ips),
        "publicKeySHA256": digest or None,
        "reason": why or None,
    }
    surroundings.output.result("\n".join(lines), "Enrollment", summary)
    return Exit.OK


def _fingerprint(surroundings: Surroundings, config: NodeConfig, site: Site) -> tuple[str, str]:
    for path in CLIENT_CERTIFICATES:
        if site.disk.at(path).is_file():
            return keys.fingerprint_of_certificate(site.disk.at(path).read_bytes()), ""
    if config.kubelet.config.get("rotateCertificates", True):
        return "", (
            "with rotateCertificates the kubelet makes its own key when it first asks; to pin the first key, set "
            "kubelet.config.rotateCertificates: false until it has joined"
        )
    with ready(surroundings, site, "enroll"):
        return keys.fingerprint_of_key(keys.pending_key(site.disk, paths.KUBELET_PKI)), ""


def follow(surroundings: Surroundings, config: NodeConfig, site: Site, wait_s: float) -> Exit:
    """Tell each stage as it is reached, until the Node is Ready, somebody must act, or the time is up."""
    deadline = time.monotonic() + wait_s
    told = ""
    while True:
        stage = look(site, config)
        if stage.state == "done" or time.monotonic() >= deadline:
            return _end(surroundings, stage, site)
        if stage.message != told:
            surroundings.output.note(f"{stage.name}: {stage.message}")
            told = stage.message
        time.sleep(_EVERY_S)


def _end(surroundings: Surroundings, stage: Stage, site: Site) -> Exit:
    joined = site.is_joined()
    summary = {"stage": stage.name, "state": stage.state, "message": stage.message, "hasCertificate": joined}
    surroundings.output.result(f"{stage.name}: {stage.message}", "Join", summary)
    if joined and stage.state != "stuck":
        return Exit.OK
    return Exit.UNHEALTHY if stage.state == "stuck" else Exit.WAITING
