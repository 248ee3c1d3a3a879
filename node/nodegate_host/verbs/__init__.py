"""The verbs, one module each in this package, in the order of the help.

A verb's module has ``configure(parser: argparse.ArgumentParser) -> None`` and
``run(args: argparse.Namespace, surroundings: Surroundings) -> Exit``. It is imported only when it is asked for.
Names with a hyphen are modules with an underscore.
"""

from __future__ import annotations

# One line a verb: name → what it does, for the list of verbs.
VERBS: dict[str, str] = {
    "init": "write a node.yaml to start from",
    "validate": "check node.yaml, offline",
    "render": "write out every file that the node gets, without touching the host",
    "diff": "show what would change in each file",
    "plan": "show what apply would do, in order, and why",
    "apply": "make the host what node.yaml says, or leave it as it was",
    "confirm": "keep what apply --try put on trial",
    "rollback": "go back to an earlier generation",
    "status": "show generation, units, drift, certificate and lease",
    "verify": "check that the node is well and as applied",
    "enroll": "print what enrollment needs, or follow the join",
    "rejoin": "give the node a new identity",
    "start": "start the node's units in order",
    "stop": "stop the node's units in order",
    "restart": "restart the node's units in order",
    "reset": "take away what was applied",
    "preflight": "check whether this host may become the node",
    "diagnose": "say why the node does not work, from its journal",
    "explain": "tell more about a check, a diagnosis or an error of the guide",
    "version": "print the version",
    "completion": "print the completion script for a shell",
}
"""A verb is listed when its module exists."""
