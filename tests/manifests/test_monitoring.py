"""Alerts, dashboard and their documents name what the program exports, and the alerts fire when they should.

The shipped files come in. Rules: what is exported is asked of the program itself; PromQL is judged by
Prometheus' own `promtool`, and where that is absent the tests say so and are skipped.
"""

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack import docs
from hack.evidence import verifications_page
from hack.host_requirements import requirements_page
from hack.metrics_docs import exported, metrics_page, prometheus_rule
from nodegate.csr.apply import CSR_PATH
from nodegate.csr.model import Reason
from nodegate.enrollment.apply import ENROLLMENT_PATH
from nodegate.enrollment.model import Phase
from nodegate.kube.auth import ACCESS_REVIEWS, TOKEN_REVIEWS
from tests.manifests.monitoring import COMPONENT, DASHBOARD, needs_promtool, promtool, targets
from tests.manifests.shipped import BASE, ROOT, documents, kustomization

CRDS = COMPONENT / "operator-crds"
RULES = COMPONENT / "prometheus-rules.yaml"
RULE_TESTS = COMPONENT / "prometheus-rules.test.yaml"
RUNBOOK = ROOT / "docs" / "runbook.md"
PAGES = (*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md")
BUDGET = 500
"""Series that one operator may export, however large the cluster is."""

SUSPICIOUS = {
    Reason.TOKEN_MISMATCH,
    Reason.KEY_PIN_MISMATCH,
    Reason.REQUESTER_MISMATCH,
    Reason.REQUESTER_NOT_ALLOWED,
    Reason.SUBJECT_ALT_NAME_FOREIGN,
    Reason.SUBJECT_ALT_NAME_RESERVED,
}
"""What an honest host does not meet by chance."""

_METRIC = re.compile(r"\b(?:nodegate|process|python)_[a-z_]+[a-z]\b(?!\.md)")
_NO_METRICS = {"nodegate_host"}
"""What the documents name that looks like a metric: the host tool's package."""

_MATCHER = re.compile(r'(\w+)(=~|=)"([^"]*)"')
_CALLS = (
    *((verb, path) for path in (CSR_PATH, ENROLLMENT_PATH, "/api/v1/nodes") for verb in ("list", "watch")),
    *(
        (verb, path)
        for path in (
            "/apis/networking.k8s.io/v1/servicecidrs",
            "/api/v1/namespaces/default/services",
            "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
        )
        for verb in ("list", "watch")
    ),
    *((verb, "/apis/coordination.k8s.io/v1/namespaces/n/leases/nodegate") for verb in ("get", "update", "create")),
    ("create", "/apis/events.k8s.io/v1/namespaces/default/events"),
    ("create", TOKEN_REVIEWS),
    ("create", ACCESS_REVIEWS),
)
"""The operator's calls that name no request and no enrollment."""

needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on PATH to build overlays")


def _groups() -> list[dict[str, Any]]:
    (document,) = documents(RULES)
    groups: list[dict[str, Any]] = document["groups"]
    return groups


@cache
def _alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for group in _groups() for rule in group["rules"]}


ALERTS = sorted(_alerts())


def _test_rules(folder: Path, rules: list[dict[str, Any]]) -> tuple[int, str]:
    """Run the rule tests on other rules than those that are shipped."""
    (folder / RULES.name).write_text(yaml.safe_dump({"groups": [{"name": "nodegate", "rules": rules}]}))
    shutil.copy(RULE_TESTS, folder)
    return promtool("test", "rules", RULE_TESTS.name, folder=folder)


# What is named exists


def _series_names() -> set[str]:
    return {name for metric in exported() for name in (metric.name, *metric.samples)}


@pytest.mark.parametrize("path", [RULES, RULE_TESTS, DASHBOARD, *PAGES], ids=lambda path: path.name)
def test_every_metric_that_is_named_is_exported(path: Path) -> None:
    """No alert, panel or page rests on a metric that this version does not have."""
    assert set(_METRIC.findall(path.read_text())) - _series_names() <= _NO_METRICS


def test_the_pattern_finds_a_metric_that_does_not_exist() -> None:
    """The test above can fail."""
    assert set(_METRIC.findall("rate(nodegate_csr_invented_total[5m])")) - _series_names()
    assert set(_METRIC.findall(RULES.read_text())) & _series_names()


def test_every_label_that_is_matched_is_exported() -> None:
    """A matcher on a label that no metric has would match nothing, or everything, in silence."""
    labels = {label for metric in exported() for label in metric.labels}
    expressions = [rule["expr"] for rule in _alerts().values()] + [expression for _, expression in targets()]
    matched = {match[1] for expression in expressions for match in _MATCHER.finditer(expression)}
    grouped = {label for text in re.findall(r"by \(([^)]*)\)", " ".join(expressions)) for label in text.split(", ")}

    assert matched
    assert matched <= labels
    assert grouped <= labels | {"le", "instance", "job"}


