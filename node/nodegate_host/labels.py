"""Which labels and taints a kubelet may give its own Node, and how they must be written.

Source of the rules: Kubernetes' label syntax (apimachinery validation) and the NodeRestriction admission plugin: of
the keys under ``kubernetes.io`` and ``k8s.io`` a kubelet may set a fixed list only. ``node-role.kubernetes.io/*`` and
``node-restriction.kubernetes.io/*`` are never its own; the operator sets them.
"""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_PREFIX = re.compile(r"(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
"""The effects of a taint."""

ALLOWED = frozenset(
    {
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "kubernetes.io/arch",
        "topology.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region",
        "node.kubernetes.io/instance-type",
        "beta.kubernetes.io/instance-type",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/arch",
    }
)
"""The keys of the Kubernetes domains that a kubelet may set besides the two open prefixes."""

_OPEN = ("kubelet.kubernetes.io", "node.kubernetes.io")


def key_problem(key: str) -> str | None:
    """Return what is wrong with the writing of a label's or taint's key, or None."""
    prefix, slash, name = key.rpartition("/")
    if (slash and not _PREFIX.fullmatch(prefix)) or not _NAME.fullmatch(name):
        return f"expected a label key such as example.com/disk, found {key!r}"
    return None


def value_problem(value: str) -> str | None:
    """Return what is wrong with the writing of a label's value, or None; the empty value is allowed."""
    if value and not _NAME.fullmatch(value):
        return f"expected at most 63 letters, digits, '-', '_' or '.', found {value!r}"
    return None


def is_own(key: str) -> bool:
    """Whether NodeRestriction lets a kubelet put a label with this key on its own Node."""
    domain = key.rpartition("/")[0]
    if not _ends_in(domain, "kubernetes.io") and not _ends_in(domain, "k8s.io"):
        return True
    return key in ALLOWED or any(_ends_in(domain, each) for each in _OPEN)


def restriction_problem(key: str) -> str | None:
    """Return why the kubelet may not set this label by itself, or None."""
    if is_own(key):
        return None
    return f"{key} cannot be set by the kubelet itself (NodeRestriction); let an administrator label the Node"


def _ends_in(domain: str, suffix: str) -> bool:
    return domain == suffix or domain.endswith("." + suffix)
