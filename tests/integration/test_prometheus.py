"""A real Prometheus scrapes a real operator and judges the shipped alerts.

The operator's lab and the rule file come in. Rules: Prometheus listens on loopback only, has a folder of its own and
ends with the test; alerts wait for nothing here (`for: 0s`), everything else about them is as shipped. Without a
`prometheus` on PATH (Debian package prometheus) the tests say so and are skipped.
"""

import http.client
import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from hack.cluster import Cluster
from hack.cluster.kubeconfig import read_kubeconfig
from hack.cluster.process import Component, free_ports
from tests.integration.lab import Lab
from tests.integration.operator_fixtures import Start

PROGRAM = shutil.which("prometheus")
RULES = Path(__file__).parents[2] / "manifests" / "components" / "monitoring" / "prometheus-rules.yaml"
JOB = "nodegate"
SERIES = 500
"""What one operator may export on an ordinary day (tests/manifests/test_series.py)."""

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(180),
    pytest.mark.skipif(
        PROGRAM is None,
        reason="nobody has checked that alerts fire: prometheus is not on PATH (Debian package prometheus)",
    ),
]


class Prometheus(Component):
    """One Prometheus on a free port of 127.0.0.1 that scrapes one operator every second.

    Args:
        folder: Where everything of it goes.
        target: ``host:port`` of the operator.
        rules: The groups that it evaluates every second.
        token: What it shows; the scrape is over TLS then.
    """

    def __init__(self, folder: Path, target: str, rules: dict[str, Any], token: str = "") -> None:
        (port,) = free_ports(1)
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [{"job_name": JOB, "static_configs": [{"targets": [target]}], **_over_tls(token)}],
        }
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
        command = (
            str(PROGRAM),
            f"--config.file={folder / 'prometheus.yaml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        )
        super().__init__("prometheus", command, folder / "prometheus.log", ready=self._is_ready, ports=(port,))

    def ask(self, path: str, **query: str) -> Any:
        """Return the data of one of its API's answers.

        Raises:
            OSError: It does not answer.
        """
        status, text = self._get(f"/api/v1/{path}?{urlencode(query)}")
        answer = json.loads(text)
        assert (status, answer["status"]) == (200, "success"), answer
        return answer["data"]

    def value(self, expression: str) -> float:
        """Return the value of an expression that has exactly one series."""
        (series,) = self.ask("query", query=expression)["result"]
        return float(series["value"][1])

    def rules(self) -> list[dict[str, Any]]:
        """Return every rule as it was last evaluated."""
        return [rule for group in self.ask("rules")["groups"] for rule in group["rules"]]

    def firing(self) -> set[str]:
        """Return the names of the alerts that fire."""
        return {alert["labels"]["alertname"] for alert in self.ask("alerts")["alerts"] if alert["state"] == "firing"}

    def _is_ready(self) -> bool:
        return self._get("/-/ready")[0] == 200

    def _get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[0], timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def _over_tls(token: str) -> dict[str, Any]:
    """Return the part of a scrape's configuration that shows a token, as a ServiceMonitor's has it."""
    if not token:
        return {}
    # The operator has signed its certificate itself.
    return {"scheme": "https", "authorization": {"credentials": token}, "tls_config": {"insecure_skip_verify": True}}


def shipped_rules() -> dict[str, Any]:
    """Return the shipped alerts, all of which fire at once when they hold."""
    rules: dict[str, Any] = yaml.safe_load(RULES.read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule["for"] = "0s"
    return rules


@pytest.fixture
def prometheus(own_lab: Lab, tmp_path: Path) -> Iterator[Prometheus]:
    """Yield a Prometheus that has scraped the lab's operator and evaluated every rule."""
    folder = tmp_path / "prometheus"
    folder.mkdir()
    started = Prometheus(folder, own_lab.operator.url.removeprefix("http://"), shipped_rules())
    started.start()
    try:
        started.wait_ready()
        own_lab.wait(lambda: up(started), "Prometheus to scrape the operator")
        own_lab.wait(lambda: all(rule["health"] != "unknown" for rule in started.rules()), "every rule to be evaluated")
        # Whatever was evaluated before the first scrape found no operator.
        own_lab.wait(lambda: started.firing() == set(), "no alert to fire")
        yield started
    finally:
        started.stop()


def test_prometheus_scrapes_over_tls_with_its_token(start: Start, cluster: Cluster, tmp_path: Path) -> None:
    """A ServiceAccount that is bound to the shipped role is let in; another Prometheus, without the right, is not."""
    (port,) = free_ports(1)
    lab = start("--insecure-metrics=false", f"--metrics-listen=127.0.0.1:{port}")
    cluster.kubectl("create", "namespace", "scraping")
    with ExitStack() as stack:
        stack.callback(cluster.kubectl, "delete", "namespace", "scraping", "--wait=false")
        found: dict[str, Prometheus] = {}
        for name in ("reader", "stranger"):
            cluster.kubectl("create", "serviceaccount", name, "-n", "scraping")
            token = read_kubeconfig(cluster.service_account_kubeconfig("scraping", name)).token or ""
            folder = tmp_path / name
            folder.mkdir()
            found[name] = Prometheus(folder, f"127.0.0.1:{port}", {"groups": []}, token)
        role, subject = "--clusterrole=nodegate-metrics-reader", "--serviceaccount=scraping:reader"
        cluster.kubectl("create", "clusterrolebinding", "scraping", role, subject)
        stack.callback(cluster.kubectl, "delete", "clusterrolebinding", "scraping")
        for prometheus in found.values():
            stack.callback(prometheus.stop)
            prometheus.start()
            prometheus.wait_ready()
        lab.wait(lambda: up(found["reader"]), "the scrape of who may")
        assert found["reader"].value('nodegate_build_info{job="nodegate"}') == 1
        lab.wait(lambda: "403" in _scrape_error(found["stranger"]), "the refusal of who may not")


def _scrape_error(prometheus: Prometheus) -> str:
    (target,) = prometheus.ask("targets")["activeTargets"]
    error: str = target["lastError"]
    return error


def up(prometheus: Prometheus) -> bool:
    """Tell whether the one target answers."""
    return [target["health"] for target in prometheus.ask("targets")["activeTargets"]] == ["up"]


def test_prometheus_scrapes_and_evaluates_without_error(own_lab: Lab, prometheus: Prometheus) -> None:
    """The target is up, every shipped alert is loaded and evaluated, a quiet operator makes none fire."""
    own_lab.join(own_lab.name())
    shipped = {rule["alert"] for group in shipped_rules()["groups"] for rule in group["rules"]}
    decided = 'sum(nodegate_csr_decisions_total{verdict="approve"})'
    own_lab.wait(lambda: bool(prometheus.ask("query", query=decided)["result"]), "Prometheus to see the approval")

    rules = prometheus.rules()
    assert {rule["name"] for rule in rules} == shipped
    assert {(rule["health"], rule.get("lastError", "")) for rule in rules} == {("ok", "")}
    assert prometheus.value(f'up{{job="{JOB}"}}') == 1
    assert prometheus.value(decided) >= 1
    assert prometheus.firing() == set()
    assert prometheus.value(f'scrape_samples_scraped{{job="{JOB}"}}') <= SERIES


def test_a_takeover_and_a_foreign_token_make_alerts_fire(own_lab: Lab, prometheus: Prometheus) -> None:
    """Another key for a node that is Ready, and another node's token: the two alerts fire, and only they."""
    joined = own_lab.join(own_lab.name())
    assert prometheus.firing() == set()

    own_lab.held(own_lab.ask(joined.name, joined.token), "NodeAlreadyJoined")
    own_lab.denied(own_lab.ask(joined.name, own_lab.token()), "TokenMismatch")

    expected = {"NodegateTakeoverAttempt", "NodegateDenialsRising"}
    own_lab.wait(lambda: prometheus.firing() >= expected, f"{expected} to fire")
    assert prometheus.firing() == expected


def test_an_operator_that_ends_is_missed(own_lab: Lab, prometheus: Prometheus) -> None:
    """NodegateDown fires when the operator has stopped, and ends when it is back."""
    own_lab.operator.stop()
    own_lab.wait(lambda: prometheus.firing() == {"NodegateDown"}, "NodegateDown to fire")
    own_lab.operator.start()
    own_lab.operator.wait_ready()
    own_lab.wait(lambda: prometheus.firing() == set(), "NodegateDown to end")
