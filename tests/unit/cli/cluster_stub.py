"""A cluster where all is well, served on loopback, and one deviation at a time.

The server is the one of ``test_connection``: it answers by path. What enters are objects, what leaves is
a URL that the plugin asks; rights are answered by a set of what is allowed.
"""

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from nodegate.cli.checks.probe import REVIEWS
from nodegate.cli.checks.rights import needed
from tests.manifests.shipped import CRDS, base_objects, documents
from tests.unit.cli import samples

Body = dict[str, Any]
Review = Mapping[str, Any]

NAMESPACE = "nodegate-system"
OPERATOR = f"system:serviceaccount:{NAMESPACE}:nodegate"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/nodegate"
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
ACCOUNT = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/nodegate"
CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/nodeenrollments.nodegate.dev"
REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
ENROLLMENTS = "/apis/nodegate.dev/v1alpha1/nodeenrollments"
SECRETS = "/api/v1/namespaces/kube-system/secrets"
ROLES, BINDINGS = f"{_RBAC}/clusterroles", f"{_RBAC}/clusterrolebindings"
SERVICE_CIDRS = "/apis/networking.k8s.io/v1/servicecidrs"
TOKEN = "abcdef"  # noqa: S105 - an id, not a secret
PAST, FUTURE = "2020-01-01T00:00:00Z", "2990-01-01T00:00:00Z"


def items(*bodies: Body) -> Body:
    """Return a list as the API server answers it."""
    return {"metadata": {"resourceVersion": "1"}, "items": list(bodies)}


def crd() -> Body:
    """Return the CRD, established."""
    (body,) = documents(CRDS / "nodeenrollments.nodegate.dev.yaml")
    return {**body, "status": {"conditions": [{"type": "Established", "status": "True"}]}}


def deployment(*, ready: int = 1, **variables: str) -> Body:
    """Return the operator's Deployment with further variables."""
    (body,) = json.loads(json.dumps(base_objects("Deployment")))
    environment = body["spec"]["template"]["spec"]["containers"][0]["env"]
    kept = [entry for entry in environment if entry["name"] not in variables]
    kept += [{"name": name, "value": value} for name, value in variables.items()]
    body["spec"]["template"]["spec"]["containers"][0]["env"] = kept
    ready_body: Body = {**body, "status": {"readyReplicas": ready}}
    return ready_body


def binding(name: str, role: str, kind: str, subject: str, namespace: str = "") -> Body:
    """Return a ClusterRoleBinding with one subject."""
    who = {"kind": kind, "name": subject, **({"namespace": namespace} if namespace else {})}
    return {"metadata": {"name": name}, "roleRef": {"name": role}, "subjects": [who]}


def role(name: str, resource: str, verb: str, *names: str) -> Body:
    """Return a ClusterRole with one rule of certificates."""
    rule = {
        "apiGroups": ["certificates.k8s.io"],
        "resources": [resource],
        "verbs": [verb],
        "resourceNames": list(names),
    }
    return {"metadata": {"name": name}, "rules": [rule]}


def secret(token_id: str = TOKEN, *, name: str = "", kind: str = "bootstrap.kubernetes.io/token", **data: str) -> Body:
    """Return the Secret of a bootstrap token; keywords replace its data, underscores standing for hyphens."""
    content = {
        "token-id": token_id,
        "token-secret": "0123456789abcdef",
        "usage-bootstrap-authentication": "true",
        "expiration": FUTURE,
        **{key.replace("_", "-"): value for key, value in data.items()},
    }
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in content.items()}
    return {"metadata": {"name": name or f"bootstrap-token-{token_id}"}, "type": kind, "data": encoded}


