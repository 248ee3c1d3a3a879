"""The component that lets the operator write flannel's config: two verbs more, one Secret, one policy, one setting."""

import kubernetes_validate
import pytest

from nodegate.flannel.apply import FINALIZER
from nodegate.settings import ENVIRONMENT_PREFIX, Settings
from tests.manifests.shipped import BASE, SAMPLES, base_objects, documents, kustomization, rendered
from tests.manifests.test_api_schemas import KUBERNETES

COMPONENT = BASE.parent / "components" / "flannel"
OBJECTS = {document["kind"]: document for document in rendered(COMPONENT)}


def test_every_file_is_listed() -> None:
    """A manifest that the component does not name would never reach a cluster."""
    present = sorted(path.name for path in COMPONENT.glob("*.yaml") if path.name != "kustomization.yaml")
    assert kustomization(COMPONENT)["resources"] == present
    assert kustomization(COMPONENT)["kind"] == "Component"


@pytest.mark.parametrize("kind", sorted(OBJECTS))
def test_objects_are_valid(kind: str) -> None:
    """Kubernetes' schemas accept every object, strictly: no field is unknown."""
    assert kubernetes_validate.validate(OBJECTS[kind], KUBERNETES, strict=True) == KUBERNETES


def test_the_base_has_no_right_to_any_of_it() -> None:
    """Off by default: the base reads no network and no Secret."""
    assert "flannelnetworks" not in str(base_objects("ClusterRole"))
    assert "secrets" not in str([*base_objects("ClusterRole"), *base_objects("Role")])
    assert Settings().flannel is False
    assert Settings().allow_flannel_extension is False


def test_it_grants_what_networks_need_and_nothing_else() -> None:
    """Networks are read, their status and finalizer patched; none is made, updated or deleted."""
    granted = {
        (resource, verb)
        for rule in OBJECTS["ClusterRole"]["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert granted == {
        *(("flannelnetworks", verb) for verb in ("get", "list", "watch", "patch")),
        *(("flannelnetworks/status", verb) for verb in ("get", "patch")),
    }


def test_exactly_one_secret_is_read_by_name() -> None:
    """The verb is get, the Secret is the sample's, in the operator's own namespace."""
    role = OBJECTS["Role"]
    samples = [sample for path in (SAMPLES / "flannel").glob("*.yaml") for sample in documents(path)]
    references = [sample["spec"]["etcd"]["tls"]["secretRef"] for sample in samples]
    (rule,) = role["rules"]
    assert rule == {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["flannel-etcd"], "verbs": ["get"]}
    (account,) = base_objects("ServiceAccount")
    assert role["metadata"]["namespace"] == account["metadata"]["namespace"]
    assert {"namespace": role["metadata"]["namespace"], "name": "flannel-etcd"} in references


@pytest.mark.parametrize("kind", ["ClusterRoleBinding", "RoleBinding"])
def test_the_bindings_are_for_the_base_account(kind: str) -> None:
    """Both bind the component's own role to the base's service account."""
    (account,) = base_objects("ServiceAccount")
    subject = {"kind": "ServiceAccount"} | {key: account["metadata"][key] for key in ("name", "namespace")}
    assert OBJECTS[kind]["subjects"] == [subject]
    assert OBJECTS[kind]["roleRef"]["name"] == OBJECTS[kind.removesuffix("Binding")]["metadata"]["name"]


def test_the_policy_speaks_of_the_operator_and_its_finalizer() -> None:
    """It binds the base's account, refuses, and knows the program's own finalizer."""
    spec = OBJECTS["ValidatingAdmissionPolicy"]["spec"]
    (account,) = base_objects("ServiceAccount")
    user = f"system:serviceaccount:{account['metadata']['namespace']}:{account['metadata']['name']}"
    assert f"'{user}'" in spec["matchConditions"][0]["expression"]
    assert f"'{FINALIZER}'" in spec["validations"][2]["expression"]
    assert "object.spec == oldObject.spec" in spec["validations"][0]["expression"]
    assert spec["failurePolicy"] == "Fail"
    assert OBJECTS["ValidatingAdmissionPolicyBinding"]["spec"]["validationActions"] == ["Deny", "Audit"]


def test_the_network_policy_selects_the_operator_and_lets_it_reach_etcd() -> None:
    """It selects the Deployment's pods, limits egress alone, and allows etcd's client port and the API server's."""
    spec = OBJECTS["NetworkPolicy"]["spec"]
    (deployment,) = base_objects("Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert spec["podSelector"]["matchLabels"].items() <= labels.items()
    assert spec["policyTypes"] == ["Egress"]
    ports = {port["port"] for rule in spec["egress"] for port in rule["ports"]}
    assert {443, 6443, 2379} <= ports


def test_it_sets_the_flag() -> None:
    """The patch adds the variable of a setting that exists to the container's environment."""
    (patch,) = kustomization(COMPONENT)["patches"]
    assert f"{ENVIRONMENT_PREFIX}FLANNEL" in patch["patch"]
    assert "/spec/template/spec/containers/0/env/-" in patch["patch"]
    (deployment,) = base_objects("Deployment")
    assert deployment["metadata"]["name"] == patch["target"]["name"]
