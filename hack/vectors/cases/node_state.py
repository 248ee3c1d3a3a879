"""Stage 8: another key, an old certificate or another Node stands for a name that a node has."""

from hack.vectors import manifests as m
from hack.vectors.request import Request
from hack.vectors.vector import bootstrap, renewal, serving

_JOINED = {"status": m.joined("p256-b")}
_READY, _BROKEN = (m.node("node-a"),), (m.node("node-a", ready="False"),)
_NEVER = {"rejoin": "Never"}
_OLD_UID, _NEW_UID = "d0000000-0000-4000-8000-00000000000f", "d0000000-0000-4000-8000-000000000007"
"""The UID of the Node that joined, and the one of the Node that has its name now."""

_REPLACED = {"status": m.recorded_node(_OLD_UID) | m.joined("p256-a")}
_ACCEPT = "nodegate.dev/accept-node-uid"


def _other(*keys: str, **spec: object) -> tuple[m.Manifest, ...]:
    """Return node-b's enrollment, under which these keys have joined."""
    return (m.enrollment("node-b", m.NODE_B | spec, status=m.joined(*keys)),)


_JOIN_RULE = (
    bootstrap(
        "NodeAlreadyJoined/kops-409-node-ready",
        "kops-controller answers 409 when the Node exists and is Ready, so that a node is not impersonated (V60).",
        enrolled=_JOINED,
        others=_READY,
    ),
    bootstrap("NodeAlreadyJoined/ready-without-a-record", "A Node that joined before nodegate came.", others=_READY),
    bootstrap(
        "NodeAlreadyJoined/older-key",
        "Older keys count as other keys: a copied one is of no use.",
        enrolled={"status": m.joined("p256-b", "p256-a")},
        others=_READY,
    ),
    bootstrap(
        "NodeAlreadyJoined/never-while-gone",
        "Never: no other key after the first join, also when no Node exists.",
        enrollment={"rejoin": "Never"},
        enrolled=_JOINED,
    ),
    bootstrap(
        "NodeAlreadyJoined/cve-2025-5187-deleted-itself",
        "CVE-2025-5187: a node deletes itself to register anew; that a name is free proves no new machine.",
        enrollment={"rejoin": "Never"},
        enrolled={"status": m.joined("p256-b", "p256-c")},
    ),
    bootstrap(
        "NodeAlreadyJoined/never-without-a-record",
        "Never counts a Node without a recorded join as joined.",
        enrollment={"rejoin": "Never"},
        others=_BROKEN,
    ),
    bootstrap(
        "NodeAlreadyJoined/when-gone-but-broken",
        "WhenGone: a Node that is not Ready still exists.",
        enrollment={"rejoin": "WhenGone"},
        enrolled=_JOINED,
        others=_BROKEN,
    ),
    bootstrap(
        "NodeAlreadyJoined/never-older-key",
        "Never: only the newest join's key is a retry.",
        enrollment={"rejoin": "Never"},
        enrolled={"status": m.joined("p256-b", "p256-a")},
    ),
)

_KEYS = (
    bootstrap(
        "KeyReused/cloned-image",
        "A host cloned after its first boot asks with the key of the other (V64).",
        others=_other("p256-a"),
    ),
    bootstrap(
        "KeyReused/of-a-revoked-node",
        "The key of a revoked node must not come back under another name.",
        others=_other("p256-a", state="Revoked"),
    ),
    bootstrap(
        "KeyReused/older-join-of-another",
        "Every recorded join of another node counts, not only its newest.",
        others=_other("p256-c", "p256-a"),
    ),
    bootstrap(
        "KeyReused/retry-of-a-key-that-two-joined-with",
        "A retry is no excuse: the key stands under two names.",
        enrolled={"status": m.joined("p256-a")},
        others=_other("p256-a"),
    ),
    renewal("KeyReused/renewal", "A node renews with the key of another.", others=_other("p256-b")),
    serving("KeyReused/serving", "A node serves with the key of another.", others=_other("p256-b")),
    bootstrap(
        "BootstrapApproved/another-key-than-the-neighbours",
        "Other nodes' joins bear on their own keys only (neighbour of V64).",
        others=_other("p256-b", "p256-c"),
    ),
    renewal(
        "RenewalApproved/with-the-key-of-its-own-join",
        "A kubelet may renew with the key that it has joined with: it is no other node's.",
        request=Request(key="p256-a"),
        enrolled={"status": m.joined("p256-a")},
        others=_other("p256-b"),
    ),
)

