"""The command lines of kube-apiserver and kube-controller-manager.

Paths and ports come in; argument lists leave. Rules: everything listens on 127.0.0.1, or the API server on the
address by which test hosts reach it; the API server authorizes nodes and RBAC, admits with NodeRestriction and
verifies kubelets, as kubeadm sets it up; the controller manager signs faster than by default and approves nothing
unless asked; a caller's own flags come last, so that they count.
"""

from pathlib import Path
from typing import Protocol

from hack.cluster.etcd_member import Etcd
from hack.cluster.pki import Pki
from hack.cluster.process import LOOPBACK

ISSUER = "https://kubernetes.default.svc.cluster.local"
"""Of service account tokens; the name that kubeadm uses."""

APPROVING_CONTROLLER = "certificatesigningrequest-approving-controller"
"""Approves kubelet client certificates by itself; off unless asked for."""

_CONTROLLERS = (
    "bootstrap-signer-controller",
    "certificatesigningrequest-signing-controller",
    "clusterrole-aggregation-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "node-lifecycle-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "token-cleaner-controller",
    "validatingadmissionpolicy-status-controller",
)
"""Names of Kubernetes 1.37 (`kube-controller-manager --help`); what needs pods or disks is left out."""


class FlagOptions(Protocol):
    """The choices that end up in flags."""

    @property
    def address(self) -> str:
        """Where the API server listens."""

    @property
    def service_cidr(self) -> str:
        """The range of service addresses."""

    @property
    def apiserver_flags(self) -> tuple[str, ...]:
        """The caller's own flags for the API server."""

    @property
    def kcm_approver(self) -> bool:
        """Whether it approves kubelet client certificates."""

    @property
    def signing_duration(self) -> str | None:
        """The longest life of signed certificates, as a Go duration."""

    @property
    def controller_manager_flags(self) -> tuple[str, ...]:
        """The caller's own flags for the controller manager."""


def apiserver_command(program: str, pki: Pki, etcd: Etcd, port: int, options: FlagOptions) -> list[str]:
    """Return the command line of kube-apiserver."""
    flags = {
        "advertise-address": options.address,
        "allow-privileged": "true",
        "authorization-mode": "Node,RBAC",
        "bind-address": options.address,
        "client-ca-file": pki.ca.certificate,
        "enable-admission-plugins": "NodeRestriction",
        "enable-bootstrap-token-auth": "true",
        # The address of a loopback server is no valid endpoint of a service.
        "endpoint-reconciler-type": "none" if options.address == LOOPBACK else "lease",
        "kubelet-certificate-authority": pki.ca.certificate,
        "kubelet-client-certificate": pki.kubelet_client.certificate,
        "kubelet-client-key": pki.kubelet_client.key,
        # The names of test hosts are nowhere to be looked up.
        "kubelet-preferred-address-types": "InternalIP,Hostname",
        "etcd-servers": ",".join(etcd.endpoints),
        "secure-port": port,
        "service-account-issuer": ISSUER,
        "service-account-key-file": pki.service_accounts.certificate,
        "service-account-signing-key-file": pki.service_accounts.key,
        "service-cluster-ip-range": options.service_cidr,
        "tls-cert-file": pki.api_server.certificate,
        "tls-private-key-file": pki.api_server.key,
    }
    if files := etcd.client_files:
        flags |= {"etcd-cafile": files.ca, "etcd-certfile": files.certificate, "etcd-keyfile": files.key}
    return [program, *(f"--{name}={value}" for name, value in flags.items()), *options.apiserver_flags]


def controller_manager_command(program: str, state_dir: Path, pki: Pki, port: int, options: FlagOptions) -> list[str]:
    """Return the command line of kube-controller-manager."""
    controllers = [*_CONTROLLERS, *([APPROVING_CONTROLLER] if options.kcm_approver else [])]
    flags = {
        "bind-address": "127.0.0.1",
        "cluster-signing-cert-file": pki.ca.certificate,
        "cluster-signing-key-file": pki.ca.key,
        "controllers": ",".join(controllers),
        # The default of 20 requests a second is also the limit of signatures a second.
        "kube-api-burst": 1000,
        "kube-api-qps": 500,
        "kubeconfig": state_dir / "controller-manager.kubeconfig",
        # It is alone; after a kill it would otherwise wait for its own lease to run out.
        "leader-elect": "false",
        "root-ca-file": pki.ca.certificate,
        "secure-port": port,
        "service-account-private-key-file": pki.service_accounts.key,
        "tls-cert-file": pki.api_server.certificate,
        "tls-private-key-file": pki.api_server.key,
        "use-service-account-credentials": "false",
    }
    if options.signing_duration:
        flags["cluster-signing-duration"] = options.signing_duration
    return [program, *(f"--{name}={value}" for name, value in flags.items()), *options.controller_manager_flags]
