"""Vectors of FlannelNetwork's schema: the file comes in, cases and their manifests leave."""

from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).parents[2] / "vectors" / "flannel" / "networks.yaml"
BARE: dict[str, Any] = {
    "etcd": {"endpoints": ["https://10.0.0.1:2379"], "api": "V3"},
    "flannelVersion": "0.28.10",
    "network": "172.30.0.0/16",
    "backend": {"type": "vxlan"},
}

Case = dict[str, Any]


def refused() -> list[Case]:
    """Return the cases that the API server refuses."""
    return list(yaml.safe_load(FILE.read_text())["refused"])


def accepted() -> list[Case]:
    """Return the cases that the API server accepts."""
    return list(yaml.safe_load(FILE.read_text())["accepted"])


def bare(case: Case) -> dict[str, Any]:
    """Return the manifest of a case; what it sets to null is taken out."""
    spec = {key: value for key, value in {**BARE, **case["spec"]}.items() if value is not None}
    return {
        "apiVersion": "nodegate.dev/v1alpha1",
        "kind": "FlannelNetwork",
        "metadata": {"name": "vector"},
        "spec": spec,
    }
