"""What the tests of FlannelNetworks share: a resource for a test etcd, its Secret, leases, and waiting for a status.

A lab and a running `EtcdMembers` come in; statuses and what etcdctl reads leave. Rules: each network has a prefix of
its own, so tests can share an etcd; a network is deleted, finalizers and all, when its test is done.
"""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hack.cluster import ApiRefused, Cluster
from hack.cluster.etcd_members import EtcdMembers
from tests.integration.lab import MERGE, Document, Lab
from tests.integration.operator_fixtures import component

NETWORKS = "/apis/nodegate.dev/v1alpha1/flannelnetworks"
SECRETS = "/api/v1/namespaces/nodegate-system/secrets"
SECRET = "flannel-etcd"  # noqa: S105 - the name of one
TLS = {"secretRef": {"namespace": "nodegate-system", "name": SECRET}}
MAIN_SPEC: dict[str, Any] = {
    "flannelVersion": "0.28.10",
    "network": "172.30.0.0/16",
    "subnetLen": 24,
    "backend": {"type": "vxlan"},
    "pollSeconds": 5,
}


@contextmanager
def granted(cluster: Cluster, etcd: EtcdMembers | None = None) -> Iterator[None]:
    """Have the component's objects beside the base, and the Secret for this etcd if one is given."""
    with component(cluster, "flannel"):
        cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd/flannelnetworks.nodegate.dev")
        if etcd is not None:
            put_secret(cluster, etcd)
        yield


def put_secret(cluster: Cluster, etcd: EtcdMembers, client: str = "client", ca: str = "ca") -> None:
    """Create or change the Secret, with certificates by their names in `EtcdCertificates`."""
    pair, authority = getattr(etcd.certificates, client), getattr(etcd.certificates, ca)
    files: dict[str, Path] = {"ca.crt": authority.certificate, "tls.crt": pair.certificate, "tls.key": pair.key}
    data = {key: base64.b64encode(path.read_bytes()).decode() for key, path in files.items()}
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}, "data": data}
    path = f"{SECRETS}/{SECRET}?fieldManager=tests&force=true"
    cluster.api("PATCH", path, body, content_type="application/apply-patch+yaml")


@dataclass(slots=True)
class Network:
    """One FlannelNetwork of a test.

    Attributes:
        lab: With an operator that looks after networks.
        etcd: Running.
        name: Of the network.
        spec: As it was applied last.
    """

    lab: Lab
    etcd: EtcdMembers
    name: str
    spec: dict[str, Any] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        """Where its keys are."""
        return f"/tests/{self.name}"

    def apply(self, *, settled: bool = True, **spec: Any) -> None:
        """Apply the resource: `MAIN_SPEC` with these fields; fields left out go back to it.

        Args:
            settled: Whether to wait until the status speaks of it.
            spec: Fields.
        """
        etcd = {"endpoints": self.etcd.endpoints, "api": "V3", "tls": TLS}
        self.spec = {"prefix": self.prefix, "etcd": etcd, **MAIN_SPEC, **spec}
        body = {"apiVersion": "nodegate.dev/v1alpha1", "kind": "FlannelNetwork", "metadata": {"name": self.name}}
        path = f"{NETWORKS}/{self.name}?fieldManager=tests&force=true"
        content = "application/apply-patch+yaml"
        self.lab.cluster.api("PATCH", path, {**body, "spec": self.spec}, content_type=content)
        if settled:
            self.wait(self.is_settled, "the operator to process it")

    def is_settled(self) -> bool:
        """Tell whether the status speaks of the resource as it is."""
        body = self.body()
        return bool(body.get("status", {}).get("observedGeneration") == body["metadata"]["generation"])

    def body(self) -> Document:
        """Return the object."""
        return self.lab.cluster.api("GET", f"{NETWORKS}/{self.name}")

    def exists(self) -> bool:
        """Tell whether the object is there."""
        with suppress(ApiRefused):
            self.body()
            return True
        return False

    def status(self) -> Document:
        """Return its status."""
        found: Document = self.body().get("status", {})
        return found

    def condition(self, kind: str) -> Document:
        """Return one condition, or an empty one."""
        return next((c for c in self.status().get("conditions", ()) if c["type"] == kind), {})

    def is_now(self, kind: str, status: str, reason: str = "") -> bool:
        """Tell whether a condition has this status, and this reason if one is given."""
        found = self.condition(kind)
        return found.get("status") == status and reason in ("", found.get("reason"))

    def wait_for(self, kind: str, status: str, reason: str = "", timeout: float = 30) -> Document:
        """Wait for a condition and return it."""
        self.wait(lambda: self.is_now(kind, status, reason), f"{kind} {status} {reason}", timeout)
        return self.condition(kind)

    def wait(self, check: Any, what: str, timeout: float = 30) -> None:
        """Wait until a check holds; the status is told when it does not in time."""
        try:
            self.lab.wait(check, what, timeout=timeout)
        except AssertionError as error:
            said = json.dumps(self.body(), indent=1) if self.exists() else "it is gone"
            raise AssertionError(f"{error}\n{said}") from error

    def config(self) -> str:
        """Return what etcdctl reads under the config's key; empty when there is none."""
        return self.etcd.etcdctl("get", f"{self.prefix}/config", "--print-value-only").strip()

    def put_config(self, text: str) -> None:
        """Write the config's key as somebody else would."""
        self.etcd.etcdctl("put", f"{self.prefix}/config", text)

    def put_lease(self, subnet: str, public_ip: str, *, ttl: int = 86400, backend: str = "vxlan") -> str:
        """Write a lease as flannel does; return its key."""
        said = self.etcd.etcdctl("lease", "grant", str(ttl))
        value = {"PublicIP": public_ip, "PublicIPv6": None, "BackendType": backend, "BackendData": {"VNI": 1}}
        key = f"{self.prefix}/subnets/{subnet.replace('/', '-')}"
        self.etcd.etcdctl("put", f"--lease={said.split()[1]}", key, json.dumps(value))
        return key

    def remove(self) -> None:
        """Delete the resource whatever holds it, and its keys."""
        with suppress(ApiRefused):
            gone = {"metadata": {"finalizers": None}}
            self.lab.cluster.api("DELETE", f"{NETWORKS}/{self.name}")
            self.lab.cluster.api("PATCH", f"{NETWORKS}/{self.name}", gone, content_type=MERGE)
        self.lab.wait(lambda: not self.exists(), f"{self.name} to be gone")
        self.etcd.etcdctl("del", "--prefix", f"{self.prefix}/")