@pytest.mark.parametrize("name", ALERTS)
def test_every_value_that_is_matched_can_occur(name: str) -> None:
    """Each matcher of a closed label selects at least one of the values that the program gives it."""
    closed = {
        "reason": {reason.label for reason in Reason},
        "phase": {str(phase) for phase in Phase},
        "verdict": {"approve", "deny", "hold", "ignore"},
        "resource": {"certificatesigningrequests/approval"},
    }
    for label, operator, pattern in _MATCHER.findall(_alerts()[name]["expr"]):
        for value in pattern.split("|") if operator == "=~" and "(" not in pattern else [pattern]:
            assert label not in closed or any(re.fullmatch(value, known) for known in closed[label]), value


def test_the_suspicious_reasons_are_these() -> None:
    """The alert on denials selects exactly the reasons that an honest host does not meet by chance."""
    patterns = {p for label, _, p in _MATCHER.findall(_alerts()["NodegateDenialsRising"]["expr"]) if label == "reason"}
    (pattern,) = patterns
    assert {reason for reason in Reason if re.fullmatch(pattern, reason.label)} == SUSPICIOUS


# The alerts


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_says_what_people_need(name: str) -> None:
    """A prefix, a known severity, a time, a fixed summary, a description, and a section in the runbook."""
    rule = _alerts()[name]
    notes = rule["annotations"]

    assert re.fullmatch(r"Nodegate[A-Z][A-Za-z]+", name)
    assert re.fullmatch(r"\d+[mh]", rule["for"])
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert set(notes) == {"summary", "description", "runbook_url"}
    assert notes["summary"].endswith(".")
    assert "{{" not in notes["summary"]
    assert notes["description"].endswith(".")
    assert notes["runbook_url"] == f"docs/runbook.md#{name.lower()}"


def test_the_runbook_has_a_section_for_each_alert() -> None:
    """Each section tells what it means, how bad it is, what to look at and how to mend it; none is left over."""
    sections = re.split(r"^## (\w+)\n", RUNBOOK.read_text(), flags=re.MULTILINE)[1:]
    found = dict(zip(sections[::2], sections[1::2], strict=True))

    assert sorted(found) == ALERTS
    for name, text in found.items():
        parts = [text.find(f"**{part}:**") for part in ("Means", "How bad", "Look at", "Mend")]
        assert -1 not in parts, name
        assert parts == sorted(parts), name


def test_the_runbook_tells_the_severity() -> None:
    """What the runbook calls critical, warning or info is what the alert is labelled."""
    told = re.findall(r"^## (\w+)\n.*?\*\*How\s+bad:\*\*\s+(\w+)", RUNBOOK.read_text(), re.MULTILINE | re.DOTALL)
    assert dict(told) == {name: rule["labels"]["severity"] for name, rule in _alerts().items()}


@needs_promtool
def test_promtool_accepts_the_rules() -> None:
    """Prometheus can load the rule file."""
    status, said = promtool("check", "rules", "--lint-fatal", RULES.name, folder=COMPONENT)
    assert status == 0, said
    assert f"{len(ALERTS)} rules found" in said


@needs_promtool
def test_the_rule_tests_pass() -> None:
    """Each alert fires, with its words, when it should, and is silent when it should."""
    status, said = promtool("test", "rules", RULE_TESTS.name, folder=COMPONENT)
    assert status == 0, said


@needs_promtool
def test_every_alert_has_a_firing_case(tmp_path: Path) -> None:
    """When no alert is left the rule tests miss every one of them."""
    status, said = _test_rules(tmp_path, [])
    assert status != 0, said
    assert set(re.findall(r"alertname: ?(\w+)", said)) == set(ALERTS)


@needs_promtool
def test_every_alert_has_a_silent_case(tmp_path: Path) -> None:
    """When every alert fires always and at once the rule tests object where they expect nothing, for each of them."""
    status, said = _test_rules(tmp_path, [rule | {"expr": "vector(1)", "for": "0m"} for rule in _alerts().values()])
    assert status != 0, said
    assert set(re.findall(r"alertname: ?(\w+), time: \w+,\s+exp:\[\s*\]", said)) == set(ALERTS)


# The forms in which they are shipped


def test_generated_files_are_what_the_code_makes_of_them() -> None:
    """Pages and the PrometheusRule follow what they are made of; `make docs` writes them."""
    made = {
        "docs/host-requirements.md": requirements_page(),
        "docs/metrics.md": metrics_page(),
        "docs/verifications.md": verifications_page(),
        str((CRDS / "prometheus-rule.yaml").relative_to(ROOT)): prometheus_rule(),
    }

    # Only names are compared by pytest: it would take minutes to show where two pages differ.
    assert docs.WHOLE.keys() == made.keys()
    assert [name for name, make in docs.WHOLE.items() if make() != made[name]] == []
    assert [name for name, text in made.items() if (ROOT / name).read_text() != text] == [], "stale: run make docs"


