"""Hollow nodes: the real kubelet code over a fake runtime (kubemark), without root.

A name and a bootstrap kubeconfig come in; a node that asks for its client certificate, registers and becomes
Ready leaves. Rules: it starts at once, keeps its files in a folder of the cluster and ends with the cluster;
it asks for no serving certificate and does not renew, so `requests` does that with its credentials.
"""

from pathlib import Path
from types import TracebackType
from typing import Self

from hack.cluster.api import call
from hack.cluster.errors import ApiRefused
from hack.cluster.kubeconfig import read_kubeconfig
from hack.cluster.kubemark_traces import Kubemark
from hack.cluster.process import Component, free_ports


class HollowNode:
    """One hollow node, started; as context manager it is stopped at the end.

    Attributes:
        name: The node's name.
        kubeconfig: What it writes once its certificate is issued.
        cert_dir: Where its keys and certificates are.
        component: Its process, to pause, kill and restart.
    """

    def __init__(self, program: str, name: str, bootstrap_kubeconfig: Path, folder: Path) -> None:
        self.name = name
        self.kubeconfig = folder / "kubeconfig"
        self.cert_dir = folder / "pki"
        self._folder = folder
        self._command = [
            program,
            "--morph=kubelet",
            f"--name={name}",
            f"--bootstrap-kubeconfig={bootstrap_kubeconfig}",
            f"--kubeconfig={self.kubeconfig}",
            f"--cert-dir={self.cert_dir}",
            "--use-host-image-service=false",
        ]
        self.component = self._make()
        self.component.start()

    def _make(self) -> Component:
        self.cert_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        ports = free_ports(2)
        flags = (f"--kubelet-port={ports[0]}", f"--kubelet-read-only-port={ports[1]}")
        return Kubemark(
            f"node {self.name}",
            [*self._command, *flags],
            self._folder / "kubelet.log",
            ready=self.is_ready,
            ports=ports,
            environment={"TMPDIR": str(self._folder), "HOME": str(self._folder)},
        )

    def __enter__(self) -> Self:
        """Return itself, started already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    @property
    def client_certificate(self) -> Path | None:
        """The file with its client certificate and key, or None before they are issued."""
        path = self.cert_dir / "kubelet-client-current.pem"
        return path if path.exists() else None

    @property
    def log_path(self) -> Path:
        """What the kubelet says."""
        return self.component.log_path

    def is_ready(self) -> bool:
        """Tell whether it has its certificate and its Node is Ready."""
        if not (self.client_certificate and self.kubeconfig.exists()):
            return False
        try:
            node = call(read_kubeconfig(self.kubeconfig), "GET", f"/api/v1/nodes/{self.name}")
        except ApiRefused:
            return False  # Not registered yet.
        conditions = node["status"].get("conditions", ())
        return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)

    def wait_joined(self, timeout: float = 60) -> None:
        """Wait until it has its certificate and its Node is Ready.

        Args:
            timeout: In seconds.

        Raises:
            PartFailed: It ended, or was not ready in time; with the end of its log.
        """
        self.component.wait_ready(timeout)

    def stop(self) -> None:
        """End its process; its files stay until the cluster's state goes."""
        self.component.stop()
