"""Certificate requests, made as a kubelet makes them, or wrong on purpose.

A node's name or its kubeconfig comes in; a CertificateSigningRequest manifest with its private key leaves.
Rules: the defaults are what kubelet 1.37 sends (EC P-256, generated name, no expiration); every part can be
replaced, because tests need requests that must be refused.
"""

import base64
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from hack.cluster.api import call
from hack.cluster.errors import ClusterError
from hack.cluster.kubeconfig import Credentials, read_kubeconfig
from hack.cluster.pki import new_key
from hack.cluster.pki import subject as make_subject

Signer = Literal["client", "serving"]
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
"""The path of the collection."""

SIGNERS: dict[Signer, str] = {
    "client": "kubernetes.io/kube-apiserver-client-kubelet",
    "serving": "kubernetes.io/kubelet-serving",
}
"""Kubernetes documentation, "Kubernetes signers"."""

_NODE_PREFIX = "system:node:"


class HasKubeconfig(Protocol):
    """A node that wrote a kubeconfig."""

    @property
    def kubeconfig(self) -> Path:
        """Its path."""


@dataclass(frozen=True, slots=True)
class NodeCredentials:
    """What an enrolled node holds.

    Attributes:
        node_name: From its client certificate.
        credentials: To talk to the API server as this node.
        certificate: The client certificate.
    """

    node_name: str
    credentials: Credentials
    certificate: x509.Certificate


def node_credentials(node: HasKubeconfig | Path) -> NodeCredentials:
    """Return the credentials of a node, of its object or its kubeconfig.

    Raises:
        ClusterError: The kubeconfig holds no node's certificate (yet).
    """
    path = node if isinstance(node, Path) else node.kubeconfig
    credentials = read_kubeconfig(path)
    if not credentials.certificate_pem:
        raise ClusterError(f"{path}: expected a node's client certificate, found none; has it been approved?")
    certificate = x509.load_pem_x509_certificate(credentials.certificate_pem)
    name = str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
    if not name.startswith(_NODE_PREFIX):
        raise ClusterError(f"{path}: expected the credentials of {_NODE_PREFIX}<name>, found {name}")
    return NodeCredentials(name.removeprefix(_NODE_PREFIX), credentials, certificate)


def make_csr(
    *,
    node_name: str,
    signer: Signer,
    dns: Sequence[str] = (),
    ips: Sequence[str] = (),
    key: Key | None = None,
    expiration_seconds: int | None = None,
    usages: Sequence[str] | None = None,
    subject: x509.Name | None = None,
) -> tuple[dict[str, Any], Key]:
    """Return a manifest for the API server and the private key of the request.

    Args:
        node_name: CN `system:node:<node_name>`.
        signer: Which of the two kubelet signers.
        dns: DNS alternative names.
        ips: Address alternative names, as text.
        key: EC or RSA; None makes a new EC P-256 key.
        expiration_seconds: Of the spec; None leaves it out, as kubelets do.
        usages: Of the spec; None takes the kubelet's own for this key and signer.
        subject: Instead of O=system:nodes, CN=system:node:<node_name>.
    """
    key = key or new_key()
    name = subject or make_subject(f"{_NODE_PREFIX}{node_name}", ("system:nodes",))
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    if names := [*map(x509.DNSName, dns), *(x509.IPAddress(ipaddress.ip_address(ip)) for ip in ips)]:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    spec: dict[str, Any] = {
        "request": base64.b64encode(pem).decode(),
        "signerName": SIGNERS[signer],
        "usages": list(_usages(signer, key) if usages is None else usages),
    }
    if expiration_seconds is not None:
        spec["expirationSeconds"] = expiration_seconds
    manifest = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"generateName": "csr-"},
        "spec": spec,
    }
    return manifest, key


def _usages(signer: Signer, key: Key) -> list[str]:
    # A kubelet asks for key encipherment only where the key can encipher.
    enciphering = ["key encipherment"] if isinstance(key, rsa.RSAPrivateKey) else []
    return ["digital signature", *enciphering, "client auth" if signer == "client" else "server auth"]


def send(kubeconfig: Path, signer: Signer, **changes: Any) -> str:
    """Create a request as the node whose kubeconfig this is; return the request's name.

    Args:
        kubeconfig: The node's.
        signer: Which of the two kubelet signers.
        changes: Arguments of `make_csr`, instead of what the node would ask for.
    """
    node = node_credentials(kubeconfig)
    manifest, _ = make_csr(**{"node_name": node.node_name, "signer": signer, **changes})
    name: str = call(node.credentials, "POST", CSRS, manifest)["metadata"]["name"]
    return name


def outcomes(csr: dict[str, Any]) -> set[str]:
    """Return the conditions of a request (`Approved`, `Denied`, `Failed`, ...), and `Issued` with a certificate."""
    status = csr.get("status", {})
    found = {item["type"] for item in status.get("conditions", ())}
    return found | ({"Issued"} if status.get("certificate") else set())
