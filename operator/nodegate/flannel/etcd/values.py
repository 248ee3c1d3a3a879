"""What goes into the etcd client and what comes out, as values. Pure.

Rules: both stores speak of keys with the same words. A revision is v3's ``mod_revision`` or v2's ``modifiedIndex``;
0 stands for an absent key. Keys are text (bytes that are no UTF-8 are kept as surrogates), values are bytes.
"""

import enum
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from nodegate.errors import Malformed

ENDPOINTS_LIMIT: Final = 9
"""Endpoints at most, the bound of the FlannelNetwork schema."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the members of one etcd listen for clients, in the order in which they are tried.

    Attributes:
        urls: ``https://host:port`` or ``http://host:port``, without path, unique.
    """

    urls: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse what cannot be used.

        Raises:
            Malformed: The URLs are none, too many, repeated, or of another form.
        """
        if not 1 <= len(self.urls) <= ENDPOINTS_LIMIT or len(set(self.urls)) != len(self.urls):
            raise Malformed(f"etcd endpoints: expected 1 to {ENDPOINTS_LIMIT} different URLs, found {len(self.urls)}")
        for url in self.urls:
            if not _is_endpoint(url):
                raise Malformed(f"etcd endpoint: expected https://host:port, found {url!r}: leave path and user out")

    @property
    def tls(self) -> bool:
        """Whether any of them needs TLS."""
        return any(url.startswith("https:") for url in self.urls)


def _is_endpoint(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return (
        url == f"{parts.scheme}://{parts.netloc}"
        and "@" not in url
        and bool(parts.scheme in {"http", "https"} and parts.hostname and port)
    )


@dataclass(frozen=True, slots=True)
class Limits:
    """How long things may last, in seconds.

    Attributes:
        connect_s: To connect, TLS included.
        op_s: One request, connecting included.
        total_s: One request over all its attempts at all endpoints; reading what became of a write whose answer was
            lost is a request of its own.
        watch_idle_s: Without a word on a watch, after which it is opened again: a frozen member says nothing.
    """

    connect_s: float = 1.0
    op_s: float = 2.0
    total_s: float = 10.0
    watch_idle_s: float = 15.0


@dataclass(frozen=True, slots=True)
class KeyValue:
    """One key as it is.

    Attributes:
        key: The whole key, such as ``/coreos.com/network/subnets/10.5.3.0-24``.
        value: What it holds.
        mod_revision: When it was written last.
        create_revision: When it was created.
        lease_id: The etcd lease that ends it, v3 only; 0 for none.
        ttl_s: Seconds it has left, v2 only; None without an end. Ask `EtcdClient.ttl` for both stores.
    """

    key: str
    value: bytes
    mod_revision: int
    create_revision: int
    lease_id: int = 0
    ttl_s: int | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Config and leases at one revision.

    Attributes:
        config: ``<prefix>/config``, None when absent.
        leases: Every key under ``<prefix>/subnets/``.
        strays: Keys that begin with ``<prefix>/subnets`` but are not under it: flannel 0.18 and newer lists them
            among its leases. v3 only.
        revision: Of the whole store: pass it on as `judged_revision`.
        cluster_id: Hexadecimal, as etcd writes it.
    """

    config: KeyValue | None
    leases: tuple[KeyValue, ...]
    revision: int
    cluster_id: str
    strays: tuple[KeyValue, ...] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """The write took effect.

    Attributes:
        mod_revision: Of the key since this write; of a deletion, a revision at which the key was gone.
        reread: The answer was lost, and reading again has shown the outcome.
    """

    mod_revision: int
    reread: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """The write had no effect (or was taken back): read, judge again.

    Attributes:
        found: The key as it is, None when absent.
        leases_changed: A lease was written after `judged_revision`, or is in the way of a deletion.
        reread: The answer was lost, and reading again has shown the outcome.
        unsettled: The answer was lost, and the key has been written again by somebody since; whether this
            write took effect in between cannot be known any more.
    """

    found: KeyValue | None
    leases_changed: bool = False
    reread: bool = False
    unsettled: bool = False


Outcome = Written | Lost
"""What became of a guarded write."""


class Kind(enum.StrEnum):
    """What a watch tells."""

    PUT = "put"
    DELETE = "delete"
    RELIST = "relist"


@dataclass(frozen=True, slots=True)
class Change:
    """One thing a watch has seen.

    Attributes:
        kind: RELIST means that changes may have been missed: read a snapshot and watch from there.
        key: The config or a key under ``<prefix>/subnets``; empty for RELIST.
        value: The new value; empty unless PUT.
        mod_revision: Of this change; 0 for RELIST.
    """

    kind: Kind
    key: str = ""
    value: bytes = b""
    mod_revision: int = 0


@dataclass(frozen=True, slots=True)
class ServerVersion:
    """What ``GET /version`` says: of the member asked, and the one that all members agree on."""

    server: str
    cluster: str


@dataclass(frozen=True, slots=True)
class EndpointStatus:
    """How one endpoint is.

    Attributes:
        url: Of the endpoint.
        ok: It answers, serves the wanted API, and belongs to the pinned cluster.
        reason: Of `errors.Reason`, empty when ok.
        message: What to do about it, empty when ok.
        version: Of the member, empty when unknown.
        cluster_id: Hexadecimal, empty when unknown.
    """

    url: str
    ok: bool
    reason: str = ""
    message: str = ""
    version: str = ""
    cluster_id: str = ""