def enrolled(name: str = samples.NODE, *, joined: bool = False, behind: bool = False, **spec: Any) -> Body:
    """Return an enrollment that the operator has processed."""
    body = samples.enrollment(name, **spec)
    status: Body = {"observedGeneration": 1 if behind else 2, "phase": "Joined" if joined else "Ready"}
    status |= {"node": {"uid": "x"}} if joined else {}
    meta = {**body["metadata"], "generation": 2, "creationTimestamp": PAST, "uid": f"uid-of-{name}"}
    return {**body, "metadata": meta, "status": status}


def healthy() -> dict[str, Body]:
    """Return the answers of a cluster where nothing is amiss, by path."""
    crn = role("controller", "signers", "approve", "kubernetes.io/kube-apiserver-client-kubelet")
    lease = {"holderIdentity": "pod-1", "renewTime": FUTURE, "leaseDurationSeconds": 15}
    return {
        "/version": {"gitVersion": "v1.37.2", "major": "1", "minor": "37"},
        CRD: crd(),
        DEPLOYMENTS: items(deployment()),
        ACCOUNT: {"metadata": {"name": "nodegate"}},
        LEASE: {"spec": lease},
        SERVICE_CIDRS: items(samples.service_cidr("10.96.0.0/12")),
        "/api/v1/nodes": items(samples.node()),
        "/api/v1/namespaces/default/services": items(samples.service()),
        "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices": items(),
        ENROLLMENTS: items(enrolled(joined=True, bootstrap={"tokenID": "zzzzzz"})),
        REQUESTS: items(),
        ROLES: items(crn),
        BINDINGS: items(
            binding("controller", "controller", "ServiceAccount", "certificate-controller", "kube-system"),
        ),
        "/apis/apps/v1/deployments": items(deployment()),
        "/apis/apps/v1/daemonsets": items(),
        SECRETS: items(),
    }


def allowed(review: Review) -> bool:
    """Tell whether somebody has a right, in a cluster where all is well."""
    spec = review["spec"]
    asked = spec["resourceAttributes"]
    resource = "/".join(filter(None, (asked["resource"], asked["subresource"])))
    if spec["user"] == OPERATOR:
        wanted = (asked["verb"], asked["group"], resource, asked["name"], asked["namespace"])
        return wanted in {tuple(right) for right in needed(NAMESPACE)}
    return resource == "certificatesigningrequests"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # Head and body in one packet: two would wait for each other's acknowledgement.
    server: "Stub"

    def do_GET(self) -> None:
        """Answer by path; a watch is one that ends at once."""
        path = urlsplit(self.path).path
        answer = self.server.answers.get(path)
        if answer is None:
            self._say(404, {"kind": "Status", "reason": "NotFound", "message": f"no {path}"})
        elif isinstance(answer, int):
            self._say(answer, {"kind": "Status", "reason": "Forbidden", "message": f"may not read {path}"})
        else:
            self._say(200, answer)

    def do_POST(self) -> None:
        """Answer a review."""
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if urlsplit(self.path).path != REVIEWS or self.server.allows is None:
            self._say(403, {"kind": "Status", "reason": "Forbidden", "message": "may not ask"})
        else:
            self._say(201, {**review, "status": {"allowed": self.server.allows(review)}})

    def _say(self, status: int, body: Body) -> None:
        data = json.dumps(body).encode()
        self.send_response_only(status)
        if self.server.date:
            self.send_header("Date", self.server.date)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Stub(ThreadingHTTPServer):
    """The server."""

    daemon_threads = True

    def __init__(self, answers: Mapping[str, Any], allows: Callable[[Review], bool] | None, date: str) -> None:
        self.answers, self.allows, self.date = answers, allows, date
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def words(self) -> Sequence[str]:
        """The flags by which the plugin finds it."""
        return ("-s", f"http://127.0.0.1:{self.server_port}")


@contextmanager
def served(
    answers: Mapping[str, Any], allows: Callable[[Review], bool] | None = allowed, date: str = ""
) -> Iterator[Stub]:
    """Serve answers while the block runs; a whole number instead of an answer is a refusal of that status."""
    with Stub(answers, allows, date) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
