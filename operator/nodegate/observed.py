"""What the signing requests that exist tell about one node's certificates, as values.

The csr room makes them, the enrollment room records them. Rules: everything is frozen and bounded by the
requests that exist; a request that was deleted tells nothing any more.
"""

import enum
from dataclasses import dataclass
from datetime import datetime

from nodegate.enrollment.model import CertificateRecord


class CertificateKind(enum.StrEnum):
    """The two kinds of certificate that a node has; a metric label."""

    CLIENT = "client"
    SERVING = "serving"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Who let the newest request of a node pass, and when."""

    time: datetime
    ours: bool
    csr_name: str
    reason: str
    """The approver's own word; somebody else's text unless it is ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """What the signer made of the newest approved request of one kind."""

    kind: CertificateKind
    mismatch: str = ""
    """How the certificate differs from what was approved, in a sentence; empty when it does not."""

    refusal: str = ""
    """Why an approval of ours was not signed, in a sentence; empty when it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What the requests that exist tell about one node's certificates."""

    client: tuple[CertificateRecord, ...] = ()
    """Certificates by start, oldest first; so are the others."""

    serving: tuple[CertificateRecord, ...] = ()
    credential_ids: frozenset[str] = frozenset()
    """SHA-256 of the certificates with which the node has made requests."""

    approval: Approval | None = None
    signings: tuple[Signing, ...] = ()
