"""The component that lets the operator write Nodes: one right, one policy, one setting."""

from nodegate.enrollment.node_settings import RESERVED_LABELS, RESERVED_TAINTS
from nodegate.settings import ENVIRONMENT_PREFIX, Settings
from tests.manifests.shipped import BASE, base_objects, kustomization, rendered

COMPONENT = BASE.parent / "components" / "node-settings"
OBJECTS = {document["kind"]: document for document in rendered(COMPONENT)}


def test_every_file_is_listed() -> None:
    """A manifest that the component does not name would never reach a cluster."""
    present = sorted(path.name for path in COMPONENT.glob("*.yaml") if path.name != "kustomization.yaml")
    assert kustomization(COMPONENT)["resources"] == present
    assert kustomization(COMPONENT)["kind"] == "Component"


def test_it_grants_patching_nodes_and_nothing_else() -> None:
    """One verb on one resource, for the base's service account."""
    assert OBJECTS["ClusterRole"]["rules"] == [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["patch"]}]
    (account,) = base_objects("ServiceAccount")
    subject = {"kind": "ServiceAccount"} | {key: account["metadata"][key] for key in ("name", "namespace")}
    assert OBJECTS["ClusterRoleBinding"]["subjects"] == [subject]
    assert OBJECTS["ClusterRoleBinding"]["roleRef"]["name"] == OBJECTS["ClusterRole"]["metadata"]["name"]


def test_the_policy_speaks_of_the_operator_and_its_own_words() -> None:
    """The policy binds the base's account, refuses, and reserves what the program reserves."""
    spec = OBJECTS["ValidatingAdmissionPolicy"]["spec"]
    (account,) = base_objects("ServiceAccount")
    user = f"system:serviceaccount:{account['metadata']['namespace']}:{account['metadata']['name']}"
    assert f"'{user}'" in spec["matchConditions"][0]["expression"]
    variables = {variable["name"]: variable["expression"] for variable in spec["variables"]}
    assert set(variables["labels"].strip("[]").replace("'", "").split(", ")) == RESERVED_LABELS
    assert set(variables["taints"].strip("[]").replace("'", "").split(", ")) == RESERVED_TAINTS
    assert OBJECTS["ValidatingAdmissionPolicyBinding"]["spec"]["validationActions"] == ["Deny", "Audit"]
    assert spec["failurePolicy"] == "Fail"


def test_it_sets_the_flag() -> None:
    """The patch adds the variable of a setting that exists to the container's environment."""
    (patch,) = kustomization(COMPONENT)["patches"]
    assert f"{ENVIRONMENT_PREFIX}MANAGE_NODES" in patch["patch"]
    assert "/spec/template/spec/containers/0/env/-" in patch["patch"]
    assert Settings().manage_nodes is False
    (deployment,) = base_objects("Deployment")
    assert deployment["metadata"]["name"] == patch["target"]["name"]
