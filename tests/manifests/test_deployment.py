"""The operator's pod: hardened, probed, and started with settings that the operator accepts."""

import argparse
from typing import Any

from nodegate.settings import Settings, add_flags, read_settings
from tests.manifests.shipped import Document, base_objects

RESTRICTED_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
} | {"secret"}
"""Volume types that Pod Security's restricted profile allows (Kubernetes, Pod Security Standards)."""


def _deployment() -> Document:
    (deployment,) = base_objects("Deployment")
    return deployment


def _pod() -> Document:
    pod: Document = _deployment()["spec"]["template"]["spec"]
    return pod


def _container() -> Document:
    (container,) = _pod()["containers"]
    assert isinstance(container, dict)
    return container


def _settings() -> Settings:
    """Return what the operator makes of the container's environment, the pod's own fields filled in."""
    values = {"metadata.namespace": _deployment()["metadata"]["namespace"]}
    environment = {
        entry["name"]: entry["value"] if "value" in entry else values[entry["valueFrom"]["fieldRef"]["fieldPath"]]
        for entry in _container()["env"]
    }
    parser = argparse.ArgumentParser()
    add_flags(parser)
    return read_settings(parser.parse_args([]), environment)


def test_the_namespace_enforces_the_restricted_profile() -> None:
    """The API server refuses, audits and warns about any pod here that needs more."""
    (namespace,) = base_objects("Namespace")
    labels = namespace["metadata"]["labels"]
    levels = {mode: labels[f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "audit", "warn")}
    assert levels == {"enforce": "restricted", "audit": "restricted", "warn": "restricted"}


def test_the_pod_meets_the_restricted_profile() -> None:
    """Pod Security Standards, restricted: every control that concerns a pod."""
    pod = _pod()
    assert not any(pod.get(key) for key in ("hostNetwork", "hostPID", "hostIPC", "hostUsers", "initContainers"))
    assert all(set(volume) - {"name"} <= RESTRICTED_VOLUMES for volume in pod.get("volumes", ()))
    context = pod["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] == context["runAsGroup"] == 65532
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert "sysctls" not in context


def test_the_container_meets_the_restricted_profile() -> None:
    """Pod Security Standards, restricted, and a file system that cannot be written."""
    expected: dict[str, Any] = {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert _container()["securityContext"] == expected
    assert not any("hostPort" in port for port in _container()["ports"])


def test_one_process_at_a_time() -> None:
    """The old process gives the lease back before the new one starts."""
    spec = _deployment()["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert _pod()["terminationGracePeriodSeconds"] == 30


def test_it_keeps_its_place() -> None:
    """Without the operator no node joins: it outlives pressure and may run on control planes."""
    pod, resources = _pod(), _container()["resources"]
    assert pod["priorityClassName"] == "system-cluster-critical"
    assert {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule"} in pod[
        "tolerations"
    ]
    assert resources == {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "192Mi"}}


def test_it_runs_as_its_own_service_account() -> None:
    """Only the operator's pod mounts the token; the account itself hands it to nobody."""
    (account,) = base_objects("ServiceAccount")
    assert account["automountServiceAccountToken"] is False
    assert _pod()["automountServiceAccountToken"] is True
    assert _pod()["serviceAccountName"] == account["metadata"]["name"]


def test_the_environment_is_accepted_by_the_operator() -> None:
    """A variable that the operator does not know stops its start, so every one has to be real."""
    settings = _settings()
    assert settings.leader_elect is True
    assert settings.lease_namespace == "nodegate-system"
    assert all(entry["name"].startswith("NODEGATE_") for entry in _container()["env"])


def test_probes_and_service_meet_the_port_that_the_operator_listens_on() -> None:
    """The kubelet and Prometheus ask where the operator answers."""
    ports, (service,) = _container()["ports"], base_objects("Service")
    settings = _settings()
    expected = {"http": settings.listen[1], "metrics": settings.metrics_listen[1]}
    assert {port["name"]: port["containerPort"] for port in ports} == expected
    probes = {name: _container()[name]["httpGet"] for name in ("livenessProbe", "readinessProbe")}
    assert probes["livenessProbe"] == {"path": "/healthz", "port": "http"}
    assert probes["readinessProbe"] == {"path": "/readyz", "port": "http"}
    (service_port,) = service["spec"]["ports"]
    assert (service_port["name"], service_port["port"], service_port["targetPort"]) == ("metrics", 8443, "metrics")


def test_metrics_are_guarded() -> None:
    """The shipped pod never serves /metrics in the open."""
    assert _settings().insecure_metrics is False


def test_selectors_find_the_pod() -> None:
    """The Deployment and the Service select by labels that the pod carries."""
    labels = _deployment()["spec"]["template"]["metadata"]["labels"]
    (service,) = base_objects("Service")
    for selector in (_deployment()["spec"]["selector"]["matchLabels"], service["spec"]["selector"]):
        assert selector.items() <= labels.items()
