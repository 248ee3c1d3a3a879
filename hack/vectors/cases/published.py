"""Published faults of approvers and node attestors, each as the request that would have got through there.

Rules: a case is named after the report that it stands for; what several reports have in common stands in the
stages' own files, and `docs/known-bugs.md` says which case answers which report.
"""

from hack.vectors import der
from hack.vectors import manifests as m
from hack.vectors.names import dns, ip, uri
from hack.vectors.request import Request
from hack.vectors.vector import OWN_NAMES, bootstrap, renewal, serving

_NODE_B = (m.enrollment("node-b", m.NODE_B), m.node("node-b"))
_B_NAMES = (dns("node-b"), ip("10.0.0.6"))
_EVIL = Request(common_name="system:node:node-b", key="p256-c").pem
_CLI_AUTH = "1.3.6.1.4.1.34380.1.3.39"
"""Puppet's pp_cli_auth: whoever's certificate carries it may sign certificates there."""

_LENIENT = {"serving": {"allowDNSOnly": True, "requireNodeAddresses": False}}

VECTORS = (
    bootstrap(
        "EncodingNotCanonical/spire-aws-iid-two-blobs",
        "SPIRE's aws_iid attestor verified one PKCS#7 blob and used the content of another: here the block that Go"
        " would sign comes first, the harmless one last.",
        request=_EVIL + Request().pem,
    ),
    bootstrap(
        "SignatureInvalid/spire-azure-imds-another-signer",
        "SPIRE's azure_imds attestor took a signature by a key that was not the named one: here another node's key"
        " signs for the key in the request.",
        request=Request(signer="p256-c"),
    ),
    renewal(
        "RequesterMismatch/openyurt-2734-client",
        "OpenYurt pull request 2734: a node's client request was approved for whatever node its common name named.",
        request=Request(common_name="system:node:node-b", key="p256-c"),
        others=_NODE_B,
    ),
    serving(
        "RequesterMismatch/openyurt-2734-server",
        "OpenYurt pull request 2734: the prefix of the common name alone decided about servers' requests as well;"
        " here with names and addresses that the other node has.",
        request=Request(common_name="system:node:node-b", key="p256-c", alt_names=_B_NAMES),
        others=_NODE_B,
    ),
    bootstrap(
        "ExtensionForbidden/openvox-506-authorization",
        "openvox-operator issue 506: extensions that grant rights were never looked at.",
        request=Request(extensions=(der.extension(_CLI_AUTH, der.text("true", der.UTF8)),)),
        found=_CLI_AUTH,
    ),
    serving(
        "SubjectAltNameForeign/openvox-506-address",
        "openvox-operator issue 506: only DNS names were judged, so an address rode along with a right name.",
        request=Request(key="p256-b", alt_names=(*OWN_NAMES, ip("10.0.0.6"))),
        found="10.0.0.6",
    ),
    serving(
        "SubjectAltNameForbidden/openvox-506-uri",
        "openvox-operator issue 506: only DNS names were judged, so a URI rode along with a right name.",
        request=Request(key="p256-b", alt_names=(*OWN_NAMES, uri("spiffe://corp/node-b"))),
    ),
    serving(
        "SubjectAltNameForeign/alex1989hu-337-another-nodes-names",
        "kubelet-serving-cert-approver issue 337: the common name is the node's, every alternative name another's.",
        request=Request(key="p256-b", alt_names=_B_NAMES),
    ),
    serving(
        "SubjectAltNameNotEnrolled/kubelet-csr-approver-247-lenient",
        "kubelet-csr-approver issue 247: switching off DNS lookups switched off the check of names as well. Here"
        " everything that can be lenient is, and a foreign name is held.",
        request=Request(key="p256-b", alt_names=(*OWN_NAMES, dns("auth.example.com"))),
        enrollment=_LENIENT,
        found="auth.example.com",
    ),
    bootstrap(
        "TokenMismatch/mco-731-token-of-a-pod",
        "machine-config-operator pull request 731 (Bug 1707162): a pod fetched the hosts' ignition file, and the"
        " token in it asked for any node's name; here for one that is expected with another token.",
        request=Request(common_name="system:node:node-b"),
        others=_NODE_B[:1],
        found="abcdef",
    ),
    bootstrap(
        "AlreadyDecided/mco-741-768-auto-approved-for-any-name",
        "machine-config-operator pull requests 741 and 768: bootstrappers bound to the nodeclient role are approved"
        " for any name by the controller manager, before anybody else looks.",
        request=Request(common_name="system:node:node-b"),
        others=_NODE_B[:1],
        status={"conditions": [{"type": "Approved", "status": "True", "reason": "AutoApproved", "message": "by kcm"}]},
    ),
)
