"""What the API server and etcd answer: reads, and one access review that stores nothing.

A node's configuration and its credentials go in, `ApiFacts` and `EtcdFacts` come out. Rules: every connection verifies
the server against the configured CA, has `TIMEOUT_S`, uses no proxy and reads at most `_LIMIT` bytes.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from nodegate_host.facts.host import Host
from nodegate_host.facts.identity import Loaded, cluster_ca, load_pair
from nodegate_host.facts.model import ApiFacts, EtcdFacts, Lease, NodeObject
from nodegate_host.facts.programs import version_in
from nodegate_host.model import EtcdApi, NodeConfig

TIMEOUT_S = 3.0
_AT_ONCE = 8
"""Endpoints of etcd that are asked at the same time; a cluster has three or five."""
_LIMIT = 4 * 1024 * 1024
_OK, _CREATED, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 200, 201, 401, 403, 404
_REVIEW = {
    "apiVersion": "authorization.k8s.io/v1",
    "kind": "SelfSubjectAccessReview",
    "spec": {
        "resourceAttributes": {
            "group": "certificates.k8s.io",
            "resource": "certificatesigningrequests",
            "verb": "create",
        }
    },
}


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; `status` is 0 when there was none, and `problem` says why."""

    status: int
    body: Any = None
    problem: str = ""


def context_for(authority: str, certificate: bytes = b"", key: bytes = b"") -> ssl.SSLContext:
    """Return a context that trusts `authority` alone; raise ssl.SSLError for a CA or a key that is unusable."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cadata=authority)
    if certificate and key:
        load_pair(context, certificate, key)
    return context


def ask(url: str, path: str, context: ssl.SSLContext | None, *, token: str = "", body: Any = None) -> Answer:
    """Send one request and read its JSON; never raises for what the network does."""
    parts = urlsplit(url)
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    headers.update({"Authorization": f"Bearer {token}"} if token else {})
    connection: http.client.HTTPConnection
    if parts.scheme == "https" and context is not None:
        connection = http.client.HTTPSConnection(
            parts.hostname or "", parts.port or 443, timeout=TIMEOUT_S, context=context
        )
    else:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=TIMEOUT_S)
    try:
        content = None if body is None else json.dumps(body)
        connection.request("GET" if body is None else "POST", path, content, headers)
        answer = connection.getresponse()
        raw = answer.read(_LIMIT).decode("utf-8", "replace")
        return Answer(answer.status, _json(raw))
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, problem=_reason(error))
    finally:
        connection.close()


def _json(raw: str) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {error.verify_message}"
    return str(error) or type(error).__name__


def _reachable(facts: ApiFacts, answer: Answer, authority: str) -> ApiFacts:
    if answer.status == 0:
        is_tls = "certificate" in answer.problem or "SSL" in answer.problem or "TLS" in answer.problem
        return replace(facts, tcp=is_tls, tls=False if is_tls else None, problem=answer.problem)
    version = answer.body.get("gitVersion", "") if isinstance(answer.body, dict) else ""
    return replace(facts, tcp=True, tls=bool(authority), version=version_in(str(version)))


def _token(facts: ApiFacts, url: str, context: ssl.SSLContext, token: str) -> ApiFacts:
    if not token:
        return replace(facts, credential="none")
    answer = ask(url, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", context, token=token, body=_REVIEW)
    if answer.status == _UNAUTHORIZED:
        return replace(facts, credential="rejected")
    if answer.status == _FORBIDDEN:
        return replace(facts, credential="forbidden")
    if answer.status not in (_OK, _CREATED) or not isinstance(answer.body, dict):
        return facts
    return replace(facts, credential="ok", may_request=bool(answer.body.get("status", {}).get("allowed")))


def _node(facts: ApiFacts, url: str, context: ssl.SSLContext, name: str, token: str) -> ApiFacts:
    answer = ask(url, f"/api/v1/nodes/{name}", context, token=token)
    if answer.status == _NOT_FOUND:
        return replace(facts, node_known=True)
    if answer.status != _OK or not isinstance(answer.body, dict):
        return facts
    status = answer.body.get("status", {})
    ready = any(each.get("type") == "Ready" and each.get("status") == "True" for each in status.get("conditions", ()))
    node = NodeObject(
        str(answer.body.get("metadata", {}).get("uid", "")),
        ready,
        str(status.get("nodeInfo", {}).get("machineID", "")),
        tuple(str(each.get("address")) for each in status.get("addresses", ())),
    )
    return replace(facts, node=node, node_known=True)


def api(host: Host, config: NodeConfig, kubelet: Loaded, bootstrap: Loaded) -> ApiFacts:
    """Ask the API server for its version, whether the token is good, and for the Node of our name."""
    url, authority = config.cluster.api_server, cluster_ca(host, config)
    facts = ApiFacts(url)
    try:
        plain = context_for(authority)
        own = context_for(authority, kubelet.certificate, kubelet.key)
    except (ssl.SSLError, ValueError) as error:
        return replace(facts, problem=f"the cluster's CA or the kubelet's certificate cannot be used: {error}")
    facts = _reachable(facts, ask(url, "/version", plain), authority)
    if not facts.tls:
        return facts
    token = config.bootstrap.token or bootstrap.token
    facts = _token(facts, url, plain, token)
    return _node(facts, url, own, config.node.name, "" if kubelet.certificate else token)


def _etcd_context(host: Host, config: NodeConfig) -> ssl.SSLContext | None:
    etcd = config.flannel.etcd
    if not etcd.ca_file:
        return None
    certificate, key = host.data(etcd.cert_file or "") or b"", host.data(etcd.key_file or "") or b""
    return context_for(host.text(etcd.ca_file) or "", certificate, key)


def _range(url: str, context: ssl.SSLContext | None, key: str, *, prefix: bool) -> list[tuple[str, str]] | None:
    """Read a key, or all keys that begin with it, by etcd's v3 JSON gateway; None when it did not answer."""
    body = {"key": base64.b64encode(key.encode()).decode()}
    if prefix:
        body["range_end"] = base64.b64encode(key[:-1].encode() + bytes((ord(key[-1]) + 1,))).decode()
    answer = ask(url, "/v3/kv/range", context, body=body)
    if answer.status != _OK or not isinstance(answer.body, dict):
        return None
    return [
        (
            base64.b64decode(each["key"]).decode("utf-8", "replace"),
            base64.b64decode(each.get("value", "")).decode("utf-8", "replace"),
        )
        for each in answer.body.get("kvs", ())
    ]


