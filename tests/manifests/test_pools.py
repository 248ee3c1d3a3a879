"""The component of pools and its schema: described, bounded, and the enrollment's own where it repeats that."""

from typing import Any

import kubernetes_validate
import pytest

from nodegate.names import POOL_LABEL, POOL_UID
from nodegate.pool.model import PoolState
from nodegate.pool.parse import NAME_LIMIT, OPEN_GROUPS, TEMPLATE_FIELDS, parse_pool
from nodegate.pool.pattern import TEXT_LIMIT
from nodegate.settings import ENVIRONMENT_PREFIX, Settings
from tests.manifests.schema import walk, with_defaults
from tests.manifests.shipped import BASE, CRDS, Document, base_objects, crd_schema, documents, kustomization, rendered
from tests.manifests.test_api_schemas import KUBERNETES

COMPONENT = BASE.parent / "components" / "pools"
OBJECTS = {document["kind"]: document for document in rendered(COMPONENT)}
SCHEMA: Document = OBJECTS["CustomResourceDefinition"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
FIELDS = {path: field for path, field in walk(SCHEMA) if path != "metadata"}
_SAID_ELSEWHERE = {"description", "default"}


def test_every_file_is_listed() -> None:
    """A manifest that the component does not name would never reach a cluster."""
    present = sorted(path.name for path in COMPONENT.glob("*.yaml") if path.name != "kustomization.yaml")
    assert kustomization(COMPONENT)["resources"] == ["../../../crds/pools", *present]
    assert kustomization(COMPONENT)["kind"] == "Component"
    schemas = sorted(path.name for path in (CRDS / "pools").glob("*.yaml") if path.name != "kustomization.yaml")
    assert kustomization(CRDS / "pools")["resources"] == schemas


@pytest.mark.parametrize("kind", sorted(set(OBJECTS) - {"CustomResourceDefinition"}))
def test_objects_are_valid(kind: str) -> None:
    """Kubernetes' schemas accept every object, strictly: no field is unknown."""
    assert kubernetes_validate.validate(OBJECTS[kind], KUBERNETES, strict=True) == KUBERNETES


def test_the_base_knows_no_pools() -> None:
    """Off by default: neither the schema nor a right is in the base."""
    assert not [
        o for o in rendered(BASE) if o["kind"] == "CustomResourceDefinition" and "pools" in o["metadata"]["name"]
    ]
    assert "nodeenrollmentpools" not in str(base_objects("ClusterRole"))
    assert Settings().pools is False


def test_it_grants_what_pools_need_and_nothing_else() -> None:
    """Pools are read and their status patched; enrollments are created and patched, never updated or deleted."""
    granted = {
        (resource, verb)
        for rule in OBJECTS["ClusterRole"]["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    pools, enrollments = "nodeenrollmentpools", "nodeenrollments"
    assert granted == {
        *((pools, verb) for verb in ("get", "list", "watch")),
        *((f"{pools}/status", verb) for verb in ("get", "patch")),
        *((enrollments, verb) for verb in ("create", "patch")),
    }
    (account,) = base_objects("ServiceAccount")
    subject = {"kind": "ServiceAccount"} | {key: account["metadata"][key] for key in ("name", "namespace")}
    assert OBJECTS["ClusterRoleBinding"]["subjects"] == [subject]
    assert OBJECTS["ClusterRoleBinding"]["roleRef"]["name"] == OBJECTS["ClusterRole"]["metadata"]["name"]


def test_the_policy_speaks_of_the_operator_and_every_field_of_an_enrollment() -> None:
    """It binds the base's account, refuses, knows our names, and forgets no field that a schema may grow."""
    spec = OBJECTS["ValidatingAdmissionPolicy"]["spec"]
    (account,) = base_objects("ServiceAccount")
    user = f"system:serviceaccount:{account['metadata']['namespace']}:{account['metadata']['name']}"
    assert f"'{user}'" in spec["matchConditions"][0]["expression"]
    text = str(spec)
    assert f"'{POOL_LABEL}'" in text.replace('"', "'")
    assert POOL_UID in text
    for field in crd_schema()["properties"]["spec"]["properties"]:
        assert f"object.spec.?{field} == oldObject.spec.?{field}" in text, field
    assert spec["failurePolicy"] == "Fail"
    assert OBJECTS["ValidatingAdmissionPolicyBinding"]["spec"]["validationActions"] == ["Deny", "Audit"]


def test_it_sets_the_flag() -> None:
    """The patch adds the variable of a setting that exists to the container's environment."""
    (patch,) = kustomization(COMPONENT)["patches"]
    assert f"{ENVIRONMENT_PREFIX}POOLS" in patch["patch"]
    assert "/spec/template/spec/containers/0/env/-" in patch["patch"]
    (deployment,) = base_objects("Deployment")
    assert deployment["metadata"]["name"] == patch["target"]["name"]


def test_every_field_is_described_and_bounded() -> None:
    """`kubectl explain` has a sentence for every field, and nothing can outgrow the cost budget or etcd."""
    for path, field in FIELDS.items():
        assert field.get("description", "").rstrip().endswith((".", "}", "]")), path
        assert field["type"] != "string" or "maxLength" in field or "enum" in field, path
        assert field["type"] != "array" or "maxItems" in field, path
        assert field["type"] != "object" or "properties" in field or "maxProperties" in field, path
        assert field["type"] != "integer" or field.get("minimum", -1) >= 0, path
        assert all(len(rule.get("message", "")) > 20 for rule in field.get("x-kubernetes-validations", ())), path


def test_every_field_of_the_spec_gives_an_example() -> None:
    """A reader learns from `kubectl explain` what to write, without a manual."""
    spec = [path for path in FIELDS if path.startswith("spec.") and not path.endswith((".*", "[]"))]
    assert [path for path in spec if "Example:" not in FIELDS[path]["description"]] == []


def _bounds(schema: Any) -> Any:
    """Return a schema without what no value can violate."""
    if isinstance(schema, dict):
        return {key: _bounds(value) for key, value in schema.items() if key not in _SAID_ELSEWHERE}
    return [_bounds(value) for value in schema] if isinstance(schema, list) else schema


def test_the_template_is_an_enrollments_spec_without_what_identifies() -> None:
    """Each field of the template has the enrollment's own bounds and rules, and the reader knows the same fields."""
    enrollment = crd_schema()["properties"]["spec"]["properties"]
    template = FIELDS["spec.template"]["properties"]
    assert set(template) == TEMPLATE_FIELDS == set(enrollment) - {"state", "addresses", "dnsNames"}
    for name in TEMPLATE_FIELDS - {"bootstrap"}:
        assert _bounds(template[name]) == _bounds(enrollment[name]), name
    assert set(template["bootstrap"]["properties"]) == {"maxJoins"}
    joins = (schema["bootstrap"]["properties"]["maxJoins"] for schema in (template, enrollment))
    assert len({str(_bounds(field)) for field in joins}) == 1


def test_the_operator_and_the_schema_agree() -> None:
    """Defaults, choices, limits and forbidden groups are the same in both."""
    bare: Document = {"metadata": {"name": "a"}, "spec": {"namePattern": "a", "maxNodes": 1, "tokenIDs": ["abcdef"]}}
    assert parse_pool(with_defaults(bare, SCHEMA)) == parse_pool(bare)
    assert FIELDS["spec.state"]["enum"] == [state.value for state in PoolState]
    assert FIELDS["spec.namePattern"]["maxLength"] == TEXT_LIMIT
    assert f"<= {NAME_LIMIT}" in SCHEMA["x-kubernetes-validations"][0]["rule"]
    groups = FIELDS["spec.groups[]"]["x-kubernetes-validations"][0]["rule"]
    assert set(groups.partition("[")[2].partition("]")[0].replace("'", "").split(", ")) == OPEN_GROUPS


@pytest.mark.parametrize("name", ["Ready", "PoolConflict"])
def test_columns_show_conditions(name: str) -> None:
    """`kubectl get nep` shows whether a pool works, and with -o wide whether it conflicts."""
    version = OBJECTS["CustomResourceDefinition"]["spec"]["versions"][0]
    paths = [column["jsonPath"] for column in version["additionalPrinterColumns"]]
    assert [path for path in paths if f'"{name}"' in path]


def test_names() -> None:
    """What people type: the short name, the category, the scope."""
    spec = OBJECTS["CustomResourceDefinition"]["spec"]
    assert (spec["scope"], spec["names"]["shortNames"], spec["names"]["categories"]) == (
        "Cluster",
        ["nep"],
        ["nodegate"],
    )
    assert documents(CRDS / "pools" / "nodeenrollmentpools.nodegate.dev.yaml")[0] == OBJECTS["CustomResourceDefinition"]
