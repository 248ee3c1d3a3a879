"""Nodes for flannel without machines: two network namespaces with a wire between them, each with a real flanneld.

Names come in; running daemons leave, with what they wrote and what they reach. Rules: everything is named at random and
removed on leaving; a namespace has no way out but the wire, and a relay that brings etcd to its loopback; traffic stays
on this machine. Root is needed, and a kernel with veth and vxlan.
"""

import ctypes
import os
import secrets
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from hack.cluster import binaries
from hack.cluster.etcd_members import EtcdMembers
from hack.cluster.process import Component

T = TypeVar("T")

_CLONE_NEWNET: Final = 0x40000000  # linux/sched.h
_WIRE: Final = "uplink"
WIRE_MTU: Final = 1500
"""The wire's; vxlan takes 50 of it."""


def missing() -> str:
    """Return what this machine lacks for such nodes, empty when nothing."""
    if os.geteuid():
        return "expected root, to make network namespaces"
    name = _name()
    try:
        _ip("netns", "add", name)
        _ip("-n", name, "link", "add", "probe", "type", "vxlan", "id", "7", "dstport", "8472")
    except (OSError, subprocess.CalledProcessError) as error:
        return f"expected network namespaces and vxlan, found none: {error}"
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)
    return ""


def _name() -> str:
    return f"ngf-{secrets.token_hex(3)}"


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


def inside(name: str, work: Callable[[], T]) -> T:
    """Do something with sockets in a network namespace, in a thread that ends with it."""
    found: list[T] = []
    failed: list[BaseException] = []

    def enter() -> None:
        try:
            _enter(name)
            found.append(work())
        except BaseException as error:  # noqa: BLE001 - handed on to the caller
            failed.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return found[0]


def _enter(name: str) -> None:
    """Bring the calling thread, and no other, into a network namespace."""
    with Path("/run/netns", name).open("rb") as handle:
        if ctypes.CDLL(None, use_errno=True).setns(handle.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns {name}")


@dataclass(slots=True)
class FlannelNode:
    """One node.

    Attributes:
        name: Of its namespace.
        address: On the wire.
        folder: Where its files are.
        daemon: flanneld.
    """

    name: str
    address: str
    folder: Path
    daemon: Component

    @property
    def environment(self) -> dict[str, str]:
        """What flanneld wrote for the container runtime, empty before."""
        file = self.folder / "subnet.env"
        lines = file.read_text().splitlines() if file.exists() else []
        return {key: value for key, _, value in (line.partition("=") for line in lines)}

    @property
    def pod_address(self) -> str:
        """The first address of its subnet, which a bridge would have."""
        return self.environment["FLANNEL_SUBNET"].partition("/")[0]

    def restart(self) -> None:
        """Stop flanneld and start it again."""
        self.daemon.stop()
        self.daemon.log_path.unlink()  # Readiness is read from the log.
        self.start()

    def start(self) -> None:
        """Start flanneld and wait until it has a subnet."""
        self.daemon.start()
        self.daemon.wait_ready()

    def take_pod_address(self) -> None:
        """Give the namespace the address that a pod would have."""
        _ip("-n", self.name, "address", "replace", f"{self.pod_address}/32", "dev", "lo")

    def listen(self) -> socket.socket:
        """Listen at the pod address."""
        return inside(self.name, lambda: socket.create_server((self.pod_address, 0)))

    def fetch(self, other: tuple[str, int]) -> bytes:
        """Connect from the pod address and return what the other side says."""

        def work() -> bytes:
            with socket.create_connection(other, timeout=10, source_address=(self.pod_address, 0)) as connection:
                return connection.recv(64)

        return inside(self.name, work)


@contextmanager
def flannel_nodes(etcd: EtcdMembers, prefix: str, folder: Path, count: int = 2) -> Iterator[list[FlannelNode]]:
    """Yield nodes on one wire whose flanneld is not started yet; everything is gone afterwards.

    Args:
        etcd: Running.
        prefix: flanneld's `-etcd-prefix`.
        folder: For logs and files.
        count: One or two.
    """
    program = binaries.find(programs=["flanneld"])["flanneld"]
    names = [_name() for _ in range(2)]
    with ExitStack() as stack:
        for name in names:
            _ip("netns", "add", name)
            stack.callback(_ip, "netns", "delete", name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("link", "add", _WIRE, "netns", names[0], "type", "veth", "peer", "name", _WIRE, "netns", names[1])
        nodes = [_node(etcd, prefix, folder / name, name, f"10.88.0.{last}", str(program))
                 for last, name in enumerate(names[:count], 1)]  # fmt: skip
        for last, name in enumerate(names, 1):
            _ip("-n", name, "address", "add", f"10.88.0.{last}/24", "dev", _WIRE)
            _ip("-n", name, "link", "set", _WIRE, "mtu", str(WIRE_MTU), "up")
            stack.enter_context(_relays(name, etcd.endpoints))
        for node in nodes:
            stack.callback(node.daemon.stop)
        yield nodes


def _node(etcd: EtcdMembers, prefix: str, folder: Path, name: str, address: str, program: str) -> FlannelNode:
    folder.mkdir(parents=True)
    pki, file = etcd.certificates, folder / "subnet.env"
    command = [
        shutil.which("ip") or "ip", "netns", "exec", name, program,
        f"-etcd-endpoints={','.join(etcd.endpoints)}",
        f"-etcd-prefix={prefix}",
        f"-etcd-cafile={pki.ca.certificate}",
        f"-etcd-certfile={pki.client.certificate}",
        f"-etcd-keyfile={pki.client.key}",
        f"-iface={_WIRE}",
        "-ip-masq=false",
        "-iptables-forward-rules=false",
        f"-subnet-file={file}",
    ]  # fmt: skip
    log = folder / "flanneld.log"
    daemon = Component("flanneld", command, log, ready=lambda: log.exists() and "flannel is ready" in log.read_text())
    return FlannelNode(name, address, folder, daemon)


@contextmanager
def _relays(name: str, endpoints: Sequence[str]) -> Iterator[None]:
    """Bring etcd's ports to a namespace's own loopback, which its certificates name."""
    ports = [int(url.rpartition(":")[2]) for url in endpoints]
    listeners = [inside(name, lambda port=port: socket.create_server(("127.0.0.1", port))) for port in ports]  # type: ignore[misc] # mypy cannot infer a lambda with a default
    for listener, port in zip(listeners, ports, strict=True):
        threading.Thread(target=_relay, args=(listener, port), daemon=True).start()
    try:
        yield
    finally:
        for listener in listeners:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()


def _relay(listener: socket.socket, port: int) -> None:
    with suppress(OSError):
        while True:
            near, _ = listener.accept()
            threading.Thread(target=_joined, args=(near, port), daemon=True).start()


def _joined(near: socket.socket, port: int) -> None:
    """Pass bytes on in both directions until both sides are through."""
    with near, suppress(OSError), socket.create_connection(("127.0.0.1", port)) as far:
        back = threading.Thread(target=_pump, args=(far, near), daemon=True)
        back.start()
        _pump(near, far)
        back.join()


def _pump(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
    for each in (one, other):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
