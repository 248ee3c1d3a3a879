"""``nodegate-host validate``: is the node.yaml right? Offline; reads that one file and nothing else.

Exit 0 when it is, 2 when it is not; every mistake is listed with its line. Advice does not change the exit code.
"""

from __future__ import annotations

import argparse
from typing import Any

from nodegate_host import scalars
from nodegate_host.advice import advice
from nodegate_host.errors import ConfigInvalid, Usage, sentence
from nodegate_host.exits import Exit
from nodegate_host.loading import load_config
from nodegate_host.model import NodeConfig, Version
from nodegate_host.surroundings import Surroundings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verb's flags."""
    parser.add_argument("--k8s", metavar="VERSION", help="judge by this Kubernetes in place of the file's")


def run(args: argparse.Namespace, surroundings: Surroundings) -> Exit:
    """Check the file and say what is wrong."""
    output = surroundings.output
    try:
        config = load_config(surroundings, kubernetes=_version(args.k8s))
    except ConfigInvalid as invalid:
        items = [_item("error", each.path, each.line, each.message) for each in invalid.problems]
        text = "\n".join(sentence(invalid.source, each) for each in invalid.problems)
        output.result(text, "Validation", {"valid": False, "errors": len(items), "warnings": 0}, items)
        if output.is_text:
            output.error(f"{len(items)} {'mistake' if len(items) == 1 else 'mistakes'} in {invalid.source}")
        return Exit.USAGE
    found = list(advice(config))
    for field, message in found:
        output.warn(f"{field}: {message}")
    items = [_item("warning", field, None, message) for field, message in found]
    text = f"{surroundings.config}: valid: {_told(config)}"
    output.result(text, "Validation", {"valid": True, "errors": 0, "warnings": len(items)}, items)
    return Exit.OK


def _version(text: str | None) -> Version | None:
    if text is None:
        return None
    wrong = scalars.version(text)
    if wrong:
        raise Usage(f"--k8s: {wrong}")
    return scalars.version_of(text)


def _told(config: NodeConfig) -> str:
    proxy = config.kube_proxy
    parts = [
        f"node {config.node.name}",
        f"Kubernetes {config.kubernetes.version.text}",
        config.runtime.kind.value,
        f"kube-proxy {proxy.mode.value}" if proxy.enabled else "no kube-proxy",
        f"flannel {config.flannel.version.text}" if config.flannel.enabled else "no flannel",
    ]
    return ", ".join(parts)


def _item(severity: str, field: str, line: int | None, message: str) -> dict[str, Any]:
    return {"severity": severity, "field": field, "line": line, "message": message}
