"""The fence: policies that only refuse, whose literals are the program's own words.

The component's YAML comes in. Whether the API server compiles the expressions, and what they refuse, is asked of
a real one in the integration tier; here they are compared with the rules, the names and the base.
"""

import re
from functools import reduce
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from nodegate.csr.decide import APPROVALS, RULES
from nodegate.csr.model import Reason
from nodegate.csr.rules.request import DIGITAL_SIGNATURE, KEY_ENCIPHERMENT
from nodegate.csr.rules.rule import Fault
from nodegate.names import (
    BOOTSTRAP_GROUP,
    BOOTSTRAP_USER_PREFIX,
    CLIENT_SIGNER,
    MANAGED_SIGNERS,
    NODE_USER_PREFIX,
    NODES_GROUP,
)
from tests.manifests.shipped import BASE, Document, base_objects, documents, kustomization, rendered
from tests.manifests.test_api_schemas import KUBERNETES

FENCE = BASE.parent / "components" / "fence"
STRICT = FENCE / "strict"
OBJECTS = list(rendered(FENCE))
POLICIES = {o["metadata"]["name"]: o for o in OBJECTS if o["kind"] == "ValidatingAdmissionPolicy"}
BINDINGS = {o["metadata"]["name"]: o for o in OBJECTS if o["kind"] == "ValidatingAdmissionPolicyBinding"}
APPROVALS_POLICY, STATUS, OTHER, BOOTSTRAP = (
    f"{name}.fence.nodegate.dev" for name in ("approvals", "enrollment-status", "other-approver", "bootstrap-requests")
)

_LITERAL = re.compile(r"'([^']*)'")
_POINTER = re.compile(r"^#   (/spec/\S+)", re.MULTILINE)


def _variables(policy: str) -> dict[str, str]:
    return {variable["name"]: variable["expression"] for variable in POLICIES[policy]["spec"]["variables"]}


def _validations(policy: str) -> list[Document]:
    validations: list[Document] = POLICIES[policy]["spec"]["validations"]
    return validations


def _literals(text: str) -> set[str]:
    return set(_LITERAL.findall(text))


def _operator() -> str:
    """Return the user name of the base's ServiceAccount."""
    (account,) = base_objects("ServiceAccount")
    return f"system:serviceaccount:{account['metadata']['namespace']}:{account['metadata']['name']}"


def _at(document: Any, pointer: str) -> Any:
    """Return what a JSON pointer leads to."""

    def step(value: Any, key: str) -> Any:
        return value[int(key)] if isinstance(value, list) else value[key]

    return reduce(step, pointer.strip("/").split("/"), document)


def test_the_components_list_every_file() -> None:
    """Both are components, so an overlay can take them in beside the base; nothing else is transformed."""
    for directory in (FENCE, STRICT):
        body = kustomization(directory)
        assert (body["apiVersion"], body["kind"]) == ("kustomize.config.k8s.io/v1alpha1", "Component")
        assert (directory / "kustomization.yaml").read_text().startswith("# ")
    present = sorted(path.name for path in FENCE.glob("*.yaml") if path.name != "kustomization.yaml")
    assert kustomization(FENCE)["resources"] == present
    assert set(kustomization(FENCE)) == {"apiVersion", "kind", "resources"}
    assert [path.name for path in STRICT.iterdir()] == ["kustomization.yaml"]


@pytest.mark.parametrize("document", OBJECTS, ids=lambda o: f"{o['kind']}-{o['metadata']['name']}")
def test_objects_are_valid_and_labelled(document: Document) -> None:
    """Kubernetes' schemas accept every object, strictly, and a selector finds the fence as a whole."""
    assert kubernetes_validate.validate(document, KUBERNETES, strict=True) == KUBERNETES
    labels = {key.rpartition("/")[2]: value for key, value in document["metadata"]["labels"].items()}
    assert labels == {"name": "nodegate", "component": "fence", "part-of": "nodegate"}