def test_a_missing_page_is_stale_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--check` fails for a generated file that does not exist, and writing makes it with its folder."""
    monkeypatch.setattr(docs, "DOCUMENTS", {})

    assert docs.main(["--check"], tmp_path) == 1
    assert docs.main([], tmp_path) == 0
    assert docs.main(["--check"], tmp_path) == 0
    assert (tmp_path / "docs" / "metrics.md").read_text() == metrics_page()


def test_the_page_of_metrics_lists_every_metric() -> None:
    """Every family of the program, ours and the library's, has its row, and every bucket is told."""
    page = (ROOT / "docs" / "metrics.md").read_text()
    for metric in exported():
        assert f"| `{metric.name}` | {metric.type} |" in page
        assert not metric.buckets or f"- `{metric.name}`: {', '.join(metric.buckets)}" in page


def test_the_prometheus_rule_holds_the_same_alerts() -> None:
    """Both forms have the same groups."""
    (rule,) = documents(CRDS / "prometheus-rule.yaml")
    assert rule["apiVersion"] == "monitoring.coreos.com/v1"
    assert rule["spec"] == {"groups": _groups()}


def test_the_service_monitor_finds_the_service() -> None:
    """Its selector, namespace and port are those of the shipped Service."""
    (monitor,) = documents(CRDS / "service-monitor.yaml")
    (service,) = documents(BASE / "40-service.yaml")
    (endpoint,) = monitor["spec"]["endpoints"]

    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["namespaceSelector"]["matchNames"] == [service["metadata"]["namespace"]]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert (endpoint["scheme"], endpoint["path"]) == ("https", "/metrics")
    assert endpoint["bearerTokenFile"].endswith("/serviceaccount/token")


def test_the_annotations_meet_the_service() -> None:
    """Scrape configurations that go by annotations find scheme, port and path of the shipped Service."""
    (patch,) = documents(COMPONENT / "service-annotations.yaml")
    (service,) = documents(BASE / "40-service.yaml")
    (port,) = service["spec"]["ports"]
    notes = {key.removeprefix("prometheus.io/"): value for key, value in patch["metadata"]["annotations"].items()}
    assert notes == {"scrape": "true", "scheme": "https", "port": str(port["port"]), "path": "/metrics"}


def test_every_file_is_used() -> None:
    """A file that no kustomization names reaches no cluster; the rule tests alone are not for one."""
    main, extra = kustomization(COMPONENT), kustomization(CRDS)
    files = [entry.rpartition("=")[2] for maps in main["configMapGenerator"] for entry in maps["files"]]
    named = {*files, *(patch["path"] for patch in main["patches"])}

    assert main["kind"] == extra["kind"] == "Component"
    assert named | {"kustomization.yaml", RULE_TESTS.name, CRDS.name} == {path.name for path in COMPONENT.iterdir()}
    assert {*extra["resources"], "kustomization.yaml"} == {path.name for path in CRDS.iterdir()}


def _built(folder: Path, *components: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what kustomize makes of an overlay of the base, by kind and name."""
    folder.joinpath("kustomization.yaml").write_text(
        yaml.safe_dump(
            {
                "apiVersion": "kustomize.config.k8s.io/v1beta1",
                "kind": "Kustomization",
                "resources": [os.path.relpath(BASE, folder)],
                "components": [os.path.relpath(component, folder) for component in components],
            }
        )
    )
    made = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, check=True).stdout
    return {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(made)}


@needs_kubectl
def test_the_component_adds_two_config_maps_and_marks_the_service(tmp_path: Path) -> None:
    """An overlay gets the files as they are, under fixed names, and nothing that needs the Prometheus operator."""
    plain, built = _built(tmp_path), _built(tmp_path, COMPONENT)
    rules = built["ConfigMap", "nodegate-prometheus-rules"]
    dashboard = built["ConfigMap", "nodegate-grafana-dashboard"]

    assert set(built) - set(plain) == {
        ("ConfigMap", "nodegate-prometheus-rules"),
        ("ConfigMap", "nodegate-grafana-dashboard"),
    }
    assert rules["data"] == {RULES.name: RULES.read_text()}
    assert dashboard["data"] == {"nodegate.json": DASHBOARD.read_text()}
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert rules["metadata"]["namespace"] == dashboard["metadata"]["namespace"] == "nodegate-system"
    assert built["Service", "nodegate"]["metadata"]["annotations"]["prometheus.io/scrape"] == "true"
    assert {key for key in plain if plain[key] != built[key]} == {("Service", "nodegate")}


@needs_kubectl
def test_the_operators_kinds_come_only_when_asked_for(tmp_path: Path) -> None:
    """The second component adds the PrometheusRule and the ServiceMonitor."""
    built = _built(tmp_path, COMPONENT, CRDS)
    added = set(built) - set(_built(tmp_path, COMPONENT))
    assert added == {("PrometheusRule", "nodegate"), ("ServiceMonitor", "nodegate")}
