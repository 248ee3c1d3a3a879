"""Clusters that somebody else runs: kind's, and the one that kubectl points to already.

A place to keep a kubeconfig comes in; a record with that kubeconfig leaves. Rules: the current context is used
only after a yes, and is copied, so that switching contexts later does not move what `make run` talks to.
"""

import json
import shutil
import subprocess
import sys
from typing import Any

from hack.cluster.binaries import find
from hack.cluster.errors import ClusterError
from hack.cluster.pki import write_private
from hack.cluster.supervise import Log, Place

KIND_NAME = "nodegate"
"""The name of the kind cluster."""


def kind_up(place: Place, log: Log) -> dict[str, Any]:
    """Create the kind cluster `nodegate` and return its record.

    Raises:
        ClusterError: kind or docker is missing, or kind failed.
    """
    if missing := [name for name in ("kind", "docker") if not shutil.which(name)]:
        raise ClusterError(
            f"--engine kind: expected kind and docker on PATH, found no {' and no '.join(missing)};"
            " install what is missing, or use --engine local"
        )
    place.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = place.folder / "kind.kubeconfig"
    log(f"kind create cluster --name {KIND_NAME}")
    _run(["kind", "create", "cluster", "--name", KIND_NAME, "--kubeconfig", str(path)])
    return {"engine": "kind", "kubeconfig": str(path), "server": f"kind-{KIND_NAME}", "parts": []}


def kind_down() -> None:
    """Delete the kind cluster `nodegate`."""
    _run(["kind", "delete", "cluster", "--name", KIND_NAME])


def _run(command: list[str]) -> None:
    status = subprocess.run(command, check=False, stdout=sys.stderr).returncode
    if status:
        raise ClusterError(f"{' '.join(command)}: expected exit status 0, found {status}; see its output above")


def current_up(place: Place, log: Log, *, yes: bool) -> dict[str, Any]:
    """Return the record of kubectl's current context, after a yes.

    Raises:
        ClusterError: There is no context, nobody to ask, or the answer was no.
    """
    kubectl = shutil.which("kubectl") or find(log, ("kubectl",))["kubectl"]
    command = [kubectl, "config", "view", "--minify", "--flatten", "--raw", "--output=json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(f"--engine current: expected a current context, found none: {done.stderr.strip()}")
    config = json.loads(done.stdout)
    context, server = config["current-context"], config["clusters"][0]["cluster"]["server"]
    log(f"current context: {context}, server {server}")
    if not (yes or _confirmed()):
        raise ClusterError(f"context {context} is not used; answer y, or pass --yes")
    path = write_private(place.folder / "current.kubeconfig", done.stdout.encode())
    return {"engine": "current", "kubeconfig": str(path), "server": server, "parts": []}


def _confirmed() -> bool:
    if not sys.stdin.isatty():
        raise ClusterError("--engine current: expected a terminal to ask on, found none; pass --yes")
    print("use it? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
