"""Requests and facts to try the command line on: valid by default, one deviation a call.

What enters are the deviations, what leaves are API objects as plain JSON. The keys are fixed and
Ed25519 signatures are deterministic, so the same call always gives the same object.
"""

import base64
import hashlib
import ipaddress
from collections.abc import Sequence
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from nodegate.names import CLIENT_SIGNER, SERVING_SIGNER

NODE = "node-a"
AT = "2030-01-31T12:00:00Z"


def pem(
    node: str = NODE, *, organization: str = "system:nodes", dns: Sequence[str] = (), ips: Sequence[str] = ()
) -> bytes:
    """Return a PKCS#10 request of a node's subject, with SANs when any are given."""
    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(node.encode()).digest())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{node}"),
        ]
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    names = [x509.DNSName(name) for name in dns]
    addresses = [x509.IPAddress(ipaddress.ip_address(text)) for text in ips]
    if names or addresses:
        builder = builder.add_extension(x509.SubjectAlternativeName([*names, *addresses]), critical=False)
    return builder.sign(key, None).public_bytes(Encoding.PEM)


def bootstrap(name: str = "node-csr-a", *, request: bytes | None = None, **spec: Any) -> dict[str, Any]:
    """Return a first client request by a bootstrap token; keywords replace fields of its spec."""
    return _request(
        name,
        {
            "signerName": CLIENT_SIGNER,
            "username": "system:bootstrap:abcdef",
            "groups": ["system:bootstrappers", "system:authenticated"],
            "usages": ["digital signature", "client auth"],
            "request": base64.b64encode(request or pem()).decode(),
            **spec,
        },
    )


def serving(name: str = "csr-s", *, dns: Sequence[str] = (NODE,), ips: Sequence[str] = ("10.0.0.5",)) -> dict[str, Any]:
    """Return a serving request by the node itself."""
    return _request(
        name,
        {
            "signerName": SERVING_SIGNER,
            "username": f"system:node:{NODE}",
            "groups": ["system:nodes", "system:authenticated"],
            "usages": ["digital signature", "server auth"],
            "request": base64.b64encode(pem(dns=dns, ips=ips)).decode(),
        },
    )


def _request(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name, "uid": f"uid-of-{name}", "creationTimestamp": "2030-01-31T11:55:00Z"},
        "spec": spec,
    }


def decided(body: dict[str, Any], kind: str, reason: str, message: str) -> dict[str, Any]:
    """Return a request with one condition."""
    condition = {"type": kind, "status": "True", "reason": reason, "message": message, "lastUpdateTime": AT}
    return {**body, "status": {"conditions": [condition]}}


def enrollment(name: str = NODE, **spec: Any) -> dict[str, Any]:
    """Return a NodeEnrollment manifest."""
    return {"apiVersion": "nodegate.dev/v1alpha1", "kind": "NodeEnrollment", "metadata": {"name": name}, "spec": spec}


def node(name: str = NODE, *, ready: str = "True", pod_cidr: str = "10.244.0.0/24") -> dict[str, Any]:
    """Return a Node."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "uid": f"uid-of-{name}"},
        "spec": {"podCIDR": pod_cidr, "podCIDRs": [pod_cidr]},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


def service_cidr(*cidrs: str) -> dict[str, Any]:
    """Return a ServiceCIDR."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": list(cidrs)},
    }


def service(name: str = "kubernetes", namespace: str = "default", ip: str = "10.96.0.1") -> dict[str, Any]:
    """Return a Service with one cluster address."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"clusterIP": ip, "clusterIPs": [ip]},
    }


def endpoint_slice(name: str, address: str, *, namespace: str = "default", of: str = "") -> dict[str, Any]:
    """Return an EndpointSlice with one address, labelled as its Service's when one is given."""
    labels = {"kubernetes.io/service-name": of} if of else {}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address]}],
    }


def flannel_network(network: str) -> dict[str, Any]:
    """Return a FlannelNetwork."""
    return {
        "apiVersion": "nodegate.dev/v1alpha1",
        "kind": "FlannelNetwork",
        "metadata": {"name": "default"},
        "spec": {"network": network},
    }
