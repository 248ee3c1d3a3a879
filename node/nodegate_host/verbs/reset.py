"""``nodegate-host reset``: takes away what was applied; identity, data and network devices only when asked for.

Asks for the node's name unless ``--yes``; ``--yes`` never implies a purge. Ends with 6 if anything could not be done,
and with 9, nothing removed, if a mount below the kubelet's directory stays.
"""

from __future__ import annotations

import argparse
import socket

from nodegate_host import loading
from nodegate_host.engine import trying
from nodegate_host.engine.desk import ask, ready, site_of
from nodegate_host.engine.reset import Report, Reset, Wanted
from nodegate_host.errors import Stop
from nodegate_host.exits import Exit
from nodegate_host.surroundings import Surroundings

_ADVICE = (
    "Left for you: the Node object (kubectl delete node), flannel's lease in etcd (the operator's), rules in KUBE- and "
    "FLANNEL- chains (gone after a reboot)."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument("--yes", action="store_true", help="do not ask; implies no purge")
    parser.add_argument("--dry-run", action="store_true", help="print what would be done and change nothing")
    parser.add_argument("--keep-binaries", action="store_true", help="leave programs that were installed")
    parser.add_argument("--purge-identity", action="store_true", help="remove certificate, key and kubeconfig too")
    parser.add_argument("--purge-data", action="store_true", help="empty /var/lib/kubelet and /var/lib/cni too")
    parser.add_argument("--purge-network", action="store_true", help="delete flannel's and CNI's devices too")
    parser.add_argument("--drain", action="store_true", help="only a reminder: drain with kubectl, before")


def run(args: argparse.Namespace, surroundings: Surroundings) -> Exit:
    """Reset."""
    surroundings.require_root("reset")
    wanted = Wanted(args.keep_binaries, args.purge_identity, args.purge_data, args.purge_network)
    site = site_of(surroundings)
    if args.drain:
        surroundings.output.note("drain from where kubectl works: kubectl drain NODE --ignore-daemonsets")
    if args.dry_run:
        steps = Reset(site, wanted).plan()
        items = [{"id": each, "state": "planned"} for each in steps]
        surroundings.output.result("\n".join(steps), "Reset", {"dryRun": True}, items)
        return Exit.OK
    name = _name(surroundings)
    ask(surroundings, f"This takes the node {name} apart.", name, yes=args.yes)
    with ready(surroundings, site, "reset"):
        trying.confirm(site)
        report = Reset(site, wanted).run()
    return _show(surroundings, report)


def _name(surroundings: Surroundings) -> str:
    try:
        return loading.load_config(surroundings).node.name
    except Stop:
        # A broken or missing node.yaml is one of the reasons to reset.
        return socket.gethostname()


def _show(surroundings: Surroundings, report: Report) -> Exit:
    states = (("done", report.done), ("kept", report.kept), ("failed", report.failed))
    items = [{"id": text, "state": state} for state, texts in states for text in texts]
    lines = [f"{each['state']:<7} {each['id']}" for each in items]
    summary = {state: len(texts) for state, texts in states}
    surroundings.output.result("\n".join([*lines, "", _ADVICE]), "Reset", summary, items)
    return Exit.UNHEALTHY if report.failed else Exit.OK
