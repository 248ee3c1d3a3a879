"""Requests that are to be approved: what a right implementation must not refuse."""

from ipaddress import IPv4Address

from hack.vectors import der
from hack.vectors import manifests as m
from hack.vectors.keys import public_sha256
from hack.vectors.names import dns, ip
from hack.vectors.request import COMMON_NAME, ORGANIZATION, Request
from hack.vectors.vector import OWN_NAMES, bootstrap, renewal, serving

_RSA_USAGES = ["digital signature", "key encipherment", "client auth"]
_LONG_NAME = ".".join(["a" * 62] * 4)
_SWAPPED = (
    der.rdn(der.attribute(COMMON_NAME, "system:node:node-a")),
    der.rdn(der.attribute(ORGANIZATION, "system:nodes")),
)
_ANYBODY = {"tokenID": None}
_MANY = tuple(f"10.1.0.{number}" for number in range(1, 17)), tuple(f"n{number}.corp" for number in range(1, 16))

VECTORS = (
    bootstrap(
        "BootstrapApproved/first-join",
        "The first request of a kubelet with its token; no Node exists yet (V1).",
        api="accepts",
    ),
    bootstrap(
        "BootstrapApproved/rsa-with-key-encipherment",
        "Kubelets before 1.27 ask for key encipherment, which is optional (ValidateKubeletClientCSR).",
        request=Request(key="rsa-2048"),
        spec={"usages": _RSA_USAGES},
        api="accepts",
    ),
    bootstrap(
        "BootstrapApproved/alex1989hu-139-ecdsa-without-key-encipherment",
        "Since 1.27 kubelets with EC keys ask for no key encipherment; approvers that wanted exactly three usages broke"
        " (alex1989hu/kubelet-serving-cert-approver issue 139) (V2).",
        request=Request(key="p384"),
    ),
    bootstrap(
        "BootstrapApproved/key-encipherment-with-ec-key",
        "key encipherment is optional, whatever the key.",
        spec={"usages": _RSA_USAGES},
    ),
    bootstrap(
        "BootstrapApproved/usages-in-another-order",
        "Usages are a set; their order means nothing.",
        spec={"usages": ["client auth", "digital signature"]},
    ),
    *(
        bootstrap(
            f"BootstrapApproved/key-{key}",
            f"A key of kind {key} may be certified (design, stage 2).",
            request=Request(key=key),
        )
        for key in ("rsa-4096", "rsa-8192", "p521", "ed25519")
    ),
    *(
        bootstrap(
            f"BootstrapApproved/signature-{name}",
            f"{name} is an algorithm that proves possession.",
            request=Request(key=key, algorithm=algorithm),
        )
        for name, key, algorithm in (
            ("rsa-sha384", "rsa-2048", "1.2.840.113549.1.1.12"),
            ("rsa-sha512", "rsa-2048", "1.2.840.113549.1.1.13"),
            ("ecdsa-sha384", "p256-a", "1.2.840.10045.4.3.3"),
            ("ecdsa-sha512", "p521", "1.2.840.10045.4.3.4"),
        )
    ),
    bootstrap(
        "BootstrapApproved/subject-utf8",
        "Subject values may be UTF8String as well as PrintableString.",
        request=Request(string_tag=der.UTF8),
    ),
    bootstrap(
        "BootstrapApproved/subject-common-name-first",
        "The order of the two RDNs carries no meaning.",
        request=Request(rdns=_SWAPPED),
    ),
    bootstrap(
        "BootstrapApproved/node-name-with-dots",
        "A node name is a DNS-1123 subdomain, dots included.",
        request=Request(common_name="system:node:node-a.example.com"),
        enrollment=None,
        others=(m.enrollment("node-a.example.com", m.NODE_A),),
    ),
    bootstrap(
        "BootstrapApproved/node-name-long",
        "A common name longer than X.520's 64 characters: Kubernetes allows node names of 253 characters.",
        request=Request(common_name=f"system:node:{_LONG_NAME}"),
        enrollment=None,
        others=(m.enrollment(_LONG_NAME, m.NODE_A),),
    ),
    bootstrap(
        "BootstrapApproved/node-name-is-an-address",
        "With hostname-override an address a node is called so (V5).",
        request=Request(common_name="system:node:10.0.0.5"),
        enrollment=None,
        others=(m.enrollment("10.0.0.5", m.NODE_A),),
    ),
    bootstrap(
        "BootstrapApproved/no-final-newline",
        "RFC 7468 lets the last newline be absent (V26).",
        request=Request().pem.rstrip(b"\n"),
        api="accepts",
    ),
    bootstrap(
        "BootstrapApproved/hostile-object-name",
        "A requester chooses the CSR's name freely; it decides nothing and is never trusted (V8).",
        metadata={"name": "$(reboot); rm -rf  \u202eevil\n"},
    ),
    bootstrap(
        "BootstrapApproved/misleading-labels",
        "Labels and annotations are the requester's and decide nothing.",
        metadata={"labels": {"nodegate.dev/verdict": "Deny"}, "annotations": {"node": "node-b"}},
    ),
    bootstrap(
        "BootstrapApproved/any-group-member",
        "No token and no users named: every bootstrapper may ask.",
        bootstrap=_ANYBODY,
        spec={"username": "jane", "groups": ["system:bootstrappers"]},
    ),
    bootstrap(
        "BootstrapApproved/any-token",
        "No token and no users named: every token may ask.",
        bootstrap=_ANYBODY,
        spec={"username": "system:bootstrap:zzzzzz"},
    ),
    bootstrap(
        "BootstrapApproved/listed-user",
        "A user of a static token file, in no group of ours, that spec names.",
        bootstrap={"tokenID": None, "users": ["kubelet-bootstrap"]},
        spec={"username": "kubelet-bootstrap", "groups": ["system:authenticated"]},
    ),
    bootstrap(
        "BootstrapApproved/listed-user-before-token-is-minted",
        "A listed user may ask while the token is not minted yet (design, smaller points).",
        bootstrap={"tokenID": None, "token": {"issue": True}, "users": ["kubelet-bootstrap"]},
        spec={"username": "kubelet-bootstrap"},
    ),
    bootstrap(
        "BootstrapApproved/listed-token-user",
        "A token's user may be listed like any other.",
        bootstrap={"tokenID": None, "users": ["system:bootstrap:abcdef"]},
    ),
    bootstrap(
        "BootstrapApproved/minted-token",
        "A token that the operator minted is named by the status.",
        bootstrap={"tokenID": None, "token": {"issue": True}},
        enrolled={"status": {"bootstrap": {"tokenID": "abcdef"}}},
    ),
    bootstrap(
        "BootstrapApproved/other-bootstrap-group",
        "The bootstrap group is the operator's setting.",
        policy={"bootstrapGroup": "example:joiners"},
        spec={"groups": ["example:joiners"]},
    ),
    bootstrap(
        "BootstrapApproved/pinned-key",
        "The key is the pinned one.",
        bootstrap={"publicKeySHA256": public_sha256("p256-a")},
    ),
    bootstrap("BootstrapApproved/window-first-moment", "The window's bounds are inclusive.", at="2030-01-31T08:00:00Z"),
    bootstrap("BootstrapApproved/window-last-moment", "The window's bounds are inclusive.", at="2030-01-31T18:00:00Z"),
    bootstrap(
        "BootstrapApproved/created-before-the-enrollment",
        "A CSR may be older than its enrollment: it is judged again when the enrollment appears (V9, V83).",
        metadata={"creationTimestamp": "2030-01-31T07:00:00Z"},
        enrolled={"metadata": {"creationTimestamp": "2030-01-31T11:59:59Z"}},
    ),
    bootstrap(
        "BootstrapApproved/last-join-left",
        "Two of three joins are used up; the third is allowed.",
        enrolled={"status": m.joined("p256-b", "p256-c")},
    ),
    bootstrap(
        "BootstrapApproved/limit-reached-by-this-key",
        "A key that was counted is not counted twice.",
        enrolled={"status": m.joined("p256-b", "p256-a", count=3)},
    ),
    bootstrap(
        "BootstrapApproved/rejoin-node-not-ready",
        "WhenNotReady, the default, lets a broken node join anew (V61).",
        enrolled={"status": m.joined("p256-b")},
        others=(m.node("node-a", ready="False"),),
    ),
    bootstrap(
        "BootstrapApproved/rejoin-node-unknown",
        "A node that stopped reporting is not Ready.",
        enrolled={"status": m.joined("p256-b")},
        others=(m.node("node-a", ready="Unknown"),),
    ),
    bootstrap(
        "BootstrapApproved/k3s-663-rejoin-after-reinstall",
        "Re-installing a machine under its old name is the top complaint about first-use trust (k3s issue 663).",
        enrolled={"status": m.joined("p256-b")},
    ),
    bootstrap(
        "BootstrapApproved/rejoin-always-while-ready",
        "Always: another key may join at any time.",
        enrollment={"rejoin": "Always"},
        enrolled={"status": m.joined("p256-b")},
        others=(m.node("node-a"),),
    ),
    bootstrap(
        "BootstrapApproved/rejoin-when-gone-and-it-is",
        "WhenGone: another key may join while no Node exists.",
        enrollment={"rejoin": "WhenGone"},
        enrolled={"status": m.joined("p256-b")},
    ),
    bootstrap(
        "BootstrapApproved/rejoin-never-first-join", "Never: the first key may join.", enrollment={"rejoin": "Never"}
    ),
    bootstrap(
        "BootstrapApproved/spire-2454-lost-answer",
        "The approval was lost on the way and the kubelet asks again with the same key; a one-time join must not lock"
        " a valid node out (spire issue 2454). The newest join's key always passes.",
        enrollment={"rejoin": "Never"},
        enrolled={"status": m.joined("p256-a")},
        others=(m.node("node-a"),),
    ),
    bootstrap(
        "BootstrapApproved/expiration-api-minimum",
        "600 seconds is the API's own minimum.",
        spec={"expirationSeconds": 600},
        api="accepts",
    ),
    bootstrap(
        "BootstrapApproved/expiration-at-the-limit",
        "The limit itself is allowed.",
        spec={"expirationSeconds": 3600},
        enrollment={"maxExpirationSeconds": 3600},
    ),
    bootstrap(
        "BootstrapApproved/expiration-absent-with-limit",
        "Kubelets name no lifetime; that is always allowed (V48).",
        enrollment={"maxExpirationSeconds": 3600},
    ),
    bootstrap(
        "BootstrapApproved/audit-mode",
        "Audit changes what is written, never what is decided.",
        enrollment={"mode": "Audit"},
    ),
    bootstrap(
        "BootstrapApproved/shared-address-with-a-revoked-enrollment",
        "A Revoked enrollment conflicts with nobody (design, smaller points).",
        others=(m.enrollment("node-b", {"state": "Revoked", "addresses": ["10.0.0.5"]}),),
    ),
    bootstrap(
        "BootstrapApproved/processed-generation",
        "The operator has processed the generation at hand.",
        enrolled={"metadata": {"generation": 3}, "status": {"observedGeneration": 3}},
    ),
    renewal("RenewalApproved/plain", "A node renews its own client certificate (V3).", api="accepts"),
    renewal(
        "RenewalApproved/credential-id-absent",
        "API servers before 1.32 do not name the credential (V66).",
        spec={"extra": None},
    ),
    renewal(
        "RenewalApproved/expiration-api-minimum", "A renewal for 600 seconds (V7).", spec={"expirationSeconds": 600}
    ),
    renewal(
        "RenewalApproved/window-closed", "The window is about the first certificate only.", at="2031-01-31T12:00:00Z"
    ),
    renewal(
        "RenewalApproved/another-key-than-pinned",
        "A kubelet renews with a new key; the pin is about the first one.",
        bootstrap={"publicKeySHA256": public_sha256("p256-a")},
    ),
    renewal(
        "RenewalApproved/joins-used-up", "Renewals are no joins.", enrolled={"status": m.joined("p256-a", count=3)}
    ),
    renewal(
        "RenewalApproved/rejoin-never",
        "A renewal is no re-join.",
        enrollment={"rejoin": "Never"},
        enrolled={"status": m.joined("p256-a")},
    ),
    renewal(
        "RenewalApproved/node-not-ready",
        "A node that is not Ready may still renew.",
        others=(m.node("node-a", ready="False"),),
    ),
    renewal(
        "RenewalApproved/rsa",
        "RSA keys renew like others.",
        request=Request(key="rsa-2048"),
        spec={"usages": _RSA_USAGES},
    ),
    serving(
        "ServingApproved/dual-stack", "Exactly the enrolled name and addresses, both families (V4).", api="accepts"
    ),
    serving(
        "ServingApproved/talos-addresses-only",
        "With an address as hostname there is no DNS name; Talos CCM indexed DNSNames[0] and crashed (V5).",
        request=Request(alt_names=OWN_NAMES[1:]),
    ),
    serving(
        "ServingApproved/names-only-allowed",
        "Kubelets before 1.31 may know no address yet (V6).",
        request=Request(alt_names=OWN_NAMES[:1]),
        enrollment={"serving": {"allowDNSOnly": True}},
    ),
    serving(
        "ServingApproved/one-of-the-addresses",
        "A part of what is enrolled is enough.",
        request=Request(alt_names=OWN_NAMES[:2]),
    ),
    serving(
        "ServingApproved/listed-dns-name",
        "dnsNames are allowed besides the node's own name.",
        request=Request(alt_names=(*OWN_NAMES, dns("node-a.corp"))),
    ),
    serving(
        "ServingApproved/mixed-case-dns",
        "DNS names are compared without case (RFC 4343).",
        request=Request(alt_names=(dns("Node-A.CORP"), ip("10.0.0.5"))),
    ),
    serving(
        "ServingApproved/mapped-own-address",
        "An IPv4-mapped address is the IPv4 address, for Go as well.",
        request=Request(alt_names=(dns("node-a"), ip("::ffff:10.0.0.5"))),
    ),
    serving(
        "ServingApproved/thirty-two-names",
        "32 entries are the most; the enrollment lists 16 addresses and 15 names.",
        request=Request(alt_names=(dns("node-a"), *map(ip, _MANY[0]), *map(dns, _MANY[1]))),
        enrollment={"addresses": [str(IPv4Address(a)) for a in _MANY[0]], "dnsNames": list(_MANY[1])},
    ),
    serving(
        "ServingApproved/critical-extension",
        "A critical SAN extension is fine (design).",
        request=Request(alt_names=OWN_NAMES, alt_names_critical=True),
    ),
    serving(
        "ServingApproved/repeated-names",
        "Repeated entries are fine (design).",
        request=Request(alt_names=(*OWN_NAMES, *OWN_NAMES)),
    ),
    serving(
        "ServingApproved/label-over-63",
        "Kubernetes' own rule bounds the whole name and no single label.",
        request=Request(alt_names=(*OWN_NAMES, dns("a" * 64 + ".corp"))),
        enrollment={"dnsNames": ["a" * 64 + ".corp"]},
    ),
    serving(
        "ServingApproved/api-server-address-listed",
        "A control plane node carries an API server's address when its enrollment lists it.",
        request=Request(alt_names=(dns("node-a"), ip("10.0.0.1"))),
        enrollment={"addresses": ["10.0.0.1"]},
    ),
    serving(
        "ServingApproved/all-on-the-node",
        "With requireNodeAddresses the Node reports every address, too.",
        enrollment={"serving": {"requireNodeAddresses": True}},
        others=(
            m.node(
                "node-a",
                addresses=[
                    {"type": "InternalIP", "address": "10.0.0.5"},
                    {"type": "InternalIP", "address": "fd00:0::5"},
                ],
            ),
        ),
    ),
    serving(
        "ServingApproved/address-of-a-revoked-enrollment",
        "What a Revoked enrollment lists is free again.",
        others=(m.enrollment("node-b", {"state": "Revoked", "addresses": ["10.0.0.5"]}),),
    ),
    serving(
        "ServingApproved/rsa-with-key-encipherment",
        "Serving requests by RSA keys ask for key encipherment.",
        request=Request(key="rsa-2048", alt_names=OWN_NAMES),
        spec={"usages": ["digital signature", "key encipherment", "server auth"]},
    ),
    serving(
        "ServingApproved/node-not-ready",
        "A node becomes Ready only after it serves; Ready is not asked.",
        others=(m.node("node-a", ready="False"),),
    ),
    serving(
        "ServingApproved/other-nodes-slice",
        "Only the EndpointSlice of default/kubernetes names API servers.",
        others=(
            {
                **m.api_servers("10.0.0.5"),
                "metadata": {
                    "name": "web-1",
                    "namespace": "web",
                    "labels": {"kubernetes.io/service-name": "kubernetes"},
                },
            },
        ),
    ),
)
