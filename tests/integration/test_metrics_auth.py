"""Who gets /metrics from a real operator, decided by a real API server: over TLS, by token and by right.

Rules: the operator has its shipped rights only; tokens are those of ServiceAccounts of this test.
"""

import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from hack.cluster import Cluster
from hack.cluster.kubeconfig import read_kubeconfig
from hack.cluster.process import free_ports
from tests.integration.operator_fixtures import Start

pytestmark = pytest.mark.integration

NAMESPACE = "metrics-auth"
BINDING = "metrics-auth"


@pytest.fixture(name="tokens")
def _tokens(cluster: Cluster, account: object) -> Iterator[dict[str, str]]:
    """Return a token of an account that may read /metrics, and one of an account that may not."""
    assert account is not None
    cluster.kubectl("create", "namespace", NAMESPACE)
    for name in ("reader", "stranger"):
        cluster.kubectl("create", "serviceaccount", name, "-n", NAMESPACE)
    subject = f"--serviceaccount={NAMESPACE}:reader"
    cluster.kubectl("create", "clusterrolebinding", BINDING, "--clusterrole=nodegate-metrics-reader", subject)
    try:
        found = {n: read_kubeconfig(cluster.service_account_kubeconfig(NAMESPACE, n)) for n in ("reader", "stranger")}
        yield {name: kubeconfig.token or "" for name, kubeconfig in found.items()}
    finally:
        cluster.kubectl("delete", "clusterrolebinding", BINDING)
        cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def scrape(port: int, token: str | None) -> tuple[int, str]:
    """Return status and text of /metrics over TLS."""
    unverified = ssl.create_default_context()
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(f"https://127.0.0.1:{port}/metrics", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20, context=unverified) as answer:  # noqa: S310 - always https
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_the_api_server_says_who_may_read(start: Start, tokens: dict[str, str]) -> None:
    """No token 401, a token that nobody knows 401, no right 403, the right 200; never on the plain port."""
    (port,) = free_ports(1)
    lab = start("--insecure-metrics=false", f"--metrics-listen=127.0.0.1:{port}")

    codes = {name: scrape(port, token)[0] for name, token in tokens.items()}
    assert codes == {"reader": 200, "stranger": 403}
    assert (scrape(port, None)[0], scrape(port, "unknown")[0]) == (401, 401)
    assert "nodegate_build_info" in scrape(port, tokens["reader"])[1]
    assert lab.operator.get("/metrics")[0] == 404
    assert lab.operator.get("/healthz")[0] == 200
