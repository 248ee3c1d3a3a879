"""One kept connection to an API server on which an administrator speaks for anybody.

A user, groups and extras and a request come in; the status and the decoded answer leave. Rules: who is spoken
for stands in the `Impersonate-` headers of each request, so that the API server itself stamps it on what is
created; a connection that breaks is opened anew at the next request; one connection serves one thread.
"""

import http.client
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

from hack.cluster.api import tls_context
from hack.cluster.kubeconfig import Credentials

TIMEOUT_S = 30


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a request comes from, as the API server sees it.

    Attributes:
        username: Any text without control characters.
        groups: `system:authenticated` is added by the API server.
        extra: As an authenticator adds it.
    """

    username: str
    groups: Sequence[str] = ()
    extra: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Self:
        """Return the requester in a CertificateSigningRequest's spec."""
        return cls(spec["username"], tuple(spec["groups"]), spec.get("extra", {}))

    @classmethod
    def token(cls, token_id: str) -> Self:
        """Return the bearer of a bootstrap token."""
        return cls(f"system:bootstrap:{token_id}", ("system:bootstrappers", "system:bootstrappers:nodegate"))

    @classmethod
    def node(cls, name: str) -> Self:
        """Return a node."""
        return cls(f"system:node:{name}", ("system:nodes",))

    def headers(self) -> Iterator[tuple[str, bytes]]:
        """Yield the headers that make a request this identity's."""
        yield "Impersonate-User", self.username.encode()
        for group in self.groups:
            yield "Impersonate-Group", group.encode()
        for key, values in self.extra.items():
            for value in values:
                yield f"Impersonate-Extra-{quote(key, safe='')}", value.encode()


class Connection:
    """The connection; as context manager it is closed at the end.

    Args:
        credentials: An administrator's.
    """

    def __init__(self, credentials: Credentials) -> None:
        url = urlsplit(credentials.server)
        self._http = http.client.HTTPSConnection(
            url.hostname or "", url.port, timeout=TIMEOUT_S, context=tls_context(credentials)
        )

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self._http.close()

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        who: Identity | None = None,
        content_type: str = "application/json",
    ) -> tuple[int, dict[str, Any]]:
        """Send one request.

        Args:
            method: The HTTP method.
            path: With its query.
            body: Becomes JSON.
            who: Whom to speak for; None for the administrator.
            content_type: Of the body.

        Raises:
            OSError: There was no answer.
        """
        try:
            return self._exchange(method, path, json.dumps(body).encode(), content_type, who)
        except http.client.HTTPException as error:
            self._http.close()
            raise ConnectionError(f"{method} {path}: expected an HTTP answer, found {error!r}") from error
        except OSError:
            self._http.close()
            raise

    def _exchange(
        self, method: str, path: str, data: bytes, content_type: str, who: Identity | None
    ) -> tuple[int, dict[str, Any]]:
        self._http.putrequest(method, path)
        for name, value in (("Accept", b"application/json"), ("Content-Type", content_type.encode())):
            self._http.putheader(name, value)
        for name, value in who.headers() if who else ():
            self._http.putheader(name, value)
        self._http.putheader("Content-Length", str(len(data)))
        self._http.endheaders(data)
        answer = self._http.getresponse()
        return answer.status, json.loads(answer.read() or b"{}")
