"""What to do about each reason for which a request is not approved: one sentence for a person.

Rules: every reason that a failed rule can have stands here; a test holds that. A sentence names the
object, the field or the command, and never advises what would weaken the cluster without saying so.
"""

from collections.abc import Mapping

from nodegate.csr.model import Reason

_NEW_REQUEST = "The request cannot be mended; the kubelet makes a new one by itself once the cause is gone."

REMEDIES: Mapping[Reason, str] = {
    Reason.SIGNER_NOT_MANAGED: "Nothing to do here: another approver answers for this signer.",
    Reason.ALREADY_DECIDED: "Nothing to do; with --as-if-undecided this command shows which rules hold now.",
    Reason.ALREADY_ISSUED: "Nothing to do; with --as-if-undecided this command shows which rules hold now.",
    Reason.BEING_DELETED: "Wait for the kubelet's next request.",
    Reason.REQUESTER_NOT_MANAGED: (
        "If this user is to join nodes, list it in spec.bootstrap.users of the node's enrollment or put it in the "
        "bootstrap group; otherwise find out who sent the request."
    ),
    Reason.ENCODING_NOT_CANONICAL: (
        "Use a client that writes ordinary PEM, as the kubelet does (one block, 64 characters a line, no text around "
        "it)."
    ),
    Reason.REQUEST_MALFORMED: "Look at it with 'openssl req -text'; a kubelet never sends this, so find out who did.",
    Reason.SIGNATURE_INVALID: "Sign the request with its own key and SHA-256 or better; do not alter it afterwards.",
    Reason.KEY_NOT_ALLOWED: "Make a new key: ECDSA P-256 (the kubelet's own choice) or RSA 2048.",
    Reason.KEY_UNSUPPORTED: "Make a key of a common kind, such as ECDSA P-256.",
    Reason.SUBJECT_INVALID: (
        "Ask with the subject O=system:nodes, CN=system:node:<name>; a kubelet does so by itself, so look at "
        "--hostname-override when the name is wrong."
    ),
    Reason.USAGES_INVALID: "Ask for digital signature and client auth (kubelet client) or server auth (serving) only.",
    Reason.ATTRIBUTE_FORBIDDEN: "Make the request without a challenge password or other attributes.",
    Reason.EXTENSION_FORBIDDEN: "Make the request without extensions other than the subject alternative names.",
    Reason.SUBJECT_ALT_NAME_FORBIDDEN: (
        "Ask for no names in a client request, and for 1 to 32 DNS names and IP addresses in a serving request."
    ),
    Reason.EXPIRATION_NOT_ALLOWED: (
        "Ask for a lifetime inside the limits, or for none; the upper limit is spec.maxExpirationSeconds."
    ),
    Reason.REQUESTER_MISMATCH: (
        "Find out who sent it: a credential asks for another identity than its own. A copied kubelet credential or "
        "a cloned host does this."
    ),
    Reason.FACTS_UNAVAILABLE: (
        "Give this command the rights that the warnings name; when the operator says so, look at its /readyz and at "
        "its ClusterRole."
    ),
    Reason.RATE_LIMITED: (
        "Nothing when many hosts start at once: it is judged by itself. Otherwise find who holds the credential and "
        "sends so many, and delete the token."
    ),
    Reason.NOT_ENROLLED: (
        "If this node is to join, apply a NodeEnrollment with exactly its name; if not, find out who holds the "
        "bootstrap credential."
    ),
    Reason.ENROLLMENT_NOT_READY: (
        "Look at its conditions (kubectl describe nodeenrollment); take reserved identities out of spec.addresses and "
        "spec.dnsNames, and see that the operator runs."
    ),
    Reason.ENROLLMENT_CONFLICT: (
        "Take the shared address or name out of all but one of the enrollments; until then none of them can join."
    ),
    Reason.ENROLLMENT_REVOKED: (
        "Set spec.state to Active if the node is to be trusted again; otherwise stop its kubelet and delete its "
        "bootstrap credential."
    ),
    Reason.ENROLLMENT_SUSPENDED: "Set spec.state to Active when the node may go on.",
    Reason.OUTSIDE_WINDOW: "Move spec.bootstrap.notBefore or notAfter, or check the operator's clock.",
    Reason.TOKEN_MISMATCH: (
        "Give the host the token of its own enrollment, or correct spec.bootstrap.tokenID; a token of another node "
        "on this host may be a mistake or a theft."
    ),
    Reason.REQUESTER_NOT_ALLOWED: "Add the user to spec.bootstrap.users, or give the host its own credential.",
    Reason.KEY_PIN_MISMATCH: (
        "Correct spec.bootstrap.publicKeySHA256 if the host has a new key on purpose; otherwise another host is "
        "asking under this name."
    ),
    Reason.JOIN_LIMIT_REACHED: (
        "Find out why the host makes a new key each time (a lost /var/lib/kubelet/pki), then raise "
        "spec.bootstrap.maxJoins."
    ),
    Reason.SUBJECT_ALT_NAME_MALFORMED: "Correct the host's name or --hostname-override. " + _NEW_REQUEST,
    Reason.SUBJECT_ALT_NAME_RESERVED: (
        "Take the address off the host's own interfaces or set --node-ip; a node never serves the cluster's own "
        "addresses and names."
    ),
    Reason.SUBJECT_ALT_NAME_FOREIGN: (
        "Find out which host really has it: either the other enrollment is out of date or this host has taken its "
        "address."
    ),
    Reason.SUBJECT_ALT_NAME_NOT_ENROLLED: (
        "If the address or name is the node's, add it to spec.addresses or spec.dnsNames of its enrollment."
    ),
    Reason.SERVING_NOT_APPROVED: "Set spec.serving.approve to true, or turn off serverTLSBootstrap on the kubelet.",
    Reason.ADDRESS_MISSING: "Set --node-ip on the kubelet, or spec.serving.allowDNSOnly in the enrollment.",
    Reason.NODE_NOT_FOUND: "Wait for the kubelet to register; look at its journal when that takes over a minute.",
    Reason.NODE_ADDRESSES_UNKNOWN: (
        "Wait for the kubelet, or the cloud controller, to report addresses in the Node's status."
    ),
    Reason.SUBJECT_ALT_NAME_NOT_ON_NODE: (
        "Compare with 'kubectl get node -o wide'; correct --node-ip, or turn off spec.serving.requireNodeAddresses."
    ),
    Reason.NODE_ALREADY_JOINED: (
        "If the host was rebuilt, delete its Node or wait until it is NotReady, as spec.rejoin says; if it was not, "
        "somebody else holds its bootstrap credential."
    ),
    Reason.KEY_REUSED: (
        "Find out which of the two hosts is the copy: delete /var/lib/kubelet/pki there and let it make a new key, and "
        "never put that folder into an image; when neither is one, the key was stolen."
    ),
    Reason.CREDENTIAL_SUPERSEDED: (
        "Find out who else holds the node's old certificate: a restored backup or a cloned disk does this, and so does "
        "a thief. A host that lost its newest certificate joins again with a bootstrap credential."
    ),
    Reason.NODE_REPLACED: (
        "If it is the right machine, annotate its enrollment with nodegate.dev/accept-node-uid=<UID of the Node>; if "
        "nobody deleted the Node on purpose, set spec.state to Suspended and look at the host."
    ),
}
"""One sentence, sometimes two, for each reason of a failed rule."""
