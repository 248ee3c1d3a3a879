"""Objects go in, JSON or YAML on stdout comes out; and one-line messages on stderr.

Rules: whatever is not ASCII is escaped, so that text which requesters chose can neither steer a
terminal nor read backwards. Data goes to stdout, everything else to stderr.
"""

import json
import sys
from collections.abc import Mapping
from typing import Any

import yaml


def print_object(body: Mapping[str, Any], output: str) -> None:
    """Print an object.

    Args:
        body: JSON values in plain dicts and lists.
        output: ``json`` or ``yaml``.
    """
    if output == "json":
        print(json.dumps(body, indent=2))
    else:
        yaml.dump(body, sys.stdout, Dumper=_Dumper, sort_keys=False, default_flow_style=False, width=120)


class _Dumper(yaml.SafeDumper):
    """A dumper that writes equal parts twice rather than by reference: people read it."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's own signature
        """Never refer to another part."""
        return True


def warn(message: str) -> None:
    """Print a warning on stderr."""
    print(f"warning: {message}", file=sys.stderr)
