"""A laboratory for the operator: a real control plane, a real operator, and what people and nodes do to them.

Names and specs come in; enrollments, tokens, nodes and requests leave. Rules: every name is new, so tests can
share a control plane; every wait has a deadline and tells, when it passes, what the request, the enrollment and
the operator say; `clean` deletes whole collections.
"""

import base64
import hashlib
import json
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from http import HTTPStatus
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hack.cluster import ApiRefused, Cluster, HollowNode, make_csr
from hack.cluster.kubeconfig import write_kubeconfig
from hack.cluster.pki import Pair, key_pem, new_key, write_private
from hack.cluster.requests import CSRS, Key, Signer, outcomes
from hack.impersonation import Connection, Identity
from hack.operator_process import OperatorProcess

Document = dict[str, Any]

ENROLLMENTS = "/apis/nodegate.dev/v1alpha1/nodeenrollments"
NODES = "/api/v1/nodes"
MERGE = "application/merge-patch+json"
WAIT_S = 20.0
"""Seconds that anything may take that should be there at once; tests share two cores with others."""

_TOKENS = "/api/v1/namespaces/kube-system/secrets?fieldSelector=type%3Dbootstrap.kubernetes.io%2Ftoken"
_NUMBERS = count(1)


@dataclass(frozen=True, slots=True)
class Token:
    """A bootstrap token in the cluster.

    Attributes:
        token_id: Its public half.
        kubeconfig: With the whole token.
    """

    token_id: str
    kubeconfig: Path


@dataclass(frozen=True, slots=True)
class Joined:
    """A node that has its client certificate, and a Node object that is Ready.

    Attributes:
        name: Of the node.
        kubeconfig: Its own.
        key: Its private key.
        token: What it joined with.
    """

    name: str
    kubeconfig: Path
    key: Key
    token: Token


def key_digest(key: Key | x509.Certificate) -> str:
    """Return the SHA-256 of a public key, as `status.joins` records it."""
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(public).hexdigest()


def log_lines(text: str) -> Iterator[Document]:
    """Yield the operator's log lines, each of which must be one JSON object.

    Raises:
        AssertionError: A line is none.
    """
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            entry = None
        assert isinstance(entry, dict), f"expected one JSON object a line, found {line!r}"
        yield entry


