"""Makes enrollments and requests in bulk, as the API server would see them from real nodes.

Requests are created by impersonation, so that the API server stamps the user that a bootstrap token
or a node would have. Keys are made once and shared: making them is not what is measured.
"""

import asyncio
import base64
import hashlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
ENROLLMENTS = "/apis/nodegate.dev/v1alpha1/nodeenrollments"
IN_FLIGHT = 32
"""Requests in flight of every client here, the operator's own number of workers."""


@dataclass(frozen=True, slots=True)
class Api:
    """An administrator's session with the API server."""

    session: aiohttp.ClientSession
    server: str

    async def call(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None, ok: Iterable[int] = ()
    ) -> Any:
        """Make one call and return the answer's object.

        Raises:
            RuntimeError: The API server refused it.
        """
        async with self.session.request(method, self.server + path, json=body, headers=headers) as response:
            answer = await response.json(content_type=None)
            if response.status >= 400 and response.status not in ok:  # noqa: PLR2004 - HTTP's errors
                raise RuntimeError(f"{method} {path}: {response.status} {answer.get('message')}")
            return answer


@asynccontextmanager
async def connect(server: str, ca_file: str, certificate: str, key: str) -> AsyncIterator[Api]:
    """Open a session of `IN_FLIGHT` connections with a client certificate."""
    context = ssl.create_default_context(cafile=ca_file)
    context.load_cert_chain(certificate, key)
    connector = aiohttp.TCPConnector(limit=IN_FLIGHT, ssl=context)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Api(session, server)


async def each(items: Iterable[Any], work: Callable[[Any], Awaitable[None]]) -> None:
    """Do the work for every item, `IN_FLIGHT` at once, oldest first."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(worker())


async def make_enrollments(api: Api, names: Iterable[str]) -> None:
    """Create an open enrollment for each name."""

    async def create(name: str) -> None:
        body = {"apiVersion": "nodegate.dev/v1alpha1", "kind": "NodeEnrollment", "metadata": {"name": name}, "spec": {}}
        await api.call("POST", ENROLLMENTS, body, ok=(409,))

    await each(names, create)


def request_pem(node: str) -> bytes:
    """Return a first certificate's request for a node, with a fresh P-256 key."""
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{node}"),
        ]
    )
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM)


async def make_request(api: Api, name: str, node: str, pem: bytes | None = None) -> None:
    """Create a bootstrap request as the user of the node's own token; with this request if one is given."""
    body = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name},
        "spec": {
            "request": base64.b64encode(pem or request_pem(node)).decode(),
            "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
            "usages": ["digital signature", "client auth"],
        },
    }
    # Each node has a token of its own: the rate of one that all share would be measured instead.
    token_id = hashlib.sha256(node.encode()).hexdigest()[:6]
    headers = {"Impersonate-User": f"system:bootstrap:{token_id}", "Impersonate-Group": "system:bootstrappers"}
    await api.call("POST", CSRS, body, headers=headers)


async def make_requests(api: Api, prefix: str, nodes: Iterable[str]) -> list[str]:
    """Create a bootstrap request for each node and return the requests' names."""
    names = {f"{prefix}-{node}": node for node in nodes}
    await each(names.items(), lambda pair: make_request(api, *pair))
    return list(names)


async def flood(api: Api, node: str, count: int) -> None:
    """Create `count` requests for one node with its one token and one key, as fast as the API server takes them."""
    pem = request_pem(node)
    await each(range(count), lambda number: make_request(api, f"flood-{number:05}", node, pem))
