"""Stage 6: what the enrollment says about who may ask, and when."""

from hack.vectors import manifests as m
from hack.vectors.keys import public_sha256
from hack.vectors.names import dns, ip
from hack.vectors.request import Request
from hack.vectors.vector import bootstrap, renewal, serving

_ISSUE = {"tokenID": None, "token": {"issue": True}}
_OPEN = {"tokenID": None}
_STATES = ("bootstrap", bootstrap), ("renewal", renewal), ("serving", serving)


def _minted(token_id: str, *, issue: bool = True) -> m.Manifest:
    """Return node-b's enrollment, for which the operator has made this token; else it merely pins it."""
    bootstrap = {"token": {"issue": True}} if issue else {"tokenID": token_id}
    status = {"status": {"bootstrap": {"tokenID": token_id}}} if issue else {}
    return m.enrollment("node-b", m.NODE_B | {"bootstrap": bootstrap}, **status)


VECTORS = (
    bootstrap("NotEnrolled/none", "No enrollment at all (V54).", enrollment=None),
    bootstrap(
        "NotEnrolled/origin-22831-stolen-token",
        "A pod steals bootstrap credentials and makes up a node's name (openshift/origin pull request 22831).",
        request=Request(common_name="system:node:evil"),
    ),
    bootstrap(
        "NotEnrolled/windows-machine-config-substring",
        "An enrolled name is a part of the asked one: names are compared whole (windows-machine-config-operator).",
        request=Request(common_name="system:node:node-a1"),
    ),
    bootstrap(
        "NotEnrolled/group-member",
        "Not a token but another member of the bootstrap group asks for a name that nobody enrolled.",
        enrollment=None,
        spec={"username": "jane"},
    ),
    bootstrap(
        "NotEnrolled/shorter-name",
        "The asked name is a part of an enrolled one.",
        request=Request(common_name="system:node:node"),
    ),
    renewal("NotEnrolled/renewal", "A running node whose enrollment was deleted renews no more.", enrollment=None),
    bootstrap(
        "EnrollmentNotReady/not-processed",
        "The operator has not seen this generation yet.",
        enrolled={"metadata": {"generation": 3}, "status": {"observedGeneration": 2}},
        found="3",
    ),
    renewal(
        "EnrollmentNotReady/never-processed",
        "A status that speaks of no generation (V80).",
        enrolled={"metadata": {"generation": 1}, "status": {"phase": "Pending"}},
    ),
    bootstrap("EnrollmentNotReady/token-not-minted", "A token is to be issued and is not yet (V55).", bootstrap=_ISSUE),
    bootstrap(
        "EnrollmentNotReady/lists-loopback",
        "An enrollment that lists a reserved identity authorises nothing.",
        enrollment={"addresses": ["127.0.0.1"]},
        found="127.0.0.1",
    ),
    renewal(
        "EnrollmentNotReady/lists-kubernetes",
        "The API server's name in dnsNames.",
        enrollment={"dnsNames": ["kubernetes.default.svc"]},
    ),
    serving(
        "EnrollmentNotReady/lists-a-service",
        "An address of the service network beside a right request.",
        enrollment={"addresses": ["10.0.0.5", "fd00::5", "10.96.0.10"]},
        found="10.96.0.10",
    ),
    serving(
        "EnrollmentNotReady/lists-a-pod-address",
        "An address that flannel hands out.",
        enrollment={"addresses": ["10.0.0.5", "fd00::5", "10.244.7.7"]},
    ),
    bootstrap(
        "EnrollmentConflict/shared-address",
        "Two enrollments list one address: both wait (V59).",
        others=(m.enrollment("node-b", {"addresses": ["10.0.0.5"]}),),
        found="node-b",
    ),
    renewal(
        "EnrollmentConflict/shared-dns-name",
        "dnsNames conflict like addresses.",
        others=(m.enrollment("node-b", {"dnsNames": ["node-a.corp"]}),),
    ),
    bootstrap(
        "EnrollmentConflict/own-name-listed-elsewhere",
        "Another enrollment lists this node's own name.",
        others=(m.enrollment("node-b", {"dnsNames": ["node-a"]}),),
    ),
    bootstrap(
        "EnrollmentConflict/lists-anothers-name",
        "This enrollment lists the name of another node.",
        enrollment={"dnsNames": ["node-b"]},
        others=(m.enrollment("node-b", {}),),
    ),
    bootstrap(
        "EnrollmentConflict/with-a-suspended-one",
        "A suspended enrollment keeps what it lists.",
        others=(m.enrollment("node-b", {"state": "Suspended", "addresses": ["10.0.0.5"]}),),
    ),
    serving(
        "EnrollmentConflict/own-address-is-not-foreign",
        "An address of one's own that another lists is a conflict, not foreign.",
        others=(m.enrollment("node-b", {"addresses": ["10.0.0.5"]}),),
    ),
    *(
        build(
            f"EnrollmentSuspended/{name}",
            "Suspended holds everything, renewals too (V57; spire's ban).",
            enrollment={"state": "Suspended"},
        )
        for name, build in _STATES
    ),
    *(
        build(f"EnrollmentRevoked/{name}", "Revoked denies everything (V58).", enrollment={"state": "Revoked"})
        for name, build in _STATES
    ),
    bootstrap(
        "EnrollmentRevoked/conflict-is-not-told",
        "A Revoked enrollment conflicts with nobody.",
        enrollment={"state": "Revoked"},
        others=(m.enrollment("node-b", {"addresses": ["10.0.0.5"]}),),
    ),
    bootstrap("OutsideWindow/second-before", "One second before the window opens (V56).", at="2030-01-31T07:59:59Z"),
    bootstrap("OutsideWindow/second-after", "One second after the window closed (V56).", at="2030-01-31T18:00:01Z"),
    bootstrap("OutsideWindow/year-after", "A token of last year's batch.", at="2031-01-31T12:00:00Z"),
    bootstrap(
        "OutsideWindow/other-zone",
        "A bound in another zone is the same moment: 10:00+02:00 is 08:00Z.",
        bootstrap={"notBefore": "2030-01-31T10:00:00+02:00"},
        at="2030-01-31T07:59:59Z",
    ),
    bootstrap(
        "OutsideWindow/cma-37-preloaded",
        "A request laid in store for a guessable name before its window opens"
        " (openshift/cluster-machine-approver pull request 37).",
        metadata={"creationTimestamp": "2030-01-30T12:00:00Z"},
        at="2030-01-30T12:00:01Z",
    ),
    bootstrap(
        "TokenMismatch/another-token",
        "A token that works, for another node (V52).",
        spec={"username": "system:bootstrap:zzzzzz"},
        found="zzzzzz",
    ),
    bootstrap(
        "TokenMismatch/other-case", "Token ids are compared exactly.", spec={"username": "system:bootstrap:ABCDEF"}
    ),
    bootstrap(
        "TokenMismatch/longer-id", "Token ids are compared whole.", spec={"username": "system:bootstrap:abcdefg"}
    ),
    bootstrap("TokenMismatch/empty-id", "A token's user without an id.", spec={"username": "system:bootstrap:"}),
    bootstrap(
        "TokenMismatch/only-users-named",
        "Only users may ask, and a token is none of them.",
        bootstrap={"tokenID": None, "users": ["kubelet-bootstrap"]},
    ),
    bootstrap(
        "TokenMismatch/another-than-the-minted",
        "Another token than the one that was minted.",
        bootstrap=_ISSUE,
        enrolled={"status": {"bootstrap": {"tokenID": "mmmmmm"}}},
    ),
    bootstrap(
        "TokenMismatch/once-minted-token",
        "A token that was minted before another one was pinned.",
        spec={"username": "system:bootstrap:mmmmmm"},
        enrolled={"status": {"bootstrap": {"tokenID": "mmmmmm"}}},
    ),
    bootstrap(
        "TokenMismatch/minted-for-another-node",
        "Any token may ask under this name, but not one that the operator made for another node.",
        bootstrap=_OPEN,
        others=(_minted("abcdef"),),
    ),
    bootstrap(
        "TokenMismatch/minted-for-another-and-pinned",
        "A one-node token that somebody pinned elsewhere still works for its own node only.",
        others=(_minted("abcdef"),),
    ),
    bootstrap(
        "BootstrapApproved/token-pinned-by-another-too",
        "People may pin one token for many nodes; only what the operator makes is one node's.",
        others=(_minted("abcdef", issue=False),),
    ),
    bootstrap(
        "BootstrapApproved/others-have-tokens-of-their-own",
        "Tokens of other nodes bear on their own holders only.",
        bootstrap=_OPEN,
        others=(_minted("zzzzzz"),),
    ),
    bootstrap(
        "RequesterNotAllowed/group-member-instead-of-token",
        "A member of the group, where a token is pinned.",
        spec={"username": "jane"},
    ),
    bootstrap(
        "RequesterNotAllowed/unlisted-user",
        "A member of the group, where other users are named.",
        bootstrap={"tokenID": None, "users": ["kubelet-bootstrap"]},
        spec={"username": "jane"},
    ),
    bootstrap(
        "RequesterNotAllowed/longer-user-name",
        "User names are compared whole.",
        bootstrap={"tokenID": None, "users": ["kubelet-bootstrap"]},
        spec={"username": "kubelet-bootstrap2"},
    ),
    bootstrap(
        "RequesterNotAllowed/user-beside-the-minted-token",
        "A member of the group, where a token was minted.",
        bootstrap=_ISSUE,
        enrolled={"status": {"bootstrap": {"tokenID": "mmmmmm"}}},
        spec={"username": "jane"},
    ),
    bootstrap(
        "KeyPinMismatch/other-key",
        "Another key than the pinned one (V63).",
        bootstrap={"publicKeySHA256": public_sha256("p256-b")},
    ),
    bootstrap(
        "KeyPinMismatch/other-key-kind",
        "Another kind of key than the pinned one.",
        bootstrap={"publicKeySHA256": public_sha256("rsa-2048")},
    ),
    bootstrap(
        "KeyPinMismatch/recorded-key",
        "A pin that was set after a join counts for that key, too.",
        bootstrap={"publicKeySHA256": public_sha256("p256-b")},
        enrolled={"status": m.joined("p256-a")},
    ),
    bootstrap(
        "KeyPinMismatch/pin-of-other-content",
        "A pin over something else than the SubjectPublicKeyInfo.",
        bootstrap={"publicKeySHA256": "0" * 64},
    ),
    bootstrap(
        "JoinLimitReached/third-of-three",
        "Three of three joins are used up (V62).",
        enrolled={"status": m.joined("p256-b", "p256-c", count=3)},
    ),
    bootstrap(
        "JoinLimitReached/only-one",
        "maxJoins 1 and another key has joined.",
        bootstrap={"maxJoins": 1},
        enrolled={"status": m.joined("p256-b")},
    ),
    bootstrap(
        "JoinLimitReached/limit-lowered",
        "The limit was lowered below what has joined.",
        bootstrap={"maxJoins": 1},
        enrolled={"status": m.joined("p256-b", "p256-c", count=5)},
    ),
    bootstrap(
        "FactsUnavailable/enrollment",
        "The enrollments could not be read (V79).",
        missing=["enrollment", "claims"],
        enrollment=None,
    ),
    bootstrap("FactsUnavailable/node", "The Node could not be read (V79).", missing=["node"]),
    serving("FactsUnavailable/reserved", "The cluster's networks could not be read (V79).", missing=["reserved"]),
    serving("FactsUnavailable/claims", "The other enrollments could not be read (V79).", missing=["claims"]),
    bootstrap(
        "FactsUnavailable/stale-enrollment-denies-nothing",
        "A fault of the infrastructure never denies: the enrollment at hand is stale, and by now may name this token.",
        missing=["enrollment"],
        spec={"username": "system:bootstrap:zzzzzz"},
    ),
    serving(
        "FactsUnavailable/stale-revocation-denies-nothing",
        "A fault of the infrastructure never denies: a revocation that is stale may have been taken back.",
        missing=["enrollment"],
        enrollment={"state": "Revoked"},
    ),
    serving(
        "FactsUnavailable/api-server-address-denies-nothing",
        "The enrollment that could not be read may be the one that lists the API server's address.",
        missing=["enrollment", "claims"],
        enrollment=None,
        request=Request(key="p256-b", alt_names=(dns("node-a"), ip("10.0.0.1"))),
    ),
    serving(
        "FactsUnavailable/foreign-address-denies-nothing",
        "The enrollment that could not be read may list the address too, and that is a conflict, not foreign.",
        missing=["enrollment"],
        enrollment=None,
        others=(m.enrollment("node-b", {"addresses": ["10.0.0.5"]}),),
    ),
    serving(
        "FactsUnavailable/postfinance-61-while-starting",
        "While enrollments cannot be read nobody knows whether a stranger is listed: the request of another operator"
        " must not be denied for that (postfinance issue 61).",
        missing=["enrollment", "claims"],
        enrollment=None,
        spec={"username": "system:serviceaccount:cockroach:operator", "groups": ["system:serviceaccounts"]},
    ),
    bootstrap(
        "FactsUnavailable/strangers-usages-while-starting",
        "The same for a stranger's client request with usages of its own.",
        missing=["enrollment", "claims"],
        enrollment=None,
        spec={"username": "jane", "groups": ["system:authenticated"], "usages": ["client auth"]},
    ),
    bootstrap(
        "FactsUnavailable/listed-user-while-starting",
        "A user that the enrollment lists is not ignored while the enrollment cannot be read.",
        missing=["enrollment", "claims"],
        bootstrap={"tokenID": None, "users": ["kubelet-bootstrap"]},
        spec={"username": "kubelet-bootstrap", "groups": ["system:authenticated"]},
    ),
    serving(
        "FactsUnavailable/stale-claims-make-nothing-foreign",
        "Another enrollment that is stale may have given the address up.",
        missing=["claims"],
        request=Request(key="p256-b", alt_names=(dns("node-a"), ip("10.0.0.5"), ip("10.0.0.6"))),
    ),
    bootstrap(
        "FactsUnavailable/stale-claims-make-no-conflict",
        "A conflict with an enrollment that is stale is not told.",
        missing=["claims"],
        others=(m.enrollment("node-b", {"addresses": ["10.0.0.5"]}),),
    ),
)
