"""The life of a control plane: etcd, kube-apiserver and kube-controller-manager, on 127.0.0.1.

Options come in; running programs, an administrator's kubeconfig and their addresses leave. Rules: state lives
in one folder, new or empty; ports are free ones, and the start is tried again with others when one was taken in
between; whatever was started ends with `stop`, with an exception, and with the calling process.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from hack.cluster import roles
from hack.cluster.api import is_ok
from hack.cluster.binaries import Binaries, find
from hack.cluster.errors import PartFailed
from hack.cluster.etcd_member import ClientFiles, Etcd, make_etcd
from hack.cluster.flags import apiserver_command, controller_manager_command
from hack.cluster.kubeconfig import Credentials, read_kubeconfig, write_kubeconfig
from hack.cluster.pki import Pki, make_pki
from hack.cluster.process import LOOPBACK, Component, free_ports, wait_until
from hack.cluster.state import State, new_state

_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Options:
    """What a caller may choose; see `ControlPlane`."""

    address: str
    etcd_members: int
    etcd_tls: bool
    kcm_approver: bool
    apiserver_flags: tuple[str, ...]
    controller_manager_flags: tuple[str, ...]
    service_cidr: str
    signing_duration: str | None
    keep: bool


class ControlPlane:
    """A control plane of its own, as context manager or with `start` and `stop`.

    Args:
        state_dir: A new or empty folder for everything it writes; None takes a temporary one.
        address: What etcd and the API server listen on: 127.0.0.1, or the address of a bridge of test hosts.
        etcd_members: 1, 3 or 5.
        etcd_tls: Whether etcd wants TLS with client certificates.
        kcm_approver: Let the controller manager approve kubelet client certificates, as kubeadm does. This
            bypasses nodegate, for comparison.
        apiserver_flags: More flags; the last of two equal ones counts.
        controller_manager_flags: The same for the controller manager.
        service_cidr: The range of service addresses.
        signing_duration: The longest life of signed certificates, as a Go duration (`10m`).
        keep: Leave the state behind at `stop`.
        log: Called with one line for each step.

    Attributes:
        state_dir: The folder.
        etcd: The members of etcd.
        apiserver: The kube-apiserver.
        controller_manager: The kube-controller-manager.
        etcd_endpoints: Client URLs of etcd.
        etcd_client_files: The CA, certificate and key of an etcd client; None without TLS.
        server: `https://<address>:<port>`.
        ca_file: The cluster's authority.
        kubeconfig: The administrator's.
        admin_certificate: His client certificate.
        admin_key: Its private key.
    """

    state_dir: Path
    etcd: list[Component]
    apiserver: Component
    controller_manager: Component
    etcd_endpoints: list[str]
    etcd_client_files: ClientFiles | None
    server: str
    ca_file: Path
    kubeconfig: Path
    admin_certificate: Path
    admin_key: Path

    def __init__(  # noqa: PLR0913  # each is one independent choice of the caller, by keyword
        self,
        state_dir: Path | None = None,
        *,
        address: str = LOOPBACK,
        etcd_members: int = 1,
        etcd_tls: bool = True,
        kcm_approver: bool = False,
        apiserver_flags: Sequence[str] = (),
        controller_manager_flags: Sequence[str] = (),
        service_cidr: str = "10.96.0.0/12",
        signing_duration: str | None = None,
        keep: bool = False,
        log: Callable[[str], None] | None = None,
    ) -> None:
        self.options = Options(
            address, etcd_members, etcd_tls, kcm_approver, tuple(apiserver_flags), tuple(controller_manager_flags),
            service_cidr, signing_duration, keep,
        )  # fmt: skip
        self._given_dir = state_dir
        self._log = log or (lambda _: None)
        self._parts: list[Component] = []
        self._state: State | None = None

    @property
    def parts(self) -> list[Component]:
        """Everything that it started, in the order of the start."""
        return list(self._parts)

    @property
    def credentials(self) -> Credentials:
        """The administrator's."""
        return read_kubeconfig(self.kubeconfig)

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    def start(self) -> None:
        """Start everything and wait until it is ready.

        Raises:
            PartFailed: A program ended or did not get ready; with the end of its log.
            NotBuildable: The programs are not to be had.
            ClusterError: The state folder is not empty.
        """
        if self._state:
            return
        self.binaries = find(self._log)
        self._state = new_state(self._given_dir, keep=self.options.keep)
        self.state_dir = self._state.folder
        begun = time.monotonic()
        try:
            self._start_somewhere(self._state)
            self._prepare()
        except BaseException:
            self.stop()
            raise
        self._log(f"ready after {time.monotonic() - begun:.1f} s: {self.server}")

    def _start_somewhere(self, state: State) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._start_parts(self.binaries)
            except PartFailed as error:
                if not error.address_taken or attempt == _ATTEMPTS:
                    raise
                self._log("a chosen port was taken in between; trying others")
                self._stop_parts()
                state.clear()
            else:
                return

    def _start_parts(self, binaries: Binaries) -> None:
        pki = make_pki(self.state_dir / "pki", self.options.service_cidr, self.options.address)
        etcd = make_etcd(
            binaries["etcd"],
            self.state_dir,
            pki,
            members=self.options.etcd_members,
            tls=self.options.etcd_tls,
            address=self.options.address,
        )
        (api_port,), (manager_port,) = free_ports(1, self.options.address), free_ports(1)
        self._publish(pki, etcd, api_port)
        admin = self.credentials
        self.apiserver = Component(
            "kube-apiserver",
            apiserver_command(binaries["kube-apiserver"], pki, etcd, api_port, self.options),
            self.state_dir / "logs" / "kube-apiserver.log",
            ready=lambda: is_ok(admin, "/readyz"),
            ports=(api_port,),
            graceful=False,  # It waits for open watches after SIGTERM, for ever when its etcd is gone.
        )
        manager = Credentials(f"https://127.0.0.1:{manager_port}", admin.ca_pem)
        self.controller_manager = Component(
            "kube-controller-manager",
            controller_manager_command(
                binaries["kube-controller-manager"], self.state_dir, pki, manager_port, self.options
            ),
            self.state_dir / "logs" / "kube-controller-manager.log",
            ready=lambda: is_ok(manager, "/healthz"),
            ports=(manager_port,),
        )
        self._run(self.etcd)
        self._run([self.apiserver])
        self._run([self.controller_manager])

    def _publish(self, pki: Pki, etcd: Etcd, api_port: int) -> None:
        self.etcd, self.etcd_endpoints, self.etcd_client_files = etcd.members, etcd.endpoints, etcd.client_files
        self.server, self.pki = f"https://{self.options.address}:{api_port}", pki
        self.ca_file, self.admin_certificate, self.admin_key = pki.ca.certificate, pki.admin.certificate, pki.admin.key
        self.kubeconfig = write_kubeconfig(
            self.state_dir / "admin.kubeconfig", self.server, self.ca_file, pki.admin, "admin"
        )
        write_kubeconfig(
            self.state_dir / "controller-manager.kubeconfig", self.server, self.ca_file, pki.controller_manager
        )

    def _run(self, parts: Sequence[Component]) -> None:
        for part in parts:
            self._log(f"starting {part.name} on port {part.ports[0]}")
            self._parts.append(part)
            part.start()
        for part in parts:
            part.wait_ready()

    def _prepare(self) -> None:
        """Bind the roles of joining nodes, and wait until the controllers do their work."""
        roles.create(self.credentials, kcm_approver=self.options.kcm_approver)
        wait_until(
            self._has_default_account, 30, lambda: "the controller manager made no ServiceAccount default/default"
        )

    def _has_default_account(self) -> bool:
        with suppress(OSError):
            return is_ok(self.credentials, "/api/v1/namespaces/default/serviceaccounts/default")
        return False

    def stop(self) -> None:
        """End everything, the last started first, and remove the state unless `keep` was asked for."""
        if self._state is None:
            return
        self._stop_parts()
        if not self.options.keep:
            self._state.remove()
        self._state = None

    def _stop_parts(self) -> None:
        while self._parts:
            self._parts.pop().stop()
