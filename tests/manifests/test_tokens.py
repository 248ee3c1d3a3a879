"""The component that lets the operator mint tokens: two verbs, one policy, one binding, one setting."""

import base64

from nodegate.enrollment.tokens import NAMESPACE, SECRET_TYPE, extra_groups, secret_name
from nodegate.names import BOOTSTRAP_GROUP, NODEGATE_GROUP
from nodegate.settings import ENVIRONMENT_PREFIX, Settings
from tests.manifests.shipped import BASE, base_objects, kustomization, rendered

COMPONENT = BASE.parent / "components" / "tokens"
OBJECTS = {document["kind"]: document for document in rendered(COMPONENT)}


def test_every_file_is_listed() -> None:
    """A manifest that the component does not name would never reach a cluster."""
    present = sorted(path.name for path in COMPONENT.glob("*.yaml") if path.name != "kustomization.yaml")
    assert kustomization(COMPONENT)["resources"] == present
    assert kustomization(COMPONENT)["kind"] == "Component"


def test_it_grants_making_and_deleting_secrets_there_and_nothing_else() -> None:
    """No right to read one, in one namespace only, for the base's service account."""
    role, binding = OBJECTS["Role"], OBJECTS["RoleBinding"]
    assert role["rules"] == [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["create", "delete"]}]
    assert role["metadata"]["namespace"] == binding["metadata"]["namespace"] == NAMESPACE
    (account,) = base_objects("ServiceAccount")
    subject = {"kind": "ServiceAccount"} | {key: account["metadata"][key] for key in ("name", "namespace")}
    assert binding["subjects"] == [subject]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]


def test_minted_tokens_may_ask_and_nothing_else() -> None:
    """The group of minted tokens is bound to Kubernetes' own role of bootstrappers."""
    binding = OBJECTS["ClusterRoleBinding"]
    assert [subject["name"] for subject in binding["subjects"]] == [NODEGATE_GROUP]
    assert binding["roleRef"]["name"] == "system:node-bootstrapper"


def test_the_policy_speaks_of_the_operator_and_its_own_words() -> None:
    """The policy binds the base's account, refuses, and knows the program's names."""
    spec = OBJECTS["ValidatingAdmissionPolicy"]["spec"]
    (account,) = base_objects("ServiceAccount")
    user = f"system:serviceaccount:{account['metadata']['namespace']}:{account['metadata']['name']}"
    assert f"'{user}'" in spec["matchConditions"][0]["expression"]
    groups = {variable["name"]: variable["expression"] for variable in spec["variables"]}["groups"]
    assert base64.b64decode(groups.strip("'")).decode().split(",") == list(extra_groups(BOOTSTRAP_GROUP))
    kinds = spec["validations"][1]["expression"]
    assert f"'{SECRET_TYPE}'" in kinds
    assert f"'{secret_name('')}'" in kinds
    assert f"'{NAMESPACE}'" in kinds
    assert OBJECTS["ValidatingAdmissionPolicyBinding"]["spec"]["validationActions"] == ["Deny", "Audit"]
    assert spec["failurePolicy"] == "Fail"


def test_it_sets_the_flag() -> None:
    """The patch adds the variable of a setting that exists to the container's environment."""
    (patch,) = kustomization(COMPONENT)["patches"]
    assert f"{ENVIRONMENT_PREFIX}ISSUE_TOKENS" in patch["patch"]
    assert "/spec/template/spec/containers/0/env/-" in patch["patch"]
    assert Settings().issue_tokens is False
    (deployment,) = base_objects("Deployment")
    assert deployment["metadata"]["name"] == patch["target"]["name"]