def _v2(url: str, context: ssl.SSLContext | None, key: str) -> list[tuple[str, str]] | None:
    """Read a key or a directory by etcd's v2 API; None when it did not answer."""
    answer = ask(url, f"/v2/keys{key}", context)
    if answer.status == _NOT_FOUND and isinstance(answer.body, dict) and "errorCode" in answer.body:
        return []
    if answer.status != _OK or not isinstance(answer.body, dict):
        return None
    node = answer.body.get("node", {})
    return [(str(each.get("key", "")), str(each.get("value", ""))) for each in node.get("nodes", [node])]


def _leases(pairs: list[tuple[str, str]] | None) -> tuple[Lease, ...] | None:
    if pairs is None:
        return None
    found = []
    for key, text in pairs:
        value = _json(text)
        if isinstance(value, dict):
            backend = value.get("BackendData")
            mac = backend.get("VtepMAC", "") if isinstance(backend, dict) else ""
            found.append(Lease(key.rsplit("/", 1)[-1].replace("-", "/"), str(value.get("PublicIP", "")), str(mac)))
    return tuple(found)


def _unhealthy(url: str, context: ssl.SSLContext | None) -> str:
    answer = ask(url, "/health", context)
    return "" if answer.status == _OK else answer.problem or f"HTTP status {answer.status}"


def etcd(host: Host, config: NodeConfig) -> EtcdFacts | None:
    """Ask every endpoint for its health, and a healthy one for flannel's configuration and leases."""
    flannel = config.flannel
    if not flannel.enabled or not flannel.etcd.endpoints:
        return None
    try:
        context = _etcd_context(host, config)
    except (ssl.SSLError, ValueError, OSError) as error:
        return EtcdFacts(dict.fromkeys(flannel.etcd.endpoints, f"its TLS files cannot be used: {error}"))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        problems = pool.map(lambda url: _unhealthy(url, context), flannel.etcd.endpoints)
        health = dict(zip(flannel.etcd.endpoints, problems))
    good = next((url for url, problem in health.items() if not problem), None)
    if good is None:
        return EtcdFacts(health)
    prefix = flannel.etcd.prefix.rstrip("/")
    new, old = _range(good, context, f"{prefix}/config", prefix=False), _v2(good, context, f"{prefix}/config")
    is_v3 = flannel.etcd_api is EtcdApi.V3
    mine, other = (new, old) if is_v3 else (old, new)
    subnets = f"{prefix}/subnets"
    leases = _range(good, context, f"{subnets}/", prefix=True) if is_v3 else _v2(good, context, subnets)
    return EtcdFacts(
        health,
        config=mine[0][1] if mine else None,
        config_read=mine is not None,
        found_in_other_api=not mine and bool(other),
        leases=_leases(leases),
    )
