"""Makes docs/metrics.md of the metrics, and the PrometheusRule object of the rule file.

What enters are `nodegate.metrics` itself, filled with one sample of everything, and the rule file as text;
what leaves is the text of two files. Rules: both are made as a whole, so nobody edits them; `hack.docs`
writes and compares them. Names, types, labels, help and buckets are what the program exports.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.metrics import MetricWrapperBase

from nodegate.csr.model import Kind
from nodegate.enrollment.model import Phase
from nodegate.flannel.index import LEASE_STATES, RESTART
from nodegate.kube.observer import RELIST_REASONS
from nodegate.metrics import FlannelState, Metrics, Snapshot, StateCollector
from nodegate.names import MANAGED_SIGNERS
from nodegate.observed import CertificateKind

ROOT = Path(__file__).resolve().parents[1]
"""The repository."""

RULES = ROOT / "manifests" / "components" / "monitoring" / "prometheus-rules.yaml"
"""The one source of the alerts."""

PREFIX = "nodegate_"
"""What our own names begin with; the rest comes from the client library."""

_ONE = {"x": 1}
_STATE = Snapshot(
    pending=_ONE,
    held=_ONE,
    oldest_pending_age_s=0,
    queue_depth=0,
    enrollments=_ONE,
    last_event=_ONE,
    leader=True,
    earliest_expiry=_ONE,
    flannel=FlannelState(in_sync=True, leases=_ONE, subnets_free=0),
)

_INTRO = """\
# Metrics

What `/metrics` exports. This page is made from the code (`make docs`); do not edit it.

Names, labels and units are an interface: they change only with an entry in the [changelog](../CHANGELOG.md). Every
label comes from a closed set and none names a node, a request or a person, so the number of series does not grow with
the cluster: below 500, also when every reason and every failure has occurred. Gauges say what
is at the moment of the scrape, counters begin at 0 when the process does. A standby exports the gauges, too, with
nothing in them.

It is served over TLS on port 8443 to whoever may `get` the URL `/metrics`. Bind the ServiceAccount of your Prometheus
to the shipped role, which is bound to nobody:

```sh
kubectl create clusterrolebinding nodegate-metrics --clusterrole=nodegate-metrics-reader --serviceaccount=NAMESPACE:NAME
```

To have it scraped: [manifests/components/monitoring](../manifests/components/monitoring) brings alerts, a Grafana
dashboard and, for the Prometheus operator, a ServiceMonitor. What to do when an alert fires: [runbook.md](runbook.md).

```yaml
# kustomization.yaml
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../../base]
components:
  - ../../components/monitoring
  - ../../components/monitoring/operator-crds   # only with the Prometheus operator
```

Without the Prometheus operator, this scrapes every replica:

