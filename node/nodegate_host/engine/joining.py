"""How far the node has come on its way into the cluster: seven stages, of which one is the first that is not done.

Facts go in, a `Stage` comes out; `requests` and `look` ask the API server with the node's own credential. A request is
ours when it is for a kubelet's client certificate and its subject's name is exactly ``system:node:<name>``.
"""

from __future__ import annotations

import base64
import binascii
import re
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from nodegate_host import paths
from nodegate_host.engine.sites import Site
from nodegate_host.errors import Stop
from nodegate_host.facts import identity, probes
from nodegate_host.facts.host import Host
from nodegate_host.facts.model import ApiFacts
from nodegate_host.model import NodeConfig

SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
_LIST = "/apis/certificates.k8s.io/v1/certificatesigningrequests?limit=500&fieldSelector=spec.signerName%3D"
_PEM = re.compile(r"-----BEGIN CERTIFICATE REQUEST-----(.*?)-----END CERTIFICATE REQUEST-----", re.DOTALL)
_OK = 200
_UTF8, _PRINTABLE = b"\x0c", b"\x13"


@dataclass(frozen=True)
class Request:
    """A certificate signing request of this node. `state`: pending, approved, denied, failed or issued."""

    name: str
    created: str
    state: str
    message: str = ""


@dataclass(frozen=True)
class Stage:
    """Where the join stands. `state`: done, waiting (time will tell) or stuck (somebody must act)."""

    name: str
    state: str
    message: str


def stage_of(api: ApiFacts, requests: Iterable[Request], *, has_certificate: bool, name: str) -> Stage:
    """Return the first stage that is not done, or the last."""
    if api.tcp is None:
        return Stage("tls", "stuck", api.problem or "the cluster's CA cannot be used")
    if not api.tcp:
        return Stage("tcp", "stuck", f"{api.server} does not answer: {api.problem}")
    if not api.tls:
        return Stage("tls", "stuck", f"{api.server}: {api.problem or 'its certificate does not fit the cluster CA'}")
    if has_certificate:
        return _joined(api, name)
    if api.credential in {"rejected", "none"}:
        found = "is not accepted; it may have expired" if api.credential == "rejected" else "is missing"
        return Stage("token", "stuck", f"the bootstrap token {found}; get a new one: kubectl nodegate token {name}")
    if api.may_request is False:
        return Stage("token", "stuck", "the token may not make requests; bind system:node-bootstrapper to its group")
    return _requested(sorted(requests, key=lambda each: each.created), name)


def _joined(api: ApiFacts, name: str) -> Stage:
    if api.node is None:
        return Stage("node", "waiting", f"the certificate is issued; the Node {name} is not there yet")
    if not api.node.ready:
        return Stage("node", "waiting", f"the Node {name} is there and not Ready; see nodegate-host verify")
    return Stage("node", "done", f"the Node {name} is Ready")


def _requested(requests: list[Request], name: str) -> Stage:
    if not requests:
        return Stage("request", "waiting", "the kubelet has made no request yet; see journalctl -u kubelet")
    last = requests[-1]
    if last.state in {"denied", "failed"}:
        return Stage("approval", "stuck", f"{last.name} was {last.state}: {last.message or 'no reason given'}")
    if last.state == "pending":
        return Stage("approval", "waiting", f"{last.name} waits for approval; kubectl nodegate explain {last.name}")
    return Stage("issue", "waiting", f"{last.name} is {last.state}; the kubelet of {name} has not fetched it yet")


def is_for(pem_base64: str, name: str) -> bool:
    """Return whether a request's ``spec.request`` has exactly the node's name as a subject value."""
    try:
        found = _PEM.search(base64.b64decode(pem_base64).decode("ascii", "replace"))
        der = base64.b64decode(found[1]) if found else b""
    except (binascii.Error, ValueError):
        return False
    wanted = f"system:node:{name}".encode()
    # The value with its own DER length before it: a longer name that begins alike has another length.
    return any(tag + _length(len(wanted)) + wanted in der for tag in (_UTF8, _PRINTABLE))


def _length(count: int) -> bytes:
    """Return a DER length; a name has at most 265 bytes."""
    if count < 0x80:  # noqa: PLR2004 - DER's short form ends here
        return bytes([count])
    digits = count.to_bytes((count.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(digits)]) + digits


def requests_in(body: Any, name: str) -> list[Request]:
    """Return this node's requests from a list as the API server gives it."""
    items = body.get("items", []) if isinstance(body, dict) else []
    return [_request(item) for item in items if is_for(str(item.get("spec", {}).get("request", "")), name)]


def _request(item: Mapping[str, Any]) -> Request:
    meta, status = item.get("metadata", {}), item.get("status", {})
    conditions = {str(each.get("type")): str(each.get("message", "")) for each in status.get("conditions", [])}
    for kind in ("Denied", "Failed"):
        if kind in conditions:
            return Request(str(meta.get("name")), str(meta.get("creationTimestamp")), kind.lower(), conditions[kind])
    state = "issued" if status.get("certificate") else "approved" if "Approved" in conditions else "pending"
    return Request(str(meta.get("name")), str(meta.get("creationTimestamp")), state)


def look(site: Site, config: NodeConfig) -> Stage:
    """Ask the API server once."""
    host = Host(site.disk.root)
    if site.disk.look(paths.CA).kind == "file":
        # The installed copy: node.yaml's own path may be relative to a folder that is not there any more.
        config = replace(config, cluster=replace(config.cluster, ca_file=paths.CA, ca_data=None))
    kubelet, bootstrap = identity.load(host, paths.KUBELET_KUBECONFIG), identity.load(host, paths.BOOTSTRAP_KUBECONFIG)
    config = replace(
        config, bootstrap=replace(config.bootstrap, token=config.bootstrap.token or bootstrap.token or None)
    )
    api = probes.api(host, config, kubelet, bootstrap)
    found = requests(host, config) if api.tls and not site.is_joined() else []
    return stage_of(api, found, has_certificate=site.is_joined(), name=config.node.name)


def requests(host: Host, config: NodeConfig) -> list[Request]:
    """Return this node's requests, as far as the bootstrap token may see them."""
    try:
        context = probes.context_for(identity.cluster_ca(host, config))
    except (ssl.SSLError, ValueError) as error:
        raise Stop(f"the cluster's CA cannot be used: {error}") from error
    answer = probes.ask(config.cluster.api_server, _LIST + SIGNER, context, token=config.bootstrap.token or "")
    return requests_in(answer.body, config.node.name) if answer.status == _OK else []
