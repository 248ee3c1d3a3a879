"""What a node must know of its cluster, as far as the API server tells it: ranges, DNS, version, flannel.

A connection comes in, a `ClusterFacts` leaves. Rules: what may not be read or is not there is left empty, with
a note that says why where the reason is not plain; nothing is guessed. Which objects: ServiceCIDR (Kubernetes
1.33 and newer), Services with the label k8s-app=kube-dns in kube-system (kubeadm, and whoever follows it), and
the one FlannelNetwork.
"""

import re
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from nodegate.cli.exits import Exit, Stopped
from nodegate.errors import Forbidden, Malformed, NotFound
from nodegate.flannel.network import FlannelNetwork
from nodegate.flannel.parse import KIND, parse_network
from nodegate.names import API_VERSION
from nodegate.text import visible

if TYPE_CHECKING:
    from nodegate.cli.connection import Connection

NETWORKS = f"/apis/{API_VERSION}/flannelnetworks"
"""The path of FlannelNetworks."""

SERVICE_CIDRS = "/apis/networking.k8s.io/v1/servicecidrs"
"""The path of the ranges of Services."""

DNS_SERVICES = "/api/v1/namespaces/kube-system/services"
"""The path of the Services among which the cluster's DNS is."""

_DNS_LABEL = "k8s-app=kube-dns"
_DEFAULT_RANGE = "kubernetes"
"""The ServiceCIDR that the API server makes from its own flag."""

_VERSION = re.compile(r"v?(\d+\.\d+\.\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFacts:
    """What the API server told."""

    service_cidrs: tuple[str, ...] = ()
    cluster_dns: tuple[str, ...] | None = None
    """Addresses of the DNS Service; empty when there is none, None when that is not known."""

    version: str = ""
    """The API server's, as 1.37.2."""

    network: FlannelNetwork | None = None
    notes: tuple[str, ...] = field(default=())


def read_cluster(connection: "Connection", network: str | None) -> ClusterFacts:
    """Return what is known of a cluster.

    Args:
        connection: The cluster.
        network: The FlannelNetwork's name; None takes the only one.

    Raises:
        Stopped: There is no FlannelNetwork of that name.
        ApiError: There was no usable answer.
    """
    notes: list[str] = []
    return ClusterFacts(
        service_cidrs=_service_cidrs(connection, notes),
        cluster_dns=_cluster_dns(connection, notes),
        version=_version(connection),
        network=_network(connection, network, notes),
        notes=tuple(notes),
    )


def _list(connection: "Connection", path: str, kind: str, version: str, notes: list[str], **query: str) -> Any:
    """Return the objects of a list, or None when they cannot be had; why, if anybody can change it, is noted."""
    try:
        return list(connection.objects(path, kind, version, **query))
    except NotFound:
        return None
    except Forbidden:
        notes.append(f"no right to list {kind}s at {path}; ask for that right, or fill in what they say")
        return None


def _service_cidrs(connection: "Connection", notes: list[str]) -> tuple[str, ...]:
    bodies = _list(connection, SERVICE_CIDRS, "ServiceCIDR", "networking.k8s.io/v1", notes) or []
    # The API server's own range comes first; of each family one is enough for a node.
    bodies.sort(key=lambda body: body["metadata"]["name"] != _DEFAULT_RANGE)
    by_family: dict[int, str] = {}
    for body in bodies:
        for text in (body.get("spec") or {}).get("cidrs") or ():
            by_family.setdefault(ip_network(text).version, text)
    return tuple(by_family.values())


def _cluster_dns(connection: "Connection", notes: list[str]) -> tuple[str, ...] | None:
    bodies = _list(connection, DNS_SERVICES, "Service", "v1", notes, labelSelector=_DNS_LABEL)
    if bodies is None:
        return None
    found = [address for body in bodies for address in (body.get("spec") or {}).get("clusterIPs") or ()]
    return tuple(address for address in found if address != "None")


def _version(connection: "Connection") -> str:
    told = _VERSION.match(str(connection.get("/version").get("gitVersion") or ""))
    return told[1] if told else ""


def _network(connection: "Connection", name: str | None, notes: list[str]) -> FlannelNetwork | None:
    bodies = _list(connection, NETWORKS, KIND, API_VERSION, notes) or []
    names = [str(body["metadata"]["name"]) for body in bodies]
    if name is not None and name not in names:
        shown = f"expected a {KIND} called {visible(name, 253)}, found {', '.join(names) or 'none'}"
        raise Stopped(Exit.NOT_FOUND, shown)
    chosen = [body for body in bodies if name in (None, body["metadata"]["name"])]
    if len(chosen) > 1:
        notes.append(f"expected one {KIND}, found {', '.join(names)}; give --network")
    if len(chosen) != 1:
        return None
    try:
        return parse_network(chosen[0])
    except Malformed as error:
        notes.append(f"{KIND} {visible(names[0], 253)}: {error}")
        return None