```yaml
scrape_configs:
  - job_name: nodegate
    scheme: https
    authorization: {credentials_file: /var/run/secrets/kubernetes.io/serviceaccount/token}
    tls_config: {insecure_skip_verify: true}   # with --metrics-tls-cert: ca_file and server_name
    kubernetes_sd_configs:
      - role: pod
        namespaces: {names: [nodegate-system]}
    relabel_configs:
      - source_labels: [__meta_kubernetes_pod_label_app_kubernetes_io_name, __meta_kubernetes_pod_container_port_name]
        regex: nodegate;metrics
        action: keep
```
"""

_LABELS: Mapping[str, str] = {
    "signer": " or ".join(f"`{signer}`" for signer in MANAGED_SIGNERS),
    "kind": "of a request: "
    + ", ".join(f"`{kind}`" for kind in Kind)
    + "; of a certificate: "
    + ", ".join(f"`{kind}`" for kind in CertificateKind),
    "verdict": "`approve`, `deny`, `hold`, `ignore`",
    "reason": "of a verdict: the [reason](troubleshooting.md) in snake case, such as `not_enrolled`; of a re-list: "
    + ", ".join(f"`{reason}`" for reason in RELIST_REASONS),
    "phase": ", ".join(f"`{phase}`" for phase in Phase),
    "verb": "what RBAC calls it: `get`, `list`, `watch`, `create`, `update`, `patch`",
    "resource": "the plural, with the subresource where there is one, such as `certificatesigningrequests/approval`",
    "code": "the HTTP status, or `error` when there was no answer",
    "queue": "`requests`, `statuses` (of enrollments), `pools` or `networks`",
    "state": "of leases: " + ", ".join(f"`{label}`" for label in (*LEASE_STATES.values(), RESTART)),
    "version": "of the program",
}


class Exported(NamedTuple):
    """One metric as `/metrics` has it."""

    name: str
    """A counter's with ``_total``, a histogram's without ``_bucket`` and the like."""

    type: str
    labels: tuple[str, ...]
    help: str
    buckets: tuple[str, ...]
    """Upper bounds of a histogram, as they stand in the label ``le``; empty for others."""

    samples: frozenset[str]
    """The names of its series."""


def exported() -> tuple[Exported, ...]:
    """Return every metric, in the order in which the program exports them."""
    metrics = Metrics(CollectorRegistry())
    metrics.registry.register(StateCollector(lambda: _STATE))
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            names: Sequence[str] = metric._labelnames  # noqa: SLF001 - the library tells them nowhere else
            if names:
                metric.labels(*names)
    return tuple(_exported(family) for family in metrics.registry.collect())


def _exported(family: Metric) -> Exported:
    # Platform and version series carry several labels; all samples of one family have the same ones.
    labels = dict.fromkeys(label for sample in family.samples for label in sample.labels)
    buckets = dict.fromkeys(sample.labels["le"] for sample in family.samples if "le" in sample.labels)
    return Exported(
        name=f"{family.name}_total" if family.type == "counter" else family.name,
        type=family.type,
        labels=tuple(label for label in labels if label != "le"),
        help=family.documentation,
        buckets=tuple(buckets),
        samples=frozenset(sample.name for sample in family.samples),
    )


def metrics_page() -> str:
    """Return docs/metrics.md."""
    known = exported()
    ours = [each for each in known if each.name.startswith(PREFIX)]
    others = [each for each in known if not each.name.startswith(PREFIX)]
    used = dict.fromkeys(label for each in ours for label in each.labels)
    parts = (
        _INTRO,
        "## The operator's own\n",
        *_table(ours),
        "\n## Labels\n",
        "| label | values |",
        "|---|---|",
        *(f"| `{label}` | {_LABELS[label]} |" for label in used),
        "\n## Buckets\n",
        "Upper bounds in seconds; each histogram has `_bucket`, `_sum` and `_count`.\n",
        *(f"- `{each.name}`: {', '.join(each.buckets)}" for each in ours if each.buckets),
        "\n## The process\n",
        "From the client library; the process figures exist on Linux only.\n",
        *_table(others),
    )
    return "\n".join(parts) + "\n"


def _table(rows: Sequence[Exported]) -> Iterator[str]:
    yield "| name | type | labels | meaning |"
    yield "|---|---|---|---|"
    for row in rows:
        labels = ", ".join(f"`{label}`" for label in row.labels)
        yield f"| `{row.name}` | {row.type} | {labels} | {row.help} |"


_RULE_HEAD = """\
# The alerts for the Prometheus operator; made of ../prometheus-rules.yaml by `make docs`, do not edit.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: nodegate
  namespace: nodegate-system
  labels:
    app.kubernetes.io/name: nodegate
    app.kubernetes.io/component: monitoring
    app.kubernetes.io/part-of: nodegate
spec:
"""


def prometheus_rule() -> str:
    """Return operator-crds/prometheus-rule.yaml: the rule file's groups, a level deeper."""
    _, _, groups = RULES.read_text(encoding="utf-8").partition("\ngroups:\n")
    lines = "groups:\n" + groups
    return _RULE_HEAD + "".join(f"  {line}" if line.strip() else line for line in lines.splitlines(keepends=True))
