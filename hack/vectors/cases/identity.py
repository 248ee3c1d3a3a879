"""Stage 5: who asks does not match what is asked for."""

from hack.vectors import manifests as m
from hack.vectors.names import dns, ip
from hack.vectors.request import Request
from hack.vectors.vector import bootstrap, renewal, serving

_NODE_B = (m.enrollment("node-b", m.NODE_B), m.node("node-b"))
_B_NAMES = (dns("node-b"), ip("10.0.0.6"))

VECTORS = (
    serving(
        "RequesterMismatch/ghsa-87pw-5j2g-6376",
        "Talos CCM GHSA-87pw-5j2g-6376: the node was looked up by the first DNS SAN and the common name never compared"
        " with the user, so every node could get a certificate for every other (V50).",
        request=Request(common_name="system:node:node-b", alt_names=_B_NAMES),
        others=_NODE_B,
    ),
    renewal(
        "RequesterMismatch/kubernetes-126015",
        "kubernetes issue 126015: NodeRestriction, where it is on, lets a node ask for its own name only; node-a"
        " asks to become node-b (V50).",
        request=Request(common_name="system:node:node-b"),
        others=_NODE_B,
    ),
    serving(
        "RequesterMismatch/k0s-8333",
        "k0s pull request 8333: a user named like a node but outside the group system:nodes is no node (V51).",
        spec={"groups": ["system:authenticated"]},
    ),
    renewal(
        "RequesterMismatch/renewal-outside-the-group",
        "A renewal by a user outside system:nodes (V51).",
        spec={"groups": ["system:authenticated", "system:nodes2"]},
    ),
    renewal("RequesterMismatch/no-groups", "No groups at all.", spec={"groups": []}),
    renewal(
        "RequesterMismatch/user-with-longer-name",
        "User and common name are compared whole.",
        spec={"username": "system:node:node-a.corp"},
    ),
    renewal(
        "RequesterMismatch/user-in-upper-case",
        "User and common name are compared exactly.",
        spec={"username": "system:node:Node-A"},
    ),
    renewal(
        "RequesterMismatch/user-without-a-name", "The prefix alone names no node.", spec={"username": "system:node:"}
    ),
    renewal(
        "RequesterMismatch/node-in-the-bootstrap-group",
        "A node that is also in the bootstrap group does not become a bootstrapper.",
        request=Request(common_name="system:node:node-b"),
        others=_NODE_B,
        spec={"groups": ["system:nodes", "system:bootstrappers"]},
    ),
    bootstrap(
        "RequesterMismatch/token-outside-the-group",
        "A token's user without the bootstrap group (V53).",
        spec={"groups": ["system:authenticated"]},
    ),
    bootstrap(
        "RequesterMismatch/token-outside-the-set-group",
        "The group is the one that the operator was given.",
        policy={"bootstrapGroup": "example:joiners"},
    ),
    serving(
        "RequesterMismatch/token-asks-for-serving",
        "A token has no serving certificate to ask for.",
        spec={"username": "system:bootstrap:abcdef", "groups": m.TOKEN_GROUPS},
    ),
    serving(
        "RequesterMismatch/group-member-asks-for-serving",
        "A bootstrapper has no serving certificate to ask for.",
        spec={"username": "jane", "groups": m.TOKEN_GROUPS},
    ),
    serving(
        "RequesterMismatch/listed-user-asks-for-serving",
        "A listed user has no serving certificate to ask for.",
        bootstrap={"tokenID": None, "users": ["kubelet-bootstrap"]},
        spec={"username": "kubelet-bootstrap", "groups": ["system:authenticated"]},
    ),
)
