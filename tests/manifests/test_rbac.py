"""What the operator may do, compared word for word with a list that a reviewer can read."""

from typing import NamedTuple

from tests.manifests.shipped import Document, base_objects

READ = ("get", "list", "watch")


class Grant(NamedTuple):
    """One right: in a namespace (or everywhere), on a resource, limited to names where it can be."""

    namespace: str | None
    group: str
    resource: str
    names: tuple[str, ...]
    verbs: tuple[str, ...]


ALLOWED = {
    Grant(None, "certificates.k8s.io", "certificatesigningrequests", (), READ),
    Grant(None, "certificates.k8s.io", "certificatesigningrequests/approval", (), ("update",)),
    Grant(
        None,
        "certificates.k8s.io",
        "signers",
        ("kubernetes.io/kube-apiserver-client-kubelet", "kubernetes.io/kubelet-serving"),
        ("approve",),
    ),
    Grant(None, "nodegate.dev", "nodeenrollments", (), READ),
    Grant(None, "nodegate.dev", "nodeenrollments/status", (), ("get", "patch")),
    Grant(None, "events.k8s.io", "events", (), ("create", "patch")),
    Grant(None, "", "nodes", (), READ),
    Grant(None, "networking.k8s.io", "servicecidrs", (), READ),
    Grant(None, "authentication.k8s.io", "tokenreviews", (), ("create",)),
    Grant(None, "authorization.k8s.io", "subjectaccessreviews", (), ("create",)),
    Grant("default", "", "services", ("kubernetes",), READ),
    Grant("default", "discovery.k8s.io", "endpointslices", ("kubernetes",), READ),
    Grant("nodegate-system", "coordination.k8s.io", "leases", (), ("create", "get", "update")),
}
"""Every right of the operator. A change here is a change of what a stolen token is worth."""


READER = "nodegate-metrics-reader"
"""The role for those who scrape, which is not the operator's."""


def _roles() -> list[Document]:
    """Return the operator's roles."""
    return [role for role in base_objects("ClusterRole") if role["metadata"]["name"] != READER] + base_objects("Role")


def _grants() -> list[Grant]:
    return [
        Grant(
            role["metadata"].get("namespace"),
            group,
            resource,
            tuple(rule.get("resourceNames", ())),
            tuple(sorted(verbs)),
        )
        for role in _roles()
        for rule in role["rules"]
        for verbs in [rule["verbs"]]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    ]


def test_the_rights_are_exactly_these() -> None:
    """Nothing more and nothing less is granted than the list above."""
    assert set(_grants()) == ALLOWED
    assert len(_grants()) == len(ALLOWED)


def test_rules_have_no_other_form() -> None:
    """A rule on URLs or with another key would escape the list."""
    keys = {key for role in _roles() for rule in role["rules"] for key in rule}
    assert keys <= {"apiGroups", "resources", "resourceNames", "verbs"}
    assert not any("aggregationRule" in role for role in _roles())


def test_readers_of_metrics_may_read_metrics_and_nothing_else() -> None:
    """The one role that is not the operator's opens one URL and is bound to nobody."""
    (role,) = [role for role in base_objects("ClusterRole") if role["metadata"]["name"] == READER]
    assert role["rules"] == [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]
    assert "aggregationRule" not in role
    bound = base_objects("ClusterRoleBinding") + base_objects("RoleBinding")
    assert [binding for binding in bound if binding["roleRef"]["name"] == READER] == []


def test_no_wildcard() -> None:
    """A wildcard grants what nobody has thought of yet."""
    words = {word for grant in _grants() for word in (grant.group, grant.resource, *grant.names, *grant.verbs)}
    assert [word for word in words if "*" in word] == []


def test_requests_are_read_and_approved_and_nothing_else() -> None:
    """Who can create, sign or change a request and approve it can approve itself."""
    verbs = {(g.resource, verb) for g in _grants() if g.group == "certificates.k8s.io" for verb in g.verbs}
    assert verbs == {
        *(("certificatesigningrequests", verb) for verb in READ),
        ("certificatesigningrequests/approval", "update"),
        ("signers", "approve"),
    }


def test_no_secret_is_readable() -> None:
    """The base mints no tokens, so it needs no Secrets."""
    assert [grant for grant in _grants() if grant.resource.startswith("secrets")] == []


def test_every_role_is_bound_to_the_operator_only() -> None:
    """Each role has one binding, in its own namespace, to the one service account."""
    bound = base_objects("ClusterRoleBinding") + base_objects("RoleBinding")
    wanted = {(role["kind"], role["metadata"].get("namespace"), role["metadata"]["name"]) for role in _roles()}
    assert {(b["roleRef"]["kind"], b["metadata"].get("namespace"), b["roleRef"]["name"]) for b in bound} == wanted
    assert len(bound) == len(wanted)
    subject = {"kind": "ServiceAccount", "name": "nodegate", "namespace": "nodegate-system"}
    assert all(binding["subjects"] == [subject] for binding in bound)
