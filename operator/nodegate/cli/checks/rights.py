"""May everybody do what they must, and the operator nothing more?

Rules: rights are asked of the API server (SubjectAccessReview), so that every authorizer counts and not
RBAC alone. The list of the operator's rights is that of ``manifests/base``; a test compares them.
"""

from collections.abc import Iterable

from nodegate.cli.checks.outcome import Check, Outcome, fail, ok, some, warn
from nodegate.cli.checks.probe import Account, Probe, Right
from nodegate.errors import NotFound
from nodegate.fields import Fields
from nodegate.names import (
    BOOTSTRAP_USER_PREFIX,
    EVERYBODY_GROUP,
    MANAGED_SIGNERS,
    NODE_USER_PREFIX,
    NODES_GROUP,
)
from nodegate.text import counted, listed

_CERTIFICATES, _OURS = "certificates.k8s.io", "nodegate.dev"
_REQUESTS = "certificatesigningrequests"
_READ = ("get", "list", "watch")
_NODE = Account(f"{NODE_USER_PREFIX}any-node", (NODES_GROUP, EVERYBODY_GROUP))


def needed(namespace: str) -> tuple[Right, ...]:
    """Return what the operator must be allowed, when it runs in this namespace."""
    kubernetes = {"name": "kubernetes", "namespace": "default"}
    return (
        *(Right(verb, _CERTIFICATES, _REQUESTS) for verb in _READ),
        Right("update", _CERTIFICATES, f"{_REQUESTS}/approval"),
        *(Right("approve", _CERTIFICATES, "signers", signer) for signer in MANAGED_SIGNERS),
        *(Right(verb, _OURS, "nodeenrollments") for verb in _READ),
        *(Right(verb, _OURS, "nodeenrollments/status") for verb in ("get", "patch")),
        *(Right(verb, "events.k8s.io", "events") for verb in ("create", "patch")),
        *(Right(verb, "", "nodes") for verb in _READ),
        *(Right(verb, "networking.k8s.io", "servicecidrs") for verb in _READ),
        *(Right(verb, "", "services", **kubernetes) for verb in _READ),
        *(Right(verb, "discovery.k8s.io", "endpointslices", **kubernetes) for verb in _READ),
        Right("create", "authentication.k8s.io", "tokenreviews"),
        Right("create", "authorization.k8s.io", "subjectaccessreviews"),
        *(Right(verb, "coordination.k8s.io", "leases", namespace=namespace) for verb in ("get", "create", "update")),
    )


_EXCESS = (
    Right("create", _CERTIFICATES, _REQUESTS),
    Right("sign", _CERTIFICATES, "signers", MANAGED_SIGNERS[0]),
    Right("approve", _CERTIFICATES, "signers", "kubernetes.io/kube-apiserver-client"),
    Right("update", _CERTIFICATES, f"{_REQUESTS}/status"),
    Right("update", _OURS, "nodeenrollments"),
    Right("get", "", "secrets"),
    Right("create", "", "pods"),
    Right("impersonate", "", "users"),
)
"""What a stolen token of the operator must not be good for."""

_CONFINED = (
    (Right("create", _OURS, "nodeenrollments"), "pools.nodegate.dev"),
    (Right("patch", _OURS, "nodeenrollments"), "pools.nodegate.dev"),
    (Right("create", "", "secrets", namespace="kube-system"), "tokens.nodegate.dev"),
    (Right("delete", "", "secrets", namespace="kube-system"), "tokens.nodegate.dev"),
    (Right("patch", "", "nodes"), "node-settings.nodegate.dev"),
)
"""What components grant, each with the policy of the component that confines it (``manifests/components``)."""

_POLICY_BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"


def _words(rights: Iterable[Right]) -> str:
    """Return rights in few words: the verbs on one thing stand together."""
    verbs: dict[Right, list[str]] = {}
    for right in rights:
        verbs.setdefault(right._replace(verb=""), []).append(right.verb)
    return "; ".join(f"{'/'.join(names)}{right}" for right, names in verbs.items())


def _operator(probe: Probe) -> Outcome:
    _, who = probe.account()
    every = needed(probe.namespace)
    missing = [right for right in every if not probe.may(who, right)]
    if missing:
        remedy = "Apply the ClusterRole and the Roles of manifests/base, and their bindings."
        return fail(f"{who.user} may not: {_words(missing)}", remedy)
    return ok(f"{who.user} has all {counted(len(every), 'right')} that it needs")


def _excess(probe: Probe) -> Outcome:
    _, who = probe.account()
    more = [right for right in _EXCESS if probe.may(who, right)]
    if more:
        remedy = "Take these rights away: who can ask and approve, or enroll, can let anybody in."
        return warn(f"{who.user} may also: {_words(more)}", remedy)
    held = [(right, policy) for right, policy in _CONFINED if probe.may(who, right)]
    loose = [(right, policy) for right, policy in held if not _is_bound(probe, policy)]
    if loose:
        policies = listed(dict.fromkeys(policy for _, policy in loose))
        remedy = f"Apply the whole component, its admission policy included: {policies}."
        return warn(f"{who.user} may, without a policy that confines it: {_words(r for r, _ in loose)}", remedy)
    confined = f"; {counted(len(held), 'right')} of components confined by their policies" if held else ""
    return ok(f"none of the rights that would let it admit nodes by itself{confined}")


def _is_bound(probe: Probe, policy: str) -> bool:
    """Tell whether an admission policy of ours is bound, and refuses."""
    try:
        body = probe.one(f"{_POLICY_BINDINGS}/{policy}")
    except NotFound:
        return False
    return "Deny" in Fields(body).child("spec").texts("validationActions")


def _bootstrap(probe: Probe) -> Outcome:
    group = probe.bootstrap_group()
    who = Account(
        f"{BOOTSTRAP_USER_PREFIX}abcdef", tuple(dict.fromkeys(("system:bootstrappers", group, EVERYBODY_GROUP)))
    )
    every = (Right(verb, _CERTIFICATES, _REQUESTS) for verb in (*_READ, "create"))
    missing = [right for right in every if not probe.may(who, right)]
    if missing:
        remedy = (
            f"Bind ClusterRole system:node-bootstrapper to the group: kubectl create clusterrolebinding "
            f"nodegate-bootstrappers --clusterrole=system:node-bootstrapper --group={group}."
        )
        return fail(f"a bootstrap token in group {group} may not: {_words(missing)}", remedy)
    return ok(f"a bootstrap token in group {group} may ask for certificates")


def _nodes(probe: Probe) -> Outcome:
    right = Right("create", _CERTIFICATES, _REQUESTS)
    if not probe.may(_NODE, right):
        remedy = "Turn on the Node authorizer: the API servers' flag --authorization-mode must name Node and RBAC."
        return fail(f"a node may not {right}", remedy)
    return ok("a node may ask for its renewals and serving certificates")


def _anybody(probe: Probe) -> Outcome:
    right = Right("create", _OURS, "nodeenrollments")
    others = {"any authenticated user": Account("any-user", (EVERYBODY_GROUP,)), "a node": _NODE}
    found = [name for name, who in others.items() if probe.may(who, right)]
    if found:
        return fail(f"{some(found)} may {right}", "Take that right away: who can enroll a node can let anybody in.")
    return ok("neither nodes nor every user may enroll nodes")


CHECKS = (
    Check("operator-rights", _operator),
    Check("operator-excess", _excess),
    Check("bootstrap-rights", _bootstrap),
    Check("node-rights", _nodes),
    Check("enrollment-rights", _anybody),
)
"""Who may do what."""
