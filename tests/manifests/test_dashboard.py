"""The dashboard is one that Grafana loads, and everything that it asks is PromQL.

The shipped file comes in. Rules: PromQL is judged by Prometheus' own `promtool`; where that is absent the test
says so and is skipped.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.manifests.monitoring import DASHBOARD, needs_promtool, panels, promtool, targets


def test_the_dashboard_is_one_that_grafana_loads() -> None:
    """What Grafana needs is there, the data source is a variable, and ids are unique."""
    dashboard = json.loads(DASHBOARD.read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    (variable,) = dashboard["templating"]["list"]

    assert {"title", "uid", "schemaVersion", "panels", "templating", "time"} <= set(dashboard)
    assert "id" not in dashboard
    assert "__inputs" not in dashboard
    assert len(ids) == len(set(ids))
    assert (variable["name"], variable["type"], variable["query"]) == ("datasource", "datasource", "prometheus")


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_every_panel_asks_and_says_what_it_shows(panel: dict[str, Any]) -> None:
    """Each has a title, a description, a unit, the variable as data source, and questions of different names."""
    if panel["type"] == "row":
        assert panel["panels"] == []
        return
    source = {"type": "prometheus", "uid": "${datasource}"}
    references = [target["refId"] for target in panel["targets"]]

    assert panel["type"] in {"stat", "timeseries"}
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"] == source
    assert all(target["datasource"] == source and target["expr"] for target in panel["targets"])
    assert len(references) == len(set(references)) > 0


def test_panels_do_not_overlap() -> None:
    """No two panels take one cell of the grid, and none reaches over its 24 columns."""
    cells = Counter(
        (x, y)
        for place in (panel["gridPos"] for panel in panels())
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    )
    assert max(cells.values()) == 1
    assert max(x for x, _ in cells) < 24


@needs_promtool
def test_promtool_accepts_what_the_dashboard_asks(tmp_path: Path) -> None:
    """Every question is PromQL, once Grafana's own variable is filled in."""
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "5m")}
        for number, (_, expression) in enumerate(targets())
    ]
    (tmp_path / "asked.yaml").write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": rules}]}))

    status, said = promtool("check", "rules", "asked.yaml", folder=tmp_path)

    assert status == 0, said
    assert f"{len(rules)} rules found" in said
