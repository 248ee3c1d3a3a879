"""The members of an etcd on one address, one or several, with TLS for clients and peers or without.

Certificates and a folder come in; unstarted `Component`s and the endpoints leave. Rules: every member knows
every other from the start; clients and peers must show a certificate of etcd's own authority; nothing is
synced to disk, which survives the death of any process here, though not of the machine.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hack.cluster.api import is_ok
from hack.cluster.kubeconfig import Credentials
from hack.cluster.pki import Pki
from hack.cluster.process import LOOPBACK, Component, free_ports


@dataclass(frozen=True, slots=True)
class ClientFiles:
    """The three files of an etcd client, in the order that flanneld and etcdctl ask for them."""

    ca: Path
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Etcd:
    """An unstarted etcd.

    Attributes:
        members: One component each.
        endpoints: Their client URLs.
        client_files: None without TLS.
    """

    members: list[Component]
    endpoints: list[str]
    client_files: ClientFiles | None


def make_etcd(program: str, folder: Path, pki: Pki, *, members: int, tls: bool, address: str = LOOPBACK) -> Etcd:
    """Return an etcd of `members` members on free ports.

    Args:
        program: The path of etcd.
        folder: The cluster's state.
        pki: Its certificates.
        members: 1, 3 or 5.
        tls: Whether clients and peers use TLS with client certificates.
        address: Where they listen.
    """
    scheme = "https" if tls else "http"
    ports = free_ports(2 * members, address)
    names = [f"etcd-{number}" if members > 1 else "etcd" for number in range(1, members + 1)]
    clients = [f"{scheme}://{address}:{port}" for port in ports[:members]]
    peers = [f"{scheme}://{address}:{port}" for port in ports[members:]]
    together = ",".join(f"{name}={peer}" for name, peer in zip(names, peers, strict=True))
    components = [
        Component(
            name,
            [
                program,
                f"--name={name}",
                f"--data-dir={folder / 'data' / name}",
                *_addresses(client, peer),
                f"--initial-cluster={together}",
                "--log-level=warn",
                "--unsafe-no-fsync",
                *(_tls_flags(pki) if tls else ()),
            ],
            folder / "logs" / f"{name}.log",
            ready=_probe(client, pki, tls=tls),
            ports=(ports[number], ports[members + number]),
        )
        for number, (name, client, peer) in enumerate(zip(names, clients, peers, strict=True))
    ]
    files = ClientFiles(pki.etcd_ca.certificate, pki.etcd_client.certificate, pki.etcd_client.key) if tls else None
    return Etcd(components, clients, files)


def _addresses(client: str, peer: str) -> list[str]:
    return [
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
    ]


def _tls_flags(pki: Pki) -> list[str]:
    return [
        f"--{prefix}{flag}"
        for prefix in ("", "peer-")
        for flag in (
            f"cert-file={pki.etcd_server.certificate}",
            f"key-file={pki.etcd_server.key}",
            f"trusted-ca-file={pki.etcd_ca.certificate}",
            "client-cert-auth",
        )
    ]


def _probe(endpoint: str, pki: Pki, *, tls: bool) -> Callable[[], bool]:
    """Return a check of /health, which is true once the member knows a leader."""
    if not tls:
        return lambda: is_ok(Credentials(endpoint, b""), "/health")
    credentials = Credentials(
        endpoint,
        pki.etcd_ca.certificate.read_bytes(),
        pki.etcd_client.certificate.read_bytes(),
        pki.etcd_client.key.read_bytes(),
    )
    return lambda: is_ok(credentials, "/health")