class Lab:
    """One control plane with one operator.

    Args:
        cluster: Running.
        operator: Started or not.
    """

    def __init__(self, cluster: Cluster, operator: OperatorProcess) -> None:
        self.cluster = cluster
        self.operator = operator
        self.secrets: list[str] = []
        self._hollow: list[HollowNode] = []

    # Names and objects

    def name(self, stem: str = "node") -> str:
        """Return a name that nothing else has."""
        return f"{stem}-{next(_NUMBERS)}-{secrets.token_hex(3)}"

    def token(self) -> Token:
        """Create a bootstrap token and a kubeconfig with it."""
        token_id = secrets.token_hex(3)
        token = self.cluster.bootstrap_token(token_id)
        self.secrets.append(token.partition(".")[2])
        return Token(token_id, self.cluster.bootstrap_kubeconfig(token))

    def enroll(self, node: str, /, *, settled: bool = True, **spec: Any) -> None:
        """Apply a NodeEnrollment, and wait until the operator has seen it.

        Args:
            node: Its name.
            settled: Whether to wait.
            spec: Fields of its spec; fields left out are taken away, as `kubectl apply` does.
        """
        body = {"apiVersion": "nodegate.dev/v1alpha1", "kind": "NodeEnrollment", "metadata": {"name": node}}
        path = f"{ENROLLMENTS}/{node}?fieldManager=tests&force=true"
        self.cluster.api("PATCH", path, {**body, "spec": spec}, content_type="application/apply-patch+yaml")
        if settled:
            self.wait(lambda: self.is_settled(node), f"the operator to see enrollment {node}", node=node)

    def is_settled(self, node: str) -> bool:
        """Tell whether the operator has processed the enrollment as it is."""
        body = self.enrollment(node)
        return bool(body.get("status", {}).get("observedGeneration") == body["metadata"]["generation"])

    def enrollment(self, node: str) -> Document:
        """Return an enrollment."""
        return self.cluster.api("GET", f"{ENROLLMENTS}/{node}")

    def status(self, node: str) -> Document:
        """Return an enrollment's status."""
        status: Document = self.enrollment(node).get("status", {})
        return status

    def condition(self, node: str, kind: str) -> Document:
        """Return one condition of an enrollment, or an empty one."""
        return next((c for c in self.status(node).get("conditions", ()) if c["type"] == kind), {})

    def hollow(self, node: str, token: Token) -> HollowNode:
        """Start a hollow node."""
        started = self.cluster.hollow_node(node, token.kubeconfig)
        self._hollow.append(started)
        return started

    def make_node(self, node: str, *, ready: str = "True", addresses: Sequence[Document] = ()) -> None:
        """Create a Node object, or change its status."""
        with suppress(ApiRefused):
            self.cluster.api("POST", NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}})
        condition = {"type": "Ready", "status": ready, "reason": "Test", "message": "set by a test"}
        status = {"status": {"conditions": [condition], "addresses": list(addresses)}}
        self.cluster.api(
            "PATCH", f"{NODES}/{node}/status", status, content_type="application/strategic-merge-patch+json"
        )

    # Requests

    def ask(self, node: str, token: Token, *, key: Key | None = None, **changes: Any) -> str:
        """Ask for a first certificate with a token; return the request's name."""
        manifest, _ = make_csr(node_name=node, signer="client", key=key, **changes)
        answer = self.cluster.api("POST", CSRS, manifest, credentials=token.kubeconfig)
        name: str = answer["metadata"]["name"]
        return name

    def ask_as(self, who: Identity, node: str, signer: Signer = "client", *, name: str = "", **changes: Any) -> str:
        """Ask as anybody; return the request's name."""
        manifest, _ = make_csr(node_name=node, signer=signer, **changes)
        if name:
            manifest["metadata"] = {"name": name}
        with Connection(self.cluster.credentials) as connection:
            status, answer = connection.call("POST", CSRS, manifest, who=who)
        assert status == HTTPStatus.CREATED, answer
        given: str = answer["metadata"]["name"]
        return given

    def join(self, node: str, /, **spec: Any) -> Joined:
        """Enroll a node with a token and bring it in, without a kubelet: certificate, kubeconfig, Ready Node."""
        token = self.token()
        bootstrap = {"tokenID": token.token_id, **spec.pop("bootstrap", {})}
        self.enroll(node, bootstrap=bootstrap, **spec)
        manifest, key = make_csr(node_name=node, signer="client")
        name = self.cluster.api("POST", CSRS, manifest, credentials=token.kubeconfig)["metadata"]["name"]
        self.approved(name, issued=True)
        self.make_node(node)
        self.wait(lambda: self.status(node).get("phase") == "Joined", f"{node} to be Joined", node=node)
        return Joined(node, self._own_kubeconfig(node, name, key), key, token)

    def renew(self, node: Joined) -> tuple[Joined, str]:
        """Renew a node's certificate with the one it has; return it with the new one, and the request's name."""
        key = new_key()
        time.sleep(1.1)  # Moments in certificates are whole seconds: two of the same second have no order.
        csr = self.cluster.request_renewal(node.kubeconfig, key=key)
        self.approved(csr, issued=True)
        return replace(node, kubeconfig=self._own_kubeconfig(node.name, csr, key), key=key), csr

    def _own_kubeconfig(self, node: str, csr: str, key: Key) -> Path:
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        folder = self.cluster.state_dir / "users" / csr
        folder.mkdir(parents=True, exist_ok=True)
        pair = Pair(folder / f"{node}.crt", folder / f"{node}.key")
        write_private(pair.certificate, base64.b64decode(self.cluster.csr(csr)["status"]["certificate"]))
        write_private(pair.key, key_pem(key))
        return write_kubeconfig(folder / f"{node}.kubeconfig", self.cluster.server, self.cluster.ca_file, pair, node)

    # What became of it

    def csr(self, name: str) -> Document:
        """Return a request, whatever characters are in its name."""
        return self.cluster.csr(quote(name, safe=""))

    def conditions(self, csr: str) -> list[Document]:
        """Return a request's conditions."""
        found: list[Document] = self.csr(csr).get("status", {}).get("conditions", [])
        return found

    def approved(self, csr: str, *, issued: bool = False, timeout: float = WAIT_S) -> Document:
        """Wait until a request is approved, and perhaps issued; return its one condition."""
        return self._decided(csr, "Issued" if issued else "Approved", "Approved", timeout)

    def denied(self, csr: str, reason: str) -> Document:
        """Wait until a request is denied for this reason, with a message; return its one condition."""
        condition = self._decided(csr, "Denied", "Denied", WAIT_S)
        assert condition["reason"] == reason, condition
        assert "expected" in condition["message"], condition
        return condition

    def _decided(self, csr: str, outcome: str, kind: str, timeout: float) -> Document:
        self.wait(lambda: self._reached(csr, outcome), f"{csr} to be {outcome}", csr=csr, timeout=timeout)
        (condition,) = self.conditions(csr)
        assert condition["type"] == kind, condition
        return condition

    def _reached(self, csr: str, outcome: str) -> bool:
        found = outcomes(self.csr(csr))
        wrong = found & ({"Approved", "Failed"} if outcome == "Denied" else {"Denied", "Failed"})
        assert not wrong, self._picture(f"{csr} to be {outcome}, found {wrong}", csr, None)
        return outcome in found

    def held(self, csr: str, reason: str) -> Document:
        """Wait until the operator has held a request for this reason; return the audit line."""
        self.wait(lambda: self.last_verdict(csr).get("reasons", [""])[0] == reason, f"Hold {reason}", csr=csr)
        line = self.last_verdict(csr)
        assert line["verdict"] == "Hold", line
        assert self.conditions(csr) == []
        return line

    def audit(self, csr: str | None = None) -> list[Document]:
        """Return the audit lines, of one request or of all."""
        lines = [line for line in log_lines(self.operator.log_text()) if line.get("type") == "audit"]
        return [line for line in lines if csr in (None, line["csr"])]

    def last_verdict(self, csr: str) -> Document:
        """Return the newest audit line of a request, or an empty one."""
        return next(reversed(self.audit(csr)), {})

    def events(self, name: str) -> list[Document]:
        """Return the events about an object."""
        selector = "involvedObject.name=" + re.sub(r"([\\,=])", r"\\\1", name)
        path = f"/api/v1/namespaces/default/events?fieldSelector={quote(selector, safe='')}"
        found: list[Document] = self.cluster.api("GET", path)["items"]
        return found

    # Many at once

    def burst(self, requests: Sequence[tuple[Identity, Document]], threads: int = 4) -> None:
        """Create requests as fast as possible, through outages; each manifest has a name of its own.

        A name that exists already was created by an attempt whose answer was lost.
        """
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(self._create_all, [requests[start::threads] for start in range(threads)]))

    def _create_all(self, requests: Sequence[tuple[Identity, Document]]) -> None:
        with Connection(self.cluster.credentials) as connection:
            for who, manifest in requests:
                self._create(connection, who, manifest)

    def _create(self, connection: Connection, who: Identity, manifest: Document) -> None:
        deadline = time.monotonic() + 3 * WAIT_S
        while True:
            try:
                status, answer = connection.call("POST", CSRS, manifest, who=who)
            except OSError as error:
                status, answer = HTTPStatus.SERVICE_UNAVAILABLE, {"message": str(error)}
            if status in (HTTPStatus.CREATED, HTTPStatus.CONFLICT):
                return
            # Right after its start an API server has not read its roles yet and answers 403.
            assert status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.FORBIDDEN, answer
            assert time.monotonic() < deadline, answer
            time.sleep(0.05)

    # The operator

    def exit_status(self) -> int | None:
        """Return the exit status of the operator, None while it runs."""
        process = self.operator._process
        return process.poll() if process else None

    def said(self, text: str, level: str | None = None) -> list[Document]:
        """Return the operator's log lines that contain a text, of one level or of all."""
        lines = log_lines(self.operator.log_text())
        return [line for line in lines if text in line["msg"] and level in (None, line["level"])]

    # Waiting and cleaning

    def wait(
        self,
        check: Callable[[], bool],
        what: str,
        *,
        csr: str | None = None,
        node: str | None = None,
        timeout: float = WAIT_S,
    ) -> None:
        """Wait until a check holds; an API server that is away for a moment does not end the wait.

        Raises:
            AssertionError: It did not in time; with what the cluster and the operator say.
        """
        deadline = time.monotonic() + timeout
        while not self._holds(check):
            assert time.monotonic() < deadline, self._picture(f"expected within {timeout:g} s: {what}", csr, node)
            time.sleep(0.05)

    def _holds(self, check: Callable[[], bool]) -> bool:
        with suppress(OSError):
            return check()
        return False

    def _picture(self, what: str, csr: str | None, node: str | None) -> str:
        parts = [what]
        with suppress(OSError, ApiRefused):
            if csr:
                parts.append(json.dumps(self.csr(csr).get("status", {}), indent=1))
            if node:
                parts.append(json.dumps(self.enrollment(node), indent=1))
        if self.operator.log_path.exists():
            parts.append(self.operator.log_tail())
        return "\n".join(parts)

    def clean(self) -> None:
        """End the hollow nodes and delete every request, enrollment, Node and bootstrap token."""
        for node in self._hollow:
            node.stop()
        self._hollow.clear()
        for path in (CSRS, ENROLLMENTS, NODES, _TOKENS):
            with suppress(ApiRefused):
                self.cluster.api("DELETE", path)


def first_request(node: str, name: str = "") -> Document:
    """Return a manifest of a first request."""
    manifest, _ = make_csr(node_name=node, signer="client")
    manifest["metadata"] = {"name": name or f"first-{node}"}
    return manifest


def serving_request(node: str, name: str = "", **names: Any) -> Document:
    """Return a manifest of a serving request for the node's own name, or for other names."""
    manifest, _ = make_csr(node_name=node, signer="serving", **(names or {"dns": [node], "ips": ["10.20.0.9"]}))
    manifest["metadata"] = {"name": name or f"serving-{node}"}
    return manifest


def certificate_of(pem_file: Path) -> x509.Certificate:
    """Return the certificate in a kubelet's file of certificate and key."""
    return x509.load_pem_x509_certificate(pem_file.read_bytes())
