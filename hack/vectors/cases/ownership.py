"""Stage 0: requests that are not nodegate's to judge."""

from hack.vectors.request import Request
from hack.vectors.vector import bootstrap, renewal, serving


def _decided(kind: str, status: str = "True", reason: str = "AutoApproved") -> dict[str, object]:
    return {"conditions": [{"type": kind, "status": status, "reason": reason, "message": "by somebody else"}]}


_CERTIFICATE = {"certificate": "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg=="}
_DELETING = {"deletionTimestamp": "2030-01-31T11:59:59Z", "finalizers": ["example.com/hold"]}

VECTORS = (
    bootstrap(
        "SignerNotManaged/deckhouse-22901",
        "deckhouse pull request 22901: the approver set `valid = true` after `if signer ==` and approved every other"
        " signer's requests unvalidated (V10).",
        spec={"signerName": "kubernetes.io/kube-apiserver-client"},
    ),
    bootstrap(
        "SignerNotManaged/cve-2026-66795",
        "CVE-2026-66795, managedcluster-import-controller: neither signerName nor the subject was checked, which made"
        " a managed cluster's agent an administrator of the hub.",
        spec={"signerName": "open-cluster-management.io/registration"},
    ),
    bootstrap(
        "SignerNotManaged/ghsa-rwxr-qr3p-5xq2",
        "ironcore GHSA-rwxr-qr3p-5xq2: the recogniser was inverted, so everything that did not match was approved.",
        spec={"signerName": "compute.ironcore.dev/machinepool"},
    ),
    bootstrap(
        "SignerNotManaged/custom-domain",
        "Another organisation's signer (V11).",
        spec={"signerName": "example.com/kubelet-serving"},
    ),
    bootstrap(
        "SignerNotManaged/legacy-unknown",
        "kubernetes.io/legacy-unknown is rejected in v1 (V12).",
        spec={"signerName": "kubernetes.io/legacy-unknown"},
        api="refuses",
    ),
    serving(
        "SignerNotManaged/longer-name",
        "The signer is compared whole, never as a prefix.",
        spec={"signerName": "kubernetes.io/kubelet-serving-v2"},
    ),
    serving(
        "SignerNotManaged/other-case",
        "The signer is compared exactly.",
        spec={"signerName": "kubernetes.io/Kubelet-Serving"},
    ),
    serving("SignerNotManaged/empty", "No signer at all.", spec={"signerName": ""}, api="refuses"),
    bootstrap(
        "AlreadyDecided/bz1707162-auto-approved",
        "kube-controller-manager approved first, because somebody is bound to the nodeclient role (Bug 1707162) (V13).",
        status=_decided("Approved"),
    ),
    bootstrap("AlreadyDecided/denied", "Somebody denied it; a decision is final.", status=_decided("Denied")),
    serving("AlreadyDecided/failed", "The signer has failed on it.", status=_decided("Failed")),
    bootstrap(
        "AlreadyDecided/approved-false",
        "Old data: a condition Approved with status False (V18).",
        status=_decided("Approved", "False"),
    ),
    renewal(
        "AlreadyDecided/odd-type",
        "Any condition at all means decided, also one of an unknown type.",
        status=_decided("example.com/Reviewed"),
    ),
    bootstrap("AlreadyIssued/bootstrap", "The certificate is there (V14).", status=_CERTIFICATE),
    renewal("AlreadyIssued/renewal", "The certificate is there.", status=_CERTIFICATE),
    serving("AlreadyIssued/serving", "The certificate is there.", status=_CERTIFICATE),
    bootstrap("BeingDeleted/bootstrap", "Somebody is taking it away (V15).", metadata=_DELETING),
    renewal("BeingDeleted/renewal", "Somebody is taking it away.", metadata=_DELETING),
    serving("BeingDeleted/serving", "Somebody is taking it away.", metadata=_DELETING),
    serving(
        "RequesterNotManaged/postfinance-61",
        "postfinance/kubelet-csr-approver issue 61: serving requests of other operators were denied (V16).",
        spec={"username": "system:serviceaccount:cockroach:operator", "groups": ["system:serviceaccounts"]},
    ),
    bootstrap(
        "RequesterNotManaged/kubeuser-114",
        "KubeUser issue 114: somebody plants a request with an own key under the name that the real one will have.",
        request=Request(key="p256-c"),
        metadata={"name": "node-csr-node-a"},
        spec={"username": "mallory", "groups": ["system:authenticated"]},
    ),
    bootstrap(
        "RequesterNotManaged/service-account",
        "A ServiceAccount that is no bootstrapper (V17).",
        spec={"username": "system:serviceaccount:default:default", "groups": ["system:serviceaccounts"]},
    ),
    bootstrap(
        "RequesterNotManaged/cluster-admin",
        "An administrator's own request is somebody else's business.",
        spec={"username": "kubernetes-admin", "groups": ["system:masters"]},
    ),
    bootstrap(
        "RequesterNotManaged/anonymous",
        "Nobody in particular.",
        spec={"username": "system:anonymous", "groups": ["system:unauthenticated"]},
    ),
    bootstrap(
        "RequesterNotManaged/longer-group",
        "Groups are compared whole, never as a prefix.",
        spec={"username": "jane", "groups": ["system:bootstrappers:kubeadm:default-node-token"]},
    ),
    renewal(
        "RequesterNotManaged/user-prefix-in-upper-case",
        "User names are compared exactly.",
        spec={"username": "System:Node:node-a", "groups": ["system:authenticated"]},
    ),
    bootstrap(
        "RequesterNotManaged/user-listed-elsewhere",
        "A user is ours when the named enrollment lists it, not others.",
        spec={"username": "kubelet-bootstrap", "groups": ["system:authenticated"]},
    ),
    bootstrap(
        "RequesterNotManaged/listed-user-names-no-node",
        "A listed user whose request names no node is ignored (design, smaller points).",
        request=Request(common_name="kubelet"),
        bootstrap={"tokenID": None, "users": ["kubelet-bootstrap"]},
        spec={"username": "kubelet-bootstrap", "groups": ["system:authenticated"]},
    ),
    bootstrap(
        "RequesterNotManaged/default-group-is-not-the-set-one",
        "Only the group that the operator was given counts.",
        policy={"bootstrapGroup": "example:joiners"},
        spec={"username": "jane"},
    ),
)
