"""`Cluster`: a running control plane and what people and tests do with it.

Names come in; kubeconfigs, tokens, nodes and requests leave, all files below `state_dir`. Rules: every answer
of the API server that is an error raises; without credentials of its own a call is the administrator's.
"""

import datetime as dt
import json
import os
import re
import secrets
import string
import subprocess
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal

from hack.cluster import api
from hack.cluster.control_plane import ControlPlane
from hack.cluster.errors import ApiRefused, ClusterError, KubectlFailed
from hack.cluster.kubeconfig import read_kubeconfig, write_kubeconfig
from hack.cluster.nodes import HollowNode
from hack.cluster.pki import issue, subject
from hack.cluster.process import wait_until
from hack.cluster.requests import CSRS, outcomes, send

_TOKEN_ALPHABET = string.ascii_lowercase + string.digits
_FINAL = {"Denied", "Failed"}


class Cluster(ControlPlane):
    """A control plane with hands; its arguments and attributes are `ControlPlane`'s."""

    def kubectl(
        self,
        *args: str,
        input: str | None = None,  # noqa: A002  # the name that subprocess.run gave it
        check: bool = True,
        kubeconfig: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl, by default as the administrator.

        Args:
            args: Its arguments.
            input: Its standard input.
            check: Whether another exit status than 0 raises `KubectlFailed`.
            kubeconfig: Another user's.
        """
        # As environment these reach plugins too, which take flags of their own only.
        settings = {
            "KUBECONFIG": str(kubeconfig or self.kubeconfig),
            "KUBECACHEDIR": str(self.state_dir / "kubectl-cache"),
        }
        done = subprocess.run(
            [self.binaries["kubectl"], *args],
            input=input, capture_output=True, text=True, check=False, env={**os.environ, **settings},
        )  # fmt: skip
        if check and done.returncode:
            raise KubectlFailed(args, done.returncode, done.stderr)
        return done

    def apply(self, yaml_text: str) -> None:
        """Apply manifests server-side."""
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=yaml_text)

    def api(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        credentials: Path | None = None,
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        """Send one JSON request and return the answer.

        Args:
            method: The HTTP method.
            path: With its query.
            body: Becomes JSON.
            credentials: Another user's kubeconfig.
            content_type: Of the body; patches need one of their own.

        Raises:
            ApiRefused: 400 and above; with `status` and `body`.
            OSError: There was no answer.
        """
        who = read_kubeconfig(credentials or self.kubeconfig)
        return api.call(who, method, path, body, content_type=content_type)

    def bootstrap_token(
        self,
        token_id: str,
        secret: str | None = None,
        *,
        groups: Sequence[str] = ("system:bootstrappers:nodegate",),
        expires: dt.datetime | None = None,
    ) -> str:
        """Create a bootstrap token and return it as `id.secret`.

        Args:
            token_id: Six of a-z and 0-9.
            secret: Sixteen of them; None takes random ones.
            groups: Extra groups, each beginning with `system:bootstrappers:`.
            expires: With time zone; None for never.
        """
        if not re.fullmatch(r"[a-z0-9]{6}", token_id):
            raise ClusterError(f"token id: expected six of a-z and 0-9, found {token_id!r}")
        secret = secret or "".join(secrets.choice(_TOKEN_ALPHABET) for _ in range(16))
        data = {
            "token-id": token_id,
            "token-secret": secret,
            "usage-bootstrap-authentication": "true",
            "auth-extra-groups": ",".join(groups),
        }
        if expires:
            data["expiration"] = expires.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        metadata = {"name": f"bootstrap-token-{token_id}", "namespace": "kube-system"}
        manifest = {"metadata": metadata, "type": "bootstrap.kubernetes.io/token", "stringData": data}
        self.api("POST", "/api/v1/namespaces/kube-system/secrets", manifest)
        return f"{token_id}.{secret}"

    def bootstrap_kubeconfig(self, token: str, path: Path | None = None) -> Path:
        """Write a kubeconfig with a bootstrap token and return its path."""
        return self._kubeconfig(path, f"bootstrap-{token.partition('.')[0]}", token)

    def user_kubeconfig(self, user: str, groups: Sequence[str] = (), path: Path | None = None) -> Path:
        """Write a kubeconfig with a new client certificate of the cluster's authority and return its path."""
        label = f"user-{_file_name(user)}-{secrets.token_hex(4)}"
        pair = issue(self.pki.ca, self.state_dir / "users", label, subject(user, groups))
        return self._kubeconfig(path, label, pair)

    def service_account_kubeconfig(self, namespace: str, name: str, path: Path | None = None) -> Path:
        """Write a kubeconfig with a new token of an existing ServiceAccount, good for a day; return its path."""
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": 86400},
        }
        answer = self.api("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token", request)
        return self._kubeconfig(path, f"serviceaccount-{namespace}-{name}", answer["status"]["token"])

    def _kubeconfig(self, path: Path | None, label: str, credential: Any) -> Path:
        target = path or self.state_dir / "users" / f"{label}.kubeconfig"
        return write_kubeconfig(target, self.server, self.ca_file, credential, label)

    def hollow_node(self, name: str, bootstrap_kubeconfig: Path) -> HollowNode:
        """Start a hollow node on a new machine, whatever bears the name already; it ends with the cluster."""
        nodes = self.state_dir / "nodes"
        folder = nodes / name if not (nodes / name).exists() else nodes / f"{name}-{secrets.token_hex(4)}"
        node = HollowNode(self.binaries["kubemark"], name, bootstrap_kubeconfig, folder)
        self._parts.append(node.component)
        return node

    def node(self, name: str) -> dict[str, Any] | None:
        """Return a Node, or None."""
        try:
            return self.api("GET", f"/api/v1/nodes/{name}")
        except ApiRefused as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return None

    def csr(self, name: str) -> dict[str, Any]:
        """Return a CertificateSigningRequest."""
        return self.api("GET", f"{CSRS}/{name}")

    def csrs(self) -> list[dict[str, Any]]:
        """Return all CertificateSigningRequests."""
        items: list[dict[str, Any]] = self.api("GET", CSRS)["items"]
        return items

    def request_renewal(self, kubeconfig: Path, **changes: Any) -> str:
        """Ask for a client certificate as the node whose kubeconfig this is; return the request's name.

        Args:
            kubeconfig: A node's.
            changes: Arguments of `make_csr`, for requests that are wrong on purpose.
        """
        return send(kubeconfig, "client", **changes)

    def request_serving(
        self, kubeconfig: Path, dns: Sequence[str] = (), ips: Sequence[str] = (), **changes: Any
    ) -> str:
        """Ask for a serving certificate as the node whose kubeconfig this is; return the request's name."""
        return send(kubeconfig, "serving", dns=dns, ips=ips, **changes)

    def wait_csr(
        self, name: str, condition: Literal["Approved", "Denied", "Issued"] = "Approved", timeout: float = 30
    ) -> dict[str, Any]:
        """Wait for an outcome of a request and return the request.

        Raises:
            ClusterError: It was decided the other way.
            TimeoutError: Nothing happened.
        """
        found = self.csr(name)

        def reached() -> bool:
            nonlocal found
            found = self.csr(name)
            outcome = outcomes(found)
            if condition not in outcome and outcome & ({"Approved"} if condition == "Denied" else _FINAL):
                raise ClusterError(f"{name}: expected {condition}, found {json.dumps(found['status'])}")
            return condition in outcome

        wait_until(
            reached, timeout, lambda: f"{name}: expected {condition}, found {sorted(outcomes(found)) or 'pending'}"
        )
        return found


def _file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "-", text)
