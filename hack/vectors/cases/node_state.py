"""Stage 8: another key asks for a name that a node has."""

from hack.vectors import manifests as m
from hack.vectors.vector import bootstrap

_JOINED = {"status": m.joined("p256-b")}
_READY, _BROKEN = (m.node("node-a"),), (m.node("node-a", ready="False"),)

VECTORS = (
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
