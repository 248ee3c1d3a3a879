"""Does anybody else decide? The controller manager's own approver, and other programs that approve.

Rules: bindings are read as RBAC has them, because the question is which binding to delete. An approver
that cannot be told from its rights is looked for by its usual name.
"""

from collections.abc import Iterable, Iterator, Mapping

from nodegate.cli.checks.outcome import Check, Outcome, fail, ok, skip, some, warn
from nodegate.cli.checks.probe import Body, Probe
from nodegate.fields import Fields
from nodegate.names import MANAGED_SIGNERS
from nodegate.text import visible

_RBAC = "rbac.authorization.k8s.io/v1"
_REQUESTS = "certificatesigningrequests"
_KNOWN = (
    "kubelet-csr-approver",
    "kubelet-serving-cert-approver",
    "kubelet-rubber-stamp",
    "kubelet-csr-approver-controller",
    "machine-approver",
    "talos-cloud-controller-manager",
    "csr-approver",
)
"""Names under which approvers of kubelet certificates are usually deployed."""

_OWN = frozenset({"user system:kube-controller-manager", "system:serviceaccount:kube-system:certificate-controller"})
"""The controller manager, whose approver acts for those who are bound to its roles and for nobody else."""


def _roles(probe: Probe, resource: str, verb: str, names: Iterable[str] = ()) -> frozenset[str]:
    """Return the ClusterRoles that name a right on a certificates resource; a wildcard resource names nothing."""
    every = probe.every("/apis/rbac.authorization.k8s.io/v1/clusterroles", "ClusterRole", _RBAC)
    return frozenset(
        Fields(body).child("metadata").text("name")
        for body in every
        if any(_grants(rule, resource, verb, set(names)) for rule in Fields(body).children("rules"))
    )


def _grants(rule: Fields, resource: str, verb: str, names: set[str]) -> bool:
    limited = set(rule.texts("resourceNames"))
    return (
        resource in rule.texts("resources")
        and bool({verb, "*"} & set(rule.texts("verbs")))
        and (not names or not limited or bool(limited & names) or "kubernetes.io/*" in limited)
    )


def _bound(probe: Probe, roles: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each ClusterRoleBinding to one of the roles, with one of its subjects."""
    wanted = set(roles)
    for body in probe.every("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", "ClusterRoleBinding", _RBAC):
        root = Fields(body)
        if root.child("roleRef").text("name") in wanted:
            for subject in root.children("subjects"):
                yield root.child("metadata").text("name"), _subject(subject)


def _subject(subject: Fields) -> str:
    if subject.text("kind") == "ServiceAccount":
        return f"system:serviceaccount:{subject.text('namespace')}:{subject.text('name')}"
    return f"{subject.text('kind').lower()} {subject.text('name')}"


def _shown(found: Iterable[tuple[str, str]]) -> str:
    return some([f"{binding} binds {subject}" for binding, subject in found])


def _first(probe: Probe) -> Outcome:
    roles = _roles(probe, f"{_REQUESTS}/nodeclient", "create")
    found = list(_bound(probe, roles))
    if found:
        bindings = " ".join(dict.fromkeys(visible(binding, 253) for binding, _ in found))
        remedy = (
            "The controller manager approves the first certificate of any node name that these ask for, before "
            f"nodegate is asked. Delete the binding: kubectl delete clusterrolebinding {bindings}."
        )
        return fail(_shown(found), remedy)
    return ok("the controller manager approves nobody's first certificate")


def _renewals(probe: Probe) -> Outcome:
    roles = _roles(probe, f"{_REQUESTS}/selfnodeclient", "create")
    found = list(_bound(probe, roles))
    if found:
        bindings = " ".join(dict.fromkeys(visible(binding, 253) for binding, _ in found))
        remedy = (
            "The controller manager approves renewals of these, so Suspended and Revoked do not stop them. Delete the "
            f"binding when nodegate is to decide: kubectl delete clusterrolebinding {bindings}."
        )
        return warn(_shown(found), remedy)
    return ok("the controller manager approves nobody's renewals")


def _rights(probe: Probe) -> Outcome:
    roles = _roles(probe, "signers", "approve", MANAGED_SIGNERS)
    _, ours = probe.account()
    found = [(b, subject) for b, subject in _bound(probe, roles) if subject not in {ours.user, *_OWN}]
    if found:
        return warn(
            _shown(found), "Take the right to approve away from these, or be sure that they leave kubelets alone."
        )
    return ok("nobody but nodegate is bound to a role that names these signers")


def _programs(probe: Probe) -> Outcome:
    found: list[str] = []
    for kind in ("Deployment", "DaemonSet"):
        for body in probe.every(f"/apis/apps/v1/{kind.lower()}s", kind, "apps/v1"):
            meta = Fields(body).child("metadata")
            if _known(meta):
                found.append(f"{kind} {visible(meta.text('namespace'))}/{visible(meta.text('name'), 253)}")
    if found:
        remedy = "Two approvers race, and the laxer one wins. Remove it, or have it leave the kubelet signers alone."
        return warn(some(found), remedy)
    return ok("none of the usual names is deployed")


def _known(meta: Fields) -> bool:
    labels: Mapping[str, str] = {key: meta.child("labels").text(key) for key in meta.child("labels").keys()}  # noqa: SIM118 - Fields is no mapping
    return bool({meta.text("name"), labels.get("app.kubernetes.io/name"), labels.get("app")} & set(_KNOWN))


def _restriction(_: Probe) -> Outcome:
    return skip(
        "admission plugins cannot be seen through the API",
        "Look at the API servers' flags: --enable-admission-plugins must name NodeRestriction, off by default.",
    )


def _foreign(probe: Probe) -> Outcome:
    from nodegate.cli.decisions import decisions

    found = []
    for body in probe.requests():
        if _ours(body):
            made = next((each for each in decisions(body) if each.type == "Approved"), None)
            if made is not None and not made.by.startswith("nodegate"):
                found.append(f"{_name(body)} by {made.by or made.reason or 'somebody'}")
    if found:
        remedy = "Find out who approved these. A person may; a program beside nodegate should not."
        return warn(f"approved by others: {some(found)}", remedy)
    return ok("no approval by anybody else among the requests that are kept")


def _ours(body: Body) -> bool:
    return Fields(body).child("spec").text("signerName") in MANAGED_SIGNERS


def _name(body: Body) -> str:
    return visible(Fields(body).child("metadata").text("name"), 253)


CHECKS = (
    Check("approver-bootstrap", _first),
    Check("approver-renewal", _renewals),
    Check("approver-rights", _rights),
    Check("approver-programs", _programs),
    Check("approver-traces", _foreign),
    Check("node-restriction", _restriction),
)
"""Who else may decide."""
