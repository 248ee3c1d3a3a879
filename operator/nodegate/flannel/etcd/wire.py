"""What the two APIs have to say for themselves to the transport: a protocol, and what is known of one member."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from nodegate.flannel.etcd.connections import Answer, Request
from nodegate.flannel.etcd.errors import Failure
from nodegate.flannel.etcd.values import ServerVersion


@dataclass(slots=True)
class Member:
    """One endpoint and what it has told since its last failure.

    Attributes:
        url: Of the endpoint.
        version: None until asked.
        cluster_id: Empty until it was seen.
    """

    url: str
    version: ServerVersion | None = None
    cluster_id: str = ""

    def forget(self) -> None:
        """Believe nothing any more: somebody else may listen there next."""
        self.version, self.cluster_id = None, ""


class Wire(Protocol):
    """How one API is spoken."""

    @property
    def probe(self) -> Request:
        """A cheap read whose answer names the cluster."""

    def base(self, version: ServerVersion) -> str | None:
        """Return the path below which a member of this version serves the API, None when it does not."""

    def cluster_id(self, answer: Answer) -> str:
        """Return the cluster that a good answer names, in hexadecimal; empty when it names none."""

    def failure(self, answer: Answer) -> Failure | None:
        """Return what is wrong with an answer, None when the store can use it."""

    def login(self, username: str, password: str) -> Request | None:
        """Return the request for a token, None when the API knows no tokens."""

    def token(self, answer: Answer) -> Mapping[str, str]:
        """Return the headers that prove the login."""