_CREDENTIALS = (
    renewal(
        "CredentialSuperseded/renewal",
        "The certificate before the newest one, which has been used: somebody holds a copy (V65).",
        spec=m.credential(m.PREVIOUS),
        enrolled={"status": m.certified(seen=True)},
    ),
    serving(
        "CredentialSuperseded/serving",
        "Lineage judges renewals and serving requests alike.",
        spec=m.credential(m.PREVIOUS),
        enrolled={"status": m.certified(seen=True)},
    ),
    renewal(
        "CredentialSuperseded/other-case",
        "Fingerprints are compared as numbers, whatever the case of their digits.",
        spec=m.credential(m.PREVIOUS.upper()),
        enrolled={"status": m.certified(seen=True)},
    ),
    renewal(
        "CredentialSuperseded/unknown-when-known-is-required",
        "--require-known-credential: a certificate of no record is held.",
        policy={"requireKnownCredential": True},
        spec=m.credential(m.UNKNOWN),
        enrolled={"status": m.certified(seen=False)},
    ),
    renewal(
        "CredentialSuperseded/absent-when-known-is-required",
        "--require-known-credential: an API server that does not name the certificate is no excuse (V66, strict mode).",
        policy={"requireKnownCredential": True},
        spec={"extra": None},
        enrolled={"status": m.certified(seen=False)},
    ),
    serving(
        "CredentialSuperseded/no-record-when-known-is-required",
        "--require-known-credential: without a record nothing is known.",
        policy={"requireKnownCredential": True},
    ),
    renewal(
        "RenewalApproved/newest-credential",
        "The certificate that was issued last (V3).",
        enrolled={"status": m.certified(seen=True)},
    ),
    renewal(
        "RenewalApproved/newest-credential-when-known-is-required",
        "--require-known-credential: the recorded certificate is known.",
        policy={"requireKnownCredential": True},
        enrolled={"status": m.certified(seen=False)},
    ),
    renewal(
        "RenewalApproved/previous-credential-while-the-newest-is-unused",
        "A kubelet that lost its newest certificate before using it is not locked out (neighbour of V65).",
        spec=m.credential(m.PREVIOUS),
        enrolled={"status": m.certified(seen=False)},
    ),
    renewal(
        "RenewalApproved/unknown-credential",
        "A certificate of no record passes with a warning: it may be older than nodegate.",
        spec=m.credential(m.UNKNOWN),
        enrolled={"status": m.certified(seen=True)},
    ),
    renewal(
        "RenewalApproved/credential-id-absent-with-a-record",
        "An API server before 1.32 names no certificate, and there is a record to compare with (V66).",
        spec={"extra": None},
        enrolled={"status": m.certified(seen=True)},
    ),
    serving(
        "ServingApproved/previous-credential-while-the-newest-is-unused",
        "A serving request may be made with the certificate before the newest one, too.",
        spec=m.credential(m.PREVIOUS),
        enrolled={"status": m.certified(seen=False)},
    ),
)

_NODES = (
    renewal(
        "NodeReplaced/cve-2025-5187-registered-anew",
        "CVE-2025-5187: a node deletes its Node and registers it anew, without the labels and taints that it had.",
        enrollment=_NEVER,
        enrolled=_REPLACED,
    ),
    serving(
        "NodeReplaced/serving",
        "A serving request is held like a renewal.",
        enrollment=_NEVER,
        enrolled=_REPLACED,
    ),
    renewal(
        "NodeReplaced/without-a-join",
        "A Node that joined before nodegate came and was replaced since.",
        enrollment=_NEVER,
        enrolled={"status": m.recorded_node(_OLD_UID)},
    ),
    renewal(
        "NodeReplaced/another-uid-accepted",
        "The annotation is good for the UID that it names only.",
        enrollment=_NEVER,
        enrolled=_REPLACED | {"metadata": {"annotations": {_ACCEPT: "d0000000-0000-4000-8000-00000000000e"}}},
    ),
    renewal(
        "NodeReplaced/join-of-the-same-moment",
        "A join that is not newer than the recorded Node announces no other.",
        enrollment=_NEVER,
        enrolled={"status": m.recorded_node(_OLD_UID, "2030-01-31T09:00:00Z") | m.joined("p256-a")},
    ),
    renewal(
        "RenewalApproved/the-recorded-node",
        "Never, and the Node is the one that joined.",
        enrollment=_NEVER,
        enrolled={"status": m.recorded_node(_NEW_UID) | m.joined("p256-a")},
    ),
    renewal(
        "RenewalApproved/replaced-node-accepted",
        "An administrator has accepted the Node's new UID.",
        enrollment=_NEVER,
        enrolled=_REPLACED | {"metadata": {"annotations": {_ACCEPT: _NEW_UID}}},
    ),
    renewal(
        "RenewalApproved/replaced-node-after-a-newer-join",
        "A join after the recorded Node's announces a new one.",
        enrollment=_NEVER,
        enrolled={"status": m.recorded_node(_OLD_UID, "2030-01-31T08:05:00Z") | m.joined("p256-a")},
    ),
    *(
        renewal(
            f"RenewalApproved/replaced-node-rejoin-{name}",
            f"{rejoin}: a kubelet registers its deleted Node again by itself, with its still valid certificate.",
            enrollment={"rejoin": rejoin},
            enrolled=_REPLACED,
        )
        for name, rejoin in (("when-gone", "WhenGone"), ("when-not-ready", "WhenNotReady"), ("always", "Always"))
    ),
    renewal(
        "RenewalApproved/replaced-node-not-there",
        "Never, and no Node at all: there is nothing to compare with yet.",
        enrollment=_NEVER,
        enrolled=_REPLACED,
        without=("Node",),
    ),
    serving(
        "ServingApproved/replaced-node-accepted",
        "An administrator has accepted the Node's new UID.",
        enrollment=_NEVER,
        enrolled=_REPLACED | {"metadata": {"annotations": {_ACCEPT: _NEW_UID}}},
    ),
    bootstrap(
        "BootstrapApproved/retry-while-the-node-is-another",
        "The newest join's key gets no more than it has; what the Node does with it is held.",
        enrollment=_NEVER,
        enrolled=_REPLACED,
        others=_READY,
    ),
)

VECTORS = (*_JOIN_RULE, *_KEYS, *_CREDENTIALS, *_NODES)
