"""The Kubernetes objects of the vectors, as the API server would give them out.

What enters are the parts that differ, what leaves are manifests. Rules: the fixture is one cluster: nodes
node-a (10.0.0.5, fd00::5) and node-b (10.0.0.6), API server 10.0.0.1, services 10.96.0.0/12, pods
10.244.0.0/16 and fd00:10:244::/56.
"""

import base64
from typing import Any

from hack.vectors.keys import public_sha256

Manifest = dict[str, Any]

AT = "2030-01-31T12:00:00Z"
"""The moment at which a vector is judged, unless it is about time."""

CREATED = "2030-01-31T11:59:58Z"
CLIENT, SERVING = "kubernetes.io/kube-apiserver-client-kubelet", "kubernetes.io/kubelet-serving"
TOKEN_GROUPS = ["system:bootstrappers", "system:authenticated"]
NODE_GROUPS = ["system:nodes", "system:authenticated"]
CREDENTIAL = "authentication.kubernetes.io/credential-id"


def signing_request(pem: bytes | None, spec: Manifest, **rest: Any) -> Manifest:
    """Return a CertificateSigningRequest; `pem` is None when `spec` brings the request."""
    request = {} if pem is None else {"request": base64.b64encode(pem).decode()}
    metadata = {
        "name": "csr-7x2kq",
        "uid": "5f0c3a52-0a51-4d1c-9f0e-3c3f8f6f2b10",
        "resourceVersion": "4711",
        "creationTimestamp": CREATED,
    }
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": metadata | rest.pop("metadata", {}),
        "spec": {key: value for key, value in (request | spec).items() if value is not None},
        **rest,
    }


def enrollment(name: str, spec: Manifest, **rest: Any) -> Manifest:
    """Return a NodeEnrollment."""
    metadata = {"name": name, "uid": f"e0000000-0000-4000-8000-00000000000{ord(name[-1]) % 10}"}
    return {
        "apiVersion": "nodegate.dev/v1alpha1",
        "kind": "NodeEnrollment",
        "metadata": metadata | rest.pop("metadata", {}),
        "spec": spec,
        **rest,
    }


NODE_A: Manifest = {
    "addresses": ["10.0.0.5", "fd00::5"],
    "dnsNames": ["node-a.corp"],
    "bootstrap": {"tokenID": "abcdef", "notBefore": "2030-01-31T08:00:00Z", "notAfter": "2030-01-31T18:00:00Z"},
}
"""The spec of node-a's enrollment."""

NODE_B: Manifest = {
    "addresses": ["10.0.0.6"],
    "dnsNames": ["node-b.corp"],
    "bootstrap": {"tokenID": "bbbbbb"},
}
"""The spec of node-b's enrollment."""


def node(name: str, *, ready: str = "True", addresses: list[Manifest] | None = None, spec: Any = None) -> Manifest:
    """Return a Node."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "uid": f"d0000000-0000-4000-8000-00000000000{ord(name[-1]) % 10}"},
        "spec": spec or {},
        "status": {
            "addresses": [{"type": "Hostname", "address": name}] if addresses is None else addresses,
            "conditions": [{"type": "Ready", "status": ready}],
        },
    }


def service(name: str = "kubernetes", address: str = "10.96.0.1", namespace: str = "default") -> Manifest:
    """Return a Service."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"clusterIP": address, "clusterIPs": [address]},
    }


def service_cidr(*cidrs: str) -> Manifest:
    """Return the ServiceCIDR of the cluster."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": list(cidrs)},
    }


def api_servers(*addresses: str) -> Manifest:
    """Return the EndpointSlice of the API servers."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "kubernetes"},
        },
        "addressType": "IPv6" if ":" in addresses[0] else "IPv4",
        "endpoints": [{"addresses": list(addresses)}],
    }


def flannel_network() -> Manifest:
    """Return the FlannelNetwork that hands out the pods' addresses."""
    return {
        "apiVersion": "nodegate.dev/v1alpha1",
        "kind": "FlannelNetwork",
        "metadata": {"name": "default"},
        "spec": {"network": "10.244.0.0/16", "ipv6": {"network": "fd00:10:244::/56"}},
    }


RECORDED, PREVIOUS, UNKNOWN = "a1" * 32, "b2" * 32, "c3" * 32
"""SHA-256 of node-a's newest client certificate (the one that requests use), of the one before, of neither."""


def credential(sha256: str) -> Manifest:
    """Return the part of a CSR's spec that says which client certificate the requester used."""
    return {"extra": {CREDENTIAL: [f"X509SHA256={sha256}"]}}


def certified(*, seen: bool, previous: str | None = PREVIOUS) -> Manifest:
    """Return the status of an enrollment whose node holds a client certificate."""
    client = {
        "serial": "0a1b2c",
        "notAfter": "2031-01-31T09:00:00Z",
        "sha256": RECORDED,
        "seen": seen,
        "csrName": "csr-0",
        **({"previousSHA256": previous} if previous else {}),
    }
    return {"certificates": {"client": client}}


def recorded_node(uid: str, joined_at: str = "2030-01-31T09:05:00Z") -> Manifest:
    """Return the status of an enrollment under which the Node of this UID has joined."""
    return {"node": {"uid": uid, "joinedAt": joined_at, "ready": "True"}}


def joined(*keys: str, count: int | None = None) -> Manifest:
    """Return the status of an enrollment under which these keys joined, newest first."""
    joins = [
        {
            "publicKeySHA256": public_sha256(key),
            "csrUID": f"c0000000-0000-4000-8000-{index:012}",
            "csrName": f"csr-{index}",
            "requester": "system:bootstrap:abcdef",
            "time": "2030-01-31T09:00:00Z",
        }
        for index, key in enumerate(keys)
    ]
    return {"joins": joins, "joinCount": len(keys) if count is None else count}
