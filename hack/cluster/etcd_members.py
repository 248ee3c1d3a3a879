"""A test etcd of several members on loopback, whose members can be killed, frozen and brought back.

A program and a folder come in; a running etcd leaves, with its certificates and an etcdctl. Rules: clients and
peers use TLS with client certificates unless told otherwise; a member keeps its ports and data when it comes
back; leaving the context ends every member.
"""

import json
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hack.cluster import binaries
from hack.cluster.api import is_ok
from hack.cluster.errors import ClusterError
from hack.cluster.etcd_certificates import EtcdCertificates, make_certificates
from hack.cluster.kubeconfig import Credentials
from hack.cluster.pki import Pair
from hack.cluster.process import Component, free_ports


class EtcdMembers:
    """An etcd, started on entering the context and ended on leaving it.

    Args:
        program: The path of etcd; None takes the pinned one.
        members: How many.
        tls: Whether clients and peers use TLS.
        server: The members' certificate by its name in `EtcdCertificates`.
        flags: More flags for every member.
        certificates: Those of another etcd, which then trusts the same clients; None makes new ones.

    Attributes:
        tls: As given.
        certificates: Right and wrong ones.
        endpoints: Client URLs, one a member.
        members: The components, in the order of the endpoints.
    """

    def __init__(
        self,
        program: Path | None = None,
        *,
        members: int = 3,
        tls: bool = True,
        server: str = "server",
        flags: Sequence[str] = (),
        certificates: EtcdCertificates | None = None,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="nodegate-etcd-")
        self.tls = tls
        folder = Path(self._folder.name)
        self.certificates = certificates or make_certificates(folder / "pki")
        self._server: Pair = getattr(self.certificates, server)
        ports = free_ports(2 * members)
        scheme = "https" if tls else "http"
        self.endpoints = [f"{scheme}://127.0.0.1:{port}" for port in ports[:members]]
        self._peers = [f"{scheme}://127.0.0.1:{port}" for port in ports[members:]]
        path = str(program or binaries.find(programs=["etcd"])["etcd"])
        self.members = [self._member(path, number, flags) for number in range(members)]

    def _member(self, program: str, number: int, flags: Sequence[str]) -> Component:
        folder, client, peer = Path(self._folder.name), self.endpoints[number], self._peers[number]
        command = [
            program,
            f"--name=m{number}",
            f"--data-dir={folder / f'm{number}'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            "--initial-cluster=" + ",".join(f"m{index}={url}" for index, url in enumerate(self._peers)),
            # Members that came from two clusters on the same ports refuse each other.
            f"--initial-cluster-token={folder.name}",
            "--log-level=warn",
            *(self._tls_flags() if self.tls else ()),
            *flags,
        ]
        log, ports = folder / f"m{number}.log", (_port(client), _port(peer))
        return Component(f"m{number}", command, log, ready=lambda: self.is_healthy(number), ports=ports)

    def _tls_flags(self) -> list[str]:
        peer = self.certificates.server
        pairs = (("", self._server), ("peer-", peer))
        return [
            f"--{prefix}{flag}"
            for prefix, pair in pairs
            for flag in (
                f"cert-file={pair.certificate}",
                f"key-file={pair.key}",
                f"trusted-ca-file={self.certificates.ca.certificate}",
                "client-cert-auth",
            )
        ]

    def is_healthy(self, number: int) -> bool:
        """Tell whether a member answers and knows a leader; with an expired certificate, whether it listens."""
        if self._server == self.certificates.server_expired:
            with socket.create_connection(("127.0.0.1", self.members[number].ports[0]), timeout=2):
                return True
        ca, client = self.certificates.ca, self.certificates.client
        parts = (ca.certificate.read_bytes(), client.certificate.read_bytes(), client.key.read_bytes())
        endpoint = self.endpoints[number]
        return is_ok(Credentials(endpoint, *parts) if self.tls else Credentials(endpoint, b""), "/health")

    def __enter__(self) -> Self:
        """Start every member and wait until all are healthy."""
        try:
            for member in self.members:
                member.start()
            for member in self.members:
                member.wait_ready()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every member and remove the folder."""
        for member in self.members:
            member.kill()
        self._folder.cleanup()

    def recover(self) -> None:
        """Bring every member back: paused ones go on, ended ones start; wait until all are healthy."""
        for member in self.members:
            member.resume()
            member.start()
        for member in self.members:
            member.wait_ready()

    def etcdctl(self, *arguments: str, to: int | None = None, client: str = "client") -> str:
        """Run etcdctl and return what it prints.

        Args:
            arguments: Of etcdctl.
            to: One member by its number; None for all.
            client: The client certificate by its name in `EtcdCertificates`.

        Raises:
            ClusterError: Its exit status is not 0.
        """
        pair: Pair = getattr(self.certificates, client)
        endpoints = self.endpoints if to is None else [self.endpoints[to]]
        files = [
            f"--cacert={self.certificates.ca.certificate}",
            f"--cert={pair.certificate}",
            f"--key={pair.key}",
        ]
        program = binaries.find(programs=["etcdctl"])["etcdctl"]
        command = [program, f"--endpoints={','.join(endpoints)}", *(files if self.tls else ()), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        if done.returncode:
            raise ClusterError(
                f"etcdctl {' '.join(arguments)}: expected exit status 0, found {done.returncode}: {done.stderr}"
            )
        return done.stdout

    def leader(self) -> int:
        """Return the number of the member that leads.

        Raises:
            ClusterError: None does.
        """
        for number, member in enumerate(self.members):
            if member.running:
                status = self._status(number)
                if status["leader"] == status["header"]["member_id"]:
                    return number
        raise ClusterError("expected a leader among the members that run, found none")

    def _status(self, number: int) -> dict[str, Any]:
        (answer,) = json.loads(self.etcdctl("endpoint", "status", "-w", "json", to=number))
        status: dict[str, Any] = answer["Status"]
        return status


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])