def test_the_fence_grants_nothing_and_replaces_nothing() -> None:
    """It consists of policies and bindings, none of them shipped by the base."""
    assert {o["kind"] for o in OBJECTS} == {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
    keys = [(o["kind"], o["metadata"]["name"]) for o in (*rendered(BASE), *OBJECTS)]
    assert len(keys) == len(set(keys))


def test_every_policy_fails_closed_and_is_bound() -> None:
    """A policy without a binding does nothing, and one that ignores its own errors can be made to err."""
    assert set(POLICIES) == set(BINDINGS) == {APPROVALS_POLICY, STATUS, OTHER, BOOTSTRAP}
    actions = {name: body["spec"]["validationActions"] for name, body in BINDINGS.items()}
    warns = actions.pop(OTHER)
    assert warns == ["Warn", "Audit"]
    assert list(actions.values()) == [["Deny", "Audit"]] * 3
    for name, policy in POLICIES.items():
        assert BINDINGS[name]["spec"]["policyName"] == name
        assert set(BINDINGS[name]["spec"]) == {"policyName", "validationActions"}
        assert policy["spec"]["failurePolicy"] == "Fail"


def test_versions_are_named() -> None:
    """The API server checks the types of an expression only where group, version and resource have no wildcard."""
    for policy in POLICIES.values():
        (rule,) = policy["spec"]["matchConstraints"]["resourceRules"]
        assert not any("*" in text for key in ("apiGroups", "apiVersions", "resources") for text in rule[key])


def test_strict_makes_the_warning_a_refusal() -> None:
    """Its one patch has the binding that warns as its target."""
    (patch,) = kustomization(STRICT)["patches"]
    assert patch["target"]["name"] in BINDINGS
    assert (patch["target"]["kind"], patch["target"]["name"]) == ("ValidatingAdmissionPolicyBinding", OTHER)
    (operation,) = yaml.safe_load(patch["patch"])
    assert operation == {"op": "replace", "path": "/spec/validationActions", "value": ["Deny", "Audit"]}
    assert _at(BINDINGS[OTHER], operation["path"]) == ["Warn", "Audit"]


@pytest.mark.parametrize("policy", POLICIES)
def test_messages_say_what_was_expected_and_found(policy: str) -> None:
    """Every refusal is a 403 that names what was found; the fixed message stands in should that fail."""
    for validation in _validations(policy):
        assert validation["reason"] == "Forbidden"
        assert validation["message"].startswith("expected ")
        assert validation["messageExpression"].startswith("'expected ")
        assert ", found " in validation["messageExpression"]
        assert "; " in validation["messageExpression"], "what to do"


def test_reasons_are_those_of_the_rules() -> None:
    """The closed list is the table's: approvals by kind of request, denials by the rules that deny."""
    (expression,) = (v["expression"] for v in _validations(APPROVALS_POLICY) if "'Denied'" in v["expression"])
    denials = _literals(expression.partition("c.type == 'Denied'")[2]) - {""}
    assert denials == {str(rule.reason) for rule in RULES if rule.fault is Fault.DENY}, "paste the new list"
    assert _literals(_variables(APPROVALS_POLICY)["approvalReason"]) == set(map(str, APPROVALS.values()))
    assert denials <= set(Reason)


def test_names_are_those_of_the_program() -> None:
    """Signers, users, groups and usages are spelled as the operator spells them."""
    variables = _variables(APPROVALS_POLICY)
    text = " ".join((*variables.values(), *(v["expression"] for v in _validations(APPROVALS_POLICY))))
    assert {literal for literal in _literals(text) if "/" in literal} == set(MANAGED_SIGNERS)
    assert {NODE_USER_PREFIX, BOOTSTRAP_USER_PREFIX, NODES_GROUP, BOOTSTRAP_GROUP} == {
        literal for literal in _literals(text) if literal.startswith("system:")
    }
    assert {DIGITAL_SIGNATURE, KEY_ENCIPHERMENT, "client auth", "server auth"} == {
        literal for literal in _literals(text) if " " in literal
    }
    (asks,) = _validations(BOOTSTRAP)
    assert _literals(asks["expression"]) == {CLIENT_SIGNER}


def test_settings_fit_the_base() -> None:
    """The literals that a cluster may change are what the shipped operator is and is told."""
    (condition,) = POLICIES[APPROVALS_POLICY]["spec"]["matchConditions"]
    assert condition["expression"] == f"request.userInfo.username == '{_operator()}'"
    assert _variables(STATUS)["operator"] == f"'{_operator()}'"
    (deployment,) = base_objects("Deployment")
    environment = {e["name"]: e.get("value") for e in deployment["spec"]["template"]["spec"]["containers"][0]["env"]}
    group = f"'{environment['NODEGATE_BOOTSTRAP_GROUP']}'"
    assert _variables(APPROVALS_POLICY)["bootstrapGroup"] == _variables(BOOTSTRAP)["bootstrapGroup"] == group


@pytest.mark.parametrize("path", sorted(FENCE.glob("[0-9]*.yaml")), ids=lambda path: path.name)
def test_comments_name_patches_that_fit(path: Path) -> None:
    """Every JSON pointer that a comment offers leads to an expression, and the settings come first."""
    policy, _ = documents(path)
    pointers = _POINTER.findall(path.read_text())
    assert all(isinstance(_at(policy, pointer), str) for pointer in pointers)
    variables = [int(pointer.split("/")[3]) for pointer in pointers if pointer.startswith("/spec/variables/")]
    assert variables == list(range(len(variables)))
